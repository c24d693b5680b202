//! What is taken, and which limit a refusal names.

use super::{ms, one_per, two, window};
use tower_ratelimit::{
    Concurrency, JointLimiter, ManualClock, Outcome, Quota, Rate, Reason, TokenBucket,
};

#[test]
fn a_limit_that_refuses_keeps_the_others_from_being_taken() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let few = limits.limit("few", Quota::new(2).unwrap()).unwrap();
    let many = limits.limit("many", Quota::new(10).unwrap()).unwrap();
    let limiter = limits.build();
    // In either order.
    let calls = [limiter.on(few, &()).on(many, &()), limiter.on(many, &()).on(few, &())];
    for call in &calls {
        drop(call.try_acquire().unwrap());
    }
    for call in calls.iter().cycle().take(10) {
        let refused = call.try_acquire().unwrap_err();
        assert_eq!((refused.limit(), refused.reason()), (Some("few"), Reason::Exhausted));
        assert_eq!(refused.retry_after(), None);
    }
    let left = limiter.on(many, &()).peek().decision().remaining;
    assert_eq!(left, 7, "eight are left, and a peek answers for after it");
}

#[test]
fn a_refusal_names_the_limit_with_the_longest_wait_and_its_wait_is_exact() {
    for (first, second, name, wait) in [(100, 300, "b", 300), (300, 100, "a", 300)] {
        let clock = ManualClock::new();
        let (limiter, a, b) = two(JointLimiter::builder().clock(clock.clone()), first, second);
        let call = limiter.on(a, "key").on_many(b, "key", 1);
        drop(call.try_acquire().unwrap());
        let refused = call.try_acquire().unwrap_err();
        assert_eq!((refused.limit(), refused.reason()), (Some(name), Reason::UsedUp));
        assert_eq!(refused.rate(), Some(Rate::new(1, ms(wait)).unwrap()));
        assert_eq!(refused.retry_after(), Some(ms(wait)));
        clock.set(ms(wait) - std::time::Duration::from_nanos(1));
        let early = call.try_acquire().unwrap_err();
        assert_eq!(early.retry_after(), Some(std::time::Duration::from_nanos(1)));
        clock.set(ms(wait));
        drop(call.try_acquire().unwrap());
    }
}

#[test]
fn a_refusal_for_good_comes_before_the_longest_wait_and_the_first_one_before_others() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let slow = limits.limit("slow", one_per(1_000_000)).unwrap();
    let spent = limits.limit("spent", Quota::new(1).unwrap()).unwrap();
    let small = limits.limit("small", window(2, 10)).unwrap();
    let limiter = limits.build();
    drop(limiter.on(slow, &()).on(spent, &()).try_acquire().unwrap());
    let call = limiter.on(slow, &()).on(spent, &()).on_many(small, &(), 3);
    let refused = call.try_acquire().unwrap_err();
    assert_eq!((refused.limit(), refused.reason()), (Some("spent"), Reason::Exhausted));
    let call = limiter.on(slow, &()).on_many(small, &(), 3).on(spent, &());
    let refused = call.try_acquire().unwrap_err();
    assert_eq!((refused.limit(), refused.reason()), (Some("small"), Reason::TooCostly));
    assert_eq!(refused.cost(), 3);
}

#[test]
fn a_limit_of_which_nobody_knows_comes_before_the_longest_wait() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let slow = limits.limit("slow", one_per(1000)).unwrap();
    let running = limits.limit("running", Concurrency::new(1).unwrap()).unwrap();
    let limiter = limits.build();
    let call = limiter.on(slow, &()).on(running, &());
    let permit = call.try_acquire().unwrap();
    let refused = call.try_acquire().unwrap_err();
    assert_eq!((refused.limit(), refused.retry_after()), (Some("running"), None));
    drop(permit);
    let refused = call.try_acquire().unwrap_err();
    assert_eq!((refused.limit(), refused.retry_after()), (Some("slow"), Some(ms(1000))));
}

#[test]
fn a_grant_names_the_limit_with_the_least_share_left() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let hundred = limits.limit("hundred", Quota::new(100).unwrap()).unwrap();
    let four = limits.limit("four", Quota::new(4).unwrap()).unwrap();
    let limiter = limits.build();
    let light = limiter.on(hundred, &()).on(four, &()).try_acquire().unwrap();
    assert_eq!((light.binding().limit(), light.decision().remaining), (Some("four"), 3));
    let heavy = limiter.on_many(hundred, &(), 90).on(four, &()).try_acquire().unwrap();
    assert_eq!((heavy.binding().limit(), heavy.decision().remaining), (Some("hundred"), 9));
}

