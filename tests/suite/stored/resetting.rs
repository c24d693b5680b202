//! A key begins anew, and those of this process who wait there are sent away.

use super::{Slow, bucket, limiter, ms, refused, since, slow::Mood};
use tokio::time::{Instant, sleep};
use tower_ratelimit::{Concurrency, Reason};

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_turn_is_sent_away_and_the_next_call_passes_at_once() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    let (alice, bob) = (limiter.key("alice"), limiter.key("bob"));
    alice.acquire().await.unwrap();
    bob.acquire().await.unwrap();
    let start = Instant::now();
    let waits = async || {
        let refusal = refused(alice.acquire().await);
        assert_eq!((refusal.reason(), since(start)), (Reason::Cancelled, 30));
    };
    let of_another_key = async {
        bob.acquire().await.unwrap();
        assert_eq!(since(start), 100);
    };
    let reset = async {
        sleep(ms(30)).await;
        alice.reset().await.unwrap();
        // The slots of those who were sent away are nobody's debt.
        alice.try_acquire().await.unwrap();
        assert_eq!(since(start), 30);
        let next = refused(alice.try_acquire().await);
        assert_eq!(next.retry_after(), Some(ms(100)));
    };
    tokio::join!(waits(), waits(), of_another_key, reset);
    // What they gave back afterwards changed nothing.
    let next = refused(alice.try_acquire().await);
    assert_eq!(next.retry_after(), Some(ms(30)));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_permit_in_use_is_sent_away() {
    let limiter = limiter(&Slow::new(0), Concurrency::new(1).unwrap());
    let alice = limiter.key("alice");
    let held = alice.acquire().await.unwrap();
    let start = Instant::now();
    let waits = async || {
        let refusal = refused(alice.acquire().await);
        assert_eq!((refusal.reason(), since(start)), (Reason::Cancelled, 40));
    };
    let reset = async {
        sleep(ms(40)).await;
        alice.reset().await.unwrap();
        alice.try_acquire().await.unwrap()
    };
    // The second one stands behind the first.
    let ((), (), _again) = tokio::join!(waits(), waits(), reset);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn whoever_begins_to_wait_later_is_not_sent_away() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    let alice = limiter.key("alice");
    alice.reset().await.unwrap();
    alice.acquire().await.unwrap();
    let start = Instant::now();
    alice.acquire().await.unwrap();
    assert_eq!(since(start), 100);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_would_end_later_ends_with_the_reset() {
    let limiter = limiter(&Slow::new(0), bucket(1000, 1));
    let alice = limiter.key("alice");
    alice.acquire().await.unwrap();
    let start = Instant::now();
    let waits = async {
        // Its turn would come after its time is over, so it stays to see whether others give up.
        let refusal = refused(alice.acquire().timeout(ms(500)).await);
        assert_eq!((refusal.reason(), since(start)), (Reason::Cancelled, 200));
    };
    let reset = async {
        sleep(ms(200)).await;
        alice.reset().await.unwrap();
    };
    tokio::join!(waits, reset);
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_the_store_does_not_answer_sends_nobody_away() {
    let store = Slow::new(0);
    let limiter = limiter(&store, bucket(100, 1));
    let alice = limiter.key("alice");
    alice.acquire().await.unwrap();
    let start = Instant::now();
    let waits = async {
        alice.acquire().await.unwrap();
        assert_eq!(since(start), 100);
    };
    let reset = async {
        sleep(ms(10)).await;
        store.set(Mood::Fails);
        assert_eq!(refused(alice.reset().await).reason(), Reason::Unavailable);
        store.set(Mood::Answers);
    };
    tokio::join!(waits, reset);
}
