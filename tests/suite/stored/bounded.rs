//! How many calls wait at a key at most.

use super::{Slow, bucket, builder, ms, refused, since};
use tokio::time::{Instant, sleep};
use tower_ratelimit::{Algorithm, Concurrency, Reason, StoredLimiter};

/// Of a store that answers at once: one call may wait at each key.
fn with_one_waiting<A: Algorithm>(algorithm: A) -> StoredLimiter<A, Slow<A>> {
    builder(&Slow::new(0), algorithm).max_waiting(1).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_call_too_many_is_refused_at_once_and_its_turn_goes_back() {
    let limiter = with_one_waiting(bucket(100, 1));
    let (alice, start) = (limiter.key("alice"), Instant::now());
    alice.acquire().await.unwrap();
    let second = tokio::spawn({
        let alice = alice.clone();
        async move {
            alice.acquire().await.unwrap();
            since(start)
        }
    });
    sleep(ms(10)).await;
    assert_eq!(refused(alice.acquire().await).reason(), Reason::QueueFull);
    assert_eq!(since(start), 10);
    // Another key has a line of its own.
    limiter.key("bob").acquire().await.unwrap();
    limiter.key("bob").acquire().max_wait(ms(100)).await.unwrap();
    assert_eq!(second.await.unwrap(), 100);
    // The turn after that is free again.
    alice.acquire().await.unwrap();
    assert_eq!(since(start), 200);
}

#[tokio::test(start_paused = true)]
async fn one_call_too_many_is_refused_where_others_wait_for_the_end_of_a_call() {
    let limiter = with_one_waiting(Concurrency::new(1).unwrap());
    let alice = limiter.key("alice");
    let first = alice.acquire().await.unwrap();
    let second = tokio::spawn({
        let alice = alice.clone();
        async move { alice.acquire().await.is_ok() }
    });
    sleep(ms(10)).await;
    assert_eq!(refused(alice.acquire().await).reason(), Reason::QueueFull);
    drop(first);
    assert!(second.await.unwrap());
}
