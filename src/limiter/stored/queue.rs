//! Those who wait to ask a store.

use super::group::{Decided, Group};
use crate::{
    algorithm::Algorithm,
    nanos::Nanos,
    store::{Store, StoreError},
};
use std::mem;
use tokio::sync::oneshot;

/// From how many on groups are many. A script call in Redis takes as long by itself as to answer about ten
/// keys, and as long again on the way.
const MANY: usize = 16;

/// How many groups ride in a batch at most, so that no batch takes long.
const MOST: usize = 1024;

/// Those who wait to ask one shard.
///
/// Where several batches may be under way, many callers are shared out among them: while one is at the store,
/// those who were answered by another ask again. Few ride together, as each batch costs something by itself.
/// A batch that gives something back is followed by no other until it was answered, so that whoever asks
/// after it has its turn after it.
///
/// While all drivers run in the runtime of the limiter they keep the time of callers there, who then need no
/// timers. A runtime that nobody drives keeps no time: others have timers of their own.
pub(super) struct Queue<A: Algorithm, S: Store<A>> {
    waiting: Vec<Queued<A, S>>,
    drivers: usize,
    /// How many of those run elsewhere.
    elsewhere: usize,
    /// How many groups are under way.
    under_way: usize,
    /// How many batches give something back.
    freeing: usize,
    /// Whether a caller is on its own way.
    pub(super) is_led: bool,
}

/// What a driver has to do, as its queue counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    is_elsewhere: bool,
    /// How many groups are in its batch.
    pub(super) groups: usize,
    /// Whether that gives something back.
    frees: bool,
}

/// What a caller is told.
pub(super) type Reply<A, S> = Result<Decided<A, S>, StoreError>;

/// A group on its way, and who wants to know what becomes of it.
pub(super) struct Queued<A: Algorithm, S: Store<A>> {
    pub(super) group: Group<A>,
    pub(super) caller: Option<Caller<A, S>>,
}

/// Who wants to know what becomes of a group.
pub(super) struct Caller<A: Algorithm, S: Store<A>> {
    /// Nothing once it was told.
    reply: Option<oneshot::Sender<Reply<A, S>>>,
    /// When it is told that there is no answer; nothing where it sees to that itself.
    end: Option<Nanos>,
}

impl<A: Algorithm, S: Store<A>> Caller<A, S> {
    pub(super) fn new(reply: oneshot::Sender<Reply<A, S>>, end: Option<Nanos>) -> Self {
        Self { reply: Some(reply), end }
    }

    /// Nobody wants to know any more, or was told already.
    pub(super) fn is_gone(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// When it is told that there is no answer.
    pub(super) fn end(&self) -> Option<Nanos> {
        self.end.filter(|_| self.reply.is_some())
    }

    pub(super) fn is_overdue(&self, now: Nanos) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// What nobody takes goes back as it is dropped.
    pub(super) fn tell(&mut self, told: Reply<A, S>) {
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(told);
        }
    }
}

impl<A: Algorithm, S: Store<A>> Default for Queue<A, S> {
    fn default() -> Self {
        let (waiting, is_led) = (Vec::new(), false);
        Self { waiting, drivers: 0, elsewhere: 0, under_way: 0, freeing: 0, is_led }
    }
}

impl<A: Algorithm, S: Store<A>> Queue<A, S> {
    /// Gets in the queue, from the limiter's runtime or elsewhere. The driver that there has to be for it there.
    pub(super) fn join(
        &mut self,
        queued: Queued<A, S>,
        is_elsewhere: bool,
        most_drivers: usize,
    ) -> Option<Load> {
        self.waiting.push(queued);
        // Beside those that keep the time of callers there is none that runs elsewhere.
        let may_run = !is_elsewhere || self.drivers == self.elsewhere;
        let is_needed = self.drivers == 0 || self.drivers < most_drivers && self.is_worth_it();
        if !may_run || !is_needed {
            return None;
        }
        self.drivers += 1;
        self.elsewhere += usize::from(is_elsewhere);
        Some(Load { is_elsewhere, groups: 0, frees: false })
    }

    /// The next batch of a driver, or the end of it: whoever comes after it needs another one.
    pub(super) fn next(
        &mut self,
        load: &mut Load,
        most_drivers: usize,
    ) -> Option<Vec<Queued<A, S>>> {
        self.unload(load);
        if self.waiting.is_empty() || self.drivers > 1 && !self.is_worth_it() {
            self.lose(load);
            return None;
        }
        let waiting = self.waiting.len();
        let share = (waiting + self.under_way).div_ceil(most_drivers).max(MANY);
        // No fewer are left to others than are worth a batch.
        let size = if waiting >= share + MANY { share } else { waiting };
        let batch: Vec<_> = self.waiting.drain(..size.min(MOST)).collect();
        load.groups = batch.len();
        load.frees = batch.iter().any(|queued| queued.group.frees());
        self.under_way += load.groups;
        self.freeing += usize::from(load.frees);
        Some(batch)
    }

    /// How many drivers empty it.
    pub(super) fn drivers(&self) -> usize {
        self.drivers
    }

    /// Whether its drivers keep the time of callers in the runtime of the limiter.
    pub(super) fn keeps_time(&self) -> bool {
        self.elsewhere == 0
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the first caller is told that there is no answer: those behind it have come later.
    pub(super) fn first_end(&self) -> Option<Nanos> {
        self.waiting.iter().find_map(|queued| queued.caller.as_ref()?.end())
    }

    /// Those who have waited for too long.
    pub(super) fn overdue(&mut self, now: Nanos) -> Vec<Queued<A, S>> {
        let is_overdue =
            |queued: &mut Queued<A, S>| queued.caller.as_ref().is_some_and(|c| c.is_overdue(now));
        self.waiting.extract_if(.., is_overdue).collect()
    }

    /// A driver is dropped with its runtime, and its batch. Those that it leaves to nobody.
    pub(super) fn lose_driver(&mut self, load: &mut Load) -> Vec<Queued<A, S>> {
        self.unload(load);
        self.lose(load);
        match self.drivers {
            0 => mem::take(&mut self.waiting),
            _ => Vec::new(),
        }
    }

    fn unload(&mut self, load: &mut Load) {
        self.under_way -= mem::take(&mut load.groups);
        self.freeing -= usize::from(mem::take(&mut load.frees));
    }

    fn lose(&mut self, load: &Load) {
        self.drivers -= 1;
        self.elsewhere -= usize::from(load.is_elsewhere);
    }

    /// Whether those who wait are a batch of their own, and do not wait for the next of another driver.
    fn is_worth_it(&self) -> bool {
        self.freeing == 0 && (self.under_way < MANY || self.waiting.len() >= MANY)
    }
}
