//! Taking hold of several limits while they are in use.

use super::{in_line, ms, one_per, two, window};
use std::sync::{Arc, Mutex};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower_ratelimit::{
    AnyAlgorithm, AtCapacity, Concurrency, JointLimiter, LeakyBucket, ManualClock, Quota, Rate,
    Reason, Strict, limiter::Perished,
};

#[tokio::test(start_paused = true)]
async fn breach_lets_everybody_pass_in_order_until_the_reset() {
    let (limiter, a, b) = two(JointLimiter::builder().max_waiting(5), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    let start = Instant::now();
    drop(both.try_acquire().unwrap());
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    // Those of one key only stand between the others.
    let calls = [&both, &limiter.on(b, &()), &both, &limiter.on(a, &()), &both].map(Clone::clone);
    for (n, call) in calls.into_iter().enumerate() {
        let order = Arc::clone(&order);
        waiting.push(tokio::spawn(async move {
            drop(call.acquire().await.unwrap());
            order.lock().unwrap().push(n);
        }));
        tokio::task::yield_now().await;
    }
    advance(ms(30)).await;
    limiter.breach();
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    for _ in 0..100 {
        assert!(both.peek().decision().is_granted());
        drop(both.try_acquire().unwrap());
        drop(limiter.on_many(a, &(), 1000).acquire().await.unwrap());
        drop(both.reserve().await.unwrap().commit().unwrap());
    }
    assert_eq!(start.elapsed(), ms(30));
    limiter.reset();
    drop(both.try_acquire().unwrap());
    assert_eq!(both.try_acquire().unwrap_err().retry_after(), Some(ms(250)));
}

#[tokio::test(start_paused = true)]
async fn what_passes_in_a_breach_takes_nothing_and_says_how_the_limits_stand() {
    let mut limits = JointLimiter::builder();
    let quota = limits.limit("quota", Quota::new(2).unwrap()).unwrap();
    let running = limits.limit("running", Concurrency::new(5).unwrap()).unwrap();
    let limiter = limits.build();
    let both = limiter.on(quota, &()).on(running, &());
    drop(both.try_acquire().unwrap());
    limiter.breach();
    let mut held: Vec<_> = (0..10).map(|_| both.try_acquire().unwrap()).collect();
    assert_eq!(held[0].binding().limit(), Some("quota"));
    assert_eq!(held[0].decision().remaining, 1);
    held[0].renew().unwrap();
    held.remove(0).refund();
    drop(held);
    let unused = both.reserve().await.unwrap();
    assert_eq!(limiter.on_many(quota, &(), 0).peek().decision().remaining, 1);
    limiter.reset();
    assert_eq!(unused.commit().unwrap_err(), Perished);
    assert_eq!(limiter.keys(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_let_pass_that_gives_up_leaves_nothing() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 250);
    let both = limiter.on(a, "x").on(b, &());
    drop(both.try_acquire().unwrap());
    let (first, mut second) = (in_line(&both), in_line(&both));
    limiter.breach();
    assert!(first.is_woken() && second.is_woken());
    drop(first);
    // One that does not look before the breach ends is sent away with the others.
    limiter.reset();
    assert_eq!(assert_ready_err!(second.poll()).reason(), Reason::Cancelled);
    assert_eq!(limiter.keys(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_whose_permits_perished_is_treated_as_those_who_wait() {
    type Act = fn(&JointLimiter);
    let ways: [(Act, Option<Reason>); 4] = [
        (JointLimiter::cancel, Some(Reason::Cancelled)),
        (JointLimiter::reset, Some(Reason::Cancelled)),
        (JointLimiter::close, Some(Reason::Closed)),
        (JointLimiter::breach, None),
    ];
    for (act, reason) in ways {
        let (limiter, a, b) = two(JointLimiter::builder(), 100, 100);
        let both = limiter.on(a, &()).on(b, &());
        drop(both.try_acquire().unwrap());
        let mut waiting = in_line(&both);
        advance(ms(100)).await;
        both.try_acquire().unwrap_err();
        advance(ms(100)).await;
        drop(both.try_acquire().unwrap());
        act(&limiter);
        match reason {
            Some(reason) => assert_eq!(assert_ready_err!(waiting.poll()).reason(), reason),
            None => drop(assert_ready_ok!(waiting.poll())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn permits_that_perish_after_a_close_are_not_waited_for_again() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 100);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let mut waiting = in_line(&both);
    advance(ms(100)).await;
    both.try_acquire().unwrap_err();
    limiter.close();
    advance(ms(100)).await;
    assert_eq!(assert_ready_err!(waiting.poll()).reason(), Reason::Closed);
}

#[tokio::test(start_paused = true)]
async fn one_who_was_let_go_before_a_reset_and_did_not_look_is_sent_away_too() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 100);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let (mut first, mut second) = (in_line(&both), in_line(&both));
    advance(ms(100)).await;
    both.try_acquire().unwrap_err();
    // A cancel is for those in line only.
    limiter.cancel();
    drop(assert_ready_ok!(first.poll()));
    assert_eq!(assert_ready_err!(second.poll()).reason(), Reason::Cancelled);
    let mut third = in_line(&both);
    advance(ms(100)).await;
    both.try_acquire().unwrap_err();
    limiter.reset();
    drop(both.try_acquire().unwrap());
    assert_eq!(assert_ready_err!(third.poll()).reason(), Reason::Cancelled);
}

#[test]
fn what_was_granted_before_a_reset_does_not_come_back_after_it() {
    for single_key in [false, true] {
        let clock = ManualClock::new();
        let mut limits = JointLimiter::builder().clock(clock.clone());
        let quota = limits.limit("quota", Quota::new(2).unwrap()).unwrap();
        let running = limits.limit("running", Concurrency::new(1).unwrap()).unwrap();
        let limiter = limits.build();
        let both = limiter.on(quota, &()).on(running, &());
        let mut refunded = both.try_acquire().unwrap();
        match single_key {
            true => both.reset(),
            false => limiter.reset(),
        }
        // Granted at the same instant, so that only the reset tells them apart.
        let after = both.try_acquire().unwrap();
        refunded.renew().unwrap_err();
        refunded.refund();
        assert_eq!(limiter.on_many(quota, &(), 0).peek().decision().remaining, 1);
        limiter.on(running, &()).try_acquire().unwrap_err();
        drop(after);
        drop(limiter.on(running, &()).try_acquire().unwrap());
    }
}

#[test]
fn a_lease_that_ended_is_lost_though_its_key_was_forgotten() {
    let clock = ManualClock::new();
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let leased = Concurrency::new(1).unwrap().lease(ms(100)).unwrap();
    let leased = limits.limit("leased", leased).unwrap();
    let limiter = limits.build();
    let mut first = limiter.on(leased, &()).try_acquire().unwrap();
    clock.advance(ms(100));
    assert_eq!(limiter.evict(), 1);
    // There is nothing that could remember it.
    first.renew().unwrap_err();
    let _second = limiter.on(leased, &()).try_acquire().unwrap();
    drop(first);
    limiter.on(leased, &()).try_acquire().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_single_key_begins_anew_and_its_calls_give_back_what_they_hold_of_others() {
    let mut limits = JointLimiter::builder();
    let own = limits.limit("own", one_per(1000)).unwrap();
    let shared = limits.limit("shared", Quota::new(10).unwrap()).unwrap();
    let limiter = limits.build();
    let [alice, bob] = ["alice", "bob"].map(|key| limiter.on(own, key).on(shared, &()));
    let left = || limiter.on_many(shared, &(), 0).peek().decision().remaining;
    for call in [&alice, &bob] {
        drop(call.try_acquire().unwrap());
    }
    let (mut hers, mut his) = (in_line(&alice), in_line(&bob));
    limiter.on(own, "alice").reset();
    assert_eq!(assert_ready_err!(hers.poll()).reason(), Reason::Cancelled);
    assert_pending!(his.poll());
    let reserved = limiter.on(own, "alice").reserve().await.unwrap();
    assert_eq!(left(), 8);
    limiter.on(own, "alice").reset();
    assert_eq!(reserved.commit().unwrap_err(), Perished);
    drop(limiter.on(own, "alice").try_acquire().unwrap());
    limiter.on(own, "bob").cancel();
    assert_eq!(assert_ready_err!(his.poll()).reason(), Reason::Cancelled);
    limiter.on(own, "bob").try_acquire().unwrap_err();
    assert_eq!(left(), 8);
    let both = limiter.on(own, "carol").on(shared, &());
    let reserved = both.reserve().await.unwrap();
    assert_eq!(left(), 7);
    limiter.on(own, "carol").reset();
    assert_eq!(left(), 8, "what it held of the others went back");
    drop(reserved);
    assert_eq!(left(), 8);
}

#[tokio::test(start_paused = true)]
async fn those_behind_one_that_is_sent_away_from_another_key_go_on() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 10_000);
    for reset in [false, true] {
        limiter.reset();
        drop(limiter.on(b, &()).try_acquire().unwrap());
        let mut held_up = in_line(&limiter.on(a, &()).on(b, &()));
        let mut behind = in_line(&limiter.on(a, &()));
        match reset {
            true => limiter.on(b, &()).reset(),
            false => limiter.on(b, &()).cancel(),
        }
        assert!(behind.is_woken());
        drop(assert_ready_ok!(behind.poll()));
        assert_eq!(assert_ready_err!(held_up.poll()).reason(), Reason::Cancelled);
        assert_eq!(limiter.on(b, &()).try_acquire().is_ok(), reset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_charge_is_a_debt_that_is_paid_off_first() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 10);
    let both = limiter.on(a, &()).on(b, &());
    let start = Instant::now();
    drop(both.try_acquire().unwrap());
    let waiting = in_line(&both);
    assert_eq!(both.peek().decision().retry_after(), Some(ms(200)));
    limiter.on(a, &()).charge(4).unwrap();
    let behind = both.peek();
    assert_eq!((behind.limit(), behind.decision().retry_after()), (Some("a"), Some(ms(600))));
    drop(waiting.into_inner().await.unwrap());
    assert_eq!(start.elapsed(), ms(500));
    // The cost multiplies that of each, and a key nobody asked for is kept for its debt.
    limiter.on_many(a, "new", 3).on(b, "new").charge(2).unwrap();
    assert_eq!(limiter.on(a, "new").try_acquire().unwrap_err().retry_after(), Some(ms(600)));
    assert_eq!(limiter.on(b, "new").try_acquire().unwrap_err().retry_after(), Some(ms(20)));
    let keys = limiter.keys();
    limiter.on(a, "other").charge(0).unwrap();
    assert_eq!(limiter.keys(), keys);
}

#[tokio::test(start_paused = true)]
async fn one_who_is_overdue_goes_before_a_charge() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 10);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let mut waiting = in_line(&both);
    advance(ms(100)).await;
    limiter.on(a, &()).charge(4).unwrap();
    drop(assert_ready_ok!(waiting.poll()));
    assert_eq!(both.try_acquire().unwrap_err().retry_after(), Some(ms(500)));
}

#[test]
fn a_charge_without_room_for_its_keys_takes_nothing() {
    let builder = JointLimiter::builder().clock(ManualClock::new());
    let mut limits = builder.max_keys(1).unwrap().at_capacity(AtCapacity::Refuse);
    let wide = limits.limit("wide", window(10, 100)).unwrap();
    let full = limits.limit("full", window(10, 100)).unwrap();
    let limiter = limits.build();
    drop(limiter.on(full, "kept").try_acquire().unwrap());
    let refused = limiter.on(wide, &()).on_many(full, "new", 2).charge(3).unwrap_err();
    assert_eq!((refused.reason(), refused.limit()), (Reason::TooManyKeys, Some("full")));
    assert_eq!(refused.cost(), 6);
    assert_eq!(limiter.on_many(wide, &(), 0).peek().decision().remaining, 10);
    assert_eq!(limiter.keys(), 1);
    limiter.on(full, "kept").charge(3).unwrap();
    let other = two(JointLimiter::builder(), 1, 1);
    assert_eq!(limiter.on(other.1, &()).charge(1).unwrap_err().reason(), Reason::UnknownLimit);
}

#[tokio::test(start_paused = true)]
async fn another_algorithm_of_one_limit_holds_for_those_who_wait() {
    for (period, released) in [(1000, [100, 1100, 2100]), (30, [100, 180, 210])] {
        let (limiter, a, b) = two(JointLimiter::builder(), 100, 10);
        let both = limiter.on(a, "x").on(b, &());
        let start = Instant::now();
        drop(both.try_acquire().unwrap());
        let waiting = [0; 3].map(|_| {
            let call = in_line(&both).into_inner();
            tokio::spawn(async move {
                drop(call.await.unwrap());
                start.elapsed().as_millis()
            })
        });
        tokio::time::sleep(ms(180)).await;
        limiter.set_algorithm(a, one_per(period)).unwrap();
        // The slot after that of 100 ms comes so long after it, but not in the past.
        for (waiting, at) in waiting.into_iter().zip(released) {
            assert_eq!(waiting.await.unwrap(), at);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_for_more_than_a_changed_limit_has_is_told_so_and_makes_way() {
    let bucket =
        |capacity| LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(capacity).unwrap();
    let mut limits = JointLimiter::builder();
    let a = limits.limit("a", bucket(4)).unwrap();
    let b = limits.limit("b", one_per(1)).unwrap();
    let limiter = limits.build();
    drop(limiter.on_many(a, &(), 4).try_acquire().unwrap());
    let mut heavy = in_line(&limiter.on_many(a, &(), 4).on(b, &()));
    let mut behind = in_line(&limiter.on(b, &()));
    limiter.set_algorithm(a, bucket(2)).unwrap();
    limiter.set_algorithm(a, bucket(5)).unwrap();
    drop(assert_ready_ok!(behind.poll()));
    let refused = assert_ready_err!(heavy.poll());
    assert_eq!((refused.reason(), refused.limit()), (Reason::TooCostly, Some("a")));
    drop(limiter.on(a, &()).try_acquire().unwrap());
    // One that is overdue has it by what held until then.
    let mut overdue = in_line(&limiter.on_many(a, &(), 5).on(b, &()));
    advance(ms(500)).await;
    limiter.set_algorithm(a, bucket(2)).unwrap();
    drop(assert_ready_ok!(overdue.poll()));
}

#[test]
fn an_algorithm_is_set_for_one_limit_and_for_keys_nobody_waits_for() {
    let clock = ManualClock::new();
    let (limiter, a, b) = two(JointLimiter::builder().clock(clock.clone()), 1000, 1000);
    drop(limiter.on(a, &()).on(b, &()).try_acquire().unwrap());
    limiter.set_algorithm(a, one_per(50)).unwrap();
    assert_eq!(limiter.on(a, &()).peek().decision().retry_after(), Some(ms(50)));
    assert_eq!(limiter.on(b, &()).peek().decision().retry_after(), Some(ms(1000)));
    // It equals new earlier than it would have, and is forgotten then.
    clock.advance(ms(50));
    assert_eq!(limiter.evict(), 1);
    drop(limiter.on(a, &()).try_acquire().unwrap());
    let refused = limiter.on(a, &()).try_acquire().unwrap_err();
    assert_eq!(refused.rate(), Some(Rate::new(1, ms(50)).unwrap()));
}

#[test]
fn an_algorithm_of_another_type_is_an_error_unless_any_is_allowed() {
    let builder = JointLimiter::builder().clock(ManualClock::new());
    let mut limits = builder;
    let fixed = limits.limit("fixed", one_per(100)).unwrap();
    let any = limits.limit("any", AnyAlgorithm::from(one_per(100))).unwrap();
    let limiter = limits.build();
    let strict = || Strict::new(Rate::per_second(1).unwrap());
    let invalid = limiter.set_algorithm(fixed, strict()).unwrap_err();
    assert_eq!(invalid.parameter(), "algorithm");
    assert!(invalid.value().ends_with("Strict"), "{invalid}");
    assert!(invalid.allowed().ends_with("LeakyBucket"), "{invalid}");
    limiter.set_algorithm(any, AnyAlgorithm::from(strict())).unwrap();
    drop(limiter.on(fixed, &()).on(any, &()).try_acquire().unwrap());
    assert_eq!(limiter.on(fixed, &()).peek().decision().retry_after(), Some(ms(100)));
    assert_eq!(limiter.on(any, &()).peek().decision().retry_after(), Some(ms(1000)));
    let (_, other, _) = two(JointLimiter::builder(), 1, 1);
    let invalid = limiter.set_algorithm(other, one_per(1)).unwrap_err();
    assert_eq!(invalid.parameter(), "limit");
}
