//! Calls that hold their permits until they end.

use super::milliseconds;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until},
};
use tokio_test::{assert_pending, assert_ready, task};
use tower_ratelimit::{
    Concurrency, KeyedRateLimiter, Rate, RateLimiter, Reason, Serialized, limiter::LeaseLost,
};

/// At most this many calls at the same time, each with a lease of one second.
fn leased(capacity: u32) -> Concurrency {
    Concurrency::new(capacity).unwrap().lease(milliseconds(1000)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn r22_a_holder_renews_its_lease_or_learns_that_it_lost_it() {
    for renews in [true, false] {
        let limiter = RateLimiter::new(leased(1));
        let start = Instant::now();
        let mut first = limiter.acquire().await.unwrap();
        let second = tokio::spawn({
            let limiter = limiter.clone();
            async move { (limiter.acquire().await.unwrap().into_owned(), start.elapsed()) }
        });
        if renews {
            sleep(milliseconds(700)).await;
            first.renew().unwrap();
        }
        sleep_until(start + milliseconds(1300)).await;
        assert_eq!(second.is_finished(), !renews);
        assert_eq!(first.renew(), if renews { Ok(()) } else { Err(LeaseLost) });
        // What the first has lost is not given back when it ends.
        drop(first);
        let (second, at) = second.await.unwrap();
        assert_eq!(at, milliseconds(if renews { 1300 } else { 1000 }));
        assert!(limiter.try_acquire().is_err(), "the capacity stays 1");
        drop(second);
        let _third = limiter.try_acquire().unwrap();
        assert!(limiter.try_acquire().is_err(), "the capacity stays 1");
    }
}

#[tokio::test(start_paused = true)]
async fn r23_another_capacity_is_reconciled_with_the_calls_in_flight() {
    let capacity = |calls| Concurrency::new(calls).unwrap();
    let limiter = RateLimiter::new(capacity(1));
    let first = limiter.try_acquire().unwrap();
    let mut waiting: Vec<_> = (0..4).map(|_| task::spawn(limiter.acquire())).collect();
    for call in &mut waiting {
        assert_pending!(call.poll());
    }
    // More: so many more go at once.
    limiter.set_algorithm(capacity(3));
    let [second, third] = [0, 1].map(|next| assert_ready!(waiting[next].poll()).unwrap());
    assert_pending!(waiting[2].poll());
    // Less: nobody is sent away, and nobody goes before there is room.
    limiter.set_algorithm(capacity(1));
    assert_eq!((limiter.peek(0).limit, limiter.peek(0).remaining), (1, 0));
    drop(first);
    assert_pending!(waiting[2].poll());
    drop(second);
    assert_pending!(waiting[2].poll());
    drop(third);
    let fourth = assert_ready!(waiting[2].poll()).unwrap();
    assert_pending!(waiting[3].poll());
    // What could be had before and never will be now is an error, not a wait.
    assert_eq!(limiter.try_acquire_many(3).unwrap_err().reason(), Reason::TooCostly);
    drop(fourth);
    assert!(assert_ready!(waiting[3].poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn r24_the_permit_of_a_dead_holder_is_back_after_its_own_lease() {
    let limiter = RateLimiter::new(leased(3));
    let start = Instant::now();
    std::mem::forget(limiter.acquire().await.unwrap());
    sleep(milliseconds(100)).await;
    // Two that stay busy, and renew.
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                let mut permit = limiter.acquire().await.unwrap();
                for _ in 0..10 {
                    sleep(milliseconds(300)).await;
                    permit.renew().unwrap();
                }
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(milliseconds(900)), "the end of its lease");
    let permit = limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(1000));
    assert!(limiter.try_acquire().is_err());
    drop(permit);
    for task in busy {
        task.await.unwrap();
    }
    assert_eq!(limiter.peek(0).remaining, 3);
}

#[tokio::test(start_paused = true)]
async fn r22_a_serialized_call_renews_its_lease_or_learns_that_it_lost_it() {
    for renews in [true, false] {
        let limit = one_completion_per(200).lease(milliseconds(1000)).unwrap();
        let limiter = RateLimiter::new(limit);
        let start = Instant::now();
        let mut first = limiter.acquire().await.unwrap();
        let second = tokio::spawn({
            let limiter = limiter.clone();
            async move { (limiter.acquire().await.unwrap().into_owned(), start.elapsed()) }
        });
        if renews {
            sleep(milliseconds(700)).await;
            first.renew().unwrap();
        }
        sleep_until(start + milliseconds(1300)).await;
        assert_eq!(second.is_finished(), !renews);
        assert_eq!(first.renew(), if renews { Ok(()) } else { Err(LeaseLost) });
        drop(first);
        let (second, at) = second.await.unwrap();
        // A period after the completion, or the end of the lease.
        assert_eq!(at, milliseconds(if renews { 1500 } else { 1200 }));
        assert!(limiter.try_acquire().is_err(), "one at a time");
        drop(second);
    }
}

#[tokio::test(start_paused = true)]
async fn r24_a_serialized_call_of_a_dead_holder_has_ended_when_its_lease_does() {
    let limiter = RateLimiter::new(one_completion_per(200).lease(milliseconds(1000)).unwrap());
    let start = Instant::now();
    std::mem::forget(limiter.acquire().await.unwrap());
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(milliseconds(1200)));
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                drop(limiter.acquire().await.unwrap());
                start.elapsed()
            })
        })
        .collect();
    for (call, at) in calls.into_iter().zip([1200, 1400]) {
        assert_eq!(call.await.unwrap(), milliseconds(at));
    }
}

