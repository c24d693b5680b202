//! Streams whose items come at the pace of a limit.

use super::{leaky, ms, since, vendor::Vendor};
use futures_util::{Stream, StreamExt, stream, stream::FusedStream};
use std::{
    fmt::Debug,
    future::{poll_fn, ready},
    iter,
};
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::{Instant, sleep},
};
use tokio_test::{assert_pending, assert_ready, task};
use tower_ratelimit::{
    Concurrency, Limiter, Quota, Rate, RateLimiter, Reason, Serialized, Strict,
    stream::{RateLimitStream, Refused},
};

fn received<T>(mut receiver: UnboundedReceiver<T>) -> impl Stream<Item = T> + Unpin {
    stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

/// When each item comes, and which.
async fn times<T>(mut items: impl Stream<Item = T> + Unpin) -> Vec<(u128, T)> {
    let start = Instant::now();
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push((since(start), item));
    }
    all
}

fn refusal<T: Debug>(item: Option<Result<T, Refused<T>>>) -> (T, Reason) {
    let (item, refusal) = item.unwrap().unwrap_err().into_parts();
    (item, refusal.reason())
}

#[tokio::test(start_paused = true)]
async fn items_come_at_exact_slots_and_in_order() {
    let items = stream::iter(0..5).rate_limited(leaky(10, 2));
    let expected = [(0, Ok(0)), (0, Ok(1)), (100, Ok(2)), (200, Ok(3)), (300, Ok(4))];
    assert_eq!(times(items).await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_algorithm_becomes_a_limit_of_its_own() {
    let strict = Strict::new(Rate::per_second(10).unwrap());
    let items = stream::iter(0..3).rate_limited(strict);
    assert_eq!(times(items).await, [(0, Ok(0)), (100, Ok(1)), (200, Ok(2))]);
}

#[tokio::test(start_paused = true)]
async fn the_end_needs_no_permit() {
    let limiter = leaky(10, 1);
    let items = stream::iter(0..1).rate_limited(limiter.clone());
    assert_eq!(times(items).await, [(0, Ok(0))]);
    sleep(ms(100)).await;
    let nothing = stream::empty::<u8>().rate_limited(limiter.clone());
    assert_eq!(times(nothing).await, []);
    limiter.try_acquire().unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_permit_is_taken_while_the_inner_stream_is_pending() {
    let limiter = leaky(10, 1);
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut items = task::spawn(received(receiver).rate_limited(limiter.clone()));
    assert_pending!(items.poll_next());
    // Neither a permit nor a place in line.
    assert_eq!(limiter.peek(1).remaining, 0);
    assert!(limiter.peek(1).is_granted());
    limiter.try_acquire().unwrap();
    sender.send(7).unwrap();
    assert!(items.is_woken());
    assert_pending!(items.poll_next());
    // Now it stands in line, before whoever comes now.
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(ms(200)));
    sleep(ms(100)).await;
    assert!(items.is_woken());
    assert_eq!(assert_ready!(items.poll_next()), Some(Ok(7)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_stands_in_line_with_everybody_else() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut first = task::spawn(stream::iter(1..=2).rate_limited(limiter.clone()));
    let mut second = task::spawn(limiter.acquire());
    let mut third = task::spawn(stream::iter(3..=3).rate_limited(limiter.clone()));
    assert_pending!(first.poll_next());
    assert_pending!(second.poll());
    assert_pending!(third.poll_next());
    sleep(ms(100)).await;
    assert_eq!(assert_ready!(first.poll_next()), Some(Ok(1)));
    // Its second item is behind all of them.
    assert_pending!(first.poll_next());
    sleep(ms(100)).await;
    assert!(assert_ready!(second.poll()).is_ok());
    assert_pending!(first.poll_next());
    sleep(ms(100)).await;
    assert_eq!(assert_ready!(third.poll_next()), Some(Ok(3)));
    sleep(ms(100)).await;
    assert_eq!(assert_ready!(first.poll_next()), Some(Ok(2)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_in_the_middle_gives_up_its_place() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut items = task::spawn(stream::iter(0..2).rate_limited(limiter.clone()));
    assert_pending!(items.poll_next());
    let mut next = task::spawn(limiter.acquire());
    assert_pending!(next.poll());
    // Its slot has come, and it was not polled.
    sleep(ms(100)).await;
    drop(items);
    assert!(assert_ready!(next.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_of_an_item_loses_neither_item_nor_place() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut items = stream::iter(0..1).rate_limited(limiter.clone());
    let start = Instant::now();
    for _ in 0..5 {
        tokio::time::timeout(ms(15), items.next()).await.unwrap_err();
    }
    assert_eq!(items.next().await, Some(Ok(0)));
    assert_eq!(since(start), 100);
}

#[tokio::test(start_paused = true)]
async fn costs_are_weights() {
    let items = stream::iter([2, 1, 0, 3]).rate_limited(leaky(10, 3)).cost(|cost| *cost);
    assert_eq!(times(items).await, [(0, Ok(2)), (0, Ok(1)), (0, Ok(0)), (300, Ok(3))]);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_costs_too_much_comes_out_in_its_place_and_the_stream_goes_on() {
    let mut items = stream::iter([1, 2, 1]).rate_limited(leaky(10, 1)).cost(|cost| *cost);
    let start = Instant::now();
    assert_eq!(items.next().await, Some(Ok(1)));
    assert_eq!(refusal(items.next().await), (2, Reason::TooCostly));
    assert_eq!(since(start), 0);
    assert_eq!(items.next().await, Some(Ok(1)));
    assert_eq!(since(start), 100);
    assert_eq!(items.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn items_that_are_sent_away_come_out() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    let mut items = task::spawn(stream::iter(0..3).rate_limited(limiter.clone()));
    assert_pending!(items.poll_next());
    limiter.cancel();
    assert_eq!(refusal(assert_ready!(items.poll_next())), (0, Reason::Cancelled));
    assert_pending!(items.poll_next());
    limiter.close();
    assert_eq!(refusal(assert_ready!(items.poll_next())), (1, Reason::Closed));
    assert_eq!(refusal(assert_ready!(items.poll_next())), (2, Reason::Closed));
    assert_eq!(assert_ready!(items.poll_next()), None);
}

#[tokio::test(start_paused = true)]
async fn items_beyond_a_quota_come_out_refused() {
    let mut items = stream::iter(0..3).rate_limited(Quota::new(2).unwrap());
    assert_eq!(items.next().await, Some(Ok(0)));
    assert_eq!(items.next().await, Some(Ok(1)));
    assert_eq!(refusal(items.next().await), (2, Reason::Exhausted));
}

#[tokio::test(start_paused = true)]
async fn the_size_hint_counts_the_item_that_waits() {
    let limiter = leaky(10, 1);
    let mut items = task::spawn(stream::iter(0..3).rate_limited(limiter.clone()));
    assert_eq!(items.size_hint(), (3, Some(3)));
    assert!(assert_ready!(items.poll_next()).is_some());
    assert_eq!(items.size_hint(), (2, Some(2)));
    assert_pending!(items.poll_next());
    assert_eq!(items.size_hint(), (2, Some(2)));
    let mut endless = task::spawn(stream::iter(iter::repeat(0)).rate_limited(limiter));
    assert_pending!(endless.poll_next());
    assert_eq!(endless.size_hint(), (usize::MAX, None));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_terminated_once_its_last_item_is_out() {
    let limiter = leaky(10, 1);
    limiter.try_acquire().unwrap();
    // It is terminated as soon as its only item was taken out.
    let inner = stream::once(ready(0));
    let mut items = task::spawn(inner.rate_limited(limiter));
    assert_pending!(items.poll_next());
    assert!(items.get_ref().is_terminated());
    assert!(!items.is_terminated());
    sleep(ms(100)).await;
    assert_eq!(assert_ready!(items.poll_next()), Some(Ok(0)));
    assert_eq!(assert_ready!(items.poll_next()), None);
    assert!(items.is_terminated());
}

#[tokio::test(start_paused = true)]
async fn an_item_holds_its_permit_until_the_next_one_is_asked_for() {
    let limiter = RateLimiter::new(Concurrency::new(1).unwrap());
    let mut items = task::spawn(stream::iter(0..2).rate_limited(limiter.clone()));
    assert_eq!(assert_ready!(items.poll_next()), Some(Ok(0)));
    let mut other = task::spawn(limiter.acquire());
    assert_pending!(other.poll());
    assert_pending!(items.poll_next());
    let permit = assert_ready!(other.poll()).unwrap();
    assert_pending!(items.poll_next());
    drop(permit);
    assert!(items.is_woken());
    assert_eq!(assert_ready!(items.poll_next()), Some(Ok(1)));
    assert!(limiter.try_acquire().is_err());
    drop(items);
    limiter.try_acquire().unwrap();
}

/// The work on an item takes 30 ms, and the pause counts from its end.
#[tokio::test(start_paused = true)]
async fn items_are_serialized_with_the_work_on_them() {
    let serialized = Serialized::new(Rate::new(1, ms(100)).unwrap());
    let mut items = stream::iter(0..3).rate_limited(serialized);
    let start = Instant::now();
    let mut starts = Vec::new();
    while items.next().await.is_some() {
        starts.push(since(start));
        sleep(ms(30)).await;
    }
    assert_eq!(starts, [0, 130, 260]);
}

#[tokio::test(start_paused = true)]
async fn any_limiter_will_do() {
    let vendor = Vendor::default();
    let items = stream::iter(0..3).rate_limited(vendor.clone()).cost(|item| 1 + *item);
    assert_eq!(times(items).await, [(20, Ok(0)), (40, Ok(1)), (60, Ok(2))]);
    assert_eq!((vendor.used(), vendor.given_back()), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_perished_on_the_way_is_asked_for_anew() {
    let vendor = Vendor::default();
    vendor.let_perish(1);
    let items = stream::iter(0..2).rate_limited(vendor.clone());
    assert_eq!(times(items).await, [(40, Ok(0)), (60, Ok(1))]);
    assert_eq!(vendor.used(), 2);
}

#[tokio::test(start_paused = true)]
async fn streams_can_be_sent_and_pinned() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    fn check<L: Limiter>(limiter: L) -> impl Future<Output = usize> {
        let unpinned = stream::unfold(0, async |n: u8| (n < 3).then_some((n, n + 1)));
        is_send(Box::pin(unpinned).rate_limited(limiter)).count()
    }
    assert_eq!(check(leaky(10, 3)).await, 3);
    let mut pinned = Box::pin(stream::once(async { 1 }).rate_limited(leaky(10, 1)));
    assert_eq!(poll_fn(|cx| pinned.as_mut().poll_next(cx)).await, Some(Ok(1)));
}
