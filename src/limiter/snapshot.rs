//! Writing down the states of a limiter.

use super::{KeyedRateLimiter, RateLimiter, lane::Lane, rules::Rules, shared::Shared};
use crate::{
    algorithm::{Algorithm, StoredState},
    clock::{since_1970, wall_time},
    store::{
        snapshot::{Head, Snapshot, write_bytes},
        table::{Fingerprint, Seed},
    },
};
use std::{fmt::Display, sync::Arc};

impl<A: Algorithm<State: StoredState> + Display> RateLimiter<A> {
    /// Takes a snapshot of the limit as it is now, for
    /// [`Builder::restore`](crate::Builder::restore): see [`Snapshot`].
    ///
    /// Where there are keys, it is that of one key, which is restored as a limit of its own.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared().snapshot_of(self.key())
    }
}

impl<A: Algorithm<State: StoredState> + Display> KeyedRateLimiter<A> {
    /// Takes a snapshot of all keys as they are now, for the
    /// [`restore`](crate::Builder#method.restore-1) of a builder: see [`Snapshot`].
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared().snapshot()
    }
}

impl<A: Algorithm<State: StoredState> + Display> Shared<A> {
    fn snapshot_of(&self, key: Fingerprint) -> Snapshot {
        let algorithm = self.lanes.algorithm_of(key);
        let known = self.lanes.existing(key, |rules, lane| self.state_of(lane, rules, &algorithm));
        let mut bytes = Vec::new();
        known.unwrap_or_default().write(&mut bytes);
        Snapshot::new(self.head(&algorithm, None), &bytes)
    }

    fn snapshot(&self) -> Snapshot {
        let algorithm = self.lanes.rules().algorithm;
        let (mut number, mut states) = (0_u64, Vec::new());
        self.lanes.each(|key, rules, lane| {
            let state = self.state_of(lane, rules, &algorithm);
            if algorithm.new_at(&state) > self.now() {
                number += 1;
                key.write(&mut states);
                state.write(&mut states);
            }
        });
        let mut bytes = Vec::with_capacity(states.len());
        number.write(&mut bytes);
        bytes.append(&mut states);
        let names = self.lanes.names();
        names.is_some().write(&mut bytes);
        if let Some(names) = names {
            (names.len() as u64).write(&mut bytes);
            names.iter().for_each(|name| write_bytes(name.bytes(), &mut bytes));
        }
        Snapshot::new(self.head(&algorithm, self.lanes.seed()), &bytes)
    }

    /// The state of a lane as this arithmetic would go on with it, whatever that of the lane is.
    fn state_of(&self, lane: &Lane<A>, rules: &Rules<A>, algorithm: &Arc<A>) -> A::State {
        let own = lane.own().unwrap_or(&rules.algorithm);
        let now = self.now();
        let mut state = lane.without_line(own, now);
        if !Arc::ptr_eq(own, algorithm) {
            algorithm.carry_over(own, &mut state, now);
        }
        state
    }

    /// Read last, so that no state is of a later instant.
    fn head(&self, algorithm: &A, seed: Option<Seed>) -> Head {
        let mut new = Vec::new();
        A::State::default().write(&mut new);
        Head {
            algorithm: algorithm.to_string(),
            new,
            instant: self.now(),
            taken_at: since_1970(wall_time()),
            seed,
        }
    }
}
