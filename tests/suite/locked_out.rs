//! A limit per key becomes a smaller one: what its keys had taken of the larger one is cut to that.

use std::time::Duration;
use tokio_test::{assert_pending, task};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, FixedWindow, JointLimiter, KeyedRateLimiter, LeakyBucket, ManualClock,
    Rate, SlidingWindow, TokenBucket,
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn a_day(permits: u32) -> Rate {
    Rate::new(permits, ms(86_400_000)).unwrap()
}

fn a_minute(permits: u32) -> Rate {
    Rate::new(permits, ms(60_000)).unwrap()
}

/// How long a key has to wait that had used up a large limit, a second after it became a small one.
fn wait_after_a_change<A: Algorithm + Clone>(large: &A, small: &A) -> Option<Duration> {
    let clock = ManualClock::new();
    let keyed = KeyedRateLimiter::builder(large.clone()).clock(clock.clone()).build();
    keyed.key("alice").try_acquire_many(10_000).unwrap();
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let only = limits.limit("only", large.clone()).unwrap();
    let joint = limits.build();
    drop(joint.on_many(only, "alice", 10_000).try_acquire().unwrap());
    clock.set(ms(1000));
    keyed.set_algorithm(small.clone());
    joint.set_algorithm(only, small.clone()).unwrap();
    let wait = keyed.key("alice").try_acquire().unwrap_err().retry_after();
    let among = joint.on(only, "alice").try_acquire().unwrap_err().retry_after();
    assert_eq!(among, wait);
    wait
}

#[test]
fn nobody_is_locked_out_of_a_small_limit_per_key_for_as_long_as_by_a_large_one() {
    let [large, small] = [a_day(10_000), a_minute(10)];
    let to_come = Some(ms(59_000));
    let tokens = [large, small].map(TokenBucket::new);
    assert_eq!(wait_after_a_change(&tokens[0], &tokens[1]), to_come);
    let fixed = [large, small].map(FixedWindow::new);
    assert_eq!(wait_after_a_change(&fixed[0], &fixed[1]), to_come);
    let sliding = [large, small].map(SlidingWindow::new);
    assert_eq!(wait_after_a_change(&sliding[0], &sliding[1]), to_come);
    let leaky = |rate, capacity| LeakyBucket::new(rate).capacity(capacity).unwrap();
    let [before, after] = [leaky(large, 10_000), leaky(small, 10)];
    assert_eq!(wait_after_a_change(&before, &after), Some(ms(6000)));
    let any = [AnyAlgorithm::from(before), after.into()];
    assert_eq!(wait_after_a_change(&any[0], &any[1]), Some(ms(6000)));
    let any = tokens.map(AnyAlgorithm::from);
    assert_eq!(wait_after_a_change(&any[0], &any[1]), to_come);
    let any = fixed.map(AnyAlgorithm::from);
    assert_eq!(wait_after_a_change(&any[0], &any[1]), to_come);
}

#[test]
fn nobody_is_locked_out_of_a_small_limit_per_key_that_is_restored() {
    let clock = ManualClock::new();
    let [large, small] = [a_day(10_000), a_minute(10)].map(TokenBucket::new);
    let before = KeyedRateLimiter::builder(large).clock(clock.clone()).build();
    before.key("alice").try_acquire_many(10_000).unwrap();
    clock.set(ms(1000));
    let snapshot = before.snapshot();
    let builder = KeyedRateLimiter::builder(small).clock(clock);
    let after = builder.restore_at(&snapshot, snapshot.taken_at()).unwrap();
    let refused = after.key("alice").try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(ms(59_000)));
}

#[test]
fn a_debt_of_a_key_stays_where_nothing_changes_and_where_somebody_waits() {
    fn wait<A: Algorithm + Clone>(limit: &A, changed: A, with_line: bool) -> Option<Duration> {
        let clock = ManualClock::new();
        let keyed = KeyedRateLimiter::builder(limit.clone()).clock(clock).build();
        let alice = keyed.key("alice");
        alice.charge(30).unwrap();
        let mut waiting = task::spawn(alice.acquire());
        if with_line {
            assert_pending!(waiting.poll());
        }
        keyed.set_algorithm(changed);
        drop(waiting);
        alice.try_acquire().unwrap_err().retry_after()
    }
    let leaky = |capacity| LeakyBucket::new(a_minute(60)).capacity(capacity).unwrap();
    let tokens = |capacity| TokenBucket::new(a_minute(10)).capacity(capacity).unwrap();
    assert_eq!(wait(&leaky(10), leaky(10), false), Some(ms(21_000)));
    assert_eq!(wait(&leaky(10), leaky(9), true), Some(ms(22_000)));
    assert_eq!(wait(&leaky(10), leaky(9), false), Some(ms(1000)));
    assert_eq!(wait(&tokens(20), tokens(20), false), Some(ms(120_000)));
    assert_eq!(wait(&tokens(20), tokens(10), true), Some(ms(180_000)));
    assert_eq!(wait(&tokens(20), tokens(10), false), Some(ms(60_000)));
}
