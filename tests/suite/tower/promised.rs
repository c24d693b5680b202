//! A bucket with room for many only promises readied services their permits: one for each handle of
//! the limiter, while sixteen are left besides.

use super::{at_once, ms, probe::Probe, refusal, until};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service};
use tower_ratelimit::{
    Error, LeakyBucket, ManualClock, Rate, RateLimit, RateLimitLayer, RateLimiter, Reason,
};
use tower_test::mock::Spawn;

/// A permit every 100 ms, and so many at once.
fn bucket(capacity: u32) -> LeakyBucket {
    LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(capacity).unwrap()
}

type Ready = Vec<Spawn<RateLimit<Probe, RateLimiter<LeakyBucket>>>>;

/// So many services that wait. With the limiter itself, that is one handle more than services.
fn made(services: usize, limiter: &RateLimiter<LeakyBucket>, probe: &Probe) -> Ready {
    let layer = RateLimitLayer::new(limiter.clone());
    (0..services).map(|_| Spawn::new(layer.layer(probe.clone()))).collect()
}

fn readied(services: usize, limiter: &RateLimiter<LeakyBucket>, probe: &Probe) -> Ready {
    let mut readied = made(services, limiter, probe);
    for service in &mut readied {
        assert_ready_ok!(service.poll_ready());
    }
    readied
}

fn remaining(limiter: &RateLimiter<LeakyBucket>) -> u32 {
    limiter.peek(0).remaining
}

/// Points 5 and 6.
#[tokio::test(start_paused = true)]
async fn a_readied_service_takes_its_permit_in_its_call() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let mut service = readied(1, &limiter, &probe);
    assert_eq!(remaining(&limiter), 64);
    // However late that is.
    tokio::time::advance(ms(60_000)).await;
    assert_eq!(service[0].call(1).await, Ok(1));
    assert_eq!(remaining(&limiter), 63);
    assert_eq!(limiter.try_acquire_many(64).unwrap_err().retry_after(), Some(ms(100)));
}

/// Point 3: each of them has a permit if it is called, whoever else is.
#[tokio::test(start_paused = true)]
async fn all_handles_have_permits_when_all_are_promised_theirs() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    // With the limiter itself, 48 handles.
    let mut services = readied(47, &limiter, &probe);
    assert_eq!(remaining(&limiter), 64);
    for service in &mut services {
        assert_eq!(at_once(service.call(1)), Ok(1));
    }
    assert_eq!(watch.calls().len(), 47);
    assert_eq!(remaining(&limiter), 17);
}

/// Point 3: one handle more than that.
#[tokio::test(start_paused = true)]
async fn services_take_their_permits_at_once_where_their_number_leaves_no_plenty() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let services = readied(48, &limiter, &probe);
    assert_eq!(remaining(&limiter), 64 - 48);
    drop(services);
    assert_eq!(remaining(&limiter), 64);
}

/// Points 3 and 6.
#[tokio::test(start_paused = true)]
async fn services_that_are_more_than_permits_wait_for_them_to_be_ready() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let mut services = made(70, &limiter, &probe);
    let is_ready: Vec<_> =
        services.iter_mut().map(|service| service.poll_ready().is_ready()).collect();
    assert_eq!(is_ready, [[true; 64].as_slice(), &[false; 6]].concat());
    assert_eq!(watch.reserved(), 64);
    assert!(limiter.try_acquire().is_err());
}

/// Points 3 and 6: as few as would be promised theirs, had nobody taken any.
#[tokio::test(start_paused = true)]
async fn a_service_waits_to_be_ready_when_permits_are_gone() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let start = Instant::now();
    limiter.try_acquire_many(64).unwrap();
    let mut service = made(1, &limiter, &probe).remove(0);
    assert_pending!(service.poll_ready());
    until(start, 100).await;
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    assert!(limiter.try_acquire().is_err());
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn calls_wait_in_their_order_when_others_have_taken_all_that_was_promised() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let start = Instant::now();
    let mut services = readied(3, &limiter, &probe);
    limiter.try_acquire_many(64).unwrap();
    let calls = services.iter_mut().zip(0..).map(|(service, n)| task::spawn(service.call(n)));
    let mut calls: Vec<_> = calls.collect();
    for call in &mut calls {
        assert_pending!(call.poll());
    }
    // Nobody overtakes them.
    until(start, 100).await;
    assert!(limiter.try_acquire().is_err());
    for call in calls {
        call.into_inner().await.unwrap();
    }
    assert_eq!((watch.calls(), watch.called_at()), (vec![0, 1, 2], vec![100, 200, 300]));
    // Each was called as it was readied, and paid for.
    assert_eq!((watch.reservations(), watch.reserved()), (3, 0));
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(100)));
}

/// Points 2 and 5.
#[tokio::test(start_paused = true)]
async fn a_layer_that_refuses_refuses_the_call_when_others_have_taken_all_that_was_promised() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let start = Instant::now();
    let layer = RateLimitLayer::new(limiter.clone()).refuse();
    let mut service = Spawn::new(layer.layer(probe));
    assert_ready_ok!(service.poll_ready());
    limiter.try_acquire_many(64).unwrap();
    until(start, 30).await;
    let refusal = refusal(at_once(service.call(1)));
    assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::UsedUp, Some(ms(70))));
    assert_eq!((watch.calls().len(), watch.reserved()), (0, 0));
    until(start, 100).await;
    limiter.try_acquire().unwrap();
}

