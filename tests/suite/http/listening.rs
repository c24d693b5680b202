//! Clients that do as the server says.

use super::script::{Script, get};
use http::{Request, Response, StatusCode};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_ratelimit::{
    Error, LeakyBucket, Patience, Rate, RateLimitLayer, RateLimited, Reason, SlidingWindow, Terms,
    http::{HeedLayer, Heeding, Host, too_many_requests},
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn heeding() -> Heeding {
    Heeding::new(Rate::per_second(10).unwrap())
}

async fn all<S>(client: &S, hosts: &[&str]) -> Vec<Result<StatusCode, Error<std::io::Error>>>
where
    S: Service<Request<()>, Response = Response<()>, Error = Error<std::io::Error>>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let mut calls = JoinSet::new();
    for host in hosts {
        let call = client.clone().oneshot(get(host));
        calls.spawn(async move { call.await.map(|response| response.status()) });
    }
    calls.join_all().await
}

#[tokio::test(start_paused = true)]
async fn a_refusal_pauses_all_clones_of_all_services_of_a_layer_but_not_other_servers() {
    let script = Script::of(&[(429, "retry-after: 2")]);
    let layer = HeedLayer::new(Host, heeding());
    let [one, other] = [layer.layer(script.client()), layer.layer(script.client())];
    let start = Instant::now();
    assert_eq!(all(&one, &["a"]).await[0].as_ref().unwrap(), &429);
    let [mine, others] = [["a", "a", "b"], ["A:80", "b", "a"]];
    let [mine, others] = tokio::join!(all(&one, &mine), all(&other, &others)).into();
    assert!(mine.iter().chain(&others).all(|result| result.as_ref().unwrap() == &200));
    assert_eq!(script.asked(start), [0, 0, 0, 2000, 2100, 2200, 2300]);
}

#[tokio::test(start_paused = true)]
async fn a_client_can_wait_in_the_hope_that_others_give_up() {
    let script = Script::of(&[(429, "retry-after: 2")]);
    let layer = HeedLayer::new(Host, heeding()).patience(Patience::Timeout(ms(500)));
    let client = layer.layer(script.client());
    let start = Instant::now();
    assert_eq!(all(&client, &["a"]).await[0].as_ref().unwrap(), &429);
    let refused = all(&client, &["a"]).await.remove(0).unwrap_err();
    assert_eq!(refused.limited().unwrap().reason(), Reason::UsedUp);
    assert_eq!((start.elapsed(), script.count()), (ms(500), 1));
}

