//! Letting go those whose turn has come, whoever looks.

use super::{
    board::Board,
    call::{Call, Standing, Unused},
    limit::{LaneId, Part},
    take::Tried,
};
use crate::{
    decision::{Ask, Grant, Outcome},
    error::Reason,
    limiter::line::Place,
    nanos::Nanos,
};
use std::mem;

impl Board {
    /// Lets go all whose turn has come, and sees that the next ones wake in time.
    ///
    /// A call is served when it is the first in all its lanes and all their limits grant. Two such
    /// calls have no lane in common, so it does not matter which of them is looked at first.
    pub(super) fn serve(&mut self, now: Nanos) {
        while let Some(&(perishes, place)) = self.perishing.first()
            && perishes <= now
        {
            self.perishing.pop_first();
            self.perish(place, now);
        }
        while let Some(&(due, place)) = self.dues.first()
            && due <= now
        {
            self.dues.pop_first();
            self.look.push(place);
        }
        while let Some(place) = self.look.pop() {
            self.look_at(place, now);
        }
    }

    /// Serves one who waits, if its turn has come.
    fn look_at(&mut self, place: Place, now: Nanos) {
        let Some(Call { parts, standing: Standing::Waiting(due), .. }) = self.calls.get_mut(place)
        else {
            return;
        };
        if let Some(due) = due.take() {
            self.dues.remove(&(due, place));
        }
        let is_first = |part: &Part| self.lines.first(part.lane) == Some(place);
        if !parts.iter().all(is_first) {
            return;
        }
        let parts = mem::take(parts);
        let taken = self.take(&parts, now, true);
        let verdict = match taken {
            Tried::Granted(taken) => {
                self.make_way(&parts, place);
                self.put_back(place, parts);
                return self.grant(place, taken);
            }
            Tried::Refused(verdict) => verdict,
        };
        if verdict.is_for_good() {
            self.make_way(&parts, place);
            self.release(&parts, now);
            self.put_back(place, parts);
            if let Some(call) = self.calls.get_mut(place) {
                call.standing = Standing::Refused(verdict);
                self.wakes.due.extend(call.waker.take());
            }
            return;
        }
        let due = match verdict.outcome() {
            Outcome::Later(wait) | Outcome::InUse(Some(wait)) => now + wait,
            // Whoever ends a call serves those in line.
            _ => Nanos::MAX,
        };
        let perishes = parts.iter().filter_map(|part| self.lines.perishes(part.lane)).min();
        let due = perishes.map_or(due, |perishes| perishes.min(due));
        let seconds = parts.iter().filter_map(|part| {
            let (second, cost) = self.lines.second(part.lane)?;
            Some((second, due + self.facts[part.lane.limit].interval() * cost))
        });
        let seconds: Vec<_> = seconds.collect();
        self.put_back(place, parts);
        if let Some(call) = self.calls.get_mut(place) {
            call.standing = Standing::Waiting(Some(due));
            self.dues.insert((due, place));
        }
        self.wake_at(place, due);
        for (second, alarm) in seconds {
            self.wake_at(second, alarm);
        }
    }

    fn put_back(&mut self, place: Place, parts: Vec<Part>) {
        if let Some(call) = self.calls.get_mut(place) {
            call.parts = parts;
        }
    }

    /// Sees that a call looks again at this instant, or earlier.
    fn wake_at(&mut self, place: Place, alarm: Nanos) {
        if let Some(call) = self.calls.get_mut(place)
            && call.alarm > alarm
        {
            // Its own timer would be too late: it stood further behind when it set it.
            call.alarm = alarm;
            self.wakes.due.extend(call.waker.take());
        }
    }

    /// Gets out of all lines, for those behind.
    fn make_way(&mut self, parts: &[Part], place: Place) {
        for part in parts {
            self.lines.leave(part.lane, place);
            self.look_behind(part.lane);
        }
    }

