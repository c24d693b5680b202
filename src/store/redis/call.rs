//! A batch as the arguments of a script.

use super::{
    name::{beginning, record_name},
    script::{Argument, Script, decides},
};
use crate::{
    algorithm::Scripted,
    decision::{Ask, Grant},
    nanos::Nanos,
    store::{Batch, Order, StoreAsk, StoreKey, StoredLimit},
};
use std::{collections::HashMap, sync::Arc};

/// The largest number that a script keeps exactly.
const MOST: u64 = 1 << 53;

/// Stands for the time of the server.
const UNTOLD: f64 = -1.0;

/// Stands before orders that are one group.
const GROUP: f64 = 0.0;

/// A batch as a script is told of it: the names of the records; then the orders and, of each limit,
/// its kind and its parameters.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) script: &'static Script,
    pub(super) keys: Vec<String>,
    pub(super) arguments: Vec<Argument>,
}

impl Call {
    pub(super) fn new<A: Scripted>(namespace: &str, batch: &Batch<A>) -> Self {
        let mut limits = Limits::default();
        let mut keys = Keys::new(batch.orders.len());
        let mut orders = Orders::new(batch);
        let mut last: Option<&Order<A>> = None;
        for group in batch.groups() {
            if let [order] = group
                && last.is_some_and(|last| is_same(last, order))
            {
                orders.once_more();
                continue;
            }
            if group.len() > 1 {
                // Exact: no batch has 2^53 orders.
                orders.write([GROUP, 0.0, 0.0, group.len() as f64, 0.0, 0.0]);
            }
            for order in group {
                let limit = limits.place(namespace, &order.limit);
                let key = keys.place(&limits.beginnings[limit], order);
                orders.write(numbers(order.ask, key, limit));
            }
            last = match group {
                [order] => Some(order),
                _ => None,
            };
        }
        let Limits { kinds, arguments, .. } = limits;
        let arguments = std::iter::once(Argument::Bytes(orders.bytes)).chain(arguments);
        Self { script: decides(&kinds), keys: keys.names, arguments: arguments.collect() }
    }
}

/// Whether two orders are told apart by their places only.
fn is_same<A>(one: &Order<A>, other: &Order<A>) -> bool {
    one.ask == other.ask && one.key == other.key && Arc::ptr_eq(&one.limit, &other.limit)
}

/// The limits, each once.
struct Limits<A> {
    places: HashMap<*const StoredLimit<A>, usize>,
    /// What the names of their records begin with.
    beginnings: Vec<String>,
    kinds: Vec<&'static str>,
    arguments: Vec<Argument>,
}

impl<A> Default for Limits<A> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            beginnings: Vec::new(),
            kinds: Vec::new(),
            arguments: Vec::new(),
        }
    }
}

impl<A: Scripted> Limits<A> {
    fn place(&mut self, namespace: &str, limit: &Arc<StoredLimit<A>>) -> usize {
        *self.places.entry(Arc::as_ptr(limit)).or_insert_with(|| {
            let mut parameters = Vec::new();
            for parameter in limit.algorithm.parameters() {
                write(&mut parameters, number(parameter));
            }
            self.kinds.push(limit.algorithm.kind());
            self.arguments.push(Argument::Word(limit.algorithm.kind()));
            self.arguments.push(Argument::Bytes(parameters));
            self.beginnings.push(beginning(namespace, &limit.name));
            self.beginnings.len() - 1
        })
    }
}

/// The records, each once.
struct Keys<'a> {
    places: HashMap<(&'a str, &'a StoreKey), usize>,
    names: Vec<String>,
}

impl<'a> Keys<'a> {
    /// At most so many.
    fn new(orders: usize) -> Self {
        Self { places: HashMap::with_capacity(orders), names: Vec::with_capacity(orders) }
    }

    fn place<A>(&mut self, beginning: &str, order: &'a Order<A>) -> usize {
        *self.places.entry((&*order.limit.name, &order.key)).or_insert_with(|| {
            self.names.push(record_name(beginning, &order.key));
            self.names.len() - 1
        })
    }
}

/// The time, and six numbers for each order.
struct Orders {
    bytes: Vec<u8>,
}

/// How often an order stands in a row is its fourth number.
const COUNT: usize = 3;

impl Orders {
    fn new<A>(batch: &Batch<A>) -> Self {
        let mut bytes = Vec::with_capacity(8 + 48 * batch.orders.len());
        write(&mut bytes, batch.now.map_or(UNTOLD, microseconds));
        Self { bytes }
    }

    fn write(&mut self, numbers: [f64; 6]) {
        numbers.into_iter().for_each(|number| write(&mut self.bytes, number));
    }

    /// The last order stands once more in the row.
    fn once_more(&mut self) {
        if let Some(last) = self.bytes.last_chunk_mut::<48>()
            && let Some(count) = last.as_chunks_mut::<8>().0.get_mut(COUNT)
        {
            *count = (f64::from_le_bytes(*count) + 1.0).to_le_bytes();
        }
    }
}

/// What is asked, which key, which limit, how often, and the two numbers that come with an ask.
fn numbers(ask: StoreAsk, key: usize, limit: usize) -> [f64; 6] {
    let (ask, a, b) = match ask {
        StoreAsk::Ask(Ask::Take(take)) => (1.0, take.cost.into(), take.queued.into()),
        StoreAsk::Ask(Ask::Peek(take)) => (2.0, take.cost.into(), take.queued.into()),
        StoreAsk::Ask(Ask::Renew(grant)) => (3.0, grant.cost.into(), at(grant)),
        StoreAsk::Ask(Ask::GiveBack(grant)) => (4.0, grant.cost.into(), at(grant)),
        StoreAsk::Ask(Ask::End(grant)) => (5.0, grant.cost.into(), at(grant)),
        StoreAsk::Ask(Ask::Charge(cost)) => (6.0, cost.into(), 0.0),
        StoreAsk::Reserve { cost, max_wait } => (7.0, cost.into(), microseconds(max_wait)),
        StoreAsk::Return(grant) => (8.0, grant.cost.into(), at(grant)),
        StoreAsk::Forget => (9.0, 0.0, 0.0),
    };
    // The script counts from one, and there are few.
    [ask, (key + 1) as f64, (limit + 1) as f64, 1.0, a, b]
}

fn at(grant: Grant) -> f64 {
    microseconds(grant.at)
}

/// What the script answered is whole already; a longest wait is rounded down.
fn microseconds(nanos: Nanos) -> f64 {
    number(nanos.get() / 1000)
}

/// A number as the script has it.
fn number(number: u64) -> f64 {
    // Exact: those beyond are as good as this one.
    number.min(MOST) as f64
}

fn write(bytes: &mut Vec<u8>, number: f64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}
