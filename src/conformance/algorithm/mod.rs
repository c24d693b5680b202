//! Whether an algorithm keeps its contract.

mod history;
mod subject;
mod books;
mod promises;
mod walk;
mod extremes;
mod shrink;
mod report;

pub use report::{Fullest, Report};

use super::{
    random::Random,
    violation::{Broken, Violation},
};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Take},
};
use history::Chooser;
use subject::{Subject, caught};

/// Where the choosing of histories begins unless told otherwise.
const SEED: u64 = 1;

/// How many histories happen unless told otherwise.
const HISTORIES: u32 = 200;

/// Tests an [`Algorithm`] in histories chosen at random, which are the same for the same seed.
///
/// [`algorithm`](super::algorithm) does it with the defaults.
///
/// ```
/// use tower_ratelimit::{Rate, SlidingWindow, conformance::Histories};
///
/// let limit = SlidingWindow::new(Rate::per_minute(3)?);
/// Histories::new().seed(7).count(50).algorithm(&limit)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "nothing happens until an algorithm is looked at"]
pub struct Histories {
    seed: u64,
    count: u32,
}

impl Histories {
    /// Creates a test of 200 histories, the same each time.
    pub fn new() -> Self {
        Self { seed: SEED, count: HISTORIES }
    }

    /// Sets the seed, which chooses other histories.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the number of histories, of up to 24 asks each.
    pub fn count(self, count: u32) -> Self {
        Self { count, ..self }
    }

    /// Tests this algorithm, with the parameters it has.
    ///
    /// Limits of small numbers are tested best: those where a few calls use up all permits.
    ///
    /// # Errors
    ///
    /// The first point of the contract that is broken, with the shortest history found.
    pub fn algorithm<A: Algorithm>(self, algorithm: &A) -> Result<Report, Violation> {
        let subject = Subject::new(algorithm);
        let survived = caught(|| extremes::survives(&subject))
            .unwrap_or_else(|message| Err(subject.panicked(&message)));
        survived.map_err(|broken| self.without_history(broken))?;
        let mut chooser = Chooser { random: Random::new(self.seed), limit: 1 };
        let standing = subject.look(&A::State::default(), 0, Ask::Peek(Take::fresh(0)));
        chooser.limit = standing.limit;
        let mut report = Report::new(self.seed, algorithm);
        for _ in 0..self.count {
            let history = chooser.history::<A>();
            let (checked, walk) = shrink::happen(algorithm, &history);
            if let Err(broken) = checked {
                let shortest = shrink::shrink(algorithm, history, broken.point, self.seed);
                return Err(shortest
                    .unwrap_or_else(|| Violation::new(broken, walk.events, Some(self.seed))));
            }
            report.count(&walk.books.instants());
        }
        Ok(report)
    }

    /// Found by asks at the ends of the time line, which are always the same.
    fn without_history(self, broken: Broken) -> Violation {
        Violation::new(broken, Vec::new(), None)
    }
}

impl Default for Histories {
    fn default() -> Self {
        Self::new()
    }
}
