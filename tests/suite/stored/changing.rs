//! Limits that are changed while a store keeps their states.

use super::{Slow, limiter, ms, refused};
use std::time::Duration;
use tokio::time::sleep;
use tower_ratelimit::AnyAlgorithm;

const SLOW: [&str; 3] =
    ["leaky bucket 1/hour, capacity 1", "strict 1/hour", "burst compensating 1/hour"];
const FAST: [&str; 3] = ["leaky bucket 10/s, capacity 1", "strict 10/s", "burst compensating 10/s"];

fn read(line: &str) -> AnyAlgorithm {
    line.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn nobody_has_to_wait_as_long_as_a_limit_that_was_raised_would_have_had_it() {
    for (slow, fast) in SLOW.into_iter().zip(FAST) {
        let limiter = limiter(&Slow::new(0), read(slow));
        let limit = limiter.key("alice");
        limit.try_acquire().await.unwrap();
        sleep(ms(10)).await;
        limiter.set_algorithm(read(fast)).unwrap();
        // What is outstanding takes its new interval from the last tick, whoever asks meanwhile.
        for passed in [10, 40, 99] {
            let refusal = refused(limit.try_acquire().await);
            assert_eq!(refusal.retry_after(), Some(ms(100 - passed)), "{fast}");
            let next = [40, 99, 100].into_iter().find(|next| *next > passed).unwrap();
            sleep(ms(next - passed)).await;
        }
        limit.try_acquire().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_outstanding_stays_outstanding_when_a_limit_is_lowered() {
    for (slow, fast) in SLOW.into_iter().zip(FAST) {
        let limiter = limiter(&Slow::new(0), read(fast));
        let limit = limiter.key("alice");
        limit.try_acquire().await.unwrap();
        sleep(ms(10)).await;
        limiter.set_algorithm(read(slow)).unwrap();
        let refusal = refused(limit.try_acquire().await);
        let hour = Duration::from_secs(3600);
        assert_eq!(refusal.retry_after(), Some(hour - ms(10)), "{slow}");
    }
}
