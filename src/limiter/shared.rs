//! What one limit and many keyed ones have in common.

use super::{
    desk::{Desk, Turn},
    lane::Lane,
    lanes::Lanes,
    line::{Line, Place},
    rules::Rules,
    short_way::ShortWay,
};
use crate::{
    algorithm::Algorithm,
    clock::Clock,
    decision::Decision,
    error::Reason,
    meters::Meters,
    nanos::Nanos,
    store::table::Fingerprint,
    sync::{AtomicU64, Mutex, Ordering},
};
use std::{fmt, sync::Arc, task::Waker, time::Duration};

/// Places of one line are this far below those of the next, so that no two permits are taken
/// for each other.
const PLACES: u64 = 1 << 32;

/// A limiter without its handle.
pub(super) struct Shared<A: Algorithm> {
    pub(super) settings: Settings,
    /// For what is to be let go or refused at once.
    pub(super) short_way: ShortWay,
    pub(super) lanes: Lanes<A>,
    /// Held by who changes the rules.
    pub(super) changes: Mutex<()>,
    pub(super) meters: Meters,
    lines: AtomicU64,
}

/// What a limiter is built with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) name: Option<Arc<str>>,
    pub(super) max_waiting: usize,
    pub(super) slack: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { clock: Clock::default(), name: None, max_waiting: usize::MAX, slack: Duration::ZERO }
    }
}

impl<A: Algorithm> Shared<A> {
    pub(super) fn new(settings: Settings, lanes: Lanes<A>) -> Self {
        let meters = Meters::new(settings.name.as_ref());
        Self {
            settings,
            short_way: ShortWay::new(&lanes.rules()),
            lanes,
            changes: Mutex::default(),
            meters,
            lines: AtomicU64::new(0),
        }
    }

    /// Serves who is due, and says how the call at `place` stands; what it has then is for
    /// `granted` to say. Where there is no room for a key that was forgotten meanwhile, `key`
    /// becomes the one that such keys share.
    ///
    /// # Errors
    ///
    /// When there is no room, and such keys are refused.
    pub(super) fn poll<T>(
        &self,
        key: &mut Fingerprint,
        place: Place,
        now: Nanos,
        cost: u32,
        waker: &Waker,
        granted: impl FnOnce(&mut Desk<'_, A>, Place) -> Option<T>,
    ) -> Result<Turn<T>, Reason> {
        let (turn, wakes) = self.lanes.for_call(key, now, |rules, lane| {
            let mut desk = self.desk(rules, lane, now);
            let turn = match desk.poll(place, cost, waker) {
                Turn::Wait(alarm) => Turn::Wait(alarm),
                Turn::Refused(decision) => Turn::Refused(decision),
                Turn::SentAway(reason) => Turn::SentAway(reason),
                Turn::Granted(()) => match granted(&mut desk, place) {
                    Some(granted) => Turn::Granted(granted),
                    None => Turn::Wait(now),
                },
            };
            (turn, desk.wakes)
        })?;
        wakes.wake();
        Ok(turn)
    }

    /// How long the one at `place` would still have to wait.
    pub(super) fn turn_of(&self, key: Fingerprint, place: Place, cost: u32) -> Option<Decision> {
        self.at(key, |desk| desk.turn_of(place, cost))
    }

    pub(super) fn leave(&self, key: Fingerprint, place: Place) {
        self.at(key, |desk| desk.leave(place));
        // What went back may have been the last of a limit whose permits do not come back by themselves.
        self.lanes.forget(key, self.now());
    }

    /// Works on the lane of this key, if there is one, and wakes whom that lets go.
    ///
    /// The clock is read under the lock: whatever was taken before was taken earlier, which what is
    /// given back, or used, has to know.
    #[inline]
    pub(super) fn at<T>(
        &self,
        key: Fingerprint,
        work: impl FnOnce(&mut Desk<'_, A>) -> T,
    ) -> Option<T> {
        let (result, wakes) = self.lanes.existing(key, |rules, lane| {
            let mut desk = self.desk(rules, lane, self.now());
            (work(&mut desk), desk.wakes)
        })?;
        wakes.wake();
        Some(result)
    }

    pub(super) fn desk<'a>(
        &'a self,
        rules: &'a Rules<A>,
        lane: &'a mut Lane<A>,
        now: Nanos,
    ) -> Desk<'a, A> {
        let places = || self.lines.fetch_add(PLACES, Ordering::Relaxed);
        lane.desk(rules, now, || Line::new(places(), self.meters.line()))
    }

    #[inline(always)]
    pub(super) fn now(&self) -> Nanos {
        self.settings.clock.now()
    }
}

impl<A: Algorithm + fmt::Debug> fmt::Debug for Shared<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("algorithm", &self.lanes.rules().algorithm)
            .field("name", &self.settings.name)
            .finish_non_exhaustive()
    }
}
