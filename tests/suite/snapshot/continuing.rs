//! What was used up before is used up after, and freed at the exact instant.

use super::{NANOSECOND, Restored, SECOND, at_once, read, single, wait};
use std::time::Duration;
use tower_ratelimit::{
    BurstCompensating, Clock, FixedWindow, LeakyBucket, ManualClock, Quota, Rate, RateLimiter,
    Serialized, SlidingWindow, SlidingWindowCounter, Snapshot, Strict, TokenBucket,
};

fn strict() -> Strict {
    Strict::new(Rate::per_second(1).unwrap())
}

#[test]
fn a_limit_used_up_before_is_freed_at_the_exact_instant() {
    let clock = ManualClock::new();
    clock.set(Duration::from_secs(50));
    let before = single(strict(), &clock);
    before.try_acquire().unwrap();
    clock.advance(Duration::from_millis(300));
    let snapshot = before.snapshot();
    // The new clock began later than the old one, or earlier.
    for begun in [Duration::ZERO, Duration::from_secs(50), Duration::from_secs(9000)] {
        let clock = ManualClock::new();
        clock.set(begun);
        let after = at_once(&snapshot, strict(), &clock).unwrap();
        assert_eq!(wait(&after, 1), Some(Duration::from_millis(700)));
        clock.advance(Duration::from_millis(700) - NANOSECOND);
        assert_eq!(wait(&after, 1), Some(NANOSECOND));
        clock.advance(NANOSECOND);
        assert_eq!(wait(&after, 1), Some(Duration::ZERO));
        // And on from there.
        assert_eq!(wait(&after, 1), Some(SECOND));
    }
}

#[test]
fn time_that_passed_in_between_counts() {
    let clock = ManualClock::new();
    let before = single(strict(), &clock);
    before.try_acquire().unwrap();
    let snapshot = before.snapshot();
    let restart = |passed: Duration| {
        let builder = RateLimiter::builder(strict()).clock(ManualClock::new());
        builder.restore_at(&snapshot, snapshot.taken_at() + passed).unwrap()
    };
    assert_eq!(wait(&restart(Duration::from_millis(400)), 1), Some(Duration::from_millis(600)));
    assert_eq!(wait(&restart(SECOND - NANOSECOND), 1), Some(NANOSECOND));
    assert_eq!(wait(&restart(SECOND), 1), Some(Duration::ZERO));
    assert_eq!(wait(&restart(Duration::from_secs(86_400 * 365)), 1), Some(Duration::ZERO));
}

#[test]
fn a_time_of_day_that_was_set_back_takes_no_time_away() {
    let before = single(strict(), &ManualClock::new());
    before.try_acquire().unwrap();
    let snapshot = before.snapshot();
    let builder = RateLimiter::builder(strict()).clock(ManualClock::new());
    let earlier = snapshot.taken_at() - Duration::from_secs(3600);
    let after = builder.restore_at(&snapshot, earlier).unwrap();
    assert_eq!(wait(&after, 1), Some(SECOND));
}

#[test]
fn a_limit_is_restored_at_the_time_of_day_unless_somebody_knows_better() {
    let yearly = Strict::new(Rate::new(1, Duration::from_secs(86_400 * 365)).unwrap());
    let before = RateLimiter::new(yearly);
    before.try_acquire().unwrap();
    let after = RateLimiter::builder(yearly).restore(&before.snapshot()).unwrap();
    after.try_acquire().unwrap_err();
}

#[test]
fn a_clock_that_is_set_back_beyond_its_beginning_frees_nothing() {
    let clock = ManualClock::new();
    let before = single(strict(), &clock);
    before.try_acquire().unwrap();
    let other = ManualClock::new();
    other.set(Duration::from_secs(100));
    let after = at_once(&before.snapshot(), strict(), &other).unwrap();
    other.set(Duration::from_secs(3));
    assert_eq!(wait(&after, 1), Some(SECOND));
    other.set(Duration::from_secs(101));
    assert_eq!(wait(&after, 1), Some(Duration::ZERO));
}

#[test]
fn a_restored_limiter_is_restored_once_more() {
    let clock = ManualClock::new();
    let first = single(strict(), &clock);
    first.try_acquire().unwrap();
    let mut snapshot = first.snapshot();
    for _ in 0..4 {
        let clock = ManualClock::new();
        let next = at_once(&snapshot, strict(), &clock).unwrap();
        clock.advance(Duration::from_millis(200));
        snapshot = Snapshot::from_bytes(next.snapshot().as_bytes()).unwrap();
    }
    let last = at_once(&snapshot, strict(), &ManualClock::new()).unwrap();
    assert_eq!(wait(&last, 1), Some(Duration::from_millis(200)));
}

