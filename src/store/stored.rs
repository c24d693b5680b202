//! Records as bytes.

use super::Record;
use crate::{algorithm::StoredState, decision::Grant, nanos::Nanos};

/// The interval, the last reservation, the slots that went back after their number, and the state.
impl<S: StoredState> StoredState for Record<S> {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.interval.write(bytes);
        self.ahead.write(bytes);
        (self.free.len() as u64).write(bytes);
        self.free.iter().for_each(|grant| grant.write(bytes));
        self.state.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (interval, ahead) = (Nanos::read(bytes)?, Nanos::read(bytes)?);
        // Grown with the grants that are there, whatever their number is said to be.
        let free = (0..u64::read(bytes)?).map(|_| Grant::read(bytes));
        let free = free.collect::<Option<Vec<_>>>()?;
        let in_order = free.is_sorted_by_key(|grant| (grant.at, grant.cost));
        let state = S::read(bytes).filter(|_| in_order)?;
        Some(Self { state, ahead, free, interval })
    }
}
