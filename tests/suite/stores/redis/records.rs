//! What is kept in the database, under which names and for how long.

use super::{ask, limit, order, store, take};
use crate::servers::redis::{Server, unique};
use std::collections::HashSet;
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Ask, Grant, Nanos, Outcome, Take,
    store::{Batch, Order, RedisStore, Store, StoreAsk, StoreKey},
};

/// The names of all records of this namespace.
async fn names(server: &Server, namespace: &str) -> Vec<String> {
    server.ask(&["KEYS", &format!("{namespace}:*")]).await
}

#[tokio::test]
async fn a_record_lives_until_it_equals_new_and_hardly_longer() {
    let server = Server::start().await;
    let namespace = unique();
    let store = RedisStore::new(server.connect().await).namespace(&*namespace);
    for line in [
        "leaky bucket 3/min, capacity 4",
        "strict 7/hour",
        "burst compensating 1/min, max burst 2",
        "token bucket 2/min, capacity 5",
        "sliding window 2/min and 3/hour",
        "fixed window 2/min, aligned to 0s",
        "sliding window counter 2/min",
        "concurrency 2, lease 1min",
    ] {
        let limit = limit(line, line);
        let mut granted = 0;
        for cost in [1, 1, 0, 1] {
            let answer = ask(&store, order(&limit, "key", take(cost))).await;
            let Outcome::Granted(Grant { cost: 1, at }) = answer.decision.outcome else { continue };
            granted += 1;
            let name = names(&server, &namespace).await.swap_remove(0);
            let milliseconds: u64 = server.ask(&["PEXPIRETIME", &name]).await;
            let (ends, new) =
                (Nanos::new(milliseconds * 1_000_000), at + answer.decision.full_after);
            assert!(ends >= new, "{line}: {ends:?} {new:?}");
            // It is kept a sixteenth longer, or a second, and the server counts from the end of the script.
            let longer = Nanos::new(answer.decision.full_after.get() / 16 + 10_000_000_000);
            assert!(ends <= new + longer, "{line}: {ends:?} {new:?}");
        }
        assert!(granted > 0, "{line}");
        ask(&store, order(&limit, "key", StoreAsk::Forget)).await;
        assert_eq!(names(&server, &namespace).await, [""; 0], "{line}");
    }
}

/// Adds an hour to the life of the record of a leaky bucket, and to how long it says that it lives.
const AN_HOUR_LONGER: &str = "
    local value = redis.call('get', KEYS[1])
    local kept = struct.unpack('<d', value, 34) + 3600000000
    local life = redis.call('pttl', KEYS[1]) + 3600000
    redis.call('set', KEYS[1], string.sub(value, 1, 33) .. struct.pack('<d', kept), 'PX', life)
    return life
";

