//! What is remembered of a key, and how an order changes it.

use super::{Answer, Reserved, StoreAsk, Turn};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision, Outcome, Take},
    nanos::Nanos,
};

/// The state of a key, and of the reservations on it.
///
/// Where there are reservations, the state is that of the instant of the last one, and whatever is
/// asked before that instant is decided as it will be then. So the algorithm is asked in the order of time, nobody overtakes, and what goes
/// back goes back as if those who come later had been let go already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<S> {
    /// The state of the algorithm.
    pub state: S,
    /// The instant of the last reservation; in the past when there is none.
    pub ahead: Nanos,
    /// The number of the last reservation.
    pub turn: u32,
}

impl<S: Clone> Record<S> {
    /// From when on the record equals a new one: it may be forgotten then, at any time.
    pub fn new_at<A: Algorithm<State = S>>(&self, algorithm: &A) -> Nanos {
        algorithm.new_at(&self.state).max(self.ahead)
    }

    /// Answers an ask, and changes the record as the answer says.
    pub(super) fn answer<A>(&mut self, algorithm: &A, now: Nanos, ask: StoreAsk) -> Answer
    where
        A: Algorithm<State = S>,
        S: Default,
    {
        let at = self.ahead.max(now);
        match ask {
            StoreAsk::Ask(Ask::Take(Take { cost: 0, .. })) | StoreAsk::Reserve { cost: 0, .. } => {
                self.decide(algorithm, now, now, Ask::Take(Take::fresh(0)))
            }
            StoreAsk::Ask(Ask::Take(take)) if at > now => {
                self.turn(algorithm, now, Take::queued(take.cost))
            }
            StoreAsk::Ask(ask @ Ask::Take(_)) => self.decide(algorithm, now, now, ask),
            StoreAsk::Ask(Ask::Peek(take)) if at > now && take.cost > 0 => {
                self.turn(algorithm, now, Take::queued(take.cost))
            }
            StoreAsk::Ask(ask) => self.decide(algorithm, now, at, ask),
            StoreAsk::Reserve { cost, max_wait } => self.reserve(algorithm, now, cost, max_wait),
            StoreAsk::Return(reserved) => self.give_back(algorithm, now, reserved),
            StoreAsk::Forget => {
                *self = Self::default();
                self.decide(algorithm, now, now, Ask::Peek(Take::fresh(0)))
            }
        }
    }

    /// What a call would be told that gets in line now, as a refusal.
    fn turn<A: Algorithm<State = S>>(&mut self, algorithm: &A, now: Nanos, take: Take) -> Answer {
        let answer = self.decide(algorithm, now, self.ahead.max(now), Ask::Peek(take));
        let outcome = match answer.decision.outcome {
            Outcome::Granted(_) => Outcome::Later(answer.wait),
            refused => refused,
        };
        Answer::new(Decision { outcome, remaining: 0, ..answer.decision }, now, now)
    }

    /// Takes permits as soon as they are to be had, if that is within the longest wait.
    fn reserve<A: Algorithm<State = S>>(
        &mut self,
        algorithm: &A,
        now: Nanos,
        cost: u32,
        max_wait: Nanos,
    ) -> Answer {
        let ahead = self.ahead.max(now);
        let take = match ahead > now {
            true => Take::queued(cost),
            false => Take::fresh(cost),
        };
        let foreseen = self.decide(algorithm, now, ahead, Ask::Peek(take));
        let at = match foreseen.decision.outcome {
            Outcome::Granted(_) => ahead,
            Outcome::Later(wait) => now + wait,
            _ => return foreseen,
        };
        if at - now > max_wait {
            return self.turn(algorithm, now, take);
        }
        let take = if at > now { Take::queued(cost) } else { take };
        let mut answer = self.decide(algorithm, now, at, Ask::Take(take));
        if answer.decision.is_granted() && at > now {
            let turn = Turn { number: self.turn.wrapping_add(1), after: self.ahead };
            (self.turn, self.ahead) = (turn.number, at);
            answer.turn = Some(turn);
        }
        answer
    }

    fn give_back<A: Algorithm<State = S>>(
        &mut self,
        algorithm: &A,
        now: Nanos,
        Reserved { grant, turn }: Reserved,
    ) -> Answer {
        let at = self.ahead.max(now);
        let answer = self.decide(algorithm, now, at, Ask::GiveBack(grant));
        // Behind the last one stands nobody.
        if (self.turn, self.ahead) == (turn.number, grant.at) {
            (self.turn, self.ahead) = (turn.number.wrapping_sub(1), turn.after);
        }
        answer
    }

    /// Asks the algorithm at an instant that is not before `now`.
    fn decide<A>(&mut self, algorithm: &A, now: Nanos, at: Nanos, ask: Ask) -> Answer
    where
        A: Algorithm<State = S>,
    {
        Answer::new(algorithm.decide(&mut self.state, at, ask), at, now)
    }
}
