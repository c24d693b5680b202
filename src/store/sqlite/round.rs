//! The records that are asked for at the same time.

use super::{
    packed::unpack,
    remembered::{Change, Remembered},
    rows::Rows,
    tidying::Tidying,
};
use crate::{
    algorithm::{Algorithm, StoredState},
    nanos::Nanos,
    store::{Record, Records, StoreError, StoreKey, StoredLimit, Unreadable},
};
use std::sync::Arc;

/// The records of a round. Each is read once, if it is not known from earlier ones, and written once,
/// however many ask for it.
pub(super) struct Round<'r, 'c> {
    rows: &'r mut Rows<'c>,
    remembered: &'r mut Remembered,
    access: Access,
    /// The time of the file.
    host: Nanos,
    /// The instant at which is decided.
    now: Nanos,
    /// The earliest of those: what equals new then did so for everybody.
    earliest: Nanos,
    /// Whether the time of the file was told to anybody.
    is_told: bool,
}

/// What may be done with the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Those that are remembered are looked at, whatever is in the file by now.
    Recall,
    Read,
    Write,
}

/// Why an ask was not decided.
pub(super) enum Halt {
    /// It has something to write, and only reading is allowed.
    Writes,
    /// It asks for what is not remembered, and nothing else is allowed.
    Unknown,
    /// It cannot be decided.
    Fails(StoreError),
}

impl<'r, 'c> Round<'r, 'c> {
    /// A round in a transaction that has begun, at the time of the file; of what is
    /// [remembered](Access::Recall) in none, at that of the host.
    pub(super) fn new(
        rows: &'r mut Rows<'c>,
        remembered: &'r mut Remembered,
        access: Access,
        host: Nanos,
    ) -> Self {
        Self { rows, remembered, access, host, now: host, earliest: Nanos::MAX, is_told: false }
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
        self.remembered.undo();
        self.earliest = Nanos::MAX;
        self.is_told = false;
    }

    /// Writes what has changed. Whether that is anything.
    pub(super) fn write(self, tidying: &mut Tidying) -> rusqlite::Result<bool> {
        let Self { rows, remembered, host, earliest, is_told, .. } = self;
        if rows.have_ended() {
            // Without the transaction others may have written since. To commit it is an error.
            return rows.commit().map(|()| false);
        }
        let changes = remembered.changes();
        if changes.is_empty() {
            return Ok(false);
        }
        // Before that, as it makes room.
        let growing = changes.iter().filter(|(index, change)| remembered.at(*index).grows(change));
        let growing = growing.count();
        remembered.are_gone(&tidying.after(growing, rows, earliest)?);
        for (index, change) in changes {
            let kept = remembered.at(index);
            let row = match change {
                Change::Save(row) => {
                    rows.save(kept.name(), kept.key(), &row)?;
                    Some(row)
                }
                Change::Delete => {
                    rows.delete(kept.name(), kept.key())?;
                    None
                }
            };
            remembered.is_written(index, row);
        }
        if is_told {
            rows.set_latest(host)?;
        }
        Ok(true)
    }

    /// Where the record of a key is kept, read from the file if this is the first to ask.
    fn kept(&mut self, name: &Arc<str>, key: &StoreKey) -> Result<usize, Halt> {
        if let Some(index) = self.remembered.find(name, key) {
            return Ok(index);
        }
        if self.access == Access::Recall {
            return Err(Halt::Unknown);
        }
        let row = self.rows.load(name, key).map_err(StoreError::new).map_err(Halt::Fails)?;
        Ok(self.remembered.add(name, key, row))
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
        let index = self.kept(&limit.name, key)?;
        let kept = self.remembered.at(index);
        if let Some(known) = kept.known() {
            return Ok(Some(known.clone()));
        }
        let Some(written) = &kept.record else {
            return Ok(None);
        };
        let record: Option<Record<A::State>> = read(&written.bytes());
        match &record {
            Some(record) => kept.record = Some(Box::new(record.clone())),
            // Whatever wrote it, it is as if there were none.
            None if kept.new_at <= now => {}
            None => return Err(Halt::Fails(StoreError::new(Unreadable::new(&limit.name)))),
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
        let index = self.kept(&limit.name, key)?;
        match self.access {
            Access::Write => self.remembered.touch(index).put(record, new_at),
            Access::Recall | Access::Read => {
                let change = self.remembered.at(index).change(Some(&record), new_at);
                return change.map_or(Ok(()), |_| Err(Halt::Writes));
            }
        }
        Ok(())
    }

    fn forget(&mut self, limit: &StoredLimit<A>, key: &StoreKey) -> Result<(), Halt> {
        let index = self.kept(&limit.name, key)?;
        match self.access {
            Access::Write => {
                let kept = self.remembered.touch(index);
                (kept.record, kept.new_at) = (None, Nanos::ZERO);
            }
            Access::Recall | Access::Read => {
                let change = self.remembered.at(index).change(None, Nanos::ZERO);
                return change.map_or(Ok(()), |_| Err(Halt::Writes));
            }
        }
        Ok(())
    }
}

/// Reads a record that is all of these bytes of a row.
fn read<S: StoredState>(bytes: &[u8]) -> Option<Record<S>> {
    let bytes = unpack(bytes)?;
    let mut rest = &bytes[..];
    Record::read(&mut rest).filter(|_| rest.is_empty())
}
