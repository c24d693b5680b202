//! The shortest history that breaks the same point.

use super::{
    history::{History, Pause, Step, Turn},
    subject::caught,
    walk::Walk,
};
use crate::{
    algorithm::Algorithm,
    conformance::{
        Point,
        violation::{Checked, Violation},
    },
    decision::Take,
};

/// The most histories tried on the way to a shorter one.
const ATTEMPTS: u32 = 3000;

/// How often a panic is tried anew, as each of them is printed.
const PANICS: u32 = 60;

/// Lets a history happen: whether it breaks a point, and what was asked until then.
pub(super) fn happen<'a, A: Algorithm>(
    algorithm: &'a A,
    history: &History,
) -> (Checked, Walk<'a, A>) {
    let mut walk = Walk::new(algorithm, history.start);
    let checked = match caught(|| walk.run(history)) {
        Ok(checked) => checked,
        Err(message) => Err(walk.subject.panicked(&message)),
    };
    (checked, walk)
}

/// Makes a history that breaks a point shorter and simpler, as long as it does.
pub(super) fn shrink<A: Algorithm>(
    algorithm: &A,
    mut history: History,
    point: Point,
    seed: u64,
) -> Option<Violation> {
    let mut left = if point == Point::Panic { PANICS } else { ATTEMPTS };
    let mut still_breaks = |candidate: &History| match left.checked_sub(1) {
        Some(attempts) => {
            left = attempts;
            breaks(algorithm, candidate, point)
        }
        None => false,
    };
    loop {
        let shorter = simpler(&history).find(&mut still_breaks);
        match shorter {
            Some(shorter) => history = shorter,
            None => break,
        }
    }
    let (checked, walk) = happen(algorithm, &history);
    let broken = checked.err()?;
    Some(Violation::new(broken, walk.events, Some(seed)))
}

fn breaks(algorithm: &impl Algorithm, history: &History, point: Point) -> bool {
    happen(algorithm, history).0.is_err_and(|broken| broken.point == point)
}

/// Histories without some of the steps, the most of them first, then with simpler ones.
fn simpler(history: &History) -> impl Iterator<Item = History> {
    let length = history.steps.len();
    let halves = std::iter::successors(Some(length / 2), |size| Some(size / 2));
    let sizes = halves.take_while(|size| *size > 0);
    let without = sizes.flat_map(move |size| {
        (0..length).rev().step_by(size).map(move |end| {
            let mut steps = history.steps.clone();
            steps.drain(end.saturating_sub(size - 1)..=end);
            History { steps, ..*history }
        })
    });
    let with = (0..length).flat_map(move |index| {
        simpler_steps(history.steps[index]).into_iter().map(move |step| {
            let mut steps = history.steps.clone();
            steps[index] = step;
            History { steps, ..*history }
        })
    });
    let at_zero = (history.start > 0).then(|| History { start: 0, ..history.clone() });
    without.chain(with).chain(at_zero)
}

fn simpler_steps(step: Step) -> Vec<Step> {
    let pause = |pause| Step { pause, ..step };
    let turn = |turn| Step { turn, ..step };
    let mut steps = Vec::new();
    if step.pause != Pause::None {
        steps.push(pause(Pause::None));
    }
    if !matches!(step.pause, Pause::None | Pause::Nanosecond) {
        steps.push(pause(Pause::Nanosecond));
    }
    match step.turn {
        Turn::Take(take) => {
            let smaller = [1, 2, take.cost / 2].into_iter().filter(|cost| *cost < take.cost);
            steps.extend(smaller.map(|cost| turn(Turn::Take(Take { cost, ..take }))));
            if take.queued {
                steps.push(turn(Turn::Take(Take { queued: false, ..take })));
            }
        }
        Turn::Rush { queued } => {
            steps.push(turn(Turn::Take(Take { cost: 1, queued })));
            if queued {
                steps.push(turn(Turn::Rush { queued: false }));
            }
        }
        Turn::Charge(cost) if cost > 1 => steps.push(turn(Turn::Charge(1))),
        Turn::Renew(index) if index > 0 => steps.push(turn(Turn::Renew(0))),
        Turn::GiveBack(index) if index > 0 => steps.push(turn(Turn::GiveBack(0))),
        Turn::End(index) if index > 0 => steps.push(turn(Turn::End(0))),
        _ => {}
    }
    steps
}
