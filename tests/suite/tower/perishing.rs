//! A permit keeps for one interval. Readied services that are not called save nothing up, and take
//! nothing from anybody for longer than that.

use super::{at_once, ms, one_per, probe::Probe, refusal, strict, until, window};
use std::time::Duration;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt};
use tower_ratelimit::{ManualClock, RateLimitLayer, RateLimiter, Reason};
use tower_test::mock::Spawn;

/// Point 5.
#[tokio::test(start_paused = true)]
async fn an_idle_readied_service_gives_way_to_a_caller_who_comes_an_interval_later() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(window(2, 200)).refuse();
    let start = Instant::now();
    let mut idle = Spawn::new(layer.layer(probe.clone()));
    assert_ready_ok!(idle.poll_ready());
    assert_eq!(layer.layer(probe.clone()).oneshot(1).await, Ok(1));
    until(start, 99).await;
    refusal(layer.layer(probe.clone()).oneshot(2).await);
    until(start, 100).await;
    assert_eq!(layer.layer(probe).oneshot(3).await, Ok(3));
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn a_caller_in_line_gets_the_permit_of_an_idle_service_when_it_perishes() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(window(2, 200));
    let start = Instant::now();
    let mut idle = Spawn::new(layer.layer(probe.clone()));
    assert_ready_ok!(idle.poll_ready());
    assert_eq!(layer.layer(probe.clone()).oneshot(1).await, Ok(1));
    until(start, 50).await;
    assert_eq!(layer.layer(probe).oneshot(2).await, Ok(2));
    assert_eq!(watch.called_at(), [0, 100]);
}

/// Point 5: at once when another caller needs it, however the permits of others stand.
#[tokio::test(start_paused = true)]
async fn an_old_permit_goes_to_who_needs_it_also_behind_one_that_was_taken_anew() {
    let (probe, _) = Probe::new();
    let limiter = RateLimiter::new(window(3, 300));
    let layer = RateLimitLayer::new(limiter.clone());
    let start = Instant::now();
    limiter.try_acquire_many(3).unwrap();
    let mut renewed = Spawn::new(layer.layer(probe.clone()));
    let mut idle = Spawn::new(layer.layer(probe));
    assert_pending!(renewed.poll_ready());
    assert_pending!(idle.poll_ready());
    until(start, 300).await;
    assert_ready_ok!(idle.poll_ready());
    limiter.try_acquire().unwrap();
    // Let go at 300 ms and not polled until now, so it takes another permit.
    until(start, 400).await;
    assert_ready_ok!(renewed.poll_ready());
    until(start, 450).await;
    assert!(limiter.try_acquire().is_ok());
}

