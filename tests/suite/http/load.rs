//! A server under the load of many connections at once.

use super::Server;
use axum::Router;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Bytes, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use sfv::{BareItem, List, ListEntry, Parser};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpStream, task::JoinSet};
use tower_ratelimit::{
    KeyedRateLimiter, ManualClock, Rate, RateLimitLayer, SlidingWindow,
    http::{ClientIp, FieldGeneration::Draft11, RateLimitFields, TooManyRequests, TrustedProxies},
};

const CONNECTIONS: usize = 100;
const CLIENTS: usize = 4;
const REQUESTS: usize = 12;
const PERMITS: u32 = 30;

/// A connection that is never made anew: its requests all go over one socket.
async fn connect(server: &Server) -> SendRequest<Empty<Bytes>> {
    let url = server.url("");
    let socket = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let (requests, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    requests
}

/// The only member of a field, as a parser of structured fields reads it.
fn member(headers: &HeaderMap, field: &str) -> (String, Vec<(String, i64)>) {
    let lines: Vec<_> = headers.get_all(field).iter().collect();
    let [line] = lines[..] else { panic!("{field}: {lines:?}") };
    let list: List = Parser::new(line.as_bytes()).parse().unwrap();
    let [ListEntry::Item(item)] = &list[..] else { panic!("{field}: {line:?}") };
    let BareItem::String(name) = &item.bare_item else { panic!("{field}: {line:?}") };
    let number = |(key, value): (&sfv::Key, &BareItem)| match value {
        BareItem::Integer(number) => (key.as_str().to_owned(), i64::from(*number)),
        _ => panic!("{field}: {line:?}"),
    };
    (name.as_str().to_owned(), item.params.iter().map(number).collect())
}

fn parameters(numbers: &[(&str, i64)]) -> Vec<(String, i64)> {
    numbers.iter().map(|(key, number)| ((*key).to_owned(), *number)).collect()
}

/// Whether it was let through; all that it says is looked at.
fn admitted(response: http::Response<Bytes>) -> bool {
    let (head, body) = response.into_parts();
    let headers = &head.headers;
    let policy = ("pages".to_owned(), parameters(&[("q", PERMITS.into()), ("w", 60)]));
    assert_eq!(member(headers, "ratelimit-policy"), policy);
    let (name, left) = member(headers, "ratelimit");
    assert_eq!(name, "pages");
    assert_eq!(headers["content-length"], body.len().to_string());
    if head.status == StatusCode::OK {
        assert_eq!(body, "hello");
        let [(r, remaining), (t, 60)] = &left[..] else { panic!("{left:?}") };
        assert_eq!((&**r, &**t), ("r", "t"));
        assert!((0..i64::from(PERMITS)).contains(remaining));
        return true;
    }
    assert_eq!(head.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(left, parameters(&[("r", 0), ("t", 60)]));
    // Nothing is said twice, nor more than this.
    let mut names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "cache-control",
        "content-length",
        "content-type",
        "date",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
    ];
    assert_eq!(names, expected);
    // The clock of the limit stands still.
    assert_eq!(headers["retry-after"], "60");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["status"], 429);
    assert_eq!(problem["violated-policies"], serde_json::json!(["pages"]));
    false
}

/// Sends its requests one after the other, each for the next of the clients behind the proxy, and
/// counts for each of them how many were let through.
async fn ask(connection: &mut SendRequest<Empty<Bytes>>, number: usize) -> [u32; CLIENTS] {
    let mut counts = [0; CLIENTS];
    for turn in 0..REQUESTS {
        let client = (number + turn) % CLIENTS;
        connection.ready().await.expect("the connection survives refusals");
        let request = Request::get("/")
            .header("host", "a")
            // What the client itself claims is not believed.
            .header("x-forwarded-for", format!("203.0.113.{number}, 192.0.2.{client}"))
            .body(Empty::new())
            .unwrap();
        let (head, body) = connection.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        counts[client] += u32::from(admitted(http::Response::from_parts(head, body)));
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_connections_get_exactly_the_limit_of_each_client_and_well_formed_refusals() {
    let clock = ManualClock::new();
    let limit = SlidingWindow::new(Rate::per_minute(PERMITS).unwrap());
    let limiter = KeyedRateLimiter::builder(limit).name("pages").clock(clock.clone()).build();
    let proxies = TrustedProxies::networks(["127.0.0.0/8"]).unwrap();
    let layer = RateLimitLayer::per_key(ClientIp::x_forwarded_for(proxies), limiter.clone())
        .reply(TooManyRequests.problem())
        .fields(RateLimitFields::always(Draft11))
        .unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let app = Router::new().fallback(async move || {
        count.fetch_add(1, Ordering::SeqCst);
        "hello"
    });
    let server = Server::start(app.layer(layer)).await;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(connect(&server).await);
    }
    for round in 1..=3 {
        let mut asking = JoinSet::new();
        for (number, mut connection) in connections.drain(..).enumerate() {
            asking.spawn(async move {
                let counts = ask(&mut connection, number).await;
                (connection, counts)
            });
        }
        let mut sums = [0; CLIENTS];
        for (connection, counts) in asking.join_all().await {
            connections.push(connection);
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        // Each was asked for ten times as often.
        assert_eq!(sums, [PERMITS; CLIENTS]);
        assert_eq!(served.load(Ordering::SeqCst), round * CLIENTS * PERMITS as usize);
        assert_eq!(limiter.keys(), CLIENTS);
        clock.advance(Duration::from_secs(60));
    }
}
