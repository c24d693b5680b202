//! A bounded number of keys, forgotten exactly.

use super::{in_line, ms, two, window};
use tower_ratelimit::{AtCapacity, JointLimiter, ManualClock, Quota, Reason};

#[test]
fn keys_that_equal_new_ones_are_forgotten_in_passing() {
    let clock = ManualClock::new();
    let (limiter, a, b) = two(JointLimiter::builder().clock(clock.clone()), 10, 10);
    for key in 0..1000_u32 {
        drop(limiter.on(a, &key).on(b, &()).try_acquire().unwrap());
        clock.advance(ms(10));
    }
    assert!(limiter.keys() <= 3, "{}", limiter.keys());
    assert_eq!(limiter.evict(), limiter.keys().max(2));
    assert_eq!(limiter.keys(), 0);
}

#[test]
fn a_call_that_is_refused_leaves_no_keys() {
    let (limiter, a, b) = two(JointLimiter::builder().clock(ManualClock::new()), 10, 10);
    drop(limiter.on(b, &()).try_acquire().unwrap());
    for key in 0..100_u32 {
        limiter.on(a, &key).on(b, &()).try_acquire().unwrap_err();
    }
    assert_eq!(limiter.keys(), 1);
}

#[test]
fn a_full_limit_refuses_new_keys_and_nothing_of_the_others_is_taken() {
    let clock = ManualClock::new();
    let mut limits = JointLimiter::builder()
        .clock(clock.clone())
        .max_keys(2)
        .unwrap()
        .at_capacity(AtCapacity::Refuse);
    let per_key = limits.limit("per key", window(1, 100)).unwrap();
    let over_all = limits.limit("over all", Quota::new(10).unwrap()).unwrap();
    let limiter = limits.build();
    let call = |key: u32| limiter.on(over_all, &()).on(per_key, &key);
    drop(call(1).try_acquire().unwrap());
    clock.advance(ms(50));
    drop(call(2).try_acquire().unwrap());
    let refused = call(3).try_acquire().unwrap_err();
    assert_eq!((refused.limit(), refused.reason()), (Some("per key"), Reason::TooManyKeys));
    assert_eq!(limiter.on_many(over_all, &(), 0).peek().decision().remaining, 8);
    // Both at once, where there is room for one.
    clock.advance(ms(50));
    let two = call(3).on(per_key, &4_u32);
    assert_eq!(two.try_acquire().unwrap_err().reason(), Reason::TooManyKeys);
    drop(call(3).try_acquire().unwrap());
}

#[test]
fn keys_without_room_share_one_state_and_what_shares_it_costs_as_often() {
    let clock = ManualClock::new();
    let mut limits = JointLimiter::builder().clock(clock).max_keys(1).unwrap();
    let per_key = limits.limit("per key", window(3, 100)).unwrap();
    let limiter = limits.build();
    drop(limiter.on(per_key, "kept").try_acquire().unwrap());
    drop(limiter.on(per_key, "one").on(per_key, "two").try_acquire().unwrap());
    let refused = limiter.on(per_key, "three").on(per_key, "four").try_acquire().unwrap_err();
    assert_eq!(refused.cost(), 2);
    drop(limiter.on(per_key, "three").try_acquire().unwrap());
    assert_eq!(limiter.on(per_key, "one").try_acquire().unwrap_err().retry_after(), Some(ms(100)));
    drop(limiter.on_many(per_key, "kept", 2).try_acquire().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_key_with_a_line_is_not_forgotten() {
    let mut limits = JointLimiter::builder().max_keys(1).unwrap().at_capacity(AtCapacity::Refuse);
    let own = limits.limit("own", window(1, 10)).unwrap();
    let slow = limits.limit("slow", window(1, 1000)).unwrap();
    let limiter = limits.build();
    drop(limiter.on(slow, &()).try_acquire().unwrap());
    let waiting = in_line(&limiter.on(own, "first").on(slow, &()));
    tokio::time::advance(ms(500)).await;
    assert_eq!(limiter.evict(), 0);
    let refused = limiter.on(own, "second").try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::TooManyKeys);
    drop(waiting);
    drop(limiter.on(own, "second").try_acquire().unwrap());
}

#[test]
fn no_keys_at_all_is_an_error() {
    assert_eq!(JointLimiter::builder().max_keys(0).unwrap_err().parameter(), "max_keys");
}
