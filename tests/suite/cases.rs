//! One test for each case that the predecessors get wrong, on virtual time.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until},
};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Service, ServiceExt};
use tower_ratelimit::{
    Algorithm, BurstCompensating, Concurrency, KeyedRateLimiter, LeakyBucket, LeaseLost,
    ManualClock, Rate, RateLimitLayer, RateLimited, RateLimiter, Reason, Serialized, SlidingWindow,
    Strict, TokenBucket,
};

fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn leaky(rate: u32, capacity: u32) -> LeakyBucket {
    LeakyBucket::new(Rate::per_second(rate).unwrap()).capacity(capacity).unwrap()
}

fn window(permits: u32, milliseconds: u64) -> SlidingWindow {
    let period = Duration::from_millis(milliseconds);
    SlidingWindow::new(Rate::new(permits, period).unwrap())
}

fn tokens(amount: u32, milliseconds: u64) -> TokenBucket {
    let every = Duration::from_millis(milliseconds);
    TokenBucket::new(Rate::new(amount, every).unwrap())
}

/// Lets this many tasks ask at the same time, and returns when each was let go, in order.
async fn together<A: Algorithm>(limiter: &RateLimiter<A>, tasks: usize) -> Vec<u128> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                limiter.acquire().await.unwrap();
                start.elapsed().as_millis()
            })
        })
        .collect();
    let mut instants = Vec::new();
    for task in tasks {
        instants.push(task.await.unwrap());
    }
    instants
}

#[tokio::test(start_paused = true)]
async fn r01_a_leaky_bucket_drains_empties_and_fills_again() {
    let limiter = RateLimiter::new(leaky(50, 3));
    limiter.acquire().await.unwrap();
    sleep(milliseconds(100)).await;
    assert_eq!(together(&limiter, 6).await, [0, 0, 0, 20, 40, 60]);
}

#[test]
fn r02_numbers_that_no_limit_can_be_built_from_are_typed_errors() {
    for number in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Rate::per_second_f64(number).unwrap_err().parameter(), "permits");
    }
    let rate = Rate::per_second(1).unwrap();
    assert_eq!(Rate::per_second(0).unwrap_err().parameter(), "permits");
    assert_eq!(Rate::new(1, Duration::ZERO).unwrap_err().parameter(), "period");
    assert_eq!(LeakyBucket::new(rate).capacity(0).unwrap_err().parameter(), "capacity");
    let burst = BurstCompensating::new(rate).max_burst(0);
    assert_eq!(burst.unwrap_err().parameter(), "max_burst");
}

#[tokio::test(start_paused = true)]
async fn r03_a_closed_limiter_refuses_at_once_whoever_waits_and_whoever_asks() {
    let limiter = RateLimiter::new(leaky(10, 1));
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let reason = |refused: Result<_, RateLimited>| refused.map(drop).unwrap_err().reason();
    let mut waiting = task::spawn(limiter.acquire());
    assert_pending!(waiting.poll());
    limiter.close();
    limiter.close();
    assert_eq!(reason(assert_ready!(waiting.poll())), Reason::Closed);
    assert_eq!(reason(limiter.acquire().await), Reason::Closed);
    assert_eq!(reason(limiter.try_acquire()), Reason::Closed);
    assert_eq!(reason(limiter.try_acquire_many(0)), Reason::Closed);
    assert_eq!(limiter.reserve().await.unwrap_err().reason(), Reason::Closed);
    assert_eq!(limiter.wrap(async {}).await.unwrap_err().reason(), Reason::Closed);
    limiter.reset();
    limiter.cancel();
    assert_eq!(reason(limiter.try_acquire()), Reason::Closed);
    assert_eq!(start.elapsed(), milliseconds(0));
}

