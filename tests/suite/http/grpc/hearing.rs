//! What clients hear of refusals in gRPC.

use super::{GREET, QUOTA_FAILURE, RETRY_INFO, Served, call, greet};
use crate::http::{
    eventually,
    script::{Script, get},
};
use axum::Router;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use prost::Message;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body, service::Routes, transport::Server};
use tonic_types::{RetryInfo, pb};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_ratelimit::{
    KeyedRateLimiter, LeakyBucket, ManualClock, Rate, RateLimitLayer, RateLimited, RateLimiter,
    Reason, SlidingWindow,
    http::{Heard, HeedLayer, Heeding, Host, Left, ResourceExhausted, resource_exhausted},
};

fn read(headers: &HeaderMap) -> Heard {
    Heard::read(StatusCode::OK, headers, SystemTime::UNIX_EPOCH)
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    lines.iter().map(line).collect()
}

fn refused(retry_after: Option<Duration>) -> Heard {
    Heard { refused: true, retry_after, left: None }
}

/// A refusal with these details, and a pushback where one is given.
fn with_details(details: Vec<u8>, pushback: Option<&str>) -> HeaderMap {
    let status = Status::with_details(Code::ResourceExhausted, "", details.into());
    let (mut head, ()) = status.into_http::<()>().into_parts();
    if let Some(pushback) = pushback {
        head.headers.insert("grpc-retry-pushback-ms", pushback.parse().unwrap());
    }
    head.headers
}

/// Details with one RetryInfo, behind something else.
fn retry_info(seconds: i64, nanos: i32) -> Vec<u8> {
    let mut info = pb::RetryInfo { retry_delay: Some(Default::default()) };
    let delay = info.retry_delay.as_mut().unwrap();
    (delay.seconds, delay.nanos) = (seconds, nanos);
    let mut status = pb::Status { code: 8, message: String::new(), details: Vec::new() };
    status.details.resize_with(2, Default::default);
    "type.googleapis.com/google.rpc.Help".clone_into(&mut status.details[0].type_url);
    status.details[0].value = b"\xff\xff\xff".to_vec();
    RetryInfo::TYPE_URL.clone_into(&mut status.details[1].type_url);
    status.details[1].value = info.encode_to_vec();
    status.encode_to_vec()
}

#[test]
fn the_wait_of_our_own_refusals_is_heard_and_never_cut_short() {
    let days_24 = Duration::from_millis(i32::MAX as u64);
    for wait in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_millis(1),
        Duration::from_nanos(1_000_001),
        Duration::new(59, 999_999_999),
        days_24,
        days_24 + Duration::from_nanos(1),
        RetryInfo::MAX_RETRY_DELAY,
    ] {
        for reason in [Reason::UsedUp, Reason::Unavailable] {
            let status = resource_exhausted(&RateLimited::new(reason).with_retry_after(wait));
            let heard = read(status.into_http::<()>().headers());
            // Also said in milliseconds, rounded up.
            let said = heard.retry_after.unwrap();
            assert!(heard.refused && wait <= said && said - wait < Duration::from_millis(1));
            assert_eq!(heard.pause(), Some(said));
        }
    }
}

#[test]
fn only_unavailable_is_a_refusal_where_nothing_else_is_said() {
    for code in (0..18).map(Code::from_i32) {
        let heard = read(Status::new(code, "").into_http::<()>().headers());
        // RESOURCE_EXHAUSTED can be a message that is too large.
        let is_refusal = code == Code::Unavailable;
        assert_eq!(heard, Heard { refused: is_refusal, ..Heard::default() }, "{code:?}");
        // A second where nothing is said.
        assert_eq!(heard.pause(), is_refusal.then_some(Duration::from_secs(1)));
    }
    for garbage in ["", "x", "-8", "08", "8 8", "99999999999999999999"] {
        assert_eq!(read(&headers(&[("grpc-status", garbage)])), Heard::default(), "{garbage}");
    }
    let status = resource_exhausted(&RateLimited::new(Reason::TooCostly));
    assert_eq!(read(status.into_http::<()>().headers()), refused(None));
}

