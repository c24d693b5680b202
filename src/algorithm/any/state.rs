//! The state of any algorithm.

use super::AnyAlgorithm;
use crate::{
    algorithm::{
        Algorithm, BurstCompensating, Concurrency, FixedWindow, Holders, LeakyBucket, Measure,
        PacedState, Quota, SerialLog, Serialized, SlidingWindow, SlidingWindowCounter, StoredState,
        Strict, TokenBucket, Tokens, WindowCounts, WindowLog,
    },
    decision::{Ask, Decision, Outcome, Take},
    nanos::Nanos,
};

/// The state of [`AnyAlgorithm`]: that of the algorithm in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnyState {
    kept: Kept,
    /// Permits granted before this instant were another algorithm's, and all others are granted
    /// from then on.
    since: Nanos,
}

/// What is kept, and by which algorithm: two may keep the same and mean another thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nothing yet: as good as new for any algorithm.
    #[default]
    New,
    LeakyBucket(Nanos),
    Strict(Nanos),
    BurstCompensating(PacedState),
    TokenBucket(Tokens),
    Quota(u64),
    SlidingWindow(WindowLog),
    FixedWindow(Tokens),
    SlidingWindowCounter(WindowCounts),
    Concurrency(Holders),
    Serialized(SerialLog),
}

/// An algorithm whose state can be kept here.
pub(super) trait Keep: Algorithm<State: PartialEq> {
    fn keep(state: Self::State) -> Kept;

    /// Its state, unless nothing is kept or another algorithm's state.
    fn kept(kept: &Kept) -> Option<&Self::State>;

    fn kept_mut(kept: &mut Kept) -> Option<&mut Self::State>;
}

macro_rules! keep {
    ($($algorithm:ident),+ $(,)?) => {$(
        impl From<$algorithm> for AnyAlgorithm {
            fn from(limit: $algorithm) -> Self {
                Self::$algorithm(limit)
            }
        }

        impl Keep for $algorithm {
            fn keep(state: Self::State) -> Kept {
                Kept::$algorithm(state)
            }

            fn kept(kept: &Kept) -> Option<&Self::State> {
                match kept {
                    Kept::$algorithm(state) => Some(state),
                    _ => None,
                }
            }

            fn kept_mut(kept: &mut Kept) -> Option<&mut Self::State> {
                match kept {
                    Kept::$algorithm(state) => Some(state),
                    _ => None,
                }
            }
        }
    )+};
}

keep![
    LeakyBucket,
    Strict,
    BurstCompensating,
    TokenBucket,
    Quota,
    SlidingWindow,
    FixedWindow,
    SlidingWindowCounter,
    Concurrency,
    Serialized,
];

impl AnyState {
    pub(super) fn decide<A: Keep>(&mut self, limit: &A, now: Nanos, ask: Ask) -> Decision {
        // Its time began then: what it grants is told by that from what was granted before.
        let at = now.max(self.since);
        let decision = match ask {
            // It was taken from another limit: what it gives back might be what others took since.
            Ask::GiveBack(grant) if grant.at < self.since => {
                let standing = self.ask(limit, at, Ask::Take(Take::fresh(0)));
                Decision { outcome: Outcome::Granted(grant), ..standing }
            }
            ask => self.ask(limit, at, ask),
        };
        seen_before(decision, at - now)
    }

    fn ask<A: Keep>(&mut self, limit: &A, now: Nanos, ask: Ask) -> Decision {
        if let Some(state) = A::kept_mut(&mut self.kept) {
            return limit.decide(state, now, ask);
        }
        let mut state = A::State::default();
        let decision = limit.decide(&mut state, now, ask);
        // What equals new stays new, so that an ask that changes nothing changes nothing here.
        if state != A::State::default() {
            self.kept = A::keep(state);
        }
        decision
    }

    /// Not before its time has begun, or it would be forgotten when that was.
    pub(super) fn new_at<A: Keep>(&self, limit: &A) -> Nanos {
        A::kept(&self.kept).map_or(Nanos::ZERO, |state| limit.new_at(state)).max(self.since)
    }

    pub(super) fn is_of<A: Keep>(&self, _: &A) -> bool {
        self.kept == Kept::New || A::kept(&self.kept).is_some()
    }

