//! One limit, or one for each of a few keys.

use std::{fmt::Display, str::FromStr, time::Duration};
use tower_ratelimit::{
    Algorithm, Builder, KeyedRateLimiter, ManualClock, RateLimiter, Snapshot,
    algorithm::{Spent, StoredState},
    limiter::ManyLimits,
};

/// A limit that can be kept in a snapshot.
pub(super) trait Kept:
    Algorithm<State: StoredState, Permits = Spent> + Clone + Display + FromStr
{
}
impl<A: Algorithm<State: StoredState, Permits = Spent> + Clone + Display + FromStr> Kept for A {}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Single,
    Keyed,
}

pub(super) enum Whole<A: Algorithm> {
    One(RateLimiter<A>),
    Many(KeyedRateLimiter<A>),
}

/// How many keys there are.
const KEYS: u32 = 5;

impl<A: Algorithm> Whole<A> {
    pub(super) fn limits(&self) -> Vec<RateLimiter<A>> {
        match self {
            Whole::One(limiter) => vec![limiter.clone()],
            Whole::Many(limiter) => (0..KEYS).map(|key| limiter.key(&key)).collect(),
        }
    }
}

impl<A: Kept> Whole<A> {
    pub(super) fn new(kind: Kind, algorithm: A, clock: &ManualClock) -> Self {
        let one = RateLimiter::builder(algorithm.clone()).clock(clock.clone());
        match kind {
            Kind::Single => Whole::One(one.build()),
            Kind::Keyed => Whole::Many(many(algorithm, clock).build()),
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        match self {
            Whole::One(limiter) => limiter.snapshot(),
            Whole::Many(limiter) => limiter.snapshot(),
        }
    }

    /// One that goes on from there, after so long.
    pub(super) fn restored(
        snapshot: &Snapshot,
        kind: Kind,
        algorithm: A,
        after: Duration,
    ) -> (Self, ManualClock) {
        // It shows what the earlier one's showed, and time goes on from there.
        let (clock, at) = (ManualClock::new(), snapshot.taken_at() + after);
        let one = RateLimiter::builder(algorithm.clone()).clock(clock.clone());
        let whole = match kind {
            Kind::Single => Whole::One(one.restore_at(snapshot, at).unwrap()),
            Kind::Keyed => Whole::Many(many(algorithm, &clock).restore_at(snapshot, at).unwrap()),
        };
        (whole, clock)
    }
}

fn many<A: Algorithm>(algorithm: A, clock: &ManualClock) -> Builder<A, ManyLimits> {
    KeyedRateLimiter::builder(algorithm).clock(clock.clone())
}
