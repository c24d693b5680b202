//! Letting go those in line: when their turn has come, or because somebody says so.

use super::{
    desk::Desk,
    forecast::Forecast,
    line::{Place, Waiter},
};
use crate::{
    algorithm::{Algorithm, WAKE_UP},
    decision::{Ask, Decision, Grant, Outcome, Take},
    error::Reason,
    nanos::Nanos,
};
use std::task::Waker;

/// Where many are let go within a tick, how many ticks after its turn one of them looks whether those
/// before it do.
const TICKS: u32 = 10;

/// How many ticks after its turn the others do, at most.
const FAR: u32 = 100;

impl<A: Algorithm> Desk<'_, A> {
    /// Says when the one at `place` should look again, and remembers how to wake it.
    pub(super) fn set_alarm(&mut self, place: Place, waker: &Waker, was_overdue: bool) -> Nanos {
        // The first in line has to be on time, and `serve` knows when that is.
        let due = self.line.first().map_or(self.now, |(_, first)| first.alarm);
        let stands_in = was_overdue && self.line.stands_in(place, self.now);
        let Some((waiter, permits)) = self.line.with_permits(place) else { return due };
        if !waiter.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.wakes.done.extend(waiter.waker.replace(waker.clone()));
        }
        waiter.alarm = match stands_in {
            true => due,
            false => alarm_of(waiter, due, permits, self.algorithm.interval(), self.now),
        };
        waiter.alarm
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
        let nobody = std::iter::empty();
        let mut forecast = Forecast::new(self.algorithm, self.state, self.now, self.slack, nobody);
        let mut is_in_vain = |cost, latest| {
            let turn = forecast.turn(self.algorithm, self.now, cost);
            let in_vain = matches!(turn.outcome, Outcome::Later(wait) if self.now + wait > latest);
            if !in_vain {
                forecast.serve(self.algorithm, self.now, cost);
            }
            in_vain
        };
        let waiting = self.line.all_waiting();
        let in_vain = waiting.filter(|(_, waiter)| is_in_vain(waiter.cost, waiter.latest));
        in_vain.map(|(place, _)| place).collect()
    }

    /// Lets all who wait pass, in order, and takes nothing for it.
    pub(super) fn let_pass(&mut self) {
        while let Some((place, waiter)) = self.line.let_first_go() {
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
        while let Some((_, first)) = self.line.first() {
            let take = Ask::Take(Take::queued(first.cost));
            let decision = self.algorithm.decide(self.state, at, take);
            match decision.outcome {
                Outcome::Granted(grant) => {
                    let grant = self.let_go(grant);
                    // Later than now where the clock was set back.
                    let since = self.now.max(grant.at);
                    if let Some((place, waiter)) = self.line.let_first_go() {
                        match self.algorithm.late_life() > self.algorithm.shelf_life() {
                            true => self.line.unused.call(place, grant, since),
                            false => self.line.unused.keep(place, grant, since),
                        }
                        *self.forecast = None;
                        self.wakes.due.extend(waiter.waker);
                    }
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

    /// What one in line has that was granted these permits as of earlier. Where limits count from the
    /// call, they do not count from before it can take place.
    fn let_go(&mut self, grant: Grant) -> Grant {
        if self.slack == Nanos::ZERO {
            return grant;
        }
        self.decide(Ask::Renew(grant)).grant().unwrap_or(grant)
    }

    /// Sees that the first in line looks again at `due`, or earlier if unused permits perish, and
    /// that the second looks after it not much later.
    fn wake_first_at(&mut self, due: Nanos) {
        let known = self.line.unused.oldest_known().map(|(_, since)| self.perishes(since));
        let called = self.line.unused.oldest_called().map(|(_, since)| self.given_up_at(since));
        let due = known.into_iter().chain(called).fold(due, Nanos::min);
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

    /// From when on unused permits go to whoever needs them.
    #[inline]
    pub(super) fn perishes(&self, since: Nanos) -> Nanos {
        since + self.algorithm.shelf_life()
    }

    /// The same for those of whoever was let go and has not come to run.
    #[inline]
    pub(super) fn given_up_at(&self, since: Nanos) -> Nanos {
        since + self.algorithm.late_life()
    }

    /// Gives back the permits that nobody used in time.
    #[inline]
    fn reclaim(&mut self) {
        while let Some((place, since)) = self.line.unused.oldest_known()
            && self.now >= self.perishes(since)
        {
            self.give_back(place);
        }
        while let Some((place, since)) = self.line.unused.oldest_called()
            && self.now >= self.given_up_at(since)
        {
            self.give_back(place);
        }
    }
}

/// When one in line looks after those before it that nobody polls: about when its own turn comes,
/// where the first is due then, and those up to it take so many permits after that.
fn alarm_of(waiter: &Waiter, due: Nanos, permits: u32, interval: Nanos, now: Nanos) -> Nanos {
    let turn = due + interval * permits;
    let own = interval * waiter.cost;
    let is_among_first = permits <= waiter.cost;
    // One of those whose turns come within the same tick is enough, and not too soon: who is
    // woken by its own timer runs before those that were let go before it and woken after that.
    let is_with_others = interval < WAKE_UP;
    let is_with_another = is_with_others && turn / WAKE_UP == (turn - own) / WAKE_UP;
    // Turns that were put off are likely to be put off again.
    let was_early = waiter.alarm <= now;
    // But not so far that one whom nobody polls holds up the others for long.
    let far = |times| ((turn - now) * times).min(WAKE_UP * FAR);
    match is_with_another || was_early {
        _ if is_among_first => turn,
        // Far behind its turn: whoever serves it, or finds it in front, wakes it before.
        true if is_with_others => turn + far(3) + WAKE_UP * TICKS,
        true => turn + far(1),
        false if is_with_others => turn + WAKE_UP * TICKS,
        false => turn,
    }
}
