//! The time stamp counter of the processor.

use super::Clock;
use crate::nanos::Nanos;

/// By how many bits [`Counter::scale`] is shifted to the left.
const SHIFT: u32 = 32;

/// A counter of the processor, and how fast it counts.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    clock: quanta::Clock,
    /// How many nanoseconds 2³² ticks take, so that a tick is a multiplication and a shift by a
    /// constant. Rounded down, as a whole number: at six billion ticks a second that is by one part in
    /// 700 million at most, and less for slower counters.
    scale: u64,
}

impl Clock {
    /// Returns a clock by the time stamp counter of the processor, as the crate `quanta` reads it:
    /// for limits that are asked millions of times a second.
    ///
    /// Reading it takes about 10 ns where [`monotonic`](Self::monotonic) takes 25, and that is
    /// the most expensive part of a decision in memory. In return:
    ///
    /// - On real machines the counters of two cores have been apart, so that time went backwards
    ///   for threads that moved to the other one. A limit treats that as a clock that was set back:
    ///   what was used up stays so until the counter shows again what it had shown, and nothing is
    ///   granted twice, but for keys that were [forgotten](Self::wall). A counter that is far ahead on
    ///   one core lets go too much.
    /// - How fast it counts is measured when the first clock of this kind in the process is made,
    ///   which takes a few milliseconds and 200 at most. After that it is not corrected: it may go
    ///   faster or slower than the system's clock by some parts in a hundred thousand, and a limit
    ///   with it.
    /// - It does not follow tokio's clock where that one is paused: it shows real time, counted from
    ///   when the counter began, which is when the machine was started on most.
    ///
    /// Callers who wait sleep with tokio's timer and then look at it again, so they are never let
    /// go before it shows their instant. Where the processor has no counter that counts
    /// evenly, it is the monotonic clock of the system.
    ///
    /// ```
    /// use tower_ratelimit::{Clock, LeakyBucket, Rate, RateLimiter};
    ///
    /// let limit = LeakyBucket::new(Rate::per_second(1_000_000)?).capacity(100)?;
    /// let limiter = RateLimiter::builder(limit).clock(Clock::quanta()).build();
    /// limiter.try_acquire_many(100).expect("as many at once");
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    #[must_use]
    pub fn quanta() -> Self {
        Self::of(Counter::new(quanta::Clock::new()).into())
    }
}

impl Counter {
    fn new(clock: quanta::Clock) -> Self {
        let scale = clock.delta_as_nanos(0, 1 << SHIFT);
        Self { clock, scale }
    }

    #[inline(always)]
    pub(super) fn now(&self) -> Nanos {
        self.nanos(self.clock.raw())
    }

    /// How long so many ticks take, rounded down.
    #[inline(always)]
    fn nanos(&self, ticks: u64) -> Nanos {
        // One multiplication whose upper half the processor makes anyway. What it comes to is a
        // u64 for 584 years.
        Nanos::new(((u128::from(ticks) * u128::from(self.scale)) >> SHIFT) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn ticks_are_as_long_as_quanta_says_to_two_parts_in_a_billion() {
        let counter = Counter::new(quanta::Clock::new());
        for ticks in (0..60).map(|power| (1_u64 << power) / 3) {
            let expected = counter.clock.delta_as_nanos(0, ticks);
            let off = counter.nanos(ticks).get().abs_diff(expected);
            assert!(off <= 1 + expected / 500_000_000, "{ticks} ticks: {off} ns off {expected}");
        }
    }
}
