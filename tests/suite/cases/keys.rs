//! Limits that know their callers apart.

use super::{milliseconds, window};
use std::time::Duration;
use tokio::time::Instant;
use tower_ratelimit::{KeyedRateLimiter, ManualClock};

#[tokio::test(start_paused = true)]
async fn r11_waiting_for_one_key_does_not_delay_another() {
    let limiter = KeyedRateLimiter::new(window(1, 450));
    let start = Instant::now();
    limiter.key("a").acquire().await.unwrap();
    let a = limiter.key("a");
    let waiting = tokio::spawn(async move {
        a.acquire().await.unwrap();
        Instant::now()
    });
    tokio::task::yield_now().await;
    limiter.key("b").acquire().await.unwrap();
    assert!(limiter.key("c").try_acquire().is_ok());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(waiting.await.unwrap() - start, milliseconds(450));
}

#[test]
fn r17_forgetting_a_key_at_the_instant_it_expires_changes_no_answer() {
    let clock = ManualClock::new();
    let builder = || KeyedRateLimiter::builder(window(2, 100)).clock(clock.clone());
    let (kept, forgetful) = (builder().build(), builder().max_keys(1).unwrap().build());
    for limiter in [&kept, &forgetful] {
        assert!(limiter.key("a").try_acquire().is_ok());
    }
    for (instant, makes_room) in [(99_999_999, false), (100_000_000, true)] {
        clock.set(Duration::from_nanos(instant));
        // A second key finds room only once the first equals new.
        let before = forgetful.keys();
        let other = forgetful.key("b").peek(1);
        assert!(other.is_granted());
        assert!(forgetful.key("b").try_acquire().is_ok());
        assert_eq!(forgetful.keys() > before, !makes_room, "at {instant}");
        let answers = [&kept, &forgetful].map(|limiter| limiter.key("a").peek(1).is_granted());
        assert_eq!(answers, [true, true]);
    }
}

#[test]
fn r29_any_bytes_are_a_key_of_their_own() {
    let limiter = KeyedRateLimiter::new(window(1, 1000));
    let long = [b'k'; 10_240];
    let mut almost = long;
    almost[10_239] = b'j';
    let keys: [&[u8]; 14] = [
        b"",
        b"a",
        b"a'b",
        b"a''b",
        b"a\"b",
        b"x'); DROP TABLE t",
        b"a\nb",
        b"a\r\nb",
        b"a\0",
        b"a\0b",
        b"\xff\xfe",
        b"\xc3\x28",
        &long,
        &almost,
    ];
    for key in keys {
        assert!(limiter.key(key).try_acquire().is_ok(), "{key:?} was seen before");
    }
    for key in keys {
        assert!(limiter.key(key).try_acquire().is_err(), "{key:?} was forgotten");
    }
    assert_eq!(limiter.keys(), keys.len());
    // Text is the same key as its bytes.
    assert!(limiter.key("x'); DROP TABLE t").try_acquire().is_err());
}
