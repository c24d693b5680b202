//! Responses as they are on the wire, byte by byte.

use super::{
    Server,
    fields::{bucket, rate},
};
use axum::{Router, routing::get};
use http::{HeaderName, HeaderValue};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_ratelimit::{
    Concurrency, JointLayer, JointLimiter, KeyedRateLimiter, ManualClock, RateLimitLayer,
    SlidingWindow,
    http::{
        FieldGeneration::{Draft11, XRateLimit},
        PeerIp, RateLimitFields, TooManyRequests,
    },
};

/// What the server sends to one request, but for the date.
async fn raw(server: &Server) -> String {
    let url = server.url("");
    let address = url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).await.unwrap();
    let lines = response.split_inclusive("\r\n").filter(|line| !line.starts_with("date: "));
    lines.collect()
}

/// A response without its date, from its lines.
fn wire(lines: &[&str], body: &str) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect::<String>() + "\r\n" + body
}

fn pages(clock: &ManualClock) -> KeyedRateLimiter<SlidingWindow> {
    let limit = SlidingWindow::new(rate("60/min"));
    KeyedRateLimiter::builder(limit).name("pages").clock(clock.clone()).build()
}

#[tokio::test]
async fn a_limit_per_address_as_its_documentation_shows_it() {
    let clock = ManualClock::new();
    let layer = RateLimitLayer::per_key(PeerIp::default(), pages(&clock));
    let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap();
    let server = Server::start(Router::new().route("/", get(async || "hello")).layer(layer)).await;
    let policy = r#"ratelimit-policy: "pages";q=60;w=60"#;
    let hello = [
        "HTTP/1.1 200 OK",
        "content-type: text/plain; charset=utf-8",
        policy,
        r#"ratelimit: "pages";r=59;t=60"#,
        "content-length: 5",
        "connection: close",
    ];
    assert_eq!(raw(&server).await, wire(&hello, "hello"));
    for _ in 1..60 {
        raw(&server).await;
    }
    clock.advance(Duration::from_millis(54_321));
    let refused = [
        "HTTP/1.1 429 Too Many Requests",
        "cache-control: no-store",
        "retry-after: 6",
        policy,
        r#"ratelimit: "pages";r=0;t=6"#,
        "connection: close",
        "content-length: 0",
    ];
    assert_eq!(raw(&server).await, wire(&refused, ""));
}

#[tokio::test]
async fn calls_that_end_with_their_bodies_say_it_too() {
    let layer = RateLimitLayer::per_key(PeerIp::default(), Concurrency::new(2).unwrap());
    let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap().until_body_end();
    let server = Server::start(Router::new().route("/", get(async || "hello")).layer(layer)).await;
    let hello = [
        "HTTP/1.1 200 OK",
        "content-type: text/plain; charset=utf-8",
        r#"ratelimit-policy: "default";q=2;qu="concurrent-requests""#,
        r#"ratelimit: "default";r=1"#,
        "content-length: 5",
        "connection: close",
    ];
    assert_eq!(raw(&server).await, wire(&hello, "hello"));
}

#[tokio::test]
async fn several_limits_a_problem_and_the_older_fields() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let burst = limits.limit("burst", SlidingWindow::new(rate("100/min"))).unwrap();
    let daily = limits.limit("daily", bucket("1/day", 1)).unwrap();
    let reply = TooManyRequests.problem().change(|_, response: &mut http::Response<_>| {
        let (name, value) =
            (HeaderName::from_static("link"), HeaderValue::from_static("</prices>"));
        response.headers_mut().insert(name, value);
    });
    let rules =
        move |limits: &JointLimiter, _: &http::Request<_>| limits.on(burst, &()).on(daily, &());
    let layer = JointLayer::new(limits.build(), rules).reply(reply);
    let fields = RateLimitFields::on_refusal(Draft11).and(XRateLimit);
    let layer = layer.fields(fields).unwrap();
    let server = Server::start(Router::new().route("/", get(async || "hello")).layer(layer)).await;
    let hello = [
        "HTTP/1.1 200 OK",
        "content-type: text/plain; charset=utf-8",
        "content-length: 5",
        "connection: close",
    ];
    assert_eq!(raw(&server).await, wire(&hello, "hello"));
    let body = concat!(
        r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","#,
        r#""title":"Request cannot be satisfied as assigned quota has been exceeded","#,
        r#""status":429,"violated-policies":["daily"]}"#,
    );
    let refused = [
        "HTTP/1.1 429 Too Many Requests",
        "cache-control: no-store",
        "retry-after: 86400",
        "content-type: application/problem+json",
        "link: </prices>",
        r#"ratelimit-policy: "burst";q=100;w=60, "daily";q=1;w=86400"#,
        r#"ratelimit: "daily";r=0;t=86400, "burst";r=99;t=60"#,
        "x-ratelimit-limit: 1",
        "x-ratelimit-remaining: 0",
        "x-ratelimit-reset: 86400",
        &format!("content-length: {}", body.len()),
        "connection: close",
    ];
    assert_eq!(raw(&server).await, wire(&refused, body));
}
