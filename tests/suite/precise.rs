//! The precise clock.

use std::time::Duration;
use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower_ratelimit::{Clock, Nanos, Rate, RateLimiter, Strict};

fn milliseconds(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn strict(rate: u32) -> RateLimiter<Strict> {
    let strict = Strict::new(Rate::per_second(rate).unwrap());
    RateLimiter::builder(strict).clock(Clock::precise()).build()
}

#[tokio::test(start_paused = true)]
async fn paused_instants_are_exact() {
    for rate in [1, 10, 500, 1000] {
        let limiter = strict(rate);
        let start = Instant::now();
        for call in 0..5 {
            limiter.acquire().await.unwrap();
            assert_eq!(start.elapsed(), Duration::from_secs(1) / rate * call);
        }
        sleep(milliseconds(1000)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_is_exact_to_the_nanosecond_where_it_is_moved_by_hand() {
    let limiter = strict(5000);
    limiter.acquire().await.unwrap();
    let mut next = task::spawn(limiter.acquire());
    assert_pending!(next.poll());
    advance(Duration::from_nanos(199_999)).await;
    assert_pending!(next.poll());
    advance(Duration::from_nanos(1)).await;
    assert_ready_ok!(next.poll());
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_moves_by_itself_although_slots_are_closer_than_it_ticks() {
    for rate in [5000, 20_000] {
        let limiter = strict(rate);
        let start = Instant::now();
        let calls = async move {
            for call in 0..5 {
                limiter.acquire().await.unwrap();
                assert_eq!(start.elapsed(), milliseconds(call));
            }
        };
        // A task that wakes itself over and over keeps the clock from moving.
        tokio::spawn(calls).await.unwrap();
        sleep(milliseconds(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_ends_early_or_is_dropped_leaves_the_others_their_turn() {
    let limiter = strict(100);
    let start = Instant::now();
    limiter.acquire().await.unwrap();
    assert!(limiter.acquire().timeout(milliseconds(4)).await.is_err());
    assert_eq!(start.elapsed(), milliseconds(4));
    // Once with tokio's timer, and once with the thread.
    for wait in [1, 4] {
        let mut dropped = task::spawn(limiter.acquire());
        assert_pending!(dropped.poll());
        sleep(milliseconds(wait)).await;
        assert_pending!(dropped.poll());
    }
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), milliseconds(10));
}

/// Real time, of which nothing is known but that the limit is kept.
async fn keep_the_gap(tasks: u32) {
    let limiter = strict(5000);
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                let mut calls = Vec::new();
                for _ in 0..20 {
                    let permit = limiter.acquire().await.unwrap();
                    calls.push(permit.decision().grant().unwrap().at);
                }
                calls
            })
        })
        .collect();
    let mut calls: Vec<Nanos> = Vec::new();
    for task in tasks {
        calls.extend(task.await.unwrap());
    }
    calls.sort();
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] >= Nanos::new(200_000)), "{calls:?}");
}

#[tokio::test]
async fn the_gap_is_kept_in_real_time_by_one_task_on_one_thread() {
    keep_the_gap(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gap_is_kept_in_real_time_by_many_tasks_on_two_threads() {
    keep_the_gap(5).await;
}
