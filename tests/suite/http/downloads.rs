//! Calls that end with the body of their response.

use super::{Server, direct};
use axum::{Router, body::Bytes, extract::State, response::Response as Answer, routing::get};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_ratelimit::{
    Algorithm, Concurrency, Error, JointLayer, JointLimiter, RateLimitLayer, RateLimiter, Reason,
    http::{HeldBody, too_many_requests},
};

/// What a body does when it is asked for a frame.
#[derive(Clone, Copy, Debug)]
enum Does {
    Data,
    Trailers,
    Fails,
    Waits,
}

/// A body by the book, which may or may not know which frame is its last.
#[derive(Debug)]
struct Script {
    book: VecDeque<Does>,
    knows_its_end: bool,
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(match self.book.pop_front() {
            None => None,
            Some(Does::Data) => Some(Ok(Frame::data(Bytes::from_static(b"x")))),
            Some(Does::Trailers) => Some(Ok(Frame::trailers(HeaderMap::new()))),
            Some(Does::Fails) => Some(Err("broken")),
            Some(Does::Waits) => return Poll::Pending,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.knows_its_end && self.book.is_empty()
    }
}

fn limiter() -> RateLimiter<Concurrency> {
    RateLimiter::new(Concurrency::new(1).unwrap())
}

fn is_free(limiter: &RateLimiter<impl Algorithm>) -> bool {
    limiter.peek(1).is_granted()
}

/// The response of a service behind the limiter, whose body does this.
async fn answer(
    limiter: &RateLimiter<Concurrency>,
    book: &[Does],
    knows_its_end: bool,
) -> HeldBody<Script> {
    let script = || Script { book: book.iter().copied().collect(), knows_its_end };
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(script())));
    let layer = RateLimitLayer::new(limiter.clone()).until_body_end();
    let response = layer.layer(inner).oneshot(Request::new(())).await.unwrap();
    assert!(response.extensions().is_empty(), "the body has what the head brought");
    response.into_body()
}

/// Whether the permit is free after each of the frames, and after the end where it is asked for.
async fn free_after(book: &[Does], knows_its_end: bool) -> Vec<bool> {
    let limiter = limiter();
    let mut body = answer(&limiter, book, knows_its_end).await;
    let mut free = vec![is_free(&limiter)];
    loop {
        let frame =
            task::spawn(std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))).poll();
        free.push(is_free(&limiter));
        if !matches!(frame, Poll::Ready(Some(Ok(_)))) || body.is_end_stream() {
            break;
        }
    }
    drop(body);
    free.push(is_free(&limiter));
    free
}

#[tokio::test]
async fn a_call_ends_with_the_last_frame_that_is_known_to_be_the_last() {
    use Does::{Data, Trailers};
    assert_eq!(free_after(&[Data, Data], true).await, [false, false, true, true]);
    assert_eq!(free_after(&[Data, Trailers], true).await, [false, false, true, true]);
}

#[tokio::test]
async fn otherwise_a_call_ends_when_there_are_no_more_frames() {
    use Does::{Data, Trailers};
    assert_eq!(free_after(&[Data], false).await, [false, false, true, true]);
    let with_trailers = free_after(&[Data, Trailers], false).await;
    assert_eq!(with_trailers, [false, false, false, true, true]);
    assert_eq!(free_after(&[], false).await, [false, true, true]);
}

#[tokio::test]
async fn a_body_that_fails_or_is_dropped_half_way_ends_its_call() {
    use Does::{Data, Fails, Waits};
    assert_eq!(free_after(&[Data, Fails, Data], false).await, [false, false, true, true]);
    // It is dropped while it waits for more.
    assert_eq!(free_after(&[Data, Waits, Data], true).await, [false, false, false, true]);
    let limiter = limiter();
    drop(answer(&limiter, &[Data], true).await);
    assert!(is_free(&limiter));
}

#[tokio::test]
async fn an_empty_body_that_nobody_reads_holds_its_permit_no_longer_than_it_lives() {
    let limiter = limiter();
    let body = answer(&limiter, &[], true).await;
    assert!(body.is_end_stream());
    drop(body);
    assert!(is_free(&limiter));
}

#[tokio::test]
async fn the_next_call_in_line_is_woken_by_the_end_of_a_body() {
    let limiter = limiter();
    let mut body = answer(&limiter, &[Does::Data], true).await;
    let mut next = task::spawn(limiter.acquire());
    assert_pending!(next.poll());
    let mut read = task::spawn(std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)));
    assert!(assert_ready!(read.poll()).is_some());
    assert!(next.is_woken());
    assert!(assert_ready!(next.poll()).is_ok());
}

#[tokio::test]
async fn an_error_or_a_refusal_has_no_body_to_wait_for() {
    let limiter = limiter();
    let fails = service_fn(async |_: Request<()>| Err::<Response<Script>, _>("broken"));
    let layer = RateLimitLayer::new(limiter.clone()).refuse().until_body_end();
    let service = layer.layer(fails);
    assert!(service.clone().oneshot(Request::new(())).await.is_err());
    assert!(is_free(&limiter));
    let permit = limiter.try_acquire().unwrap();
    let refused = service.oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(refused.limited().unwrap().reason(), Reason::UsedUp);
    drop(permit);
    assert!(is_free(&limiter));
}