#[tokio::test]
async fn a_record_that_is_kept_for_too_long_is_not_when_it_changes() {
    let server = Server::start().await;
    let namespace = unique();
    let store = RedisStore::new(server.connect().await).namespace(&*namespace);
    let limit = limit("bucket", "leaky bucket 1/min, capacity 4");
    let others =
        [StoreAsk::Ask(Ask::Charge(1)), StoreAsk::Reserve { cost: 1, max_wait: Nanos::ZERO }];
    assert!(ask(&store, order(&limit, "key", take(1))).await.is_granted());
    let name = names(&server, &namespace).await.swap_remove(0);
    for what in others {
        let long: i64 = server.ask(&["EVAL", AN_HOUR_LONGER, "1", &name]).await;
        assert!(long > 3_600_000, "{long} ms");
        assert!(ask(&store, order(&limit, "key", what)).await.is_granted());
        let life: i64 = server.ask(&["PTTL", &name]).await;
        // Up to three minutes, and a sixteenth.
        assert!((0..200_000).contains(&life), "{life} ms after {what:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_filled_for_longer_than_the_server_counts_is_never_empty() {
    let server = Server::start().await;
    let store = store(&server).await;
    let limit = limit("bucket", "leaky bucket 1/s, capacity 10");
    let charge = StoreAsk::Ask(Ask::Charge(u32::MAX));
    let now = Nanos::new(1_795_000_000_000_000_000);
    let charges = Batch::new(vec![order(&limit, "key", charge), order(&limit, "key", charge)]);
    store.decide(charges.at(now)).await.unwrap();
    let take = Batch::new(vec![order(&limit, "key", take(1))]).at(now);
    let decision = store.decide(take).await.unwrap()[0].decision;
    assert_eq!(decision.outcome, Outcome::Later(Nanos::MAX - now));
    assert_eq!(decision.full_after, Nanos::MAX - now);
}

#[tokio::test]
async fn what_never_equals_new_is_kept() {
    let server = Server::start().await;
    let namespace = unique();
    let store = RedisStore::new(server.connect().await).namespace(&*namespace);
    for line in
        ["quota 3", "concurrency 2", "serialized 2/min", "token bucket 1/ms, capacity 2, initial 1"]
    {
        let limit = limit(line, line);
        assert!(ask(&store, order(&limit, "key", take(1))).await.is_granted());
        let name = names(&server, &namespace).await.swap_remove(0);
        let life: i64 = server.ask(&["PTTL", &name]).await;
        assert_eq!(life, -1, "{line}");
        ask(&store, order(&limit, "key", StoreAsk::Forget)).await;
    }
}

#[tokio::test]
async fn permits_given_back_leave_no_record() {
    let server = Server::start().await;
    let namespace = unique();
    let store = RedisStore::new(server.connect().await).namespace(&*namespace);
    for line in
        ["leaky bucket 1/hour, capacity 2", "quota 3", "concurrency 2", "sliding window 2/hour"]
    {
        let limit = limit(line, line);
        let grant = ask(&store, order(&limit, "key", take(1))).await.decision.grant().unwrap();
        assert_eq!(names(&server, &namespace).await.len(), 1);
        ask(&store, order(&limit, "key", StoreAsk::Ask(Ask::GiveBack(grant)))).await;
        // Of a bucket the time is gone that passed in between.
        if !line.starts_with("leaky") {
            assert_eq!(names(&server, &namespace).await, [""; 0], "{line}");
        }
    }
}

#[tokio::test]
async fn keys_of_any_bytes_are_kept_apart() {
    let server = Server::start().await;
    let namespace = unique();
    let store = RedisStore::new(server.connect().await).namespace(&*namespace);
    let limit = limit("li{m}it:", "quota 1");
    let long = "x".repeat(10_000);
    let keys: [&[u8]; 18] = [
        b"",
        b"%",
        b"%25",
        b"{",
        b"}",
        b"{}",
        b"{a}",
        b"a",
        b":",
        b"a:b",
        b"a'b",
        b"x'); DROP TABLE t",
        b"two\r\nlines",
        b"\0",
        b"\xff\xfe",
        b" ",
        long.as_bytes(),
        "\u{fc}".as_bytes(),
    ];
    for key in keys {
        let order = |ask| Order { key: StoreKey::new(key), ..order(&limit, "", ask) };
        assert!(ask(&store, order(take(1))).await.is_granted(), "{key:?}");
        assert!(!ask(&store, order(take(1))).await.is_granted(), "{key:?}");
    }
    let names: HashSet<_> = names(&server, &namespace).await.into_iter().collect();
    assert_eq!(names.len(), keys.len());
    for name in names {
        assert_eq!((name.matches('{').count(), name.matches('}').count()), (1, 1), "{name}");
        assert!(name.ends_with('}') && !name.ends_with("{}"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
    }
}

#[tokio::test]
async fn names_that_look_alike_are_different_limits() {
    let server = Server::start().await;
    let store = store(&server).await;
    for name in ["a", "a:", "a%3A", "", "{a}"] {
        let limit = limit(name, "quota 1");
        assert!(ask(&store, order(&limit, "a", take(1))).await.is_granted(), "{name}");
    }
}

#[tokio::test]
async fn a_namespace_is_a_world_of_its_own() {
    let server = Server::start().await;
    let limit = limit("limit", "quota 1");
    for _ in 0..2 {
        let store = store(&server).await;
        assert!(ask(&store, order(&limit, "key", take(1))).await.is_granted());
        assert!(!ask(&store, order(&limit, "key", take(1))).await.is_granted());
    }
}

#[tokio::test]
async fn a_holder_that_died_loses_its_own_permit_and_no_other() {
    const SECOND: u64 = 1_000_000_000;
    let server = Server::start().await;
    let store = store(&server).await;
    let limit = limit("limit", "concurrency 2, lease 1s");
    let at = async |now: u64, ask| {
        let batch = Batch::new(vec![order(&limit, "key", ask)]).at(Nanos::new(now));
        store.decide(batch).await.unwrap()[0].decision
    };
    // The first dies at once, the second stays busy.
    assert!(at(SECOND, take(1)).await.is_granted());
    let busy = at(SECOND, take(1)).await.grant().unwrap();
    let busy = at(SECOND * 3 / 2, StoreAsk::Ask(Ask::Renew(busy))).await.grant().unwrap();
    let refused = at(2 * SECOND - 1000, take(1)).await;
    assert_eq!(refused.outcome, Outcome::InUse(Some(Nanos::new(1000))));
    assert!(at(2 * SECOND, take(1)).await.is_granted());
    assert!(!at(2 * SECOND, take(1)).await.is_granted());
    assert!(at(2 * SECOND, StoreAsk::Ask(Ask::Renew(busy))).await.is_granted());
}

#[tokio::test]
async fn entries_exactly_a_period_apart_are_in_different_windows() {
    const MILLISECOND: u64 = 1_000_000;
    let server = Server::start().await;
    let limit = limit("limit", "sliding window 1/100ms");
    for cleans_up in [false, true] {
        let store = store(&server).await;
        let at = async |now: u64, ask| {
            let now = Nanos::new(1000 * MILLISECOND + now);
            let batch = Batch::new(vec![order(&limit, "key", ask)]).at(now);
            store.decide(batch).await.unwrap()[0].is_granted()
        };
        assert!(at(0, take(1)).await);
        assert!(!at(100 * MILLISECOND - 1000, take(1)).await);
        if cleans_up {
            assert!(at(100 * MILLISECOND, StoreAsk::Ask(Ask::Charge(0))).await);
        }
        assert!(at(100 * MILLISECOND, take(1)).await);
    }
}

#[tokio::test]
async fn nobody_is_locked_out_for_the_time_of_a_slower_rate() {
    const SECOND: u64 = 1_000_000_000;
    let server = Server::start().await;
    for (before, after) in [
        ("leaky bucket 1/hour, capacity 3", "leaky bucket 1/s, capacity 3"),
        ("strict 1/hour", "strict 1/s"),
        ("burst compensating 1/hour, max burst 2", "burst compensating 1/s, max burst 2"),
    ] {
        let store = store(&server).await;
        let [before, after] = [before, after].map(|line| limit("limit", line));
        let mut state = <AnyAlgorithm as Algorithm>::State::default();
        let at = async |limit, now: u64, ask| {
            let batch = Batch::new(vec![order(limit, "key", ask)]).at(Nanos::new(now));
            store.decide(batch).await.unwrap()[0].decision
        };
        for now in [100, 101, 101, 102].map(|now| now * SECOND) {
            let decision =
                before.algorithm.decide(&mut state, Nanos::new(now), Ask::Take(Take::fresh(1)));
            assert_eq!(at(&before, now, take(1)).await, decision);
        }
        let change = Nanos::new(102 * SECOND + SECOND / 4);
        after.algorithm.carry_over(&before.algorithm, &mut state, change);
        for now in [0, 1, 2, 3, 3, 3, 60, 120, 3600].map(|now| change.get() + now * SECOND) {
            let decision =
                after.algorithm.decide(&mut state, Nanos::new(now), Ask::Take(Take::fresh(1)));
            assert_eq!(at(&after, now, take(1)).await, decision, "{}", after.algorithm);
        }
    }
}

#[tokio::test]
async fn a_record_is_there_as_long_as_it_is_changed_again_and_again() {
    let server = Server::start().await;
    let namespace = unique();
    let store = RedisStore::new(server.connect().await).namespace(&*namespace);
    for line in ["leaky bucket 1/s, capacity 100", "strict 1/ms", "token bucket 1/s, capacity 100"]
    {
        let limit = limit(line, line);
        let mut granted = 0;
        for _ in 0..20 {
            let answer = ask(&store, order(&limit, "key", take(1))).await;
            let Outcome::Granted(_) = answer.decision.outcome else { continue };
            granted += 1;
            let name = names(&server, &namespace).await.swap_remove(0);
            let life: u64 = server.ask(&["PTTL", &name]).await;
            // What has passed since the answer is not known.
            assert!(Nanos::new((life + 500) * 1_000_000) >= answer.decision.full_after, "{line}");
        }
        assert!(granted > 1, "{line}");
        ask(&store, order(&limit, "key", StoreAsk::Forget)).await;
    }
}
