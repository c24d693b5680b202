//! Calls that hold their permits, through the layers: from the call to the response.

use super::{ms, probe::Probe, refusal, until};
use std::{convert::Infallible, future::pending};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_ratelimit::{
    Concurrency, Error, KeyedRateLimiter, LeakyBucket, Patience, Rate, RateLimitLayer, RateLimited,
    RateLimiter, Reason, Reply, Serialized, Standing, Terms,
};
use tower_test::mock::Spawn;

fn at_once(calls: u32) -> Concurrency {
    Concurrency::new(calls).unwrap()
}

/// A limiter of this many calls, and a layer on it.
fn limit(calls: u32) -> (RateLimiter<Concurrency>, RateLimitLayer<RateLimiter<Concurrency>>) {
    let limiter = RateLimiter::new(at_once(calls));
    (limiter.clone(), RateLimitLayer::new(limiter))
}

fn free<A: tower_ratelimit::Algorithm>(limiter: &RateLimiter<A>) -> u32 {
    limiter.peek(0).remaining
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_held_from_readiness_to_the_response() {
    let (probe, watch) = Probe::new();
    let (limiter, layer) = limit(1);
    watch.work_for(100);
    let mut service = Spawn::new(layer.layer(probe));
    assert_eq!(free(&limiter), 1);
    assert_ready_ok!(service.poll_ready());
    assert_eq!(free(&limiter), 0);
    let mut response = task::spawn(service.call(1));
    assert_pending!(response.poll());
    assert_pending!(service.poll_ready());
    tokio::time::sleep(ms(100)).await;
    assert_eq!(free(&limiter), 0, "nobody knows yet that it has ended");
    assert_ready_ok!(response.poll());
    // Before the finished future is dropped.
    assert!(service.is_woken());
    assert_ready_ok!(service.poll_ready());
    assert_eq!(watch.calls(), [1]);
}

#[tokio::test(start_paused = true)]
async fn calls_follow_one_another_in_the_order_in_which_they_asked() {
    let (probe, watch) = Probe::new();
    let (_, layer) = limit(2);
    watch.work_for(100);
    let calls: Vec<_> =
        (0..6).map(|call| tokio::spawn(layer.layer(probe.clone()).oneshot(call))).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(watch.calls(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(watch.called_at(), [0, 0, 100, 100, 200, 200]);
}

#[tokio::test(start_paused = true)]
async fn serialized_calls_of_a_layer_begin_a_period_after_the_one_before_has_ended() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::wait_only(Serialized::new(Rate::new(1, ms(500)).unwrap()));
    watch.work_for(20);
    watch.fail(1);
    let calls: Vec<_> =
        (0..3).map(|call| tokio::spawn(layer.layer(probe.clone()).oneshot(call))).collect();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(call.await.unwrap().is_ok());
    }
    assert_eq!(outcomes, [false, true, true]);
    assert_eq!(watch.called_at(), [0, 520, 1040]);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_dropped_ends_its_call() {
    let (limiter, layer) = limit(1);
    let stuck = service_fn(async |(): ()| pending::<Result<(), Infallible>>().await);
    let mut service = Spawn::new(layer.layer(stuck));
    for polled in [true, false] {
        assert_ready_ok!(service.poll_ready());
        let mut response = task::spawn(service.call(()));
        if polled {
            assert_pending!(response.poll());
        }
        assert_pending!(service.poll_ready());
        drop(response);
        assert!(service.is_woken());
    }
    assert_ready_ok!(service.poll_ready());
    drop(service);
    assert_eq!(free(&limiter), 1);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_inner_service_ends_the_call() {
    let (probe, watch) = Probe::new();
    let (limiter, layer) = limit(1);
    watch.fail(1);
    let mut service = Spawn::new(layer.layer(probe));
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(1));
    assert!(matches!(assert_ready_err!(response.poll()), Error::Inner(_)));
    assert_eq!(free(&limiter), 1);
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_is_never_ready_keeps_a_permit_for_a_second_only() {
    let (probe, watch) = Probe::new();
    let (limiter, layer) = limit(1);
    let start = Instant::now();
    watch.close();
    let mut stuck = Spawn::new(layer.layer(probe));
    assert_pending!(stuck.poll_ready());
    assert_eq!(free(&limiter), 0);
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), ms(1000));
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_call() {
    async fn panics() -> Result<(), Infallible> {
        panic!("on purpose")
    }
    let (limiter, layer) = limit(1);
    // In the future, and in `call` itself.
    let service = layer.layer(service_fn(|(): ()| panics()));
    assert!(tokio::spawn(service.oneshot(())).await.unwrap_err().is_panic());
    assert_eq!(free(&limiter), 1);
    let service = layer.layer(service_fn(|now: bool| match now {
        true => panic!("on purpose"),
        false => panics(),
    }));
    assert!(tokio::spawn(service.oneshot(true)).await.unwrap_err().is_panic());
    assert_eq!(free(&limiter), 1);
}

/// Panics when a call is let through, before it begins.
#[derive(Clone)]
struct Panics;

impl<E> Reply<(), E> for Panics {
    type Error = E;
    type Note = ();

    fn note(
        &self,
        _: Result<(), &RateLimited>,
        _: impl Fn(&mut dyn FnMut(Standing<'_>)),
    ) -> Self::Note {
        panic!("on purpose")
    }

    fn refuse(&self, _: RateLimited, (): ()) -> Result<(), E> {
        Ok(())
    }

    fn inner(&self, error: E) -> E {
        error
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_between_the_permit_and_the_call_ends_the_call() {
    let inner = service_fn(|()| async { Ok::<_, Infallible>(()) });
    let (limiter, layer) = limit(1);
    let service = layer.refuse().reply(Panics).layer(inner);
    assert!(tokio::spawn(service.oneshot(())).await.unwrap_err().is_panic());
    assert_eq!(free(&limiter), 1);
    let limiter = KeyedRateLimiter::new(at_once(1));
    let layer = RateLimitLayer::per_key(|(): &()| 7_u32, limiter.clone()).reply(Panics);
    assert!(tokio::spawn(layer.layer(inner).oneshot(())).await.unwrap_err().is_panic());
    assert_eq!(limiter.key(&7_u32).peek(0).remaining, 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_aborted_ends_its_call_and_gives_up_its_place() {
    let (probe, watch) = Probe::new();
    let (limiter, layer) = limit(1);
    watch.work_for(1000);
    let [runs, waits, next] =
        [0, 1, 2].map(|call| tokio::spawn(layer.layer(probe.clone()).oneshot(call)));
    tokio::time::sleep(ms(10)).await;
    waits.abort();
    runs.abort();
    assert!(waits.await.unwrap_err().is_cancelled());
    assert!(runs.await.unwrap_err().is_cancelled());
    assert_eq!(next.await.unwrap().unwrap(), 2);
    assert_eq!(watch.called_at(), [0, 10]);
    assert_eq!(free(&limiter), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_readied_twice_holds_one_permit_and_its_clone_none() {
    let (probe, watch) = Probe::new();
    let (limiter, layer) = limit(3);
    let mut service = Spawn::new(layer.layer(probe));
    for _ in 0..3 {
        assert_ready_ok!(service.poll_ready());
        assert_eq!(free(&limiter), 2);
    }
    let mut clone = Spawn::new(service.get_ref().clone());
    assert_eq!(free(&limiter), 2);
    assert_ready_ok!(clone.poll_ready());
    assert_eq!(free(&limiter), 1);
    drop(clone);
    assert_eq!(free(&limiter), 2);
    service.call(1).await.unwrap();
    assert_eq!((free(&limiter), watch.calls()), (3, vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_service_readied_and_not_called_loses_its_permit_after_a_second() {
    let (probe, watch) = Probe::new();
    let (limiter, layer) = limit(1);
    let start = Instant::now();
    watch.work_for(200);
    let mut idle = Spawn::new(layer.layer(probe.clone()));
    assert_ready_ok!(idle.poll_ready());
    let next = tokio::spawn(layer.layer(probe).oneshot(2));
    until(start, 1100).await;
    // It is called all the same: the call waits for the other one.
    let late = idle.call(1);
    assert_eq!(free(&limiter), 0);
    assert_eq!(late.await.unwrap(), 1);
    assert_eq!(next.await.unwrap().unwrap(), 2);
    assert_eq!((watch.calls(), watch.called_at()), (vec![2, 1], vec![1000, 1200]));
    assert_eq!(free(&limiter), 1);
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_refuses_or_waits_not_too_long_never_calls_the_inner_service_for_it() {
    let (probe, watch) = Probe::new();
    let (limiter, layer) = limit(1);
    let start = Instant::now();
    let permit = limiter.try_acquire().unwrap();
    let refused = refusal(layer.clone().refuse().layer(probe.clone()).oneshot(1).await);
    assert_eq!((refused.reason(), refused.retry_after()), (Reason::UsedUp, None));
    assert_eq!(start.elapsed(), ms(0));
    // Nobody knows how long it will be: a maximum wait is a time-out.
    let impatient = layer.clone().max_wait(ms(300)).layer(probe.clone());
    let refused = refusal(impatient.clone().oneshot(2).await);
    assert_eq!((refused.reason(), refused.max_wait()), (Reason::UsedUp, Some(ms(300))));
    assert_eq!(start.elapsed(), ms(300));
    let waits = tokio::spawn(impatient.oneshot(3));
    tokio::time::sleep(ms(299)).await;
    drop(permit);
    assert_eq!(waits.await.unwrap().unwrap(), 3);
    assert_eq!(start.elapsed(), ms(599));
    assert_eq!(watch.calls(), [3]);
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_one_key_do_not_hold_those_of_another() {
    let (probe, watch) = Probe::new();
    // The key is the tens of the request.
    let layer = RateLimitLayer::per_key(|call: &u32| call / 10, at_once(1));
    let start = Instant::now();
    watch.work_for(100);
    let waiting = layer.clone().wait();
    let calls = [10, 11, 20, 12].map(|call| {
        let service = waiting.layer(probe.clone());
        tokio::spawn(async move { (service.oneshot(call).await.unwrap(), start.elapsed()) })
    });
    tokio::time::sleep(ms(50)).await;
    // A layer that refuses, on the limits of the other.
    let refused = refusal(layer.layer(probe.clone()).oneshot(21).await);
    assert_eq!((refused.reason(), refused.retry_after()), (Reason::UsedUp, None));
    let mut ended = Vec::new();
    for call in calls {
        ended.push(call.await.unwrap());
    }
    assert_eq!(ended, [(10, ms(100)), (11, ms(200)), (20, ms(100)), (12, ms(300))]);
    assert_eq!(layer.layer(probe).oneshot(21).await, Ok(21));
}

#[tokio::test(start_paused = true)]
async fn a_response_per_key_that_is_dropped_while_it_waits_or_runs_holds_nothing() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|_: &u32| (), at_once(1)).wait();
    watch.work_for(100);
    let mut service = layer.layer(probe);
    let mut runs = task::spawn(service.ready().await.unwrap().call(0));
    let mut waits = task::spawn(service.ready().await.unwrap().call(1));
    let mut next = task::spawn(service.ready().await.unwrap().call(2));
    assert_pending!(runs.poll());
    assert_pending!(waits.poll());
    assert_pending!(next.poll());
    drop(waits);
    drop(runs);
    assert!(next.is_woken());
    assert_eq!(next.await, Ok(2));
    assert_eq!((watch.calls(), watch.called_at()), (vec![0, 2], vec![0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_call_holds_as_many_permits_as_its_request_costs() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::per_key(|_: &u32| (), at_once(4))
        .terms(|cost: &u32, _| Terms { cost: *cost, patience: Patience::Forever });
    watch.work_for(100);
    let calls = [3, 2, 0, 1].map(|cost| tokio::spawn(layer.layer(probe.clone()).oneshot(cost)));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // The one of no cost passes; that of one permit stands behind that of two.
    assert_eq!((watch.calls(), watch.called_at()), (vec![3, 0, 2, 1], vec![0, 0, 100, 100]));
    let refused = refusal(layer.layer(probe).oneshot(5).await);
    assert_eq!(refused.reason(), Reason::TooCostly);
}

#[tokio::test(start_paused = true)]
async fn a_rate_around_calls_in_flight_is_not_used_up_by_waiting_for_them() {
    let (probe, watch) = Probe::new();
    let (_, inner) = limit(1);
    let rate = LeakyBucket::new(Rate::new(1, ms(100)).unwrap()).capacity(1).unwrap();
    let outer = RateLimitLayer::new(rate);
    watch.work_for(250);
    let service = outer.layer(inner.layer(probe));
    let calls = [0, 1, 2].map(|call| tokio::spawn(service.clone().oneshot(call)));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(watch.called_at(), [0, 250, 500]);
}
