//! What is remembered of a key, and how an order changes it.

use super::{Answer, StoreAsk};
use crate::{
    algorithm::{Algorithm, Measure},
    decision::{Ask, Decision, Grant, Outcome, Take},
    nanos::Nanos,
};

/// The state of a key, and of the reservations on it.
///
/// The algorithm is asked in the order of time and never about the past: where there are
/// reservations, the state is that of the instant of the last one, and whatever changes it before
/// that instant changes it as it will be then. So no call overtakes.
///
/// A reservation that goes back with others behind it leaves its slot free, of which the state
/// knows nothing: the next reservation that needs no more takes it. How the limit stood before the
/// last reservation is not known. When that one goes back, its permits are there at its instant,
/// and none are before that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record<S> {
    /// The state of the algorithm.
    pub state: S,
    /// The instant of the last reservation; in the past when there is none.
    pub ahead: Nanos,
    /// The reservations before the last one that went back, by their instants and then their costs.
    pub free: Vec<Grant>,
    /// That of the limit which left the record; the default in a new one.
    pub measure: Measure,
}

/// How many free slots are kept. Those beyond, which nobody may need before their time, are given
/// back at the end of the line.
const MOST_FREE: usize = 1024;

impl<S: Clone> Record<S> {
    /// Returns from when on the record equals a new one: it may be forgotten then, at any time.
    pub fn new_at<A: Algorithm<State = S>>(&self, algorithm: &A) -> Nanos {
        algorithm.new_at(&self.state).max(self.ahead)
    }

    /// Answers an ask, and changes the record as the answer says.
    pub(super) fn answer<A>(&mut self, algorithm: &A, now: Nanos, ask: StoreAsk) -> Answer
    where
        A: Algorithm<State = S>,
        S: Default,
    {
        self.adopt(algorithm, now);
        if self.ahead <= now {
            self.close_free(algorithm, Nanos::MAX);
        }
        let answer = match ask {
            StoreAsk::Reserve { cost: 0, .. } => self.nothing(algorithm, now),
            StoreAsk::Reserve { cost, max_wait } => self.reserve(algorithm, now, cost, max_wait),
            StoreAsk::Ask(Ask::Take(take) | Ask::Peek(take)) if take.cost == 0 => {
                self.nothing(algorithm, now)
            }
            StoreAsk::Ask(Ask::Take(take) | Ask::Peek(take)) if self.ahead > now => {
                self.behind(algorithm, now, take.cost)
            }
            StoreAsk::Ask(ask @ (Ask::Take(_) | Ask::Peek(_))) => {
                self.decide(algorithm, now, now, ask)
            }
            // The call takes place now, whoever is ahead.
            StoreAsk::Ask(ask @ Ask::Renew(_)) => self.decide(algorithm, now, now, ask),
            StoreAsk::Ask(ask) => self.decide(algorithm, now, self.ahead.max(now), ask),
            StoreAsk::Return(grant) => self.give_back(algorithm, now, grant),
            StoreAsk::Forget => {
                *self = Self::default();
                self.nothing(algorithm, now)
            }
        };
        // While others are ahead there is nothing to be had now.
        let remaining = if self.ahead > now { 0 } else { answer.decision.remaining };
        Answer { decision: Decision { remaining, ..answer.decision }, ..answer }
    }

    /// Goes by the limit as it is now, whatever it was when the record was left.
    fn adopt<A: Algorithm<State = S>>(&mut self, algorithm: &A, now: Nanos) {
        if self.is_of_another(algorithm) {
            // What was reserved stays where it is, and what comes behind it takes the new limit.
            algorithm.adopt(self.measure, &mut self.state, self.ahead.max(now));
        }
        self.measure = algorithm.measure();
    }

    /// Whether a limit of another measure left it.
    pub(super) fn is_of_another<A: Algorithm<State = S>>(&self, algorithm: &A) -> bool {
        self.measure != Measure::default() && self.measure != algorithm.measure()
    }

    /// How the limit stands, for a call that takes nothing.
    fn nothing<A: Algorithm<State = S>>(&mut self, algorithm: &A, now: Nanos) -> Answer {
        let peek = Ask::Peek(Take::fresh(0));
        let mut answer = self.decide(algorithm, now, self.ahead.max(now), peek);
        answer.decision.outcome = Outcome::Granted(Grant { cost: 0, at: now });
        answer
    }

