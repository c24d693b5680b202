//! The algorithms of limits: pure functions of a state, an instant and an ask.
//!
//! | algorithm | what it promises |
//! |---|---|
//! | [`LeakyBucket`] | a burst passes at once, then one call per interval |
//! | [`Strict`] | at least one interval between two calls, always |
//! | [`BurstCompensating`] | even pacing on a grid that makes up for late wake-ups |
//! | [`TokenBucket`] | permits are saved up, and arrive several at a time on a grid |
//! | [`Quota`] | a number of permits that are never refilled |
//! | [`SlidingWindow`] | never more than n permits in any window, for one or more rates |
//! | [`FixedWindow`] | n permits in each window, and 2n across the edge of two |
//! | [`SlidingWindowCounter`] | about n permits in any window, in constant memory |
//! | [`Concurrency`] | never more than n permits in use at the same time |
//! | [`Serialized`] | one call at a time, and never more than n completions in any window |
//!
//! [`AnyAlgorithm`] is any of them, chosen while the program runs.
//!
//! Each publishes its bound as [`Algorithm::most_in`], which a property test holds it to.

mod permits;
mod measure;
mod stored;
mod bucket;
mod leaky_bucket;
mod strict;
mod burst_compensating;
mod grid;
mod tokens;
mod token_bucket;
mod quota;
mod sliding_window;
mod window_log;
mod fixed_window;
mod sliding_window_counter;
mod lease;
mod concurrency;
mod holders;
mod serialized;
mod serial_log;
mod any;
mod scripted;
mod written;

use bucket::rescale;
pub(crate) use bucket::{Bucket, Poured};

pub use any::{AnyAlgorithm, AnyState};
pub use burst_compensating::{BurstCompensating, PacedState};
pub use concurrency::Concurrency;
pub use fixed_window::FixedWindow;
pub use holders::Holders;
pub use leaky_bucket::LeakyBucket;
pub use measure::Measure;
pub use permits::{Held, Permits, Spent};
pub use quota::Quota;
pub use scripted::Scripted;
pub use serial_log::SerialLog;
pub use serialized::Serialized;
pub use sliding_window::SlidingWindow;
pub use sliding_window_counter::{SlidingWindowCounter, WindowCounts};
pub use stored::StoredState;
pub use strict::Strict;
pub use token_bucket::TokenBucket;
pub use tokens::Tokens;
pub use window_log::WindowLog;

use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    nanos::Nanos,
    rate::Rate,
};
use std::time::Duration;

/// One millisecond, a tick of tokio's timer: the least time that a caller has between being let go
/// and running.
///
/// At rates above a thousand a second the interval is shorter than that. Were it to decide how long a permit
/// [keeps](Algorithm::shelf_life), callers woken together would lose their permits while they wait for the processor.
pub const WAKE_UP: Nanos = Nanos::new(1_000_000);

/// How long callers that were let go may be kept waiting by a busy runtime, at intervals shorter than
/// [`WAKE_UP`]: a tenth of a second, by the permits of which the bound may be exceeded when they all come
/// to run at once.
const LATE: Nanos = Nanos::new(100_000_000);

/// What a permit is worth that comes back after an interval is nothing, and its caller may keep it.
#[inline]
fn late_life(interval: Nanos) -> Nanos {
    if interval < WAKE_UP { LATE } else { interval }
}

/// The longest span an algorithm may look ahead, 250 years: with the instant it is added to it
/// stays on the time line for the first 334 years.
pub(crate) const LONGEST_SPAN: Nanos = Nanos::new(250 * 365 * 86_400 * 1_000_000_000);

