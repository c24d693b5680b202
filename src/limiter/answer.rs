//! How a call is answered that has just come.

use super::{
    Attempt, Patience, Terms,
    desk::{Desk, Taken, Wakes},
    lane::Lane,
    line::Place,
    rules::Dated,
    shared::Shared,
    short_way::Missed,
    used::{Ticket, Used},
    waiting::Waiting,
};
use crate::{
    algorithm::{Algorithm, Bucket},
    decision::{Decision, Outcome},
    error::{RateLimited, Reason},
    nanos::Nanos,
    rate::Rate,
    store::table::Fingerprint,
};
use std::{sync::Arc, task::Waker};

/// The answer to a call that has just come.
enum Answer<T> {
    Granted(T),
    /// By which rate, if any was asked: it may be another one by the time the lock is let go.
    Refused(Reason, Option<(Decision, Option<Rate>)>),
    /// At this place, and until then.
    Waits(Place, Nanos),
}

impl<T> Answer<T> {
    /// The same with something else for who was let go.
    fn map<U>(self, map: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Answer::Granted(granted) => Answer::Granted(map(granted)),
            Answer::Refused(reason, by) => Answer::Refused(reason, by),
            Answer::Waits(place, until) => Answer::Waits(place, until),
        }
    }
}

impl<A: Algorithm> Shared<A> {
    /// Answers a service that asks to be ready, and uses its permit when it is called: the clock is
    /// read then and not now, where that is safe.
    ///
    /// Reading the clock is half of what an admitted call costs. While there is a permit for each
    /// handle of the limiter, of which a service is one, and plenty besides, the service is only
    /// promised one. It takes it when it is called, and asks anew in the rare case that others have taken
    /// them all by then. So there is nothing that an idle service could keep from the others, either.
    #[inline(always)]
    pub(super) fn ready(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: Terms,
    ) -> Attempt<Ticket, Waiting<A>> {
        if terms.cost == 1 && self.lanes.has_plenty(&self.short_way, Arc::strong_count(self)) {
            return Attempt::Now(Ok(Ticket { key, place: Place::PROMISED }));
        }
        self.reserve_unpromised(key, terms.cost, terms.patience)
    }

    /// Answers a service that is promised nothing. Out of the way of those that are, and with the terms
    /// in parts: as a whole they would be copied for those, too.
    #[cold]
    #[inline(never)]
    fn reserve_unpromised(
        self: &Arc<Self>,
        key: Fingerprint,
        cost: u32,
        patience: Patience,
    ) -> Attempt<Ticket, Waiting<A>> {
        self.reserve(key, Terms { cost, patience }, None)
    }

    /// Answers a call that has just come, and uses its permits later.
    #[inline]
    pub(super) fn reserve(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: Terms,
        waker: Option<&Waker>,
    ) -> Attempt<Ticket, Waiting<A>> {
        let now = self.now();
        match self.lanes.take_quickly(key, now, terms.cost) {
            Some(place) => Attempt::Now(Ok(Ticket { key, place })),
            None => self.reserve_in_line(key, now, terms, waker),
        }
    }

    #[cold]
    #[inline(never)]
    fn reserve_in_line(
        self: &Arc<Self>,
        mut key: Fingerprint,
        now: Nanos,
        terms: Terms,
        waker: Option<&Waker>,
    ) -> Attempt<Ticket, Waiting<A>> {
        if terms.cost == 0 {
            return Attempt::Now(self.pass(key, terms)).map(|_| Ticket { key, place: Place::FREE });
        }
        let answered = self.lanes.for_call(&mut key, now, |rules, lane| {
            let mut desk = self.desk(rules, lane, now);
            let answer = self.answer(&mut desk, terms, waker).map(|decision| desk.keep(decision));
            (answer, desk.wakes)
        });
        self.conclude(answered, key, now, terms).map(|place| Ticket { key, place })
    }

    /// Answers a call that has just come, uses its permits at once, and makes of them what is kept.
    #[inline(always)]
    pub(super) fn take<T>(
        self: &Arc<Self>,
        key: Fingerprint,
        terms: &Terms,
        waker: Option<&Waker>,
        keep: impl FnOnce(Used) -> T,
    ) -> Attempt<T, Waiting<A>> {
        let now = self.now();
        match self.lanes.pour_once(&self.short_way, key, now, terms.cost) {
            Ok(poured) => Attempt::Now(Ok(keep(self.admit_poured(key, poured)))),
            Err(missed) => self.take_the_long_way(key, now, missed, terms, waker).map(keep),
        }
    }

    /// Answers a call that was not let go on the short way at once. Out of the way, as whoever would try
    /// again in the same function has to keep for that what it found.
    #[cold]
    #[inline(never)]
    pub(super) fn take_the_long_way(
        self: &Arc<Self>,
        key: Fingerprint,
        now: Nanos,
        missed: Missed,
        terms: &Terms,
        waker: Option<&Waker>,
    ) -> Attempt<Used, Waiting<A>> {
        let poured = match missed {
            Missed::Beaten => self.lanes.pour(&self.short_way, key, now, terms.cost),
            Missed::Early(_) | Missed::NoWay => Err(missed),
        };
        match poured {
            Ok(poured) => Attempt::Now(Ok(self.admit_poured(key, poured))),
            Err(Missed::Early(wait)) if terms.refuses(Outcome::Later(wait)) => {
                Attempt::Now(Err(self.refuse(key, wait, *terms)))
            }
            // Most likely it will wait: one look under the lock is enough to get in line.
            Err(_) if Bucket::is::<A>() && terms.patience != Patience::Now && terms.cost > 0 => {
                self.take_in_line(key, now, *terms, waker)
            }
            Err(_) => self.take_under_lock(key, now, terms, waker),
        }
    }

