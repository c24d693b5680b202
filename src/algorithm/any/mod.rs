//! An algorithm that is chosen while the program runs.

mod state;

pub use state::AnyState;

use super::{
    Algorithm, BurstCompensating, Concurrency, FixedWindow, Held, LeakyBucket, Measure, Quota,
    Scripted, Serialized, SlidingWindow, SlidingWindowCounter, Strict, TokenBucket, written,
};
use crate::{
    decision::{Ask, Decision},
    invalid::Invalid,
    nanos::Nanos,
    rate::Rate,
};
use std::{fmt, str::FromStr, time::Duration};

/// Any of the algorithms, for a limit whose kind is chosen in a file or on the command line.
///
/// It is read from a line of text, and printed as it is read. With the feature `serde` it is also
/// read from the tables of a file, where `algorithm` says which it is and the other fields are the
/// parameters. Those in brackets may be left out; numbers and rates are held to what the
/// constructors and setters allow, with the same errors. A length of time is a whole number and a
/// unit, as in a [`Rate`].
///
/// | line | `algorithm` | other fields |
/// |---|---|---|
/// | `leaky bucket 10/s, capacity 5[, any window]` | `leaky_bucket` | `rate`, \[`capacity`\], \[`any_window`\] |
/// | `strict 10/s` | `strict` | `rate` |
/// | `burst compensating 10/s, max burst 5` | `burst_compensating` | `rate`, \[`max_burst`\] |
/// | `token bucket 5/s, capacity 20[, initial 3][, aligned to 250ms]` | `token_bucket` | `rate`, \[`capacity`\], \[`initial`\], \[`aligned_to`\] |
/// | `quota 1000` | `quota` | `permits` |
/// | `sliding window 10/s and 1000/day` | `sliding_window` | `rate`, or `rates` as a list |
/// | `fixed window 60/min[, aligned to 0s]` | `fixed_window` | `rate`, \[`aligned_to`\] |
/// | `sliding window counter 60/min` | `sliding_window_counter` | `rate` |
/// | `concurrency 8[, lease 30s]` | `concurrency` | `capacity`, \[`lease`\] |
/// | `serialized 1/s[, lease 30s]` | `serialized` | `rate`, \[`lease`\] |
///
/// It decides as the algorithm in it does. As that may be one whose calls
/// [hold](Held) their permits, a maximum wait that is long enough for the wait foreseen
/// is a time-out from then on, for all of them. As it may be a [`Quota`], it is not
/// [`Refills`](crate::algorithm::Refills). A state takes as much room as the largest of them needs, 72 bytes.
///
/// A limiter may go on by [another algorithm](crate::RateLimiter::set_algorithm). As many permits as
/// were not available then are taken from the new limit, or all that it has when that is less
/// (of several rates, as many as of the one with the most taken);
/// where it bounds the [calls in flight](Concurrency), which knows of no others, it begins anew.
/// Permits granted before do not come back then.
///
/// ```
/// use tower_ratelimit::{AnyAlgorithm, LeakyBucket, Rate, RateLimiter};
///
/// let limit: AnyAlgorithm = "leaky bucket 10/s, capacity 5".parse()?;
/// assert_eq!(limit, LeakyBucket::new(Rate::per_second(10)?).capacity(5)?.into());
/// assert_eq!(limit.to_string(), "leaky bucket 10/s, capacity 5");
/// let limiter = RateLimiter::new(limit);
/// limiter.try_acquire_many(5).expect("five fit into the bucket");
///
/// let invalid = "leaky bucket 10/s, capacity 0".parse::<AnyAlgorithm>().unwrap_err();
/// assert_eq!(invalid.to_string(), "capacity is 0, but must be 1 to 78840000000");
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(tag = "algorithm", rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum AnyAlgorithm {
    /// See [`LeakyBucket`].
    LeakyBucket(LeakyBucket),
    /// See [`Strict`].
    Strict(Strict),
    /// See [`BurstCompensating`].
    BurstCompensating(BurstCompensating),
    /// See [`TokenBucket`].
    TokenBucket(TokenBucket),
    /// See [`Quota`].
    Quota(Quota),
    /// See [`SlidingWindow`].
    SlidingWindow(SlidingWindow),
    /// See [`FixedWindow`].
    FixedWindow(FixedWindow),
    /// See [`SlidingWindowCounter`].
    SlidingWindowCounter(SlidingWindowCounter),
    /// See [`Concurrency`].
    Concurrency(Concurrency),
    /// See [`Serialized`].
    Serialized(Serialized),
}

/// Does the same with whatever algorithm it is.
macro_rules! with {
    ($any:expr, $limit:ident => $answer:expr) => {
        match $any {
            AnyAlgorithm::LeakyBucket($limit) => $answer,
            AnyAlgorithm::Strict($limit) => $answer,
            AnyAlgorithm::BurstCompensating($limit) => $answer,
            AnyAlgorithm::TokenBucket($limit) => $answer,
            AnyAlgorithm::Quota($limit) => $answer,
            AnyAlgorithm::SlidingWindow($limit) => $answer,
            AnyAlgorithm::FixedWindow($limit) => $answer,
            AnyAlgorithm::SlidingWindowCounter($limit) => $answer,
            AnyAlgorithm::Concurrency($limit) => $answer,
            AnyAlgorithm::Serialized($limit) => $answer,
        }
    };
}

impl Algorithm for AnyAlgorithm {
    type State = AnyState;

    type Permits = Held;

    fn decide(&self, state: &mut AnyState, now: Nanos, ask: Ask) -> Decision {
        with!(self, limit => state.decide(limit, now, ask))
    }

    fn new_at(&self, state: &AnyState) -> Nanos {
        with!(self, limit => state.new_at(limit))
    }

    fn interval(&self) -> Nanos {
        with!(self, limit => limit.interval())
    }

    fn shelf_life(&self) -> Nanos {
        with!(self, limit => limit.shelf_life())
    }

    fn late_life(&self) -> Nanos {
        with!(self, limit => limit.late_life())
    }

    fn holds(&self) -> bool {
        with!(self, limit => limit.holds())
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        with!(self, limit => limit.rate(index))
    }

    fn most_in(&self, length: Duration) -> u64 {
        with!(self, limit => limit.most_in(length))
    }

    /// Another algorithm takes over how many permits were not to be had.
    fn carry_over(&self, before: &Self, state: &mut AnyState, now: Nanos) {
        use AnyAlgorithm as Any;
        match (self, before) {
            (Any::LeakyBucket(limit), Any::LeakyBucket(old)) => state.carry_over(limit, old, now),
            (Any::Strict(limit), Any::Strict(old)) => state.carry_over(limit, old, now),
            (Any::BurstCompensating(limit), Any::BurstCompensating(old)) => {
                state.carry_over(limit, old, now);
            }
            (Any::TokenBucket(limit), Any::TokenBucket(old)) => state.carry_over(limit, old, now),
            (Any::Quota(limit), Any::Quota(old)) => state.carry_over(limit, old, now),
            (Any::SlidingWindow(limit), Any::SlidingWindow(old)) => {
                state.carry_over(limit, old, now);
            }
            (Any::FixedWindow(limit), Any::FixedWindow(old)) => state.carry_over(limit, old, now),
            (Any::SlidingWindowCounter(limit), Any::SlidingWindowCounter(old)) => {
                state.carry_over(limit, old, now);
            }
            (Any::Concurrency(limit), Any::Concurrency(old)) => state.carry_over(limit, old, now),
            (Any::Serialized(limit), Any::Serialized(old)) => state.carry_over(limit, old, now),
            (Any::Concurrency(_), _) => state.begin_anew(now),
            _ => {
                let used = match before {
                    Any::SlidingWindow(old) => state.used_in_windows(old, now),
                    _ => with!(before, old => state.used(old, now)),
                };
                state.begin_anew(now);
                with!(self, limit => state.charge(limit, now, used));
            }
        }
    }

    /// Another algorithm takes over no more than it has, and of those with debts each cuts its own.
    fn carry_over_unattended(&self, before: &Self, state: &mut AnyState, now: Nanos) {
        use AnyAlgorithm as Any;
        match (self, before) {
            (Any::LeakyBucket(limit), Any::LeakyBucket(old)) => {
                state.carry_over_unattended(limit, old, now);
            }
            (Any::TokenBucket(limit), Any::TokenBucket(old)) => {
                state.carry_over_unattended(limit, old, now);
            }
            (Any::FixedWindow(limit), Any::FixedWindow(old)) => {
                state.carry_over_unattended(limit, old, now);
            }
            _ => self.carry_over(before, state, now),
        }
    }

    fn is_own(&self, state: &AnyState) -> bool {
        with!(self, limit => state.is_of(limit))
    }

    fn measure(&self) -> Measure {
        with!(self, limit => limit.measure())
    }

    fn adopt(&self, before: Measure, state: &mut AnyState, now: Nanos) {
        with!(self, limit => state.adopt(limit, before, now));
    }
}

impl Scripted for AnyAlgorithm {
    fn kind(&self) -> &'static str {
        with!(self, limit => limit.kind())
    }

    fn parameters(&self) -> Vec<u64> {
        with!(self, limit => limit.parameters())
    }

    fn in_microseconds(self) -> Result<Self, Invalid> {
        Ok(with!(self, limit => limit.in_microseconds()?.into()))
    }
}

