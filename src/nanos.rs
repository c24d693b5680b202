//! Time as the algorithms see it: whole nanoseconds.

use std::{
    fmt,
    ops::{Add, Div, Mul, Sub},
    time::Duration,
};

/// Whole nanoseconds: a point on a limiter's time line, or the distance between two points.
///
/// One word, so that a limiter's state can be one word. The line begins where the limiter's
/// [`Clock`](crate::Clock) began and ends 584 years later. Adding, subtracting and multiplying
/// saturate at both ends and never panic.
///
/// ```
/// use std::time::Duration;
/// use tower_ratelimit::Nanos;
///
/// let slot = Nanos::from(Duration::from_millis(20));
/// assert_eq!(slot + slot, Nanos::new(40_000_000));
/// assert_eq!(Nanos::ZERO - slot, Nanos::ZERO);
/// assert_eq!(Duration::from(slot * 3), Duration::from_millis(60));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(u64);

impl Nanos {
    /// The beginning of the time line; no distance.
    pub const ZERO: Self = Self(0);
    /// The end of the time line, 584 years after its beginning.
    pub const MAX: Self = Self(u64::MAX);

    /// Creates this many nanoseconds.
    #[must_use]
    pub const fn new(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Converts from a [`Duration`]; beyond the end of the time line it is [`Nanos::MAX`].
    #[must_use]
    pub const fn from_duration(duration: Duration) -> Self {
        let seconds = duration.as_secs().saturating_mul(1_000_000_000);
        Self(seconds.saturating_add(duration.subsec_nanos() as u64))
    }

    /// Returns how many nanoseconds this is.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// How many microseconds this is, rounded up.
    pub(crate) const fn microseconds(self) -> u64 {
        self.0.div_ceil(1000)
    }

    /// The same rounded up to whole microseconds.
    pub(crate) const fn up_to_microseconds(self) -> Self {
        Self(self.microseconds().saturating_mul(1000))
    }

    /// Returns the sum, or `None` beyond the end of the time line.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Returns the product, or `None` beyond the end of the time line.
    #[must_use]
    pub fn checked_mul(self, factor: u32) -> Option<Self> {
        self.0.checked_mul(u64::from(factor)).map(Self)
    }
}

impl Add for Nanos {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Nanos {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<u32> for Nanos {
    type Output = Self;

    fn mul(self, factor: u32) -> Self {
        Self(self.0.saturating_mul(u64::from(factor)))
    }
}

/// How often one distance fits into another, rounded down; a divisor of zero counts as one.
impl Div for Nanos {
    type Output = u64;

    fn div(self, other: Self) -> u64 {
        self.0 / other.0.max(1)
    }
}

/// Durations beyond the end of the time line become [`Nanos::MAX`].
impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Self {
        Self::from_duration(duration)
    }
}

impl From<Nanos> for Duration {
    fn from(nanos: Nanos) -> Self {
        Duration::from_nanos(nanos.0)
    }
}

impl fmt::Debug for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Duration::from(*self).fmt(f)
    }
}