    /// The same for limits, and at times, where there is no way past the lock.
    #[inline(never)]
    pub(super) fn take_under_lock(
        self: &Arc<Self>,
        key: Fingerprint,
        now: Nanos,
        terms: &Terms,
        waker: Option<&Waker>,
    ) -> Attempt<Used, Waiting<A>> {
        match self.lanes.use_quickly(key, now, terms.cost) {
            Some((decision, _)) if decision.what.is_granted() => {
                Attempt::Now(Ok(self.admit(key, decision, Nanos::ZERO)))
            }
            Some((decision, rate)) if terms.refuses(decision.what.outcome) => {
                let decision = self.if_it_waits(decision.what, *terms);
                Attempt::Now(Err(self.refusal(Reason::UsedUp, decision.outcome, rate, *terms)))
            }
            _ => self.take_in_line(key, now, *terms, waker),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_in_line(
        self: &Arc<Self>,
        mut key: Fingerprint,
        now: Nanos,
        terms: Terms,
        waker: Option<&Waker>,
    ) -> Attempt<Used, Waiting<A>> {
        if terms.cost == 0 {
            let passed = Attempt::Now(self.pass(key, terms));
            // It holds nothing that a reset could forget.
            let undated = |decision| Dated { what: decision, resets: 0 };
            return passed.map(|decision| self.admit(key, undated(decision), Nanos::ZERO));
        }
        let answered = self.lanes.for_call(&mut key, now, |rules, lane| {
            // Where there is no line, none is made for a call that will not wait.
            match lane.use_quickly(rules, now, terms.cost) {
                Some(decision) if decision.is_granted() => {
                    return (Answer::Granted(rules.date(decision)), Wakes::default());
                }
                Some(decision) if terms.refuses(decision.outcome) => {
                    let decision = self.if_it_waits(decision, terms);
                    let by = Some((decision, rules.algorithm.rate(decision.rate)));
                    return (Answer::Refused(Reason::UsedUp, by), Wakes::default());
                }
                _ => {}
            }
            let mut desk = self.desk(rules, lane, now);
            let answer = self.answer(&mut desk, terms, waker).map(|decision| desk.date(decision));
            (answer, desk.wakes)
        });
        let attempt = self.conclude(answered, key, now, terms);
        attempt.map(|decision| self.admit(key, decision, Nanos::ZERO))
    }

    /// Answers a call of no cost, for which nothing has to be remembered.
    fn pass(&self, key: Fingerprint, terms: Terms) -> Result<Decision, RateLimited> {
        let known = self.at(key, |desk| desk.take(terms.cost));
        let taken = known.unwrap_or_else(|| {
            let rules = self.lanes.rules();
            self.desk(&rules, &mut Lane::default(), self.now()).take(terms.cost)
        });
        match taken {
            Taken::Granted(decision) | Taken::Refused(decision) => Ok(decision),
            Taken::Behind | Taken::Closed => {
                Err(self.refusal_in_line(key, Reason::Closed, None, terms))
            }
        }
    }

    fn answer(
        &self,
        desk: &mut Desk<'_, A>,
        terms: Terms,
        waker: Option<&Waker>,
    ) -> Answer<Decision> {
        let join = |desk: &mut Desk<'_, A>| {
            let (place, until) = desk.join(terms, waker);
            Answer::Waits(place, until)
        };
        let decision = match desk.take(terms.cost) {
            Taken::Granted(decision) => return Answer::Granted(decision),
            Taken::Closed => return Answer::Refused(Reason::Closed, None),
            Taken::Refused(decision) => self.if_it_waits(decision, terms),
            // Nobody who waits as long as it takes, and may, has to know how long that is.
            Taken::Behind
                if terms.patience.is_endless() && desk.waiting() < self.settings.max_waiting =>
            {
                return join(desk);
            }
            Taken::Behind => desk.turn(terms.cost),
        };
        let reason = match decision.outcome {
            Outcome::Never => Reason::TooCostly,
            Outcome::Exhausted => Reason::Exhausted,
            _ if terms.refuses(decision.outcome) => Reason::UsedUp,
            _ if desk.waiting() >= self.settings.max_waiting => Reason::QueueFull,
            _ => return join(desk),
        };
        Answer::Refused(reason, Some((decision, desk.algorithm.rate(decision.rate))))
    }

    /// Lets everybody know, once the lock is let go.
    fn conclude<T>(
        self: &Arc<Self>,
        answered: Result<(Answer<T>, Wakes), Reason>,
        key: Fingerprint,
        now: Nanos,
        terms: Terms,
    ) -> Attempt<T, Waiting<A>> {
        let answer = match answered {
            Ok((answer, wakes)) => {
                wakes.wake();
                answer
            }
            Err(reason) => Answer::Refused(reason, None),
        };
        match answer {
            Answer::Granted(granted) => Attempt::Now(Ok(granted)),
            Answer::Waits(place, until) => {
                let shared = Arc::clone(self);
                Attempt::Later(Waiting::new(shared, key, place, terms, now, until))
            }
            Answer::Refused(reason, Some((decision, rate))) => {
                Attempt::Now(Err(self.refusal(reason, decision.outcome, rate, terms)))
            }
            Answer::Refused(reason, None) => {
                Attempt::Now(Err(self.refusal_in_line(key, reason, None, terms)))
            }
        }
    }
}