/// As it is read: the line of the algorithm.
impl fmt::Display for AnyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with!(self, limit => limit.fmt(f))
    }
}

type Read = fn(&str) -> Result<AnyAlgorithm, Invalid>;

/// As it is printed: the line of any algorithm.
impl FromStr for AnyAlgorithm {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        // The longer of two names that begin alike comes first.
        let readers: [(&str, Read); 10] = [
            ("leaky bucket", read::<LeakyBucket>),
            ("strict", read::<Strict>),
            ("burst compensating", read::<BurstCompensating>),
            ("token bucket", read::<TokenBucket>),
            ("quota", read::<Quota>),
            ("sliding window counter", read::<SlidingWindowCounter>),
            ("sliding window", read::<SlidingWindow>),
            ("fixed window", read::<FixedWindow>),
            ("concurrency", read::<Concurrency>),
            ("serialized", read::<Serialized>),
        ];
        let line = text.trim();
        match readers.iter().find(|(name, _)| written::after(line, name).is_some()) {
            Some((_, read)) => read(line),
            None => {
                let names = readers.map(|(name, _)| name).join(", ");
                let allowed = format_args!("a line that begins with one of: {names}").to_string();
                Err(Invalid::new("algorithm", format_args!("{text:?}").to_string(), allowed))
            }
        }
    }
}

fn read<A>(line: &str) -> Result<AnyAlgorithm, Invalid>
where
    A: FromStr<Err = Invalid> + Into<AnyAlgorithm>,
{
    line.parse().map(A::into)
}