/// Point 5: nobody else is let go while a permit is good.
#[test]
fn a_permit_is_good_for_exactly_one_interval_and_nobody_is_let_go_meanwhile() {
    let interval = ms(100);
    let tick = Duration::from_nanos(1);
    for (idle_for, is_good) in [(interval - tick, true), (interval, false)] {
        let clock = ManualClock::new();
        let (probe, watch) = Probe::new();
        let limiter = RateLimiter::builder(strict(100)).clock(clock.clone()).build();
        let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).refuse().layer(probe));
        assert_ready_ok!(service.poll_ready());
        clock.advance(idle_for);
        assert_eq!(limiter.try_acquire().is_ok(), !is_good);
        let result = at_once(service.call(1));
        assert_eq!(result.is_ok(), is_good);
        assert_eq!(watch.calls().len(), usize::from(is_good));
    }
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn readied_services_that_sat_idle_cannot_fire_together() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(one_per(100));
    let start = Instant::now();
    let mut idle = Vec::new();
    for _ in 0..5 {
        let mut service = layer.layer(probe.clone());
        service.ready().await.unwrap();
        idle.push(service);
    }
    assert_eq!(start.elapsed(), ms(400));
    until(start, 1000).await;
    let calls: Vec<_> = idle.iter_mut().zip(0..).map(|(service, n)| service.call(n)).collect();
    let calls: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(watch.calls(), [0, 1, 2, 3, 4]);
    assert_eq!(watch.called_at(), [1000, 1100, 1200, 1300, 1400]);
    assert_eq!((watch.reservations(), watch.reserved()), (5, 0));
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn permits_saved_up_are_not_used_on_top_of_those_of_others() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(window(3, 300));
    let start = Instant::now();
    let layer = RateLimitLayer::new(limiter.clone());
    let mut idle: Vec<_> = (0..3).map(|_| Spawn::new(layer.layer(probe.clone()))).collect();
    for service in &mut idle {
        assert_ready_ok!(service.poll_ready());
    }
    until(start, 1000).await;
    limiter.try_acquire_many(3).unwrap();
    let calls: Vec<_> = idle.iter_mut().zip(0..).map(|(service, n)| service.call(n)).collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(watch.called_at(), [1300, 1300, 1300]);
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn of_idle_services_that_refuse_only_as_many_pass_as_the_limit_says() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let layer = RateLimitLayer::new(limiter).refuse();
    let start = Instant::now();
    let mut idle = Vec::new();
    for n in 0..5 {
        until(start, n * 100).await;
        let mut service = Spawn::new(layer.layer(probe.clone()));
        assert_ready_ok!(service.poll_ready());
        idle.push(service);
    }
    assert_eq!(watch.reserved(), 5);
    until(start, 1000).await;
    assert_eq!(idle[0].call(0).await, Ok(0));
    for service in &mut idle[1..] {
        assert_eq!(refusal(service.call(1).await).retry_after(), Some(ms(100)));
    }
    assert_eq!(watch.called_at(), [1000]);
}

/// Point 5: the usual path.
#[tokio::test(start_paused = true)]
async fn an_old_permit_is_replaced_in_place_where_the_limit_allows_it() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(probe));
    assert_ready_ok!(service.poll_ready());
    until(start, 150).await;
    let response = service.call(1);
    assert_eq!((watch.calls(), watch.called_at()), (vec![1], vec![150]));
    assert_eq!(response.await, Ok(1));
    // It paid for it.
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(100)));
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn an_old_permit_found_in_call_is_waited_for_anew_before_the_readied_service_is_called() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(probe));
    assert_ready_ok!(service.poll_ready());
    until(start, 150).await;
    limiter.try_acquire().unwrap();
    until(start, 160).await;
    let mut response = task::spawn(service.call(7));
    assert_pending!(response.poll());
    until(start, 249).await;
    assert_pending!(response.poll());
    assert!(watch.calls().is_empty());
    until(start, 250).await;
    assert!(response.is_woken());
    assert_eq!(assert_ready_ok!(response.poll()), 7);
    // One service was readied, and that one was called.
    assert_eq!((watch.called_at(), watch.reservations()), (vec![250], 1));
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(100)));
}

/// Points 5 and 7.
#[tokio::test(start_paused = true)]
async fn a_service_goes_on_after_its_call_left_it_to_wait() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    let mut service = RateLimitLayer::new(limiter.clone()).layer(probe);
    service.ready().await.unwrap();
    until(start, 150).await;
    limiter.try_acquire().unwrap();
    let first = tokio::spawn(service.call(1));
    assert_eq!(service.ready().await.unwrap().call(2).await, Ok(2));
    assert_eq!(first.await.unwrap(), Ok(1));
    assert_eq!(watch.calls(), [1, 2]);
    assert_eq!(watch.called_at(), [250, 350]);
}

/// Points 5 and 7.
#[tokio::test(start_paused = true)]
#[should_panic(expected = "`poll_ready` must be ready before `call`")]
async fn a_service_is_not_ready_for_a_second_call() {
    let (probe, _) = Probe::new();
    let mut service = Spawn::new(RateLimitLayer::new(one_per(1)).layer(probe));
    assert_ready_ok!(service.poll_ready());
    drop(service.call(1));
    drop(service.call(2));
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn an_old_permit_found_in_call_by_a_refusing_layer_is_a_refusal() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).refuse().layer(probe));
    assert_ready_ok!(service.poll_ready());
    until(start, 150).await;
    limiter.try_acquire().unwrap();
    until(start, 160).await;
    let refusal = refusal(service.call(1).await);
    assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::UsedUp, Some(ms(90))));
    assert!(watch.calls().is_empty());
    until(start, 250).await;
    assert_ready_ok!(service.poll_ready());
    assert_eq!(service.call(2).await, Ok(2));
}

