//! Algorithms that a database can run by itself.

use super::{
    Algorithm, BurstCompensating, Concurrency, FixedWindow, LeakyBucket, Quota, Serialized,
    SlidingWindow, SlidingWindowCounter, Strict, TokenBucket, tokens::Refill,
};
use crate::{invalid::Invalid, nanos::Nanos, rate::Rate};

/// An algorithm that a database can run by itself: one that is also written as a script or a
/// statement, in whole microseconds.
///
/// All algorithms of this crate are. The [`kind`](Self::kind) says which one it is, and the
/// [`parameters`](Self::parameters) are what it calculates with. Lengths of time are microseconds.
///
/// | kind | parameters |
/// |---|---|
/// | `leaky_bucket` | interval, capacity |
/// | `strict` | interval |
/// | `burst_compensating` | interval, the longest burst |
/// | `token_bucket`, `fixed_window` | period, permits that arrive in it, capacity, permits missing at first, whether the grid is fixed (0 or 1), its first instant |
/// | `quota` | permits |
/// | `sliding_window` | permits and period of each rate, by growing period |
/// | `sliding_window_counter` | permits, period |
/// | `concurrency` | capacity, lease or 0 |
/// | `serialized` | permits, period, lease or 0 |
///
/// An algorithm of your own that decides exactly as one of these may say so.
///
/// ```
/// use tower_ratelimit::{Algorithm, LeakyBucket, Nanos, Rate, algorithm::Scripted};
///
/// let limit = LeakyBucket::new(Rate::per_second(3)?).capacity(5)?.in_microseconds()?;
/// assert_eq!(limit.interval(), Nanos::new(333_334_000), "never too short");
/// assert_eq!((limit.kind(), limit.parameters()), ("leaky_bucket", vec![333_334, 5]));
///
/// let too_fast = LeakyBucket::new(Rate::per_second(2_000_000)?).in_microseconds().unwrap_err();
/// assert_eq!(too_fast.parameter(), "rate");
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
pub trait Scripted: Algorithm + Sized {
    /// Returns the name of the algorithm.
    fn kind(&self) -> &'static str;

    /// Returns the numbers it calculates with. Lengths of time are microseconds, rounded up.
    fn parameters(&self) -> Vec<u64>;

    /// Rounds intervals, periods and leases up to whole microseconds, so that the limit is never
    /// exceeded. Asked at whole microseconds, it answers exactly as the script does.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when a rate is above 1,000,000 permits a second, and when the capacity or a lease
    /// is longer than 100 years: added to the time of today that has to stay below the 2^53
    /// microseconds that scripts can count.
    fn in_microseconds(self) -> Result<Self, Invalid>;
}

/// The longest span that is added to an instant, 100 years.
const LONGEST: Nanos = Nanos::new(100 * 365 * 86_400 * 1_000_000_000);

/// A rate that scripts can count, with its period rounded up.
fn rounded(rate: Rate) -> Result<Rate, Invalid> {
    let period = Nanos::from(rate.period());
    if u128::from(rate.permits()) * 1000 > u128::from(period.get()) {
        let allowed = "at most 1,000,000 permits a second in this store";
        return Err(Invalid::new("rate", rate, allowed));
    }
    Rate::new(rate.permits(), period.up_to_microseconds().into())
}

/// The interval of a rate that scripts can count, rounded up.
fn rounded_interval(rate: Rate, interval: Nanos) -> Result<Nanos, Invalid> {
    rounded(rate).map(|_| interval.up_to_microseconds())
}

/// This many lengths together, if that is not too long.
fn span(parameter: &'static str, length: Nanos, times: u32) -> Result<Nanos, Invalid> {
    length.checked_mul(times).filter(|span| *span <= LONGEST).ok_or_else(|| {
        let value = format_args!("{times} times {length:?}").to_string();
        Invalid::new(parameter, value, "100 years together or less in this store")
    })
}

/// A lease that scripts can count, rounded up, if there is one.
fn rounded_lease(lease: Option<Nanos>) -> Result<Option<Nanos>, Invalid> {
    lease.map(|lease| span("lease", lease.up_to_microseconds(), 1)).transpose()
}

impl Scripted for LeakyBucket {
    fn kind(&self) -> &'static str {
        "leaky_bucket"
    }

    fn parameters(&self) -> Vec<u64> {
        vec![self.interval.microseconds(), self.capacity.into()]
    }

    fn in_microseconds(self) -> Result<Self, Invalid> {
        let interval = rounded_interval(self.rate, self.interval)?;
        let depth = span("capacity", interval, self.capacity)?;
        Ok(Self { interval, depth, ..self })
    }
}

