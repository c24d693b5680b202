//! Deleting what equals new, in passing.

use super::rows::{Place, Rows};
use crate::nanos::Nanos;

/// How many rows are looked at for each one that is added or becomes longer. With more than one, the table
/// is walked through faster than it grows in the long run.
const PER_ROW: usize = 2;

/// How many it has to be for a look at all.
const FEW: usize = 64;

/// How many are looked at in one transaction: it should not take much longer for that.
const MANY: usize = 512;

/// Walks through the table, a few rows at a time, and from the beginning after its end.
#[derive(Debug, Default)]
pub(super) struct Tidying {
    place: Place,
    due: usize,
}

impl Tidying {
    /// To be called when so many rows are to be added or to become longer. Says which were deleted.
    pub(super) fn after(
        &mut self,
        rows: usize,
        table: &mut Rows<'_>,
        now: Nanos,
    ) -> rusqlite::Result<Vec<Place>> {
        self.due = self.due.saturating_add(rows.saturating_mul(PER_ROW));
        if self.due < FEW {
            return Ok(Vec::new());
        }
        let some = self.due.min(MANY);
        let (next, gone) = table.tidy(&self.place, some, now)?;
        self.place = next;
        self.due -= some;
        Ok(gone)
    }
}
