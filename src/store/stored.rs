//! Records as bytes.

use super::Record;
use crate::{
    algorithm::{Measure, StoredState},
    decision::Grant,
    nanos::Nanos,
};

/// The measure, the number of slots that went back, the last reservation, those slots, and the state.
impl<S: StoredState> StoredState for Record<S> {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.measure.interval.write(bytes);
        self.measure.capacity.write(bytes);
        // There are few.
        (self.free.len() as u32).write(bytes);
        self.ahead.write(bytes);
        self.free.iter().for_each(|grant| grant.write(bytes));
        self.state.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let measure = Measure { interval: Nanos::read(bytes)?, capacity: u32::read(bytes)? };
        let (number, ahead) = (u32::read(bytes)?, Nanos::read(bytes)?);
        // Grown with the grants that are there, whatever their number is said to be.
        let free = (0..number).map(|_| Grant::read(bytes));
        let free = free.collect::<Option<Vec<_>>>()?;
        let in_order = free.is_sorted_by_key(|grant| (grant.at, grant.cost));
        let state = S::read(bytes).filter(|_| in_order)?;
        Some(Self { state, ahead, free, measure })
    }
}
