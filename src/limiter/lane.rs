//! One key: its state, the line of those who wait for it, and the permits not used yet.

use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision, Grant, Outcome, Take},
    nanos::Nanos,
};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    task::Waker,
};

/// A place in line, and later the permit that was granted there. Earlier places are smaller.
pub(super) type Place = u64;

/// The state of one key and its line, which exists only while it is needed.
pub(super) struct Lane<A: Algorithm> {
    state: A::State,
    line: Option<Box<Line<A::State>>>,
}

/// Who waits, and who was granted permits and has not used them yet.
struct Line<S> {
    next: Place,
    /// In the order in which they are served.
    waiting: BTreeMap<Place, Waiter>,
    /// By place, which is the order in which they were granted, but for the few that got back
    /// in line. A permit keeps for one interval; an older one goes back when somebody needs it.
    unused: VecDeque<(Place, Grant)>,
    /// The state once all who wait now have been served, and when that is. Worked out when
    /// somebody wants to know how long the line is, and forgotten when the line changes.
    forecast: Option<(Nanos, S)>,
}

struct Waiter {
    cost: u32,
    /// Wakes its task. Gone once it was used; each poll leaves a new one.
    waker: Option<Waker>,
    /// When its own timer goes off.
    alarm: Nanos,
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
pub(super) enum Turn {
    Granted,
    /// Look again then, or when woken.
    Wait(Nanos),
    /// It asks for more than could ever be had.
    Never(Decision),
}

/// Wakers to call once the lock is let go: waking may run anything.
#[derive(Default)]
pub(super) struct Wakes(Vec<Waker>);

impl Wakes {
    pub(super) fn wake(self) {
        for waker in self.0 {
            waker.wake();
        }
    }
}

impl<A: Algorithm> Default for Lane<A> {
    fn default() -> Self {
        Self {
            state: A::State::default(),
            line: None,
        }
    }
}

impl<A: Algorithm> Lane<A> {
    /// From when on the lane equals a new one; `None` while anybody has a place in its line.
    pub(super) fn new_at(&self, algorithm: &A) -> Option<Nanos> {
        match self.line {
            None => Some(algorithm.new_at(&self.state)),
            Some(_) => None,
        }
    }

    /// Does away with a line in which nobody has a place.
    pub(super) fn tidy(&mut self) {
        self.line
            .take_if(|line| line.waiting.is_empty() && line.unused.is_empty());
    }

    /// Someone to serve at this lane now. Places in a line that has to be made count from `first`.
    pub(super) fn desk<'a>(
        &'a mut self,
        algorithm: &'a A,
        now: Nanos,
        first: impl FnOnce() -> Place,
    ) -> Desk<'a, A> {
        Desk {
            algorithm,
            now,
            state: &mut self.state,
            line: self
                .line
                .get_or_insert_with(|| Box::new(Line::new(first()))),
            wakes: Wakes::default(),
        }
    }

    /// Takes permits where there is no line; `None` where there is one.
    pub(super) fn take(&mut self, algorithm: &A, now: Nanos, cost: u32) -> Option<Decision> {
        let take = Take {
            cost,
            queued: false,
        };
        match self.line {
            None => Some(algorithm.decide(&mut self.state, now, Ask::Take(take))),
            Some(_) => None,
        }
    }
}

impl<S: Clone> Line<S> {
    fn new(next: Place) -> Self {
        Self {
            next,
            waiting: BTreeMap::new(),
            unused: VecDeque::new(),
            forecast: None,
        }
    }

    fn place(&mut self) -> Place {
        self.next += 1;
        self.next
    }
}

/// The state once calls of these costs have been served one after the other, and when that is.
fn forecast<A: Algorithm>(
    algorithm: &A,
    state: &A::State,
    now: Nanos,
    costs: impl Iterator<Item = u32>,
) -> (Nanos, A::State) {
    let mut after = state.clone();
    let at = costs.fold(now, |at, cost| admit(algorithm, &mut after, at, cost));
    (at, after)
}

/// When a call would be served that is next after a forecast, as a decision.
fn turn<A: Algorithm>(
    algorithm: &A,
    (at, after): &mut (Nanos, A::State),
    now: Nanos,
    cost: u32,
) -> Decision {
    let at = (*at).max(now);
    let take = Take { cost, queued: true };
    let decision = algorithm.decide(after, at, Ask::Peek(take));
    let outcome = match decision.outcome {
        Outcome::Granted(_) => Outcome::Later(at - now),
        Outcome::Later(wait) => Outcome::Later(at + wait - now),
        Outcome::Never => Outcome::Never,
    };
    Decision {
        outcome,
        remaining: 0,
        ..decision
    }
}

