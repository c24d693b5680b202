//! Limiters over stores that take their time keep the contract, and so do our layers on them.
//!
//! Without a leaky bucket, which leaks while answers are on their way: what of a permit has leaked does not go
//! back, and a turn that nobody took is over for those whose turns the store has named already.

use crate::stored::slow::Slow;
use std::time::Duration;
use tower_ratelimit::{
    Algorithm, FixedWindow, OnFailure, Rate, SlidingWindow, StoredLimiter, TokenBucket,
    conformance::{Limits, Violation},
};

/// What a batch takes, and what an answer takes at most: a batch that is under way, the own one, and one that
/// gives back.
const BATCH: u64 = 4;
const LATENCY: Duration = Duration::from_millis(3 * BATCH);

fn rate(permits: u32, milliseconds: u64) -> Rate {
    Rate::new(permits, Duration::from_millis(milliseconds)).unwrap()
}

async fn conform<A: Algorithm + Clone>(
    limit: A,
    permits: u32,
    milliseconds: u64,
) -> Result<(), Violation> {
    let limits = Limits::new(permits, Duration::from_millis(milliseconds));
    for at_once in [1, 2] {
        let limiter = || {
            let store = Slow::new(BATCH).at_once(at_once);
            let limiter = StoredLimiter::builder("calls", store, limit.clone(), OnFailure::Refuse);
            limiter.build().unwrap()
        };
        limits.clone().latency(LATENCY).keyed_limiter(limiter).await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn token_bucket() -> Result<(), Violation> {
    conform(TokenBucket::new(rate(3, 960)), 3, 960).await
}

#[tokio::test(start_paused = true)]
async fn sliding_window() -> Result<(), Violation> {
    conform(SlidingWindow::new(rate(3, 320)), 3, 320).await
}

#[tokio::test(start_paused = true)]
async fn fixed_window() -> Result<(), Violation> {
    conform(FixedWindow::new(rate(3, 320)), 3, 320).await
}