/// Point 2.
#[tokio::test(start_paused = true)]
async fn a_call_waits_as_long_as_its_layer_accepts_when_its_permit_is_gone() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let layer = RateLimitLayer::new(limiter.clone()).max_wait(ms(150));
    let mut services = [(); 2].map(|()| Spawn::new(layer.layer(probe.clone())));
    for service in &mut services {
        assert_ready_ok!(service.poll_ready());
    }
    limiter.try_acquire_many(64).unwrap();
    let [first, second] = services.each_mut().map(|service| service.call(1));
    assert_eq!(refusal(at_once(second)).retry_after(), Some(ms(200)));
    assert_eq!(first.await, Ok(1));
    assert_eq!(watch.called_at(), [100]);
}

/// Points 3 and 4.
#[tokio::test(start_paused = true)]
async fn promised_permits_of_services_that_are_dropped_are_not_lost() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    drop(readied(10, &limiter, &probe));
    for service in readied(10, &limiter, &probe) {
        drop(service.into_inner().into_inner());
    }
    assert_eq!(watch.reserved(), 0);
    limiter.try_acquire_many(64).unwrap();
    assert!(limiter.try_acquire().is_err());
}

/// Points 3 and 7.
#[tokio::test(start_paused = true)]
async fn a_clone_of_a_service_is_promised_nothing() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let mut service = readied(1, &limiter, &probe).remove(0).into_inner();
    let mut clone = Spawn::new(service.clone());
    drop(service.call(1));
    assert_eq!((watch.calls().len(), remaining(&limiter)), (1, 63));
    assert_ready_ok!(clone.poll_ready());
    drop(clone.call(2));
    assert_eq!((watch.calls().len(), remaining(&limiter)), (2, 62));
}

/// Point 2.
#[tokio::test(start_paused = true)]
async fn a_promise_ends_when_the_limiter_is_closed() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let mut service = readied(1, &limiter, &probe);
    limiter.close();
    assert_eq!(refusal(at_once(service[0].call(1))).reason(), Reason::Closed);
    assert_eq!((watch.calls().len(), watch.reserved()), (0, 0));
}

/// Point 6.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_promised_a_permit_passes_a_limit_that_is_breached_for_nothing() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let mut services = readied(2, &limiter, &probe);
    limiter.try_acquire_many(64).unwrap();
    limiter.breach();
    assert_eq!(at_once(services[0].call(1)), Ok(1));
    limiter.reset();
    assert_eq!(remaining(&limiter), 64);
    assert_eq!(at_once(services[1].call(1)), Ok(1));
    assert_eq!(remaining(&limiter), 63);
}

/// Points 3 and 6: unlike a permit that was taken, which goes with the state.
#[tokio::test(start_paused = true)]
async fn a_promise_holds_after_a_reset_and_its_permit_counts() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let mut service = readied(1, &limiter, &probe);
    limiter.try_acquire_many(50).unwrap();
    limiter.reset();
    assert_eq!(at_once(service[0].call(1)), Ok(1));
    assert_eq!(remaining(&limiter), 63);
}

/// Points 3 and 5.
#[tokio::test(start_paused = true)]
async fn promised_permits_are_taken_by_the_parameters_that_hold_when_they_are_used() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let mut services = readied(3, &limiter, &probe);
    let half = LeakyBucket::new(Rate::per_second(5).unwrap()).capacity(1).unwrap();
    limiter.set_algorithm(half);
    let calls: Vec<_> = services.iter_mut().map(|service| service.call(1)).collect();
    assert_eq!((watch.calls().len(), remaining(&limiter)), (1, 0));
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(watch.called_at(), [0, 200, 400]);
}

/// Nobody counts how many a call takes that takes several.
#[tokio::test(start_paused = true)]
async fn several_permits_are_never_promised() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(bucket(64));
    let mut service =
        Spawn::new(RateLimitLayer::new(limiter.clone()).cost(2).unwrap().layer(probe));
    assert_ready_ok!(service.poll_ready());
    assert_eq!(remaining(&limiter), 62);
}

/// At 60 s, 24 of 64 permits are left; at 0, there were none.
#[test]
fn a_promise_that_cannot_be_kept_as_the_clock_was_set_back_is_none() {
    for refuses in [false, true] {
        let clock = ManualClock::new();
        let limiter = RateLimiter::builder(bucket(64)).clock(clock.clone()).build();
        let (probe, watch) = Probe::new();
        let layer = RateLimitLayer::new(limiter.clone());
        let layer = if refuses { layer.refuse() } else { layer };
        let mut service = Spawn::new(layer.layer(probe));
        clock.set(ms(60_000));
        limiter.try_acquire_many(40).unwrap();
        assert_ready_ok!(service.poll_ready());
        assert_eq!(remaining(&limiter), 24);
        clock.set(ms(0));
        // As full as if it had been filled now.
        let mut call = task::spawn(service.call(1));
        if refuses {
            assert!(matches!(call.poll(), std::task::Poll::Ready(Err(Error::Limited(_)))));
        } else {
            assert_pending!(call.poll());
        }
        assert_eq!(watch.calls().len(), 0);
        clock.set(ms(60_000));
        assert_eq!(call.is_woken(), !refuses);
        if !refuses {
            assert_ready_ok!(call.poll());
        }
        assert_eq!(remaining(&limiter), 24 - u32::from(!refuses));
    }
}
