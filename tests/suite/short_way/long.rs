//! Limits that are one instant, and do not look like it.

use std::{fmt, str::FromStr, time::Duration};
use tower_ratelimit::{
    Algorithm, Ask, Decision, Nanos, Rate,
    algorithm::{Measure, Spent, StoredState},
};

/// The same limit for which there is no short way: it is an algorithm that nobody knows.
#[derive(Clone, Debug)]
pub(super) struct Long<A>(pub(super) A);

/// Its state is one that nobody knows, either, so that it is kept where those of all others are.
#[derive(Clone, Debug, Default)]
pub(super) struct LongState(Nanos);

impl<A: Algorithm<State = Nanos, Permits = Spent>> Algorithm for Long<A> {
    type State = LongState;

    type Permits = Spent;

    fn decide(&self, state: &mut LongState, now: Nanos, ask: Ask) -> Decision {
        self.0.decide(&mut state.0, now, ask)
    }

    fn new_at(&self, state: &LongState) -> Nanos {
        self.0.new_at(&state.0)
    }

    fn interval(&self) -> Nanos {
        self.0.interval()
    }

    fn shelf_life(&self) -> Nanos {
        self.0.shelf_life()
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        self.0.rate(index)
    }

    fn most_in(&self, length: Duration) -> u64 {
        self.0.most_in(length)
    }

    fn carry_over(&self, before: &Self, state: &mut LongState, now: Nanos) {
        self.0.carry_over(&before.0, &mut state.0, now);
    }

    fn carry_over_unattended(&self, before: &Self, state: &mut LongState, now: Nanos) {
        self.0.carry_over_unattended(&before.0, &mut state.0, now);
    }

    fn measure(&self) -> Measure {
        self.0.measure()
    }

    fn adopt(&self, before: Measure, state: &mut LongState, now: Nanos) {
        self.0.adopt(before, &mut state.0, now);
    }
}

impl StoredState for LongState {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Nanos::read(bytes).map(Self)
    }
}

impl<A: fmt::Display> fmt::Display for Long<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "long {}", self.0)
    }
}

impl<A: FromStr> FromStr for Long<A> {
    type Err = Option<A::Err>;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let inner = line.strip_prefix("long ").ok_or(None)?;
        inner.parse().map(Self).map_err(Some)
    }
}
