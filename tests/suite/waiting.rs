//! The line of those who wait.

use proptest::prelude::*;
use std::{sync::Arc, sync::Mutex, time::Duration};
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_ratelimit::{
    Acquire, Algorithm, BurstCompensating, KeyedRateLimiter, LeakyBucket, ManualClock, Nanos, Rate,
    RateLimiter, Reason, SlidingWindow, Strict,
};

fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn leaky(rate: u32, capacity: u32) -> RateLimiter<LeakyBucket> {
    let rate = Rate::per_second(rate).unwrap();
    RateLimiter::new(LeakyBucket::new(rate).capacity(capacity).unwrap())
}

/// A call in line that was polled once.
fn in_line<A: Algorithm>(limiter: &RateLimiter<A>) -> task::Spawn<Acquire<'_, A>> {
    let mut waiting = task::spawn(limiter.acquire());
    assert_pending!(waiting.poll());
    waiting
}

#[tokio::test(start_paused = true)]
async fn a_try_while_others_wait_says_when_its_turn_would_come() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let _first = in_line(&limiter);
    let _second = in_line(&limiter);
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(milliseconds(300)));
    assert_eq!(limiter.peek(1).retry_after(), Some(milliseconds(300)));
    assert!(limiter.try_acquire_many(0).is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_overtakes_not_even_a_try_when_a_slot_is_free() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut first = in_line(&limiter);
    sleep(milliseconds(100)).await;
    // The slot of the one in line has come, and it has not run yet.
    assert!(limiter.try_acquire().is_err());
    assert_ready_ok!(first.poll());
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_known_before_anything_is_taken() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut first = in_line(&limiter);
    let mut refused = task::spawn(limiter.acquire().max_wait(milliseconds(199)));
    let error = assert_ready_err!(refused.poll());
    assert_eq!(error.reason(), Reason::UsedUp);
    assert_eq!(error.retry_after(), Some(milliseconds(200)));
    let mut accepted = task::spawn(limiter.acquire().max_wait(milliseconds(200)));
    assert_pending!(accepted.poll());
    sleep(milliseconds(100)).await;
    assert_ready_ok!(first.poll());
    sleep(milliseconds(100)).await;
    assert_ready_ok!(accepted.poll());
}

