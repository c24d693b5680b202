//! One key: its state and its line, and the short ways for calls that nobody is in the way of.

use super::{
    desk::Desk,
    forecast::Forecast,
    line::{Line, Place},
    promise::PLENTY,
    rules::{Gate, Rules},
    standing,
};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision, Grant, Take},
    nanos::Nanos,
};
use std::{fmt, sync::Arc};

/// The state of one key and its line, which exists only while it is needed.
pub(super) struct Lane<A: Algorithm> {
    state: A::State,
    queue: Option<Box<Queue<A>>>,
}

struct Queue<A: Algorithm> {
    line: Line,
    /// Worked out when somebody wants to know how long the line is, and forgotten when the line
    /// or the state changes.
    forecast: Option<Forecast<A>>,
    /// Who was promised a permit that has to be taken yet.
    promised: Option<Place>,
    /// The arithmetic of this lane, where it is not that of all.
    own: Option<Arc<A>>,
}

impl<A: Algorithm> Lane<A> {
    /// From when on the lane equals a new one; `None` while anybody has a place in its line.
    pub(super) fn new_at(&self, algorithm: &A) -> Option<Nanos> {
        match self.queue {
            None => Some(algorithm.new_at(&self.state)),
            Some(_) => None,
        }
    }

    /// One that goes on with a state from before.
    pub(super) fn with_state(state: A::State) -> Self {
        Self { state, queue: None }
    }

    /// The state once all permits have gone back that are not used yet.
    pub(super) fn without_line(&self, algorithm: &A, now: Nanos) -> A::State {
        let mut state = self.state.clone();
        let unused = self.queue.iter().flat_map(|queue| queue.line.all_unused());
        for grant in unused.filter(|grant| grant.cost > 0) {
            let _ = algorithm.decide(&mut state, now, Ask::GiveBack(grant));
        }
        state
    }

    /// Whether anybody has, or had, a place in its line.
    pub(super) fn has_line(&self) -> bool {
        self.queue.is_some()
    }

    /// The arithmetic of this lane, where it is not that of all.
    pub(super) fn own(&self) -> Option<&Arc<A>> {
        self.queue.as_ref()?.own.as_ref()
    }

    /// Sets the arithmetic of this lane, which has a line, and returns the one before.
    pub(super) fn set_own(&mut self, algorithm: Arc<A>) -> Option<Arc<A>> {
        self.queue.as_mut()?.own.replace(algorithm)
    }

