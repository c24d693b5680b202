//! One key: its state and its line, and the short ways for calls that nobody is in the way of.

use super::{
    desk::Desk,
    forecast::Forecast,
    line::{Line, Place},
    rules::{Gate, Rules},
    standing,
};
use crate::{
    algorithm::{Algorithm, Bucket, Permits},
    decision::{Ask, Decision, Grant, Take},
    nanos::Nanos,
    store::table::Keep,
};
use std::{any::Any, fmt, sync::Arc};

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
    /// The arithmetic of this lane, where it is not that of all.
    own: Option<Arc<A>>,
}

impl<A: Algorithm> Lane<A> {
    /// One that goes on with a state from before.
    pub(super) fn with_state(state: A::State) -> Self {
        Self { state, queue: None }
    }

    /// The state once all permits have gone back that are not used yet.
    pub(super) fn without_line(&self, algorithm: &A, now: Nanos) -> A::State {
        let mut state = self.state.clone();
        let unused = self.queue.iter().flat_map(|queue| queue.line.unused.all());
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

    /// The state, where it is one instant, and nobody has a place in the line or arithmetic of its own
    /// here: whoever comes can go by it without a look at the lane.
    #[inline(always)]
    pub(super) fn at_rest(&self) -> Option<Nanos> {
        let state: &dyn Any = &self.state;
        let rests = |queue: &Queue<A>| queue.line.is_empty() && queue.own.is_none();
        let state = state.downcast_ref().copied().filter(|_| Bucket::is::<A>());
        state.filter(|_| self.queue.as_deref().is_none_or(rests))
    }

    /// Goes on with the state that others have changed while the lane was at rest.
    #[inline(always)]
    pub(super) fn resume(&mut self, empty_at: Nanos) {
        let state: &mut dyn Any = &mut self.state;
        if let Some(state) = state.downcast_mut() {
            *state = empty_at;
        }
        // It was worked out for the state as it was.
        if let Some(queue) = &mut self.queue {
            queue.forecast = None;
        }
    }

    /// Whether there is nothing to do before a call is let go that has just come: the limit is
    /// in force, nobody waits, and nothing has perished.
    #[inline(always)]
    fn is_quiet(&self, rules: &Rules<A>, now: Nanos) -> bool {
        let perished = |(_, since)| now >= since + rules.algorithm.shelf_life();
        let given_up = |(_, since)| now >= since + rules.algorithm.late_life();
        let is_quiet = |queue: &Queue<A>| {
            queue.line.waiting() == 0
                && queue.own.is_none()
                && !queue.line.unused.oldest_known().is_some_and(perished)
                && !queue.line.unused.oldest_called().is_some_and(given_up)
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

    /// Uses permits up, where all is quiet and as far as they are there, for a call that takes place
    /// elsewhere.
    pub(super) fn use_up(&mut self, rules: &Rules<A>, now: Nanos, cost: u32) {
        let Some(all) = self.use_quickly(rules, now, cost) else { return };
        let taken = all.grant().or_else(|| self.take(&rules.algorithm, now, all.remaining).grant());
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
        let is_quiet =
            |queue: &&mut Box<Queue<A>>| queue.line.waiting() == 0 && queue.own.is_none();
        let queue = self.queue.as_mut().filter(is_quiet)?;
        let perishes = |grant: &Grant| grant.at + rules.algorithm.shelf_life();
        let grant = queue
            .line
            .unused
            .take_last_if(place, |grant| grant.cost > 0 && now < perishes(grant))?;
        let decision = rules.algorithm.decide(&mut self.state, now, Ask::Renew(grant));
        decision.is_granted().then_some(decision)
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
        let queue = self
            .queue
            .get_or_insert_with(|| Box::new(Queue { line: line(), forecast: None, own: None }));
        let Queue { line, forecast, own } = &mut **queue;
        let algorithm: &A = own.as_ref().unwrap_or(&rules.algorithm);
        Desk::new(algorithm, rules, now, &mut self.state, line, forecast)
    }
}

impl<A: Algorithm> Keep<Rules<A>> for Lane<A> {
    /// Never while anybody has a place in its line, nor while a call runs of which nobody knows when it
    /// ends.
    fn new_at(&self, rules: &Rules<A>) -> Option<Nanos> {
        if self.queue.is_some() {
            return None;
        }
        let new_at = rules.algorithm.new_at(&self.state);
        let runs = A::Permits::HELD && new_at == Nanos::MAX;
        (!runs).then_some(new_at)
    }

    fn has_words() -> bool {
        Bucket::is::<A>()
    }

    fn word(&self) -> Option<Nanos> {
        self.at_rest()
    }

    fn from_word(word: Nanos) -> Self {
        let mut lane = Self::default();
        lane.resume(word);
        lane
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
