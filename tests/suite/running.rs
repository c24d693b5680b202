//! Tasks that run when their turn has come.

use std::time::Duration;
use tokio::time::Instant;
use tower_ratelimit::{Concurrency, LeakyBucket, Rate, RateLimiter, Reason};

fn one_per_100_ms() -> LeakyBucket {
    LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(1).unwrap()
}

#[tokio::test(start_paused = true)]
async fn spawned_calls_get_in_line_at_once_and_run_in_order() {
    let limiter = RateLimiter::new(one_per_100_ms());
    let start = Instant::now();
    let handles: Vec<_> = (0..4)
        .map(|_| limiter.spawn(async move { start.elapsed().as_millis() }).unwrap())
        .collect();
    // It stands behind those that no task has looked at yet.
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(Duration::from_millis(400)));
    handles[1].abort();
    let mut results = Vec::new();
    for handle in handles {
        results.push(handle.await.ok().map(Result::unwrap));
    }
    assert_eq!(results, [Some(0), None, Some(100), Some(200)]);
}

#[tokio::test(start_paused = true)]
async fn a_spawned_call_that_is_sent_away_says_so_in_its_handle() {
    let limiter = RateLimiter::new(one_per_100_ms());
    limiter.try_acquire().unwrap();
    let handle = limiter.spawn(async {}).unwrap();
    limiter.cancel();
    assert_eq!(handle.await.unwrap().unwrap_err().reason(), Reason::Cancelled);
    limiter.close();
    assert_eq!(limiter.spawn(async {}).unwrap_err().reason(), Reason::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_bound_of_the_line_is_refused_at_once_and_never_runs() {
    let limiter = RateLimiter::builder(one_per_100_ms()).max_waiting(2).build();
    let start = Instant::now();
    let ran = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let push = |number: u32| {
        let ran = std::sync::Arc::clone(&ran);
        limiter.spawn(async move {
            ran.lock().unwrap().push((number, start.elapsed().as_millis()));
            number * 10
        })
    };
    let handles = [0, 1, 2].map(|number| push(number).unwrap());
    let refused = push(3).unwrap_err();
    assert_eq!(refused.reason(), Reason::QueueFull);
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(300)));
    let mut results = Vec::new();
    for handle in handles {
        results.push(handle.await.unwrap().unwrap());
    }
    // There is room again, and the next one has a slot of its own.
    results.push(push(4).unwrap().await.unwrap().unwrap());
    assert_eq!(results, [0, 10, 20, 40]);
    assert_eq!(*ran.lock().unwrap(), [(0, 0), (1, 100), (2, 200), (4, 300)]);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_aborted_before_it_runs_holds_nothing() {
    let limiter = RateLimiter::new(Concurrency::new(1).unwrap());
    let handle = limiter.spawn(async {}).unwrap();
    assert!(limiter.try_acquire().is_err(), "from when it was let go, not from when it runs");
    handle.abort();
    assert!(handle.await.unwrap_err().is_cancelled());
    limiter.try_acquire().unwrap();
}
