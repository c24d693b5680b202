//! Functions that run with a permit only.

use super::{milliseconds, until_turn_is_in, used_up};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};
use tokio_test::{assert_pending, task};
use tower_ratelimit::{
    BurstCompensating, ManualClock, Rate, RateLimited, RateLimiter, Reason, Strict,
};

#[test]
fn a_wrapped_function_runs_once_for_each_permit() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let ran = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ran);
    let function = limiter.wrap_fn(move |by| count.fetch_add(by, Ordering::SeqCst));
    thread::scope(|scope| {
        let blocked = scope.spawn(|| function.blocking_call(7));
        until_turn_is_in(&limiter, milliseconds(200));
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        clock.set(milliseconds(100));
        assert_eq!(blocked.join().unwrap(), Ok(0));
    });
    assert_eq!(ran.load(Ordering::SeqCst), 7);
    let refused = function.clone().max_wait(milliseconds(99)).blocking_call(1).unwrap_err();
    assert_eq!(refused.retry_after(), Some(milliseconds(100)));
    assert_eq!(function.clone().cost(2).blocking_call(1).unwrap_err().reason(), Reason::TooCostly);
    assert_eq!(ran.load(Ordering::SeqCst), 7);
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_asynchronous_function_is_called_once_there_is_a_permit() {
    let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(10).unwrap()));
    let start = tokio::time::Instant::now();
    let function = limiter.wrap_fn(async |()| start.elapsed());
    for slot in 0..3 {
        assert_eq!(function.call(()).await, Ok(milliseconds(slot * 100)));
    }
    let timed_out = function.clone().timeout(milliseconds(40)).call(()).await;
    assert_eq!(timed_out.unwrap_err().retry_after(), Some(milliseconds(60)));
    assert_eq!(start.elapsed(), milliseconds(240));
    assert_eq!(function.call(()).await, Ok(milliseconds(300)));
}

#[tokio::test]
async fn a_wrapped_function_that_is_dropped_while_it_waits_is_never_called() {
    async fn unreachable(_: u8) {
        panic!("it has no permit");
    }
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let function = limiter.wrap_fn(unreachable);
    let mut waits = task::spawn(function.call(1));
    assert_pending!(waits.poll());
    drop(waits);
    assert_eq!(limiter.peek(1).retry_after(), Some(milliseconds(100)));
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_function_can_be_called_in_a_task_of_its_own() {
    async fn double(x: u32) -> u32 {
        2 * x
    }
    let limiter = RateLimiter::new(Strict::new(Rate::per_second(10).unwrap()));
    let function = limiter.wrap_fn(double);
    let task = tokio::spawn(async move { function.call(4).await });
    let answer: Result<u32, RateLimited> = task.await.unwrap();
    assert_eq!(answer, Ok(8));
}
