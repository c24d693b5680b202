//! How many permits in how much time.

use crate::{
    invalid::Invalid,
    nanos::Nanos,
    span::{self, DAY, HOUR, MINUTE, SECOND},
};
use std::{fmt, str::FromStr, time::Duration};

/// The longest period, 25 years: ten of them, the default capacity of a bucket, still fit the time line.
const LONGEST: u64 = 25 * 365 * DAY;

/// A number of permits in a period of time, such as ten a second or one in three seconds.
///
/// `Rate::per_second(n)` is n permits a second and nothing else. A rate is 1 to [`u32::MAX`]
/// permits in 1 ns to 25 years (of 365 days), and at most one permit a nanosecond.
///
/// It is read from and printed as text, `permits/period`, where the period is a unit with or
/// without a count before it: `ns`, `us`, `ms`, `s`, `min`, `hour`, `day`. The `serde` feature
/// reads and writes the same text.
///
/// ```
/// use std::time::Duration;
/// use tower_ratelimit::Rate;
///
/// let ten = Rate::per_second(10)?;
/// assert_eq!(ten.interval(), Duration::from_millis(100));
///
/// let slow = Rate::new(1, Duration::from_secs(3))?;
/// assert_eq!(slow.to_string(), "1/3s");
///
/// let parsed: Rate = "500/hour".parse()?;
/// assert_eq!(parsed, Rate::per_hour(500)?);
/// assert_eq!("3/1500ms".parse::<Rate>()?.to_string(), "3/1500ms");
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    permits: u32,
    period: Nanos,
}

impl Rate {
    /// One that was taken apart before.
    pub(crate) const fn of(permits: u32, period: Nanos) -> Self {
        Self { permits, period }
    }

    /// Creates a rate of `permits` in each `period`.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `permits` is zero, when `period` is zero or longer than 25 years, and
    /// when that would be more than one permit a nanosecond.
    pub fn new(permits: u32, period: Duration) -> Result<Self, Invalid> {
        if permits == 0 {
            return Err(Invalid::new("permits", permits, "at least 1"));
        }
        let nanoseconds = period.as_nanos();
        if nanoseconds == 0 || nanoseconds > u128::from(LONGEST) {
            let value = format_args!("{period:?}").to_string();
            return Err(Invalid::new("period", value, "1 ns to 25 years"));
        }
        if u128::from(permits) > nanoseconds {
            let value = format_args!("{permits} in {period:?}").to_string();
            return Err(Invalid::new("rate", value, "at most one permit a nanosecond"));
        }
        Ok(Self { permits, period: Nanos::from(period) })
    }

    /// Creates a rate of `permits` a second.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `permits` is zero or above 1,000,000,000.
    pub fn per_second(permits: u32) -> Result<Self, Invalid> {
        Self::new(permits, Duration::from_nanos(SECOND))
    }

    /// Creates a rate of `permits` a minute.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `permits` is zero.
    pub fn per_minute(permits: u32) -> Result<Self, Invalid> {
        Self::new(permits, Duration::from_nanos(MINUTE))
    }

    /// Creates a rate of `permits` an hour.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `permits` is zero.
    pub fn per_hour(permits: u32) -> Result<Self, Invalid> {
        Self::new(permits, Duration::from_nanos(HOUR))
    }

    /// Creates a rate of `permits` a day of 24 hours.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `permits` is zero.
    pub fn per_day(permits: u32) -> Result<Self, Invalid> {
        Self::new(permits, Duration::from_nanos(DAY))
    }

    /// Creates a rate of `permits` a second, fractions too: 0.5 is one permit in two seconds.
    ///
    /// A whole number is the same as [`per_second`](Self::per_second). Any other becomes one
    /// permit in `1/permits` seconds, rounded up to a nanosecond, so that the rate is never
    /// above the one asked for.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `permits` is not a number, infinite, zero, negative, above 1,000,000,000
    /// or below one in 25 years.
    ///
    /// ```
    /// use tower_ratelimit::Rate;
    ///
    /// assert_eq!(Rate::per_second_f64(2.5)?.to_string(), "1/400ms");
    /// assert!(Rate::per_second_f64(f64::NAN).is_err());
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn per_second_f64(permits: f64) -> Result<Self, Invalid> {
        let slowest = SECOND as f64 / LONGEST as f64;
        // Written so that NaN, which compares false with everything, is outside.
        if !(permits >= slowest && permits <= SECOND as f64) {
            let allowed = "a finite number, one in 25 years to 1,000,000,000";
            return Err(Invalid::new("permits", permits, allowed));
        }
        if permits.fract() == 0.0 {
            return Self::per_second(permits as u32);
        }
        // The number is mantissa / 2^shift exactly, so the division can be exact, too.
        let bits = permits.to_bits();
        let mantissa = u128::from(bits & ((1 << 52) - 1) | (1 << 52));
        let shift = 1075 - (bits >> 52);
        let nanoseconds = (u128::from(SECOND) << shift).div_ceil(mantissa);
        Self::new(1, Duration::from_nanos(nanoseconds.min(LONGEST.into()) as u64))
    }

    /// Returns how many permits a period has.
    #[must_use]
    pub fn permits(&self) -> u32 {
        self.permits
    }

    /// Returns how long the period is.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period.into()
    }

    /// Returns the time one permit takes: the period divided by the permits, rounded up to a
    /// nanosecond.
    #[must_use]
    pub fn interval(&self) -> Duration {
        interval(self.period, self.permits).into()
    }
}

/// The time one of `permits` takes when `period` is shared among them, never too short.
pub(crate) fn interval(period: Nanos, permits: u32) -> Nanos {
    Nanos::new(period.get().div_ceil(u64::from(permits.max(1))))
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match span::in_largest_unit(self.period.get().into()) {
            (1, unit) => write!(f, "{}/{unit}", self.permits),
            (count, unit) => write!(f, "{}/{count}{unit}", self.permits),
        }
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rate({self})")
    }
}

impl FromStr for Rate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let malformed = || {
            let allowed = r#"permits/period, such as "10/s", "500/hour" or "3/1500ms""#;
            Invalid::new("rate", format_args!("{text:?}"), allowed)
        };
        let (permits, period) = text.split_once('/').ok_or_else(malformed)?;
        let permits = permits.trim().parse().map_err(|_| malformed())?;
        let period = period.trim();
        let unit = period.trim_start_matches(|c: char| c.is_ascii_digit());
        let count = match &period[..period.len() - unit.len()] {
            "" => 1,
            digits => digits.parse().map_err(|_| malformed())?,
        };
        let length = span::unit_length(unit.trim_start()).ok_or_else(malformed)?;
        let nanoseconds = length.saturating_mul(count);
        Self::new(permits, Duration::from_nanos(nanoseconds))
    }
}
