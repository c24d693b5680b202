//! Those who wait for a restored limiter are woken at their instants.

use super::{NANOSECOND, at_once, single};
use std::{thread, time::Duration};
use tokio::time::Instant;
use tower_ratelimit::{Clock, ManualClock, Rate, RateLimiter, Snapshot, Strict};

fn strict() -> Strict {
    Strict::new(Rate::per_second(1).unwrap())
}

/// Used up 300 ms ago, by a clock that had shown as much before.
fn snapshot(begun: Duration) -> Snapshot {
    let clock = ManualClock::new();
    clock.set(begun);
    let before = single(strict(), &clock);
    before.try_acquire().unwrap();
    clock.advance(Duration::from_millis(300));
    before.snapshot()
}

const BEGUN: [Duration; 3] = [Duration::ZERO, Duration::from_secs(7), Duration::from_secs(1 << 32)];

#[test]
fn a_task_is_woken_at_the_exact_instant_of_a_manual_clock() {
    for (begun, other) in BEGUN.into_iter().zip(BEGUN.into_iter().rev()) {
        let clock = ManualClock::new();
        clock.set(other);
        let after = at_once(&snapshot(begun), strict(), &clock).unwrap();
        let mut waiting = tokio_test::task::spawn(after.acquire());
        tokio_test::assert_pending!(waiting.poll());
        clock.advance(Duration::from_millis(700) - NANOSECOND);
        tokio_test::assert_pending!(waiting.poll());
        clock.advance(NANOSECOND);
        assert!(waiting.is_woken());
        let permit = tokio_test::assert_ready_ok!(waiting.poll());
        assert_eq!(permit.waited(), Duration::from_millis(700));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_woken_at_the_exact_instant_of_a_paused_clock() {
    for begun in BEGUN {
        for clock in [Clock::monotonic(), Clock::precise()] {
            let snapshot = snapshot(begun);
            tokio::time::advance(Duration::from_secs(20)).await;
            let builder = RateLimiter::builder(strict()).clock(clock);
            let after = builder.restore_at(&snapshot, snapshot.taken_at()).unwrap();
            let start = Instant::now();
            after.acquire().await.unwrap();
            assert_eq!(start.elapsed(), Duration::from_millis(700));
            after.acquire().await.unwrap();
            assert_eq!(start.elapsed(), Duration::from_millis(1700));
        }
    }
}

#[test]
fn a_thread_is_woken_when_a_manual_clock_gets_there() {
    for (begun, other) in BEGUN.into_iter().zip(BEGUN.into_iter().rev()) {
        let clock = ManualClock::new();
        clock.set(other);
        let after = at_once(&snapshot(begun), strict(), &clock).unwrap();
        let waited = thread::scope(|scope| {
            let thread = scope.spawn(|| after.acquire().blocking_wait().unwrap().waited());
            // Whoever comes now would be the second in line once the thread is the first.
            while after.peek(1).retry_after() != Some(Duration::from_millis(1700)) {
                thread::yield_now();
            }
            clock.advance(Duration::from_millis(700));
            thread.join().unwrap()
        });
        assert_eq!(waited, Duration::from_millis(700));
    }
}
