//! The clocks that are cheap to read. They show real time, of which nothing is known but that limits
//! are kept by it.

use std::time::Duration;
use tower_ratelimit::{Clock, Nanos, Rate, RateLimiter, Strict};

const GAP: Duration = Duration::from_millis(3);

fn clocks() -> [Clock; 2] {
    [Clock::quanta(), Clock::coarse()]
}

fn limiter(clock: &Clock) -> RateLimiter<Strict> {
    let strict = Strict::new(Rate::new(1, GAP).unwrap());
    RateLimiter::builder(strict).clock(clock.clone()).build()
}

/// The instant of a call that was let go just now.
fn let_go(clock: &Clock, at: Nanos) -> Nanos {
    let now = clock.now();
    assert!(now >= at, "let go at {at:?}, when the clock showed {now:?}");
    at
}

fn assert_apart(mut calls: Vec<Nanos>) {
    calls.sort();
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] >= GAP.into()), "{calls:?}");
}

#[test]
fn the_coarse_clock_never_goes_back_and_moves_on() {
    let clock = Clock::coarse();
    let start = clock.now();
    let mut last = start;
    while last == start {
        let now = clock.now();
        assert!(now >= last);
        last = now;
    }
}

#[test]
fn clones_of_a_clock_tell_the_same_time() {
    for clock in clocks() {
        let clone = clock.clone();
        let [before, told, after] = [clock.now(), clone.now(), clock.now()];
        // As far as counters of two processors may be apart.
        let apart = Nanos::new(1_000_000);
        assert!((before - apart..=after + apart).contains(&told), "{before:?} {told:?} {after:?}");
    }
}

#[tokio::test]
async fn tasks_are_let_go_when_the_clock_shows_their_instant() {
    for clock in clocks() {
        let limiter = limiter(&clock);
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (limiter, clock) = (limiter.clone(), clock.clone());
                tokio::spawn(async move {
                    let mut calls = Vec::new();
                    for _ in 0..4 {
                        let permit = limiter.acquire().await.unwrap();
                        calls.push(let_go(&clock, permit.decision().grant().unwrap().at));
                    }
                    calls
                })
            })
            .collect();
        let mut calls = Vec::new();
        for task in tasks {
            calls.extend(task.await.unwrap());
        }
        assert_apart(calls);
    }
}

#[test]
fn threads_are_let_go_when_the_clock_shows_their_instant() {
    for clock in clocks() {
        let limiter = limiter(&clock);
        let calls = (0..4).map(|_| {
            let permit = limiter.acquire().blocking_wait().unwrap();
            let_go(&clock, permit.decision().grant().unwrap().at)
        });
        assert_apart(calls.collect());
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_wait_for_real_time_where_that_of_tokio_is_paused() {
    for clock in clocks() {
        let limiter = limiter(&clock);
        let mut calls = Vec::new();
        for _ in 0..4 {
            let permit = limiter.acquire().await.unwrap();
            calls.push(let_go(&clock, permit.decision().grant().unwrap().at));
        }
        assert_apart(calls);
    }
}

#[test]
fn a_limit_goes_on_by_another_clock_after_a_restart() {
    let strict = || Strict::new(Rate::per_hour(1).unwrap());
    for before in clocks() {
        let limiter = RateLimiter::builder(strict()).clock(before).build();
        limiter.try_acquire().unwrap();
        let wait = limiter.try_acquire().unwrap_err().retry_after();
        let snapshot = limiter.snapshot();
        for after in clocks() {
            let builder = RateLimiter::builder(strict()).clock(after);
            let restored = builder.restore(&snapshot).unwrap();
            let refused = restored.try_acquire().unwrap_err();
            assert!(refused.retry_after() <= wait, "{refused} where {wait:?} were left");
        }
    }
}
