//! A batch as the arguments of a script.

use super::{name::record_name, script::Argument};
use crate::{
    algorithm::Scripted,
    decision::{Ask, Grant},
    nanos::Nanos,
    store::{Batch, Order, StoreAsk, StoredLimit},
};
use std::{collections::HashMap, sync::Arc};

/// The largest number that a script keeps exactly.
const MOST: u64 = 1 << 53;

/// A batch as a script is told of it: the names of the records, then words and numbers.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) keys: Vec<String>,
    pub(super) arguments: Vec<Argument>,
}

impl Call {
    pub(super) fn new<A: Scripted>(namespace: &str, batch: &Batch<A>) -> Self {
        let mut call = Self::default();
        match batch.now {
            Some(now) => call.number(whole_microseconds(now)),
            None => call.word(""),
        }
        let limits = call.limits(batch);
        let mut keys = HashMap::new();
        for group in batch.groups() {
            if group.len() > 1 {
                call.word("group");
                call.number(group.len() as u64);
            }
            for order in group {
                let name = || record_name(namespace, &order.limit.name, &order.key);
                let key = *keys.entry((&*order.limit.name, &order.key)).or_insert_with(|| {
                    call.keys.push(name());
                    call.keys.len() as u64
                });
                let limit = limits.get(&Arc::as_ptr(&order.limit)).copied().unwrap_or_default();
                call.order(order, key, limit);
            }
        }
        call
    }

    /// Writes down the limits, each once, and numbers them.
    fn limits<A: Scripted>(&mut self, batch: &Batch<A>) -> HashMap<*const StoredLimit<A>, u64> {
        let mut numbers = HashMap::new();
        let mut limits = Vec::new();
        for order in &batch.orders {
            numbers.entry(Arc::as_ptr(&order.limit)).or_insert_with(|| {
                limits.push(&order.limit.algorithm);
                limits.len() as u64
            });
        }
        self.number(limits.len() as u64);
        for algorithm in limits {
            let parameters = algorithm.parameters();
            self.word(algorithm.kind());
            self.number(parameters.len() as u64);
            parameters.into_iter().for_each(|parameter| self.number(parameter));
        }
        numbers
    }

    fn order<A>(&mut self, order: &Order<A>, key: u64, limit: u64) {
        let at = whole_microseconds;
        let (word, numbers): (_, &[u64]) = match order.ask {
            StoreAsk::Ask(Ask::Take(take)) => ("take", &[take.cost.into(), take.queued.into()]),
            StoreAsk::Ask(Ask::Peek(take)) => ("peek", &[take.cost.into(), take.queued.into()]),
            StoreAsk::Ask(Ask::Renew(grant)) => ("renew", &numbers(grant)),
            StoreAsk::Ask(Ask::GiveBack(grant)) => ("back", &numbers(grant)),
            StoreAsk::Ask(Ask::End(grant)) => ("finish", &numbers(grant)),
            StoreAsk::Ask(Ask::Charge(cost)) => ("charge", &[cost.into()]),
            StoreAsk::Reserve { cost, max_wait } => ("reserve", &[cost.into(), at(max_wait)]),
            StoreAsk::Return(grant) => ("returned", &numbers(grant)),
            StoreAsk::Forget => ("forget", &[]),
        };
        self.word(word);
        self.number(key);
        self.number(limit);
        numbers.iter().for_each(|number| self.number(*number));
    }

    fn word(&mut self, word: &'static str) {
        self.arguments.push(Argument::Word(word));
    }

    fn number(&mut self, number: u64) {
        self.arguments.push(Argument::Number(number));
    }
}

fn numbers(grant: Grant) -> [u64; 2] {
    [grant.cost.into(), whole_microseconds(grant.at)]
}

/// What the script answered is whole already; a longest wait is rounded down.
fn whole_microseconds(nanos: Nanos) -> u64 {
    (nanos.get() / 1000).min(MOST)
}
