//! Those who wait to ask a store.

use super::{caller::Caller, group::Group};
use crate::{algorithm::Algorithm, nanos::Nanos, store::Store};
use std::{collections::VecDeque, mem};
use tokio::runtime::Id;

/// From how many on groups are many. A script call in Redis takes as long by itself as to answer about ten
/// keys, and as long again on the way.
const MANY: usize = 16;

/// Those who wait to ask one shard.
///
/// Where several batches may be under way, many callers are shared out among them: while one is at the store,
/// those who were answered by another ask again. Few ride together, as each batch costs something by itself.
/// A batch with something that nobody waits for, such as permits that go back, is followed by no other until it
/// was answered, so that whoever asks after it is decided after it.
///
/// While all drivers run in the runtime of the limiter they keep the time of callers there, who then need no
/// timers. A runtime that nobody drives keeps no time: others have timers of their own.
pub(super) struct Queue<A: Algorithm, S: Store<A>> {
    most: Most,
    waiting: VecDeque<Queued<A, S>>,
    /// Where each driver runs. Nobody may be driving a runtime: only who is there counts on its drivers.
    drivers: Vec<Place>,
    /// How many of them have been polled: one that was not may be held up by whoever made it.
    begun: usize,
    /// How many groups are under way.
    under_way: usize,
    /// How many groups there were, waiting and under way, when the last batch left.
    callers: usize,
    /// In how many batches is something that nobody waits for.
    unawaited: usize,
    /// When the last of those is given up, if anybody drives its driver.
    unawaited_until: Nanos,
    /// Whether a driver is between an answer and its next batch, where they take turns in that.
    has_turn: bool,
    /// The latest deadline that a driver keeps, or to which it sleeps.
    latest_end: Nanos,
    /// Whether a caller is on its own way.
    pub(super) is_led: bool,
}

/// What there is at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// Of drivers, beside one in each runtime.
    pub(super) drivers: usize,
    /// Of groups in a batch.
    pub(super) groups: usize,
}

/// A runtime; none is the limiter's.
pub(super) type Place = Option<Id>;

/// What a driver has to do, as its queue counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    place: Place,
    has_begun: bool,
    /// How many groups of its batch are under way.
    groups: usize,
    /// Whether there is something among them that nobody waits for.
    is_unawaited: bool,
    /// Whether it is this driver's turn.
    has_turn: bool,
}

impl Load {
    /// That of a driver in this place which has nothing to do yet.
    fn of(place: Place) -> Self {
        Self { place, has_begun: false, groups: 0, is_unawaited: false, has_turn: false }
    }
}

/// What a driver that is dropped leaves behind.
pub(super) enum Left<A: Algorithm, S: Store<A>> {
    /// Nothing, or those for whom nobody will ask.
    ToNobody(VecDeque<Queued<A, S>>),
    /// The queue to another driver.
    To(Load),
}

/// A clock that was set back makes later callers have earlier deadlines: by more than this, and they keep the
/// time themselves.
const SET_BACK: Nanos = Nanos::new(1_000_000);

/// A group on its way, and who wants to know what becomes of it.
pub(super) struct Queued<A: Algorithm, S: Store<A>> {
    pub(super) group: Group<A>,
    pub(super) caller: Option<Caller<A, S>>,
}

impl<A: Algorithm, S: Store<A>> Queue<A, S> {
    pub(super) fn new(most: Most) -> Self {
        Self {
            most,
            waiting: VecDeque::new(),
            drivers: Vec::new(),
            begun: 0,
            under_way: 0,
            callers: 0,
            unawaited: 0,
            unawaited_until: Nanos::ZERO,
            has_turn: false,
            latest_end: Nanos::ZERO,
            is_led: false,
        }
    }

    /// Gets in the queue. The driver that there has to be for it, in the same place.
    pub(super) fn join(&mut self, queued: Queued<A, S>, place: Place, now: Nanos) -> Option<Load> {
        self.waiting.push_back(queued);
        let is_needed = match self.drivers_in(place) {
            0 => self.drivers() == 0 || !self.is_closed(now),
            _ => self.drivers() < self.most.drivers && self.is_worth_it(now),
        };
        // None from elsewhere takes those with it whose time is kept here.
        if !is_needed || place.is_some() && self.first_end().is_some() {
            return None;
        }
        self.drivers.push(place);
        Some(Load::of(place))
    }

