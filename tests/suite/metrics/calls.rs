//! Calls that were let go, or not, at once.

use super::{ms, paced, watched, watched_pace};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_ratelimit::{
    LeakyBucket, Limiter, Patience, Quota, Rate, RateLimiter, Terms,
    limiter::{Attempt, Ticket},
};

#[test]
fn calls_are_counted_and_not_permits() {
    let bucket = || LeakyBucket::new(Rate::per_hour(10).unwrap()).capacity(10).unwrap();
    let mut watched = watched(|| RateLimiter::new(bucket()));
    watched.limiter.try_acquire_many(7).unwrap();
    watched.limiter.try_acquire_many(0).unwrap();
    watched.limiter.try_acquire_many(3).unwrap().refund();
    watched.limiter.charge(5).unwrap();
    watched.limiter.try_acquire_many(7).unwrap_err();
    let _ = watched.limiter.peek(1);
    assert_eq!(watched.says(), "admitted_total=3, refused_total used_up=1");
}

#[tokio::test(start_paused = true)]
async fn a_reservation_counts_once_it_is_used() {
    let mut watched = watched_pace();
    drop(watched.limiter.reserve().await.unwrap());
    assert_eq!(watched.says(), "");
    let perished = watched.limiter.reserve().await.unwrap();
    advance(ms(100)).await;
    perished.commit().unwrap_err();
    assert_eq!(watched.says(), "");
    watched.limiter.reserve().await.unwrap().commit().unwrap();
    assert_eq!(watched.says(), "admitted_total=1");
    drop(watched.limiter.reserve().cost(0).await.unwrap());
    assert_eq!(watched.says(), "admitted_total=1");
    watched.limiter.reserve().cost(0).await.unwrap().commit().unwrap();
    assert_eq!(watched.says(), "admitted_total=2");
}

fn ticket(limiter: &RateLimiter<LeakyBucket>) -> Ticket {
    match Limiter::reserve(limiter, &(), Terms { cost: 1, patience: Patience::Now }) {
        Attempt::Now(result) => result.unwrap(),
        Attempt::Later(_) => panic!("a call without patience is answered at once"),
    }
}

#[test]
fn a_permit_promised_without_a_look_at_the_clock_counts_once_it_is_used() {
    let plenty = || LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(100).unwrap();
    let mut watched = watched(|| RateLimiter::new(plenty()));
    for calls in 1..=5 {
        watched.limiter.give_back(ticket(&watched.limiter));
        watched.limiter.commit(ticket(&watched.limiter)).unwrap();
        assert_eq!(watched.says(), format!("admitted_total={calls}"));
    }
}

#[test]
fn a_refusal_at_once_counts_under_its_reason() {
    let mut watched = watched(|| RateLimiter::builder(paced()).max_waiting(0).build());
    let limiter = watched.limiter.clone();
    limiter.try_acquire_many(2).unwrap_err();
    limiter.try_acquire().unwrap();
    limiter.try_acquire().unwrap_err();
    assert_ready_err!(task::spawn(limiter.acquire()).poll());
    assert_ready_err!(task::spawn(limiter.acquire().max_wait(ms(1))).poll());
    limiter.close();
    limiter.try_acquire().unwrap_err();
    limiter.try_acquire_many(0).unwrap_err();
    let says = "admitted_total=1, refused_total closed=2, refused_total queue_full=1, \
        refused_total too_costly=1, refused_total used_up=2";
    assert_eq!(watched.says(), says);
}

#[tokio::test(start_paused = true)]
async fn the_layer_counts_a_call_when_it_takes_place() {
    use std::convert::Infallible;
    use tower::{Layer, service_fn};
    use tower_ratelimit::RateLimitLayer;
    let mut watched = watched_pace();
    let layer = RateLimitLayer::new(watched.limiter.clone());
    let inner = service_fn(async |n: u32| Ok::<_, Infallible>(n));
    let mut service = tower_test::mock::Spawn::new(layer.layer(inner));
    assert_ready_ok!(service.poll_ready());
    assert_eq!(watched.says(), "");
    service.call(1).await.unwrap();
    assert_eq!(watched.says(), "admitted_total=1");
    assert_pending!(service.poll_ready());
    assert_eq!(watched.says(), "admitted_total=1, waiting=1");
    advance(ms(100)).await;
    assert_ready_ok!(service.poll_ready());
    assert_eq!(watched.says(), "admitted_total=1, waits=[0.1]");
    service.call(2).await.unwrap();
    assert_eq!(watched.says(), "admitted_total=2, waits=[0.1]");
    assert_pending!(service.poll_ready());
    drop(service);
    assert_eq!(watched.says(), "admitted_total=2, waits=[0.1]");
}

#[test]
fn a_quota_that_is_spent_refuses_with_a_reason_of_its_own() {
    let mut watched = watched(|| RateLimiter::new(Quota::new(1).unwrap()));
    watched.limiter.try_acquire().unwrap();
    watched.limiter.try_acquire().unwrap_err();
    assert_eq!(watched.says(), "admitted_total=1, refused_total exhausted=1");
}
