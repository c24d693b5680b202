//! Lets a history happen, and has each of its asks looked at.

use super::{
    books::Books,
    history::{History, Pause, Turn},
    promises::Moment,
    subject::Subject,
};
use crate::{
    algorithm::Algorithm,
    algorithm::Permits,
    conformance::{
        Point,
        violation::{Checked, ensure},
    },
    decision::{Ask, Decision, Grant, Outcome, Take},
};
use std::time::Duration;

/// The most calls that come in one rush.
const RUSH: usize = 300;

/// A history that happens.
pub(super) struct Walk<'a, A: Algorithm> {
    pub(super) subject: Subject<'a, A>,
    pub(super) state: A::State,
    pub(super) now: u64,
    pub(super) books: Books,
    /// What was asked and answered.
    pub(super) events: Vec<String>,
    /// The wait of the last refusal.
    wait: u64,
    /// Whether permits were ever taken: before that nobody stands in line.
    used: bool,
    /// Whether a refusal has begun the time of the limit.
    begun: bool,
}

impl<'a, A: Algorithm> Walk<'a, A> {
    pub(super) fn new(algorithm: &'a A, start: u64) -> Self {
        Self {
            subject: Subject::new(algorithm),
            state: A::State::default(),
            now: start,
            books: Books::default(),
            events: Vec::new(),
            wait: 0,
            used: false,
            begun: false,
        }
    }

    /// Until the first point that is broken.
    pub(super) fn run(&mut self, history: &History) -> Checked {
        for step in &history.steps {
            self.pause(step.pause);
            match step.turn {
                Turn::Take(take) => self.take(take)?,
                Turn::Rush { queued } => self.rush(queued)?,
                Turn::Renew(index) => self.renew(index)?,
                Turn::GiveBack(index) => self.give_back(index)?,
                Turn::End(index) => self.end(index)?,
                Turn::Charge(cost) => self.charge(cost)?,
            }
        }
        self.books.keep_bound(self.subject.algorithm)
    }

    fn pause(&mut self, pause: Pause) {
        self.now = pause.after(self.subject.algorithm, self.now, self.wait);
        self.books.look_at_clock(self.now);
    }

    fn ask(&mut self, ask: Ask) -> Decision {
        self.events.push(format!("at {} ns: {ask:?}", self.now));
        let decision = self.subject.ask(&mut self.state, self.now, ask);
        let answer = format!(" -> {:?}", decision.outcome);
        if let Some(event) = self.events.last_mut() {
            event.push_str(&answer);
        }
        self.wait = match decision.outcome {
            Outcome::Later(wait) | Outcome::InUse(Some(wait)) => wait.get(),
            _ => self.wait,
        };
        decision
    }

    fn moment<'m>(&'m self, before: &'m A::State, take: Take, decision: Decision) -> Moment<'m, A> {
        let (subject, after, now) = (&self.subject, &self.state, self.now);
        let (used, books) = (self.used, &self.books);
        Moment { subject, now, take, decision, before, after, used, books }
    }

    fn take(&mut self, take: Take) -> Checked {
        let take = Take { queued: take.queued && self.used, ..take };
        let before = self.state.clone();
        let decision = self.ask(Ask::Take(take));
        let moment = self.moment(&before, take, decision);
        moment.is_repeatable()?;
        match decision.outcome {
            Outcome::Granted(grant) => moment.granted(grant)?,
            Outcome::Later(_) if !self.used && !self.begun => {
                moment.begins()?;
                self.begun = true;
            }
            _ => moment.changed_nothing()?,
        }
        let moment = self.moment(&before, take, decision);
        moment.refused_for_good_reason()?;
        self.took(decision, take.cost)?;
        self.moment(&before, take, decision).stands()
    }

    /// Writes down what was granted.
    fn took(&mut self, decision: Decision, cost: u32) -> Checked {
        let Some(grant) = decision.grant().filter(|_| cost > 0) else { return Ok(()) };
        self.used = true;
        self.books.take(grant, self.now);
        let held = self.books.held_since(self.now);
        // Only who does not bound the rate says that it bounds the permits in use.
        let rate = self.subject.algorithm.most_in(Duration::from_nanos(1));
        let holds = rate < u64::MAX || held <= decision.limit.into();
        ensure(holds, Point::Held, || format!("{held} of {}", decision.limit))
    }

