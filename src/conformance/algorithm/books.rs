//! Who took permits, and what became of them.

use crate::{
    algorithm::Algorithm,
    conformance::{
        Point,
        violation::{Checked, ensure},
    },
    decision::Grant,
    nanos::Nanos,
};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Books {
    calls: Vec<Call>,
    /// How many were granted or renewed.
    count: u64,
    /// What the clock showed last and at most, and how often it was set back.
    shown: u64,
    highest: u64,
    set_back: u64,
    /// The latest that it showed when a call ended.
    ended: u64,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    grant: Grant,
    /// What the clock showed, and how often it had been set back.
    reading: (u64, u64),
    /// When it took place: not before another one had ended, whatever the clock said.
    from: u64,
    /// Which one it was of those that were granted or renewed.
    order: u64,
    is_charge: bool,
    is_renewed: bool,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It can still be asked about.
    Open,
    /// It took place, and that is all.
    Over,
    /// It did not take place.
    GivenBack,
}

impl Call {
    fn keeps(&self, shelf_life: Nanos, now: u64) -> bool {
        now < self.reading.0.saturating_add(shelf_life.get())
    }
}

impl Books {
    pub(super) fn look_at_clock(&mut self, now: u64) {
        self.set_back += u64::from(now < self.shown);
        self.shown = now;
        self.highest = self.highest.max(now);
    }

    /// The latest that the clock ever showed.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether the clock was never set back.
    pub(super) fn is_steady(&self) -> bool {
        self.set_back == 0
    }

    pub(super) fn take(&mut self, grant: Grant, now: u64) {
        self.write(grant, now, false);
    }

    pub(super) fn charge(&mut self, grant: Grant, now: u64) {
        self.write(grant, now, true);
    }

    fn write(&mut self, grant: Grant, now: u64, is_charge: bool) {
        let (reading, order) = ((now, self.set_back), self.next());
        let from = self.from(now);
        let (is_renewed, fate) = (false, Fate::Open);
        self.calls.push(Call { grant, reading, from, order, is_charge, is_renewed, fate });
    }

    fn from(&self, now: u64) -> u64 {
        now.max(self.ended)
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn open(&self) -> impl DoubleEndedIterator<Item = &Call> {
        self.calls.iter().filter(|call| call.fate == Fate::Open)
    }

    fn choose(&self, index: usize, which: impl Fn(&Call) -> bool) -> Option<Grant> {
        let open: Vec<_> = self.open().filter(|call| which(call)).collect();
        open.get(index.checked_rem(open.len())?).map(|call| call.grant)
    }

    /// A call that can be asked about.
    pub(super) fn any(&self, index: usize) -> Option<Grant> {
        self.choose(index, |_| true)
    }

    /// A call that takes place now, or goes on where permits are held.
    pub(super) fn renewable(
        &self,
        index: usize,
        shelf_life: Nanos,
        now: u64,
        held: bool,
    ) -> Option<Grant> {
        let takes_place = |call: &Call| !call.is_renewed && call.keeps(shelf_life, now);
        self.choose(index, |call| held || !call.is_charge && takes_place(call))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open().next().is_none()
    }

    pub(super) fn has(&self, grant: Grant) -> bool {
        self.open().any(|call| call.grant == grant)
    }

    /// Whether a charge was answered with this grant.
    pub(super) fn was_charged(&self, grant: Grant) -> bool {
        self.calls.iter().any(|call| call.is_charge && call.grant == grant)
    }

    /// The permits of all that can be asked about, for tests of what comes back late.
    pub(super) fn grants(&self) -> impl Iterator<Item = Grant> {
        self.open().filter(|call| !call.is_charge).map(|call| call.grant)
    }

    /// Where the algorithm counts from the call, it counts from now on.
    pub(super) fn renew(&mut self, before: Grant, after: Grant, now: u64, shelf_life: Nanos) {
        let (reading, from) = ((now, self.set_back), self.from(now));
        let order = self.next();
        self.with(before, |call| {
            call.grant = after;
            // Once it takes place, only its lease begins anew.
            let takes_place = !call.is_renewed && call.keeps(shelf_life, now);
            if takes_place && after.at != before.at {
                (call.reading, call.from, call.order) = (reading, from, order);
            }
            call.is_renewed = true;
        });
    }

    pub(super) fn give_back(&mut self, grant: Grant) {
        self.with(grant, |call| call.fate = Fate::GivenBack);
    }

    pub(super) fn end(&mut self, grant: Grant) {
        self.ended = self.ended.max(self.shown);
        self.with(grant, |call| call.fate = Fate::Over);
    }

    pub(super) fn lose(&mut self, grant: Grant) {
        self.end(grant);
    }

    fn with(&mut self, grant: Grant, change: impl FnOnce(&mut Call)) {
        let is_it = |call: &&mut Call| call.fate == Fate::Open && call.grant == grant;
        if let Some(call) = self.calls.iter_mut().find(is_it) {
            change(call);
        }
    }

    /// The permits of calls in flight that were all granted at this very instant.
    pub(super) fn held_since(&self, now: u64) -> u64 {
        let reading = (now, self.set_back);
        let held = self.open().filter(|call| call.reading == reading && !call.is_charge);
        held.map(|call| u64::from(call.grant.cost)).sum()
    }

    /// When the calls of cost 1 took place: in order, and none earlier than those before it, whatever
    /// the clock said.
    ///
    /// None where the clock was set back and calls were moved or taken out: then nobody knows how much
    /// time has passed.
    pub(super) fn instants(&self) -> Vec<u64> {
        let is_moved = |call: &Call| call.is_renewed || call.fate == Fate::GivenBack;
        if !self.is_steady() && self.calls.iter().any(is_moved) {
            return Vec::new();
        }
        let mut calls: Vec<_> = self.calls.iter().collect();
        calls.sort_unstable_by_key(|call| call.order);
        let counts =
            |call: &Call| call.grant.cost == 1 && !call.is_charge && call.fate != Fate::GivenBack;
        let mut latest = 0;
        let mut instants = Vec::new();
        for call in calls {
            latest = call.from.max(latest);
            instants.extend(counts(call).then_some(latest));
        }
        instants
    }

    /// Every number of calls has a shortest window that holds it, between two of them.
    pub(super) fn keep_bound(&self, algorithm: &impl Algorithm) -> Checked {
        let instants = self.instants();
        for (first, start) in instants.iter().enumerate() {
            for (more, end) in instants[first..].iter().enumerate() {
                let (calls, length) = (more as u64 + 1, end - start + 1);
                let most = algorithm.most_in(Duration::from_nanos(length));
                ensure(calls <= most, Point::Bound, || {
                    format!("{calls} calls in {length} ns from {start} ns on, and not {most}")
                })?;
            }
        }
        Ok(())
    }
}