#[tokio::test]
async fn without_it_a_call_ends_with_the_head_of_the_response() {
    let limiter = limiter();
    let script = || Script { book: [Does::Data].into(), knows_its_end: true };
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(script())));
    let service = RateLimitLayer::new(limiter.clone()).layer(inner);
    let _unread = service.oneshot(Request::new(())).await.unwrap();
    assert!(is_free(&limiter));
}

#[tokio::test]
async fn the_body_of_one_key_does_not_hold_another() {
    let script = || Script { book: [Does::Data].into(), knows_its_end: true };
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(script())));
    let by_path = |request: &Request<()>| request.uri().path().to_owned();
    let layer = RateLimitLayer::per_key(by_path, Concurrency::new(1).unwrap()).until_body_end();
    let mut service = layer.layer(inner);
    let mut ask = async |path: &str| {
        let request = Request::get(path).body(()).unwrap();
        service.ready().await.unwrap().call(request).await
    };
    let download = ask("/a").await.unwrap();
    assert!(ask("/a").await.is_err());
    let _other = ask("/b").await.unwrap();
    drop(download);
    assert!(ask("/a").await.is_ok());
}

#[tokio::test]
async fn the_permits_of_several_limits_are_held_until_the_body_has_ended() {
    let mut limits = JointLimiter::builder();
    let own = limits.limit("own", Concurrency::new(1).unwrap()).unwrap();
    let shared = limits.limit("shared", Concurrency::new(2).unwrap()).unwrap();
    let rules = move |limits: &JointLimiter, request: &Request<()>| {
        limits.on(own, request.uri().path()).on(shared, &())
    };
    let script = || Script { book: [Does::Data].into(), knows_its_end: true };
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(script())));
    let mut service = JointLayer::new(limits.build(), rules).until_body_end().layer(inner);
    let mut ask = async |path: &str| {
        let request = Request::get(path).body(()).unwrap();
        let answer: Result<_, Error<Infallible>> =
            service.ready().await.unwrap().call(request).await;
        answer.map_err(|error| error.limited().unwrap().limit().unwrap().to_owned())
    };
    let download = ask("/a").await.unwrap();
    assert_eq!(ask("/a").await.unwrap_err(), "own");
    let _other = ask("/b").await.unwrap();
    assert_eq!(ask("/c").await.unwrap_err(), "shared");
    drop(download);
    assert!(ask("/a").await.is_ok());
}

/// One layer in another: each holds its own permit until the same body has ended.
#[tokio::test]
async fn two_limits_are_held_by_one_body() {
    let (outer, inner) = (limiter(), limiter());
    let script = || Script { book: [Does::Data].into(), knows_its_end: true };
    let service = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(script())));
    let service = RateLimitLayer::new(inner.clone()).until_body_end().layer(service);
    let service = RateLimitLayer::new(outer.clone()).until_body_end().layer(service);
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert!(!is_free(&outer) && !is_free(&inner));
    drop(response);
    assert!(is_free(&outer) && is_free(&inner));
}

/// The two ends of the downloads that a server has begun.
type Begun = mpsc::UnboundedSender<mpsc::UnboundedSender<Bytes>>;

/// A body of what is sent to it.
struct Channel(mpsc::UnboundedReceiver<Bytes>);

impl Body for Channel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

async fn download(State(begun): State<Begun>) -> Answer {
    let (sender, receiver) = mpsc::unbounded_channel();
    begun.send(sender).unwrap();
    Answer::new(axum::body::Body::new(Channel(receiver)))
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it comes soon")
}

#[tokio::test]
async fn two_slow_downloads_with_a_capacity_of_one_are_one_after_the_other() {
    let limiter = limiter();
    let layer = RateLimitLayer::new(limiter.clone())
        .respond(|refusal| Ok(too_many_requests::<axum::body::Body>(&refusal)))
        .until_body_end();
    let (begun, mut downloads) = mpsc::unbounded_channel();
    let app = Router::new().route("/", get(download)).layer(layer).with_state(begun);
    let server = Server::start(app).await;
    let fetch = || {
        let response = direct().get(server.url("/")).send();
        tokio::spawn(async move { response.await.unwrap().text().await })
    };
    let first = fetch();
    let to_first = soon(downloads.recv()).await.unwrap();
    let second = fetch();
    for part in ["one ", "after ", "the other"] {
        to_first.send(part.into()).unwrap();
        // The head of the first was sent, and its body is on the way.
        assert!(downloads.try_recv().is_err());
        assert!(limiter.try_acquire().is_err());
    }
    drop(to_first);
    assert_eq!(soon(first).await.unwrap().unwrap(), "one after the other");
    let to_second = soon(downloads.recv()).await.unwrap();
    // A client that goes away half-way ends its call, too.
    let third = fetch();
    to_second.send("half".into()).unwrap();
    second.abort();
    // The server notices when it writes.
    let noticed = async {
        while to_second.send("more".into()).is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(noticed).await;
    drop(soon(downloads.recv()).await.unwrap());
    assert_eq!(soon(third).await.unwrap().unwrap(), "");
    let is_over = async {
        while limiter.try_acquire().is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(is_over).await;
}
