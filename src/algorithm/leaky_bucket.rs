//! A bucket that holds a burst and leaks one permit per interval.

use super::{
    Algorithm, LONGEST_SPAN, Measure, Refills, Spent, WAKE_UP, bucket::Bucket, late_life, left_of,
    rescale, slots_in,
};
use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    invalid::Invalid,
    nanos::Nanos,
    rate::{Rate, interval},
};
use std::time::Duration;

const DEFAULT_CAPACITY: u32 = 10;

/// Lets a burst of `capacity` calls pass at once, then one per interval. The capacity is 10 unless
/// [set](Self::capacity), whatever the rate: at one a day, 10 calls pass at once.
///
/// Calls fill the bucket and it leaks one permit per interval (the period of the rate divided by
/// its permits), on the grid that began with the first call into the empty bucket. A call that
/// finds it full waits or is refused. The usual choice for servers and clients alike.
///
/// Its state is one word, the instant at which the bucket is empty: the generic cell rate
/// algorithm (ITU-T I.371, annex A) with a tolerance of `capacity - 1` intervals. A permit that goes
/// back brings back what has not leaked since it was granted: all of it at once, and nothing after
/// an interval, when a permit has leaked anyway.
///
/// # Bound
///
/// In any half-open window of length w, at most `capacity + ceil(w / interval) - 1` permits are
/// granted: as much as twice the rate in the first period of a full-period burst. When that is too
/// much, take [`any_window`](Self::any_window), which never admits more than the rate says, in the
/// same single word, or [`SlidingWindow`](crate::SlidingWindow).
///
/// They are counted when they are granted, also with `any_window`: a call may use its own up to one
/// interval later and, above 1,000 a second, 1 ms later, or 100 ms if it waited in line. The
/// interval of `any_window` is what a permit takes to leak.
///
/// ```
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimiter};
///
/// let limiter = RateLimiter::new(LeakyBucket::new(Rate::per_minute(1)?).capacity(3)?);
/// for _ in 0..3 {
///     limiter.try_acquire().expect("three fit into the bucket");
/// }
/// assert!(limiter.try_acquire().is_err());
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Deserialize, serde::Serialize),
    serde(try_from = "super::written::buckets::Bucket", into = "super::written::buckets::Bucket")
)]
pub struct LeakyBucket {
    pub(super) rate: Rate,
    pub(super) capacity: u32,
    /// Whether the rate holds in any window, so that the interval depends on the capacity.
    pub(super) any_window: bool,
    pub(super) interval: Nanos,
    /// `capacity` intervals.
    pub(super) depth: Nanos,
}

impl LeakyBucket {
    /// Creates a bucket of capacity 10 that leaks at this rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let interval = rate.interval().into();
        let depth = interval * DEFAULT_CAPACITY;
        Self { rate, capacity: DEFAULT_CAPACITY, any_window: false, interval, depth }
    }

    /// Sets the capacity: how many permits can be had at once, 1 and up; 10 by default.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the capacity is zero, or the bucket would take more than 250 years to
    /// leak empty.
    pub fn capacity(self, capacity: u32) -> Result<Self, Invalid> {
        match self.any_window {
            true => Self::any_window(self.rate, capacity),
            false => self.hold(capacity),
        }
    }

    fn hold(self, capacity: u32) -> Result<Self, Invalid> {
        let depth = self.interval.checked_mul(capacity);
        match depth.filter(|depth| capacity > 0 && *depth <= LONGEST_SPAN) {
            Some(depth) => Ok(Self { capacity, depth, ..self }),
            None => {
                let most = LONGEST_SPAN / self.interval;
                Err(Invalid::new("capacity", capacity, format_args!("1 to {most}")))
            }
        }
    }

    /// Creates the strict form: never more than the rate's permits in any window as long as its
    /// period, still in one word.
    ///
    /// A burst of `capacity` passes at once. The bucket then leaks one permit per
    /// `period / (permits - capacity + 1)`, rounded up, so that a burst and what follows it
    /// together stay within the rate. The price is the steady rate:
    /// `permits - capacity + 1` a period. A capacity of 1 costs nothing and paces evenly; a
    /// capacity of all permits leaves one permit a period.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when `capacity` is not between 1 and the permits of the rate.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_ratelimit::{Algorithm, LeakyBucket, Rate};
    ///
    /// let rate = Rate::per_minute(60)?;
    /// let plain = LeakyBucket::new(rate).capacity(20)?;
    /// assert_eq!(plain.most_in(Duration::from_secs(60)), 79);
    /// let strict = LeakyBucket::any_window(rate, 20)?;
    /// assert_eq!(strict.most_in(Duration::from_secs(60)), 60);
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    pub fn any_window(rate: Rate, capacity: u32) -> Result<Self, Invalid> {
        let permits = rate.permits();
        if capacity == 0 || capacity > permits {
            let allowed = format_args!("1 to {permits}, the permits of the rate").to_string();
            return Err(Invalid::new("capacity", capacity, allowed));
        }
        let interval = interval(rate.period().into(), permits - capacity + 1);
        Self { any_window: true, interval, ..Self::new(rate) }.hold(capacity)
    }

    #[inline(always)]
    pub(super) fn bucket(&self) -> Bucket {
        Bucket { interval: self.interval, depth: self.depth }
    }

    #[inline(always)]
    fn take(&self, empty_at: &mut Nanos, now: Nanos, cost: u32) -> Decision {
        match self.bucket().pour(*empty_at, now, cost) {
            Ok(end) => {
                if cost > 0 {
                    *empty_at = end;
                }
                self.standing(Outcome::Granted(Grant { cost, at: now }), *empty_at, now)
            }
            Err(outcome) => self.standing(outcome, *empty_at, now),
        }
    }
}

