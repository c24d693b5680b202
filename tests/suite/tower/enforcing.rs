//! Limits of which nothing is enforced, or a share.

use super::{at_once, ms, one_per, refusal, until, window};
use std::convert::Infallible;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_ratelimit::{
    Concurrency, Enforcement, Error, JointLayer, JointLimiter, KeyedRateLimiter, LeakyBucket,
    Limiter, OnFailure, Patience, RateLimitLayer, RateLimiter, Reason, StoredLimiter, Terms,
    store::MemoryStore,
};
use tower_test::mock::Spawn;

async fn echo(number: u32) -> Result<u32, Infallible> {
    Ok(number)
}

/// Which of so many calls at this instant get through, in the order in which they come.
fn passes<L>(limiter: &L, calls: u32) -> Vec<bool>
where
    L: Limiter,
{
    let layer = RateLimitLayer::new(limiter.clone()).refuse();
    let service = layer.layer(service_fn(echo));
    (0..calls).map(|call| at_once(service.clone().oneshot(call)).is_ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn in_the_shadow_every_call_passes_and_counts_as_if_the_limit_were_enforced() {
    let start = Instant::now();
    let (shadow, twin) = (RateLimiter::new(window(3, 100)), RateLimiter::new(window(3, 100)));
    let shadowed = Enforcement::shadow().of(shadow.clone());
    let mut admitted = Vec::new();
    for call in 0..400_u64 {
        until(start, call * call * 7 % 11 + call * 13).await;
        assert_eq!(passes(&shadowed, 2), [true, true]);
        admitted.extend((0..2).map(|_| twin.try_acquire().is_ok()));
        assert_eq!(shadow.peek(1), twin.peek(1));
    }
    assert!(admitted.contains(&true) && admitted.contains(&false));
}

#[tokio::test(start_paused = true)]
async fn exactly_the_share_of_those_refused_is_turned_away() {
    for (percent, turned_away) in
        [(0.0, 0), (100.0, 10_000), (25.0, 2500), (12.5, 1250), (33.3333, 3333), (0.01, 1)]
    {
        let limiter = RateLimiter::new(one_per(1000));
        limiter.try_acquire().unwrap();
        let passed = passes(&Enforcement::percent(percent).unwrap().of(limiter), 10_000);
        let refused = passed.iter().filter(|passed| !*passed).count();
        assert_eq!(refused, turned_away, "at {percent} %");
    }
}

#[tokio::test(start_paused = true)]
async fn at_a_quarter_every_fourth_refusal_stands_and_those_let_through_do_not_count() {
    let limiter = Enforcement::percent(25.0).unwrap().of(RateLimiter::new(window(2, 1000)));
    let passed = passes(&limiter, 10);
    assert_eq!(passed.iter().position(|passed| !passed), Some(2 + 3));
    assert_eq!(passed.iter().rposition(|passed| !passed), Some(2 + 7));
    assert_eq!(passed.iter().filter(|passed| !*passed).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn clones_and_all_that_it_was_given_to_share_a_setting_that_can_be_changed() {
    let enforcement = Enforcement::shadow();
    let [a, b] = [1, 2].map(|permits| enforcement.of(RateLimiter::new(window(permits, 1000))));
    let (clone, handle) = (a.clone(), enforcement.clone());
    assert_eq!((passes(&a, 2), passes(&b, 3)), (vec![true; 2], vec![true; 3]));
    handle.set_percent(100.0).unwrap();
    assert_eq!(enforcement.percentage(), 100.0);
    assert_eq!(
        (passes(&a, 1), passes(&b, 1), passes(&clone, 1)),
        ([false].into(), [false].into(), [false].into())
    );
    enforcement.set_percent(50.0).unwrap();
    assert_eq!((passes(&a, 1), passes(&b, 1)), (vec![true], vec![false]));
    for invalid in [-0.1, 100.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(handle.set_percent(invalid).unwrap_err().parameter(), "percent");
        assert_eq!(Enforcement::percent(invalid).unwrap_err().parameter(), "percent");
    }
    assert_eq!(enforcement.percentage(), 50.0);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_share_loses_no_turn() {
    let enforcement = Enforcement::percent(50.0).unwrap();
    let limiter = RateLimiter::new(one_per(1000));
    limiter.try_acquire().unwrap();
    let limiter = enforcement.of(limiter);
    assert_eq!(passes(&limiter, 3), [true, false, true]);
    enforcement.set_percent(25.0).unwrap();
    // Half a turn is left over, and a quarter comes with each call.
    assert_eq!(passes(&limiter, 6), [true, false, true, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_in_the_shadow() {
    let start = Instant::now();
    let layer = RateLimitLayer::new(Enforcement::shadow().of(RateLimiter::new(one_per(100))));
    let mut service = layer.layer(service_fn(echo));
    for call in 0..10 {
        assert_eq!(service.ready().await.unwrap().call(call).await, Ok(call));
    }
    let layer = RateLimitLayer::per_key(
        |_: &u32| (),
        Enforcement::shadow().of(KeyedRateLimiter::new(one_per(100))),
    );
    for patience in [layer.clone().wait(), layer.max_wait(ms(150))] {
        let mut service = patience.layer(service_fn(echo));
        for call in 0..10 {
            assert_eq!(service.ready().await.unwrap().call(call).await, Ok(call));
        }
    }
    assert_eq!(start.elapsed(), ms(0));
}

#[tokio::test(start_paused = true)]
async fn at_a_half_every_second_call_waits_its_turn_and_the_others_pass_at_once() {
    let start = Instant::now();
    let limiter = Enforcement::percent(50.0).unwrap().of(RateLimiter::new(one_per(100)));
    let layer = RateLimitLayer::new(limiter);
    let mut service = layer.layer(service_fn(echo));
    let mut at = Vec::new();
    for call in 0..6 {
        service.ready().await.unwrap().call(call).await.unwrap();
        at.push(start.elapsed().as_millis());
    }
    // The first has the permit of that instant. Those between find none left.
    assert_eq!(at, [0, 100, 100, 200, 200, 300]);
}

#[tokio::test(start_paused = true)]
async fn at_a_whole_it_is_the_limit_itself() {
    let start = Instant::now();
    let limiter = Enforcement::percent(100.0).unwrap().of(RateLimiter::new(one_per(100)));
    let mut first = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(service_fn(echo)));
    let mut second = first.clone();
    let mut third =
        Spawn::new(RateLimitLayer::new(limiter).max_wait(ms(150)).layer(service_fn(echo)));
    assert_ready_ok!(first.poll_ready());
    assert_pending!(second.poll_ready());
    assert_ready_ok!(third.poll_ready());
    assert_eq!(refusal(third.call(3).await).retry_after(), Some(ms(200)));
    drop(first);
    assert!(second.is_woken());
    assert_ready_ok!(second.poll_ready());
    assert_eq!(second.call(2).await, Ok(2));
    assert_eq!(start.elapsed(), ms(0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_in_line_or_before_it_is_polled_gives_everything_back() {
    let limiter = KeyedRateLimiter::new(Concurrency::new(1).unwrap());
    let enforced = Enforcement::percent(100.0).unwrap().of(limiter.clone());
    let layer = RateLimitLayer::per_key(|_: &u32| (), enforced).wait();
    let mut service = layer.layer(service_fn(echo));
    let runs = service.call(1);
    let mut waits = task::spawn(service.call(2));
    assert_pending!(waits.poll());
    drop(waits);
    assert!(limiter.key(&()).try_acquire().is_err());
    drop(runs);
    assert!(limiter.key(&()).try_acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_let_through_holds_nothing_and_is_not_settled() {
    let limiter = KeyedRateLimiter::new(window(2, 1000));
    let layer = RateLimitLayer::per_key(|_: &u32| (), Enforcement::shadow().of(limiter.clone()))
        .terms(|_, terms| Terms { cost: 2, ..terms })
        .settle(|cost: &u32| *cost);
    let service = layer.layer(service_fn(echo));
    service.clone().oneshot(2).await.unwrap();
    service.clone().oneshot(1000).await.unwrap();
    service.clone().oneshot(0).await.unwrap();
    assert_eq!(limiter.key(&()).peek(0).retry_after(), Some(ms(0)));
    assert_eq!(limiter.key(&()).peek(2).retry_after(), Some(ms(1000)));
}

#[tokio::test(start_paused = true)]
async fn several_limits_can_be_in_the_shadow() {
    let mut limits = JointLimiter::builder();
    let each = limits.limit("each", window(1, 1000)).unwrap();
    let all = limits.limit("all", window(2, 1000)).unwrap();
    let limiter = limits.build();
    let enforcement = Enforcement::shadow();
    let share = enforcement.clone();
    let layer = JointLayer::new(limiter.clone(), move |limits: &JointLimiter, user: &u32| {
        share.of(limits.on(each, user).on(all, &()))
    });
    let service = layer.layer(service_fn(echo));
    for user in [1, 1, 2, 3, 3] {
        assert_eq!(service.clone().oneshot(user).await, Ok(user));
    }
    enforcement.set_percent(100.0).unwrap();
    assert_eq!(refusal(service.clone().oneshot(1).await).limit(), Some("each"));
    assert_eq!(refusal(service.oneshot(3).await).limit(), Some("all"));
}

#[tokio::test(start_paused = true)]
async fn limits_in_a_store_can_be_in_the_shadow_and_nobody_waits_longer_than_for_the_answer() {
    let start = Instant::now();
    let bucket = LeakyBucket::clone(&one_per(100));
    let stored = StoredLimiter::builder("api", MemoryStore::default(), bucket, OnFailure::Refuse);
    let enforcement = Enforcement::shadow();
    let limiter = enforcement.of(stored.build().unwrap());
    let layer = RateLimitLayer::per_key(|_: &u32| (), limiter);
    for layer in [layer.clone(), layer.clone().wait()] {
        let service = layer.layer(service_fn(echo));
        for call in 0..5 {
            assert_eq!(service.clone().oneshot(call).await, Ok(call));
        }
    }
    assert_eq!(start.elapsed(), ms(0));
    enforcement.set_percent(100.0).unwrap();
    let refused = layer.layer(service_fn(echo)).oneshot(1).await;
    assert!(matches!(refused, Err(Error::Limited(refused)) if refused.reason() == Reason::UsedUp));
}

#[tokio::test(start_paused = true)]
async fn whatever_the_reason_a_shadow_turns_nobody_away() {
    let limiter = RateLimiter::builder(one_per(100)).max_waiting(0).build();
    let shadow = Enforcement::shadow().of(limiter.clone());
    let too_costly = Terms { cost: 2, patience: Patience::Forever };
    assert!(matches!(
        shadow.take(&(), too_costly),
        tower_ratelimit::limiter::Attempt::Now(Ok(None))
    ));
    limiter.close();
    assert_eq!(passes(&shadow, 3), [true; 3]);
}
