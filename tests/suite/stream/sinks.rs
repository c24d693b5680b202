//! Sinks that pass on their items at the pace of a limit.

use super::{leaky, ms, since};
use futures_util::{Sink, SinkExt, StreamExt, stream};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_ratelimit::{
    Concurrency, Error, RateLimiter, Reason,
    stream::{LimitedSink, RateLimitSink},
};

/// What a sink was asked to do, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Item(u32),
    Flush,
    Close,
}
use Event::{Close, Flush, Item};

/// Writes down what it is asked to do. As sinks do, it keeps its items until it is flushed.
#[derive(Clone)]
struct Recorder(Arc<Mutex<Log>>);

struct Log {
    start: Instant,
    events: Vec<(u128, Event)>,
    unflushed: usize,
    busy: bool,
    broken: bool,
}

impl Recorder {
    fn new() -> Self {
        let start = Instant::now();
        let log = Log { start, events: Vec::new(), unflushed: 0, busy: false, broken: false };
        Self(Arc::new(Mutex::new(log)))
    }

    fn events(&self) -> Vec<(u128, Event)> {
        self.0.lock().unwrap().events.clone()
    }

    fn record(&self, event: Event) {
        let mut log = self.0.lock().unwrap();
        let at = since(log.start);
        log.events.push((at, event));
    }
}

impl Sink<u32> for Recorder {
    type Error = &'static str;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let log = self.0.lock().unwrap();
        match (log.broken, log.busy) {
            (true, _) => Poll::Ready(Err("broken")),
            (false, true) => Poll::Pending,
            (false, false) => Poll::Ready(Ok(())),
        }
    }

    fn start_send(self: Pin<&mut Self>, item: u32) -> Result<(), Self::Error> {
        self.record(Item(item));
        self.0.lock().unwrap().unflushed += 1;
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if std::mem::take(&mut self.0.lock().unwrap().unflushed) > 0 {
            self.record(Flush);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.record(Close);
        Poll::Ready(Ok(()))
    }
}

fn reason<E>(error: &Error<E>) -> Option<Reason> {
    error.limited().map(|refusal| refusal.reason())
}

/// A sink that keeps an item and has asked for its permit in vain.
type Waiting<L> = task::Spawn<LimitedSink<Recorder, u32, L>>;

/// Feeds an item without waiting, as `start_send` may.
macro_rules! feed {
    ($sink:expr, $item:expr) => {{
        assert_ready_ok!($sink.enter(|cx, sink| sink.poll_ready(cx)));
        $sink.enter(|_, sink| sink.start_send($item)).unwrap();
    }};
}

#[tokio::test(start_paused = true)]
async fn items_are_sent_at_exact_slots() {
    let recorder = Recorder::new();
    let mut sink = recorder.clone().rate_limited(leaky(10, 2));
    for item in 0..4 {
        sink.send(item).await.unwrap();
    }
    sink.close().await.unwrap();
    let sent = [(0, 0), (0, 1), (100, 2), (200, 3)];
    let sent = sent.into_iter().flat_map(|(at, item)| [(at, Item(item)), (at, Flush)]);
    assert_eq!(recorder.events(), sent.chain([(200, Close)]).collect::<Vec<_>>());
}