#[tokio::test(start_paused = true)]
async fn r04_a_late_release_catches_up_and_keeps_the_grid() {
    let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(100).unwrap()));
    let start = Instant::now();
    let instants = Rc::new(RefCell::new(Vec::new()));
    let waiters = (0..12).map(|_| {
        let (limiter, instants) = (limiter.clone(), Rc::clone(&instants));
        async move {
            limiter.acquire().await.unwrap();
            instants.borrow_mut().push(start.elapsed().as_millis());
        }
    });
    let stall = async {
        // All have asked; now the one thread is busy and no timer is looked at.
        tokio::task::yield_now().await;
        tokio::time::advance(milliseconds(85)).await;
    };
    let local = tokio::task::LocalSet::new();
    for waiter in waiters {
        local.spawn_local(waiter);
    }
    local.spawn_local(stall);
    local.await;
    assert_eq!(*instants.borrow(), [0, 85, 85, 85, 85, 85, 90, 100, 110, 120, 130, 140]);
}

#[tokio::test(start_paused = true)]
async fn r05_idling_earns_nothing() {
    let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(100).unwrap()));
    limiter.acquire().await.unwrap();
    sleep(milliseconds(200)).await;
    assert_eq!(together(&limiter, 4).await, [0, 10, 20, 30]);
}

#[tokio::test(start_paused = true)]
async fn r06_a_faster_rate_holds_for_those_who_wait() {
    let limiter = RateLimiter::new(leaky(1, 1));
    limiter.try_acquire().unwrap();
    let change = async {
        sleep(milliseconds(100)).await;
        limiter.set_algorithm(leaky(10, 1));
    };
    let (released, ()) = tokio::join!(together(&limiter, 3), change);
    assert_eq!(released, [100, 200, 300]);
}

#[tokio::test(start_paused = true)]
async fn r07_a_waiter_dropped_after_its_grant_gives_the_slot_to_the_next() {
    let limiter = RateLimiter::new(leaky(10, 1));
    limiter.acquire().await.unwrap();
    let mut first = task::spawn(limiter.acquire());
    let mut second = task::spawn(limiter.acquire());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    let start = Instant::now();
    sleep(milliseconds(100)).await;
    // Looking at the limit serves the first, which is dropped before it runs.
    let _ = limiter.peek(1);
    assert!(first.is_woken());
    drop(first);
    assert!(second.is_woken());
    assert_ready!(second.poll()).unwrap();
    assert_eq!(start.elapsed(), milliseconds(100));
}

#[test]
fn r08_events_exactly_one_window_apart_are_in_different_windows() {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(window(1, 100)).clock(clock.clone()).build();
    assert!(limiter.try_acquire().is_ok());
    clock.set(Duration::from_nanos(99_999_999));
    assert!(limiter.try_acquire().is_err());
    clock.set(milliseconds(100));
    assert!(limiter.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn r09_two_in_300_milliseconds_let_six_go_in_pairs() {
    let limiter = RateLimiter::new(window(2, 300));
    assert_eq!(together(&limiter, 6).await, [0, 0, 300, 300, 600, 600]);
}

#[tokio::test(start_paused = true)]
async fn r10_a_cost_above_the_limit_is_an_error_of_its_own() {
    let limiter = RateLimiter::new(window(3, 1000));
    for _ in 0..10 {
        let refused = limiter.acquire().cost(4).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::TooCostly);
        let refused = limiter.try_acquire_many(4).unwrap_err();
        assert_eq!(refused.reason(), Reason::TooCostly);
        assert_eq!(refused.retry_after(), None);
    }
    assert_eq!(limiter.peek(0).remaining, 3);
}

#[tokio::test(start_paused = true)]
async fn r11_waiting_for_one_key_does_not_delay_another() {
    let limiter = KeyedRateLimiter::new(window(1, 450));
    let start = Instant::now();
    limiter.key("a").acquire().await.unwrap();
    let a = limiter.key("a");
    let waiting = tokio::spawn(async move {
        a.acquire().await.unwrap();
        Instant::now()
    });
    tokio::task::yield_now().await;
    limiter.key("b").acquire().await.unwrap();
    assert!(limiter.key("c").try_acquire().is_ok());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(waiting.await.unwrap() - start, milliseconds(450));
}

#[tokio::test(start_paused = true)]
async fn r12_a_heavy_call_is_served_within_one_window_of_being_first() {
    let limiter = RateLimiter::new(window(10, 500));
    for _ in 0..4 {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            loop {
                limiter.acquire().await.unwrap();
                sleep(milliseconds(1)).await;
            }
        });
    }
    sleep(milliseconds(700)).await;
    // The four before it are let go at 1000 ms: from then on it is the first in line. It takes the
    // whole window, so all others have to leave it.
    let start = Instant::now();
    limiter.acquire().cost(10).await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(1500 - 700));
}

