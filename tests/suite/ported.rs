//! What the predecessors were tested for, on our terms: pacing after late and very late wake-ups,
//! full and empty buckets, sequences of resets, and time-outs of nothing.

use std::time::Duration;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower_ratelimit::{
    Algorithm, BurstCompensating, Concurrency, LeakyBucket, ManualClock, Rate, RateLimiter, Reason,
    SlidingWindow, Strict, TokenBucket,
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn ten_a_second() -> Rate {
    Rate::per_second(10).unwrap()
}

/// How many of a long line have gone at each of these instants, at which somebody looks.
fn gone_at<A: Algorithm>(algorithm: A, looks: &[u64]) -> Vec<usize> {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(algorithm).clock(clock.clone()).build();
    let mut waiting: Vec<_> = (0..60).map(|_| task::spawn(limiter.acquire())).collect();
    let mut gone = vec![0];
    for look in looks {
        clock.set(ms(*look));
        waiting.retain_mut(|call| call.poll().is_pending());
        gone.push(60 - waiting.len());
    }
    gone.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn pacing_after_wake_ups_on_time_early_late_and_very_late() {
    let paced = BurstCompensating::new(ten_a_second()).max_burst(3).unwrap();
    // On time, a little early, then at the slot itself.
    assert_eq!(gone_at(paced, &[0, 99, 100, 200]), [1, 0, 1, 1]);
    // Late by less than a slot: the next one is on the grid.
    assert_eq!(gone_at(paced, &[0, 140, 199, 200, 300]), [1, 1, 0, 1, 1]);
    // Late by two slots: both are made up for.
    assert_eq!(gone_at(paced, &[0, 310, 399, 400]), [1, 3, 0, 1]);
    // Very late: no more than three at once, and the grid stays.
    assert_eq!(gone_at(paced, &[0, 2_050, 2_099, 2_100, 2_200]), [1, 3, 0, 1, 1]);

    // Strict makes up for nothing, and counts from when a call was let go.
    let strict = Strict::new(ten_a_second());
    assert_eq!(gone_at(strict, &[0, 140, 239, 240, 2_050, 2_149, 2_150]), [1, 1, 0, 1, 1, 0, 1]);
}

#[test]
fn a_bucket_fills_drains_and_is_made_new() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(ten_a_second()).capacity(3).unwrap();
    let limiter = RateLimiter::builder(bucket).clock(clock.clone()).build();
    let pass = || (0..9).take_while(|_| limiter.try_acquire().is_ok()).count();
    let mut passed = vec![pass()];
    for at in [99, 100, 250, 300, 600, 10_000] {
        clock.set(ms(at));
        passed.push(pass());
    }
    assert_eq!(passed, [3, 0, 1, 1, 1, 3, 3]);
    // Reset twice, and at once: each time it is as new, and no more than that.
    for _ in 0..2 {
        limiter.reset();
        assert_eq!(pass(), 3);
    }
    limiter.reset();
    limiter.reset();
    clock.set(ms(10_050));
    assert_eq!(pass(), 3);
    clock.set(ms(10_149));
    assert_eq!(pass(), 0);
    clock.set(ms(10_150));
    assert_eq!(pass(), 1);
}

#[test]
fn a_list_of_rates_lets_go_and_refuses_at_its_very_edges() {
    let rate = |permits, milliseconds| Rate::new(permits, ms(milliseconds)).unwrap();
    let window = SlidingWindow::all([rate(2, 100), rate(3, 250), rate(4, 1000)]).unwrap();
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(window).clock(clock.clone()).build();
    // At which instant, whether it passes, and otherwise which rate refuses and for how long.
    let table = [
        (0, None),
        (0, None),
        (0, Some((rate(2, 100), 100))),
        (99, Some((rate(2, 100), 1))),
        (100, None),
        (100, Some((rate(3, 250), 150))),
        (249, Some((rate(3, 250), 1))),
        (250, None),
        (250, Some((rate(4, 1000), 750))),
        (999, Some((rate(4, 1000), 1))),
        (1000, None),
        (1000, None),
        (1000, Some((rate(2, 100), 100))),
    ];
    for (at, refusal) in table {
        clock.set(ms(at));
        let refused = limiter.try_acquire().map(drop).err();
        let found = refused.map(|refused| (refused.rate(), refused.retry_after()));
        let expected = refusal.map(|(rate, wait)| (Some(rate), Some(ms(wait))));
        assert_eq!(found, expected, "at {at}");
    }
}

#[test]
fn a_weight_is_all_or_nothing_and_above_the_limit_its_own_error() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::new(Rate::new(1, ms(100)).unwrap()).capacity(5).unwrap();
    let limiter = RateLimiter::builder(bucket).clock(clock.clone()).build();
    limiter.try_acquire_many(3).unwrap();
    let refused = limiter.try_acquire_many(4).unwrap_err();
    assert_eq!((refused.reason(), refused.retry_after()), (Reason::UsedUp, Some(ms(200))));
    assert_eq!(limiter.peek(0).remaining, 2, "nothing was taken");
    let never = limiter.try_acquire_many(6).unwrap_err();
    assert_eq!((never.reason(), never.retry_after()), (Reason::TooCostly, None));
    limiter.try_acquire_many(2).unwrap();
    // A light call does not overtake a heavy one that could not go yet.
    let mut heavy = task::spawn(limiter.acquire().cost(3));
    let mut light = task::spawn(limiter.acquire());
    assert_pending!(heavy.poll());
    assert_pending!(light.poll());
    clock.set(ms(299));
    assert_pending!(light.poll());
    assert_pending!(heavy.poll());
    clock.set(ms(300));
    assert_pending!(light.poll());
    assert_ready_ok!(heavy.poll());
    clock.set(ms(400));
    assert_ready_ok!(light.poll());
}

#[test]
fn a_timeout_of_nothing_passes_or_fails_at_once_and_takes_nothing() {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(Strict::new(ten_a_second())).clock(clock.clone()).build();
    let now = || limiter.acquire().timeout(Duration::ZERO);
    assert_ready_ok!(task::spawn(now()).poll());
    for _ in 0..3 {
        let refused = assert_ready!(task::spawn(now()).poll()).unwrap_err();
        assert_eq!((refused.reason(), refused.retry_after()), (Reason::UsedUp, Some(ms(100))));
        assert_eq!(refused.max_wait(), Some(Duration::ZERO));
    }
    let mut waits = task::spawn(limiter.acquire());
    assert_pending!(waits.poll());
    let refused = assert_ready!(task::spawn(now()).poll()).unwrap_err();
    assert_eq!(refused.retry_after(), Some(ms(200)), "behind the one that waits");
    clock.set(ms(100));
    assert_ready_ok!(waits.poll());
}

#[test]
fn a_timeout_of_nothing_takes_no_timer() {
    // There is no runtime, and so no timer, on the clock that limiters have by themselves.
    let limiter = RateLimiter::new(Strict::new(Rate::per_hour(1).unwrap()));
    limiter.try_acquire().unwrap();
    let refused = assert_ready!(task::spawn(limiter.acquire().timeout(Duration::ZERO)).poll());
    assert_eq!(refused.unwrap_err().reason(), Reason::UsedUp);

    let limiter = RateLimiter::new(Concurrency::new(1).unwrap());
    let _held = limiter.try_acquire().unwrap();
    let refused = assert_ready!(task::spawn(limiter.acquire().max_wait(Duration::ZERO)).poll());
    assert_eq!(refused.unwrap_err().reason(), Reason::UsedUp);
}