/// The algorithm of a limit; implement it for an algorithm of your own.
///
/// An implementation only answers; it keeps no state, reads no clock and waits for nothing.
/// The same answers then serve one limit or many keys, a call that tries and a call that waits,
/// and every layer.
///
/// # Contract
///
/// For [`decide`](Self::decide), with a given state and `now`:
///
/// - [`Ask::Take`] of cost 0 is granted and changes nothing.
/// - A refused take changes nothing. One thing only may be remembered: that the first call came, by
///   a limit whose time begins with it ([`TokenBucket::initial`]). `Later(wait)` is exact: asked
///   again with the state as it is then, the take is refused until `now + wait` and granted from
///   then on. So is `InUse(Some(wait))` as long as no call ends and none is renewed.
/// - [`Ask::Peek`] answers what the take would and changes nothing.
/// - [`Ask::GiveBack`], [`Ask::Charge`] and [`Ask::End`] are answered as granted. A grant may be
///   given back when later grants were made; what goes back must never let
///   [`most_in`](Self::most_in) be exceeded by the calls that did take place.
/// - [`Ask::Renew`] is answered as granted, but for permits that were lost: a lease ended and
///   others took them over. Then it is answered as a take would be, refused in general, and a
///   refusal changes nothing. Where nothing [is held](Held) it is never refused. Ending or
///   giving back what was lost takes nothing from other calls.
/// - A limiter also asks about clones of a state, to look ahead: all that matters is in the state.
/// - `now` does not have to be after the `now` of the ask before: clocks can be set. An earlier
///   one must not grant what a later one would refuse, nor panic.
///
/// A state equals new from [`new_at`](Self::new_at) on: it may be forgotten then, at any time,
/// which changes no answer.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use tower_ratelimit::{
///     Algorithm, Ask, Decision, Grant, Nanos, Outcome, Rate, RateLimiter, algorithm::Spent,
/// };
///
/// /// One call, and the next one a second later at the earliest.
/// struct OneASecond;
///
/// const SECOND: Nanos = Nanos::new(1_000_000_000);
///
/// impl Algorithm for OneASecond {
///     /// When the next call may take place.
///     type State = Nanos;
///     type Permits = Spent;
///
///     fn decide(&self, next: &mut Nanos, now: Nanos, ask: Ask) -> Decision {
///         let outcome = match ask {
///             Ask::Take(take) | Ask::Peek(take) => match take.cost {
///                 0 => Outcome::Granted(Grant { cost: 0, at: now }),
///                 1 if *next > now => Outcome::Later(*next - now),
///                 1 => Outcome::Granted(Grant { cost: 1, at: now }),
///                 _ => Outcome::Never,
///             },
///             Ask::Charge(cost) => Outcome::Granted(Grant { cost, at: now }),
///             Ask::Renew(grant) | Ask::GiveBack(grant) | Ask::End(grant) => {
///                 Outcome::Granted(grant)
///             }
///         };
///         match (ask, outcome) {
///             (Ask::Take(take), Outcome::Granted(_)) if take.cost > 0 => *next = now + SECOND,
///             (Ask::Charge(cost), _) => *next = (*next).max(now) + SECOND * cost,
///             (Ask::GiveBack(grant), _) if *next == grant.at + SECOND => *next = now.min(*next),
///             _ => {}
///         }
///         let remaining = u32::from(*next <= now);
///         Decision { outcome, limit: 1, remaining, full_after: *next - now, rate: 0 }
///     }
///
///     fn new_at(&self, next: &Nanos) -> Nanos {
///         *next
///     }
///
///     fn interval(&self) -> Nanos {
///         SECOND
///     }
///
///     fn shelf_life(&self) -> Nanos {
///         SECOND
///     }
///
///     fn rate(&self, _: usize) -> Option<Rate> {
///         Rate::per_second(1).ok()
///     }
///
///     fn most_in(&self, length: Duration) -> u64 {
///         Nanos::from(length).get().div_ceil(SECOND.get())
///     }
///
///     /// It has no parameters.
///     fn carry_over(&self, _: &Self, _: &mut Nanos, _: Nanos) {}
/// }
///
/// let limiter = RateLimiter::new(OneASecond);
/// limiter.try_acquire().expect("the first call");
/// assert!(limiter.try_acquire().is_err());
/// ```
pub trait Algorithm: Send + Sync + 'static {
    /// What is remembered for each key. The default is the state of a key never asked about.
    type State: Clone + Default + Send + 'static;

    /// Says whether calls hold their permits until they end: [`Spent`] for most limits, [`Held`]
    /// where the limiter has to ask [`Ask::End`] then.
    type Permits: Permits;

    /// Answers one ask, and changes the state as the answer says.
    fn decide(&self, state: &mut Self::State, now: Nanos, ask: Ask) -> Decision;

    /// Returns the instant from which on the state equals new; [`Nanos::MAX`] when it never does.
    fn new_at(&self, state: &Self::State) -> Nanos;

    /// Returns the time one permit takes, at least 1 ns; [`WAKE_UP`] where that is unknown.
    ///
    /// Callers in line look after each other in steps of it.
    fn interval(&self) -> Nanos;

    /// Returns how long a permit keeps that was granted and not used; after that it goes to another
    /// call that needs it. At least 1 ns, and not so long that permits saved up and used together
    /// could exceed the bound by much: one [interval](Self::interval), or [`WAKE_UP`] where that is
    /// longer.
    fn shelf_life(&self) -> Nanos;

    /// Returns how long a permit keeps for a caller that was let go in line and has not run since:
    /// one [shelf life](Self::shelf_life) by default.
    ///
    /// Where the interval is shorter than [`WAKE_UP`], many are let go, and a busy runtime runs
    /// them later than that. Limits whose permits are worth nothing any more when given back by
    /// then let such callers keep them: to take them away would waste them, and cost the callers
    /// their places in line. They are used up to that much later than they were granted, as far as
    /// [`most_in`](Self::most_in) is concerned. At least one shelf life. Limits that are taken
    /// together, and those in a store, do not ask.
    fn late_life(&self) -> Nanos {
        self.shelf_life()
    }

    /// Returns whether calls of this limit hold their permits until they end. It may be less often
    /// than its [type](Self::Permits) says, where one type stands for several limits.
    fn holds(&self) -> bool {
        Self::Permits::HELD
    }

    /// Returns one of the rates of the limit, counted from zero, for messages and headers.
    fn rate(&self, index: usize) -> Option<Rate>;

    /// Returns the bound: the most permits that are granted in any window `[t, t + length)`, to
    /// calls of cost 1 each, those given back not counted.
    ///
    /// Permits are used when they are granted or, by callers that keep them, up to a
    /// [shelf life](Self::shelf_life) later; an algorithm that counts from the call moves them
    /// there with [`Ask::Renew`]. Permits [charged](Ask::Charge) are not counted. An algorithm that
    /// bounds the calls in flight and not their rate says [`u64::MAX`] for all lengths but zero.
    fn most_in(&self, length: Duration) -> u64;

    /// Takes over at `now` a state of the same algorithm with the parameters of `before`: what is
    /// outstanding stays outstanding, and a grid keeps its last tick.
    ///
    /// A change is not lateness: an instant that was to come at `now` is not in the past after it.
    fn carry_over(&self, before: &Self, state: &mut Self::State, now: Nanos);

    /// Takes over a state as [`carry_over`](Self::carry_over) does, where it is that of one of many
    /// keys and nobody waits for it.
    ///
    /// An algorithm whose states hold debts cuts them to what calls could take of it at `now`: a key
    /// that had used up a large limit is not locked out of a small one for as long as by the large
    /// one. Where nothing changes, a debt stays what it is. For all others there is nothing to cut.
    fn carry_over_unattended(&self, before: &Self, state: &mut Self::State, now: Nanos) {
        self.carry_over(before, state, now);
    }

    /// Returns whether a state is one that this algorithm makes, or new. It always is but for [`AnyAlgorithm`], whose
    /// states may be those of another algorithm, as where a store has one that was left by another limit of the
    /// same name. What was granted by one is not given back to the other, and lost where it is to be renewed.
    fn is_own(&self, _state: &Self::State) -> bool {
        true
    }

    /// Returns by what its states are counted: a store keeps that beside each, and a state left by a limit
    /// of another measure is [adopted](Self::adopt).
    ///
    /// By default that is the [interval](Self::interval) alone. An algorithm whose states can hold more
    /// than calls could take of it says its capacity as well.
    fn measure(&self) -> Measure {
        Measure { interval: self.interval(), capacity: 0 }
    }

    /// Takes over a state as [`carry_over_unattended`](Self::carry_over_unattended) does, where of the
    /// limit before only the [measure](Self::measure) is known, as in a store: it is another one than
    /// that of this limit.
    ///
    /// An algorithm whose states hold instants that depend on the interval moves them, so that no
    /// call has to wait as long as by the old limit, and one whose states hold debts cuts them. For all
    /// others there is nothing to do.
    fn adopt(&self, _before: Measure, _state: &mut Self::State, _now: Nanos) {}
}

/// An algorithm that refills: whatever happened before, an ask of cost 1 is granted in the end.
///
/// Where calls [hold](Held) their permits, that is once those in flight have ended. In
/// between it is never refused for good, so that calls can go on waiting.
///
/// [`RateLimitLayer::wait_only`](crate::RateLimitLayer::wait_only) requires it.
pub trait Refills: Algorithm {}

/// Why nothing is let go at the end of the time line: nothing more could be remembered.
#[cold]
#[inline(never)]
fn end_of_time(now: Nanos) -> Outcome {
    Outcome::Later((Nanos::MAX - now).max(Nanos::new(1)))
}

/// How much of the time that these permits take is left at `now`, when they are given back.
///
/// They take it from their grant on at the latest. What has passed does not come back: had the call
/// never been, others might have been let go in that time, or have begun a grid of their own.
#[inline]
fn left_of(grant: Grant, interval: Nanos, now: Nanos) -> Nanos {
    interval * grant.cost - (now - grant.at)
}

/// The number of points of a grid `interval` wide that a half-open window of this length can hold.
fn slots_in(length: Duration, interval: Nanos) -> u64 {
    Nanos::from(length).get().div_ceil(interval.get().max(1))
}
