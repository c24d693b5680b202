//! Random histories: who asks, and after which pause.

use proptest::{
    prelude::*,
    test_runner::{TestCaseResult, TestRunner},
};
use std::fmt::Debug;
use tower_ratelimit::{Algorithm, Ask, Decision, Nanos, Take};

/// Instants stay below this, 146 years, so that nothing reaches the end of the time line.
const END: u64 = 1 << 62;

#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) start: u64,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) pause: Pause,
    pub(crate) take: Take,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Pause {
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
}

impl Pause {
    /// The instant after this pause.
    pub(crate) fn after(self, algorithm: &impl Algorithm, now: u64, wait: u64) -> u64 {
        let interval = algorithm.interval().get();
        let (pause, offset) = match self {
            Self::None => (0, 0),
            Self::Nanosecond => (1, 0),
            Self::Part(thousandths) => (interval.saturating_mul(thousandths) / 1000, 0),
            Self::Intervals(count, offset) => (interval.saturating_mul(count), offset),
            Self::Period(rate, offset) => {
                let rate = algorithm.rate(rate).or(algorithm.rate(0));
                let period = rate.map_or(interval, |rate| Nanos::from(rate.period()).get());
                (period, offset)
            }
            Self::Wait(offset) => (wait, offset),
        };
        let then = now.saturating_add(pause).saturating_add_signed(offset);
        match then < END {
            true => then.max(now),
            false => now,
        }
    }
}

pub(crate) fn pause() -> impl Strategy<Value = Pause> {
    prop_oneof![
        4 => Just(Pause::None),
        2 => Just(Pause::Nanosecond),
        3 => (0..2500u64).prop_map(Pause::Part),
        4 => (1..=5u64, -1..=1i64).prop_map(|(count, offset)| Pause::Intervals(count, offset)),
        2 => (0..3usize, -1..=1i64).prop_map(|(rate, offset)| Pause::Period(rate, offset)),
        4 => (-1..=1i64).prop_map(Pause::Wait),
        1 => (50..300u64).prop_map(|count| Pause::Intervals(count, 0)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let cost = prop_oneof![
        12 => Just(1),
        2 => Just(0),
        6 => 2..=6u32,
        1 => 7..=100u32,
        1 => Just(u32::MAX),
    ];
    (pause(), cost, any::<bool>())
        .prop_map(|(pause, cost, queued)| Step { pause, take: Take { cost, queued } })
}

pub(crate) fn history() -> impl Strategy<Value = History> {
    let start = prop_oneof![Just(0), Just(1), 2..2_000_000_000_000u64];
    let steps = prop::collection::vec(step(), 1..30);
    (start, steps).prop_map(|(start, steps)| History { start, steps })
}

/// Checks this property of random limits after random histories.
pub(crate) fn check<A: Algorithm + Debug>(
    limits: impl Strategy<Value = A>,
    property: impl Fn(A, History) -> TestCaseResult,
) {
    check_with(200, history(), limits, property);
}

/// The same for histories of another kind, in this many cases.
pub(crate) fn check_with<H: Debug, A: Algorithm + Debug>(
    cases: u32,
    histories: impl Strategy<Value = H>,
    limits: impl Strategy<Value = A>,
    property: impl Fn(A, H) -> TestCaseResult,
) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let result = TestRunner::new(config)
        .run(&(limits, histories), |(limit, history)| property(limit, history));
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// One take of a history, with the state before and after it.
pub(crate) struct Moment<'a, S> {
    pub(crate) now: u64,
    pub(crate) take: Take,
    pub(crate) decision: Decision,
    pub(crate) before: &'a S,
    pub(crate) after: &'a S,
}

/// Lets a history happen and has each of its moments looked at.
pub(crate) fn walk<A: Algorithm>(
    algorithm: &A,
    history: &History,
    mut look: impl FnMut(Moment<'_, A::State>) -> TestCaseResult,
) -> TestCaseResult {
    let mut state = A::State::default();
    let mut now = history.start;
    let mut wait = 0;
    let mut used = false;
    for step in &history.steps {
        now = step.pause.after(algorithm, now, wait);
        // Nobody stands in line before the first call.
        let queued = step.take.queued && used;
        let take = Take { queued, ..step.take };
        let before = state.clone();
        let decision = algorithm.decide(&mut state, Nanos::new(now), Ask::Take(take));
        wait = super::wait(decision).unwrap_or(0);
        used |= decision.is_granted() && take.cost > 0;
        look(Moment { now, take, decision, before: &before, after: &state })?;
    }
    Ok(())
}
