//! Rows that were read or written before, for as long as nobody else writes to the file.

use super::{
    packed::pack,
    rows::{Place, Row},
};
use crate::{
    algorithm::StoredState,
    nanos::Nanos,
    store::{Record, StoreKey},
};
use std::{any::Any, collections::HashMap, mem, sync::Arc};

/// How much is remembered: more than ten thousand rows of most algorithms.
const MOST_BYTES: usize = 4 << 20;

/// What a row takes besides its record and its key.
const ROW_BYTES: usize = 256;

/// The rows that were asked for, as they are in the file, and what is to become of them.
///
/// SQLite has a number that is another one whenever another connection has written. As long as it is
/// the same and all that was written from here is in the file, so are the rows.
#[derive(Default)]
pub(super) struct Remembered {
    /// The number that belongs to the rows; nothing while they may not be in the file like that.
    version: Option<i64>,
    /// By name and key, where they are in the list.
    places: HashMap<Arc<str>, HashMap<Arc<[u8]>, usize>>,
    rows: Vec<Kept>,
    /// Where the one is that was asked for last.
    last: Option<usize>,
    /// Those that were put and not written yet.
    touched: Vec<usize>,
    bytes: usize,
}

/// A record, and what of it is in the file.
pub(super) struct Kept {
    name: Arc<str>,
    key: Arc<[u8]>,
    row: Option<Row>,
    pub(super) record: Option<Box<dyn Written>>,
    pub(super) new_at: Nanos,
    is_touched: bool,
}

/// A record of an algorithm that nobody knows here.
pub(super) trait Written: Any {
    /// As they are in a row.
    fn bytes(&self) -> Vec<u8>;

    /// Whether it is as if there were none.
    fn is_blank(&self) -> bool;
}

/// What is to be written of a record.
pub(super) enum Change {
    Save(Row),
    Delete,
}

impl Remembered {
    /// To be called in each transaction, with the number that it has: forgets what others may have
    /// changed.
    pub(super) fn see(&mut self, version: i64) {
        if self.version != Some(version) || self.bytes > MOST_BYTES {
            *self = Self { version: Some(version), ..Self::default() };
        }
    }

    /// From now on until it is [settled](Self::settle) nobody knows what is in the file.
    pub(super) fn doubt(&mut self) -> Option<i64> {
        self.version.take()
    }

    /// What was to be written is in the file.
    pub(super) fn settle(&mut self, version: Option<i64>) {
        self.version = version;
    }

    /// Where the record of a key is, if it is known.
    pub(super) fn find(&mut self, name: &str, key: &StoreKey) -> Option<usize> {
        // Most are asked for twice in a row, to be loaded and to be saved.
        let is_it = |last: &usize| {
            let kept = &self.rows[*last];
            kept.key() == key.bytes() && kept.name() == name
        };
        if !self.last.as_ref().is_some_and(is_it) {
            self.last = self.places.get(name)?.get(key.bytes()).copied();
        }
        self.last
    }

    /// Remembers what was read.
    pub(super) fn add(&mut self, name: &Arc<str>, key: &StoreKey, row: Option<Row>) -> usize {
        let index = self.rows.len();
        // The bytes alone, as the row has only those.
        let (name, key) = (Arc::clone(name), Arc::<[u8]>::from(key.bytes()));
        self.bytes += ROW_BYTES + key.len() + row.as_ref().map_or(0, |row| row.record.len());
        self.places.entry(Arc::clone(&name)).or_default().insert(Arc::clone(&key), index);
        let (record, new_at, is_touched) = (None, Nanos::ZERO, false);
        let mut kept = Kept { name, key, row, record, new_at, is_touched };
        kept.reset();
        self.rows.push(kept);
        index
    }

    pub(super) fn at(&mut self, index: usize) -> &mut Kept {
        &mut self.rows[index]
    }

    /// What is put there has to be written.
    pub(super) fn touch(&mut self, index: usize) -> &mut Kept {
        let kept = &mut self.rows[index];
        if !mem::replace(&mut kept.is_touched, true) {
            self.touched.push(index);
        }
        kept
    }

    /// Everything is as it is in the file.
    pub(super) fn undo(&mut self) {
        for index in self.touched.drain(..) {
            self.rows[index].reset();
        }
    }

    /// What is to be written, and where.
    pub(super) fn changes(&mut self) -> Vec<(usize, Change)> {
        let rows = &mut self.rows;
        let changes = self.touched.drain(..).filter_map(|index| {
            let kept = &mut rows[index];
            kept.is_touched = false;
            Some((index, kept.change(kept.record.as_deref(), kept.new_at)?))
        });
        changes.collect()
    }

