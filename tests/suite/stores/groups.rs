//! Orders that are taken together or not at all.

use super::Shelf;
use crate::algorithms::limits;
use proptest::prelude::*;
use std::sync::Arc;
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Ask, Nanos, Take,
    store::{Answer, Batch, Order, StoreAsk, StoreKey, StoredLimit},
};

type Limits<A> = Vec<Arc<StoredLimit<A>>>;

/// A group of takes: which limit, which key, how many.
fn group<A>(limits: &Limits<A>, takes: &[(usize, u8, u32)]) -> Vec<Order<A>> {
    let order = |(index, &(limit, key, cost)): (usize, &(usize, u8, u32))| Order {
        limit: Arc::clone(&limits[limit % limits.len()]),
        key: StoreKey::new(&key),
        ask: StoreAsk::Ask(Ask::Take(Take::fresh(cost))),
        is_with_previous: index > 0,
    };
    takes.iter().enumerate().map(order).collect()
}

fn answer<A: Algorithm>(shelf: &mut Shelf<A>, now: u64, orders: Vec<Order<A>>) -> Vec<Answer> {
    match Batch::new(orders).answer(Nanos::new(now), shelf) {
        Ok(answers) => answers,
        Err(never) => match never {},
    }
}

fn named<A>(algorithms: Vec<A>) -> Limits<A> {
    let limit = |(index, algorithm): (usize, A)| {
        Arc::new(StoredLimit { name: index.to_string().into(), algorithm })
    };
    algorithms.into_iter().enumerate().map(limit).collect()
}

type Step = (u64, Vec<(usize, u8, u32)>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let take = (0..3usize, 0..2u8, 0..4u32);
    let group = prop::collection::vec(take, 1..4);
    prop::collection::vec((0..40u64, group), 1..20)
}

#[test]
fn a_group_takes_everything_or_nothing() {
    let algorithms = prop::collection::vec(limits::any_algorithm(), 1..4);
    let config = ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() };
    proptest!(config, |(algorithms in algorithms, steps in steps())| {
        let limits = named(algorithms);
        let mut shelf = Shelf::default();
        // The oracle asks one after the other, in a copy that counts only when all are granted.
        let mut oracle = Shelf::default();
        let mut now = 0;
        for (pause, takes) in steps {
            now += pause;
            let orders = group(&limits, &takes);
            let writes = shelf.writes;
            let answers = answer(&mut shelf, now, orders.clone());
            prop_assert_eq!(answers.len(), orders.len());
            let mut copy = oracle.clone();
            let expected: Vec<Answer> = orders
                .iter()
                .flat_map(|order| {
                    let alone = Order { is_with_previous: false, ..order.clone() };
                    answer(&mut copy, now, vec![alone])
                })
                .collect();
            prop_assert_eq!(&answers, &expected);
            let all = expected.iter().all(Answer::is_granted);
            if all {
                oracle = copy;
            } else {
                // Those that are refused begin the time that begins with the first call.
                for (index, order) in orders.iter().enumerate() {
                    // The second of a key did not find it new if the first took anything.
                    let took_of_it = |(other, answer): (&Order<_>, &Answer)| {
                        let is_same = other.key == order.key && other.limit.name == order.limit.name;
                        is_same && answer.decision.grant().is_some_and(|grant| grant.cost > 0)
                    };
                    let mut before = orders[..index].iter().zip(&expected);
                    if expected[index].is_granted() || before.any(took_of_it) {
                        continue;
                    }
                    let alone = Order { is_with_previous: false, ..order.clone() };
                    let mut copy = oracle.clone();
                    if !answer(&mut copy, now, vec![alone])[0].is_granted() {
                        oracle = copy;
                    }
                }
                let granted = takes.len() - expected.iter().filter(|a| !a.is_granted()).count();
                prop_assert!(shelf.writes - writes <= takes.len() - granted);
            }
            let kept = |shelf: &Shelf<AnyAlgorithm>| {
                let mut kept: Vec<_> = shelf.records.iter().map(|(key, record)| (key.clone(), record.clone())).collect();
                kept.sort_by(|(one, _), (other, _)| one.cmp(other));
                kept
            };
            prop_assert_eq!(kept(&shelf), kept(&oracle));
        }
    });
}
