//! What an algorithm is asked, and what it answers.

use crate::nanos::Nanos;
use std::{cmp::Ordering, time::Duration};

/// One question to an [`Algorithm`](crate::Algorithm), about one key at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Take permits if they are available now; take nothing otherwise.
    Take(Take),
    /// What [`Ask::Take`] would answer, without taking. At no cost: how the limit stands.
    Peek(Take),
    /// A call takes place now with permits granted before: algorithms that count from the call,
    /// not from the grant, move the grant here. The answer carries the grant as it then stands.
    ///
    /// Where permits are [held](crate::algorithm::Held), also: the call goes on, and its lease
    /// starts anew. A refusal says that the permits were lost to others.
    Renew(Grant),
    /// Permits were granted and not used: as much of them as can be had again goes back. They may be
    /// some of those that were granted at that instant, when the others were used.
    GiveBack(Grant),
    /// Permits are taken whether they are there or not. What is missing is a debt, and nothing is
    /// granted before it is paid off.
    Charge(u32),
    /// The call that used these permits has ended, well or badly. It changes something only where
    /// permits are [held](crate::algorithm::Held).
    End(Grant),
}

/// How many permits a call takes, and how it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// The number of permits. A call of cost 0 passes and takes nothing.
    pub cost: u32,
    /// Whether the call stood in line until now. A pacing algorithm makes up for the time by
    /// which such a call was woken late; a call that has just come has no such claim.
    pub queued: bool,
}

impl Take {
    /// Creates the take of a call that has just come.
    #[must_use]
    pub const fn fresh(cost: u32) -> Self {
        let queued = false;
        Self { cost, queued }
    }

    /// Creates the take of a call that stood in line until now.
    #[must_use]
    pub const fn queued(cost: u32) -> Self {
        let queued = true;
        Self { cost, queued }
    }
}

/// Permits taken: what [`Ask::Renew`], [`Ask::GiveBack`] and [`Ask::End`] need to find them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The number of permits.
    pub cost: u32,
    /// When they were taken, or renewed.
    pub at: Nanos,
}

impl Grant {
    /// What makes of these permits so many, after the fact: some go back, or what is missing is
    /// charged. Nothing where they are so many already, and where none were taken: that call passed
    /// because nobody counted.
    pub(crate) fn correct(self, cost: u32) -> Option<Ask> {
        match cost.cmp(&self.cost) {
            _ if self.cost == 0 => None,
            Ordering::Less => Some(Ask::GiveBack(Grant { cost: self.cost - cost, ..self })),
            Ordering::Equal => None,
            Ordering::Greater => Some(Ask::Charge(cost - self.cost)),
        }
    }
}

/// Whether permits were granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Permits were granted.
    Granted(Grant),
    /// Not now: with no other caller asking they are available after exactly this long, and not a
    /// nanosecond earlier.
    Later(Nanos),
    /// Not now: the permits are in use, and when they come back depends on the calls that use
    /// them. By themselves they come back after this long, if ever.
    InUse(Option<Nanos>),
    /// Not any more: the permits are used up, and nothing brings them back by itself.
    Exhausted,
    /// Not ever: the cost is more permits than the limit has.
    Never,
}

/// The answer to an [`Ask`]: the outcome, and how the limit stands after it.
///
/// The numbers are those of the binding rate, the one that refused or that has the least left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a decision that nobody looks at limits nothing"]
pub struct Decision {
    /// Whether permits were granted.
    pub outcome: Outcome,
    /// The most permits that can be had at once.
    pub limit: u32,
    /// How many permits can be had now.
    pub remaining: u32,
    /// How long until the limit is as if never used.
    pub full_after: Nanos,
    /// Which of the algorithm's rates is binding, counted from zero.
    pub rate: usize,
}

impl Decision {
    /// Returns whether permits were granted.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        matches!(self.outcome, Outcome::Granted(_))
    }

    /// Returns the permits granted, if they were.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        match self.outcome {
            Outcome::Granted(grant) => Some(grant),
            _ => None,
        }
    }

    /// The same where so many permits were granted.
    pub(crate) fn costing(self, cost: u32) -> Self {
        match self.outcome {
            Outcome::Granted(grant) => {
                Self { outcome: Outcome::Granted(Grant { cost, ..grant }), ..self }
            }
            _ => self,
        }
    }

    /// The same with a wait that is this much longer.
    pub(crate) fn later_by(self, slack: Nanos) -> Self {
        match self.outcome {
            Outcome::Later(wait) => Self { outcome: Outcome::Later(wait + slack), ..self },
            _ => self,
        }
    }

    /// Returns how long until the same ask is granted: zero when it was, `None` when that is
    /// unknown or it never is.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.outcome {
            Outcome::Granted(_) => Some(Duration::ZERO),
            Outcome::Later(wait) | Outcome::InUse(Some(wait)) => Some(wait.into()),
            Outcome::InUse(None) | Outcome::Exhausted | Outcome::Never => None,
        }
    }
}
