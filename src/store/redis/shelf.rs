//! Records that were read, and what became of them here.

use super::{
    name::{beginning, record_name},
    script::Argument,
};
use crate::{
    algorithm::{Algorithm, StoredState},
    nanos::Nanos,
    store::{Batch, Record, Records, StoreKey, StoredLimit, Unreadable},
};
use std::{collections::HashMap, convert::Infallible, sync::Arc};

/// What stands before a record, so that none of the script is taken for one.
const MARK: u8 = b'=';

const MILLISECOND: Nanos = Nanos::new(1_000_000);

/// The records of a batch.
#[derive(Debug)]
pub(super) struct Shelf<S> {
    places: Places,
    records: Vec<Kept<S>>,
}

#[derive(Debug)]
struct Kept<S> {
    /// As it was read.
    was: Vec<u8>,
    record: Option<Record<S>>,
    /// When it equals new; nothing while it is as it was.
    new_at: Option<Nanos>,
}

/// The names of all records that a batch is about, each once.
pub(super) fn names<A>(namespace: &str, batch: &Batch<A>) -> (Places, Vec<String>) {
    let (mut places, mut names) = (HashMap::new(), Vec::new());
    for order in batch.orders() {
        let place = (Arc::clone(&order.limit.name), order.key.clone());
        places.entry(place).or_insert_with(|| {
            names.push(record_name(&beginning(namespace, &order.limit.name), &order.key));
            names.len() - 1
        });
    }
    (places, names)
}

type Places = HashMap<(Arc<str>, StoreKey), usize>;

/// The record at this place is none.
fn unreadable(places: &Places, place: usize) -> Unreadable {
    let limit = places.iter().find(|(_, at)| **at == place);
    Unreadable::new(limit.map_or("", |((limit, _), _)| limit))
}

impl<S: StoredState> Shelf<S> {
    /// Records as they were read.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] when one of them is no record.
    pub(super) fn new(places: Places, values: Vec<Vec<u8>>) -> Result<Self, Unreadable> {
        let records = values.into_iter().enumerate().map(|(place, was)| {
            let record = match was.split_first() {
                Some((&MARK, mut rest)) => match Record::read(&mut rest) {
                    Some(record) => Some(record),
                    None => return Err(unreadable(&places, place)),
                },
                // None, or what a script has left.
                _ => None,
            };
            Ok(Kept { was, record, new_at: None })
        });
        let records = records.collect::<Result<_, Unreadable>>()?;
        Ok(Self { places, records })
    }

    pub(super) fn into_places(self) -> Places {
        self.places
    }

    pub(super) fn is_changed(&self) -> bool {
        self.records.iter().any(|kept| kept.new_at.is_some())
    }

    /// What each was, what it is to be and for how long, from the time of the server on. Time that
    /// is told does not pass by itself, so that nothing ends by itself then.
    pub(super) fn changes(&self, now: Nanos, is_told: bool) -> Vec<Argument> {
        let changes = self.records.iter().flat_map(|kept| {
            let was = Argument::Bytes(kept.was.clone());
            let (value, life) = match (kept.new_at, &kept.record) {
                (None, _) => (Vec::new(), Argument::Word("same")),
                (Some(_), None) => (Vec::new(), Argument::Word("")),
                (Some(new_at), Some(record)) => {
                    let mut value = vec![MARK];
                    record.write(&mut value);
                    let is_for_ever = is_told || new_at == Nanos::MAX;
                    (value, if is_for_ever { Argument::Word("") } else { life(new_at, now) })
                }
            };
            [was, Argument::Bytes(value), life]
        });
        changes.collect()
    }
}

/// The milliseconds until then, never too few: the server counts from the one in which it is.
fn life(until: Nanos, now: Nanos) -> Argument {
    let until = until.get().div_ceil(MILLISECOND.get());
    Argument::Number(until.saturating_sub(now / MILLISECOND).max(1))
}

impl<A: Algorithm> Records<A> for Shelf<A::State> {
    type Error = Infallible;

    fn load(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
    ) -> Result<Option<Record<A::State>>, Infallible> {
        Ok(self.at(&limit.name, key).and_then(|kept| kept.record.clone()))
    }

    fn save(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
        record: Record<A::State>,
        new_at: Nanos,
    ) -> Result<(), Infallible> {
        if let Some(kept) = self.at(&limit.name, key) {
            (kept.record, kept.new_at) = (Some(record), Some(new_at));
        }
        Ok(())
    }

    fn forget(&mut self, limit: &StoredLimit<A>, key: &StoreKey) -> Result<(), Infallible> {
        if let Some(kept) = self.at(&limit.name, key) {
            (kept.record, kept.new_at) = (None, Some(Nanos::ZERO));
        }
        Ok(())
    }
}

impl<S> Shelf<S> {
    fn at(&mut self, limit: &Arc<str>, key: &StoreKey) -> Option<&mut Kept<S>> {
        let place = *self.places.get(&(Arc::clone(limit), key.clone()))?;
        self.records.get_mut(place)
    }
}
