//! Random limits: small numbers, so that boundaries meet, and intervals that have to be rounded.

use super::rate;
use proptest::prelude::*;
use std::time::Duration;
use tower_ratelimit::{
    AnyAlgorithm, BurstCompensating, Concurrency, FixedWindow, LeakyBucket, Quota, Rate,
    Serialized, SlidingWindow, SlidingWindowCounter, Strict, TokenBucket,
};

/// Mostly a few nanoseconds, now and then minutes.
fn scale() -> impl Strategy<Value = u64> {
    prop_oneof![6 => Just(1), 2 => Just(1_000_003), 1 => Just(3_000_000_000)]
}

pub(crate) fn one_rate() -> impl Strategy<Value = Rate> {
    (1..=6u32, 1..=30u64, 0..6u64, scale()).prop_map(|(permits, interval, odd, scale)| {
        let permits_wide = u64::from(permits);
        rate(permits, (permits_wide * interval + odd % permits_wide) * scale)
    })
}

/// One to three rates, each of which can be binding, by growing period.
pub(crate) fn rates() -> impl Strategy<Value = Vec<Rate>> {
    let longer = (2..=4u64, 0..5u64, 1..=16u32);
    let longer = prop::collection::vec(longer, 0..=2);
    (one_rate(), longer).prop_map(|(first, longer)| {
        let mut rates = vec![first];
        for (factor, odd, more) in longer {
            let last = rates[rates.len() - 1];
            let period = last.period().as_nanos() as u64 * factor + odd;
            // At most as dense as the rate before.
            let most = last.permits() * factor as u32;
            rates.push(rate((last.permits() + more).min(most), period));
        }
        rates
    })
}

pub(crate) fn leaky_bucket() -> impl Strategy<Value = LeakyBucket> {
    (one_rate(), 1..=6u32)
        .prop_map(|(rate, capacity)| LeakyBucket::new(rate).capacity(capacity).unwrap())
}

pub(crate) fn any_window() -> impl Strategy<Value = LeakyBucket> {
    (one_rate(), 0..6u32).prop_map(|(rate, capacity)| {
        LeakyBucket::any_window(rate, capacity % rate.permits() + 1).unwrap()
    })
}

pub(crate) fn strict() -> impl Strategy<Value = Strict> {
    one_rate().prop_map(Strict::new)
}

pub(crate) fn burst_compensating() -> impl Strategy<Value = BurstCompensating> {
    (one_rate(), 1..=5u32)
        .prop_map(|(rate, max_burst)| BurstCompensating::new(rate).max_burst(max_burst).unwrap())
}

pub(crate) fn sliding_window() -> impl Strategy<Value = SlidingWindow> {
    rates().prop_map(|rates| SlidingWindow::all(rates).unwrap())
}

/// An instant to align to, or none.
pub(crate) fn alignment() -> impl Strategy<Value = Option<Duration>> {
    proptest::option::of((0..500u64).prop_map(Duration::from_nanos))
}

pub(crate) fn token_bucket() -> impl Strategy<Value = TokenBucket> {
    (one_rate(), 0..=6u32, alignment()).prop_map(|(rate, more, alignment)| {
        let bucket = TokenBucket::new(rate).capacity(rate.permits() + more).unwrap();
        alignment.map_or(bucket, |instant| bucket.aligned_to(instant))
    })
}

/// Token buckets that are not full at first.
pub(crate) fn warming_bucket() -> impl Strategy<Value = TokenBucket> {
    (token_bucket(), 0..6u32).prop_map(|(bucket, initial)| {
        let initial = (0..=initial).rev().find_map(|initial| bucket.initial(initial).ok());
        initial.unwrap()
    })
}

pub(crate) fn quota() -> impl Strategy<Value = Quota> {
    (1..=6u32).prop_map(|permits| TokenBucket::quota(permits).unwrap())
}

pub(crate) fn fixed_window() -> impl Strategy<Value = FixedWindow> {
    (one_rate(), alignment()).prop_map(|(rate, alignment)| {
        let window = FixedWindow::new(rate);
        alignment.map_or(window, |instant| window.aligned_to(instant))
    })
}

pub(crate) fn sliding_window_counter() -> impl Strategy<Value = SlidingWindowCounter> {
    one_rate().prop_map(SlidingWindowCounter::new)
}

/// How long a lease is, or none.
pub(crate) fn lease() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![1 => Just(None), 4 => (1..=30u64).prop_map(Some)]
}

pub(crate) fn in_flight(capacity: u32, lease: Option<u64>) -> Concurrency {
    let limit = Concurrency::new(capacity).unwrap();
    match lease {
        Some(lease) => limit.lease(Duration::from_nanos(lease)).unwrap(),
        None => limit,
    }
}

pub(crate) fn concurrency() -> impl Strategy<Value = Concurrency> {
    (1..=5u32, lease()).prop_map(|(capacity, lease)| in_flight(capacity, lease))
}

/// With a lease of some tenths of its period, or none.
pub(crate) fn serialized() -> impl Strategy<Value = Serialized> {
    let tenths = prop_oneof![1 => Just(None), 2 => (1..=30u32).prop_map(Some)];
    (one_rate(), tenths).prop_map(|(rate, tenths)| {
        let limit = Serialized::new(rate);
        let lease = |tenths| (rate.period() * tenths / 10).max(Duration::from_nanos(1));
        tenths.map_or(limit, |tenths| limit.lease(lease(tenths)).unwrap())
    })
}

/// Any of those above whose calls do not hold their permits.
pub(crate) fn any_algorithm() -> impl Strategy<Value = AnyAlgorithm> {
    prop_oneof![
        leaky_bucket().prop_map_into(),
        any_window().prop_map_into(),
        strict().prop_map_into(),
        burst_compensating().prop_map_into(),
        sliding_window().prop_map_into(),
        token_bucket().prop_map_into(),
        warming_bucket().prop_map_into(),
        quota().prop_map_into(),
        fixed_window().prop_map_into(),
        sliding_window_counter().prop_map_into(),
    ]
}

/// A test of every algorithm for each of these behaviours: functions of a random limit and a
/// random history.
macro_rules! for_each_algorithm {
    ($($behaviour:ident),+ $(,)?) => {$(
        mod $behaviour {
            use crate::algorithms::{histories::check, limits};

            #[test]
            fn leaky_bucket() {
                check(limits::leaky_bucket(), super::$behaviour);
            }

            #[test]
            fn any_window() {
                check(limits::any_window(), super::$behaviour);
            }

            #[test]
            fn strict() {
                check(limits::strict(), super::$behaviour);
            }

            #[test]
            fn burst_compensating() {
                check(limits::burst_compensating(), super::$behaviour);
            }

            #[test]
            fn sliding_window() {
                check(limits::sliding_window(), super::$behaviour);
            }

            #[test]
            fn token_bucket() {
                check(limits::token_bucket(), super::$behaviour);
            }

            #[test]
            fn warming_bucket() {
                check(limits::warming_bucket(), super::$behaviour);
            }

            #[test]
            fn quota() {
                check(limits::quota(), super::$behaviour);
            }

            #[test]
            fn fixed_window() {
                check(limits::fixed_window(), super::$behaviour);
            }

            #[test]
            fn sliding_window_counter() {
                check(limits::sliding_window_counter(), super::$behaviour);
            }

            #[test]
            fn any_algorithm() {
                check(limits::any_algorithm(), super::$behaviour);
            }
        }
    )+};
}
pub(super) use for_each_algorithm;
