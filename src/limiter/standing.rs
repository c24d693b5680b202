//! How a limit stands, for whoever tells its callers.

use crate::{
    algorithm::{Algorithm, LONGEST_SPAN},
    decision::{Ask, Decision, Outcome, Take},
    error::RateLimited,
    nanos::Nanos,
    rate::Rate,
};
use std::{sync::Arc, time::Duration};

/// The state of one rate of one limit for a key: what it publishes about itself, and what is left.
///
/// [`Limiter::standing`](super::Limiter::standing) tells one for each rate of each limit of a call, the
/// binding one first. What is left is known where the limiter knows it: not where a store was not
/// asked, and of several rates of one limit only for the binding one.
///
/// ```
/// use std::time::Duration;
/// use tower_ratelimit::{Limiter, Patience, Rate, RateLimiter, SlidingWindow, Terms};
///
/// let per_minute = SlidingWindow::new(Rate::per_minute(60)?);
/// let limiter = RateLimiter::builder(per_minute).name("pages").build();
/// limiter.try_acquire_many(20).expect("twenty of sixty");
///
/// limiter.standing(&(), Ok(&()), &mut |limit| {
///     assert_eq!(limit.limit(), Some("pages"));
///     assert_eq!(limit.rate(), Rate::per_minute(60).ok());
///     assert_eq!(limit.remaining(), Some(40));
///     assert_eq!(limit.next_after(), Some(Duration::ZERO));
/// });
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    pub(super) limit: Option<&'a str>,
    rate: Option<Rate>,
    is_one_of_several: bool,
    most: u32,
    holds: bool,
    pub(super) decision: Option<Decision>,
}

impl<'a> Standing<'a> {
    /// Creates it for a limiter of your own: a limit by this name, with this many permits at once.
    #[must_use]
    pub fn new(limit: Option<&'a str>, most: u32) -> Self {
        let (rate, is_one_of_several, holds, decision) = (None, false, false, None);
        Self { limit, rate, is_one_of_several, most, holds, decision }
    }

    /// A limit that is one bucket, of this rate.
    pub(super) fn of_bucket(limit: Option<&'a str>, rate: Rate, decision: Decision) -> Self {
        Self::new(limit, decision.limit).with_rate(rate).with_decision(decision)
    }

    /// Sets the rate it publishes.
    #[must_use]
    pub fn with_rate(self, rate: Rate) -> Self {
        let rate = Some(rate);
        Self { rate, ..self }
    }

    /// Sets what is left, as the answer to a [peek](Ask::Peek).
    #[must_use]
    pub fn with_decision(self, decision: Decision) -> Self {
        let decision = Some(decision);
        Self { decision, ..self }
    }

    /// Returns the name of the limit, if it has one.
    #[must_use]
    pub fn limit(&self) -> Option<&'a str> {
        self.limit
    }

    /// Returns the rate; `None` where there is none, as of a [`Quota`](crate::Quota).
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Returns whether the limit has other rates, so that its name alone does not say which this
    /// is.
    #[must_use]
    pub fn is_one_of_several(&self) -> bool {
        self.is_one_of_several
    }

    /// Returns how many permits can be had at once when it was never used.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.most
    }

    /// Returns whether calls hold their permits until they end, as those of a
    /// [`Concurrency`](crate::Concurrency) do.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// Returns how many permits can be had now; `None` when that is not known.
    #[must_use]
    pub fn remaining(&self) -> Option<u32> {
        self.decision.map(|decision| decision.remaining)
    }

    /// Returns how long until a permit can be had: zero when one can be had now; `None` when none
    /// will be, or it is not known when.
    #[must_use]
    pub fn next_after(&self) -> Option<Duration> {
        let decision = self.decision?;
        match decision.outcome {
            // What a store told of a call that it let through with the last permit says no more.
            Outcome::Granted(_) if decision.remaining == 0 => self.full_after(),
            _ => decision.retry_after(),
        }
    }

    /// Returns how long until it is as if never used; `None` when it never will be, or is not
    /// known.
    #[must_use]
    pub fn full_after(&self) -> Option<Duration> {
        let full_after = self.decision?.full_after;
        (full_after <= LONGEST_SPAN).then(|| full_after.into())
    }
}

