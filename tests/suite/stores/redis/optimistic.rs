//! Algorithms of somebody's own, decided here and kept in Redis.

use super::{OneServer, ask, order, take};
use crate::servers::{
    cluster::Cluster,
    redis::{Server, unique},
};
use std::{sync::Arc, time::Duration};
use tower_ratelimit::{
    Algorithm, Ask, Decision, Grant, Nanos, Outcome, Rate,
    algorithm::Spent,
    store::{Batch, RedisStore, Store, StoreAsk, StoredLimit},
};

/// A call, and then none for an hour.
#[derive(Clone)]
struct Hourly;

const HOUR: Nanos = Nanos::new(3_600_000_000_000);

impl Algorithm for Hourly {
    /// When the hour is over.
    type State = Nanos;
    type Permits = Spent;

    fn decide(&self, over: &mut Nanos, now: Nanos, ask: Ask) -> Decision {
        let outcome = match ask {
            Ask::Take(take) | Ask::Peek(take) if take.cost > 0 && *over > now => {
                Outcome::Later(*over - now)
            }
            Ask::Take(take) | Ask::Peek(take) => {
                Outcome::Granted(Grant { cost: take.cost, at: now })
            }
            Ask::Charge(cost) => Outcome::Granted(Grant { cost, at: now }),
            Ask::Renew(grant) | Ask::End(grant) | Ask::GiveBack(grant) => Outcome::Granted(grant),
        };
        match (ask, outcome) {
            (Ask::Take(take), Outcome::Granted(_)) if take.cost > 0 => *over = now + HOUR,
            (Ask::GiveBack(grant), _) if *over == grant.at + HOUR => *over = now,
            _ => {}
        }
        let remaining = u32::from(*over <= now);
        Decision { outcome, limit: 1, remaining, full_after: *over - now, rate: 0 }
    }

    fn new_at(&self, over: &Nanos) -> Nanos {
        *over
    }

    fn interval(&self) -> Nanos {
        HOUR
    }

    fn shelf_life(&self) -> Nanos {
        HOUR
    }

    fn rate(&self, _: usize) -> Option<Rate> {
        None
    }

    fn most_in(&self, length: Duration) -> u64 {
        Nanos::from(length).get().div_ceil(HOUR.get())
    }

    fn carry_over(&self, _: &Self, _: &mut Nanos, _: Nanos) {}
}

fn hourly() -> Arc<StoredLimit<Hourly>> {
    Arc::new(StoredLimit { name: "hourly".into(), algorithm: Hourly })
}

async fn store(server: &Server, namespace: &str) -> OneServer {
    RedisStore::new(server.connect().await).namespace(namespace)
}

#[tokio::test]
async fn an_algorithm_of_ones_own_is_kept_as_long_as_it_matters() {
    let server = Server::start().await;
    let namespace = unique();
    let store = store(&server, &namespace).await.optimistic();
    let limit = hourly();
    let granted = ask(&store, order(&limit, "key", take(1))).await.decision.grant().unwrap();
    assert!(!ask(&store, order(&limit, "key", take(1))).await.is_granted());
    let [name] = &server.ask::<Vec<String>>(&["KEYS", &format!("{namespace}:*")]).await[..] else {
        panic!("one record");
    };
    let ends: u64 = server.ask(&["PEXPIRETIME", name]).await;
    let (ends, over) = (Nanos::new(ends * 1_000_000), granted.at + HOUR);
    assert!(over <= ends && ends <= over + Nanos::new(60_000_000_000), "{ends:?} {over:?}");
    ask(&store, order(&limit, "key", StoreAsk::Ask(Ask::GiveBack(granted)))).await;
    assert_eq!(server.ask::<u8>(&["EXISTS", name]).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_that_ask_at_once_gets_it() {
    let server = Server::start().await;
    let namespace = unique();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store(&server, &namespace).await.optimistic();
        tasks.spawn(async move {
            let limit = hourly();
            let mut granted = 0;
            for key in 0..50 {
                let order = order(&limit, &key.to_string(), take(1));
                granted += usize::from(ask(&store, order).await.is_granted());
            }
            granted
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<usize>(), 50);
}

#[tokio::test]
async fn a_value_that_is_no_record_is_an_error_and_never_a_yes() {
    let server = Server::start().await;
    let namespace = unique();
    let store = store(&server, &namespace).await.optimistic();
    let limit = hourly();
    ask(&store, order(&limit, "key", take(1))).await;
    let name = server.ask::<Vec<String>>(&["KEYS", &format!("{namespace}:*")]).await.remove(0);
    let () = server.ask(&["SET", &name, "=x"]).await;
    assert!(store.decide(Batch::new(vec![order(&limit, "key", take(1))])).await.is_err());
}

#[tokio::test]
async fn keys_all_over_a_cluster_are_decided_here_too() {
    let cluster = Cluster::start().await;
    let store = RedisStore::on_cluster(cluster.connect().await).namespace(unique()).optimistic();
    let limit = hourly();
    let keys: Vec<String> = (0..60).map(|key| key.to_string()).collect();
    for is_granted in [true, false] {
        let orders = keys.iter().map(|key| order(&limit, key, take(1))).collect();
        let answers = store.decide(Batch::new(orders)).await.unwrap();
        assert!(answers.iter().all(|answer| answer.is_granted() == is_granted));
    }
}
