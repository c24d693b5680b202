//! Which limits the store keeps, and as what.

use super::{super::changing, store, unique};
use crate::servers::redis::Server;
use std::time::Duration;
use tower_ratelimit::{AnyAlgorithm, Invalid, Rate, algorithm::Scripted, store::Store};

#[tokio::test]
async fn limits_are_kept_in_microseconds_or_refused() {
    let server = Server::start().await;
    let store = store(&server).await;
    let keep_to = |line: &str| -> Result<AnyAlgorithm, Invalid> {
        store.keep_to(line.parse::<AnyAlgorithm>().unwrap())
    };
    let kept = keep_to("leaky bucket 3/s, capacity 5").unwrap();
    assert_eq!(kept.parameters(), [333_334, 5]);
    let named = Rate::per_second(3).unwrap();
    assert_eq!(tower_ratelimit::Algorithm::rate(&kept, 0), Some(named), "it is still called so");
    for (line, parameter) in [
        ("strict 1000001/s", "rate"),
        ("sliding window 1000001/day", "permits"),
        ("sliding window 100/s and 1000001/day", "permits"),
        ("serialized 1000001/day", "permits"),
        ("concurrency 1000001", "permits"),
        ("concurrency 1, lease 36501day", "lease"),
    ] {
        assert_eq!(keep_to(line).unwrap_err().parameter(), parameter, "{line}");
    }
    for line in ["sliding window 1000000/day", "concurrency 1000000", "quota 4294967295"] {
        assert!(keep_to(line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn a_limit_whose_numbers_are_whole_already_stays_as_it_is() {
    let server = Server::start().await;
    let store = store(&server).await;
    let rate = Rate::new(5, Duration::from_millis(1)).unwrap();
    let limit = tower_ratelimit::SlidingWindow::new(rate);
    assert_eq!(store.keep_to(limit.clone()), Ok(limit));
}

#[tokio::test]
async fn a_changed_limit_holds_in_redis() {
    let server = Server::start().await;
    let store = store(&server).await;
    changing::change(store.clone()).await;
    changing::change(store.namespace(unique()).optimistic()).await;
}
