//! Living under tower's contract: every numbered point of it has its test here.

mod probe;
mod outage;
mod sharing;
mod waits;
mod refusing;
mod giving_back;
mod settling;
mod real_costs;
mod fixed_costs;
mod enforcing;
mod perishing;
mod plenty;
mod promised;
mod order;
mod keys;
mod joint;
mod waking;
mod budget;
mod runtime;
mod types;
mod axum_routes;
mod buffer;
mod stacks;
mod in_flight;

use std::{fmt::Debug, time::Duration};
use tokio::time::Instant;
use tower_ratelimit::{Error, LeakyBucket, Rate, RateLimited, SlidingWindow, Strict};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A permit every so many milliseconds, and no burst.
fn one_per(milliseconds: u64) -> LeakyBucket {
    LeakyBucket::new(Rate::new(1, ms(milliseconds)).unwrap()).capacity(1).unwrap()
}

fn strict(milliseconds: u64) -> Strict {
    Strict::new(Rate::new(1, ms(milliseconds)).unwrap())
}

fn window(permits: u32, milliseconds: u64) -> SlidingWindow {
    SlidingWindow::new(Rate::new(permits, ms(milliseconds)).unwrap())
}

fn refusal<T: Debug, E: Debug>(result: Result<T, Error<E>>) -> RateLimited {
    match result {
        Err(Error::Limited(refusal)) => refusal,
        other => panic!("not a refusal: {other:?}"),
    }
}

/// What a future comes to that is ready when it is polled for the first time.
fn at_once<F: Future>(future: F) -> F::Output {
    tokio_test::assert_ready!(tokio_test::task::spawn(future).poll())
}

/// Lets the paused time go on to so many milliseconds after `start`.
async fn until(start: Instant, milliseconds: u64) {
    tokio::time::sleep_until(start + ms(milliseconds)).await;
}
