//! Records as bytes, for algorithms that the database cannot run.

use super::{
    PostgresStore,
    connection::{self, Parameter},
    request::{microseconds, place},
    task::in_a_task,
};
use crate::{
    algorithm::{Algorithm, StoredState},
    nanos::Nanos,
    store::{Answer, Batch, Record, Records, Store, StoreError, StoreKey, StoredLimit, Unreadable},
};
use std::collections::BTreeMap;
use tokio_postgres::{Row, types::Type};

/// How often a batch is decided before it is given up.
const TRIES: usize = 50;

/// A [`Store`] in a table of Postgres for any algorithm whose state can be
/// [written down](StoredState): it is decided here, by the clock of the server.
///
/// A batch is two statements: its records are read, and those that change are written if no other
/// process has changed them in between; otherwise it begins anew. After 50 times it is an error,
/// and nothing was taken. A refusal only reads. Records that equal new ones are forgotten in
/// passing, as those of [`PostgresStore`] are. Algorithms that the database can
/// [run](crate::algorithm::Scripted) by itself are better off with [`PostgresStore`].
///
/// It is made by [`PostgresStore::decided_here`].
#[derive(Clone, Debug)]
pub struct PostgresRecords(pub(super) PostgresStore);

impl<A> Store<A> for PostgresRecords
where
    A: Algorithm<State: StoredState>,
{
    async fn decide(&self, batch: Batch<A>) -> Result<Vec<Answer>, StoreError> {
        let store = self.clone();
        in_a_task(batch.is_in_a_task(), async move { store.run(&batch).await }).await
    }
}

impl PostgresRecords {
    async fn run<A>(&self, batch: &Batch<A>) -> Result<Vec<Answer>, StoreError>
    where
        A: Algorithm<State: StoredState>,
    {
        for _ in 0..TRIES {
            let mut draft = Draft::read(&self.0, batch).await?;
            let answers = batch.answer(draft.now, &mut draft).map_err(StoreError::new)?;
            if draft.write(&self.0).await? {
                if batch.now().is_none() {
                    let PostgresStore { pool, table, clean_up, .. } = &self.0;
                    clean_up.pass(pool, table, draft.added()).await;
                }
                return Ok(answers);
            }
        }
        Err(StoreError::new("others changed the same records each time"))
    }
}

/// The records of a batch as they were read, and as they are to be.
struct Draft {
    now: Nanos,
    places: BTreeMap<(Vec<u8>, Vec<u8>), Place>,
}

#[derive(Default)]
struct Place {
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
    /// In microseconds, rounded up.
    new_at: i64,
}

impl Draft {
    async fn read<A>(store: &PostgresStore, batch: &Batch<A>) -> Result<Self, StoreError> {
        let owned = |(name, key): (&[u8], &[u8])| ((name.to_vec(), key.to_vec()), Place::default());
        let mut places: BTreeMap<_, _> =
            batch.orders().iter().map(|order| owned(place(order))).collect();
        let now = batch.now().map(microseconds);
        let (names, keys): (Vec<&[u8]>, Vec<&[u8]>) =
            places.keys().map(|(name, key)| (&name[..], &key[..])).unzip();
        let parameters: [Parameter<'_>; 3] =
            [(&now, Type::INT8), (&names, Type::BYTEA_ARRAY), (&keys, Type::BYTEA_ARRAY)];
        let row = connection::ask(&store.pool, &store.table.read, &parameters).await?;
        let (now, records) = now_and_records(&row).map_err(StoreError::new)?;
        for (place, record) in places.values_mut().zip(records) {
            (place.before, place.after) = (record.clone(), record);
        }
        // A clock that is set to before 1970 stands still.
        let now = u64::try_from(now).unwrap_or_default().saturating_mul(1000);
        Ok(Self { now: Nanos::new(now), places })
    }

    /// Whether nobody was faster.
    async fn write(&self, store: &PostgresStore) -> Result<bool, StoreError> {
        let (names, keys): (Vec<&[u8]>, Vec<&[u8]>) =
            self.changed().map(|((name, key), _)| (&name[..], &key[..])).unzip();
        if keys.is_empty() {
            return Ok(true);
        }
        let before: Vec<_> = self.changed().map(|(_, place)| place.before.as_deref()).collect();
        let after: Vec<_> = self.changed().map(|(_, place)| place.after.as_deref()).collect();
        let new_at: Vec<i64> = self.changed().map(|(_, place)| place.new_at).collect();
        let parameters: [Parameter<'_>; 5] = [
            (&names, Type::BYTEA_ARRAY),
            (&keys, Type::BYTEA_ARRAY),
            (&before, Type::BYTEA_ARRAY),
            (&after, Type::BYTEA_ARRAY),
            (&new_at, Type::INT8_ARRAY),
        ];
        connection::try_once(&store.pool, &store.table.swap, &parameters).await
    }

    fn changed(&self) -> impl Iterator<Item = (&(Vec<u8>, Vec<u8>), &Place)> {
        self.places.iter().filter(|(_, place)| place.before != place.after)
    }

    /// How many records were put into the table; one if anything was written at all, so that the
    /// clean-up goes on where all keys are known.
    fn added(&self) -> usize {
        let added = self.changed().filter(|(_, place)| place.before.is_none()).count();
        added.max(self.changed().count().min(1))
    }

    fn place<A>(&mut self, limit: &StoredLimit<A>, key: &StoreKey) -> &mut Place {
        let place = (limit.name.as_bytes().to_vec(), key.bytes().to_vec());
        self.places.entry(place).or_default()
    }
}

type Times = (i64, Vec<Option<Vec<u8>>>);

fn now_and_records(row: &Row) -> Result<Times, tokio_postgres::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

impl<A> Records<A> for Draft
where
    A: Algorithm<State: StoredState>,
{
    type Error = Unreadable;

    fn load(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
    ) -> Result<Option<Record<A::State>>, Unreadable> {
        let bytes = self.place(limit, key).after.as_deref();
        bytes.map(|bytes| read(bytes).ok_or_else(|| Unreadable::new(&limit.name))).transpose()
    }

    fn save(
        &mut self,
        limit: &StoredLimit<A>,
        key: &StoreKey,
        record: Record<A::State>,
        new_at: Nanos,
    ) -> Result<(), Unreadable> {
        let place = self.place(limit, key);
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        place.after = Some(bytes);
        place.new_at = microseconds(new_at.up_to_microseconds());
        Ok(())
    }

    fn forget(&mut self, limit: &StoredLimit<A>, key: &StoreKey) -> Result<(), Unreadable> {
        self.place(limit, key).after = None;
        Ok(())
    }
}

fn read<S: StoredState>(mut bytes: &[u8]) -> Option<Record<S>> {
    Record::read(&mut bytes).filter(|_| bytes.is_empty())
}
