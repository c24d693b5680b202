//! Calls in gRPC that are tried again.

use super::{QUOTA_FAILURE, RETRY_INFO, call, greet};
use crate::http::script::{Script, get};
use axum::body::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use std::{convert::Infallible, time::Duration};
use tokio::time::Instant;
use tonic::{Code, body::Body, client::GrpcService};
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, retry::RetryLayer, service_fn};
use tower_ratelimit::{
    LeakyBucket, Rate, RateLimitLayer,
    http::{HeedLayer, Heeding, ResourceExhausted, RetryPolicy},
};

#[tokio::test(start_paused = true)]
async fn a_call_is_tried_again_where_the_server_says_that_it_is_a_limit_or_asks_for_it() {
    let table = [
        // As when the answer was too large, after the method has run.
        ("grpc-status: 8", false),
        ("grpc-status: 8\nretry-after: soon", false),
        ("grpc-status: 8\nratelimit: \"a\";r=1;t=1", false),
        ("grpc-status: 8\nratelimit: \"a\";r=0;t=1", true),
        (RETRY_INFO, true),
        (QUOTA_FAILURE, true),
        ("grpc-status: 8\ngrpc-retry-pushback-ms: 1500", true),
        ("grpc-status: 8\nretry-after: 1", true),
        ("grpc-status: 8\ngrpc-retry-pushback-ms: -1", false),
        ("grpc-status: 8\ngrpc-retry-pushback-ms: soon", false),
        ("grpc-status: 14", false),
        ("grpc-status: 14\nretry-after: 1", false),
        ("grpc-status: 14\ngrpc-retry-pushback-ms: 1500", true),
        ("grpc-status: 14\ngrpc-retry-pushback-ms: -1", false),
        ("grpc-status: 13\ngrpc-retry-pushback-ms: 1500", false),
        ("grpc-status: 0", false),
    ];
    for (lines, is_tried_again) in table {
        let script = Script::of(&[(200, lines)]);
        let client = RetryLayer::new(RetryPolicy::new(2)).layer(script.client());
        let mut request = get("a");
        *request.method_mut() = Method::POST;
        let start = Instant::now();
        client.oneshot(request).await.unwrap();
        let asked = script.asked(start);
        assert_eq!(asked.len(), 1 + usize::from(is_tried_again), "{lines}");
        let said = if lines.contains("1500") { 1500 } else { 0 };
        assert!(asked.last().is_some_and(|last| asked.len() == 1 || *last >= said), "{lines}");
    }
}

/// One call a second for all.
fn server()
-> impl Service<Request<Full<Bytes>>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone {
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    let limit = RateLimitLayer::new(bucket).refuse().reply(ResourceExhausted);
    limit.layer(service_fn(greet))
}

/// Keeps the bodies of calls, so that they can be sent again.
fn keep_bodies<S>(
    client: S,
) -> impl GrpcService<Body, ResponseBody = Body, Error = BoxError> + Clone
where
    S: Service<Request<Full<Bytes>>, Response = Response<Body>> + Clone,
    S::Error: Into<BoxError>,
{
    service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = Full::new(body.collect().await?.to_bytes());
            client.oneshot(Request::from_parts(head, body)).await.map_err(Into::into)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_call_that_our_own_server_refuses_is_tried_again_after_the_wait() {
    let client = keep_bodies(RetryLayer::new(RetryPolicy::new(3)).layer(server()));
    let start = Instant::now();
    call(client.clone()).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(call(client).await.unwrap().into_inner(), "hello Ada");
    // And up to a second at random.
    assert!((1000..=2001).contains(&start.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn behind_the_layer_that_listens_it_is_tried_again_when_the_pause_ends() {
    let heeding = Heeding::new(Rate::per_second(1).unwrap());
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::new(3)))
        .layer(HeedLayer::new(|_: &Request<Full<Bytes>>| (), heeding))
        .service(server());
    let client = keep_bodies(client);
    let start = Instant::now();
    for seconds in 0..4 {
        assert_eq!(call(client.clone()).await.unwrap().into_inner(), "hello Ada");
        assert_eq!(start.elapsed(), Duration::from_secs(seconds));
    }
}

/// The budget of tower has ten retries a second at least, the policy three attempts for each call.
#[tokio::test(start_paused = true)]
async fn after_the_last_attempt_the_status_is_the_answer() {
    let script = Script::of(&[(200, "grpc-status: 8\ngrpc-retry-pushback-ms: 5"); 3]);
    let scripted = script.client();
    let client = RetryLayer::new(RetryPolicy::new(3)).layer(scripted);
    let response = client.oneshot(get("a")).await.unwrap();
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!((status.code(), script.count()), (Code::ResourceExhausted, 3));
}
