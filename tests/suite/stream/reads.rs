//! Bytes read a second.

use super::{leaky, ms, paused, since, vendor::Vendor};
use proptest::prelude::*;
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::{Instant, sleep, timeout},
};
use tokio_test::{
    assert_pending, assert_ready, assert_ready_err, assert_ready_ok, io::Builder, task,
};
use tower_ratelimit::{
    LeakyBucket, Quota, Rate, RateLimited, RateLimiter, Reason, SlidingWindow, Strict,
    stream::{ThrottledRead, ThrottledWrite},
};

/// Bytes that differ from their neighbours.
fn bytes(count: usize) -> Vec<u8> {
    (0..=250).cycle().take(count).collect()
}

fn reason(error: &io::Error) -> Reason {
    error.get_ref().unwrap().downcast_ref::<RateLimited>().unwrap().reason()
}

/// Reads with a buffer of this size to the end: when so many bytes came, and all of them.
async fn read_all(
    mut reader: impl tokio::io::AsyncRead + Unpin,
    buffer: usize,
) -> (Vec<(u128, usize)>, Vec<u8>) {
    let start = Instant::now();
    let (mut times, mut all, mut buffer) = (Vec::new(), Vec::new(), vec![0; buffer]);
    loop {
        match reader.read(&mut buffer).await.unwrap() {
            0 => return (times, all),
            read => {
                times.push((since(start), read));
                all.extend_from_slice(&buffer[..read]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_are_handed_out_in_pieces_of_the_limit_at_exact_instants() {
    let data = bytes(450);
    let reader = ThrottledRead::new(&data[..], leaky(1000, 100));
    let (times, all) = read_all(reader, 8192).await;
    assert_eq!(times, [(0, 100), (100, 100), (200, 100), (300, 100), (350, 50)]);
    assert_eq!(all, data);
}

#[tokio::test(start_paused = true)]
async fn what_the_limit_cannot_grant_at_once_stays_with_the_sender() {
    let data = bytes(450);
    let mut reader = ThrottledRead::new(&data[..], leaky(1000, 100));
    assert_eq!(reader.read(&mut [0; 8192]).await.unwrap(), 100);
    assert_eq!(reader.get_ref().len(), 350);
    timeout(ms(50), reader.read(&mut [0; 8192])).await.unwrap_err();
    assert_eq!(reader.get_ref().len(), 250);
}

#[tokio::test(start_paused = true)]
async fn a_small_buffer_is_paid_for_by_what_it_holds() {
    let data = bytes(160);
    let reader = ThrottledRead::new(&data[..], leaky(1000, 100));
    let (times, all) = read_all(reader, 40).await;
    assert_eq!(times, [(0, 40), (0, 40), (20, 40), (60, 40)]);
    assert_eq!(all, data);
}

#[tokio::test(start_paused = true)]
async fn only_what_was_really_read_is_paid_for() {
    let limiter = leaky(1000, 100);
    let mut reader = ThrottledRead::new(&[1, 2, 3][..], limiter.clone());
    let mut buffer = [0; 64];
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 3);
    assert_eq!(limiter.peek(0).remaining, 97);
    // The end costs nothing, and neither does a read of nothing.
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 0);
    assert_eq!(reader.read(&mut []).await.unwrap(), 0);
    assert_eq!(limiter.peek(0).remaining, 97);
}

#[tokio::test(start_paused = true)]
async fn no_permit_is_taken_while_there_is_nothing_to_read() {
    let limiter = leaky(1000, 100);
    let (mut sender, receiver) = duplex(64);
    let mut reader = ThrottledRead::new(receiver, limiter.clone());
    let mut buffer = [0; 64];
    let mut read = task::spawn(reader.read(&mut buffer));
    assert_pending!(read.poll());
    assert_eq!(limiter.peek(0).remaining, 100);
    sender.write_all(&[1; 10]).await.unwrap();
    assert!(read.is_woken());
    assert_eq!(assert_ready_ok!(read.poll()), 10);
    assert_eq!(limiter.peek(0).remaining, 90);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_reader_gives_up_its_place() {
    let limiter = leaky(1000, 100);
    limiter.try_acquire_many(100).unwrap();
    let mut reader = ThrottledRead::new(&[1; 100][..], limiter.clone());
    timeout(ms(50), reader.read(&mut [0; 100])).await.unwrap_err();
    assert_eq!(limiter.try_acquire_many(1).unwrap_err().retry_after(), Some(ms(51)));
    drop(reader);
    limiter.try_acquire_many(50).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_read_keeps_its_bytes_and_its_place_and_another_buffer_will_do() {
    let data = bytes(200);
    let limiter = leaky(1000, 100);
    let mut reader = ThrottledRead::new(&data[..], limiter.clone());
    let start = Instant::now();
    reader.read_exact(&mut [0; 100]).await.unwrap();
    timeout(ms(50), reader.read(&mut [0; 100])).await.unwrap_err();
    let mut rest = [0; 7];
    assert_eq!(reader.read(&mut rest).await.unwrap(), 7);
    assert_eq!((since(start), &rest[..]), (100, &data[100..107]));
    // They are paid for.
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.unwrap();
    assert_eq!((since(start), &rest[..]), (100, &data[107..]));
}

#[tokio::test(start_paused = true)]
async fn two_readers_share_a_limit_in_turns() {
    let data = bytes(300);
    let limiter = leaky(1000, 100);
    let one = ThrottledRead::new(&data[..], limiter.clone());
    let other = ThrottledRead::new(&data[..], limiter);
    let (one, other) = tokio::join!(read_all(one, 8192), read_all(other, 8192));
    // The first one asks again before the other one runs for the first time.
    assert_eq!(one.0, [(0, 100), (100, 100), (300, 100)]);
    assert_eq!(other.0, [(200, 100), (400, 100), (500, 100)]);
    assert_eq!((one.1, other.1), (data.clone(), data));
}

#[tokio::test(start_paused = true)]
async fn reads_stand_in_line_with_everybody_else() {
    let limiter = leaky(1000, 100);
    let data = bytes(200);
    let mut reader = ThrottledRead::new(&data[..], limiter.clone());
    let mut buffer = [0; 100];
    reader.read_exact(&mut buffer).await.unwrap();
    let mut read = task::spawn(reader.read(&mut buffer));
    assert_pending!(read.poll());
    let mut behind = task::spawn(limiter.acquire());
    sleep(ms(99)).await;
    assert_pending!(behind.poll());
    sleep(ms(1)).await;
    assert_eq!(assert_ready_ok!(read.poll()), 100);
    assert_pending!(behind.poll());
    sleep(ms(1)).await;
    assert!(assert_ready!(behind.poll()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn pieces_become_smaller_with_the_limit_while_bytes_wait() {
    let data = bytes(300);
    let limiter = leaky(1000, 100);
    let mut reader = ThrottledRead::new(&data[..], limiter.clone());
    let mut all = [0; 300];
    reader.read_exact(&mut all[..100]).await.unwrap();
    timeout(ms(40), reader.read(&mut all[100..])).await.unwrap_err();
    let smaller = LeakyBucket::new(Rate::per_second(1000).unwrap()).capacity(30).unwrap();
    limiter.set_algorithm(smaller);
    reader.read_exact(&mut all[100..]).await.unwrap();
    assert_eq!(all, data[..]);
}

/// The limit that is nearest to its end need not be the one that grants the least at once.
#[tokio::test(start_paused = true)]
async fn pieces_that_no_rate_grants_are_made_smaller() {
    let rates = [Rate::per_second(10).unwrap(), Rate::per_minute(60).unwrap()];
    let limiter = RateLimiter::new(SlidingWindow::all(rates).unwrap());
    let data = bytes(40);
    let mut reader = ThrottledRead::in_pieces(&data[..], limiter, 1000).unwrap();
    let mut all = Vec::new();
    reader.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, data);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_refused_are_kept() {
    let limiter = leaky(1000, 4);
    let data = bytes(8);
    let mut reader = ThrottledRead::new(&data[..], limiter.clone());
    let mut buffer = [0; 8];
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 4);
    let mut read = task::spawn(reader.read(&mut buffer[4..]));
    assert_pending!(read.poll());
    limiter.cancel();
    assert_eq!(reason(&assert_ready_err!(read.poll())), Reason::Cancelled);
    drop(read);
    reader.read_exact(&mut buffer[4..]).await.unwrap();
    assert_eq!(buffer, data[..]);
    limiter.close();
    // The end is free.
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_bytes_is_read_to_the_last_one() {
    let data = bytes(20);
    let limiter = RateLimiter::new(Quota::new(11).unwrap());
    let mut reader = ThrottledRead::new(&data[..], limiter.clone());
    let (mut all, mut buffer) = (Vec::new(), [0; 8]);
    let error = loop {
        match reader.read(&mut buffer).await {
            Ok(read) => all.extend_from_slice(&buffer[..read]),
            Err(error) => break error,
        }
    };
    assert_eq!(reason(&error), Reason::Exhausted);
    assert_eq!(all, data[..11]);
    // The pieces are as large as before once there is a quota again.
    limiter.reset();
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 5);
    assert_eq!(buffer[..5], data[11..16]);
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_inner_reader_pass_and_cost_nothing() {
    let limiter = leaky(1000, 100);
    let inner = Builder::new().read(&[1]).read_error(io::ErrorKind::TimedOut.into()).build();
    let mut reader = ThrottledRead::new(inner, limiter.clone());
    assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 1);
    assert_eq!(reader.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(limiter.peek(0).remaining, 99);
}

#[tokio::test(start_paused = true)]
async fn any_limiter_and_any_algorithm_will_do_in_pieces_of_a_given_size() {
    let data = bytes(25);
    let vendor = Vendor::default();
    let reader = ThrottledRead::in_pieces(&data[..], vendor.clone(), 10).unwrap();
    let (times, all) = read_all(reader, 64).await;
    assert_eq!(times, [(20, 10), (40, 10), (60, 5)]);
    assert_eq!((all, vendor.used()), (data.clone(), 25));

    let strict = Strict::new(Rate::per_second(1000).unwrap());
    let reader = ThrottledRead::in_pieces(&data[..], strict, 10).unwrap();
    let (times, _) = read_all(reader, 64).await;
    assert_eq!(times.iter().map(|(_, read)| read).sum::<usize>(), 25);

    let nothing = ThrottledRead::in_pieces(&data[..], Vendor::default(), 0).unwrap_err();
    assert_eq!(nothing.to_string(), "most is 0, but must be at least 1");
}

#[tokio::test(start_paused = true)]
async fn each_way_has_its_own_limit() {
    let (near, far) = duplex(4096);
    let start = Instant::now();
    let limited = ThrottledWrite::new(near, leaky(1000, 100));
    let mut near = ThrottledRead::new(limited, leaky(1000, 50));
    let mut far = far;
    far.write_all(&[1; 150]).await.unwrap();
    near.read_exact(&mut [0; 150]).await.unwrap();
    assert_eq!(since(start), 100);
    near.write_all(&[2; 150]).await.unwrap();
    assert_eq!(since(start), 150);
    far.read_exact(&mut [0; 150]).await.unwrap();
}

/// Copies through a reader and a writer by one limit each, in chunks of any size, with reads that
/// are dropped in the middle, and says what came out and when.
async fn copy(
    chunks: &[u8],
    buffer: usize,
    patience: u64,
    capacity: u32,
) -> (Vec<u8>, Vec<(u128, usize)>) {
    let mut inner = Builder::new();
    let data = bytes(chunks.iter().map(|chunk| usize::from(*chunk)).sum());
    let mut rest = &data[..];
    for chunk in chunks {
        let (chunk, after) = rest.split_at((*chunk).into());
        inner.read(chunk).wait(ms(3));
        rest = after;
    }
    let mut reader = ThrottledRead::new(inner.build(), leaky(1000, capacity));
    let (start, mut all, mut times) = (Instant::now(), Vec::new(), Vec::new());
    let mut buffer = vec![0; buffer];
    loop {
        let Ok(read) = timeout(ms(patience), reader.read(&mut buffer)).await else { continue };
        let read = read.unwrap();
        if read == 0 {
            assert_eq!(all, data);
            return (all, times);
        }
        times.push((since(start), read));
        all.extend_from_slice(&buffer[..read]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A thousand bytes a second are one a millisecond: after t milliseconds there were never more
    /// than the capacity and t. No byte is lost or doubled, whichever reads are dropped.
    #[test]
    fn no_byte_is_lost_doubled_or_early(
        chunks in prop::collection::vec(1..=60u8, 1..20),
        buffer in 1..80usize,
        patience in 1..50u64,
        capacity in 1..50u32,
    ) {
        let (_, times) = paused(copy(&chunks, buffer, patience, capacity));
        let mut sum = 0;
        for (at, read) in times {
            sum += read as u128;
            prop_assert!(sum <= u128::from(capacity) + at, "{sum} bytes after {at} ms");
        }
    }
}
