//! Which limits a store is asked about.

use crate::algorithm::{
    Algorithm, AnyAlgorithm, BurstCompensating, Concurrency, FixedWindow, LeakyBucket, Quota,
    Serialized, SlidingWindow, SlidingWindowCounter, Strict, TokenBucket,
};

/// An algorithm of which there are samples: limits that a [store](super::store()) is asked about.
///
/// For one of your own, name a few with small numbers of permits, and with intervals of seconds or
/// minutes.
pub trait Sampled: Algorithm {
    /// Returns some limits, at least two. The first one lets a few calls through at once, and then
    /// none for at least an hour.
    fn samples() -> Vec<Self>
    where
        Self: Sized;
}

macro_rules! samples {
    ($($algorithm:ident: $first:literal $(, $line:literal)* $(,)?;)+) => {
        $(
            impl Sampled for $algorithm {
                fn samples() -> Vec<Self> {
                    // All of them can be read, and a test looks that they are.
                    [$first, $($line),*].iter().filter_map(|line| line.parse().ok()).collect()
                }
            }
        )+

        /// Those of each of the others.
        impl Sampled for AnyAlgorithm {
            fn samples() -> Vec<Self> {
                let mut samples = Vec::new();
                $(samples.extend($algorithm::samples().into_iter().map(Self::from));)+
                samples
            }
        }
    };
}

samples! {
    LeakyBucket:
        "leaky bucket 1/2h, capacity 7",
        "leaky bucket 3/100s, capacity 2",
        "leaky bucket 5/60000007us, capacity 2, any window";
    Strict: "strict 1/2h", "strict 3/100s";
    BurstCompensating:
        "burst compensating 1/2h, max burst 1",
        "burst compensating 3/100s, max burst 3";
    TokenBucket:
        "token bucket 2/2h, capacity 7",
        "token bucket 3/100s, capacity 5",
        "token bucket 2/60000007us, capacity 3, aligned to 7s",
        "token bucket 2/60s, capacity 4, initial 1",
        "token bucket 2/60s, capacity 2, initial 0";
    Quota: "quota 7", "quota 1";
    SlidingWindow:
        "sliding window 7/2h",
        "sliding window 2/60000007us",
        "sliding window 2/60s and 3/100s and 8/1h";
    FixedWindow: "fixed window 7/2h", "fixed window 2/60000007us, aligned to 7s";
    // Where a counter fades is a fraction of its period: these have whole ones.
    SlidingWindowCounter: "sliding window counter 4/5040s", "sliding window counter 2/2520s";
    Concurrency: "concurrency 7", "concurrency 2, lease 60000007us", "concurrency 1, lease 100s";
    Serialized: "serialized 1/2h", "serialized 2/60000007us", "serialized 1/60s, lease 100s";
}
