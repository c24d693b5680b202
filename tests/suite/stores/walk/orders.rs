//! What is asked on a walk.

use super::{Granted, Walk};
use std::sync::Arc;
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Ask, Grant, Nanos, Take,
    store::{Answer, Order, StoreAsk, StoreKey, StoredLimit},
};

/// How many permits one of a cost is.
fn scale(algorithm: &AnyAlgorithm) -> u32 {
    if algorithm.to_string().contains("3000000000") { 300_000_000 } else { 1 }
}

/// The most that anybody asks for. To scripts the time line ends before it does for others, so it is either
/// beyond all ends or long before.
fn most(algorithm: &AnyAlgorithm) -> u32 {
    const YEAR: u64 = 365 * 86_400 * 1_000_000_000;
    match algorithm.interval().get().checked_mul(u32::MAX.into()) {
        Some(takes) if takes > YEAR => 1_000_000,
        _ => u32::MAX,
    }
}

impl Walk {
    pub(super) fn orders(&mut self) -> Vec<Order<AnyAlgorithm>> {
        let mut orders = Vec::new();
        for _ in 0..=self.random.below(3) {
            let index = if self.random.one_in(5) { 1 + self.random.below(2) } else { 0 };
            let key = self.keys[index as usize].clone();
            if self.random.one_in(6) {
                orders.extend(self.group(&key));
                continue;
            }
            let limit = self.limit();
            let ask = self.ask(&limit, &key);
            let order = Order { limit, key, ask, is_with_previous: false };
            // Many who ask the same at the same time.
            let times = if self.random.one_in(5) { 2 + self.random.below(5) } else { 1 };
            orders.extend((0..times).map(|_| order.clone()));
        }
        orders
    }

    /// Two that are taken together. Now and then they are of the same limit, but a limit of one
    /// name is never two at the same instant.
    fn group(&mut self, key: &StoreKey) -> Vec<Order<AnyAlgorithm>> {
        let first = self.limit();
        let second = self.limit();
        let second = if second.name == first.name { Arc::clone(&first) } else { second };
        let others = self.keys.clone();
        let limits = [first, second].into_iter().zip(others).enumerate();
        let take = |(place, (limit, other)): (usize, (Arc<StoredLimit<_>>, StoreKey))| {
            let is_other = self.random.one_in(3) && other.tag() == key.tag();
            let key = if is_other { other } else { key.clone() };
            let cost = self.cost(&limit.algorithm);
            let ask = StoreAsk::Ask(Ask::Take(Take::fresh(cost)));
            Order { limit, key, ask, is_with_previous: place > 0 }
        };
        limits.map(take).collect()
    }

    fn limit(&mut self) -> Arc<StoredLimit<AnyAlgorithm>> {
        let index = match self.random.one_in(3) {
            true => self.random.below(self.limits.len() as u64) as usize,
            false => 0,
        };
        Arc::clone(&self.limits[index])
    }

    fn cost(&mut self, algorithm: &AnyAlgorithm) -> u32 {
        match self.random.below(60) {
            0 => most(algorithm),
            1 => 10 + self.random.below(90) as u32,
            _ => {
                let costs = [0, 1, 1, 1, 1, 1, 2, 2, 3, 4, 6, 9];
                costs[self.random.below(12) as usize] * scale(algorithm)
            }
        }
    }

    fn ask(&mut self, limit: &StoredLimit<AnyAlgorithm>, key: &StoreKey) -> StoreAsk {
        let cost = self.cost(&limit.algorithm);
        let take = Take { cost, queued: self.random.one_in(4) };
        match self.random.below(48) {
            0..16 => StoreAsk::Ask(Ask::Take(take)),
            16..20 => StoreAsk::Ask(Ask::Peek(take)),
            20..23 if self.was_of_another_kind => StoreAsk::Ask(Ask::Take(take)),
            20..23 => StoreAsk::Ask(Ask::Renew(self.grant(limit, key))),
            23..26 => {
                let grant = self.grant(limit, key);
                StoreAsk::Ask(Ask::GiveBack(self.part_of(grant)))
            }
            26..30 => StoreAsk::Ask(Ask::End(self.grant(limit, key))),
            30..32 => StoreAsk::Ask(Ask::Charge(self.had(limit))),
            32..41 => {
                let interval = self.interval * self.tick;
                let max_wait = match self.random.below(6) {
                    0 | 1 => Nanos::new(interval.saturating_mul(self.random.below(9))),
                    2 => Nanos::new(self.wait * self.tick),
                    3 => Nanos::new((self.wait * self.tick).saturating_sub(1)),
                    _ => Nanos::MAX,
                };
                StoreAsk::Reserve { cost, max_wait }
            }
            41..47 => {
                let reserved = self.granted(limit, key, |answer| answer.reserved());
                reserved.map_or(StoreAsk::Ask(Ask::Take(take)), StoreAsk::Return)
            }
            _ if self.random.one_in(10) => StoreAsk::Forget,
            _ => StoreAsk::Ask(Ask::Take(take)),
        }
    }

    /// A cost of permits that somebody may have.
    fn had(&mut self, limit: &StoredLimit<AnyAlgorithm>) -> u32 {
        match self.cost(&limit.algorithm) {
            cost if cost == most(&limit.algorithm) => 20,
            cost => cost,
        }
    }

    /// One of the last permits that were granted, or some that never were.
    fn grant(&mut self, limit: &StoredLimit<AnyAlgorithm>, key: &StoreKey) -> Grant {
        let made_up = Grant { cost: self.had(limit), at: Nanos::new(self.now * self.tick) };
        let known = self.granted(limit, key, |answer| answer.decision.grant());
        known.filter(|_| !self.random.one_in(9)).unwrap_or(made_up)
    }

    /// All of these permits, or some of them.
    fn part_of(&mut self, grant: Grant) -> Grant {
        match self.random.one_in(3) {
            true => Grant { cost: self.random.below(u64::from(grant.cost) + 1) as u32, ..grant },
            false => grant,
        }
    }

    /// One of the last few of some permits.
    fn granted(
        &mut self,
        limit: &StoredLimit<AnyAlgorithm>,
        key: &StoreKey,
        permits: impl Fn(&Answer) -> Option<Grant>,
    ) -> Option<Grant> {
        let about_it = |(name, about, answer): &Granted| {
            if *name == limit.name && about == key { permits(answer) } else { None }
        };
        let last: Vec<Grant> = self.granted.iter().rev().filter_map(about_it).take(8).collect();
        let index = self.random.below(last.len().max(1) as u64) as usize;
        last.get(index).copied()
    }
}
