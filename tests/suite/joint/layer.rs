//! The layers over several limits.

use super::{ms, one_per, window};
use http::{Request, Response, StatusCode};
use std::convert::Infallible;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_ratelimit::{
    Concurrency, Error, JointLayer, JointLimiter, LimitId, MissingKey, RateLimitLayer, Reason,
    http::TooManyRequests, limiter::OnLimits,
};

/// The tens say who asks; what both share lets one call through every 250 ms.
fn limits() -> (JointLimiter, LimitId, LimitId) {
    let mut limits = JointLimiter::builder();
    let own = limits.limit("own", window(2, 1000)).unwrap();
    let shared = limits.limit("shared", one_per(250)).unwrap();
    (limits.build(), own, shared)
}

#[tokio::test(start_paused = true)]
async fn a_layer_refuses_by_the_name_of_the_binding_limit_and_takes_nothing() {
    let (limiter, own, shared) = limits();
    let layer = JointLayer::new(limiter.clone(), move |limits: &JointLimiter, request: &u32| {
        limits.on(own, &(request / 10)).on(shared, &())
    });
    let service = service_fn(async |request: u32| Ok::<_, Infallible>(request));
    let mut service = layer.layer(service);
    assert_eq!(service.ready().await.unwrap().call(10).await, Ok(10));
    let refused = service.ready().await.unwrap().call(11).await.unwrap_err();
    let Error::Limited(refused) = refused;
    assert_eq!((refused.limit(), refused.retry_after()), (Some("shared"), Some(ms(250))));
    tokio::time::advance(ms(250)).await;
    assert_eq!(service.clone().oneshot(12).await, Ok(12));
    tokio::time::advance(ms(250)).await;
    let refused = service.clone().oneshot(13).await.unwrap_err();
    assert_eq!(refused.limited().unwrap().limit(), Some("own"));
    // The permit of what they share was not taken.
    assert_eq!(service.oneshot(20).await, Ok(20));
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_waits_does_so_in_the_response() {
    let (limiter, own, shared) = limits();
    let rules =
        move |limits: &JointLimiter, request: &u32| limits.on(own, &(request / 10)).on(shared, &());
    let service = service_fn(async |request: u32| Ok::<_, Infallible>(request));
    let service = JointLayer::new(limiter, rules).wait().layer(service);
    let start = Instant::now();
    let mut calls = Vec::new();
    for request in [10, 11, 12, 20] {
        calls.push(tokio::spawn(service.clone().oneshot(request)));
        tokio::task::yield_now().await;
    }
    let mut released = Vec::new();
    for call in calls {
        call.await.unwrap().unwrap();
        released.push(start.elapsed().as_millis());
    }
    // The third waits for its own limit, and the last stands behind it.
    assert_eq!(released, [0, 250, 1000, 1250]);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_key_is_refused_with_500_and_one_beyond_a_limit_with_429() {
    let (limiter, own, shared) = limits();
    let rules = move |limits: &JointLimiter, request: &Request<()>| -> Result<OnLimits, _> {
        let key = request.headers().get("x-api-key").ok_or(MissingKey::new("send one"))?;
        Ok(limits.on(own, key).on(shared, &()))
    };
    let layer = JointLayer::new(limiter, rules).reply(TooManyRequests);
    let service = service_fn(async |_| Ok::<_, Infallible>(Response::new(String::new())));
    let service = layer.layer(service);
    let request = |name| Request::builder().header(name, "a").body(()).unwrap();
    let Ok(response) = service.clone().oneshot(request("other")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let Ok(response) = service.clone().oneshot(request("x-api-key")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let Ok(response) = service.oneshot(request("x-api-key")).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_holds_its_permits_until_there_is_a_response() {
    let mut limits = JointLimiter::builder();
    let running = limits.limit("running", Concurrency::new(1).unwrap()).unwrap();
    let paced = limits.limit("paced", one_per(10)).unwrap();
    let rules = move |limits: &JointLimiter, (): &()| limits.on(running, &()).on(paced, &());
    let service = service_fn(async |()| {
        tokio::time::sleep(ms(100)).await;
        Ok::<_, Infallible>(())
    });
    let service = JointLayer::new(limits.build(), rules).wait().layer(service);
    let start = Instant::now();
    let calls = (0..3).map(|_| tokio::spawn(service.clone().oneshot(())));
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(start.elapsed(), ms(300));
}

#[tokio::test(start_paused = true)]
async fn several_limits_of_fixed_keys_are_waited_for_in_poll_ready() {
    let (limiter, own, shared) = limits();
    let on_limits = limiter.on(own, &1).on(shared, &());
    let mut service = ServiceBuilder::new()
        .layer(RateLimitLayer::new(on_limits.clone()))
        .service(service_fn(async |request: u32| Ok::<_, Infallible>(request)));
    let start = Instant::now();
    for (request, at) in [(1, 0), (2, 250), (3, 1000)] {
        assert_eq!(service.ready().await.unwrap().call(request).await, Ok(request));
        assert_eq!(start.elapsed(), ms(at));
    }
    // Readied and dropped, it gives the permits of both back.
    tokio::time::advance(ms(2000)).await;
    service.ready().await.unwrap();
    on_limits.try_acquire().map(drop).map_err(|refused| refused.reason()).unwrap_err();
    drop(service);
    drop(on_limits.try_acquire().unwrap());
    let refused = RateLimitLayer::new(on_limits)
        .refuse()
        .layer(service_fn(async |request: u32| Ok::<_, Infallible>(request)));
    let refused = refused.oneshot(4).await.unwrap_err();
    assert_eq!(refused.limited().unwrap().reason(), Reason::UsedUp);
}
