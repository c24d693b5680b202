//! What happens to a limit, chosen by chance: who asks for what, and after which pause.

use super::super::random::Random;
use crate::{algorithm::Algorithm, algorithm::Permits, decision::Take, nanos::Nanos};

/// Instants stay below this, 146 years, so that nothing reaches the end of the time line.
pub(super) const END: u64 = 1 << 62;

#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) start: u64,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) pause: Pause,
    pub(super) turn: Turn,
}

/// Those that speak of a call mean one of those that can still be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Take(Take),
    /// As many calls of cost 1 as pass.
    Rush {
        queued: bool,
    },
    Renew(usize),
    GiveBack(usize),
    End(usize),
    Charge(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    None,
    Nanosecond,
    /// Thousandths of an interval.
    Part(u64),
    /// Whole intervals, and a nanosecond more or less.
    Intervals(u64, i64),
    /// The period of a rate, and a nanosecond more or less.
    Period(usize, i64),
    /// The wait of the last refusal, and a nanosecond more or less.
    Wait(i64),
    /// The clock is set back by this many thousandths of an interval.
    Back(u64),
}

impl Pause {
    /// The instant after this pause.
    pub(super) fn after(self, algorithm: &impl Algorithm, now: u64, wait: u64) -> u64 {
        let interval = algorithm.interval().get();
        let part = |thousandths| {
            (interval / 1000).saturating_mul(thousandths)
                + (interval % 1000).saturating_mul(thousandths) / 1000
        };
        let (pause, offset) = match self {
            Self::None => (0, 0),
            Self::Nanosecond => (1, 0),
            Self::Part(thousandths) => (part(thousandths), 0),
            Self::Intervals(count, offset) => (interval.saturating_mul(count), offset),
            Self::Period(index, offset) => (period(algorithm, index), offset),
            Self::Wait(offset) => (wait, offset),
            Self::Back(thousandths) => return now.saturating_sub(part(thousandths)),
        };
        let then = now.saturating_add(pause).saturating_add_signed(offset);
        if then < END { then.max(now) } else { now }
    }
}

/// The period of this rate, or of the first one, or an interval.
pub(super) fn period(algorithm: &impl Algorithm, index: usize) -> u64 {
    let rate = algorithm.rate(index).or_else(|| algorithm.rate(0));
    rate.map_or(algorithm.interval(), |rate| Nanos::from(rate.period())).get()
}

/// Chooses histories for an algorithm with this many permits at once.
pub(super) struct Chooser {
    pub(super) random: Random,
    pub(super) limit: u32,
}

impl Chooser {
    pub(super) fn history<A: Algorithm>(&mut self) -> History {
        let random = &mut self.random;
        let start = match random.between(0, 3) {
            0 => 0,
            1 => 1,
            _ => random.between(2, 2_000_000_000_000),
        };
        // Some histories only take, some in a rush; in some the clock is set back now and then.
        let takes_only = random.one_in(3);
        let is_steady = !random.one_in(4);
        let rushes = random.one_in(3);
        let length = random.between(1, 24);
        let step = |_| Step {
            pause: self.pause(is_steady),
            turn: match takes_only {
                true => self.take(rushes),
                false => self.turn(A::Permits::HELD, rushes),
            },
        };
        History { start, steps: (0..length).map(step).collect() }
    }

    fn pause(&mut self, is_steady: bool) -> Pause {
        let random = &mut self.random;
        let offset = [-1, 0, 1][random.between(0, 2) as usize];
        let part = random.between(0, 2500);
        let few = random.between(1, 5);
        let many = random.between(50, 300);
        let rate = random.between(0, 2) as usize;
        let pause = random.pick(&[
            (5, Pause::None),
            (2, Pause::Nanosecond),
            (3, Pause::Part(part)),
            (4, Pause::Intervals(few, offset)),
            (2, Pause::Period(rate, offset)),
            (4, Pause::Wait(offset)),
            (1, Pause::Intervals(many, 0)),
            (u64::from(!is_steady) * 4, Pause::Back(part * few)),
        ]);
        pause.unwrap_or(Pause::None)
    }

    fn turn(&mut self, held: bool, rushes: bool) -> Turn {
        let take = self.take(rushes);
        let charge = self.cost() % 101;
        let random = &mut self.random;
        let index = random.between(0, 99) as usize;
        let turn = random.pick(&[
            (10, take),
            (4, Turn::Renew(index)),
            (3, Turn::GiveBack(index)),
            (if held { 6 } else { 1 }, Turn::End(index)),
            (1, Turn::Charge(charge)),
        ]);
        turn.unwrap_or(take)
    }

    fn take(&mut self, rushes: bool) -> Turn {
        let cost = self.cost();
        let queued = self.random.one_in(2);
        match rushes && self.random.one_in(2) {
            true => Turn::Rush { queued },
            false => Turn::Take(Take { cost, queued }),
        }
    }

    fn cost(&mut self) -> u32 {
        let few = self.random.between(2, 6) as u32;
        let half = self.limit / 2;
        let cost = self.random.pick(&[
            (12, 1),
            (2, 0),
            (6, few),
            (1, half),
            (1, self.limit),
            (1, self.limit.saturating_add(1)),
            (1, u32::MAX),
        ]);
        cost.unwrap_or(1)
    }
}
