//! What a call asks of one limit.

use super::super::ticket::Taken;
use crate::{
    algorithm::AnyAlgorithm,
    decision::{Ask, Take},
    store::{Order, StoreAsk, StoreKey, StoredLimit},
};
use std::sync::Arc;

/// So many permits of one limit for a key.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Which of the limits, counted from zero.
    pub(super) limit: usize,
    pub(super) key: StoreKey,
    pub(super) cost: u32,
}

/// A part, and how its limit stood when the call came.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) part: Part,
    pub(super) limit: Arc<StoredLimit<AnyAlgorithm>>,
}

impl Asked {
    /// By itself, whatever becomes of the others.
    pub(super) fn order(&self, ask: StoreAsk) -> Order<AnyAlgorithm> {
        let (limit, key) = (Arc::clone(&self.limit), self.part.key.clone());
        Order { limit, key, ask, is_with_previous: false }
    }
}

/// Takes all of them, or none.
pub(super) fn together(asked: &[Asked], queued: bool) -> Vec<Order<AnyAlgorithm>> {
    let take = |asked: &Asked| {
        let cost = asked.part.cost;
        asked.order(StoreAsk::Ask(Ask::Take(Take { cost, queued })))
    };
    let orders = asked.iter().map(take).enumerate();
    orders.map(|(index, order)| Order { is_with_previous: index > 0, ..order }).collect()
}

/// What tells the store that all calls in flight which these permits are held by have ended.
pub(super) fn ends(taken: &[Taken<AnyAlgorithm>]) -> impl Iterator<Item = Order<AnyAlgorithm>> {
    taken.iter().filter_map(|taken| Some(taken.order(StoreAsk::Ask(Ask::End(taken.held()?)))))
}