/// Lets calls of 20 ms get in line one after the other, and says when each began, in order, and
/// what its owner got. Never two of them run at once.
async fn serialized<T: Send + 'static>(
    limit: Serialized,
    calls: usize,
    outcome: impl Fn(usize) -> T,
) -> (Vec<(usize, u128)>, Vec<T>) {
    let limiter = RateLimiter::new(limit);
    let start = Instant::now();
    let began = Arc::new(Mutex::new(Vec::new()));
    let running = Arc::new(Mutex::new(()));
    let tasks: Vec<_> = (0..calls)
        .map(|call| {
            let (began, running) = (Arc::clone(&began), Arc::clone(&running));
            let outcome = outcome(call);
            let work = async move {
                let _alone = running.try_lock().expect("nobody else runs");
                began.lock().await.push((call, start.elapsed().as_millis()));
                sleep(milliseconds(20)).await;
                outcome
            };
            limiter.spawn(work).unwrap()
        })
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap().unwrap());
    }
    (std::mem::take(&mut *began.lock().await), outcomes)
}

fn one_completion_per(milliseconds: u64) -> Serialized {
    Serialized::new(Rate::new(1, Duration::from_millis(milliseconds)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn r25_serialized_calls_never_run_together_and_end_a_period_apart() {
    let (began, _) = serialized(one_completion_per(500), 5, |_| ()).await;
    // Each begins half a second after the one before has ended.
    assert_eq!(began, [(0, 0), (1, 520), (2, 1040), (3, 1560), (4, 2080)]);
}

#[tokio::test(start_paused = true)]
async fn r26_a_queued_call_that_fails_tells_its_owner_and_nobody_else() {
    let outcome = |call| if call == 1 { Err("broken") } else { Ok(call) };
    let (began, outcomes) = serialized(one_completion_per(500), 4, outcome).await;
    assert_eq!(outcomes, [Ok(0), Err("broken"), Ok(2), Ok(3)]);
    assert_eq!(began, [(0, 0), (1, 520), (2, 1040), (3, 1560)]);
}

#[tokio::test(start_paused = true)]
async fn r27_calls_that_fail_count_like_any_other() {
    let (began, outcomes) = serialized(one_completion_per(10_000), 3, |_| Err::<(), _>("no")).await;
    assert_eq!(outcomes, [Err("no"); 3]);
    assert_eq!(began, [(0, 0), (1, 10_020), (2, 20_040)]);
}

#[tokio::test(start_paused = true)]
async fn r28_closing_twice_is_safe_and_what_is_held_ends_as_ever() {
    let limiter = KeyedRateLimiter::new(Concurrency::new(1).unwrap());
    let key = limiter.key("k");
    let permit = key.acquire().await.unwrap();
    let other = limiter.key("other");
    let reservation = other.reserve().await.unwrap();
    let mut waiting = task::spawn(key.acquire());
    assert_pending!(waiting.poll());
    limiter.close();
    limiter.close();
    key.close();
    assert!(waiting.is_woken());
    assert_eq!(assert_ready!(waiting.poll()).unwrap_err().reason(), Reason::Closed);
    drop((permit, reservation));
    assert_eq!(key.try_acquire().unwrap_err().reason(), Reason::Closed);
    // Nothing outlives the last handle.
    let algorithm = Arc::downgrade(&limiter.algorithm());
    drop((limiter, other, waiting));
    assert!(algorithm.upgrade().is_some());
    drop(key);
    assert!(algorithm.upgrade().is_none());
}
