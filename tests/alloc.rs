//! How often a call asks for memory: not at all where it is let through, where it is refused only
//! for its response, and where it waits once. A binary of its own, as it has an allocator of its own.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use allocation_counter::measure;
use http::{HeaderValue, Request, Response, header};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::runtime::Builder;
use tower::{Layer, Service};
use tower_ratelimit::{
    KeyedRateLimiter, LeakyBucket, ManualClock, PerKeyLayer, Rate, RateLimitLayer, RateLimiter,
    http::{
        FieldGeneration::{Draft11, XRateLimit},
        PeerAddr, PeerIp, RateLimitFields, TooManyRequests,
    },
};

/// What a map of headers takes when the first of them comes, or room is made for all: an index, and the room.
const MAP: u64 = 2;
/// A value that no static text has.
const VALUE: u64 = 1;
/// The body of a problem.
const BODY: u64 = 1;

/// A service that answers so at once.
#[derive(Clone)]
struct Answers(fn() -> Response<String>);

/// It takes no memory.
const HELLO: Answers = Answers(|| Response::new(String::new()));

/// The same with a header, as most responses have.
const TYPED: Answers = Answers(|| {
    let mut response = Response::new(String::new());
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
});

impl Service<Request<()>> for Answers {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok((self.0)()))
    }
}

/// How often each of a hundred calls asks for memory, once the first ten are over.
fn allocations<S>(mut service: S) -> u64
where
    S: Service<Request<()>, Response = Response<String>>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let mut counts = Vec::with_capacity(110);
    for _ in 0..110 {
        let mut request = Request::new(());
        let peer = SocketAddr::from(([192, 0, 2, 7], 50_000));
        request.extensions_mut().insert(PeerAddr(peer));
        let counted = measure(|| {
            assert!(service.poll_ready(&mut cx).is_ready());
            assert!(pin!(service.call(request)).poll(&mut cx).is_ready());
        });
        counts.push(counted.count_total);
    }
    let steady = &counts[10..];
    assert!(steady.iter().all(|count| *count == steady[0]), "{steady:?}");
    steady[0]
}

/// A permit every so many seconds, and this many at once.
fn bucket(seconds: u64, capacity: u32) -> LeakyBucket {
    let rate = Rate::new(1, Duration::from_secs(seconds)).unwrap();
    LeakyBucket::new(rate).capacity(capacity).unwrap()
}

fn single(bucket: LeakyBucket) -> RateLimitLayer<RateLimiter<LeakyBucket>> {
    RateLimitLayer::new(RateLimiter::builder(bucket).clock(ManualClock::new()).build()).refuse()
}

fn per_peer(bucket: LeakyBucket) -> PerKeyLayer<PeerIp, KeyedRateLimiter<LeakyBucket>> {
    let limiter = KeyedRateLimiter::builder(bucket).clock(ManualClock::new()).build();
    RateLimitLayer::per_key(PeerIp::default(), limiter)
}

/// More permits than calls.
fn ample() -> LeakyBucket {
    bucket(1, 1000)
}

/// A permit that the first of the calls takes, and a wait of two digits.
fn gone() -> LeakyBucket {
    bucket(59, 1)
}

#[test]
fn a_call_that_is_let_through_asks_for_no_memory() {
    assert_eq!(allocations(HELLO), 0);
    assert_eq!(allocations(single(ample()).layer(HELLO)), 0);
    assert_eq!(allocations(single(ample()).wait().layer(HELLO)), 0);
    assert_eq!(allocations(single(ample()).reply(TooManyRequests).layer(HELLO)), 0);
    assert_eq!(allocations(per_peer(ample()).layer(HELLO)), 0);
    assert_eq!(allocations(per_peer(ample()).wait().layer(HELLO)), 0);
    assert_eq!(allocations(per_peer(ample()).reply(TooManyRequests.problem()).layer(HELLO)), 0);
}

#[test]
fn a_call_that_waits_asks_once_for_its_place_and_its_timer() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _entered = runtime.enter();
    let limiter = RateLimiter::new(gone());
    limiter.try_acquire().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let layer = RateLimitLayer::new(limiter.clone());
    let mut calls: Vec<_> = (0..110).map(|_| layer.layer(HELLO)).collect();
    let places = calls.iter_mut().map(|call| {
        let waits = || assert!(Service::<Request<()>>::poll_ready(call, &mut cx).is_pending());
        measure(waits).count_total
    });
    // Once more where the line has to grow.
    let once = places.filter(|count| *count == 1).count();
    assert!(once > 100, "{once}");
    let places = (0..110).map(|_| {
        let mut acquire = pin!(limiter.acquire());
        measure(|| assert!(acquire.as_mut().poll(&mut cx).is_pending())).count_total
    });
    assert!(places.skip(10).all(|count| count == 1));
}

#[test]
fn fields_ask_for_what_is_left_and_for_the_map_if_there_is_none() {
    let draft_11 = || per_peer(ample()).fields(RateLimitFields::always(Draft11)).unwrap();
    assert_eq!(allocations(draft_11().layer(HELLO)), MAP + VALUE);
    // The map that the response has is there for the fields, too.
    assert_eq!(allocations(TYPED), MAP);
    assert_eq!(allocations(draft_11().layer(TYPED)), MAP + VALUE);
    let trio = || per_peer(ample()).fields(RateLimitFields::always(XRateLimit)).unwrap();
    assert_eq!(allocations(trio().layer(TYPED)), MAP);
    let refused = || per_peer(ample()).fields(RateLimitFields::on_refusal(Draft11)).unwrap();
    assert_eq!(allocations(refused().layer(HELLO)), 0);
}

#[test]
fn a_refusal_that_is_an_error_asks_for_no_memory() {
    assert_eq!(allocations(single(gone()).layer(HELLO)), 0);
}

#[test]
fn a_refusal_asks_for_its_response_alone() {
    assert_eq!(allocations(per_peer(gone()).layer(HELLO)), MAP);
    assert_eq!(allocations(single(gone()).reply(TooManyRequests).layer(HELLO)), MAP);
    assert_eq!(allocations(per_peer(bucket(3600, 1)).layer(HELLO)), MAP);
    // A wait of five digits has to be written somewhere.
    assert_eq!(allocations(per_peer(bucket(86_400, 1)).layer(HELLO)), MAP + VALUE);
    let problem = || per_peer(gone()).reply(TooManyRequests.problem());
    assert_eq!(allocations(problem().layer(HELLO)), MAP + BODY);
    let fields = || per_peer(gone()).fields(RateLimitFields::always(Draft11)).unwrap();
    assert_eq!(allocations(fields().layer(HELLO)), MAP + VALUE);
    let all = problem().fields(RateLimitFields::always(Draft11).and(XRateLimit)).unwrap();
    assert_eq!(allocations(all.layer(HELLO)), MAP + VALUE + BODY);
}