#[tokio::test(start_paused = true)]
async fn the_known_wait_counts_the_costs_of_those_before() {
    let limiter = leaky(10, 5);
    limiter.try_acquire_many(5).unwrap();
    let mut heavy = task::spawn(limiter.acquire().cost(4));
    assert_pending!(heavy.poll());
    let refused = limiter.try_acquire_many(2).unwrap_err();
    assert_eq!(refused.retry_after(), Some(milliseconds(600)));
    assert_eq!(refused.cost(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_with_an_error_of_its_own() {
    let rate = Rate::per_second(10).unwrap();
    let limiter = RateLimiter::builder(Strict::new(rate)).max_waiting(1).name("one").build();
    limiter.try_acquire().unwrap();
    let first = in_line(&limiter);
    let mut second = task::spawn(limiter.acquire());
    let error = assert_ready_err!(second.poll());
    assert_eq!(error.reason(), Reason::QueueFull);
    assert_eq!(error.limit(), Some("one"));
    assert_eq!(error.rate(), Some(rate));
    assert_eq!(error.retry_after(), Some(milliseconds(200)));
    drop(first);
    let _third = in_line(&limiter);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_nobody_waits_for_nothing() {
    let rate = Rate::per_second(10).unwrap();
    let limiter = RateLimiter::builder(Strict::new(rate)).max_waiting(0).build();
    limiter.acquire().await.unwrap();
    let error = limiter.acquire().await.unwrap_err();
    assert_eq!(error.reason(), Reason::QueueFull);
}

#[tokio::test(start_paused = true)]
async fn when_the_first_in_line_gives_up_the_next_one_moves_up() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let first = in_line(&limiter);
    let second = limiter.clone();
    let second = tokio::spawn(async move {
        second.acquire().await.unwrap();
        Instant::now()
    });
    let start = Instant::now();
    tokio::task::yield_now().await;
    drop(first);
    assert_eq!(second.await.unwrap() - start, milliseconds(100));
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_nobody_polls_does_not_hold_up_the_others() {
    let limiter = leaky(10, 1);
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let abandoned = in_line(&limiter);
    // It looks after the abandoned one when its own turn would have come, and lets it go.
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(300));
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(400));
    drop(abandoned);
}

#[tokio::test(start_paused = true)]
async fn waiters_let_go_together_and_not_polled_cannot_run_together_later() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut abandoned: Vec<_> = (0..5).map(|_| in_line(&limiter)).collect();
    for _ in 0..10 {
        sleep(milliseconds(100)).await;
        let _ = limiter.peek(1);
    }
    let let_go = abandoned.iter_mut().map(|waiting| waiting.poll().is_ready());
    assert_eq!(let_go.filter(|ready| *ready).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_was_let_go_and_did_not_run_keeps_its_place() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut first = in_line(&limiter);
    let mut second = in_line(&limiter);
    sleep(milliseconds(100)).await;
    let _ = limiter.peek(1);
    // Let go at 100 ms; its permit perished at 200 ms.
    sleep(milliseconds(150)).await;
    assert_ready_ok!(first.poll());
    assert_pending!(second.poll());
    sleep(milliseconds(100)).await;
    assert_ready_ok!(second.poll());
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_dropped_goes_to_the_next_in_line_at_once() {
    let limiter = leaky(10, 1);
    let reservation = limiter.reserve().await.unwrap();
    let mut next = in_line(&limiter);
    sleep(milliseconds(30)).await;
    drop(reservation);
    assert!(next.is_woken());
    assert_ready_ok!(next.poll());
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_committed_stays_used() {
    let limiter = leaky(10, 1);
    let reservation = limiter.reserve().await.unwrap();
    reservation.commit().unwrap();
    assert!(limiter.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_unused_permit_perishes_after_one_interval_to_the_nanosecond() {
    let clock = ManualClock::new();
    let window = SlidingWindow::new(Rate::new(2, milliseconds(300)).unwrap());
    let limiter = RateLimiter::builder(window).clock(clock.clone()).build();
    let idle = limiter.reserve().await.unwrap();
    limiter.try_acquire().unwrap();
    clock.set(Duration::from_nanos(149_999_999));
    assert!(limiter.try_acquire().is_err());
    clock.set(milliseconds(150));
    limiter.try_acquire().unwrap();
    assert!(idle.commit().is_err());
    assert!(limiter.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_an_unused_permit_the_moment_it_perishes() {
    let limiter = RateLimiter::new(SlidingWindow::new(Rate::new(2, milliseconds(300)).unwrap()));
    let start = Instant::now();
    let _idle = limiter.reserve().await.unwrap();
    limiter.try_acquire().unwrap();
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(150));
}

#[tokio::test(start_paused = true)]
async fn strict_counts_from_the_commit() {
    let limiter = RateLimiter::new(Strict::new(Rate::per_second(10).unwrap()));
    let start = Instant::now();
    let reservation = limiter.reserve().await.unwrap();
    sleep(milliseconds(60)).await;
    reservation.commit().unwrap();
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(160));
}

#[tokio::test(start_paused = true)]
async fn a_refund_goes_to_the_next_in_line() {
    let limiter = leaky(10, 2);
    let permit = limiter.try_acquire().unwrap();
    limiter.try_acquire().unwrap();
    let mut next = in_line(&limiter);
    permit.refund();
    assert!(next.is_woken());
    assert_ready_ok!(next.poll());
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_never_polled_takes_nothing() {
    let limiter = leaky(10, 1);
    drop(limiter.acquire());
    drop(limiter.wrap(async {}));
    assert!(limiter.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_future_runs_only_with_a_permit() {
    let limiter =
        RateLimiter::builder(Strict::new(Rate::per_second(10).unwrap())).max_waiting(0).build();
    assert_eq!(limiter.wrap(async { 1 }).await.unwrap(), 1);
    let ran = Arc::new(Mutex::new(false));
    let flag = Arc::clone(&ran);
    let refused = limiter.wrap(async move { *flag.lock().unwrap() = true }).await;
    assert!(refused.is_err());
    assert!(!*ran.lock().unwrap());
}

#[test]
fn a_manual_clock_wakes_those_who_wait_without_a_runtime() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    let limiter = RateLimiter::builder(bucket).clock(clock.clone()).build();
    limiter.try_acquire().unwrap();
    let mut waiting = in_line(&limiter);
    clock.set(Duration::from_nanos(999_999_999));
    assert_pending!(waiting.poll());
    clock.advance(Duration::from_nanos(1));
    assert!(waiting.is_woken());
    assert_ready_ok!(waiting.poll());
    assert_eq!(clock.now(), Nanos::new(1_000_000_000));
}

#[tokio::test(start_paused = true)]
async fn slots_closer_than_a_tick_are_all_served_at_the_tick() {
    let pacer = BurstCompensating::new(Rate::per_second(5000).unwrap());
    let limiter = RateLimiter::new(pacer.max_burst(10).unwrap());
    let start = Instant::now();
    for _ in 0..=5000 {
        limiter.acquire().await.unwrap();
    }
    assert_eq!(start.elapsed(), milliseconds(1000));
}

#[tokio::test(start_paused = true)]
async fn a_task_in_a_loop_reaches_the_rate_set() {
    let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(100).unwrap()));
    let start = Instant::now();
    for call in 0..100 {
        limiter.acquire().await.unwrap();
        // Work of its own makes it late for some slots, and it catches up.
        if call % 10 == 3 {
            sleep(milliseconds(7)).await;
        }
    }
    assert_eq!(start.elapsed(), milliseconds(990));
}

#[tokio::test(start_paused = true)]
async fn the_lines_of_two_keys_are_apart() {
    let limiter = KeyedRateLimiter::new(Strict::new(Rate::per_second(10).unwrap()));
    let (a, b) = (limiter.key("a"), limiter.key("b"));
    a.try_acquire().unwrap();
    b.try_acquire().unwrap();
    let mut waits_for_a = in_line(&a);
    let waits_for_b = in_line(&b);
    drop(waits_for_b);
    sleep(milliseconds(100)).await;
    assert_ready_ok!(waits_for_a.poll());
    assert!(b.try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_wake_for_each_waiter_that_is_served_in_time() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut waiting: Vec<_> = (0..20).map(|_| in_line(&limiter)).collect();
    for served in 0..20 {
        advance(milliseconds(100)).await;
        for (index, waiter) in waiting.iter_mut().enumerate().skip(served) {
            assert_eq!(waiter.is_woken(), index == served, "waiter {index} at slot {served}");
        }
        assert_ready_ok!(waiting[served].poll());
    }
}

/// What becomes of one of the callers in the property test.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Stays,
    /// Gives up after this many milliseconds.
    GivesUp(u64),
    /// Is let go and never polled again.
    FallsAsleep,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Stays),
        3 => (0..1500_u64).prop_map(Fate::GivesUp),
        1 => Just(Fate::FallsAsleep),
    ]
}

/// Runs callers with these fates, all asking at once, and returns who was served when.
async fn served<A: Algorithm>(limiter: RateLimiter<A>, fates: Vec<Fate>) -> Vec<(usize, u64)> {
    let start = Instant::now();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut asleep = Vec::new();
    let mut tasks = Vec::new();
    // Leaked, so that those who fall asleep can stay in line until the end.
    let limiter: &'static RateLimiter<A> = Box::leak(Box::new(limiter));
    for (caller, fate) in fates.into_iter().enumerate() {
        let served = Arc::clone(&served);
        let mut acquire = Box::pin(limiter.acquire());
        let first =
            std::future::poll_fn(|cx| std::task::Poll::Ready(acquire.as_mut().poll(cx))).await;
        let served_now = move || {
            let now = u64::try_from(start.elapsed().as_millis()).unwrap();
            served.lock().unwrap().push((caller, now));
        };
        if first.is_ready() {
            served_now();
            continue;
        }
        match fate {
            Fate::FallsAsleep => asleep.push(acquire),
            Fate::Stays => tasks.push(tokio::spawn(async move {
                acquire.await.unwrap();
                served_now();
            })),
            Fate::GivesUp(after) => tasks.push(tokio::spawn(async move {
                if let Ok(result) = tokio::time::timeout(milliseconds(after), acquire).await {
                    result.unwrap();
                    served_now();
                }
            })),
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    std::mem::take(&mut *served.lock().unwrap())
}

fn run<A: Algorithm>(algorithm: A, fates: Vec<Fate>) -> Vec<(usize, u64)> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async { served(RateLimiter::new(algorithm), fates).await })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn callers_are_served_in_order_whoever_gives_up(fates in prop::collection::vec(fate(), 1..25)) {
        let rate = Rate::per_second(20).unwrap();
        let outcomes = [
            run(LeakyBucket::new(rate).capacity(3).unwrap(), fates.clone()),
            run(Strict::new(rate), fates.clone()),
            run(BurstCompensating::new(rate), fates.clone()),
            run(SlidingWindow::new(Rate::new(4, milliseconds(200)).unwrap()), fates.clone()),
        ];
        for mut served in outcomes {
            // Those let go at the same instant run in the order in which the runtime sees fit.
            served.sort();
            prop_assert!(served.is_sorted_by_key(|(_, at)| *at), "{served:?}");
            // Nobody who stays is forgotten.
            for (caller, fate) in fates.iter().enumerate() {
                let was_served = served.iter().any(|(other, _)| *other == caller);
                prop_assert!(was_served || !matches!(fate, Fate::Stays), "{caller} of {fates:?}");
            }
        }
    }

    #[test]
    fn a_place_given_up_in_time_costs_the_others_nothing(
        gives_up in prop::collection::vec(any::<bool>(), 1..25),
    ) {
        // Whoever gives up does so before the first slot, so the others are served as if alone.
        let fates = gives_up.iter().map(|up| if *up { Fate::GivesUp(0) } else { Fate::Stays });
        let staying = gives_up.iter().skip(1).filter(|up| !**up).count();
        let rate = Rate::per_second(20).unwrap();
        let served = run(BurstCompensating::new(rate), fates.collect());
        let instants: Vec<u64> = served.iter().map(|(_, at)| *at).collect();
        let expected: Vec<u64> = (0..=staying as u64).map(|slot| slot * 50).collect();
        prop_assert_eq!(instants, expected);
    }
}

fn once_a_second(clock: &ManualClock) -> KeyedRateLimiter<LeakyBucket> {
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    KeyedRateLimiter::builder(bucket).clock(clock.clone()).build()
}

#[test]
fn a_waiter_whose_key_was_forgotten_meanwhile_is_served() {
    let clock = ManualClock::new();
    let limiter = once_a_second(&clock);
    let key = limiter.key("k");
    key.try_acquire().unwrap();
    let mut asleep = in_line(&key);
    let mut awake = in_line(&key);
    clock.advance(milliseconds(1000));
    assert_pending!(awake.poll());
    clock.advance(milliseconds(1000));
    assert_ready_ok!(awake.poll());
    assert!(key.try_acquire().is_err());
    clock.advance(milliseconds(10_000));
    for other in 0..200_u32 {
        limiter.key(&other).try_acquire().unwrap();
    }
    assert_ready_ok!(asleep.poll());
}

#[tokio::test]
async fn a_permit_that_perished_is_gone_for_a_clock_that_was_read_earlier_too() {
    let clock = ManualClock::new();
    let strict = Strict::new(Rate::per_second(1).unwrap());
    let limiter = RateLimiter::builder(strict).clock(clock.clone()).build();
    let late = limiter.reserve().await.unwrap();
    clock.set(milliseconds(1000));
    limiter.try_acquire().unwrap();
    clock.set(Duration::from_nanos(999_999_999));
    assert!(late.commit().is_err());
}

#[tokio::test]
async fn a_peek_sees_the_permits_that_perished() {
    let clock = ManualClock::new();
    let window = SlidingWindow::new(Rate::per_second(2).unwrap());
    let limiter = RateLimiter::builder(window).clock(clock.clone()).build();
    let _idle = [limiter.reserve().await.unwrap(), limiter.reserve().await.unwrap()];
    clock.set(milliseconds(600));
    assert!(limiter.peek(1).is_granted());
    assert!(limiter.try_acquire().is_ok());
}

#[test]
fn time_in_which_a_waiter_did_not_look_earns_it_nothing() {
    let clock = ManualClock::new();
    let pacer = BurstCompensating::new(Rate::per_second(10).unwrap());
    let limiter = RateLimiter::builder(pacer).clock(clock.clone()).build();
    limiter.try_acquire().unwrap();
    let mut asleep = in_line(&limiter);
    clock.advance(milliseconds(100));
    let _ = limiter.peek(1);
    clock.advance(milliseconds(3_600_000));
    assert_ready_ok!(asleep.poll());
    assert!(limiter.try_acquire().is_err());
}

#[test]
#[should_panic(expected = "polled after it was ready")]
fn a_future_that_was_ready_takes_no_second_permit() {
    let limiter = leaky(10, 10);
    let mut acquire = task::spawn(limiter.acquire());
    assert_ready_ok!(acquire.poll());
    let _ = acquire.poll();
}

#[tokio::test(start_paused = true)]
async fn many_that_perished_get_back_before_a_line_that_began_without_them() {
    // The line of a key ends when nobody is in it.
    let algorithm = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(1).unwrap();
    let limiter = KeyedRateLimiter::new(algorithm).key("key");
    limiter.try_acquire().unwrap();
    let mut all: Vec<_> = (0..4).map(|_| in_line(&limiter)).collect();
    for _ in 0..4 {
        advance(milliseconds(100)).await;
        limiter.try_acquire().unwrap_err();
    }
    advance(milliseconds(100)).await;
    // All of them have gone, and another line begins.
    limiter.try_acquire().unwrap();
    let _last = in_line(&limiter);
    for waiting in all.iter_mut().rev() {
        assert_pending!(waiting.poll());
    }
    for waiting in &mut all {
        advance(milliseconds(100)).await;
        assert_ready_ok!(waiting.poll());
    }
}
