//! What many connections take together, and what they do not notice.

use super::{OneServer, ask, limit, order, store, take};
use crate::servers::redis::{Server, unique};
use redis::Script;
use std::sync::Arc;
use tower_ratelimit::{
    AnyAlgorithm, Nanos,
    store::{Batch, RedisStore, Store, StoreAsk, StoredLimit},
};

/// How many of so many takes are granted, from so many connections at once.
async fn taken<S: Store<AnyAlgorithm>>(
    server: &Server,
    limit: &Arc<StoredLimit<AnyAlgorithm>>,
    makes: impl Fn(OneServer) -> S,
    connections: u32,
    takes: u32,
) -> usize {
    let namespace = unique();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let store = RedisStore::new(server.connect().await).namespace(&*namespace);
        let store = makes(store);
        let limit = Arc::clone(limit);
        tasks.spawn(async move {
            let mut granted = 0;
            for _ in 0..takes {
                // Several asks ride together, as they do when many callers wait.
                let orders = vec![order(&limit, "key", take(1)); 3];
                let answers = store.decide(Batch::new(orders)).await.unwrap();
                granted += answers.iter().filter(|answer| answer.is_granted()).count();
            }
            granted
        });
    }
    tasks.join_all().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_take_exactly_what_there_is() {
    let server = Server::start().await;
    for line in [
        "quota 500",
        "leaky bucket 1/hour, capacity 500",
        "sliding window 500/hour",
        "concurrency 500",
    ] {
        let limit = limit("limit", line);
        assert_eq!(taken(&server, &limit, |store| store, 8, 50).await, 500, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgets_its_scripts_is_not_noticed() {
    let server = Server::start().await;
    let store = store(&server).await;
    let limit = limit("limit", "quota 500");
    let () = server.ask(&["SCRIPT", "FLUSH"]).await;
    assert!(ask(&store, order(&limit, "other", take(1))).await.is_granted());
    let () = server.ask(&["SCRIPT", "FLUSH"]).await;
    assert!(ask(&store, order(&limit, "other", take(1))).await.is_granted());
    let mut connection = server.connect().await;
    let flushing = tokio::spawn(async move {
        loop {
            let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(taken(&server, &limit, |store| store, 8, 50).await, 500);
    assert_eq!(taken(&server, &limit, RedisStore::optimistic, 4, 50).await, 500);
    flushing.abort();
}

#[tokio::test]
async fn only_the_clock_of_the_server_counts() {
    let server = Server::start().await;
    let namespace = unique();
    let limit = limit("limit", "sliding window 3/hour");
    // Whatever the clocks of the two show, nothing of it is sent.
    let stores = [server.connect().await, server.connect().await]
        .map(|connection| RedisStore::new(connection).namespace(&*namespace));
    let mut granted = 0;
    for _ in 0..3 {
        for store in &stores {
            let before = time(&server).await;
            let answer = ask(store, order(&limit, "key", take(1))).await;
            if let Some(grant) = answer.decision.grant() {
                assert!(before <= grant.at && grant.at <= time(&server).await);
                granted += 1;
            }
        }
    }
    assert_eq!(granted, 3);
}

/// The time of the server.
async fn time(server: &Server) -> Nanos {
    let (seconds, microseconds): (u64, u64) = server.ask(&["TIME"]).await;
    Nanos::new((seconds * 1_000_000 + microseconds) * 1000)
}

#[tokio::test]
async fn a_refusal_writes_nothing() {
    let server = Server::start_private(&[]).await;
    let store = store(&server).await;
    for line in [
        "leaky bucket 1/hour, capacity 2",
        "strict 1/hour",
        "burst compensating 1/hour, max burst 2",
        "token bucket 2/hour, capacity 2",
        "quota 2",
        "sliding window 2/hour",
        "fixed window 2/hour",
        "sliding window counter 2/hour",
        "concurrency 2, lease 1hour",
        "serialized 2/1hour, lease 1hour",
        "serialized 1/hour",
    ] {
        let limit = limit(line, line);
        while ask(&store, order(&limit, "key", take(1))).await.is_granted() {}
        let before = changes(&server).await;
        for asked in [
            take(1),
            take(0),
            take(99),
            StoreAsk::Reserve { cost: 1, max_wait: Nanos::new(1_000_000) },
        ] {
            ask(&store, order(&limit, "key", asked)).await;
        }
        assert_eq!(changes(&server).await, before, "{line}");
    }
}

/// How often anything was written since the server began.
async fn changes(server: &Server) -> String {
    let info: String = server.ask(&["INFO", "persistence"]).await;
    info.lines().find(|line| line.starts_with("rdb_changes_since_last_save")).unwrap().to_owned()
}

#[tokio::test]
async fn another_kind_of_value_under_the_name_is_an_error_and_never_a_yes() {
    let server = Server::start().await;
    let namespace = unique();
    let store = RedisStore::new(server.connect().await).namespace(&*namespace);
    for line in ["quota 1", "sliding window 1/s"] {
        let limit = limit("limit", line);
        ask(&store, order(&limit, "key", take(1))).await;
        let [name] = &server.ask::<Vec<String>>(&["KEYS", &format!("{namespace}*")]).await[..]
        else {
            panic!("one record");
        };
        let () = server.ask(&["DEL", name]).await;
        let () = server.ask(&["LPUSH", name, "x"]).await;
        let failed = store.decide(Batch::new(vec![order(&limit, "key", take(1))])).await;
        assert!(failed.is_err(), "{failed:?}");
        let () = server.ask(&["DEL", name]).await;
    }
    // A script of somebody else does not disturb ours.
    let other: u32 =
        Script::new("return 7").invoke_async(&mut server.connect().await).await.unwrap();
    assert_eq!(other, 7);
}
