//! What callers are told, and when.

use super::{Slow, bucket, limiter, ms, refused, since};
use std::{sync::mpsc::channel, thread};
use tokio::time::{Instant, sleep};
use tower_ratelimit::{
    LeakyBucket, ManualClock, OnFailure, Rate, Reason, SlidingWindow, StoredLimiter, TokenBucket,
    store::MemoryStore,
};

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_the_store_says() {
    let limiter = limiter(&Slow::new(10), bucket(100, 2));
    let alice = limiter.key("alice");
    let permit = alice.try_acquire().await.unwrap();
    assert_eq!(permit.decision().unwrap().remaining, 1);
    alice.try_acquire().await.unwrap();
    let refusal = refused(alice.try_acquire().await);
    assert_eq!(refusal.reason(), Reason::UsedUp);
    assert_eq!(refusal.limit(), Some("api"));
    assert_eq!(refusal.max_wait(), Some(ms(0)));
    // The first call was decided at 5 ms, the last one at 25.
    assert_eq!(refusal.retry_after(), Some(ms(80)));
    assert_eq!(refusal.rate().unwrap().to_string(), "1/100ms");
}

#[tokio::test(start_paused = true)]
async fn keys_are_apart_and_names_are_too() {
    let store = Slow::new(10);
    let limiter = limiter(&store, bucket(100, 1));
    limiter.key("alice").try_acquire().await.unwrap();
    limiter.key("bob").try_acquire().await.unwrap();
    refused(limiter.key("alice").try_acquire().await);
    let other = StoredLimiter::builder("other", store, bucket(100, 1), OnFailure::Refuse);
    other.build().unwrap().key("alice").try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_let_go_in_the_order_of_arrival_whichever_limiter_asks() {
    let store = Slow::new(10);
    let limiters = [limiter(&store, bucket(100, 1)), limiter(&store, bucket(100, 1))];
    let start = Instant::now();
    let waits = (0..6).map(|call| {
        let limit = limiters[call % 2].key("alice");
        tokio::spawn(async move {
            sleep(ms(call as u64)).await;
            limit.acquire().await.unwrap();
            since(start)
        })
    });
    let mut released = Vec::new();
    for wait in waits.collect::<Vec<_>>() {
        released.push(wait.await.unwrap());
    }
    // Each is let go one interval after the one before it by the time of the store, and the half of
    // the way back later.
    assert_eq!(released[0], 10);
    assert!(released.is_sorted(), "{released:?}");
    for (call, released) in released.iter().enumerate().skip(1) {
        let slot = 5 + 100 * call as u128;
        assert!((slot..=slot + 20).contains(released), "call {call} at {released}");
    }
    // One ask each, and nothing more.
    assert_eq!(store.batches().iter().sum::<usize>(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_wait_longer_than_accepted_fails_at_once_and_takes_nothing() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    let alice = limiter.key("alice");
    alice.acquire().await.unwrap();
    let start = Instant::now();
    let refusal = refused(alice.acquire().max_wait(ms(99)).await);
    assert_eq!(refusal.retry_after(), Some(ms(100)));
    assert_eq!(refusal.max_wait(), Some(ms(99)));
    assert_eq!(since(start), 0);
    let permit = alice.acquire().max_wait(ms(100)).await.unwrap();
    assert_eq!((since(start), permit.waited()), (100, ms(100)));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_fails_at_its_end_and_not_before() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    let alice = limiter.key("alice");
    alice.acquire().await.unwrap();
    let start = Instant::now();
    let refusal = refused(alice.acquire().timeout(ms(40)).await);
    assert_eq!((since(start), refusal.reason()), (40, Reason::UsedUp));
    alice.acquire().timeout(ms(60)).await.unwrap();
    assert_eq!(since(start), 100);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_takes_what_others_gave_up_meanwhile() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    let alice = limiter.key("alice");
    let first = alice.acquire().await.unwrap();
    let start = Instant::now();
    let refund = async {
        sleep(ms(20)).await;
        first.refund();
    };
    let (granted, ()) = tokio::join!(alice.acquire().timeout(ms(40)), refund);
    granted.unwrap();
    assert_eq!(since(start), 40);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_be_had_is_told_apart_from_what_is_to_be_had_later() {
    let limiter = limiter(&Slow::new(0), bucket(100, 2));
    let refusal = refused(limiter.key("alice").acquire().cost(3).await);
    assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::TooCostly, None));
    limiter.key("alice").acquire().cost(2).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_of_no_cost_passes_while_others_wait() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    let alice = limiter.key("alice");
    alice.acquire().await.unwrap();
    let start = Instant::now();
    let (waits, passes) = tokio::join!(alice.acquire(), async {
        alice.acquire().cost(0).await.unwrap();
        since(start)
    });
    waits.unwrap();
    assert_eq!((passes, since(start)), (0, 100));
}

#[tokio::test(start_paused = true)]
async fn a_try_behind_those_who_wait_says_when_its_turn_would_come() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    let alice = limiter.key("alice");
    alice.acquire().await.unwrap();
    let behind = async {
        let refusal = refused(alice.try_acquire().await);
        assert_eq!(refusal.retry_after(), Some(ms(200)));
    };
    let (granted, ()) = tokio::join!(alice.acquire(), behind);
    granted.unwrap();
}

#[tokio::test(start_paused = true)]
async fn peek_takes_nothing_charge_takes_what_is_not_there_and_reset_forgets_it() {
    let limiter = limiter(&Slow::new(0), bucket(100, 2));
    let alice = limiter.key("alice");
    for _ in 0..3 {
        assert_eq!(alice.peek(0).await.unwrap().remaining, 2);
    }
    alice.charge(4).await.unwrap();
    let refusal = refused(alice.try_acquire().await);
    assert_eq!(refusal.retry_after(), Some(ms(300)));
    alice.reset().await.unwrap();
    assert_eq!(alice.peek(0).await.unwrap().remaining, 2);
}

#[tokio::test(start_paused = true)]
async fn a_refund_brings_back_what_was_taken() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    let alice = limiter.key("alice");
    alice.acquire().await.unwrap().refund();
    alice.try_acquire().await.unwrap();
    refused(alice.try_acquire().await);
}