impl Scripted for Strict {
    fn kind(&self) -> &'static str {
        "strict"
    }

    fn parameters(&self) -> Vec<u64> {
        vec![self.interval.microseconds()]
    }

    fn in_microseconds(self) -> Result<Self, Invalid> {
        Ok(Self { interval: rounded_interval(self.rate, self.interval)?, ..self })
    }
}

impl Scripted for BurstCompensating {
    fn kind(&self) -> &'static str {
        "burst_compensating"
    }

    fn parameters(&self) -> Vec<u64> {
        vec![self.interval.microseconds(), self.max_burst.into()]
    }

    fn in_microseconds(self) -> Result<Self, Invalid> {
        let interval = rounded_interval(self.rate, self.interval)?;
        span("max_burst", interval, self.max_burst)?;
        Ok(Self { interval, ..self })
    }
}

impl Scripted for TokenBucket {
    fn kind(&self) -> &'static str {
        "token_bucket"
    }

    fn parameters(&self) -> Vec<u64> {
        let Refill { amount, grid } = self.refill;
        let first = grid.alignment().map(|first| Nanos::from(first).microseconds());
        let (is_fixed, first) = (u64::from(first.is_some()), first.unwrap_or_default());
        let every = grid.every.microseconds();
        vec![every, amount, self.capacity.into(), self.missing_at_first(), is_fixed, first]
    }

    fn in_microseconds(self) -> Result<Self, Invalid> {
        let rate = rounded(self.rate)?;
        let every = Nanos::from(rate.period());
        span("capacity", every, self.capacity.div_ceil(rate.permits()))?;
        let grid = self.refill.grid.every_microseconds(every);
        Ok(Self { rate, refill: Refill { grid, ..self.refill }, ..self })
    }
}

impl Scripted for FixedWindow {
    fn kind(&self) -> &'static str {
        "fixed_window"
    }

    fn parameters(&self) -> Vec<u64> {
        self.bucket.parameters()
    }

    fn in_microseconds(self) -> Result<Self, Invalid> {
        let bucket = self.bucket.in_microseconds()?;
        Ok(Self { period: bucket.rate.period().into(), bucket })
    }
}

impl Scripted for Quota {
    fn kind(&self) -> &'static str {
        "quota"
    }

    fn parameters(&self) -> Vec<u64> {
        vec![self.permits.into()]
    }

    fn in_microseconds(self) -> Result<Self, Invalid> {
        Ok(self)
    }
}

impl Scripted for SlidingWindow {
    fn kind(&self) -> &'static str {
        "sliding_window"
    }

    fn parameters(&self) -> Vec<u64> {
        self.rates().iter().flat_map(|rate| numbers(*rate)).collect()
    }

    /// The periods stay apart: at a rate that can be counted one permit more takes a microsecond.
    fn in_microseconds(self) -> Result<Self, Invalid> {
        let rates = self.rates().iter().map(|rate| rounded(*rate));
        rates.collect::<Result<_, _>>().map(Self::sorted)
    }
}

impl Scripted for SlidingWindowCounter {
    fn kind(&self) -> &'static str {
        "sliding_window_counter"
    }

    fn parameters(&self) -> Vec<u64> {
        numbers(self.rate).into()
    }

    fn in_microseconds(self) -> Result<Self, Invalid> {
        rounded(self.rate).map(Self::of_microseconds)
    }
}

impl Scripted for Concurrency {
    fn kind(&self) -> &'static str {
        "concurrency"
    }

    fn parameters(&self) -> Vec<u64> {
        vec![self.capacity.into(), self.lease.map_or(0, Nanos::microseconds)]
    }

    fn in_microseconds(self) -> Result<Self, Invalid> {
        Ok(Self { lease: rounded_lease(self.lease)?, ..self })
    }
}

impl Scripted for Serialized {
    fn kind(&self) -> &'static str {
        "serialized"
    }

    fn parameters(&self) -> Vec<u64> {
        let [permits, period] = numbers(self.rate);
        vec![permits, period, self.lease.map_or(0, Nanos::microseconds)]
    }

    fn in_microseconds(self) -> Result<Self, Invalid> {
        Ok(Self { rate: rounded(self.rate)?, lease: rounded_lease(self.lease)? })
    }
}

/// Permits and period of a rate.
fn numbers(rate: Rate) -> [u64; 2] {
    [rate.permits().into(), Nanos::from(rate.period()).microseconds()]
}