    /// The row is in the file like that.
    pub(super) fn is_written(&mut self, index: usize, row: Option<Row>) {
        let length = |row: &Option<Row>| row.as_ref().map_or(0, |row| row.record.len());
        let kept = &mut self.rows[index];
        self.bytes = (self.bytes + length(&row)).saturating_sub(length(&kept.row));
        kept.row = row;
    }

    /// These rows are no longer in the file.
    pub(super) fn are_gone(&mut self, gone: &[Place]) {
        self.last = None;
        for Place { name, key } in gone {
            // What is kept of them in the list goes with all others.
            self.places.get_mut(&**name).and_then(|keys| keys.remove(&**key));
        }
    }
}

impl Kept {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Puts a record in the place of the one that is there, where there is room for it already.
    pub(super) fn put<S: StoredState + Default + 'static>(
        &mut self,
        record: Record<S>,
        new_at: Nanos,
    ) {
        self.new_at = new_at;
        match self.known() {
            Some(known) => *known = record,
            None => self.record = Some(Box::new(record)),
        }
    }

    /// The record, where it is one of these states.
    pub(super) fn known<S: 'static>(&mut self) -> Option<&mut Record<S>> {
        (&mut **self.record.as_mut()? as &mut dyn Any).downcast_mut()
    }

    /// Whether this change takes room in the file.
    pub(super) fn grows(&self, change: &Change) -> bool {
        match (change, &self.row) {
            (Change::Save(row), Some(before)) => row.record.len() > before.record.len(),
            (Change::Save(_), None) => true,
            (Change::Delete, _) => false,
        }
    }

    /// What would have to be written for this record, if anything.
    pub(super) fn change(&self, record: Option<&dyn Written>, new_at: Nanos) -> Option<Change> {
        let Some(record) = record else {
            return self.row.as_ref().map(|_| Change::Delete);
        };
        let bytes = record.bytes();
        let is_there = match &self.row {
            Some(row) => row.record == bytes,
            None => record.is_blank(),
        };
        (!is_there).then_some(Change::Save(Row { new_at, record: bytes }))
    }

    fn reset(&mut self) {
        let row = self.row.as_ref();
        self.new_at = row.map_or(Nanos::ZERO, |row| row.new_at);
        self.record = row.map(|row| Box::new(row.record.clone()) as Box<dyn Written>);
        self.is_touched = false;
    }
}

impl<S: StoredState + Default + 'static> Written for Record<S> {
    fn bytes(&self) -> Vec<u8> {
        // As much as most need, so that it does not grow.
        let mut bytes = Vec::with_capacity(size_of::<Self>());
        self.write(&mut bytes);
        pack(&bytes)
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

#[cfg(test)]
mod tests {
    use super::{Change, Place, Remembered, Row};
    use crate::{nanos::Nanos, store::StoreKey};
    use std::sync::Arc;

    #[test]
    fn a_row_that_is_gone_is_not_found_though_it_was_asked_for_last() {
        let (mut remembered, name) = (Remembered::default(), Arc::from("limit"));
        let [key, other] = ["a", "b"].map(StoreKey::new);
        let row = Row { new_at: Nanos::ZERO, record: Vec::new() };
        let index = remembered.add(&name, &key, Some(row));
        for _ in 0..2 {
            assert_eq!(remembered.find(&name, &other), None);
            assert_eq!(remembered.find(&name, &key), Some(index));
            assert_eq!(remembered.find("another", &key), None);
            assert_eq!(remembered.find(&name, &key), Some(index));
        }
        let place = Place { name: name.to_string(), key: key.bytes().to_vec() };
        remembered.are_gone(&[place]);
        assert_eq!(remembered.find(&name, &key), None);
    }

    #[test]
    fn what_takes_room_is_a_row_that_is_new_or_longer() {
        let (mut remembered, name) = (Remembered::default(), Arc::from("limit"));
        let row = |record: &[u8]| Row { new_at: Nanos::ZERO, record: record.to_vec() };
        let [old, new] = ["old", "new"].map(StoreKey::new);
        let old = remembered.add(&name, &old, Some(row(&[1, 2])));
        let new = remembered.add(&name, &new, None);
        let mut grows = |index: usize, change: Change| remembered.at(index).grows(&change);
        let cases = [
            (new, Change::Save(row(&[1]))),
            (old, Change::Save(row(&[1, 2, 3]))),
            (old, Change::Save(row(&[2, 1]))),
            (old, Change::Delete),
        ];
        assert_eq!(cases.map(|(index, change)| grows(index, change)), [true, true, false, false]);
    }
}
