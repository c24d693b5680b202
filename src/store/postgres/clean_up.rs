//! Forgetting what equals new.

use super::{
    connection::{Lent, Parameter},
    table::Table,
};
use crate::store::StoreError;
use deadpool_postgres::Pool;
use std::sync::{Mutex, PoisonError};
use tokio_postgres::types::Type;

/// After how many new records some are looked at in passing.
const NOW_AND_THEN: usize = 100;

/// How many records that is: twice as many as are put into the table, so that the walk through it is
/// faster than it can grow.
const SOME: i32 = 2 * NOW_AND_THEN as i32;

/// How many records are looked at in one step when all of them are to be.
const MANY: i32 = 1000;

/// The limit and the key of a record, as they are in the table.
type Place = (Vec<u8>, Vec<u8>);

/// How far the clean-up in passing has come.
#[derive(Default)]
pub(super) struct CleanUp(Mutex<(usize, Place)>);

impl CleanUp {
    /// Takes a step if it is time, where so many records may have been put into the table. Failures are
    /// left to those who ask something. A caller waits behind it whose permits are taken already: it is
    /// put off when others have all connections.
    pub(super) async fn pass(&self, pool: &Pool, table: &Table, added: usize) {
        if let Some(place) = self.due(added)
            && let Ok(lent) = Lent::idle(pool).await
            && let Ok((_, Some(next))) = step(lent, table, &place, SOME).await
        {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = next;
        }
    }

    /// Where to go on if it is time for a step. Unless somebody says otherwise, the next one begins
    /// anew.
    fn due(&self, added: usize) -> Option<Place> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (records, place) = &mut *guard;
        *records += added;
        if *records < NOW_AND_THEN {
            return None;
        }
        *records = 0;
        Some(std::mem::take(place))
    }
}

/// Goes through the whole table, and says how many records were forgotten.
pub(super) async fn all(pool: &Pool, table: &Table) -> Result<u64, StoreError> {
    let mut sum = 0;
    let mut place = Some(Place::default());
    while let Some(last) = place {
        let (forgotten, next) = step(Lent::from(pool).await?, table, &last, MANY).await?;
        sum += forgotten;
        place = next;
    }
    Ok(sum)
}

/// Looks at this many records, from this place on. Says how many were forgotten, and where to go on
/// if it is not the end.
async fn step(
    lent: Lent,
    table: &Table,
    (name, key): &Place,
    most: i32,
) -> Result<(u64, Option<Place>), StoreError> {
    // The clock of the server.
    let now: Option<i64> = None;
    let parameters: [Parameter<'_>; 4] =
        [(&now, Type::INT8), (name, Type::BYTEA), (key, Type::BYTEA), (&most, Type::INT4)];
    let row = lent.ask(&table.forget, &parameters).await?;
    let forgotten: i64 = row.try_get(0).map_err(StoreError::new)?;
    let next: Option<Vec<u8>> = row.try_get(1).map_err(StoreError::new)?;
    let next_key: Option<Vec<u8>> = row.try_get(2).map_err(StoreError::new)?;
    Ok((u64::try_from(forgotten).unwrap_or_default(), next.zip(next_key)))
}
