//! One key: its state and its line, and the rules by which calls are served.

use super::{
    Terms, Use,
    forecast::Forecast,
    line::{Line, Place},
    shared::Held,
};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision, Grant, Outcome, Take},
    nanos::Nanos,
};
use std::{fmt, task::Waker};

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
}

/// How an ask for permits came out.
pub(super) enum Taken {
    Granted(Decision),
    /// Nothing was taken, and nobody stands in line.
    Refused(Decision),
    /// Nothing was taken: others stand in line.
    Behind,
}

/// What a call in line finds when it looks.
pub(super) enum Turn<T> {
    Granted(T),
    /// Look again then, or when woken.
    Wait(Nanos),
    /// It asks for more than could ever be had.
    Never(Decision),
}

/// Wakers to call, or to drop, once the lock is let go: either may run anything, and ask the same
/// limiter again.
#[derive(Default)]
pub(super) struct Wakes {
    due: Vec<Waker>,
    done: Vec<Waker>,
}

impl Wakes {
    pub(super) fn wake(self) {
        for waker in self.due {
            waker.wake();
        }
        drop(self.done);
    }
}

impl<A: Algorithm> Lane<A> {
    /// From when on the lane equals a new one; `None` while anybody has a place in its line.
    pub(super) fn new_at(&self, algorithm: &A) -> Option<Nanos> {
        match self.queue {
            None => Some(algorithm.new_at(&self.state)),
            Some(_) => None,
        }
    }

    /// Does away with a line in which nobody has a place.
    pub(super) fn tidy(&mut self) {
        self.queue.take_if(|queue| queue.line.is_empty());
    }

    /// Takes permits for a call that has just come, when that is all there is to do: nobody waits,
    /// and the permits are there. `None` leaves everything as it was, for a [`Desk`] to look at.
    #[inline(always)]
    pub(super) fn take_quickly(&mut self, algorithm: &A, now: Nanos, terms: Terms) -> Option<Held> {
        let line = self.queue.as_mut().map(|queue| &mut queue.line);
        let perished = |(_, grant): (_, Grant)| now >= grant.at + algorithm.shelf_life();
        if line
            .as_ref()
            .is_some_and(|line| line.waiting() > 0 || line.oldest().is_some_and(perished))
        {
            return None;
        }
        let take = Ask::Take(Take::fresh(terms.cost));
        match (terms.usage, line) {
            (Use::Now, _) => {
                let decision = algorithm.decide(&mut self.state, now, take);
                decision.is_granted().then_some(Held::Used(decision))
            }
            (Use::Later, Some(line)) if terms.cost > 0 => {
                let grant = algorithm.decide(&mut self.state, now, take).grant()?;
                let place = line.place();
                line.keep(place, grant);
                Some(Held::Unused(place))
            }
            // A line has to be made first.
            (Use::Later, _) => None,
        }
    }

    /// Takes permits where there is no line; `None` where there is one.
    pub(super) fn take(&mut self, algorithm: &A, now: Nanos, cost: u32) -> Option<Decision> {
        let take = Ask::Take(Take::fresh(cost));
        match self.queue {
            None => Some(algorithm.decide(&mut self.state, now, take)),
            Some(_) => None,
        }
    }

    /// Uses permits when they are good and were the last to be taken. `None` leaves everything as
    /// it was.
    #[inline(always)]
    pub(super) fn commit_quickly(
        &mut self,
        algorithm: &A,
        now: Nanos,
        place: Place,
    ) -> Option<Decision> {
        let queue = self.queue.as_mut().filter(|queue| queue.line.waiting() == 0)?;
        let perishes = |grant: &Grant| grant.at + algorithm.shelf_life();
        let grant = queue.line.take_last_if(place, |grant| now < perishes(grant))?;
        Some(algorithm.decide(&mut self.state, now, Ask::Renew(grant)))
    }

    /// Someone to serve at this lane now. Places in a line that has to be made count from `first`.
    #[inline]
    pub(super) fn desk<'a>(
        &'a mut self,
        algorithm: &'a A,
        now: Nanos,
        first: impl FnOnce() -> Place,
    ) -> Desk<'a, A> {
        let queue = self
            .queue
            .get_or_insert_with(|| Box::new(Queue { line: Line::new(first()), forecast: None }));
        Desk {
            algorithm,
            now,
            state: &mut self.state,
            line: &mut queue.line,
            forecast: &mut queue.forecast,
            wakes: Wakes::default(),
        }
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

