//! Calls of many tasks that wait for their turns, while something befalls the store.

use super::{DEADLINE, load::Load, ms};
use std::{
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};
use tower_ratelimit::{LeakyBucket, Nanos, OnFailure, Rate, StoredLimiter, store::Store};

const TASKS: usize = 8;

/// How far apart turns are: all tasks wait for some.
const INTERVAL: Duration = ms(3);

/// Makes calls on one key that wait for their turns while `trouble` happens.
///
/// No call hangs, and each is granted or refused because of the store. Calls are granted before and afterwards.
/// However many callers got no answer, turns are as far apart as the limit says, by the clock of the store.
pub(super) async fn in_line<S: Store<LeakyBucket>>(store: S, trouble: impl AsyncFnOnce(&Load)) {
    let paced = LeakyBucket::new(Rate::new(1, INTERVAL).unwrap()).capacity(1).unwrap();
    let limiter = StoredLimiter::builder("paced", store, paced, OnFailure::Refuse);
    let limiter = limiter.deadline(DEADLINE).unwrap().breaker(5, ms(50)).unwrap().build().unwrap();
    let load = Arc::new(Load::default());
    let turns = Arc::new(Mutex::new(Vec::new()));
    let calls = |_| {
        let (load, turns, limit) = (Arc::clone(&load), Arc::clone(&turns), limiter.key("a"));
        async move {
            while !load.is_over() {
                if let Some(decision) = load.ends(limit.acquire().into_future()).await {
                    let grant = decision.grant().expect("it is one");
                    turns.lock().unwrap().push(grant.at);
                } else {
                    tokio::time::sleep(ms(1)).await;
                }
            }
        }
    };
    load.lasts((0..TASKS).map(calls), trouble).await;
    let mut turns = turns.lock().unwrap().clone();
    turns.sort();
    let interval = Nanos::from(INTERVAL);
    let close = turns.windows(2).find(|turns| turns[1] - turns[0] < interval);
    assert_eq!(close, None, "of {} turns", turns.len());
}
