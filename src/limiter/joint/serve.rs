//! Letting go those whose turn has come, whoever looks.

use super::{
    board::Board,
    call::{Call, Standing, Unused},
    limit::{LaneId, Part},
    take::Tried,
};
use crate::{
    decision::{Ask, Grant, Outcome},
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
        let Some(Call { parts, standing: Standing::Waiting(waits), .. }) =
            self.calls.get_mut(place)
        else {
            return;
        };
        if let Some(due) = waits.due.take() {
            self.dues.remove(&(due, place));
        }
        let is_first = |part: &Part| self.lines.first(part.lane) == Some(place);
        if !parts.iter().all(is_first) {
            return;
        }
        // Those of the call stay with it, should somebody's algorithm panic.
        let parts = parts.clone();
        // Those in line are let go as if it were that much earlier, and so that much later.
        let at = now - self.slack;
        let taken = self.take(&parts, at, true);
        let verdict = match taken {
            Tried::Granted(mut taken) => {
                self.let_go(&parts, &mut taken.grants, now);
                self.make_way(&parts, place);
                return self.grant(place, taken, now);
            }
            Tried::Refused(verdict) => verdict,
        };
        if verdict.is_for_good() {
            self.make_way(&parts, place);
            self.release(&parts, now);
            if let Some(call) = self.calls.get_mut(place) {
                call.standing = Standing::Refused(verdict);
                self.wakes.due.extend(call.waker.take());
            }
            return;
        }
        let due = match verdict.outcome() {
            Outcome::Later(wait) | Outcome::InUse(Some(wait)) => at + wait + self.slack,
            // Whoever ends a call serves those in line.
            _ => Nanos::MAX,
        };
        let perishes = parts.iter().filter_map(|part| self.lines.perishes(part.lane)).min();
        let due = perishes.map_or(due, |perishes| perishes.min(due));
        let seconds = parts.iter().filter_map(|part| {
            let (second, cost) = self.lines.second(part.lane)?;
            Some((second, due + self.limits[part.lane.limit].interval() * cost))
        });
        let seconds: Vec<_> = seconds.collect();
        if let Some(Call { standing: Standing::Waiting(waits), .. }) = self.calls.get_mut(place) {
            waits.due = Some(due);
            self.dues.insert((due, place));
        }
        self.wake_at(place, due);
        for (second, alarm) in seconds {
            self.wake_at(second, alarm);
        }
    }

    /// One in line was granted these permits as of earlier. Where limits count from the call, they do
    /// not count from before it can take place.
    fn let_go(&mut self, parts: &[Part], grants: &mut [Grant], now: Nanos) {
        if self.slack == Nanos::ZERO {
            return;
        }
        for (part, grant) in parts.iter().zip(grants) {
            let renewed = self.decide(part.lane, now, Ask::Renew(*grant));
            *grant = renewed.grant().unwrap_or(*grant);
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
        let is_unused = |call: &&mut Call| matches!(call.standing, Standing::Granted(_));
        if let Some(call) = self.calls.get_mut(place).filter(is_unused) {
            let standing = mem::replace(&mut call.standing, Standing::Perished);
            let parts = call.parts.clone();
            self.vacate(place, &parts, standing, now);
        }
    }

    /// Gives up a place: whatever it held goes to those behind.
    pub(super) fn leave(&mut self, place: Place, now: Nanos) {
        if let Some(Call { parts, standing, waker, .. }) = self.calls.remove(place) {
            self.wakes.done.extend(waker);
            self.vacate(place, &parts, standing, now);
        }
        self.serve(now);
    }

    /// Gives up what a call held that stood so. Those behind are to be looked at.
    pub(super) fn vacate(&mut self, place: Place, parts: &[Part], standing: Standing, now: Nanos) {
        match standing {
            Standing::Waiting(waits) => {
                if let Some(due) = waits.due {
                    self.dues.remove(&(due, place));
                }
                self.make_way(parts, place);
            }
            Standing::Granted(unused) => self.give_back(place, parts, &unused, now),
            Standing::Passed
            | Standing::Perished
            | Standing::Refused(_)
            | Standing::SentAway(_) => return,
        }
        self.release(parts, now);
    }

    fn give_back(&mut self, place: Place, parts: &[Part], unused: &Unused, now: Nanos) {
        self.ungrant(place, parts, unused.perishes);
        for (part, grant) in parts.iter().zip(&unused.grants) {
            let _ = self.decide(part.lane, now, Ask::GiveBack(*grant));
            self.look_behind(part.lane);
        }
    }
}