#[test]
fn of_all_ways_to_say_it_the_longest_counts_and_what_cannot_be_read_is_not_there() {
    let ms = Duration::from_millis;
    let info = |seconds, nanos| with_details(retry_info(seconds, nanos), None);
    let plain = |lines: &[(&'static str, &str)]| {
        let mut all = headers(&[("grpc-status", "14")]);
        all.extend(headers(lines));
        all
    };
    let table = [
        (info(1, 500_000_000), Some(ms(1500))),
        (with_details(retry_info(1, 0), Some("1200")), Some(ms(1200))),
        (with_details(retry_info(2, 0), Some("1200")), Some(ms(2000))),
        (with_details(retry_info(2, 0), Some("-1")), Some(ms(2000))),
        (with_details(retry_info(2, 0), Some("soon")), Some(ms(2000))),
        // A negative one is over, whatever tonic's own type makes of the least number.
        (info(-1, -5), Some(ms(0))),
        (info(i64::MIN, i32::MIN), Some(ms(0))),
        (info(3, -5), Some(ms(3000))),
        (info(i64::MAX, i32::MAX), Some(Duration::new(999_999_999_999_999 + 2, 147_483_647))),
        // tonic itself panics here.
        (plain(&[("grpc-status-details-bin", "!no base64!")]), None),
        (plain(&[("grpc-status-details-bin", "")]), None),
        (plain(&[("grpc-retry-pushback-ms", "1500")]), Some(ms(1500))),
        (plain(&[("grpc-retry-pushback-ms", "0")]), Some(ms(0))),
        (plain(&[("grpc-retry-pushback-ms", "-1")]), None),
        (plain(&[("grpc-retry-pushback-ms", "1.5")]), None),
        (plain(&[("grpc-retry-pushback-ms", "")]), None),
        (
            plain(&[("grpc-retry-pushback-ms", "18446744073709551615")]),
            Some(ms(999_999_999_999_999)),
        ),
        // As proxies write it that know plain HTTP.
        (plain(&[("retry-after", "3")]), Some(ms(3000))),
        (plain(&[("retry-after", "3"), ("grpc-retry-pushback-ms", "2000")]), Some(ms(3000))),
    ];
    for (headers, wait) in table {
        assert_eq!(read(&headers), refused(wait), "{headers:?}");
    }
    let vague = [
        Vec::new(),
        vec![0xff; 9],
        retry_info(1, 0)[..9].to_vec(),
        pb::Status::default().encode_to_vec(),
    ];
    for details in vague {
        assert_eq!(read(&with_details(details.clone(), None)), Heard::default());
        assert_eq!(read(&with_details(details, Some("-1"))), refused(None));
    }
    let fields = plain(&[("ratelimit", "\"a\";r=0;t=30")]);
    let left = Some(Left { calls: 0, within: Duration::from_secs(30) });
    assert_eq!(read(&fields), Heard { left, ..refused(None) });
}

#[tokio::test(start_paused = true)]
async fn every_way_to_say_it_pauses_a_client() {
    let table = [
        ("grpc-status: 8\ngrpc-retry-pushback-ms: 1500", 1500),
        ("grpc-status: 14\nretry-after: 2", 2000),
        ("grpc-status: 8", 0),
        ("grpc-status: 8\ngrpc-retry-pushback-ms: -1", 1000),
        (QUOTA_FAILURE, 1000),
        ("grpc-status: 8\nratelimit: \"a\";r=0;t=30", 30_000),
        (RETRY_INFO, 1500),
        ("grpc-status: 0", 0),
        ("grpc-status: 13\ngrpc-retry-pushback-ms: 1500", 0),
    ];
    for (lines, pause) in table {
        let script = Script::of(&[(200, lines)]);
        let heeding = Heeding::new(Rate::per_second(10).unwrap());
        let client = HeedLayer::new(Host, heeding).layer(script.client());
        let start = Instant::now();
        client.clone().oneshot(get("a")).await.unwrap();
        client.oneshot(get("a")).await.unwrap();
        assert_eq!(script.asked(start), [0, pause], "{lines}");
    }
}

#[tokio::test]
async fn a_client_pauses_as_our_own_server_says_and_is_not_refused_again() {
    let clock = ManualClock::new();
    let window = SlidingWindow::new(Rate::per_minute(2).unwrap());
    let limiter = RateLimiter::builder(window).clock(clock.clone()).build();
    let refusals = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refusals);
    let reply = ResourceExhausted.change(move |_, _: &mut http::Response<Body>| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let limit = RateLimitLayer::new(limiter).refuse().reply(reply);
    let routes = Routes::from(Router::new().route_service(GREET, service_fn(greet)));
    let served = Served::start(|incoming| {
        Server::builder().layer(limit).add_routes(routes).serve_with_incoming(incoming)
    })
    .await;

    // One a second, and the server has room for two a minute.
    let heeding = Heeding::new(Rate::per_second(1).unwrap());
    let pauses = KeyedRateLimiter::builder(heeding).clock(clock.clone()).build();
    // One server, whatever stands in a request, which has no host yet.
    let layer = HeedLayer::new(|_: &Request<Body>| (), pauses.clone());
    let client = ServiceBuilder::new().layer(layer).service(served.channel.clone());
    call(client.clone()).await.unwrap();
    call(client.clone()).await.unwrap();
    clock.advance(Duration::from_millis(1500));
    assert_eq!(call(client.clone()).await.unwrap_err().code(), Code::ResourceExhausted);
    let pause = pauses.key(&());
    assert_eq!(pause.peek(1).retry_after(), Some(Duration::from_millis(58_500)));

    let waiting = [(); 2].map(|()| tokio::spawn(call(client.clone())));
    let behind_two = Some(Duration::from_millis(60_500));
    eventually("two stand in line", || pause.peek(1).retry_after() == behind_two).await;
    clock.advance(Duration::from_millis(58_500));
    let answered = || waiting.iter().filter(|call| call.is_finished()).count();
    eventually("one is answered", || answered() == 1).await;
    clock.advance(Duration::from_secs(1));
    for call in waiting {
        assert_eq!(call.await.unwrap().unwrap().into_inner(), "hello Ada");
    }
    assert_eq!(refusals.load(Ordering::SeqCst), 1);
}

/// What a method itself refuses, without a layer, is heard as well.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_method_pauses_a_client_too() {
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(1).unwrap();
    let limiter = RateLimiter::new(bucket);
    let server = service_fn(move |request: Request<Body>| {
        let limiter = limiter.clone();
        async move {
            let refuse = service_fn(async |name: tonic::Request<String>| {
                limiter.try_acquire().map_err(|refusal| resource_exhausted(&refusal))?;
                Ok::<_, Status>(tonic::Response::new(name.into_inner()))
            });
            Ok::<_, std::io::Error>(
                tonic::server::Grpc::new(super::texts()).unary(refuse, request).await,
            )
        }
    });
    let heeding = Heeding::new(Rate::per_second(1).unwrap());
    let client = HeedLayer::new(|_: &Request<Body>| (), heeding).layer(server);
    let start = Instant::now();
    call(client.clone()).await.unwrap();
    assert_eq!(call(client.clone()).await.unwrap_err().code(), Code::ResourceExhausted);
    for seconds in 1..4 {
        call(client.clone()).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(seconds));
    }
}
