//! Letting go those in line: when their turn has come, or because somebody says so.

use super::{desk::Desk, forecast::Forecast, line::Place};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision, Grant, Outcome, Take},
    error::Reason,
    nanos::Nanos,
};
use std::task::Waker;

impl<A: Algorithm> Desk<'_, A> {
    /// Says when the one at `place` should look again, and remembers how to wake it.
    pub(super) fn set_alarm(&mut self, place: Place, waker: &Waker, stands_in: bool) -> Nanos {
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

    /// Changes the state, which holds for those in line, too: who would have to wait longer now than it
    /// accepted is refused.
    pub(super) fn amend(&mut self, change: impl FnOnce(&A, &mut A::State, Nanos)) {
        // Whoever is overdue is let go by how the limit stood until now.
        self.serve();
        change(self.algorithm, self.state, self.now);
        *self.forecast = None;
        for place in self.in_vain() {
            let refused = self.line.send_away(place, Reason::UsedUp);
            self.wakes.due.extend(refused.and_then(|waiter| waiter.waker));
        }
        self.serve();
    }

    /// Who of those in line would have to wait too long, if those before it that would not stay.
    fn in_vain(&self) -> Vec<Place> {
        let at = self.now - self.slack;
        let mut forecast = Forecast::new(self.algorithm, self.state, at, std::iter::empty());
        let mut is_in_vain = |cost, latest| {
            let turn = forecast.turn(self.algorithm, self.now, self.slack, cost);
            let in_vain = matches!(turn.outcome, Outcome::Later(wait) if self.now + wait > latest);
            if !in_vain {
                forecast.serve(self.algorithm, at, cost);
            }
            in_vain
        };
        let waiting = self.line.all_waiting();
        let in_vain = waiting.filter(|(_, waiter)| is_in_vain(waiter.cost, waiter.latest));
        in_vain.map(|(place, _)| place).collect()
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

    /// Lets go all whose turn has come, in order, and sees that the next one wakes in time.
    #[inline]
    pub(super) fn serve(&mut self) {
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
}