/// Has two limiters asked the same at the same distances: one that was never restarted, and the same
/// one restored now and then.
fn goes_on_as_if_nothing_had_happened<A: Restored + Clone>(limit: A) {
    let (clock, mut other_clock) = (ManualClock::new(), ManualClock::new());
    let steady = single(limit.clone(), &clock);
    let mut restarted = single(limit.clone(), &other_clock);
    // Any numbers will do, if they are the same each time.
    let mut random = 88_172_645_463_325_252_u64;
    for round in 0..400_u64 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let pause = Duration::from_millis(random % 700 / 10 * 10);
        clock.advance(pause);
        other_clock.advance(pause);
        let cost = (random >> 32) as u32 % 3;
        let [first, second] = [&steady, &restarted].map(|limiter| wait(limiter, cost));
        assert_eq!(first, second, "{limit}, round {round}");
        if round % 7 == 0 {
            let bytes = restarted.snapshot().as_bytes().to_vec();
            other_clock = ManualClock::new();
            other_clock.set(Duration::from_millis(round * round % 50_000));
            let snapshot = Snapshot::from_bytes(bytes).unwrap();
            restarted = at_once(&snapshot, limit.clone(), &other_clock).unwrap();
        }
    }
}

#[test]
fn every_algorithm_goes_on_as_if_nothing_had_happened() {
    let rate = Rate::per_second(3).unwrap();
    goes_on_as_if_nothing_had_happened(LeakyBucket::new(rate).capacity(4).unwrap());
    goes_on_as_if_nothing_had_happened(LeakyBucket::any_window(rate, 2).unwrap());
    goes_on_as_if_nothing_had_happened(Strict::new(rate));
    goes_on_as_if_nothing_had_happened(BurstCompensating::new(rate));
    goes_on_as_if_nothing_had_happened(TokenBucket::new(rate).initial(1).unwrap());
    goes_on_as_if_nothing_had_happened(
        TokenBucket::new(rate).aligned_to(Duration::from_millis(333)),
    );
    goes_on_as_if_nothing_had_happened(Quota::new(100).unwrap());
    let rates = [rate, Rate::new(20, 10 * SECOND).unwrap()];
    goes_on_as_if_nothing_had_happened(SlidingWindow::all(rates).unwrap());
    goes_on_as_if_nothing_had_happened(FixedWindow::new(rate));
    goes_on_as_if_nothing_had_happened(FixedWindow::new(rate).aligned_to(Duration::ZERO));
    goes_on_as_if_nothing_had_happened(SlidingWindowCounter::new(rate));
    goes_on_as_if_nothing_had_happened(Serialized::new(rate));
    goes_on_as_if_nothing_had_happened(read("leaky bucket 3/s, capacity 4"));
    goes_on_as_if_nothing_had_happened(read("serialized 3/s"));
}

/// Restores it by another limit; it goes on as one whose limit was changed while it ran.
fn goes_on_by_another<A: Restored + Clone>(limit: A, other: A) {
    let clock = ManualClock::new();
    let changed = single(limit, &clock);
    while changed.try_acquire().is_ok() {}
    clock.advance(Duration::from_millis(120));
    let other_clock = ManualClock::new();
    let restored = at_once(&changed.snapshot(), other.clone(), &other_clock).unwrap();
    changed.set_algorithm(other);
    for round in 0..50 {
        let [first, second] = [&changed, &restored].map(|limiter| wait(limiter, 1));
        assert_eq!(first, second, "round {round}");
        clock.advance(Duration::from_millis(70));
        other_clock.advance(Duration::from_millis(70));
    }
}

#[test]
fn other_parameters_hold_as_if_they_had_been_set_while_it_ran() {
    let [slow, fast] = [1, 10].map(|permits| Rate::per_second(permits).unwrap());
    let bucket = |rate, capacity| LeakyBucket::new(rate).capacity(capacity).unwrap();
    goes_on_by_another(bucket(slow, 3), bucket(fast, 5));
    goes_on_by_another(bucket(fast, 5), bucket(slow, 2));
    goes_on_by_another(Strict::new(slow), Strict::new(fast));
    goes_on_by_another(TokenBucket::new(fast), TokenBucket::new(slow));
    goes_on_by_another(SlidingWindow::new(slow), SlidingWindow::new(fast));
    goes_on_by_another(Quota::new(3).unwrap(), Quota::new(5).unwrap());
    goes_on_by_another(read("leaky bucket 1/s, capacity 3"), read("strict 1/s"));
    goes_on_by_another(read("sliding window 10/min"), read("leaky bucket 10/s, capacity 4"));
}

#[tokio::test(start_paused = true)]
async fn any_clock_goes_on() {
    for clock in [Clock::monotonic, Clock::precise] {
        let before = RateLimiter::builder(strict()).clock(clock()).build();
        before.try_acquire().unwrap();
        tokio::time::advance(Duration::from_millis(300)).await;
        let snapshot = before.snapshot();
        let builder = RateLimiter::builder(strict()).clock(clock());
        let after = builder.restore_at(&snapshot, snapshot.taken_at()).unwrap();
        assert_eq!(wait(&after, 1), Some(Duration::from_millis(700)));
    }
}
