//! What stands before a limiter, over each of the stores.

use super::{DEADLINE, ms, opened, until};
use crate::{
    http::{counter, direct},
    servers::{self, folder::Folder, redis::Server},
};
use axum::{Router, body::Body, extract::Request, http::StatusCode, response::IntoResponse};
use reqwest_middleware::ClientBuilder;
use std::{convert::Infallible, sync::atomic::Ordering::SeqCst, task::Poll, time::Duration};
use tokio::time::Instant;
use tokio_test::{assert_pending, task};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_ratelimit::{
    AnyAlgorithm, OnFailure, RateLimitLayer, RateLimited, Reason, StoredLimiter,
    http::{reqwest::Client, reqwest_middleware::RateLimitMiddleware},
    store::Store,
};

/// How long a call waits for the next slot.
const PACE: Duration = ms(100);

macro_rules! over_each_store {
    ($($behaviour:ident),+ $(,)?) => {$(
        mod $behaviour {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_sqlite() {
                let folder = Folder::new();
                super::$behaviour(folder.open()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_redis() {
                let server = Server::start().await;
                super::$behaviour(opened::redis(&server).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_postgres() {
                super::$behaviour(opened::postgres(&servers::postgres::url()).await).await;
            }
        }
    )+};
}

over_each_store![
    a_layer_refuses_what_the_store_refuses,
    a_layer_waits_for_the_turn_that_the_store_gives,
    a_service_that_is_dropped_has_taken_nothing,
    a_call_that_is_dropped_has_taken_nothing,
    a_service_that_is_dropped_leaves_its_turn_to_others,
    a_route_has_a_limit_for_each_key,
    a_route_waits_for_each_key_alone,
    a_client_of_reqwest_sends_nothing_that_is_refused,
    a_middleware_of_reqwest_sends_what_its_turn_has_come_for,
    threads_wait_for_their_turns,
];

type Limiter<S> = StoredLimiter<AnyAlgorithm, S>;

/// A limit by this line, which is its name as well.
fn limiter<S: Store<AnyAlgorithm>>(store: S, line: &str) -> Limiter<S> {
    let limiter = StoredLimiter::builder(line, store, line.parse().unwrap(), OnFailure::Refuse);
    limiter.deadline(DEADLINE * 50).unwrap().build().unwrap()
}

fn paced<S: Store<AnyAlgorithm>>(store: S) -> Limiter<S> {
    limiter(store, &format!("leaky bucket 1/{}ms, capacity 1", PACE.as_millis()))
}

async fn echo(number: u32) -> Result<u32, Infallible> {
    Ok(number)
}

async fn a_layer_refuses_what_the_store_refuses(store: impl Store<AnyAlgorithm>) {
    let layer = RateLimitLayer::new(limiter(store, "quota 2")).refuse();
    let service = ServiceBuilder::new().layer(layer).service(service_fn(echo));
    for number in 0..2 {
        assert_eq!(service.clone().oneshot(number).await.unwrap(), number);
    }
    let error = service.oneshot(2).await.unwrap_err();
    assert_eq!(error.limited().unwrap().reason(), Reason::Exhausted);
}

async fn a_layer_waits_for_the_turn_that_the_store_gives(store: impl Store<AnyAlgorithm>) {
    let layer = RateLimitLayer::new(paced(store));
    let mut service = ServiceBuilder::new().layer(layer).service(service_fn(echo));
    let start = Instant::now();
    for number in 0..4 {
        assert_eq!(service.ready().await.unwrap().call(number).await.unwrap(), number);
    }
    assert!(start.elapsed() >= PACE * 3, "the fourth slot is three intervals from the first");
}

/// Lets calls come that go away again, and says how many of them were answered before: what the others were
/// granted is there afterwards, and no more.
async fn takes_nothing<S: Store<AnyAlgorithm>>(
    store: S,
    come_and_go: impl AsyncFn(&Limiter<S>) -> u32,
) {
    for line in ["quota 10", "leaky bucket 1/1h, capacity 10"] {
        let limiter = limiter(store.clone(), line);
        let limit = limiter.key(&());
        let left = 10 - come_and_go(&limiter).await;
        let has_left = async || limit.try_acquire_many(left).await.is_ok();
        until("all others are back", has_left).await;
        limit.try_acquire().await.unwrap_err();
    }
}

async fn a_service_that_is_dropped_has_taken_nothing(store: impl Store<AnyAlgorithm>) {
    takes_nothing(store, async |limiter| {
        let layer = RateLimitLayer::new(limiter.clone());
        let service = ServiceBuilder::new().layer(layer).service(service_fn(echo));
        for _ in 0..3 {
            // One asks by itself, the others together. Some may have an answer at once.
            let mut services = [(); 3].map(|()| service.clone());
            for service in &mut services {
                let _ = task::spawn(service.ready()).poll();
            }
        }
        let mut unused = service.clone();
        unused.ready().await.unwrap();
        assert!(limiter.key(&()).peek(0).await.unwrap().remaining < 10);
        0
    })
    .await;
}

async fn a_call_that_is_dropped_has_taken_nothing(store: impl Store<AnyAlgorithm>) {
    takes_nothing(store, async |limiter| {
        let layer = RateLimitLayer::per_key(|_: &u32| (), limiter.clone());
        let mut service = ServiceBuilder::new().layer(layer).service(service_fn(echo));
        let mut answered = 0;
        for _ in 0..3 {
            let mut calls = [0, 1, 2].map(|number| task::spawn(service.call(number)));
            for call in &mut calls {
                answered += u32::from(matches!(call.poll(), Poll::Ready(Ok(_))));
            }
        }
        answered
    })
    .await;
}

async fn a_service_that_is_dropped_leaves_its_turn_to_others(store: impl Store<AnyAlgorithm>) {
    let limiter = limiter(store, "leaky bucket 1/1h, capacity 1");
    let hour = Duration::from_secs(3600);
    let limit = limiter.key(&());
    let next = async || limit.try_acquire().await.unwrap_err().retry_after().unwrap();
    let layer = RateLimitLayer::new(limiter.clone());
    let service = ServiceBuilder::new().layer(layer).service(service_fn(echo));
    service.clone().oneshot(1).await.unwrap();
    for _ in 0..3 {
        let mut waiting = service.clone();
        assert_pending!(task::spawn(waiting.ready()).poll());
        until("it has its turn", async || {
            assert_pending!(task::spawn(waiting.ready()).poll());
            next().await > hour
        })
        .await;
        drop(waiting);
        until("others have it", async || next().await <= hour).await;
    }
}

fn by_query(request: &Request) -> Option<String> {
    request.uri().query().map(str::to_owned)
}

async fn status(app: &Router, uri: &str) -> StatusCode {
    let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

async fn a_route_has_a_limit_for_each_key(store: impl Store<AnyAlgorithm>) {
    let too_many =
        |_: RateLimited| Ok::<_, Infallible>(StatusCode::TOO_MANY_REQUESTS.into_response());
    let layer = RateLimitLayer::per_key(by_query, limiter(store, "quota 2")).respond(too_many);
    let app = Router::new().route("/", axum::routing::get(async || "hello")).layer(layer);
    for (uri, expected) in
        [("/?a", 200), ("/?a", 200), ("/?a", 429), ("/?b", 200), ("/?a", 429), ("/?b", 200)]
    {
        assert_eq!(status(&app, uri).await, expected, "{uri}");
    }
}

async fn a_route_waits_for_each_key_alone(store: impl Store<AnyAlgorithm>) {
    let refused = |_: RateLimited| Ok::<_, Infallible>(StatusCode::IM_A_TEAPOT.into_response());
    let layer = RateLimitLayer::per_key(by_query, paced(store)).wait().respond(refused);
    let app = Router::new().route("/", axum::routing::get(async || "hello")).layer(layer);
    let start = Instant::now();
    let (a, b, c, d) = tokio::join!(
        status(&app, "/?a"),
        status(&app, "/?b"),
        status(&app, "/?a"),
        status(&app, "/?b"),
    );
    assert_eq!([a, b, c, d], [StatusCode::OK; 4]);
    assert!(start.elapsed() >= PACE);
}

async fn a_client_of_reqwest_sends_nothing_that_is_refused(store: impl Store<AnyAlgorithm>) {
    let (web, arrived) = counter().await;
    let layer = RateLimitLayer::new(limiter(store, "quota 2")).refuse();
    let client = Client::new(direct(), layer);
    for _ in 0..2 {
        assert_eq!(client.get(web.url("/")).send().await.unwrap().text().await.unwrap(), "hello");
    }
    let error = client.get(web.url("/")).send().await.unwrap_err();
    assert_eq!(error.limited().unwrap().reason(), Reason::Exhausted);
    assert_eq!(arrived.load(SeqCst), 2);
}

async fn a_middleware_of_reqwest_sends_what_its_turn_has_come_for(store: impl Store<AnyAlgorithm>) {
    let (web, arrived) = counter().await;
    let client = |limit| ClientBuilder::new(direct()).with(limit).build();
    let waits = client(RateLimitMiddleware::new(paced(store.clone())));
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(waits.get(web.url("/")).send().await.unwrap().status(), 200);
    }
    assert!(start.elapsed() >= PACE * 2);
    let refuses = client(RateLimitMiddleware::new(limiter(store, "quota 1")).refuse());
    refuses.get(web.url("/")).send().await.unwrap();
    let error = refuses.get(web.url("/")).send().await.unwrap_err();
    let reqwest_middleware::Error::Middleware(error) = error else { panic!("{error}") };
    assert_eq!(error.downcast::<RateLimited>().unwrap().reason(), Reason::Exhausted);
    assert_eq!(arrived.load(SeqCst), 4);
}

async fn threads_wait_for_their_turns(store: impl Store<AnyAlgorithm>) {
    let limit = paced(store).key("a");
    let start = Instant::now();
    let threads = [(); 4].map(|()| {
        let limit = limit.clone();
        tokio::task::spawn_blocking(move || limit.acquire().blocking_wait().unwrap().waited())
    });
    for thread in threads {
        thread.await.unwrap();
    }
    assert!(start.elapsed() >= PACE * 3, "the fourth slot is three intervals from the first");
}
