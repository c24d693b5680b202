//! Going on with the states of an earlier limiter.

use super::{Builder, KeyedRateLimiter, ManyLimits, RateLimiter};
use crate::{
    algorithm::{Algorithm, StoredState},
    clock::{WallTime, passed, wall_time},
    invalid::Invalid,
    nanos::Nanos,
    store::{
        snapshot::{Snapshot, read_bytes},
        table::Fingerprint,
        table::KeptKey,
    },
};
use std::{fmt::Display, str::FromStr};

impl<A: Algorithm<State: StoredState> + Display + FromStr> Builder<A> {
    /// Builds the limiter, which goes on from where an earlier one stood.
    ///
    /// Its clock shows what the earlier one's showed when the snapshot was taken, and the time of
    /// day that has passed since; where the time of day was set back meanwhile, no time has
    /// passed, and callers wait longer than they had to.
    ///
    /// The parameters of the algorithm may be others by now: what is outstanding stays
    /// outstanding, as with [`set_algorithm`](RateLimiter::set_algorithm). An
    /// [`AnyAlgorithm`](crate::AnyAlgorithm) may be of another kind, too.
    ///
    /// An algorithm of your own is told apart from others by how it is [printed](Display) and
    /// [read](FromStr); it does not read what another one prints.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_ratelimit::{ManualClock, Quota, Rate, RateLimiter, Strict};
    ///
    /// let limit = Strict::new(Rate::per_hour(1)?);
    /// let before = RateLimiter::new(limit);
    /// before.try_acquire().expect("the first call");
    /// let snapshot = before.snapshot();
    ///
    /// // The machine was off for 20 minutes.
    /// let later = snapshot.taken_at() + Duration::from_secs(20 * 60);
    /// let clock = ManualClock::new();
    /// let after = RateLimiter::builder(limit).clock(clock.clone()).restore_at(&snapshot, later)?;
    /// let refused = after.try_acquire().unwrap_err();
    /// assert!(refused.retry_after() <= Some(Duration::from_secs(40 * 60)));
    ///
    /// assert!(RateLimiter::builder(Quota::new(5)?).restore(&snapshot).is_err());
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the snapshot is of another kind of algorithm, or of limits per key.
    pub fn restore(self, snapshot: &Snapshot) -> Result<RateLimiter<A>, Invalid> {
        self.restore_at(snapshot, wall_time())
    }

    /// Restores the limiter at this time of day: where it is known better than by the system's
    /// clock, and for tests.
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub fn restore_at(self, snapshot: &Snapshot, now: WallTime) -> Result<RateLimiter<A>, Invalid> {
        if snapshot.head().seed.is_some() {
            return Err(Snapshot::invalid("of limits per key", "of a single limit"));
        }
        let (builder, mut states) = self.go_on(snapshot, now)?;
        let state = states.state(&builder.algorithm, A::carry_over)?;
        states.end()?;
        let limiter = builder.build();
        if let Some(state) = state {
            limiter.shared().lanes.restore(limiter.key(), state);
        }
        Ok(limiter)
    }
}

impl<A: Algorithm<State: StoredState> + Display + FromStr> Builder<A, ManyLimits> {
    /// Builds the limiter, which goes on from where an earlier one stood: as for a
    /// [single limit](Builder#method.restore), key by key.
    ///
    /// Keys that were in use are kept even if they are more than [`max_keys`](Self::max_keys); no
    /// further ones are then, until enough of them equal new ones.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the snapshot is of another kind of algorithm, or of a single limit.
    pub fn restore(self, snapshot: &Snapshot) -> Result<KeyedRateLimiter<A>, Invalid> {
        self.restore_at(snapshot, wall_time())
    }

    /// Restores the limiter at this time of day: where it is known better than by the system's
    /// clock, and for tests.
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub fn restore_at(
        self,
        snapshot: &Snapshot,
        now: WallTime,
    ) -> Result<KeyedRateLimiter<A>, Invalid> {
        let seed = snapshot.head().seed;
        let seed =
            seed.ok_or_else(|| Snapshot::invalid("of a single limit", "of limits per key"))?;
        let (builder, mut states) = self.go_on(snapshot, now)?;
        let limiter = builder.build_with(seed);
        let lanes = &limiter.shared().lanes;
        let algorithm = limiter.algorithm();
        for _ in 0..states.read::<u64>()? {
            let key: Fingerprint = states.read()?;
            if let Some(state) = states.state(&algorithm, A::carry_over_unattended)?
                && !lanes.restore(key, state)
            {
                return Err(Snapshot::damaged());
            }
        }
        if states.read()? {
            for _ in 0..states.read::<u64>()? {
                // Whoever is asked for is noted, where keys are listed.
                let name = read_bytes(&mut states.bytes).ok_or_else(Snapshot::damaged)?;
                lanes.fingerprint(&KeptKey::new(name));
            }
        }
        states.end()?;
        Ok(limiter)
    }
}

