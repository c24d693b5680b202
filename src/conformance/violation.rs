//! What a kit found.

use super::Point;
use std::{error, fmt};

/// A point of a contract that is broken, and the shortest history found that breaks it.
///
/// A test that returns it prints it in full.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    broken: Broken,
    history: Vec<String>,
    seed: Option<u64>,
}

/// Which point is broken, and how that showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) point: Point,
    pub(super) found: String,
}

impl Broken {
    pub(super) fn new(point: Point, found: impl fmt::Display) -> Self {
        Self { point, found: found.to_string() }
    }
}

pub(super) type Checked = Result<(), Broken>;

/// Broken, when this does not hold.
pub(super) fn ensure(holds: bool, point: Point, found: impl FnOnce() -> String) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(Broken::new(point, found())),
    }
}

impl Violation {
    pub(super) fn new(broken: Broken, history: Vec<String>, seed: Option<u64>) -> Self {
        Self { broken, history, seed }
    }

    /// Returns the point of the contract.
    #[must_use]
    pub fn point(&self) -> Point {
        self.broken.point
    }

    /// Returns how it showed at the end of the history.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.broken.found
    }

    /// Returns what happened before, in order.
    #[must_use]
    pub fn history(&self) -> &[String] {
        &self.history
    }

    /// Returns the seed by which the history was chosen, where that was left to chance.
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}; {}", self.point(), self.found())?;
        for line in &self.history {
            write!(f, "\n  {line}")?;
        }
        match self.seed {
            Some(seed) => write!(f, "\n  (seed {seed})"),
            None => Ok(()),
        }
    }
}

/// Not derived: it is what a test prints that returns it.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for Violation {}