    /// Goes by that of all again.
    pub(super) fn give_up_own(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.own = None;
        }
    }

    /// Goes on by other rules, where there is no line.
    pub(super) fn carry_over(&mut self, before: &A, rules: &Rules<A>, now: Nanos) {
        rules.algorithm.carry_over(before, &mut self.state, now);
    }

    /// Changes the state, where there is no line.
    pub(super) fn amend(
        &mut self,
        rules: &Rules<A>,
        now: Nanos,
        change: impl FnOnce(&A, &mut A::State, Nanos),
    ) {
        change(&rules.algorithm, &mut self.state, now);
    }

    /// Does away with a line in which nobody has a place.
    #[inline]
    pub(super) fn tidy(&mut self) {
        self.queue.take_if(|queue| queue.line.is_empty() && queue.own.is_none());
    }

    /// Remembers that the one at `place` was promised a permit. Promises are only made where there
    /// is a line.
    #[cold]
    pub(super) fn owe(&mut self, place: Place) {
        if let Some(queue) = &mut self.queue {
            queue.promised = Some(place);
        }
    }

    /// Whether somebody was promised a permit that has to be taken yet.
    pub(super) fn owes(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.promised.is_some())
    }

    /// Whether there is nothing to do before a call is let go that has just come: the limit is
    /// in force, nobody waits, nothing is promised, and nothing has perished.
    #[inline(always)]
    fn is_quiet(&self, rules: &Rules<A>, now: Nanos) -> bool {
        let perished = |(_, grant): (_, Grant)| now >= grant.at + rules.algorithm.shelf_life();
        let is_quiet = |queue: &Queue<A>| {
            queue.line.waiting() == 0
                && queue.promised.is_none()
                && queue.own.is_none()
                && !queue.line.oldest().is_some_and(perished)
        };
        rules.gate == Gate::Working && self.queue.as_deref().is_none_or(is_quiet)
    }

    /// Takes permits that are used now, where all is quiet. `None` leaves everything as it was, for
    /// a [`Desk`] to look at.
    #[inline(always)]
    pub(super) fn use_quickly(
        &mut self,
        rules: &Rules<A>,
        now: Nanos,
        cost: u32,
    ) -> Option<Decision> {
        self.is_quiet(rules, now).then(|| self.take(&rules.algorithm, now, cost))
    }

    /// How the limit stands, where all is quiet.
    pub(super) fn standing_quickly(&mut self, rules: &Rules<A>, now: Nanos) -> Option<Decision> {
        let is_quiet = self.is_quiet(rules, now);
        is_quiet.then(|| standing::look(&*rules.algorithm, &mut self.state, now))
    }

    /// Uses permits up, where all is quiet and they are there, for a call that takes place elsewhere.
    pub(super) fn use_up(&mut self, rules: &Rules<A>, now: Nanos, cost: u32) {
        let taken = self.use_quickly(rules, now, cost).and_then(|decision| decision.grant());
        if let Some(grant) = taken {
            let _ = rules.algorithm.decide(&mut self.state, now, Ask::End(grant));
        }
    }

    /// Takes permits that are used later, where all is quiet, they are there, and a line to keep
    /// them in. `None` leaves everything as it was.
    #[inline(always)]
    pub(super) fn take_quickly(
        &mut self,
        rules: &Rules<A>,
        now: Nanos,
        cost: u32,
    ) -> Option<Place> {
        if cost == 0 || !self.is_quiet(rules, now) || self.queue.is_none() {
            return None;
        }
        let grant = self.take(&rules.algorithm, now, cost).grant()?;
        let line = &mut self.queue.as_mut()?.line;
        let place = line.place();
        line.keep(place, grant);
        Some(place)
    }

    /// Uses permits when they are good and were the last to be taken. `None` leaves everything as
    /// it was.
    #[inline(always)]
    pub(super) fn commit_quickly(
        &mut self,
        rules: &Rules<A>,
        now: Nanos,
        place: Place,
    ) -> Option<Decision> {
        let is_quiet = |queue: &&mut Box<Queue<A>>| {
            queue.line.waiting() == 0 && queue.promised.is_none() && queue.own.is_none()
        };
        let queue = self.queue.as_mut().filter(is_quiet)?;
        let perishes = |grant: &Grant| grant.at + rules.algorithm.shelf_life();
        let grant =
            queue.line.take_last_if(place, |grant| grant.cost > 0 && now < perishes(grant))?;
        let decision = rules.algorithm.decide(&mut self.state, now, Ask::Renew(grant));
        decision.is_granted().then_some(decision)
    }

    /// Whether there are permits to be had for many calls more.
    #[inline(always)]
    pub(super) fn has_plenty(&mut self, rules: &Rules<A>, now: Nanos, limit: u32) -> bool {
        let peek = Ask::Peek(Take::fresh(PLENTY));
        rules.gate == Gate::Working
            && limit >= PLENTY
            && rules.algorithm.decide(&mut self.state, now, peek).is_granted()
    }

    /// Takes permits, or not, for a call that has just come; no look at the line.
    #[inline(always)]
    pub(super) fn take(&mut self, algorithm: &A, now: Nanos, cost: u32) -> Decision {
        algorithm.decide(&mut self.state, now, Ask::Take(Take::fresh(cost)))
    }

    /// Someone to serve at this lane now, with a line that is made if there is none.
    pub(super) fn desk<'a>(
        &'a mut self,
        rules: &'a Rules<A>,
        now: Nanos,
        line: impl FnOnce() -> Line,
    ) -> Desk<'a, A> {
        let queue = self.queue.get_or_insert_with(|| {
            Box::new(Queue { line: line(), forecast: None, promised: None, own: None })
        });
        let Queue { line, forecast, promised, own } = &mut **queue;
        let algorithm: &A = own.as_ref().unwrap_or(&rules.algorithm);
        let mut desk = Desk::new(algorithm, rules, now, &mut self.state, line, forecast);
        if let Some(place) = promised.take() {
            desk.take_promised(place);
        }
        desk
    }
}

impl<A: Algorithm> Default for Lane<A> {
    fn default() -> Self {
        Self { state: A::State::default(), queue: None }
    }
}

impl<A: Algorithm> fmt::Debug for Lane<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.queue.as_ref().map_or(0, |queue| queue.line.waiting());
        f.debug_struct("Lane").field("waiting", &waiting).finish_non_exhaustive()
    }
}