    /// What a call is told that has to stand behind all others, with nobody else asking.
    fn behind<A: Algorithm<State = S>>(&mut self, algorithm: &A, now: Nanos, cost: u32) -> Answer {
        let ask = Ask::Peek(Take::queued(cost));
        let mut answer = match self.free.is_empty() {
            true => self.decide(algorithm, now, self.ahead, ask),
            // By then they are over.
            false => {
                let mut then = self.clone();
                then.close_free(algorithm, Nanos::MAX);
                then.decide(algorithm, now, self.ahead, ask)
            }
        };
        if answer.is_granted() {
            answer.decision.outcome = Outcome::Later(self.ahead - now);
        }
        answer
    }

    /// Takes permits as soon as they are to be had, if that is within the longest wait.
    fn reserve<A: Algorithm<State = S>>(
        &mut self,
        algorithm: &A,
        now: Nanos,
        cost: u32,
        max_wait: Nanos,
    ) -> Answer {
        let suits = |free: &Grant| free.at >= now && free.cost >= cost;
        if let Some(index) = self.free.iter().position(suits) {
            return self.take_free(algorithm, now, index, cost, max_wait);
        }
        let answer = match self.ahead > now {
            true => self.behind(algorithm, now, cost),
            // Asked and not foreseen: a time that begins with the first call begins.
            false => self.decide(algorithm, now, now, Ask::Take(Take::fresh(cost))),
        };
        match answer.decision.outcome {
            Outcome::Later(wait) if wait <= max_wait => {
                self.take_at(algorithm, now, now + wait, cost)
            }
            _ => answer,
        }
    }

    /// Takes a slot that went back.
    fn take_free<A: Algorithm<State = S>>(
        &mut self,
        algorithm: &A,
        now: Nanos,
        index: usize,
        cost: u32,
        max_wait: Nanos,
    ) -> Answer {
        let mut answer = self.nothing(algorithm, now);
        let at = self.free[index].at;
        if at - now > max_wait {
            answer.decision.outcome = Outcome::Later(at - now);
            return answer;
        }
        self.free.remove(index);
        answer.decision.outcome = Outcome::Granted(Grant { cost, at });
        Answer { wait: at - now, ..answer }
    }

    /// Takes permits that are to be had at this instant, behind all others.
    fn take_at<A: Algorithm<State = S>>(
        &mut self,
        algorithm: &A,
        now: Nanos,
        at: Nanos,
        cost: u32,
    ) -> Answer {
        let take = Take::queued(cost);
        if !self.free.is_empty() && !self.decide(algorithm, now, at, Ask::Peek(take)).is_granted() {
            // It needs what the free slots have, and comes before those who may come for them.
            self.close_free(algorithm, Nanos::MAX);
        }
        let answer = self.decide(algorithm, now, at, Ask::Take(take));
        if !answer.is_granted() {
            return answer;
        }
        self.ahead = at;
        self.close_free(algorithm, now);
        Answer { wait: at - now, ..answer }
    }

    fn give_back<A: Algorithm<State = S>>(
        &mut self,
        algorithm: &A,
        now: Nanos,
        grant: Grant,
    ) -> Answer {
        self.close_free(algorithm, now);
        let is_before_others = grant.at >= now && grant.at < self.ahead;
        if is_before_others && self.free.len() < MOST_FREE {
            let place =
                self.free.partition_point(|free| (free.at, free.cost) <= (grant.at, grant.cost));
            self.free.insert(place, grant);
        } else if grant.at <= self.ahead {
            return self.decide(algorithm, now, self.ahead.max(now), Ask::GiveBack(grant));
        }
        // Nobody reserved beyond the last one: it was forgotten meanwhile, and nothing goes back.
        let mut answer = self.nothing(algorithm, now);
        answer.decision.outcome = Outcome::Granted(grant);
        answer
    }

    /// Gives the free slots before this instant back to the algorithm, behind everybody.
    fn close_free<A: Algorithm<State = S>>(&mut self, algorithm: &A, before: Nanos) {
        let closed = self.free.partition_point(|free| free.at < before);
        for grant in self.free.drain(..closed) {
            let _ = algorithm.decide(&mut self.state, self.ahead, Ask::GiveBack(grant));
        }
    }

    /// Asks the algorithm at an instant.
    fn decide<A>(&mut self, algorithm: &A, now: Nanos, at: Nanos, ask: Ask) -> Answer
    where
        A: Algorithm<State = S>,
    {
        Answer::new(algorithm.decide(&mut self.state, at, ask), at, now)
    }
}