/// How a limit stands in whose line nobody is: what is left, and once that is nothing, how a call of one
/// permit would fare.
#[inline]
pub(super) fn look<A: Algorithm>(algorithm: &A, state: &mut A::State, now: Nanos) -> Decision {
    let whole = algorithm.decide(state, now, Ask::Peek(Take::fresh(0)));
    match whole.remaining {
        0 => algorithm.decide(state, now, Ask::Peek(Take::fresh(1))),
        _ => whole,
    }
}

/// Whether a call of this cost could ever be let through, for whoever does not see the states.
pub(super) fn could_grant<A: Algorithm>(algorithm: &A, cost: u32) -> bool {
    let new = &mut A::State::default();
    algorithm.decide(new, Nanos::ZERO, Ask::Peek(Take::fresh(cost))).outcome != Outcome::Never
}

/// Tells how the rates of a limit stand, the one first that `decision` is about.
pub(super) fn tell<'a, A: Algorithm>(
    limit: Option<&'a str>,
    algorithm: &A,
    decision: Option<Decision>,
    tell: &mut dyn FnMut(Standing<'a>),
) {
    let most = match decision {
        Some(decision) => decision.limit,
        None => {
            let new = &mut A::State::default();
            algorithm.decide(new, Nanos::ZERO, Ask::Peek(Take::fresh(0))).limit
        }
    };
    let is_one_of_several = algorithm.rate(1).is_some();
    let holds = algorithm.holds();
    let standing = |index: usize, decision: Option<Decision>| {
        let rate = algorithm.rate(index);
        let most = match rate {
            Some(rate) if is_one_of_several => rate.permits(),
            _ => most,
        };
        Standing { limit, rate, is_one_of_several, most, holds, decision }
    };
    let binding = decision.map_or(0, |decision| decision.rate);
    tell(standing(binding, decision));
    let others = (0..).take_while(|index| algorithm.rate(*index).is_some());
    for index in others.filter(|index| *index != binding) {
        tell(standing(index, None));
    }
}

/// How several limits of one call stand.
#[derive(Default)]
pub(super) struct Standings(Vec<(usize, Standing<'static>)>);

impl Standings {
    /// One more limit, by its place among the names. Of several keys of a limit the one with the least
    /// counts: a call takes from all of them.
    pub(super) fn add(&mut self, limit: usize, standing: Standing<'static>) {
        let mut known = self.0.iter_mut();
        match known.find(|(other, known)| *other == limit && known.rate == standing.rate) {
            Some((_, known)) if has_less(&standing, known) => *known = standing,
            Some(_) => {}
            None => self.0.push((limit, standing)),
        }
    }

    /// Tells of all of them, first of the limit that refused the call, or else has the least share left.
    pub(super) fn tell(
        mut self,
        names: &[Arc<str>],
        refusal: Option<&RateLimited>,
        tell: &mut dyn FnMut(Standing<'_>),
    ) {
        let refused_by = |limit: usize| {
            let name = refusal.and_then(RateLimited::limit);
            name.is_some() && names.get(limit).map(|name| &**name) == name
        };
        let mut binding = 0;
        for (index, (limit, standing)) in self.0.iter().enumerate() {
            let (first, before) = &self.0[binding];
            let binds = match (refused_by(*limit), refused_by(*first)) {
                (true, false) => true,
                (false, true) => false,
                _ => has_less(standing, before),
            };
            if binds {
                binding = index;
            }
        }
        if binding < self.0.len() {
            self.0[..=binding].rotate_right(1);
        }
        for (limit, standing) in &self.0 {
            tell(Standing { limit: names.get(*limit).map(|name| &**name), ..*standing });
        }
    }
}

/// Whether it is known that a smaller share is left of the first than of the second, or nothing of both
/// and that for longer.
fn has_less(first: &Standing<'_>, second: &Standing<'_>) -> bool {
    let share = |of: &Standing<'_>, by: &Standing<'_>| {
        let remaining = of.decision.map(|decision| decision.remaining)?;
        let limit = by.decision.map(|decision| decision.limit)?;
        Some(u64::from(remaining) * u64::from(limit))
    };
    // What comes back when calls end can do so at any time.
    let wait = |of: &Standing<'_>| match of.holds {
        true => Duration::ZERO,
        false => of.next_after().unwrap_or(Duration::MAX),
    };
    match (share(first, second), share(second, first)) {
        (Some(0), Some(0)) => wait(first) > wait(second),
        (Some(first), Some(second)) => first < second,
        _ => first.decision.is_some() && second.decision.is_none(),
    }
}
