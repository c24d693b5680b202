//! Alternating rounds, so that what else the machine does hits all rows alike.

use super::Stat;

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Full,
    /// As little as shows that everything works.
    Quick,
}

impl Length {
    /// What to take of a quantity that is `full` in a run that counts.
    pub fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Length::Full => full,
            Length::Quick => quick,
        }
    }
}

/// Visits every row once a round, one at a time, each round from the next row on. Returns what the
/// visits came to, by row and then by round.
pub fn interleave<R>(
    rows: &mut [R],
    rounds: usize,
    mut visit: impl FnMut(&mut R) -> f64,
) -> Vec<Vec<f64>> {
    let count = rows.len();
    let mut samples = vec![Vec::with_capacity(rounds); count];
    for round in 0..rounds {
        for index in (0..count).map(|row| (row + round) % count) {
            samples[index].push(visit(&mut rows[index]));
        }
    }
    samples
}

/// The same with rounds that give each row this many slices, in turn, and count the median one, so
/// that it does not matter when something else took the processor in between. Everything is warm
/// before it counts.
pub fn sliced<R>(
    rows: &mut [R],
    rounds: usize,
    slices: usize,
    mut visit: impl FnMut(&mut R) -> f64,
) -> Vec<Vec<f64>> {
    interleave(rows, 1, &mut visit);
    let mut samples = vec![Vec::with_capacity(rounds); rows.len()];
    for _ in 0..rounds {
        let slices = interleave(rows, slices, &mut visit);
        for (samples, slices) in samples.iter_mut().zip(slices) {
            samples.push(Stat::of(&slices).median);
        }
    }
    samples
}