#[tokio::test(start_paused = true)]
async fn another_arithmetic_holds_for_those_who_ask_from_then_on() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    limiter.key("alice").acquire().await.unwrap();
    limiter.set_algorithm(bucket(10, 1)).unwrap();
    assert_eq!(limiter.limit().algorithm, bucket(10, 1));
    limiter.key("bob").acquire().await.unwrap();
    let refusal = refused(limiter.key("bob").try_acquire().await);
    assert_eq!(refusal.retry_after(), Some(ms(10)));
}

#[tokio::test(start_paused = true)]
async fn several_algorithms_wait_over_a_store_to_the_instant() {
    let rate = Rate::new(2, ms(300)).unwrap();
    let window = limiter(&Slow::new(0), SlidingWindow::new(rate));
    let start = Instant::now();
    let mut released = Vec::new();
    for _ in 0..6 {
        window.key(&()).acquire().await.unwrap();
        released.push(since(start));
    }
    assert_eq!(released, [0, 0, 300, 300, 600, 600]);

    let tokens = TokenBucket::new(Rate::new(1, ms(100)).unwrap()).capacity(1).unwrap();
    let tokens = limiter(&Slow::new(0), tokens);
    let start = Instant::now();
    let waits: Vec<_> = (0..4)
        .map(|_| {
            let limit = tokens.key(&());
            tokio::spawn(async move {
                limit.acquire().await.unwrap();
                since(start)
            })
        })
        .collect();
    let mut released = Vec::new();
    for wait in waits {
        released.push(wait.await.unwrap());
    }
    assert_eq!(released, [0, 100, 200, 300]);
}

#[test]
fn threads_wait_in_the_same_order_as_tasks() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clone());
    let builder = StoredLimiter::builder("api", store, bucket(100, 1), OnFailure::Refuse);
    let builder = builder.clock(clock.clone());
    let limit = runtime.block_on(async { builder.build().unwrap().key(&()) });
    runtime.block_on(limit.try_acquire()).unwrap();
    let (says, let_go) = channel();
    thread::scope(|scope| {
        for number in 1..=4 {
            let (waits, says) = (limit.clone(), says.clone());
            if number % 2 == 1 {
                scope.spawn(move || {
                    waits.acquire().blocking_wait().unwrap();
                    says.send(number).unwrap();
                });
            } else {
                runtime.spawn(async move {
                    waits.acquire().await.unwrap();
                    says.send(number).unwrap();
                });
            }
            // It has its turn: the next one's is an interval later.
            let behind = ms(100 * (number + 1));
            while runtime.block_on(limit.peek(1)).unwrap().retry_after() != Some(behind) {
                thread::yield_now();
            }
        }
        for number in 1..=4 {
            clock.set(ms(100 * number - 1));
            assert!(let_go.try_recv().is_err());
            clock.set(ms(100 * number));
            assert_eq!(let_go.recv(), Ok(number));
        }
    });
}

#[test]
fn without_a_runtime_there_is_no_limiter() {
    let store = MemoryStore::<LeakyBucket>::default();
    let built = StoredLimiter::builder("api", store, bucket(1, 1), OnFailure::Refuse).build();
    let message = built.unwrap_err().to_string();
    assert_eq!(message, "runtime is none, but must be a tokio runtime, entered");
}
