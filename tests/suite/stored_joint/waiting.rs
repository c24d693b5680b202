//! Waiting for permits of several limits.

use super::{builder, left, two};
use crate::stored::{Slow, ms, refused, since};
use std::future::IntoFuture;
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, task};
use tower_ratelimit::Reason;

const FAST: &str = "leaky bucket 1/100ms, capacity 1";
const SLOW: &str = "leaky bucket 1/300ms, capacity 1";

#[tokio::test(start_paused = true)]
async fn a_call_is_let_go_when_all_limits_grant() {
    let store = Slow::new(0);
    let (limiter, a, b) = two(builder(&store), FAST, SLOW);
    let call = limiter.on(a, "k").on(b, "k");
    let start = Instant::now();
    for turn in 0..4 {
        let permit = call.acquire().await.unwrap();
        assert_eq!(since(start), turn * 300);
        assert_eq!(permit.waited(), ms(if turn == 0 { 0 } else { 300 }));
    }
    assert_eq!(store.batches(), [2; 7], "one ask for the wait, and one for the permits");
}

#[tokio::test(start_paused = true)]
async fn a_wait_longer_than_accepted_fails_at_once_and_takes_nothing() {
    let (limiter, a, b) = two(builder(&Slow::new(0)), SLOW, "quota 5");
    let call = limiter.on(a, "k").on(b, "k");
    call.acquire().await.unwrap();
    let start = Instant::now();
    let refusal = refused(call.acquire().max_wait(ms(299)).await);
    assert_eq!((refusal.limit(), refusal.retry_after()), (Some("a"), Some(ms(300))));
    assert_eq!(since(start), 0);
    assert_eq!(left(&limiter, b, "k").await, 4);
    call.acquire().max_wait(ms(300)).await.unwrap();
    assert_eq!(since(start), 300);
}