impl LeakyBucket {
    #[inline(always)]
    fn standing(&self, outcome: Outcome, empty_at: Nanos, now: Nanos) -> Decision {
        Decision { limit: self.capacity, ..self.bucket().standing(outcome, empty_at, now) }
    }
}

impl Algorithm for LeakyBucket {
    /// The instant at which the bucket is empty.
    type State = Nanos;

    type Permits = Spent;

    #[inline(always)]
    fn decide(&self, empty_at: &mut Nanos, now: Nanos, ask: Ask) -> Decision {
        match ask {
            Ask::Take(take) => self.take(empty_at, now, take.cost),
            Ask::Peek(take) => self.take(&mut { *empty_at }, now, take.cost),
            Ask::Renew(grant) | Ask::End(grant) => {
                self.standing(Outcome::Granted(grant), *empty_at, now)
            }
            Ask::Charge(cost) => {
                if cost > 0 {
                    *empty_at = (*empty_at).max(now) + self.interval * cost;
                }
                self.standing(Outcome::Granted(Grant { cost, at: now }), *empty_at, now)
            }
            Ask::GiveBack(grant) => {
                *empty_at = *empty_at - left_of(grant, self.interval, now);
                self.standing(Outcome::Granted(grant), *empty_at, now)
            }
        }
    }

    fn new_at(&self, empty_at: &Nanos) -> Nanos {
        *empty_at
    }

    #[inline]
    fn interval(&self) -> Nanos {
        self.interval
    }

    #[inline]
    fn shelf_life(&self) -> Nanos {
        self.interval.max(WAKE_UP)
    }

    #[inline]
    fn late_life(&self) -> Nanos {
        late_life(self.interval)
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        (index == 0).then_some(self.rate)
    }

    fn most_in(&self, length: Duration) -> u64 {
        match slots_in(length, self.interval) {
            0 => 0,
            slots => (slots - 1).saturating_add(self.capacity.into()),
        }
    }

    fn carry_over(&self, before: &Self, empty_at: &mut Nanos, now: Nanos) {
        *empty_at = rescale(*empty_at, before.interval, self.interval, now);
    }

    fn carry_over_unattended(&self, before: &Self, empty_at: &mut Nanos, now: Nanos) {
        if before != self {
            self.adopt(before.measure(), empty_at, now);
        }
    }

    fn measure(&self) -> Measure {
        Measure { interval: self.interval, capacity: self.capacity }
    }

    /// No more is in it than it holds.
    fn adopt(&self, before: Measure, empty_at: &mut Nanos, now: Nanos) {
        let carried = rescale(*empty_at, before.interval, self.interval, now);
        *empty_at = carried.min(now + self.depth);
    }
}

impl Refills for LeakyBucket {}
