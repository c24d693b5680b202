//! Bytes written a second.

use super::{leaky, ms, paused, since, vendor::Vendor};
use proptest::prelude::*;
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, duplex},
    time::{Instant, timeout},
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_ratelimit::{
    LeakyBucket, Rate, RateLimited, Reason,
    stream::{ThrottledRead, ThrottledWrite},
};

/// Writes down what was written when; takes as many bytes at once as it is told, or is busy once.
#[derive(Default)]
struct Recorder {
    takes: VecDeque<Option<usize>>,
    bytes: Vec<u8>,
    times: Vec<(Instant, usize)>,
    waker: Option<Waker>,
}

impl Recorder {
    fn taking(takes: impl IntoIterator<Item = Option<usize>>) -> Self {
        Self { takes: takes.into_iter().collect(), ..Self::default() }
    }

    fn times(&self, start: Instant) -> Vec<(u128, usize)> {
        self.times.iter().map(|(at, count)| ((*at - start).as_millis(), *count)).collect()
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(most) = self.takes.pop_front().unwrap_or(Some(usize::MAX)) else {
            self.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let count = bytes.len().min(most);
        self.bytes.extend_from_slice(&bytes[..count]);
        self.times.push((Instant::now(), count));
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn bytes(count: usize) -> Vec<u8> {
    (0..=250).cycle().take(count).collect()
}

fn reason(error: &io::Error) -> Reason {
    error.get_ref().unwrap().downcast_ref::<RateLimited>().unwrap().reason()
}

#[tokio::test(start_paused = true)]
async fn bytes_are_written_in_pieces_of_the_limit_at_exact_instants() {
    let data = bytes(450);
    let start = Instant::now();
    let mut writer = ThrottledWrite::new(Recorder::default(), leaky(1000, 100));
    writer.write_all(&data).await.unwrap();
    writer.shutdown().await.unwrap();
    let written = writer.into_inner();
    let expected = [(0, 100), (100, 100), (200, 100), (300, 100), (350, 50)];
    assert_eq!(written.times(start), expected);
    assert_eq!(written.bytes, data);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_n_bytes_takes_as_long_as_the_slower_side() {
    let data = bytes(1000);
    let start = Instant::now();
    let mut reader = ThrottledRead::new(&data[..], leaky(1000, 100));
    let mut writer = ThrottledWrite::new(Recorder::default(), leaky(500, 100));
    assert_eq!(copy(&mut reader, &mut writer).await.unwrap(), 1000);
    // 900 bytes behind the burst, each 2 ms.
    assert_eq!(since(start), 1800);
    assert_eq!(writer.into_inner().bytes, data);
}

#[tokio::test(start_paused = true)]
async fn permits_that_find_the_writer_busy_go_back_at_once() {
    let limiter = leaky(1000, 100);
    let mut writer = ThrottledWrite::new(Recorder::taking([None]), limiter.clone());
    let mut write = task::spawn(writer.write(&[1; 60]));
    assert_pending!(write.poll());
    limiter.try_acquire_many(100).unwrap();
    // It stands in line anew.
    assert_pending!(write.poll());
    tokio::time::sleep(ms(60)).await;
    assert!(write.is_woken());
    assert_eq!(assert_ready_ok!(write.poll()), 60);
    assert_eq!(limiter.peek(0).remaining, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_paid_for_and_not_written_is_credit_for_the_next_write() {
    let limiter = leaky(1000, 100);
    let mut writer = ThrottledWrite::new(Recorder::taking([Some(10), None]), limiter.clone());
    assert_eq!(writer.write(&[1; 60]).await.unwrap(), 10);
    assert_eq!(limiter.peek(0).remaining, 40);
    let mut write = task::spawn(writer.write(&[1; 60]));
    assert_pending!(write.poll());
    assert_eq!(assert_ready_ok!(write.poll()), 50);
    drop(write);
    assert_eq!(limiter.peek(0).remaining, 40);
    assert_eq!(writer.write(&[1; 60]).await.unwrap(), 40 + 20);
    assert_eq!(writer.get_ref().bytes.len(), 120);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_writer_gives_up_its_place() {
    let limiter = leaky(1000, 100);
    limiter.try_acquire_many(100).unwrap();
    let mut writer = ThrottledWrite::new(Recorder::default(), limiter.clone());
    timeout(ms(50), writer.write(&[1; 100])).await.unwrap_err();
    assert!(limiter.try_acquire().is_err());
    drop(writer);
    limiter.try_acquire_many(50).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_write_has_written_nothing_and_the_next_may_be_another_one() {
    let limiter = leaky(1000, 100);
    limiter.try_acquire_many(100).unwrap();
    let start = Instant::now();
    let mut writer = ThrottledWrite::new(Recorder::default(), limiter);
    timeout(ms(50), writer.write(&[1; 80])).await.unwrap_err();
    writer.write_all(&[2; 100]).await.unwrap();
    // The first 80 in the place of the dropped write.
    let written = writer.into_inner();
    assert_eq!(written.times(start), [(80, 80), (100, 20)]);
    assert_eq!(written.bytes, [2; 100]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_has_written_nothing() {
    let limiter = leaky(1000, 10);
    let mut writer = ThrottledWrite::new(Recorder::default(), limiter.clone());
    writer.write_all(&[1; 10]).await.unwrap();
    let mut write = task::spawn(writer.write(&[1; 10]));
    assert_pending!(write.poll());
    limiter.close();
    assert_eq!(reason(&assert_ready_err!(write.poll())), Reason::Closed);
    drop(write);
    // Nothing to write, and what ends the writing, is free.
    assert_eq!(writer.write(&[]).await.unwrap(), 0);
    writer.shutdown().await.unwrap();
    assert_eq!(writer.into_inner().bytes.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn pieces_become_smaller_with_the_limit() {
    let limiter = leaky(1000, 100);
    let mut writer = ThrottledWrite::new(Recorder::default(), limiter.clone());
    let smaller = LeakyBucket::new(Rate::per_second(1000).unwrap()).capacity(30).unwrap();
    limiter.set_algorithm(smaller);
    writer.write_all(&[1; 100]).await.unwrap();
    let written = writer.into_inner();
    assert!(written.times.iter().all(|(_, count)| *count <= 30));
    assert_eq!(written.bytes.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn bytes_written_with_permits_that_perished_are_paid_for_before_the_next_ones() {
    let vendor = Vendor::default();
    vendor.let_perish(1);
    let start = Instant::now();
    let mut writer = ThrottledWrite::in_pieces(Recorder::default(), vendor.clone(), 10).unwrap();
    writer.write_all(&[1; 10]).await.unwrap();
    assert_eq!((since(start), vendor.used()), (20, 0));
    writer.write_all(&[1; 10]).await.unwrap();
    assert_eq!((since(start), vendor.used()), (60, 20));
}

/// What was left of them was once credit.
#[tokio::test(start_paused = true)]
async fn bytes_written_whose_permits_perished_and_were_refused_then_are_paid_for_all_the_same() {
    let vendor = Vendor::default();
    vendor.let_perish(1);
    vendor.refuse(1);
    let start = Instant::now();
    let recorder = Recorder::taking([Some(6)]);
    let mut writer = ThrottledWrite::in_pieces(recorder, vendor.clone(), 10).unwrap();
    assert_eq!(writer.write(&[1; 10]).await.unwrap(), 6);
    assert_eq!((since(start), vendor.used()), (20, 0));
    assert_eq!(writer.write(&[1; 4]).await.unwrap(), 4);
    assert_eq!((since(start), vendor.used()), (60, 10));
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_inner_writer_pass_and_cost_nothing() {
    let limiter = leaky(1000, 100);
    let (near, far) = duplex(8);
    drop(far);
    let mut writer = ThrottledWrite::new(near, limiter.clone());
    let error = writer.write(&[1; 10]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(limiter.peek(0).remaining, 100);
}

#[tokio::test(start_paused = true)]
async fn reading_passes_through() {
    let (near, mut far) = duplex(64);
    let limiter = leaky(1000, 10);
    limiter.close();
    let mut writer = ThrottledWrite::new(near, limiter);
    far.write_all(&[1; 20]).await.unwrap();
    assert_eq!(writer.read(&mut [0; 64]).await.unwrap(), 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After t milliseconds there were never more bytes than the capacity and t, and each was
    /// written once, whatever the inner writer takes and whichever writes are dropped.
    #[test]
    fn no_byte_is_lost_doubled_or_early(
        // Zero for a busy moment.
        takes in prop::collection::vec(0..40usize, 0..20),
        pieces in prop::collection::vec(1..60usize, 1..8),
        patience in 1..50u64,
        capacity in 1..50u32,
    ) {
        paused(async {
            let takes = takes.iter().map(|most| (*most > 0).then_some(*most));
            let start = Instant::now();
            let mut writer = ThrottledWrite::new(Recorder::taking(takes), leaky(1000, capacity));
            let data = bytes(pieces.iter().sum());
            let mut rest = &data[..];
            for piece in &pieces {
                let (mut piece, after) = rest.split_at(*piece);
                while !piece.is_empty() {
                    if let Ok(written) = timeout(ms(patience), writer.write(piece)).await {
                        piece = &piece[written.unwrap()..];
                    }
                }
                rest = after;
            }
            let written = writer.into_inner();
            assert_eq!(written.bytes, data);
            let mut sum = 0;
            for (at, count) in written.times(start) {
                sum += count as u128;
                assert!(sum <= u128::from(capacity) + at, "{sum} bytes after {at} ms");
            }
        });
    }
}