#[tokio::test(start_paused = true)]
async fn every_way_to_say_it_pauses_a_client() {
    let table = [
        ((429, "retry-after: 2"), 2000),
        ((503, "retry-after: 0.5"), 1000),
        (
            (
                429,
                "date: Sat, 21 Nov 2026 18:00:00 GMT\nretry-after: Sat, 21 Nov 2026 18:01:30 GMT",
            ),
            90_000,
        ),
        ((429, "retry-after: garbage"), 1000),
        ((503, ""), 1000),
        ((429, "retry-after: garbage\nratelimit: \"a\";r=0;t=30"), 30_000),
        ((200, "ratelimit: \"a\";r=0;t=30"), 30_000),
        ((200, "ratelimit: limit=9, remaining=0, reset=7"), 7000),
        ((200, "ratelimit-remaining: 0\nratelimit-reset: 8"), 8000),
        (
            (
                200,
                "date: Sat, 21 Nov 2026 18:00:00 GMT\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 1795284009",
            ),
            9000,
        ),
        ((429, "age: 3\nretry-after: 9"), 6000),
        ((429, "age: 9\nretry-after: 9"), 0),
        ((429, "age: 3"), 0),
        ((200, "retry-after: 9"), 0),
        ((404, ""), 0),
    ];
    for (answer, pause) in table {
        let script = Script::of(&[answer]);
        let client = HeedLayer::new(Host, heeding()).layer(script.client());
        let start = Instant::now();
        all(&client, &["a"]).await;
        all(&client, &["a"]).await;
        assert_eq!(script.asked(start), [0, pause], "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn absurd_pauses_fail_at_once_and_say_so() {
    for wait in ["601", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let script = Script::of(&[(429, &format!("retry-after: {wait}"))]);
        let client = HeedLayer::new(Host, heeding()).layer(script.client());
        let start = Instant::now();
        all(&client, &["a"]).await;
        let refused = all(&client, &["a"]).await.remove(0).unwrap_err();
        let refused = refused.limited().unwrap();
        assert_eq!(refused.reason(), Reason::UsedUp);
        assert_eq!(refused.max_wait(), Some(Duration::from_secs(600)));
        assert!(refused.retry_after().is_some_and(|wait| wait > Duration::from_secs(600)));
        assert_eq!(script.asked(start), [0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_can_accept_more_or_less() {
    let script = Script::of(&[(429, "retry-after: 700"), (429, "retry-after: 2")]);
    let layer = HeedLayer::new(Host, heeding());
    let [waits, within, hasty] =
        [layer.clone().wait(), layer.clone().max_wait(ms(1999)), layer.refuse()]
            .map(|layer| layer.layer(script.client()));
    let start = Instant::now();
    all(&hasty, &["a"]).await;
    assert!(all(&hasty, &["a"]).await[0].is_err());
    all(&waits, &["a"]).await;
    assert!(all(&within, &["a"]).await[0].is_err());
    assert_eq!(script.asked(start), [0, 700_000]);
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_faster_than_the_limit_outside_lets_it() {
    let script = Script::of(&[(429, "retry-after: 2")]);
    let start = Instant::now();
    let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(1).unwrap();
    let limit = RateLimitLayer::per_key(Host, bucket).wait();
    let client = limit.layer(HeedLayer::new(Host, heeding()).layer(script.client()));
    let client = client.map_err(|error: Error<Error<std::io::Error>>| error.flatten());
    all(&client, &["a"; 40]).await;
    let asked = script.asked(start);
    assert_eq!(asked[..4], [0, 2000, 2100, 2200]);
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= 100), "{asked:?}");
    assert_eq!(asked.len(), 40);
}

#[tokio::test(start_paused = true)]
async fn limits_per_host_and_per_route_with_weights_and_patience_stand_around_one_client() {
    let script = Script::of(&[]);
    let bucket = |rate| LeakyBucket::new(Rate::per_second(rate).unwrap()).capacity(rate).unwrap();
    let route = |request: &Request<()>| request.uri().path().to_owned();
    let search_costs_more = |request: &Request<()>, terms: Terms| match request.uri().path() {
        "/search" => Terms { cost: 5, patience: Patience::Now },
        _ => terms,
    };
    let client = tower::ServiceBuilder::new()
        .map_err(|error: Error<Error<Error<std::io::Error>>>| error.flatten().flatten())
        .layer(RateLimitLayer::per_key(Host, bucket(10)).terms(search_costs_more).wait())
        .layer(RateLimitLayer::per_key(route, bucket(2)).wait())
        .layer(HeedLayer::new(Host, heeding()))
        .service(script.client());
    let ask = |path: &str| {
        let request = Request::get(format!("http://a{path}")).body(()).unwrap();
        client.clone().oneshot(request)
    };
    let start = Instant::now();
    for path in ["/search", "/search", "/other", "/other", "/other"] {
        ask(path).await.unwrap();
    }
    // The search has ten for both, the third of the others waits for its route.
    let refused: RateLimited = ask("/search").await.unwrap_err().limited().unwrap().clone();
    assert_eq!((refused.cost(), refused.max_wait()), (5, Some(Duration::ZERO)));
    assert_eq!(script.asked(start), [0, 0, 100, 200, 600]);
}

#[tokio::test(start_paused = true)]
async fn after_its_first_pause_a_client_is_not_refused_again_by_our_own_server() {
    let refused = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&refused);
    let limit = SlidingWindow::new(Rate::per_second(10).unwrap());
    let server = RateLimitLayer::new(limit).refuse().respond(move |refusal| {
        seen.lock().unwrap().push(Instant::now());
        Ok(too_many_requests(&refusal))
    });
    let inner = service_fn(async |_: Request<()>| Ok::<_, std::io::Error>(Response::new(())));
    let client = HeedLayer::new(Host, heeding()).layer(server.layer(inner));
    let start = Instant::now();
    // The eleventh is refused, and the twelfth the first to pause.
    all(&client, &["a"; 12]).await;
    let answers = all(&client, &["a"; 100]).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap() == &200));
    assert_eq!(*refused.lock().unwrap(), [start]);
    // Ten a second, from one second on.
    assert_eq!(start.elapsed(), ms(1000 + 100 * 100));
}