impl<A: Algorithm<State: StoredState> + Display + FromStr, K> Builder<A, K> {
    /// Sets the clock to where the snapshot's has come, and opens the snapshot.
    fn go_on(
        mut self,
        snapshot: &Snapshot,
        now: WallTime,
    ) -> Result<(Self, States<'_, A>), Invalid> {
        let head = snapshot.head();
        let ours = self.algorithm.to_string();
        let mut new = Vec::new();
        A::State::default().write(&mut new);
        let before = head.algorithm.parse().ok().filter(|_| head.new == new);
        let Some(before) = before else {
            let theirs = format_args!("of the limit {:?}", head.algorithm).to_string();
            return Err(Snapshot::invalid(theirs, format_args!("of the kind of {ours:?}")));
        };
        let then = head.instant + passed(snapshot.taken_at(), now).into();
        let clock = self.settings.clock.showing(then);
        let now = clock.now();
        self.settings.clock = clock;
        let before = (ours != head.algorithm).then_some(before);
        Ok((self, States { before, now, bytes: snapshot.states() }))
    }
}

/// The states in a snapshot that were not read yet.
struct States<'a, A> {
    /// The arithmetic that they went by, where it is not that of the new limiter.
    before: Option<A>,
    /// What the clock of the new limiter shows.
    now: Nanos,
    bytes: &'a [u8],
}

impl<A: Algorithm<State: StoredState>> States<'_, A> {
    /// The next state, for a limiter that goes by `algorithm`; `None` if it equals new by now.
    fn state(
        &mut self,
        algorithm: &A,
        carry_over: fn(&A, &A, &mut A::State, Nanos),
    ) -> Result<Option<A::State>, Invalid> {
        let mut state: A::State = self.read()?;
        state.end_calls(self.now);
        if let Some(before) = &self.before {
            carry_over(algorithm, before, &mut state, self.now);
        }
        Ok((algorithm.new_at(&state) > self.now).then_some(state))
    }

    fn read<S: StoredState>(&mut self) -> Result<S, Invalid> {
        S::read(&mut self.bytes).ok_or_else(Snapshot::damaged)
    }

    /// Nothing may be left.
    fn end(self) -> Result<(), Invalid> {
        self.bytes.is_empty().then_some(()).ok_or_else(Snapshot::damaged)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::{
        algorithm::AnyAlgorithm,
        clock::ManualClock,
        invalid::Invalid,
        limiter::{KeyedRateLimiter, RateLimiter},
        store::snapshot::Snapshot,
    };
    use proptest::prelude::*;

    /// States that were made up: damage ends at the checksum, these come through.
    fn forged() -> impl Strategy<Value = Vec<u8>> {
        let byte = || prop_oneof![4 => Just(0), 2 => 1..3_u8, 1 => any::<u8>()];
        prop::collection::vec(byte(), 0..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn states_that_were_made_up_are_refused_or_gone_on_with(
            states in forged(),
            line in prop::sample::select(vec![
                "strict 1/s",
                "token bucket 3/s, capacity 5",
                "sliding window 5/s",
                "concurrency 2",
                "serialized 2/s",
            ]),
        ) {
            let limit: AnyAlgorithm = line.parse()?;
            let builder = || RateLimiter::builder(limit.clone()).clock(ManualClock::new());
            let snapshot = Snapshot::new(builder().build().snapshot().head().clone(), &states);
            if let Ok(limiter) = builder().restore(&snapshot) {
                let _ = limiter.try_acquire();
                let _ = limiter.snapshot();
            }
            let builder = || {
                let builder = KeyedRateLimiter::builder(limit.clone());
                builder.clock(ManualClock::new()).list_keys()
            };
            let snapshot = Snapshot::new(builder().build().snapshot().head().clone(), &states);
            if let Ok(limiter) = builder().restore(&snapshot) {
                let _ = limiter.key("alice").try_acquire();
                let _ = (limiter.evict(), limiter.list(), limiter.snapshot());
            }
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() -> Result<(), Invalid> {
        let limit: AnyAlgorithm = "quota 5".parse()?;
        let limiter = KeyedRateLimiter::new(limit.clone());
        let head = limiter.snapshot().head().clone();
        let restore = |keys: &[u64]| {
            // A key, since when, and a quota of which one is spent.
            let entry =
                |key: &u64| [&key.to_le_bytes()[..], &[0; 8], &[5], &1_u64.to_le_bytes()].concat();
            let number = (keys.len() as u64).to_le_bytes().to_vec();
            let entries = keys.iter().map(entry).collect::<Vec<_>>().concat();
            let snapshot = Snapshot::new(head.clone(), &[number, entries, vec![0]].concat());
            let restored = KeyedRateLimiter::builder(limit.clone()).restore(&snapshot);
            restored.map(|limiter| limiter.keys())
        };
        assert_eq!(restore(&[7, 8]), Ok(2));
        assert_eq!(restore(&[7, 7]), Err(Snapshot::damaged()));
        Ok(())
    }
}
