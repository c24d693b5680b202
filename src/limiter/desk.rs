//! What those are told who ask at one lane.

use super::{
    Terms,
    forecast::Forecast,
    line::{Line, Place},
    rules::{Dated, Gate, Rules},
    standing,
};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision, Outcome, Take},
    error::Reason,
    nanos::Nanos,
};
use std::task::Waker;

/// How an ask for permits came out.
pub(super) enum Taken {
    Granted(Decision),
    /// Nothing was taken, and nobody stands in line.
    Refused(Decision),
    /// Nothing was taken: others stand in line.
    Behind,
    /// The limiter is closed.
    Closed,
}

/// What a call in line finds when it looks.
pub(super) enum Turn<T> {
    Granted(T),
    /// Look again then, or when woken.
    Wait(Nanos),
    /// What it asks for will not be had.
    Refused(Decision),
    /// All who waited were sent away.
    SentAway(Reason),
}

/// Wakers to call, or to drop, once the lock is let go: either may run anything, and ask the same
/// limiter again.
#[derive(Default)]
pub(super) struct Wakes {
    pub(super) due: Vec<Waker>,
    pub(super) done: Vec<Waker>,
}

impl Wakes {
    /// These and others.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.add(others);
        self
    }

    /// Others as well.
    pub(super) fn add(&mut self, others: Self) {
        self.due.extend(others.due);
        self.done.extend(others.done);
    }

    pub(super) fn wake(self) {
        for waker in self.due {
            waker.wake();
        }
        drop(self.done);
    }
}

/// A lane with a line, at an instant.
pub(super) struct Desk<'a, A: Algorithm> {
    pub(super) algorithm: &'a A,
    pub(super) gate: Gate,
    pub(super) slack: Nanos,
    resets: u32,
    pub(super) now: Nanos,
    pub(super) state: &'a mut A::State,
    pub(super) line: &'a mut Line,
    pub(super) forecast: &'a mut Option<Forecast<A>>,
    pub(super) wakes: Wakes,
}

impl<'a, A: Algorithm> Desk<'a, A> {
    pub(super) fn new(
        algorithm: &'a A,
        rules: &Rules<A>,
        now: Nanos,
        state: &'a mut A::State,
        line: &'a mut Line,
        forecast: &'a mut Option<Forecast<A>>,
    ) -> Self {
        let Rules { gate, slack, resets, .. } = *rules;
        let wakes = Wakes::default();
        Self { algorithm, gate, slack, resets, now, state, line, forecast, wakes }
    }

    /// Takes permits for a call that has just come, unless others are before it.
    #[inline]
    pub(super) fn take(&mut self, cost: u32) -> Taken {
        match self.gate {
            Gate::Working => self.serve(),
            // As a call of no cost passes.
            Gate::Open => return Taken::Granted(self.decide(Ask::Take(Take::fresh(0)))),
            Gate::Closed => return Taken::Closed,
        }
        if cost > 0 && self.line.waiting() > 0 {
            let decision = self.decide(Ask::Peek(Take::fresh(cost)));
            return match decision.outcome {
                Outcome::Never | Outcome::Exhausted => Taken::Refused(decision),
                _ => Taken::Behind,
            };
        }
        let decision = self.decide(Ask::Take(Take::fresh(cost)));
        match decision.outcome {
            Outcome::Granted(_) => Taken::Granted(decision),
            _ => Taken::Refused(decision),
        }
    }

    /// Keeps permits just taken until they are used.
    #[inline]
    pub(super) fn keep(&mut self, taken: Decision) -> Place {
        match taken.grant() {
            Some(grant) if grant.cost > 0 => {
                let place = self.line.place();
                self.line.keep(place, grant);
                place
            }
            _ => Place::FREE,
        }
    }

    /// Gets in line; until when it waits, which for one that cannot be woken is not at all.
    pub(super) fn join(&mut self, terms: Terms, waker: Option<&Waker>) -> (Place, Nanos) {
        let place = self.line.place();
        let cost = terms.cost;
        self.line.wait(place, cost, terms.patience.latest(self.now));
        if let Some(forecast) = self.forecast {
            forecast.serve(self.algorithm, self.now, cost);
        }
        let Some(waker) = waker else { return (place, Nanos::ZERO) };
        // When the first in line is due is known once it is looked after.
        if self.line.waiting() == 1 {
            self.serve();
        }
        (place, self.set_alarm(place, waker, false))
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.waiting()
    }

    /// What would happen to a call that asks now.
    pub(super) fn peek(&mut self, cost: u32) -> Decision {
        self.serve();
        match self.gate {
            // Whoever asks passes, as a call of no cost does.
            Gate::Open => self.decide(Ask::Peek(Take::fresh(0))),
            Gate::Working | Gate::Closed if cost > 0 && self.line.waiting() > 0 => self.turn(cost),
            Gate::Working | Gate::Closed => self.decide(Ask::Peek(Take::fresh(cost))),
        }
    }

    /// How the limit stands. While others stand in line nothing is left.
    pub(super) fn standing(&mut self) -> Decision {
        self.serve();
        match self.gate == Gate::Working && self.line.waiting() > 0 {
            true => Decision { remaining: 0, ..self.turn(1) },
            false => standing::look(self.algorithm, self.state, self.now),
        }
    }