/// Nothing that was passed on lies about while the next item waits.
#[tokio::test(start_paused = true)]
async fn a_whole_stream_leaves_at_the_pace_of_the_limit() {
    let recorder = Recorder::new();
    let sink = recorder.clone().rate_limited(leaky(10, 1));
    stream::iter(0..3).map(Ok).forward(sink).await.unwrap();
    let expected = [
        (0, Item(0)),
        (0, Flush),
        (100, Item(1)),
        (100, Flush),
        (200, Item(2)),
        // The last one leaves with the closing.
        (200, Close),
    ];
    assert_eq!(recorder.events(), expected);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_the_permit_of_the_last_item() {
    let recorder = Recorder::new();
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut sink = recorder.clone().rate_limited(limiter);
    sink.feed(7).await.unwrap();
    assert_eq!(recorder.events(), []);
    sink.close().await.unwrap();
    assert_eq!(recorder.events(), [(100, Item(7)), (100, Close)]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_sink_is_flushed_and_closed_without_a_permit() {
    let recorder = Recorder::new();
    let limiter = leaky(10, 1);
    limiter.close();
    let mut sink = recorder.clone().rate_limited(limiter);
    sink.flush().await.unwrap();
    sink.close().await.unwrap();
    assert_eq!(recorder.events(), [(0, Close)]);
}

#[tokio::test(start_paused = true)]
async fn no_permit_is_taken_while_the_inner_sink_is_busy() {
    let recorder = Recorder::new();
    let limiter = leaky(10, 1);
    let mut sink: Waiting<_> = task::spawn(recorder.clone().rate_limited(limiter.clone()));
    recorder.0.lock().unwrap().busy = true;
    feed!(sink, 1);
    assert_pending!(sink.enter(|cx, sink| sink.poll_flush(cx)));
    limiter.try_acquire().unwrap();
    recorder.0.lock().unwrap().busy = false;
    assert_pending!(sink.enter(|cx, sink| sink.poll_flush(cx)));
    sleep(ms(100)).await;
    assert!(sink.is_woken());
    assert_ready_ok!(sink.enter(|cx, sink| sink.poll_flush(cx)));
    assert_eq!(recorder.events(), [(100, Item(1)), (100, Flush)]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_keeps_an_item_takes_no_other_one_before_it_is_passed_on() {
    let recorder = Recorder::new();
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut sink: Waiting<_> = task::spawn(recorder.clone().rate_limited(limiter));
    feed!(sink, 1);
    assert_pending!(sink.enter(|cx, sink| sink.poll_ready(cx)));
    sleep(ms(100)).await;
    feed!(sink, 2);
    assert_eq!(recorder.events(), [(100, Item(1))]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_sink_gives_up_its_place() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut sink: Waiting<_> = task::spawn(Recorder::new().rate_limited(limiter.clone()));
    feed!(sink, 1);
    assert_pending!(sink.enter(|cx, sink| sink.poll_flush(cx)));
    sleep(ms(100)).await;
    assert!(limiter.try_acquire().is_err());
    drop(sink);
    limiter.try_acquire().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_loses_neither_the_item_nor_its_place() {
    let recorder = Recorder::new();
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut sink = recorder.clone().rate_limited(limiter);
    timeout(ms(60), sink.send(1)).await.unwrap_err();
    sink.send(2).await.unwrap();
    assert_eq!(recorder.events()[..2], [(100, Item(1)), (100, Flush)]);
    assert_eq!(recorder.events()[2..], [(200, Item(2)), (200, Flush)]);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_costs_too_much_is_kept_until_it_is_taken_out() {
    let recorder = Recorder::new();
    let mut sink = recorder.clone().rate_limited(leaky(10, 2)).cost(|item| *item);
    assert_eq!(reason(&sink.send(3).await.unwrap_err()), Some(Reason::TooCostly));
    // It asks again, and is in the way of the next one.
    assert_eq!(reason(&sink.send(1).await.unwrap_err()), Some(Reason::TooCostly));
    assert_eq!(Pin::new(&mut sink).take_unsent(), Some(3));
    assert_eq!(Pin::new(&mut sink).take_unsent(), None);
    sink.send(2).await.unwrap();
    assert_eq!(recorder.events(), [(0, Item(2)), (0, Flush)]);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_was_sent_away_asks_again() {
    let recorder = Recorder::new();
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut sink: Waiting<_> = task::spawn(recorder.clone().rate_limited(limiter.clone()));
    feed!(sink, 1);
    assert_pending!(sink.enter(|cx, sink| sink.poll_flush(cx)));
    limiter.cancel();
    let error = assert_ready_err!(sink.enter(|cx, sink| sink.poll_flush(cx)));
    assert_eq!(reason(&error), Some(Reason::Cancelled));
    assert_pending!(sink.enter(|cx, sink| sink.poll_flush(cx)));
    sleep(ms(100)).await;
    assert_ready_ok!(sink.enter(|cx, sink| sink.poll_flush(cx)));
    assert_eq!(recorder.events(), [(100, Item(1)), (100, Flush)]);
}

#[tokio::test(start_paused = true)]
async fn an_item_taken_out_gives_up_its_place() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut sink: Waiting<_> = task::spawn(Recorder::new().rate_limited(limiter.clone()));
    feed!(sink, 1);
    assert_pending!(sink.enter(|cx, sink| sink.poll_flush(cx)));
    assert_eq!(sink.enter(|_, sink| sink.take_unsent()), Some(1));
    sleep(ms(100)).await;
    limiter.try_acquire().unwrap();
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_inner_sink_pass_and_take_no_permit() {
    let recorder = Recorder::new();
    let limiter = leaky(10, 1);
    recorder.0.lock().unwrap().broken = true;
    let mut sink = recorder.rate_limited(limiter.clone());
    assert_eq!(sink.send(1).await, Err(Error::Inner("broken")));
    limiter.try_acquire().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_call_of_an_item_is_over_once_it_was_passed_on() {
    let limiter = RateLimiter::new(Concurrency::new(1).unwrap());
    let mut sink = futures_util::sink::drain().rate_limited(limiter.clone());
    sink.send(1).await.unwrap();
    let permit = limiter.try_acquire().unwrap();
    sink.feed(2).await.unwrap();
    timeout(ms(1), sink.flush()).await.unwrap_err();
    drop(permit);
    let Ok(()) = sink.flush().await.map_err(|error: Error<Infallible>| error) else {
        panic!("there is a permit")
    };
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "`poll_ready` must be ready before `start_send`")]
async fn a_second_item_without_asking_is_a_mistake() {
    let mut sink = Recorder::new().rate_limited(leaky(10, 1));
    sink.start_send_unpin(1).unwrap();
    let _ = sink.start_send_unpin(2);
}