    /// The first in a line is to be looked at, as the lane is not what it was.
    pub(super) fn look_behind(&mut self, lane: LaneId) {
        self.changed(lane);
        self.look.extend(self.lines.first(lane));
    }

    /// Gives back permits that were not used in time.
    pub(super) fn perish(&mut self, place: Place, now: Nanos) {
        let Some(call) = self.calls.get_mut(place) else {
            return;
        };
        let standing = mem::replace(&mut call.standing, Standing::Perished);
        let parts = call.parts.clone();
        match standing {
            Standing::Granted(unused) => self.give_back(place, &parts, &unused, now),
            other => {
                if let Some(call) = self.calls.get_mut(place) {
                    call.standing = other;
                }
            }
        }
    }

    fn give_back(&mut self, place: Place, parts: &[Part], unused: &Unused, now: Nanos) {
        self.ungrant(place, parts, unused.perishes);
        self.settle(parts, &unused.grants, now, Ask::GiveBack);
        self.release(parts, now);
    }

    /// Tells each limit about its permits, and looks at those in line.
    fn settle(&mut self, parts: &[Part], grants: &[Grant], now: Nanos, ask: fn(Grant) -> Ask) {
        for (part, grant) in parts.iter().zip(grants) {
            let _ = self.decide(part.lane, now, ask(*grant));
            self.look_behind(part.lane);
        }
    }

    /// Tells each limit about permits that were used, and serves whom that lets go.
    pub(super) fn settle_used(
        &mut self,
        parts: &[Part],
        grants: &[Grant],
        now: Nanos,
        ask: fn(Grant) -> Ask,
    ) {
        // Whoever is overdue is let go by how the limits stood until now.
        self.serve(now);
        self.settle(parts, grants, now, ask);
        for part in parts {
            self.limits[part.lane.limit].tidy(part.lane.key, now);
        }
        self.serve(now);
    }

    /// Gives up a place: whatever it held goes to those behind.
    pub(super) fn leave(&mut self, place: Place, now: Nanos) {
        let Some(Call { parts, standing, waker, .. }) = self.calls.remove(place) else {
            return;
        };
        self.wakes.done.extend(waker);
        match standing {
            Standing::Waiting(due) => {
                if let Some(due) = due {
                    self.dues.remove(&(due, place));
                }
                self.make_way(&parts, place);
                self.release(&parts, now);
            }
            Standing::Granted(unused) => self.give_back(place, &parts, &unused, now),
            Standing::Perished | Standing::Refused(_) | Standing::SentAway(_) => {}
        }
        self.serve(now);
    }

    /// Sends away all who wait.
    pub(super) fn send_away(&mut self, reason: Reason, now: Nanos) {
        for place in self.calls.places() {
            let Some(call) = self.calls.get_mut(place) else {
                continue;
            };
            let Standing::Waiting(due) = &call.standing else {
                continue;
            };
            if let Some(due) = *due {
                self.dues.remove(&(due, place));
            }
            call.standing = Standing::SentAway(reason);
            self.wakes.due.extend(call.waker.take());
            let parts = call.parts.clone();
            for part in &parts {
                self.lines.leave(part.lane, place);
                self.changed(part.lane);
            }
            self.release(&parts, now);
        }
    }

    /// Begins anew: whoever waits is sent away, and permits not used yet are worth nothing.
    pub(super) fn reset(&mut self, now: Nanos) {
        self.send_away(Reason::Cancelled, now);
        for place in self.calls.places() {
            let Some(call) = self.calls.get_mut(place) else {
                continue;
            };
            if let Standing::Granted(unused) = &call.standing {
                let perishes = unused.perishes;
                call.standing = Standing::Perished;
                let parts = call.parts.clone();
                self.ungrant(place, &parts, perishes);
                self.release(&parts, now);
            }
        }
        self.forecast.forget(&mut self.limits);
        self.limits.iter_mut().for_each(|limit| limit.reset());
    }
}
