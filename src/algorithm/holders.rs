//! Who holds permits.

use super::stored::{StoredState, read_grants, write_grants};
use crate::{decision::Grant, nanos::Nanos};
use std::collections::VecDeque;

/// The state of [`Concurrency`](crate::Concurrency): the holders of permits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// Oldest first, so that those whose leases have ended stand in front. Two with the same cost
    /// and instant are as good as each other.
    grants: VecDeque<Grant>,
    /// The permits of all of them.
    permits: u64,
    /// The instant of the last grant, also when it has ended: no later grant may look like one
    /// that was lost, or whoever lost it would end the other.
    latest: Nanos,
}

impl Holders {
    /// Whether the lease of this grant has ended.
    pub(super) fn has_ended(&self, grant: Grant, lease: Option<Nanos>, now: Nanos) -> bool {
        lease.is_some_and(|lease| now - grant.at >= lease)
    }

    /// Those whose leases have ended.
    fn ended(&self, lease: Option<Nanos>, now: Nanos) -> impl Iterator<Item = &Grant> {
        self.grants.iter().take_while(move |grant| self.has_ended(**grant, lease, now))
    }

    /// The permits of those whose leases have not ended.
    pub(super) fn in_use(&self, lease: Option<Nanos>, now: Nanos) -> u64 {
        self.permits - self.ended(lease, now).map(|grant| u64::from(grant.cost)).sum::<u64>()
    }

    /// How long until the leases of this many permits more have ended, if they ever do.
    pub(super) fn freed(&self, permits: u64, lease: Option<Nanos>, now: Nanos) -> Option<Nanos> {
        let lease = lease?;
        let mut freed = 0;
        let held = self.grants.iter().skip(self.ended(Some(lease), now).count());
        let enough = held.into_iter().find(|grant| {
            freed += u64::from(grant.cost);
            freed >= permits
        })?;
        // A lease that would end beyond the time line does not end.
        Some(enough.at.checked_add(lease)? - now)
    }

    /// Drops those whose leases have ended.
    pub(super) fn forget(&mut self, lease: Option<Nanos>, now: Nanos) {
        let ended = self.ended(lease, now).count();
        let forgotten = self.grants.drain(..ended).map(|grant| u64::from(grant.cost));
        self.permits -= forgotten.sum::<u64>();
    }

    /// The instant that a grant counts from: now, but never before an earlier grant, as a clock
    /// that was set back must not put them out of order.
    pub(super) fn latest(&self, now: Nanos) -> Nanos {
        self.latest.max(now)
    }

    pub(super) fn push(&mut self, cost: u32, now: Nanos) -> Grant {
        let grant = Grant { cost, at: self.latest(now) };
        self.latest = grant.at;
        self.permits += u64::from(cost);
        self.grants.push_back(grant);
        grant
    }

    fn find(&self, grant: Grant) -> Option<usize> {
        let first = self.grants.partition_point(|other| other.at < grant.at);
        let mut same_instant =
            self.grants.iter().skip(first).take_while(|other| other.at == grant.at);
        let after = same_instant.position(|other| other.cost == grant.cost)?;
        Some(first + after)
    }

    /// Whether this holder is there.
    pub(super) fn has(&self, grant: Grant) -> bool {
        self.find(grant).is_some()
    }

    /// Takes a holder out, if it is there.
    pub(super) fn remove(&mut self, grant: Grant) -> bool {
        let Some(index) = self.find(grant) else { return false };
        self.grants.remove(index);
        self.permits -= u64::from(grant.cost);
        true
    }

    pub(super) fn youngest(&self) -> Option<Grant> {
        self.grants.back().copied()
    }
}

impl StoredState for Holders {
    fn write(&self, bytes: &mut Vec<u8>) {
        write_grants(self.grants.iter().copied(), bytes);
        self.latest.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let grants = read_grants(bytes)?;
        let permits = grants.iter().map(|grant| u64::from(grant.cost)).sum();
        let latest = Nanos::read(bytes)?;
        let is_last = grants.back().is_none_or(|last| last.at <= latest);
        is_last.then_some(Self { grants, permits, latest })
    }

    fn end_calls(&mut self, _: Nanos) {
        self.grants.clear();
        self.permits = 0;
    }
}