/// A lane with a line, at an instant.
pub(super) struct Desk<'a, A: Algorithm> {
    algorithm: &'a A,
    now: Nanos,
    state: &'a mut A::State,
    line: &'a mut Line,
    forecast: &'a mut Option<Forecast<A>>,
    pub(super) wakes: Wakes,
}

impl<A: Algorithm> Desk<'_, A> {
    /// Takes permits for a call that has just come, unless others are before it.
    #[inline]
    pub(super) fn take(&mut self, cost: u32) -> Taken {
        self.serve();
        if cost > 0 && self.line.waiting() > 0 {
            let decision = self.decide(Ask::Peek(Take::fresh(cost)));
            return match decision.outcome {
                Outcome::Never => Taken::Refused(decision),
                Outcome::Granted(_) | Outcome::Later(_) => Taken::Behind,
            };
        }
        let decision = self.decide(Ask::Take(Take::fresh(cost)));
        match decision.outcome {
            Outcome::Granted(_) => Taken::Granted(decision),
            Outcome::Later(_) | Outcome::Never => Taken::Refused(decision),
        }
    }

    /// Keeps permits just taken until they are used.
    #[inline]
    pub(super) fn keep(&mut self, grant: Grant) -> Place {
        let place = self.line.place();
        self.line.keep(place, grant);
        place
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
            let everybody = self.line.costs_before(Place::MAX);
            Forecast::new(self.algorithm, self.state, self.now, everybody)
        });
        forecast.turn(self.algorithm, self.now, cost)
    }

    /// When the one at `place` will be served, as a decision.
    pub(super) fn turn_of(&self, place: Place, cost: u32) -> Decision {
        let before = self.line.costs_before(place);
        Forecast::new(self.algorithm, self.state, self.now, before).turn(
            self.algorithm,
            self.now,
            cost,
        )
    }

    /// Serves all who are due, and tells the one at `place` how it stands.
    pub(super) fn poll(&mut self, place: Place, cost: u32, waker: &Waker) -> Turn<()> {
        let overdue = self
            .line
            .first()
            .is_some_and(|first| *first.key() < place && first.get().alarm <= self.now);
        if !self.line.is_waiting(place) && !self.is_fresh(place) {
            // Granted, but not looked at for too long: back in line, at the same place.
            self.give_back(place);
            match self.take_anew(place, cost) {
                Outcome::Granted(_) => return Turn::Granted(()),
                Outcome::Never => return Turn::Never(self.decide(Ask::Peek(Take::fresh(cost)))),
                Outcome::Later(_) => self.line.wait(place, cost),
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
        Some(self.decide(Ask::Renew(grant)))
    }

    /// Gives back permits that were used.
    pub(super) fn refund(&mut self, grant: Grant) {
        self.untake(grant);
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
        while let Some(first) = self.line.first() {
            let take = Ask::Take(Take::queued(first.get().cost));
            let decision = self.algorithm.decide(self.state, self.now, take);
            match decision.outcome {
                Outcome::Granted(grant) => {
                    let (place, waiter) = first.remove_entry();
                    self.line.keep(place, grant);
                    *self.forecast = None;
                    self.wakes.due.extend(waiter.waker);
                }
                // It finds out for itself when it is polled.
                Outcome::Never => {
                    self.wakes.due.extend(first.remove().waker);
                    *self.forecast = None;
                }
                Outcome::Later(wait) => return self.wake_first_at(self.now + wait),
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
            self.untake(grant);
        }
    }

    fn untake(&mut self, grant: Grant) {
        let _ = self.decide(Ask::GiveBack(grant));
        *self.forecast = None;
    }

    /// From when on unused permits go to whoever needs them.
    #[inline]
    fn perishes(&self, grant: Grant) -> Nanos {
        grant.at + self.algorithm.shelf_life()
    }

    #[inline]
    fn decide(&mut self, ask: Ask) -> Decision {
        self.algorithm.decide(self.state, self.now, ask)
    }
}
