//! The wall clock, and clocks of one's own. What they show is set by hand or follows tokio's, which
//! is paused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep};
use tower_ratelimit::{
    Clock, FixedWindow, JointLimiter, ManualClock, Nanos, Rate, RateLimiter, SlidingWindow, Strict,
};

const DAY: Duration = Duration::from_secs(86_400);

/// 2024-02-29 00:00 UTC, a leap day.
const MIDNIGHT: Duration = Duration::from_secs(1_709_164_800);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A clock that shows what it was set to, in milliseconds, and how to set it.
fn set_by_hand(start: Duration) -> (Clock, impl Fn(Duration)) {
    let shown = Arc::new(AtomicU64::new(0));
    let set = {
        let shown = Arc::clone(&shown);
        move |to: Duration| shown.store(Nanos::from(to).get(), Ordering::SeqCst)
    };
    set(start);
    (Clock::from_fn(move || Duration::from_nanos(shown.load(Ordering::SeqCst))), set)
}

/// A clock that goes with tokio's, this far ahead of it, and how to set it forward.
fn ahead_of_tokio(by: Duration) -> (Clock, impl Fn(Duration)) {
    let start = Instant::now();
    let ahead = Arc::new(AtomicU64::new(Nanos::from(by).get()));
    let shown = Arc::clone(&ahead);
    let now = move || start.elapsed() + Duration::from_nanos(shown.load(Ordering::SeqCst));
    let forward = move |by: Duration| {
        ahead.fetch_add(Nanos::from(by).get(), Ordering::SeqCst);
    };
    (Clock::from_fn(now), forward)
}

#[test]
fn the_wall_clock_counts_from_1970() {
    let since = |clock: SystemTime| clock.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let shown = Duration::from(Clock::wall().now());
    assert!(shown.abs_diff(since(SystemTime::now())) < DAY, "{shown:?}");
}

#[test]
fn days_aligned_to_the_epoch_begin_at_midnight_utc() {
    let (clock, set) = set_by_hand(MIDNIGHT - ms(1000));
    let days = FixedWindow::new(Rate::per_day(2).unwrap()).aligned_to(Duration::ZERO);
    let limiter = RateLimiter::builder(days).clock(clock).build();
    let retry_after = || limiter.try_acquire().unwrap_err().retry_after();
    limiter.try_acquire_many(2).unwrap();
    assert_eq!(retry_after(), Some(ms(1000)));
    set(MIDNIGHT - Duration::from_nanos(1));
    assert_eq!(retry_after(), Some(Duration::from_nanos(1)));
    for day in 0..3 {
        set(MIDNIGHT + DAY * day);
        limiter.try_acquire_many(2).unwrap();
        assert_eq!(retry_after(), Some(DAY));
    }
}

#[test]
fn days_of_a_place_ahead_of_utc_begin_at_its_midnight() {
    let two_hours = Duration::from_secs(2 * 3600);
    let (clock, set) = set_by_hand(MIDNIGHT - two_hours - ms(1));
    let days = FixedWindow::new(Rate::per_day(2).unwrap()).aligned_to(DAY - two_hours);
    let limiter = RateLimiter::builder(days).clock(clock).build();
    limiter.try_acquire_many(2).unwrap();
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(1)));
    set(MIDNIGHT - two_hours);
    limiter.try_acquire_many(2).unwrap();
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(DAY));
}

#[test]
fn a_clock_that_is_set_back_grants_nothing_twice() {
    let (clock, set) = set_by_hand(MIDNIGHT);
    let days = FixedWindow::new(Rate::per_day(2).unwrap()).aligned_to(Duration::ZERO);
    let counted = RateLimiter::builder(days).clock(clock.clone()).build();
    let logged = SlidingWindow::new(Rate::per_day(2).unwrap());
    let logged = RateLimiter::builder(logged).clock(clock).build();
    counted.try_acquire_many(2).unwrap();
    logged.try_acquire_many(2).unwrap();
    for back in [ms(1), DAY / 2, DAY * 3] {
        set(MIDNIGHT - back);
        assert_eq!(counted.try_acquire().unwrap_err().retry_after(), Some(DAY + back));
        assert_eq!(logged.try_acquire().unwrap_err().retry_after(), Some(DAY + back));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_of_ones_own_lets_those_who_wait_go_at_exact_instants() {
    let (clock, _) = ahead_of_tokio(MIDNIGHT);
    let limiter =
        RateLimiter::builder(Strict::new(Rate::new(1, ms(2500)).unwrap())).clock(clock).build();
    let start = Instant::now();
    for call in 0..4 {
        limiter.acquire().await.unwrap();
        assert_eq!(start.elapsed(), ms(2500) * call);
    }
    let refused = limiter.acquire().timeout(ms(1700)).await.unwrap_err();
    assert_eq!((start.elapsed(), refused.retry_after()), (ms(7500 + 1700), Some(ms(800))));
}

#[tokio::test(start_paused = true)]
async fn several_limits_wait_for_a_clock_of_ones_own_too() {
    let (clock, _) = ahead_of_tokio(MIDNIGHT);
    let mut limits = JointLimiter::builder().clock(clock);
    let [fast, slow] = [("fast", 1000), ("slow", 2500)].map(|(name, period)| {
        limits.limit(name, Strict::new(Rate::new(1, ms(period)).unwrap())).unwrap()
    });
    let limiter = limits.build();
    let start = Instant::now();
    for call in 0..3 {
        limiter.on(fast, &()).on(slow, &()).acquire().await.unwrap();
        assert_eq!(start.elapsed(), ms(2500) * call);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_let_go_before_a_slow_clock_shows_its_instant() {
    let start = Instant::now();
    let half = Clock::from_fn(move || start.elapsed() / 2);
    let limiter =
        RateLimiter::builder(Strict::new(Rate::new(1, ms(100)).unwrap())).clock(half).build();
    for call in 0..4 {
        limiter.acquire().await.unwrap();
        assert_eq!(start.elapsed(), ms(200) * call);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_is_noticed_within_a_second() {
    let (clock, forward) = ahead_of_tokio(MIDNIGHT);
    let limiter =
        RateLimiter::builder(Strict::new(Rate::per_hour(1).unwrap())).clock(clock).build();
    let start = Instant::now();
    limiter.acquire().await.unwrap();
    // In a task of its own, which nothing wakes but the timer.
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move { limiter.acquire().await.map(drop) }
    });
    sleep(ms(10_400)).await;
    forward(Duration::from_secs(3600));
    waiting.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), ms(11_000));
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_by_the_wall_clock_is_let_go() {
    // Tokio's clock stands still but for the timer of the one who waits; this one moves.
    let limiter =
        RateLimiter::builder(Strict::new(Rate::per_second(200).unwrap())).clock(Clock::wall());
    let limiter = limiter.build();
    for _ in 0..3 {
        limiter.acquire().await.unwrap();
    }
}

#[test]
fn a_clock_that_several_threads_move_on_by_hand_moves_on_by_all_of_it() {
    let clock = ManualClock::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50_000).for_each(|_| clock.advance(Duration::from_nanos(1))));
        }
    });
    assert_eq!(clock.now(), Nanos::new(200_000));
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Nanos::MAX);
}
