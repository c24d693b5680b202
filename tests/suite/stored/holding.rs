//! Permits that calls hold until they end, kept by a store.

use super::{
    Slow, limiter, ms, refused, since,
    slow::Mood::{Answers, Fails},
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Concurrency, Rate, Reason, Serialized, StoredLimiter,
    limiter::LeaseLost,
};

fn one_at_a_time(lease: Option<Duration>) -> Concurrency {
    let one = Concurrency::new(1).unwrap();
    lease.map_or(one, |lease| one.lease(lease).unwrap())
}

/// One call at a time, and so many milliseconds after it the next.
fn serialized(milliseconds: u64) -> Serialized {
    Serialized::new(Rate::new(1, ms(milliseconds)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_serialized_call_whose_end_is_lost_ends_with_its_lease() {
    let store = Slow::new(0);
    let limiter = limiter(&store, serialized(100).lease(ms(1000)).unwrap());
    let limit = limiter.key("alice");
    let start = Instant::now();
    let permit = limit.acquire().await.unwrap();
    sleep(ms(20)).await;
    // The store is away as the call ends, and nobody tells it again.
    store.set(Fails);
    drop(permit);
    sleep(ms(20)).await;
    store.set(Answers);
    assert_eq!(refused(limit.try_acquire().await).retry_after(), Some(ms(1060)));
    let next = limit.acquire().await.unwrap();
    assert_eq!(since(start), 1100);
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn r22_the_lease_of_a_serialized_call_is_renewed_or_lost() {
    let limiter = limiter(&Slow::new(0), serialized(100).lease(ms(1000)).unwrap());
    let limit = limiter.key("alice");
    let mut first = limit.acquire().await.unwrap();
    sleep(ms(900)).await;
    first.renew().await.unwrap();
    sleep(ms(400)).await;
    refused(limit.try_acquire().await);
    sleep(ms(700)).await;
    let mut second = limit.try_acquire().await.unwrap();
    assert_eq!(first.renew().await, Err(LeaseLost));
    drop(first);
    sleep(ms(1)).await;
    refused(limit.try_acquire().await);
    second.renew().await.unwrap();
}

/// A renewal that the store decides and whose caller goes away before the answer comes.
async fn gives_up_a_renewal<A: Algorithm>(limiter: &StoredLimiter<A, Slow<A>>) {
    let mut permit = limiter.key("alice").acquire().await.unwrap();
    sleep(ms(20)).await;
    assert!(timeout(ms(7), permit.renew()).await.is_err());
    drop(permit);
    sleep(ms(20)).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_lease_a_renewal_whose_answer_is_lost_changes_nothing() {
    let one = limiter(&Slow::new(10), one_at_a_time(None));
    gives_up_a_renewal(&one).await;
    one.key("alice").try_acquire().await.unwrap();
    let one = limiter(&Slow::new(10), serialized(1));
    gives_up_a_renewal(&one).await;
    one.key("alice").try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn with_a_lease_permits_whose_renewal_was_lost_are_back_when_it_ends() {
    let one = limiter(&Slow::new(10), one_at_a_time(Some(ms(1000))));
    gives_up_a_renewal(&one).await;
    refused(one.key("alice").try_acquire().await);
    sleep(ms(1000)).await;
    one.key("alice").try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_is_let_go_after_its_time_out_because_it_stood_in_line() {
    let limiter = limiter(&Slow::new(0), serialized(200));
    let limit = limiter.key("alice");
    let start = Instant::now();
    let permit = limit.acquire().await.unwrap();
    let before_it = tokio::spawn({
        let limit = limit.clone();
        async move { refused(limit.acquire().timeout(ms(250)).await) }
    });
    sleep(ms(1)).await;
    let late = tokio::spawn({
        let limit = limit.clone();
        async move { (refused(limit.acquire().timeout(ms(299)).await).reason(), since(start)) }
    });
    sleep(ms(239)).await;
    // The next one begins at 440 ms.
    drop(permit);
    before_it.await.unwrap();
    assert_eq!(late.await.unwrap(), (Reason::UsedUp, 300));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_call_lets_the_next_one_go() {
    let limiter = limiter(&Slow::new(0), one_at_a_time(None));
    let permit = limiter.key("alice").acquire().await.unwrap();
    refused(limiter.key("alice").try_acquire().await);
    let start = Instant::now();
    let end = async {
        sleep(ms(60)).await;
        drop(permit);
    };
    let limit = limiter.key("alice");
    let (next, ()) = tokio::join!(async { limit.acquire().await }, end);
    let next = next.unwrap();
    assert!((60..=85).contains(&since(start)), "{}", since(start));
    refused(limit.try_acquire().await);
    drop(next);
    sleep(ms(1)).await;
    limit.try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn r22_a_lease_is_renewed_or_its_holder_learns_that_it_lost_it() {
    let limiter = limiter(&Slow::new(0), one_at_a_time(Some(ms(1000))));
    let limit = limiter.key("alice");
    let mut first = limit.acquire().await.unwrap();
    sleep(ms(900)).await;
    first.renew().await.unwrap();
    sleep(ms(400)).await;
    // Renewed: a second one is not let in at 1.3 s.
    refused(limit.try_acquire().await);
    sleep(ms(700)).await;
    let mut second = limit.try_acquire().await.unwrap();
    assert_eq!(first.renew().await, Err(LeaseLost));
    drop(first);
    sleep(ms(1)).await;
    refused(limit.try_acquire().await);
    second.renew().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn r25_serialized_calls_never_run_at_the_same_time() {
    let serialized = Serialized::new(Rate::new(1, ms(500)).unwrap());
    let limiter = limiter(&Slow::new(0), serialized);
    let start = Instant::now();
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let limit = limiter.key("alice");
            tokio::spawn(async move {
                let permit = limit.acquire().await.unwrap();
                let began = since(start);
                sleep(ms(20)).await;
                drop(permit);
                (began, since(start))
            })
        })
        .collect();
    let mut runs = Vec::new();
    for call in calls {
        runs.push(call.await.unwrap());
    }
    runs.sort_unstable();
    for pair in runs.windows(2) {
        assert!(pair[1].0 >= pair[0].1, "{runs:?}");
        assert!(pair[1].1 - pair[0].1 >= 500, "{runs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_maximum_wait_is_a_time_out_where_nobody_knows_when_calls_end() {
    let limiter = limiter(&Slow::new(0), one_at_a_time(None));
    let _permit = limiter.key("alice").acquire().await.unwrap();
    let start = Instant::now();
    refused(limiter.key("alice").acquire().max_wait(ms(70)).await);
    assert_eq!(since(start), 70);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_in_one_process_are_served_in_order() {
    let limiter = limiter(&Slow::new(0), one_at_a_time(None));
    let permit = limiter.key("alice").acquire().await.unwrap();
    let (served, mut order) = tokio::sync::mpsc::unbounded_channel();
    for caller in 0..8 {
        let limit = limiter.key("alice");
        let served = served.clone();
        tokio::spawn(async move {
            let _permit = limit.acquire().await.unwrap();
            served.send(caller).unwrap();
            sleep(ms(10)).await;
        });
        sleep(ms(1)).await;
    }
    refused(limiter.key("alice").try_acquire().await);
    sleep(ms(100)).await;
    drop(permit);
    for caller in 0..8 {
        assert_eq!(order.recv().await, Some(caller));
    }
}

#[tokio::test(start_paused = true)]
async fn one_in_line_that_nobody_polls_holds_up_nobody() {
    let limiter = limiter(&Slow::new(0), one_at_a_time(None));
    let limit = limiter.key("alice");
    let permit = limit.acquire().await.unwrap();
    let mut stuck = tokio_test::task::spawn(std::future::IntoFuture::into_future(limit.acquire()));
    for _ in 0..3 {
        tokio_test::assert_pending!(stuck.poll());
        sleep(ms(1)).await;
    }
    drop(permit);
    let start = Instant::now();
    limit.acquire().await.unwrap();
    assert!(since(start) <= 100, "{}", since(start));
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_its_place_lets_the_next_one_ask() {
    let limiter = limiter(&Slow::new(0), one_at_a_time(None));
    let limit = limiter.key("alice");
    let permit = limit.acquire().await.unwrap();
    let first = tokio::spawn(std::future::IntoFuture::into_future(limit.acquire()));
    sleep(ms(1)).await;
    let second = tokio::spawn(std::future::IntoFuture::into_future(limit.acquire()));
    sleep(ms(1)).await;
    first.abort();
    drop(permit);
    let start = Instant::now();
    second.await.unwrap().unwrap();
    assert!(since(start) <= 25, "{}", since(start));
}

#[tokio::test(start_paused = true)]
async fn limits_that_hold_nothing_are_not_told_when_calls_end_whatever_their_type() {
    let store = Slow::new(0);
    let limiter = limiter(&store, "leaky bucket 10/s, capacity 5".parse::<AnyAlgorithm>().unwrap());
    for _ in 0..3 {
        drop(limiter.key("alice").acquire().await.unwrap());
    }
    sleep(ms(10)).await;
    assert_eq!(store.batches(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_try_is_not_refused_because_of_one_in_line_that_nobody_polls() {
    let limiter = limiter(&Slow::new(0), one_at_a_time(None));
    let limit = limiter.key("alice");
    let permit = limit.acquire().await.unwrap();
    let mut stuck = tokio_test::task::spawn(std::future::IntoFuture::into_future(limit.acquire()));
    for _ in 0..3 {
        tokio_test::assert_pending!(stuck.poll());
        sleep(ms(1)).await;
    }
    drop(permit);
    sleep(ms(100)).await;
    limit.try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_permit_says_how_long_its_call_stood_in_line() {
    let limiter = limiter(&Slow::new(0), one_at_a_time(None));
    let limit = limiter.key("alice");
    let permit = limit.acquire().await.unwrap();
    let end = async {
        sleep(ms(60)).await;
        drop(permit);
    };
    let (next, ()) = tokio::join!(async { limit.acquire().await }, end);
    assert!(next.unwrap().waited() >= ms(60));
}