#[test]
fn r13_a_try_never_fails_because_somebody_else_is_asking() {
    let limiter = RateLimiter::new(leaky(1, 1_000_000));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    limiter.try_acquire().unwrap();
                }
            });
        }
    });
}

#[test]
fn r17_forgetting_a_key_at_the_instant_it_expires_changes_no_answer() {
    let clock = ManualClock::new();
    let builder = || KeyedRateLimiter::builder(window(2, 100)).clock(clock.clone());
    let (kept, forgetful) = (builder().build(), builder().max_keys(1).unwrap().build());
    for limiter in [&kept, &forgetful] {
        assert!(limiter.key("a").try_acquire().is_ok());
    }
    for (instant, makes_room) in [(99_999_999, false), (100_000_000, true)] {
        clock.set(Duration::from_nanos(instant));
        // A second key finds room only once the first equals new.
        let before = forgetful.keys();
        let other = forgetful.key("b").peek(1);
        assert!(other.is_granted());
        assert!(forgetful.key("b").try_acquire().is_ok());
        assert_eq!(forgetful.keys() > before, !makes_room, "at {instant}");
        let answers = [&kept, &forgetful].map(|limiter| limiter.key("a").peek(1).is_granted());
        assert_eq!(answers, [true, true]);
    }
}

#[tokio::test(start_paused = true)]
async fn r18_a_caller_slower_than_the_refill_of_a_token_bucket_never_waits() {
    let limiter = RateLimiter::new(tokens(1, 100));
    for _ in 0..20 {
        limiter.acquire().max_wait(Duration::ZERO).await.unwrap();
        sleep(milliseconds(150)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn r19_a_saturated_token_bucket_lets_go_one_for_each_that_arrives() {
    let limiter = RateLimiter::new(tokens(1, 100));
    assert_eq!(together(&limiter, 5).await, [0, 100, 200, 300, 400]);
}

#[tokio::test(start_paused = true)]
async fn r20_callers_refused_by_a_token_bucket_leave_it_unchanged() {
    let limiter = RateLimiter::new(tokens(1, 1000));
    limiter.acquire().await.unwrap();
    for _ in 0..6 {
        let refused = limiter.acquire().max_wait(milliseconds(500)).await.unwrap_err();
        assert_eq!(refused.retry_after(), Some(milliseconds(1000)));
    }
    sleep(milliseconds(1000)).await;
    assert!(limiter.try_acquire().is_ok());
}

#[test]
fn r21_a_refill_above_the_capacity_is_a_typed_error() {
    let invalid = tokens(3, 100).capacity(2).unwrap_err();
    assert_eq!(invalid.parameter(), "capacity");
}

#[tokio::test(start_paused = true)]
async fn permits_of_a_token_bucket_that_arrive_together_are_used_together() {
    let limiter = RateLimiter::new(tokens(3, 100).initial(1).unwrap());
    assert_eq!(together(&limiter, 8).await, [0, 100, 100, 100, 200, 200, 200, 300]);
    // The first caller waits for the first that arrives.
    let empty = RateLimiter::new(tokens(1, 100).initial(0).unwrap());
    assert_eq!(together(&empty, 2).await, [100, 200]);
}

#[tokio::test(start_paused = true)]
async fn r20_refused_callers_leave_the_state_unchanged() {
    let limiter = RateLimiter::new(leaky(1, 1));
    limiter.acquire().await.unwrap();
    for _ in 0..6 {
        let refused = limiter.acquire().max_wait(milliseconds(500)).await.unwrap_err();
        assert_eq!(refused.retry_after(), Some(milliseconds(1000)));
        assert_eq!(refused.max_wait(), Some(milliseconds(500)));
    }
    sleep(milliseconds(1000)).await;
    assert!(limiter.try_acquire().is_ok());
}

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

#[test]
fn r29_any_bytes_are_a_key_of_their_own() {
    let limiter = KeyedRateLimiter::new(window(1, 1000));
    let long = [b'k'; 10_240];
    let mut almost = long;
    almost[10_239] = b'j';
    let keys: [&[u8]; 14] = [
        b"",
        b"a",
        b"a'b",
        b"a''b",
        b"a\"b",
        b"x'); DROP TABLE t",
        b"a\nb",
        b"a\r\nb",
        b"a\0",
        b"a\0b",
        b"\xff\xfe",
        b"\xc3\x28",
        &long,
        &almost,
    ];
    for key in keys {
        assert!(limiter.key(key).try_acquire().is_ok(), "{key:?} was seen before");
    }
    for key in keys {
        assert!(limiter.key(key).try_acquire().is_err(), "{key:?} was forgotten");
    }
    assert_eq!(limiter.keys(), keys.len());
    // Text is the same key as its bytes.
    assert!(limiter.key("x'); DROP TABLE t").try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn r30_a_wait_that_is_too_long_fails_at_once_and_a_timeout_when_it_is_over() {
    let limiter = RateLimiter::new(leaky(1, 1));
    limiter.acquire().await.unwrap();
    let start = Instant::now();
    let refused = limiter.acquire().max_wait(milliseconds(999)).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(refused.retry_after(), Some(milliseconds(1000)));

    let refused = limiter.acquire().timeout(milliseconds(400)).await.unwrap_err();
    assert_eq!(start.elapsed(), milliseconds(400));
    assert_eq!(refused.retry_after(), Some(milliseconds(600)));
    assert_eq!(refused.max_wait(), Some(milliseconds(400)));

    limiter.acquire().max_wait(milliseconds(600)).await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(1000));
}

#[tokio::test(start_paused = true)]
async fn r31_calls_after_one_of_cost_zero_are_charged() {
    let limiter = RateLimiter::new(leaky(1, 1));
    limiter.acquire().cost(0).await.unwrap();
    limiter.try_acquire().unwrap();
    limiter.try_acquire_many(0).unwrap();
    assert!(limiter.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn r32_n_calls_take_one_interval_less_than_n() {
    let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(20).unwrap()));
    let instants = together(&limiter, 10).await;
    assert_eq!(instants, (0..10).map(|slot| slot * 50).collect::<Vec<u128>>());
}

#[tokio::test(start_paused = true)]
async fn r33_twenty_calls_through_a_bucket_of_ten_take_two_seconds() {
    let limiter = RateLimiter::new(leaky(5, 10));
    let mut expected = vec![0; 10];
    expected.extend((1..=10).map(|slot| slot * 200));
    assert_eq!(together(&limiter, 20).await, expected);
}

#[tokio::test(start_paused = true)]
async fn r34_several_rates_hold_together_and_the_failing_one_is_named() {
    let rates = [Rate::per_second(3).unwrap(), Rate::new(4, milliseconds(1500)).unwrap()];
    let limiter = RateLimiter::new(SlidingWindow::all(rates).unwrap());
    assert_eq!(together(&limiter, 3).await, [0, 0, 0]);
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.rate(), Some(rates[0]));
    assert_eq!(refused.retry_after(), Some(milliseconds(1000)));

    sleep(milliseconds(1000)).await;
    limiter.try_acquire().unwrap();
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.rate(), Some(rates[1]));
    assert_eq!(refused.retry_after(), Some(milliseconds(500)));

    // From 1000 ms on: two at 1500 (with the one at 1000 three in a second), one at 2000 (four in
    // a second and a half), one more each time that one leaves.
    assert_eq!(together(&limiter, 6).await, [500, 500, 1000, 1500, 2000, 2000]);
}

#[tokio::test(start_paused = true)]
async fn r10_the_layer_never_calls_the_inner_service_for_a_refused_call() {
    let calls = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let inner = tower::service_fn(move |(): ()| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async { Ok::<_, std::io::Error>(()) }
    });
    let layer = RateLimitLayer::new(Strict::new(Rate::per_minute(1).unwrap())).refuse();
    let mut service = tower::Layer::layer(&layer, inner);
    service.ready().await.unwrap().call(()).await.unwrap();
    for _ in 0..10 {
        assert!(service.ready().await.unwrap().call(()).await.is_err());
    }
    assert_eq!(calls.load(std::sync::atomic::Ordering::Relaxed), 1);
}