/// Lets a waiting call go as early as it can be, and returns when that is.
fn admit<A: Algorithm>(algorithm: &A, state: &mut A::State, at: Nanos, cost: u32) -> Nanos {
    let take = Ask::Take(Take { cost, queued: true });
    match algorithm.decide(state, at, take).outcome {
        Outcome::Granted(_) | Outcome::Never => at,
        Outcome::Later(wait) => {
            let _ = algorithm.decide(state, at + wait, take);
            at + wait
        }
    }
}

/// A lane with a line, at an instant.
pub(super) struct Desk<'a, A: Algorithm> {
    algorithm: &'a A,
    now: Nanos,
    state: &'a mut A::State,
    line: &'a mut Line<A::State>,
    pub(super) wakes: Wakes,
}

impl<A: Algorithm> Desk<'_, A> {
    /// Takes permits for a call that has just come, unless others are before it.
    pub(super) fn take(&mut self, cost: u32) -> Taken {
        self.serve();
        let take = Take {
            cost,
            queued: false,
        };
        if cost > 0 && !self.line.waiting.is_empty() {
            let decision = self.decide(Ask::Peek(take));
            return match decision.outcome {
                Outcome::Never => Taken::Refused(decision),
                Outcome::Granted(_) | Outcome::Later(_) => Taken::Behind,
            };
        }
        loop {
            let decision = self.decide(Ask::Take(take));
            match decision.outcome {
                Outcome::Granted(_) => return Taken::Granted(decision),
                Outcome::Later(_) if self.reclaim() => {}
                Outcome::Later(_) | Outcome::Never => return Taken::Refused(decision),
            }
        }
    }

    /// Keeps permits just taken until they are used.
    pub(super) fn keep(&mut self, grant: Grant) -> Place {
        let place = self.line.place();
        self.line.unused.push_back((place, grant));
        place
    }

    /// What would happen to a call that asks now.
    pub(super) fn peek(&mut self, cost: u32) -> Decision {
        self.serve();
        match cost > 0 && !self.line.waiting.is_empty() {
            true => self.turn(cost),
            false => self.decide(Ask::Peek(Take {
                cost,
                queued: false,
            })),
        }
    }

    /// Gives back permits that were used.
    pub(super) fn refund(&mut self, grant: Grant) {
        self.give_back(grant);
        self.serve();
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.waiting.len()
    }

    /// When a call that gets in line now would be served, as a decision.
    pub(super) fn turn(&mut self, cost: u32) -> Decision {
        let line = &mut *self.line;
        let forecast = line.forecast.get_or_insert_with(|| {
            let costs = line.waiting.values().map(|waiter| waiter.cost);
            forecast(self.algorithm, self.state, self.now, costs)
        });
        turn(self.algorithm, forecast, self.now, cost)
    }

    /// When the one at `place` would be served, as a decision.
    pub(super) fn turn_of(&self, place: Place, cost: u32) -> Decision {
        let before = self
            .line
            .waiting
            .range(..place)
            .map(|(_, waiter)| waiter.cost);
        let mut after = forecast(self.algorithm, self.state, self.now, before);
        turn(self.algorithm, &mut after, self.now, cost)
    }

    /// Gets in line.
    pub(super) fn join(&mut self, cost: u32) -> Place {
        let place = self.line.place();
        self.wait(place, cost);
        if let Some((at, after)) = &mut self.line.forecast {
            *at = admit(self.algorithm, after, (*at).max(self.now), cost);
        }
        place
    }

    /// Serves all who are due, and tells the one at `place` how it stands.
    pub(super) fn poll(&mut self, place: Place, cost: u32, waker: &Waker) -> Turn {
        self.serve();
        if !self.is_waiting(place) {
            if self.is_fresh(place) {
                return Turn::Granted;
            }
            // Granted, but not looked at for an interval: back in line, at the same place.
            let take = Take { cost, queued: true };
            let decision = self.decide(Ask::Peek(take));
            if decision.outcome == Outcome::Never {
                return Turn::Never(decision);
            }
            self.release(place);
            self.wait(place, cost);
            self.line.forecast = None;
            self.serve();
            if self.is_fresh(place) {
                return Turn::Granted;
            }
        }
        let first = self.line.waiting.first_key_value();
        let (first, due) =
            first.map_or((place, self.now), |(first, waiter)| (*first, waiter.alarm));
        let Some(waiter) = self.line.waiting.get_mut(&place) else {
            return Turn::Wait(self.now);
        };
        if place != first {
            // Only the first in line has to be on time. The others look after those before them
            // that nobody polls, each about when its own turn comes.
            let places = u32::try_from(place - first).unwrap_or(u32::MAX);
            waiter.alarm = due + self.algorithm.interval() * places;
        }
        match &mut waiter.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Turn::Wait(waiter.alarm)
    }

    /// Gives up a place: whatever it held goes to the next in line.
    pub(super) fn leave(&mut self, place: Place) {
        if self.line.waiting.remove(&place).is_some() {
            self.line.forecast = None;
        } else {
            self.release(place);
        }
        self.serve();
    }

    /// Whether the permit of this place is there and not older than one interval.
    pub(super) fn is_fresh(&self, place: Place) -> bool {
        let Ok(index) = self.find(place) else {
            return false;
        };
        self.line
            .unused
            .get(index)
            .is_some_and(|(_, grant)| self.keeps(grant))
    }

    /// Uses a permit now; `None` when it had grown too old, and went back.
    pub(super) fn commit(&mut self, place: Place) -> Option<Decision> {
        let (_, grant) = self.line.unused.remove(self.find(place).ok()?)?;
        if !self.keeps(&grant) {
            self.give_back(grant);
            self.serve();
            return None;
        }
        self.line.forecast = None;
        Some(self.decide(Ask::Renew(grant)))
    }

    /// Lets go all whose turn has come, in order, and sees that the next one wakes in time.
    fn serve(&mut self) {
        while let Some(first) = self.line.waiting.first_entry() {
            let take = Take {
                cost: first.get().cost,
                queued: true,
            };
            let decision = self.algorithm.decide(self.state, self.now, Ask::Take(take));
            match decision.outcome {
                Outcome::Granted(grant) => {
                    let (place, waiter) = first.remove_entry();
                    let index = self.find(place).unwrap_or_else(|index| index);
                    self.line.unused.insert(index, (place, grant));
                    self.line.forecast = None;
                    self.wakes.0.extend(waiter.waker);
                }
                // It finds out for itself when it is polled.
                Outcome::Never => self.wakes.0.extend(first.remove().waker),
                Outcome::Later(_) if self.reclaim() => {}
                Outcome::Later(wait) => {
                    let due = (self.now + wait).min(self.perishes());
                    let Some(mut first) = self.line.waiting.first_entry() else {
                        return;
                    };
                    let waiter = first.get_mut();
                    if waiter.alarm > due {
                        self.wakes.0.extend(waiter.waker.take());
                    }
                    waiter.alarm = due;
                    return;
                }
            }
        }
    }

    /// Gives back the permits that nobody used for an interval; whether there were any.
    fn reclaim(&mut self) -> bool {
        let mut any = false;
        while let Some((_, grant)) = self
            .line
            .unused
            .front()
            .copied()
            .filter(|(_, grant)| !self.keeps(grant))
        {
            self.line.unused.pop_front();
            self.give_back(grant);
            any = true;
        }
        any
    }

    fn release(&mut self, place: Place) {
        if let Ok(index) = self.find(place)
            && let Some((_, grant)) = self.line.unused.remove(index)
        {
            self.give_back(grant);
        }
    }

    fn give_back(&mut self, grant: Grant) {
        let _ = self.decide(Ask::GiveBack(grant));
        self.line.forecast = None;
    }

    fn wait(&mut self, place: Place, cost: u32) {
        let waiter = Waiter {
            cost,
            waker: None,
            alarm: Nanos::MAX,
        };
        self.line.waiting.insert(place, waiter);
    }

    fn is_waiting(&self, place: Place) -> bool {
        self.line.waiting.contains_key(&place)
    }

    fn find(&self, place: Place) -> Result<usize, usize> {
        self.line
            .unused
            .binary_search_by_key(&place, |(place, _)| *place)
    }

    /// Whether an unused permit is still good: for one interval, in which nobody else is let go
    /// in its stead.
    fn keeps(&self, grant: &Grant) -> bool {
        self.now < grant.at + self.algorithm.interval()
    }

    /// When the oldest unused permit goes back to those who wait.
    fn perishes(&self) -> Nanos {
        match self.line.unused.front() {
            Some((_, grant)) => grant.at + self.algorithm.interval(),
            None => Nanos::MAX,
        }
    }

    fn decide(&mut self, ask: Ask) -> Decision {
        self.algorithm.decide(self.state, self.now, ask)
    }
}

impl<A: Algorithm> fmt::Debug for Lane<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.line.as_ref().map_or(0, |line| line.waiting.len());
        f.debug_struct("Lane")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}