/// Points 5 and 8.
#[tokio::test(start_paused = true)]
async fn an_old_permit_found_in_call_by_a_refusing_layer_leaves_nothing_reserved() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).refuse().layer(probe));
    assert_ready_ok!(service.poll_ready());
    until(start, 150).await;
    limiter.try_acquire().unwrap();
    refusal(service.call(1).await);
    assert_eq!(watch.reserved(), 0);
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn an_old_permit_found_in_call_waits_at_most_as_long_as_accepted() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let layer = RateLimitLayer::new(limiter.clone()).max_wait(ms(90));
    let start = Instant::now();
    let mut early = Spawn::new(layer.layer(probe.clone()));
    assert_ready_ok!(early.poll_ready());
    until(start, 100).await;
    let mut late = Spawn::new(layer.layer(probe));
    assert_ready_ok!(late.poll_ready());
    until(start, 250).await;
    limiter.try_acquire().unwrap();
    until(start, 259).await;
    assert_eq!(refusal(early.call(1).await).retry_after(), Some(ms(91)));
    until(start, 260).await;
    assert_eq!(late.call(2).await, Ok(2));
    assert_eq!(watch.called_at(), [350]);
}

/// Point 5.
#[tokio::test(start_paused = true)]
async fn an_old_permit_goes_back_at_the_next_poll_and_a_new_one_is_taken() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(probe));
    assert_ready_ok!(service.poll_ready());
    until(start, 150).await;
    assert_ready_ok!(service.poll_ready());
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(100)));
    until(start, 249).await;
    assert_eq!(service.call(1).await, Ok(1));
    assert_eq!(watch.called_at(), [249]);
}

/// Points 5 and 6: otherwise what the inner service reserved is held for the whole wait.
#[tokio::test(start_paused = true)]
async fn a_service_whose_permit_perished_holds_nothing_reserved_while_it_waits_anew() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).layer(probe));
    assert_ready_ok!(service.poll_ready());
    until(start, 150).await;
    limiter.try_acquire().unwrap();
    assert_pending!(service.poll_ready());
    assert_eq!(watch.reserved(), 0);
}

/// Points 5 and 8.
#[tokio::test(start_paused = true)]
async fn a_service_whose_permit_perished_holds_nothing_reserved_when_it_refuses() {
    let (probe, watch) = Probe::new();
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    let mut service = Spawn::new(RateLimitLayer::new(limiter.clone()).refuse().layer(probe));
    assert_ready_ok!(service.poll_ready());
    until(start, 150).await;
    limiter.try_acquire().unwrap();
    assert_ready_ok!(service.poll_ready());
    refusal(service.call(1).await);
    assert_eq!((watch.calls(), watch.reserved()), (vec![], 0));
}

/// Points 5 and 6.
#[tokio::test(start_paused = true)]
async fn a_strict_gap_counts_from_the_call() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(strict(100));
    let start = Instant::now();
    let mut service = Spawn::new(layer.layer(probe.clone()));
    assert_ready_ok!(service.poll_ready());
    let next = tokio::spawn(layer.layer(probe).oneshot(2));
    until(start, 60).await;
    assert_eq!(service.call(1).await, Ok(1));
    assert_eq!(next.await.unwrap(), Ok(2));
    assert_eq!(watch.called_at(), [60, 160]);
}

/// Points 5 and 6.
#[tokio::test(start_paused = true)]
async fn a_window_counts_from_the_call() {
    let (probe, watch) = Probe::new();
    let layer = RateLimitLayer::new(window(1, 100));
    let start = Instant::now();
    let mut service = Spawn::new(layer.layer(probe.clone()));
    assert_ready_ok!(service.poll_ready());
    let next = tokio::spawn(layer.layer(probe).oneshot(2));
    until(start, 60).await;
    assert_eq!(service.call(1).await, Ok(1));
    assert_eq!(next.await.unwrap(), Ok(2));
    assert_eq!(watch.called_at(), [60, 160]);
}
