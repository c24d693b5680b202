//! What an answer promises, looked at when it was given.

use super::{
    books::Books,
    history::{END, period},
    subject::Subject,
};
use crate::{
    algorithm::{Algorithm, Permits},
    conformance::{
        Point,
        violation::{Checked, ensure},
    },
    decision::{Ask, Decision, Grant, Outcome, Take},
    nanos::Nanos,
};

/// So many calls are let through one by one to see whether they pass.
const FEW: u32 = 40;

/// One ask of a history, with the state before and after it.
pub(super) struct Moment<'m, A: Algorithm> {
    pub(super) subject: &'m Subject<'m, A>,
    pub(super) now: u64,
    pub(super) take: Take,
    pub(super) decision: Decision,
    pub(super) before: &'m A::State,
    pub(super) after: &'m A::State,
    pub(super) used: bool,
    pub(super) books: &'m Books,
}

impl<A: Algorithm> Moment<'_, A> {
    fn same(&self, states: [&A::State; 2], point: Point) -> Checked {
        self.subject.same(states, self.now, self.used, point)
    }

    /// A clone would have answered the same, and a peek, which changes nothing.
    pub(super) fn is_repeatable(&self) -> Checked {
        let again = self.subject.look(self.before, self.now, Ask::Take(self.take));
        ensure(again == self.decision, Point::Clones, || {
            format!("{:?}, and again {again:?}", self.decision)
        })?;
        let mut state = self.before.clone();
        let peek = self.subject.ask(&mut state, self.now, Ask::Peek(self.take));
        ensure(peek == self.decision, Point::Peek, || {
            format!("{peek:?}, and the take {:?}", self.decision)
        })?;
        self.same([self.before, &state], Point::Peek)
    }

    pub(super) fn granted(&self, grant: Grant) -> Checked {
        let found = || format!("{} asked for, and {grant:?}", self.take.cost);
        ensure(grant.cost == self.take.cost, Point::Granted, found)?;
        if self.take.cost == 0 {
            return self.same([self.before, self.after], Point::CostZero);
        }
        if self.books.is_steady() {
            self.can_be_given_back(grant)?;
        }
        match A::Permits::HELD {
            true => {
                let renewed = self.subject.look(self.after, self.now, Ask::Renew(grant));
                ensure(renewed.is_granted(), Point::Renew, || {
                    format!("just granted, {:?}", renewed.outcome)
                })
            }
            false => self.end_changes_nothing(grant),
        }
    }

    /// The same can be had again, and what could be had besides, and no more.
    fn can_be_given_back(&self, grant: Grant) -> Checked {
        let mut state = self.after.clone();
        let back = self.subject.ask(&mut state, self.now, Ask::GiveBack(grant));
        ensure(back.is_granted(), Point::GiveBack, || format!("{:?}", back.outcome))?;
        let again = self.subject.ask(&mut state, self.now, Ask::Take(self.take));
        ensure(again.is_granted(), Point::GiveBack, || {
            format!("given back at once and taken again: {:?}", again.outcome)
        })?;
        for cost in [1, 2, 3, 6, u32::MAX] {
            let next = Ask::Peek(Take::fresh(cost));
            let [one, other] =
                [self.after, &state].map(|state| self.subject.look(state, self.now, next).outcome);
            ensure(one == other, Point::GiveBack, || {
                format!("given back at once and taken again, then {next:?}: {other:?}, not {one:?}")
            })?;
        }
        Ok(())
    }

    fn end_changes_nothing(&self, grant: Grant) -> Checked {
        for later in [0, self.subject.algorithm.interval().get().saturating_mul(3)] {
            let mut state = self.after.clone();
            let now = self.now.saturating_add(later);
            let ended = self.subject.ask(&mut state, now, Ask::End(grant));
            ensure(ended.is_granted(), Point::End, || format!("{:?}", ended.outcome))?;
            self.subject.same([self.after, &state], now, true, Point::End)?;
        }
        Ok(())
    }

    pub(super) fn changed_nothing(&self) -> Checked {
        self.same([self.before, self.after], Point::Refusal)
    }

    /// The first call may begin the time of the limit: no answer of this instant changes by it.
    pub(super) fn begins(&self) -> Checked {
        let again = self.subject.look(self.after, self.now, Ask::Peek(self.take));
        ensure(again == self.decision, Point::Refusal, || {
            format!("{:?}, and again {again:?}", self.decision)
        })
    }

    /// A refusal says what is true.
    pub(super) fn refused_for_good_reason(&self) -> Checked {
        let new = A::State::default();
        let refusal = self.decision.outcome;
        let found = |why: &str| format!("{refusal:?} for a cost of {}, {why}", self.take.cost);
        match refusal {
            Outcome::Granted(_) => return Ok(()),
            _ if self.take.cost == 0 => {
                return ensure(false, Point::CostZero, || format!("{refusal:?}"));
            }
            Outcome::Later(wait) => return self.is_exact(wait),
            Outcome::InUse(wait) => {
                // A lease that was lost goes on when the clock is set back to before its end.
                let some_have = !self.books.is_empty() || !self.books.is_steady();
                let may_be = A::Permits::HELD && some_have;
                ensure(may_be, Point::InUse, || found("and nobody has any"))?;
                return wait.map_or(Ok(()), |wait| self.is_exact(wait));
            }
            Outcome::Never => {
                let more = Take { cost: self.take.cost.saturating_add(1), ..self.take };
                for (state, take) in [(&new, self.take), (self.after, more)] {
                    let other = self.subject.look(state, self.now, Ask::Take(take)).outcome;
                    let why = || format!("and for {} {other:?}", take.cost);
                    ensure(other == Outcome::Never, Point::TooCostly, || found(&why()))?;
                }
            }
            Outcome::Exhausted => {
                let other = self.subject.look(&new, self.now, Ask::Take(self.take)).outcome;
                let was_there = !matches!(other, Outcome::Exhausted | Outcome::Never);
                ensure(was_there, Point::Exhausted, || found("and it was never there"))?;
            }
        }
        let point = match refusal {
            Outcome::Never => Point::TooCostly,
            _ => Point::Exhausted,
        };
        for later in [1, period(self.subject.algorithm, 0), 1_000_000_000_000] {
            let now = self.now.saturating_add(later);
            let then = self.subject.look(self.after, now, Ask::Take(self.take)).outcome;
            ensure(then == refusal, point, || found(&format!("{later} ns later {then:?}")))?;
        }
        Ok(())
    }

    fn is_exact(&self, wait: Nanos) -> Checked {
        let wait = wait.get();
        let Some(then) = self.now.checked_add(wait).filter(|then| *then < END * 2) else {
            return Ok(());
        };
        let passes = |now| self.subject.passes(self.after, now, self.take);
        let found = |at: u64, what| {
            format!("{what} at {at} ns, {wait} ns after a cost of {} was refused", self.take.cost)
        };
        ensure(wait > 0, Point::RetryAfter, || "the wait is 0 ns".to_owned())?;
        for early in [0, wait / 3, wait / 2, wait - 1] {
            let at = self.now + early;
            let found = || format!("granted {} ns too early", wait - early);
            ensure(!passes(at), Point::RetryAfter, found)?;
        }
        let interval = self.subject.algorithm.interval().get();
        for late in [0, 1, interval.saturating_sub(1), interval, interval.saturating_mul(7)] {
            let at = then.saturating_add(late).min(END * 2);
            if passes(at) {
                continue;
            }
            let new = self.subject.passes(&A::State::default(), at, self.take);
            let point = if new { Point::RetryAfter } else { Point::TooCostly };
            return ensure(false, point, || found(at, "not granted"));
        }
        Ok(())
    }

    pub(super) fn charged(&self, cost: u32, held: bool) -> Checked {
        let grant = self.decision.grant().map(|grant| grant.cost);
        ensure(grant == Some(cost), Point::Charge, || format!("{:?}", self.decision.outcome))?;
        if cost == 0 {
            return self.same([self.before, self.after], Point::Charge);
        }
        // What is charged to a limit of calls in flight need not be in flight.
        let taken = if held { 0 } else { cost };
        let [before, after] =
            [self.before, self.after].map(|state| self.subject.passing(state, self.now, FEW));
        let is_taken = before == FEW || after <= before.saturating_sub(taken);
        ensure(is_taken, Point::Charge, || {
            format!("{before} calls passed before {cost} were charged, and {after} after it")
        })
    }

    /// What holds after any ask.
    pub(super) fn stands(&self) -> Checked {
        self.remains()?;
        self.earlier_grants_nothing()?;
        self.is_new_in_time()?;
        let mut carried = self.after.clone();
        let algorithm = self.subject.algorithm;
        algorithm.carry_over(algorithm, &mut carried, Nanos::new(self.now));
        self.same([self.after, &carried], Point::CarryOver)?;
        let mut state = self.after.clone();
        let nothing = self.subject.ask(&mut state, self.now, Ask::Take(Take::fresh(0)));
        ensure(nothing.is_granted(), Point::CostZero, || format!("{:?}", nothing.outcome))?;
        self.same([self.after, &state], Point::CostZero)
    }

    fn remains(&self) -> Checked {
        let standing = self.subject.look(self.after, self.now, Ask::Peek(Take::fresh(0)));
        let remaining = standing.remaining.min(FEW);
        let passing = self.subject.passing(self.after, self.now, remaining);
        let together = Take::fresh(standing.remaining);
        // Calls that hold their permits may have to come one after another.
        let holds = passing == remaining || self.subject.passes(self.after, self.now, together);
        ensure(holds, Point::Remaining, || {
            format!("{} remain, and {passing} calls pass", standing.remaining)
        })
    }

    fn earlier_grants_nothing(&self) -> Checked {
        let interval = self.subject.algorithm.interval().get();
        for back in [1, interval / 2, interval, interval.saturating_mul(3), u64::MAX] {
            let earlier = self.now.saturating_sub(back);
            for cost in [1, self.take.cost] {
                let take = Take { cost, queued: self.used && self.take.queued };
                let [then, now] =
                    [earlier, self.now].map(|now| self.subject.passes(self.after, now, take));
                ensure(!then || now, Point::Earlier, || {
                    format!("{take:?} is granted at {earlier} ns and not at {} ns", self.now)
                })?;
            }
        }
        Ok(())
    }

    fn is_new_in_time(&self) -> Checked {
        let new_at = self.subject.algorithm.new_at(self.after).get();
        // A clock that was set back leaves traces of the time that is to come again.
        let at = new_at.max(self.now).max(self.books.highest());
        if at >= END * 2 {
            return Ok(());
        }
        let (mut old, mut new) = (self.after.clone(), A::State::default());
        self.subject.same([&new, &old], at, false, Point::NewAt)?;
        // Permits of the time before can still go back.
        for grant in self.books.grants() {
            for state in [&mut old, &mut new] {
                let _ = self.subject.ask(state, at, Ask::GiveBack(grant));
            }
        }
        self.subject.same([&new, &old], at, false, Point::NewAt)
    }
}