    pub(super) fn carry_over<A: Keep>(&mut self, limit: &A, before: &A, now: Nanos) {
        if let Some(state) = A::kept_mut(&mut self.kept) {
            limit.carry_over(before, state, now);
        }
    }

    pub(super) fn carry_over_unattended<A: Keep>(&mut self, limit: &A, before: &A, now: Nanos) {
        if let Some(state) = A::kept_mut(&mut self.kept) {
            limit.carry_over_unattended(before, state, now);
        }
    }

    pub(super) fn adopt<A: Keep>(&mut self, limit: &A, before: Measure, now: Nanos) {
        if let Some(state) = A::kept_mut(&mut self.kept) {
            limit.adopt(before, state, now);
        }
    }

    /// How many permits of this limit are not to be had now.
    pub(super) fn used<A: Keep>(&mut self, limit: &A, now: Nanos) -> u32 {
        let standing = self.decide(limit, now, Ask::Peek(Take::fresh(0)));
        standing.limit.saturating_sub(standing.remaining)
    }

    /// The same of the rate with the most of them, which need not be the one with the least left.
    pub(super) fn used_in_windows(&mut self, limit: &SlidingWindow, now: Nanos) -> u32 {
        let rates = limit.rates().iter();
        let used = rates.map(|rate| self.used(&SlidingWindow::new(*rate), now));
        used.max().unwrap_or_default()
    }

    /// Forgets what another algorithm kept, which granted nothing after `now` or its own beginning.
    pub(super) fn begin_anew(&mut self, now: Nanos) {
        // Where nothing was kept, nothing was granted that could come back.
        if self.kept != Kept::New {
            *self = Self { kept: Kept::New, since: now.max(self.since) + Nanos::new(1) };
        }
    }

    /// Takes as many permits from a new limit, or all that it has.
    pub(super) fn charge<A: Keep>(&mut self, limit: &A, now: Nanos, used: u32) {
        let most = self.ask(limit, now, Ask::Peek(Take::fresh(0))).limit;
        let _ = self.ask(limit, now, Ask::Charge(used.min(most)));
    }
}

/// A decision about an instant that is so far ahead.
fn seen_before(decision: Decision, ahead: Nanos) -> Decision {
    let outcome = match decision.outcome {
        Outcome::Later(wait) => Outcome::Later(wait + ahead),
        Outcome::InUse(Some(wait)) => Outcome::InUse(Some(wait + ahead)),
        outcome => outcome,
    };
    let full_after = match decision.full_after {
        Nanos::ZERO => Nanos::ZERO,
        full_after => full_after + ahead,
    };
    Decision { outcome, full_after, ..decision }
}

/// A number that says whose state it is comes before it. Numbers are never used anew.
macro_rules! stored {
    ($($number:literal $algorithm:ident),+ $(,)?) => {
        impl StoredState for Kept {
            fn write(&self, bytes: &mut Vec<u8>) {
                match self {
                    Kept::New => 0_u8.write(bytes),
                    $(Kept::$algorithm(state) => {
                        let number: u8 = $number;
                        number.write(bytes);
                        state.write(bytes);
                    })+
                }
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                match u8::read(bytes)? {
                    0 => Some(Kept::New),
                    $($number => StoredState::read(bytes).map(Kept::$algorithm),)+
                    _ => None,
                }
            }

            fn end_calls(&mut self, now: Nanos) {
                match self {
                    Kept::New => {}
                    $(Kept::$algorithm(state) => state.end_calls(now),)+
                }
            }
        }
    };
}

stored![
    1 LeakyBucket,
    2 Strict,
    3 BurstCompensating,
    4 TokenBucket,
    5 Quota,
    6 SlidingWindow,
    7 FixedWindow,
    8 SlidingWindowCounter,
    9 Concurrency,
    10 Serialized,
];

impl StoredState for AnyState {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.since.write(bytes);
        self.kept.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { since: Nanos::read(bytes)?, kept: Kept::read(bytes)? })
    }

    fn end_calls(&mut self, now: Nanos) {
        self.kept.end_calls(now);
    }
}