    /// The next batch of a driver, which is given up at `end`; or the end of the driver: whoever comes after it
    /// needs another one.
    pub(super) fn next(
        &mut self,
        load: &mut Load,
        now: Nanos,
        end: Nanos,
    ) -> Option<Vec<Queued<A, S>>> {
        self.begun += usize::from(!mem::replace(&mut load.has_begun, true));
        self.end_turn(load);
        let is_left_to_others = match self.drivers_in(load.place) {
            1 => self.drivers() > 1 && self.is_closed(now),
            _ => !self.is_worth_it(now),
        };
        if self.waiting.is_empty() || is_left_to_others {
            self.lose(load);
            return None;
        }
        let waiting = self.waiting.len();
        let callers = waiting + self.under_way;
        // Those who have just been answered come back.
        let lately = mem::replace(&mut self.callers, callers);
        let share = callers.max(lately).div_ceil(self.drivers()).max(MANY);
        // No fewer are left to others than are worth a batch.
        let size = if waiting >= share + MANY { share } else { waiting };
        let batch: Vec<_> = self.waiting.drain(..size.min(self.most.groups)).collect();
        load.groups = batch.len();
        load.is_unawaited = batch.iter().any(|queued| queued.caller.is_none());
        self.under_way += load.groups;
        if load.is_unawaited {
            self.unawaited += 1;
            self.unawaited_until = self.unawaited_until.max(end);
        }
        Some(batch)
    }

    /// The batch of a driver was answered.
    pub(super) fn unload(&mut self, load: &mut Load) {
        self.under_way -= mem::take(&mut load.groups);
        self.unawaited -= usize::from(mem::take(&mut load.is_unawaited));
    }

    /// Begins the turn of this driver, unless another one has it: it ends with its next batch, or with this
    /// driver. Those of several runtimes run side by side anyway.
    pub(super) fn takes_turn(&mut self, load: &mut Load) -> bool {
        if !self.is_at_home() {
            return true;
        }
        load.has_turn = load.has_turn || !mem::replace(&mut self.has_turn, true);
        load.has_turn
    }

    pub(super) fn end_turn(&mut self, load: &mut Load) {
        if mem::take(&mut load.has_turn) {
            self.has_turn = false;
        }
    }

    /// How many drivers empty it.
    pub(super) fn drivers(&self) -> usize {
        self.drivers.len()
    }

    /// How many of them are in this place.
    fn drivers_in(&self, place: Place) -> usize {
        self.drivers.iter().filter(|driver| **driver == place).count()
    }

    /// Whether they all run in the runtime of the limiter.
    fn is_at_home(&self) -> bool {
        self.drivers.iter().all(Option::is_none)
    }

    /// Whether its drivers tell a caller in the runtime of the limiter at this deadline.
    pub(super) fn keeps_time(&mut self, end: Nanos) -> bool {
        let keeps = self.is_at_home() && self.begun > 0 && end + SET_BACK >= self.latest_end;
        if keeps {
            self.latest_end = self.latest_end.max(end);
        }
        keeps
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the first caller is told that there is no answer: those behind it have come later.
    fn first_end(&self) -> Option<Nanos> {
        self.waiting.iter().find_map(|queued| queued.caller.as_ref()?.end())
    }

    /// Until when a driver sleeps: the first of these deadlines and those of who waits.
    pub(super) fn sleeps_until(&mut self, ends: impl Iterator<Item = Nanos>, end: Nanos) -> Nanos {
        let first = ends.chain(self.first_end()).fold(end, Nanos::min);
        self.latest_end = self.latest_end.max(first);
        first
    }

    /// Those who have waited for too long.
    pub(super) fn overdue(&mut self, now: Nanos) -> Vec<Queued<A, S>> {
        let end = |queued: &Queued<A, S>| queued.caller.as_ref().and_then(Caller::end);
        let is_later = |queued: &Queued<A, S>| end(queued).is_some_and(|end| end > now);
        let earlier = self.waiting.iter().position(is_later).unwrap_or(self.waiting.len());
        let is_overdue = |queued: &Queued<A, S>| end(queued).is_some();
        let (overdue, others): (Vec<_>, Vec<_>) =
            self.waiting.drain(..earlier).partition(is_overdue);
        others.into_iter().rev().for_each(|queued| self.waiting.push_front(queued));
        overdue
    }

    /// A driver is dropped with its runtime. Those that it leaves behind need another one, which is
    /// at home unless that is the runtime that ends.
    pub(super) fn lose_driver(&mut self, load: &mut Load) -> Left<A, S> {
        self.unload(load);
        self.end_turn(load);
        self.lose(load);
        if self.drivers() > 0 || self.waiting.is_empty() {
            return Left::ToNobody(VecDeque::new());
        }
        match load.place {
            None => Left::ToNobody(mem::take(&mut self.waiting)),
            Some(_) => {
                self.drivers.push(None);
                Left::To(Load::of(None))
            }
        }
    }

    fn lose(&mut self, load: &Load) {
        if let Some(driver) = self.drivers.iter().position(|driver| *driver == load.place) {
            self.drivers.swap_remove(driver);
        }
        self.begun -= usize::from(load.has_begun);
        if self.drivers() == 0 {
            self.latest_end = Nanos::ZERO;
        }
    }

    /// Whether those who wait are a batch of their own, and do not wait for the next of another driver.
    fn is_worth_it(&self, now: Nanos) -> bool {
        !self.is_closed(now) && (self.under_way < MANY || self.waiting.len() >= MANY)
    }

    /// Whether something is under way that nobody waits for, and that is answered before whoever comes later.
    fn is_closed(&self, now: Nanos) -> bool {
        self.unawaited > 0 && now < self.unawaited_until
    }
}