    /// When a call would be served that gets in line now, as a decision.
    pub(super) fn turn(&mut self, cost: u32) -> Decision {
        let forecast = self.forecast.get_or_insert_with(|| {
            let everybody = self.line.costs_before(Place::LAST);
            Forecast::new(self.algorithm, self.state, self.now, self.slack, everybody)
        });
        forecast.turn(self.algorithm, self.now, cost)
    }

    /// When the one at `place` will be served, as a decision.
    pub(super) fn turn_of(&self, place: Place, cost: u32) -> Decision {
        let before = self.line.costs_before(place);
        let mut forecast = Forecast::new(self.algorithm, self.state, self.now, self.slack, before);
        forecast.turn(self.algorithm, self.now, cost)
    }

    /// Serves all who are due, and tells the one at `place` how it stands.
    pub(super) fn poll(&mut self, place: Place, cost: u32, waker: &Waker) -> Turn<()> {
        if let Some(reason) = self.line.was_sent_away(place) {
            return Turn::SentAway(reason);
        }
        let now = self.now;
        let is_overdue =
            self.line.first().is_some_and(|(first, waiter)| first < place && waiter.alarm <= now);
        if !self.line.is_waiting(place) && !self.is_fresh(place) {
            // Granted, but not looked at for too long: back in line, at the same place.
            self.give_back(place);
            if self.gate == Gate::Closed {
                return Turn::SentAway(Reason::Closed);
            }
            match self.take_anew(place, cost) {
                Outcome::Granted(_) => return Turn::Granted(()),
                Outcome::Never | Outcome::Exhausted => {
                    return Turn::Refused(self.decide(Ask::Peek(Take::fresh(cost))));
                }
                Outcome::Later(_) | Outcome::InUse(_) => {
                    self.line.wait(place, cost, Nanos::MAX);
                }
            }
            *self.forecast = None;
        }
        self.serve();
        match self.line.is_waiting(place) {
            true => Turn::Wait(self.set_alarm(place, waker, is_overdue)),
            false => {
                self.line.unused.come(place, self.now);
                Turn::Granted(())
            }
        }
    }

    /// Takes permits for one that had them and let them perish. Where nobody else waits, it comes
    /// like anybody else: time in which it did not look is not time in which it was not let go.
    fn take_anew(&mut self, place: Place, cost: u32) -> Outcome {
        let cost = if self.gate == Gate::Open { 0 } else { cost };
        let take = Take::fresh(cost);
        let ask = if self.line.waiting() > 0 { Ask::Peek(take) } else { Ask::Take(take) };
        match self.decide(ask).outcome {
            Outcome::Granted(_) if self.line.waiting() > 0 => Outcome::Later(Nanos::ZERO),
            Outcome::Granted(grant) => {
                self.line.keep(place, grant);
                Outcome::Granted(grant)
            }
            refused => refused,
        }
    }

    /// Gives up a place: whatever it held goes to the next in line.
    pub(super) fn leave(&mut self, place: Place) {
        if self.line.was_sent_away(place).is_some() {
            return;
        }
        match self.line.leave(place) {
            Some(waiter) => {
                self.wakes.done.extend(waiter.waker);
                *self.forecast = None;
            }
            None => self.give_back(place),
        }
        self.serve();
    }

    /// Uses the permits of a place now; `None` when they had grown too old, and went back.
    #[inline]
    pub(super) fn commit(&mut self, place: Place) -> Option<Dated<Decision>> {
        if !self.is_fresh(place) {
            self.leave(place);
            return None;
        }
        let grant = self.line.unused.take(place)?;
        *self.forecast = None;
        let decision = match grant.cost {
            0 => self.decide(Ask::Take(Take::fresh(0))),
            _ => self.decide(Ask::Renew(grant)),
        };
        decision.is_granted().then(|| self.date(decision))
    }

    /// What came about now.
    pub(super) fn date<T>(&self, what: T) -> Dated<T> {
        Dated { what, resets: self.resets }
    }

    /// The same about permits that were used and taken at that time, if they still count.
    pub(super) fn settle_used(&mut self, ask: Dated<Ask>) -> Option<Decision> {
        // What was granted before a reset is in no state any more.
        (ask.resets == self.resets).then(|| self.settle(ask.what))
    }

    /// Whether a place has permits that are good still.
    #[inline]
    pub(super) fn is_fresh(&self, place: Place) -> bool {
        let known = self.line.unused.known_since(place).map(|since| self.perishes(since));
        let called = || self.line.unused.called_since(place).map(|since| self.given_up_at(since));
        known.or_else(called).is_some_and(|perishes| self.now < perishes)
    }

    /// Gives back the unused permits of a place, if it has any.
    pub(super) fn give_back(&mut self, place: Place) {
        if let Some(grant) = self.line.unused.take(place) {
            let _ = self.decide(Ask::GiveBack(grant));
            *self.forecast = None;
        }
    }

    #[inline]
    pub(super) fn decide(&mut self, ask: Ask) -> Decision {
        self.algorithm.decide(self.state, self.now, ask)
    }
}
