//! The records that are asked for at the same time.

use super::{
    rows::{Row, Rows},
    tidying::Tidying,
};
use crate::{
    algorithm::{Algorithm, StoredState},
    nanos::Nanos,
    store::{Record, Records, StoreError, StoreKey, StoredLimit},
};
use std::{any::Any, collections::HashMap, sync::Arc};

/// The records of a round. Each is read once and written once, however many ask for it.
pub(super) struct Round<'r, 'c> {
    rows: &'r mut Rows<'c>,
    access: Access,
    /// The time of the file.
    host: Nanos,
    /// The instant at which is decided.
    now: Nanos,
    /// The earliest of those: what equals new then did so for everybody.
    earliest: Nanos,
    /// Whether the time of the file was told to anybody.
    is_told: bool,
    kept: HashMap<Arc<str>, HashMap<StoreKey, Kept>>,
}

/// What may be done with the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Why an ask was not decided.
pub(super) enum Halt {
    /// It has something to write, and only reading is allowed.
    Writes,
    /// It cannot be decided.
    Fails(StoreError),
}

/// A record, and what of it is in the file.
struct Kept {
    row: Option<Row>,
    record: Option<Box<dyn Written>>,
    new_at: Nanos,
}

/// A record of an algorithm that nobody knows here.
trait Written: Any {
    fn bytes(&self) -> Vec<u8>;

    /// Whether it is as if there were none.
    fn is_blank(&self) -> bool;
}

impl<'r, 'c> Round<'r, 'c> {
    /// A round in a transaction that has begun, at the time of the file.
    pub(super) fn new(rows: &'r mut Rows<'c>, access: Access, host: Nanos) -> Self {
        let (now, earliest, is_told) = (host, Nanos::MAX, false);
        Self { rows, access, host, now, earliest, is_told, kept: HashMap::new() }
    }

    /// The instant for those who are decided next: the time of the file, unless they were given
    /// one.
    pub(super) fn next(&mut self, given: Option<Nanos>) -> Nanos {
        self.is_told |= given.is_none();
        self.now = given.unwrap_or(self.host);
        self.earliest = self.earliest.min(self.now);
        self.now
    }

    /// Begins again, as if nobody had asked.
    pub(super) fn undo(&mut self) {
        self.kept.clear();
        self.earliest = Nanos::MAX;
        self.is_told = false;
    }

    /// Writes what has changed.
    pub(super) fn write(self, tidying: &mut Tidying) -> rusqlite::Result<()> {
        let Self { rows, host, earliest, is_told, kept, .. } = self;
        let all = kept.iter().flat_map(|(name, keys)| keys.iter().map(move |key| (name, key)));
        let changed: Vec<_> = all.filter(|(_, (_, kept))| kept.is_changed()).collect();
        if changed.is_empty() {
            return Ok(());
        }
        // Before anything is added: it makes room.
        tidying.after(changed.len(), rows, earliest)?;
        for (name, (key, kept)) in changed {
            match &kept.record {
                Some(record) => {
                    let row = Row { new_at: kept.new_at, record: record.bytes() };
                    rows.save(name, key, &row)?;
                }
                None => rows.delete(name, key)?,
            }
        }
        if is_told { rows.set_latest(host) } else { Ok(()) }
    }

    /// The record of a key as it is kept, read from the file if this is the first to ask.
    fn kept(&mut self, name: &Arc<str>, key: &StoreKey) -> Result<&mut Kept, Halt> {
        let keys = self.kept.entry(Arc::clone(name)).or_default();
        if !keys.contains_key(key) {
            let row = self.rows.load(name, key).map_err(StoreError::new).map_err(Halt::Fails)?;
            keys.insert(key.clone(), Kept::new(row));
        }
        Ok(keys.get_mut(key).expect("it has been put there if it was not"))
    }

    fn put(
        &mut self,
        name: &Arc<str>,
        key: &StoreKey,
        record: Option<Box<dyn Written>>,
        new_at: Nanos,
    ) -> Result<(), Halt> {
        let access = self.access;
        let kept = self.kept(name, key)?;
        (kept.record, kept.new_at) = (record, new_at);
        match access {
            Access::Read if kept.is_changed() => Err(Halt::Writes),
            _ => Ok(()),
        }
    }
}

impl<A> Records<A> for Round<'_, '_>
where
    A: Algorithm,
    A::State: StoredState,
{
    type Error = Halt;

    fn load(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
    ) -> Result<Option<Record<A::State>>, Halt> {
        let now = self.now;
        let kept = self.kept(&limit.name, key)?;
        let Some(written) = &kept.record else {
            return Ok(None);
        };
        if let Some(record) = (&**written as &dyn Any).downcast_ref::<Record<A::State>>() {
            return Ok(Some(record.clone()));
        }
        let record: Option<Record<A::State>> = read(&written.bytes());
        match &record {
            Some(record) => kept.record = Some(Box::new(record.clone())),
            // Whatever wrote it, it is as if there were none.
            None if kept.new_at <= now => {}
            None => return Err(Halt::Fails(StoreError::new(unreadable(&limit.name)))),
        }
        Ok(record)
    }

    fn save(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
        record: Record<A::State>,
        new_at: Nanos,
    ) -> Result<(), Halt> {
        self.put(&limit.name, key, Some(Box::new(record)), new_at)
    }

    fn forget(&mut self, limit: &StoredLimit<A>, key: &StoreKey) -> Result<(), Halt> {
        self.put(&limit.name, key, None, Nanos::ZERO)
    }
}

impl Kept {
    fn new(row: Option<Row>) -> Self {
        let new_at = row.as_ref().map_or(Nanos::ZERO, |row| row.new_at);
        let record = row.as_ref().map(|row| Box::new(row.record.clone()) as Box<dyn Written>);
        Self { row, record, new_at }
    }

    fn is_changed(&self) -> bool {
        match (&self.row, &self.record) {
            (None, None) => false,
            (Some(_), None) => true,
            (None, Some(record)) => !record.is_blank(),
            (Some(row), Some(record)) => row.record != record.bytes(),
        }
    }
}

impl<S: StoredState + Default + 'static> Written for Record<S> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    fn is_blank(&self) -> bool {
        self.bytes() == Self::default().bytes()
    }
}

/// One that nobody has read yet.
impl Written for Vec<u8> {
    fn bytes(&self) -> Vec<u8> {
        self.clone()
    }

    fn is_blank(&self) -> bool {
        false
    }
}

/// Reads a record that is all of these bytes.
fn read<S: StoredState>(mut bytes: &[u8]) -> Option<Record<S>> {
    Record::read(&mut bytes).filter(|_| bytes.is_empty())
}

fn unreadable(name: &str) -> String {
    format!(
        "what is kept of a key of the limit {name:?} is of another algorithm: \
        give the limit another name, or delete its rows"
    )
}