#[test]
fn the_same_limit_and_key_named_twice_costs_twice() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let account = limits.limit("account", Quota::new(3).unwrap()).unwrap();
    let limiter = limits.build();
    drop(limiter.on(account, "alice").on(account, "alice").try_acquire().unwrap());
    let refused = limiter.on(account, "alice").on(account, "alice").try_acquire().unwrap_err();
    assert_eq!((refused.cost(), refused.reason()), (2, Reason::Exhausted));
    drop(limiter.on(account, "alice").on(account, "bob").try_acquire().unwrap());
}

#[test]
fn a_limit_of_another_limiter_is_an_error_and_nothing_is_taken() {
    let (limiter, a, _) = two(JointLimiter::builder(), 100, 100);
    let (_, other, _) = two(JointLimiter::builder(), 100, 100);
    let refused = limiter.on(a, &()).on(other, &()).try_acquire().unwrap_err();
    assert_eq!(refused.reason(), Reason::UnknownLimit);
    drop(limiter.on(a, &()).try_acquire().unwrap());
}

#[test]
fn two_limits_of_one_name_are_an_error() {
    let mut limits = JointLimiter::builder();
    limits.limit("name", one_per(1)).unwrap();
    let invalid = limits.limit("name", window(1, 1)).unwrap_err();
    assert_eq!((invalid.parameter(), invalid.value()), ("name", "name"));
    let limiter = limits.build();
    assert!(limiter.limit("name").is_some());
    assert_eq!(limiter.limit("another"), None);
    assert_eq!(limiter.names().collect::<Vec<_>>(), ["name"]);
}

#[test]
fn what_costs_nothing_passes_and_is_no_obstacle() {
    let (limiter, a, b) = two(JointLimiter::builder().clock(ManualClock::new()), 100, 100);
    drop(limiter.on(a, &()).try_acquire().unwrap());
    drop(limiter.on_many(a, &(), 0).try_acquire().unwrap());
    drop(limiter.on_many(a, &(), 0).on(b, &()).try_acquire().unwrap());
    assert_eq!(limiter.on(b, &()).try_acquire().unwrap_err().limit(), Some("b"));
    assert_eq!(limiter.on_many(a, &(), 0).peek().decision().remaining, 0);
}

#[test]
fn a_limit_whose_time_begins_with_the_first_call_begins_with_one_that_it_refuses() {
    let clock = ManualClock::new();
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let empty = TokenBucket::new(Rate::new(1, ms(100)).unwrap()).initial(0).unwrap();
    let empty = limits.limit("empty", empty).unwrap();
    let other = limits.limit("other", Quota::new(1).unwrap()).unwrap();
    let limiter = limits.build();
    let call = limiter.on(empty, &()).on(other, &());
    assert_eq!(call.try_acquire().unwrap_err().retry_after(), Some(ms(100)));
    clock.advance(ms(40));
    assert_eq!(call.try_acquire().unwrap_err().retry_after(), Some(ms(60)));
    clock.advance(ms(60));
    drop(call.try_acquire().unwrap());
}

#[test]
fn permits_of_calls_in_flight_end_together_and_a_lost_lease_ends_them_all() {
    let clock = ManualClock::new();
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let lease = |n| Concurrency::new(n).unwrap().lease(ms(100)).unwrap();
    let short = limits.limit("short", lease(1)).unwrap();
    let wide = limits.limit("wide", Concurrency::new(2).unwrap()).unwrap();
    let limiter = limits.build();
    let mut first = limiter.on(short, &()).on(wide, &()).try_acquire().unwrap();
    clock.advance(ms(60));
    first.renew().unwrap();
    clock.advance(ms(60));
    limiter.on(short, &()).try_acquire().unwrap_err();
    clock.advance(ms(40));
    let second = limiter.on(short, &()).on(wide, &()).try_acquire().unwrap();
    assert_eq!(limiter.on(wide, &()).peek().decision().outcome, Outcome::InUse(None));
    first.renew().unwrap_err();
    assert!(limiter.on(wide, &()).peek().decision().is_granted());
    drop(first);
    limiter.on(short, &()).try_acquire().unwrap_err();
    drop(second);
    drop(limiter.on(short, &()).on_many(wide, &(), 2).try_acquire().unwrap());
}
