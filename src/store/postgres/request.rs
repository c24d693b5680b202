//! A batch as the parameters of a statement.

use super::connection::Parameter;
use crate::{
    algorithm::Scripted,
    decision::{Ask, Grant, Take},
    nanos::Nanos,
    store::{Batch, Order, StoreAsk, StoredLimit},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tokio_postgres::types::Type;

/// How many numbers an order is.
pub(super) const WIDTH: usize = 7;

/// What `decide` takes.
pub(super) struct Request<'a> {
    now: Option<i64>,
    names: Vec<&'a [u8]>,
    pub(super) keys: Vec<&'a [u8]>,
    pub(super) kinds: Vec<&'static str>,
    pub(super) parameters: Vec<i64>,
    ends: Vec<i32>,
    pub(super) orders: Vec<i64>,
}

impl<'a> Request<'a> {
    pub(super) fn new<A: Scripted>(batch: &'a Batch<A>) -> Self {
        // Everybody takes locks in this order.
        let places: BTreeSet<_> = batch.orders().iter().map(place).collect();
        let (names, keys) = places.iter().copied().unzip();
        let numbers: HashMap<_, _> = places.into_iter().zip(1..).collect();
        let mut request = Self {
            now: batch.now().map(microseconds),
            names,
            keys,
            kinds: Vec::new(),
            parameters: Vec::new(),
            ends: Vec::new(),
            orders: Vec::with_capacity(WIDTH * batch.orders().len()),
        };
        let mut limits = HashMap::new();
        for order in batch.orders() {
            let limit = *limits
                .entry(Arc::as_ptr(&order.limit))
                .or_insert_with(|| request.add_limit(&order.limit));
            request.orders.extend([numbers[&place(order)], limit]);
            request.orders.extend(asked(order.ask));
            request.orders.push(order.is_with_previous.into());
        }
        request
    }

    /// The number of a limit.
    fn add_limit<A: Scripted>(&mut self, limit: &StoredLimit<A>) -> i64 {
        self.kinds.push(limit.algorithm.kind());
        let parameters = limit.algorithm.parameters();
        self.parameters.extend(parameters.into_iter().map(|number| {
            // Permits are a u32 and lengths of time below 2^64 microseconds by far.
            i64::try_from(number).unwrap_or(i64::MAX)
        }));
        self.ends.push(length(&self.parameters));
        i64::from(length(&self.kinds))
    }

    pub(super) fn parameters(&self) -> [Parameter<'_>; 7] {
        [
            (&self.now, Type::INT8),
            (&self.names, Type::BYTEA_ARRAY),
            (&self.keys, Type::BYTEA_ARRAY),
            (&self.kinds, Type::TEXT_ARRAY),
            (&self.parameters, Type::INT8_ARRAY),
            (&self.ends, Type::INT4_ARRAY),
            (&self.orders, Type::INT8_ARRAY),
        ]
    }
}

/// Where the record of an order is.
pub(super) fn place<A>(order: &Order<A>) -> (&[u8], &[u8]) {
    (order.limit.name.as_bytes(), order.key.bytes())
}

/// What is asked, cost, whether queued, and moment.
fn asked(ask: StoreAsk) -> [i64; 4] {
    let take = |what, Take { cost, queued }| [what, cost.into(), queued.into(), 0];
    let grant = |what, Grant { cost, at }| [what, cost.into(), 0, microseconds(at)];
    match ask {
        StoreAsk::Ask(Ask::Take(asked)) => take(0, asked),
        StoreAsk::Ask(Ask::Peek(asked)) => take(1, asked),
        StoreAsk::Ask(Ask::Renew(held)) => grant(2, held),
        StoreAsk::Ask(Ask::GiveBack(held)) => grant(3, held),
        StoreAsk::Ask(Ask::Charge(cost)) => [4, cost.into(), 0, 0],
        StoreAsk::Ask(Ask::End(held)) => grant(5, held),
        StoreAsk::Reserve { cost, max_wait } => [6, cost.into(), 0, microseconds(max_wait)],
        StoreAsk::Return(reserved) => grant(7, reserved),
        StoreAsk::Forget => [8, 0, 0, 0],
    }
}

/// Rounded down: a wait of whole microseconds is longer than another one exactly when it is longer
/// than the microseconds of that. Below 2^54, as a word of nanoseconds is.
pub(super) fn microseconds(nanos: Nanos) -> i64 {
    (nanos.get() / 1000) as i64
}

/// A statement cannot be as long as an i32 can count.
fn length<T>(numbers: &[T]) -> i32 {
    i32::try_from(numbers.len()).unwrap_or(i32::MAX)
}