#[tokio::test(start_paused = true)]
async fn one_call_too_many_in_line_is_refused_at_once_by_the_limit_that_holds_it_up() {
    let (limiter, a, b) = two(builder(&Slow::new(0)).max_waiting(1), SLOW, "quota 5");
    let call = limiter.on(a, "k").on(b, "k");
    let start = Instant::now();
    call.acquire().await.unwrap();
    let mut second = task::spawn(call.acquire().into_future());
    assert_pending!(second.poll());
    sleep(ms(10)).await;
    assert_pending!(second.poll());
    let refusal = refused(call.acquire().await);
    assert_eq!((refusal.reason(), refusal.limit()), (Reason::QueueFull, Some("a")));
    assert_eq!(since(start), 10);
    // It has gone, and took nothing.
    second.await.unwrap();
    assert_eq!((since(start), left(&limiter, b, "k").await), (300, 3));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_ends_the_wait() {
    let (limiter, a, b) = two(builder(&Slow::new(0)), SLOW, "quota 5");
    let call = limiter.on(a, "k").on(b, "k");
    call.acquire().await.unwrap();
    let start = Instant::now();
    let refusal = refused(call.acquire().timeout(ms(200)).await);
    assert_eq!((refusal.reason(), since(start)), (Reason::UsedUp, 200));
    assert_eq!(left(&limiter, b, "k").await, 4);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_in_one_process_are_served_in_order_the_heavy_ones_too() {
    let (limiter, a, b) = two(builder(&Slow::new(1)), "sliding window 4/100ms", "quota 1000");
    let (served, mut order) = tokio::sync::mpsc::unbounded_channel();
    limiter.on_many(a, "k", 4).on(b, "k").acquire().await.unwrap();
    for caller in 0..12 {
        let cost = if caller % 3 == 0 { 4 } else { 1 };
        let (call, served) = (limiter.on_many(a, "k", cost).on(b, "k"), served.clone());
        tokio::spawn(async move {
            call.acquire().await.unwrap();
            served.send(caller).unwrap();
        });
        sleep(ms(2)).await;
    }
    for caller in 0..12 {
        assert_eq!(order.recv().await, Some(caller));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_at_a_key_of_its_own_holds_up_nobody_elsewhere() {
    let (limiter, per_user, over_all) = two(
        builder(&Slow::new(0)),
        "leaky bucket 1/10s, capacity 1",
        "leaky bucket 1/ms, capacity 9",
    );
    limiter.on(per_user, "alice").acquire().await.unwrap();
    let alice = limiter.on(per_user, "alice").on(over_all, "all");
    let alice = tokio::spawn(alice.acquire().into_future());
    sleep(ms(1)).await;
    let start = Instant::now();
    for user in ["bob", "carol", "dave"] {
        limiter.on(per_user, user).on(over_all, "all").try_acquire().await.unwrap();
    }
    assert_eq!(since(start), 0);
    alice.await.unwrap().unwrap();
    assert_eq!(since(start), 9_999);
}

#[tokio::test(start_paused = true)]
async fn a_try_is_refused_while_others_wait_for_one_of_its_keys() {
    let (limiter, a, b) = two(builder(&Slow::new(0)), "sliding window 2/100ms", "quota 1000");
    let call = limiter.on_many(a, "k", 2).on(b, "k");
    limiter.on(a, "k").try_acquire().await.unwrap();
    let waiting = tokio::spawn(call.acquire().into_future());
    sleep(ms(1)).await;
    // One is left, and those in line are before it.
    let refusal = refused(limiter.on(a, "k").on(b, "other").try_acquire().await);
    assert_eq!((refusal.limit(), refusal.reason()), (Some("a"), Reason::UsedUp));
    limiter.on(a, "other").on(b, "k").try_acquire().await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn those_who_are_refused_or_leave_behind_it_do_not_make_the_first_in_line_ask() {
    let store = Slow::new(0);
    let (limiter, a, b) = two(builder(&store), SLOW, "quota 1000");
    let call = limiter.on(a, "k").on(b, "k");
    call.acquire().await.unwrap();
    let first = tokio::spawn(call.acquire().into_future());
    sleep(ms(1)).await;
    let asked = store.batches().len();
    for _ in 0..10 {
        refused(call.try_acquire().await);
        refused(call.acquire().timeout(ms(5)).await);
    }
    assert_eq!(store.batches().len(), asked);
    first.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_in_line_that_nobody_polls_holds_up_nobody_for_long() {
    let (limiter, a, b) = two(builder(&Slow::new(0)), FAST, "quota 1000");
    let call = limiter.on(a, "k").on(b, "k");
    call.acquire().await.unwrap();
    let mut stuck = task::spawn(call.acquire().into_future());
    for _ in 0..3 {
        assert_pending!(stuck.poll());
        sleep(ms(1)).await;
    }
    let start = Instant::now();
    call.acquire().await.unwrap();
    assert!(since(start) <= 200, "{}", since(start));
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_lets_the_next_one_ask() {
    let (limiter, a, b) = two(builder(&Slow::new(0)), SLOW, "quota 1000");
    let call = limiter.on(a, "k").on(b, "k");
    call.acquire().await.unwrap();
    let start = Instant::now();
    let first = tokio::spawn(call.acquire().into_future());
    sleep(ms(1)).await;
    let second = tokio::spawn(call.acquire().into_future());
    sleep(ms(1)).await;
    first.abort();
    second.await.unwrap().unwrap();
    assert_eq!(since(start), 300);
}

#[tokio::test(start_paused = true)]
async fn calls_with_crossing_keys_do_not_wait_for_each_other_in_a_circle() {
    let (limiter, a, b) = two(builder(&Slow::new(2)), FAST, FAST);
    let mut calls = tokio::task::JoinSet::new();
    let start = Instant::now();
    for call in 0..12 {
        let (x, y) = if call % 2 == 0 { ("x", "y") } else { ("y", "x") };
        let call = limiter.on(a, x).on(b, y);
        calls.spawn(async move { call.acquire().await.map(drop) });
        let call = limiter.on(b, x).on(a, x);
        calls.spawn(async move { call.acquire().await.map(drop) });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    // Each key of `a` is asked for by 12 or more, one every 100 ms, and a round trip each.
    assert!(start.elapsed() <= ms(24 * 110), "{:?}", start.elapsed());
}

#[test]
fn a_thread_waits_without_a_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = tower_ratelimit::store::MemoryStore::default();
    let (limiter, call) = runtime.block_on(async {
        let refuse = tower_ratelimit::OnFailure::Refuse;
        let mut limits = tower_ratelimit::StoredJointLimiter::builder(store, refuse);
        let bucket = "leaky bucket 1/ms, capacity 1".parse::<tower_ratelimit::AnyAlgorithm>();
        let limit = limits.limit("a", bucket.unwrap()).unwrap();
        let limiter = limits.build().unwrap();
        (limiter.clone(), limiter.on(limit, "k"))
    });
    for _ in 0..3 {
        call.acquire().blocking_wait().unwrap();
    }
    limiter.close();
    assert_eq!(refused(call.acquire().blocking_wait()).reason(), Reason::Closed);
}