    fn rush(&mut self, queued: bool) -> Checked {
        for _ in 0..RUSH {
            let take = Take { cost: 1, queued: queued && self.used };
            if !self.subject.passes(&self.state, self.now, take) {
                break;
            }
            let decision = self.ask(Ask::Take(take));
            self.took(decision, 1)?;
        }
        self.take(Take { cost: 1, queued })
    }

    fn renew(&mut self, index: usize) -> Checked {
        let shelf_life = self.subject.algorithm.shelf_life();
        let Some(call) = self.books.renewable(index, shelf_life, self.now, A::Permits::HELD) else {
            return Ok(());
        };
        let before = self.state.clone();
        let decision = self.ask(Ask::Renew(call));
        match decision.grant() {
            Some(grant) => {
                let is_same = grant.cost == call.cost;
                ensure(is_same, Point::Renew, || format!("{call:?} became {grant:?}"))?;
                self.books.renew(call, grant, self.now, shelf_life);
            }
            None => {
                let found = || format!("it was refused, {:?}", decision.outcome);
                ensure(A::Permits::HELD, Point::Renew, found)?;
                let take = Take::fresh(call.cost);
                let states = [&before, &self.state];
                self.subject.same(states, self.now, self.used, Point::Renew)?;
                self.books.lose(call);
                self.is_gone(call, Ask::GiveBack(call), Point::Renew)?;
                self.is_gone(call, Ask::End(call), Point::Renew)?;
                self.moment(&before, take, decision).refused_for_good_reason()?;
            }
        }
        self.stands()
    }

    fn give_back(&mut self, index: usize) -> Checked {
        let Some(call) = self.books.any(index) else { return Ok(()) };
        let decision = self.ask(Ask::GiveBack(call));
        self.books.give_back(call);
        ensure(decision.is_granted(), Point::GiveBack, || format!("{:?}", decision.outcome))?;
        self.stands()
    }

    fn end(&mut self, index: usize) -> Checked {
        let Some(call) = self.books.any(index) else { return Ok(()) };
        let before = self.state.clone();
        let decision = self.ask(Ask::End(call));
        ensure(decision.is_granted(), Point::End, || format!("{:?}", decision.outcome))?;
        match A::Permits::HELD {
            true => {
                self.books.end(call);
                self.others_stay(&before, call)?;
                self.is_gone(call, Ask::End(call), Point::End)?;
            }
            false => {
                let states = [&before, &self.state];
                self.subject.same(states, self.now, self.used, Point::End)?;
            }
        }
        self.stands()
    }

    /// Whoever else held permits before holds them still.
    fn others_stay(&self, before: &A::State, call: Grant) -> Checked {
        if self.books.was_charged(call) {
            // What was charged at the same instant as another call cannot be told from it.
            return Ok(());
        }
        for other in self.books.grants() {
            let [had, has] = [before, &self.state].map(|state| {
                let renewed = self.subject.look(state, self.now, Ask::Renew(other));
                renewed.is_granted()
            });
            ensure(has || !had, Point::End, || format!("{other:?} was lost by it"))?;
        }
        Ok(())
    }

    /// Asking about what is gone takes nothing from anybody else.
    fn is_gone(&self, call: Grant, ask: Ask, point: Point) -> Checked {
        if self.books.has(call) {
            // Another one that cannot be told apart.
            return Ok(());
        }
        let mut state = self.state.clone();
        let _ = self.subject.ask(&mut state, self.now, ask);
        self.subject.same([&self.state, &state], self.now, self.used, point)
    }

    fn charge(&mut self, cost: u32) -> Checked {
        let before = self.state.clone();
        let decision = self.ask(Ask::Charge(cost));
        let moment = self.moment(&before, Take::fresh(cost), decision);
        moment.charged(cost, A::Permits::HELD)?;
        if let Some(grant) = decision.grant().filter(|_| cost > 0) {
            self.used = true;
            self.books.charge(grant, self.now);
        }
        self.stands()
    }

    fn stands(&self) -> Checked {
        let nothing = Take::fresh(0);
        let peek = self.subject.look(&self.state, self.now, Ask::Peek(nothing));
        self.moment(&self.state, nothing, peek).stands()
    }
}
