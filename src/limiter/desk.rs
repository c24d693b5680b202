//! The rules by which those are served who ask at one lane.

use super::{
    forecast::Forecast,
    line::{Line, Place},
    rules::{Gate, Rules},
};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision, Grant, Outcome, Take},
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
        self.due.extend(others.due);
        self.done.extend(others.done);
        self
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
    algorithm: &'a A,
    gate: Gate,
    slack: Nanos,
    now: Nanos,
    state: &'a mut A::State,
    line: &'a mut Line,
    forecast: &'a mut Option<Forecast<A>>,
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
        let Rules { gate, slack, .. } = *rules;
        let wakes = Wakes::default();
        Self { algorithm, gate, slack, now, state, line, forecast, wakes }
    }

    /// Takes the permit that was promised to the one at `place`.
    pub(super) fn take_promised(&mut self, place: Place) {
        if let Some(grant) = self.decide(Ask::Take(Take::fresh(1))).grant() {
            self.line.keep(place, grant);
            *self.forecast = None;
        }
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

    /// Gets in line.
    pub(super) fn join(&mut self, cost: u32) -> Place {
        let place = self.line.place();
        self.line.wait(place, cost);
        if let Some(forecast) = self.forecast {
            forecast.serve(self.algorithm, self.now, cost);
        }
        place
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.waiting()
    }

    /// What would happen to a call that asks now.
    pub(super) fn peek(&mut self, cost: u32) -> Decision {
        self.serve();
        match cost > 0 && self.line.waiting() > 0 {
            true => self.turn(cost),
            false => self.decide(Ask::Peek(Take::fresh(cost))),
        }
    }

    /// When a call would be served that gets in line now, as a decision.
    pub(super) fn turn(&mut self, cost: u32) -> Decision {
        let forecast = self.forecast.get_or_insert_with(|| {
            let everybody = self.line.costs_before(Place::LAST);
            Forecast::new(self.algorithm, self.state, self.now, everybody)
        });
        forecast.turn(self.algorithm, self.now, cost).later_by(self.slack)
    }

    /// When the one at `place` will be served, as a decision.
    pub(super) fn turn_of(&self, place: Place, cost: u32) -> Decision {
        let before = self.line.costs_before(place);
        Forecast::new(self.algorithm, self.state, self.now, before)
            .turn(self.algorithm, self.now, cost)
            .later_by(self.slack)
    }

    /// What a refusal means for a call that would wait.
    pub(super) fn if_it_waits(&self, decision: Decision) -> Decision {
        decision.later_by(self.slack)
    }

    /// Serves all who are due, and tells the one at `place` how it stands.
    pub(super) fn poll(&mut self, place: Place, cost: u32, waker: &Waker) -> Turn<()> {
        if let Some(reason) = self.line.was_sent_away(place) {
            return Turn::SentAway(reason);
        }
        let overdue = self
            .line
            .first()
            .is_some_and(|first| *first.key() < place && first.get().alarm <= self.now);
        if !self.line.is_waiting(place) && !self.is_fresh(place) {
            // Granted, but not looked at for too long: back in line, at the same place.
            self.give_back(place);
            match self.take_anew(place, cost) {
                Outcome::Granted(_) => return Turn::Granted(()),
                Outcome::Never | Outcome::Exhausted => {
                    return Turn::Refused(self.decide(Ask::Peek(Take::fresh(cost))));
                }
                Outcome::Later(_) | Outcome::InUse(_) => self.line.wait(place, cost),
            }
            *self.forecast = None;
        }
        self.serve();
        match self.line.is_waiting(place) {
            true => Turn::Wait(self.set_alarm(place, waker, overdue)),
            false => Turn::Granted(()),
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

    /// Says when the one at `place` should look again, and remembers how to wake it.
    fn set_alarm(&mut self, place: Place, waker: &Waker, stands_in: bool) -> Nanos {
        // The first in line has to be on time, and `serve` knows when that is. The others look
        // after those before them that nobody polls, each about when its own turn comes; whoever
        // found the first overdue stands in for it.
        let due = self.line.first().map_or(self.now, |first| first.get().alarm);
        let permits = if stands_in { 0 } else { self.line.permits_before(place) };
        let alarm = due + self.algorithm.interval() * permits;
        if let Some(waiter) = self.line.waiter(place) {
            waiter.alarm = alarm;
            if !waiter.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                self.wakes.done.extend(waiter.waker.replace(waker.clone()));
            }
        }
        alarm
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
    pub(super) fn commit(&mut self, place: Place) -> Option<Decision> {
        if !self.is_fresh(place) {
            self.leave(place);
            return None;
        }
        let grant = self.line.take(place)?;
        *self.forecast = None;
        let decision = match grant.cost {
            0 => self.decide(Ask::Take(Take::fresh(0))),
            _ => self.decide(Ask::Renew(grant)),
        };
        decision.is_granted().then_some(decision)
    }

    /// Tells the algorithm about permits that were used, and serves whom that lets go.
    pub(super) fn settle(&mut self, ask: Ask) -> Decision {
        // Whoever is overdue is let go by how the limit stood until now.
        self.serve();
        let decision = self.decide(ask);
        *self.forecast = None;
        self.serve();
        decision
    }

    /// Sends away all who wait.
    pub(super) fn send_away(&mut self, reason: Reason) {
        while self.line.waiting() > 0 {
            self.send_first_away(reason);
        }
    }

    fn send_first_away(&mut self, reason: Reason) {
        if let Some(waiter) = self.line.send_first_away(reason) {
            self.wakes.due.extend(waiter.waker);
            *self.forecast = None;
        }
    }

    /// Lets all who wait pass, in order, and takes nothing for it.
    pub(super) fn let_pass(&mut self) {
        while let Some(first) = self.line.first() {
            let (place, waiter) = first.remove_entry();
            self.line.keep(place, Grant { cost: 0, at: Nanos::MAX });
            self.wakes.due.extend(waiter.waker);
        }
        *self.forecast = None;
    }

    /// Begins anew: whoever waits is sent away, and permits not used yet are worth nothing.
    pub(super) fn reset(&mut self) {
        self.send_away(Reason::Cancelled);
        self.line.send_unused_away(Reason::Cancelled);
        *self.state = A::State::default();
    }

    /// Goes on by other rules, which hold for those in line, too.
    pub(super) fn carry_over(&mut self, before: &A) {
        self.algorithm.carry_over(before, self.state, self.now);
        *self.forecast = None;
        self.serve();
    }

    /// Whether a place has permits that are good still.
    #[inline]
    pub(super) fn is_fresh(&self, place: Place) -> bool {
        let grant = self.line.unused(place);
        grant.is_some_and(|grant| self.now < self.perishes(grant))
    }

    /// Lets go all whose turn has come, in order, and sees that the next one wakes in time.
    #[inline]
    fn serve(&mut self) {
        self.reclaim();
        // Those in line are let go as if it were that much earlier, and so that much later.
        let at = self.now - self.slack;
        while let Some(first) = self.line.first() {
            let take = Ask::Take(Take::queued(first.get().cost));
            let decision = self.algorithm.decide(self.state, at, take);
            match decision.outcome {
                Outcome::Granted(grant) => {
                    let (place, waiter) = first.remove_entry();
                    self.line.keep(place, grant);
                    *self.forecast = None;
                    self.wakes.due.extend(waiter.waker);
                }
                // It is told when it is polled, whatever the limit is by then.
                Outcome::Never => self.send_first_away(Reason::TooCostly),
                Outcome::Exhausted => self.send_first_away(Reason::Exhausted),
                Outcome::Later(wait) | Outcome::InUse(Some(wait)) => {
                    return self.wake_first_at(self.now + wait);
                }
                // Whoever ends a call serves those in line. They look, too, as whoever is let go
                // may be one that nobody polls, whose permits have to perish first.
                Outcome::InUse(None) => {
                    return self.wake_first_at(self.now + self.algorithm.shelf_life());
                }
            }
        }
    }

    /// Sees that the first in line looks again at `due`, or earlier if unused permits perish, and
    /// that the second looks after it not much later.
    fn wake_first_at(&mut self, due: Nanos) {
        let perishes = self.line.oldest().map(|(_, grant)| self.perishes(grant));
        let due = perishes.map_or(due, |perishes| perishes.min(due));
        let interval = self.algorithm.interval();
        let mut alarm = due;
        for (index, waiter) in self.line.first_two().enumerate() {
            alarm = if index == 0 { due } else { alarm + interval * waiter.cost };
            // Its own timer would be too late: it stood further behind when it set it.
            if waiter.alarm > alarm {
                self.wakes.due.extend(waiter.waker.take());
            }
            waiter.alarm = alarm;
        }
    }

    /// Gives back the permits that nobody used in time.
    #[inline]
    fn reclaim(&mut self) {
        while let Some((place, grant)) = self.line.oldest()
            && self.now >= self.perishes(grant)
        {
            self.give_back(place);
        }
    }

    /// Gives back the unused permits of a place, if it has any.
    fn give_back(&mut self, place: Place) {
        if let Some(grant) = self.line.take(place) {
            let _ = self.decide(Ask::GiveBack(grant));
            *self.forecast = None;
        }
    }

    /// From when on unused permits go to whoever needs them.
    #[inline]
    fn perishes(&self, grant: Grant) -> Nanos {
        grant.at + self.algorithm.shelf_life() + self.slack
    }

    #[inline]
    fn decide(&mut self, ask: Ask) -> Decision {
        self.algorithm.decide(self.state, self.now, ask)
    }
}
