//! The states of the keys of one limit: bounded, and forgotten exactly.

use super::limit::{Birth, Limit};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Decision},
    limiter::{Standing, standing},
    meters::KeyMeter,
    nanos::Nanos,
    rate::Rate,
    store::table::{Fingerprint, Identity},
};
use std::{
    any::{Any, type_name},
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::BuildHasherDefault,
    mem,
    sync::Arc,
};

/// How many keys a new one looks at to find some that can go.
const EVICTIONS: usize = 3;

type ByKey<V> = HashMap<Fingerprint, V, BuildHasherDefault<Identity>>;

pub(super) struct Kept<A: Algorithm> {
    algorithm: Arc<A>,
    entries: ByKey<Entry<A::State>>,
    /// When to look whether a key can go, never after the instant at which it can. Those that do
    /// not agree with their entry have been replaced by earlier ones.
    appointments: BinaryHeap<Reverse<(Nanos, Fingerprint)>>,
    imagined: ByKey<A::State>,
    max_keys: usize,
    /// How many states there were.
    births: u64,
    meter: KeyMeter,
}

struct Entry<S> {
    state: S,
    birth: Birth,
    /// How many calls need it to stay, whatever its state.
    pins: usize,
    /// Its appointment; [`Nanos::MAX`] for none.
    due: Nanos,
}

impl<A: Algorithm> Kept<A> {
    /// A limit that was never used yet.
    pub(super) fn new(algorithm: A, max_keys: usize, meter: KeyMeter) -> Self {
        Self {
            algorithm: Arc::new(algorithm),
            entries: ByKey::default(),
            appointments: BinaryHeap::new(),
            imagined: ByKey::default(),
            max_keys,
            births: 0,
            meter,
        }
    }

    /// The key that stands for those without room is not counted.
    fn is_full(&self) -> bool {
        let overflow = usize::from(self.entries.contains_key(&Fingerprint::OVERFLOW));
        self.entries.len() - overflow >= self.max_keys
    }

    /// Looks at up to `most` keys whose time has come, and drops those that equal new ones.
    fn look_at(&mut self, most: usize, now: Nanos) -> usize {
        let before = self.entries.len();
        for _ in 0..most {
            let Some(&Reverse((due, key))) = self.appointments.peek() else {
                break;
            };
            if due > now {
                break;
            }
            self.appointments.pop();
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.due == due) else {
                continue;
            };
            entry.due = Nanos::MAX;
            self.tidy(key, now);
        }
        before - self.entries.len()
    }

    /// Forgets a key as soon as it equals a new one, unless somebody keeps it.
    fn tidy(&mut self, key: Fingerprint, now: Nanos) {
        let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.pins == 0) else {
            return;
        };
        let new_at = self.algorithm.new_at(&entry.state);
        if new_at <= now {
            self.forget(key);
        } else if new_at < entry.due {
            entry.due = new_at;
            self.appointments.push(Reverse((new_at, key)));
            self.compact();
        }
    }

    /// Drops the appointments that do not stand any more, once they are the most.
    fn compact(&mut self) {
        if self.appointments.len() > 2 * self.entries.len() + EVICTIONS {
            let entries = &self.entries;
            self.appointments.retain(|Reverse((due, key))| {
                entries.get(key).is_some_and(|entry| entry.due == *due)
            });
        }
    }
}

impl<A: Algorithm> Limit for Kept<A> {
    fn decide(&mut self, key: Fingerprint, now: Nanos, ask: Ask) -> Decision {
        match self.entries.get_mut(&key) {
            Some(entry) => self.algorithm.decide(&mut entry.state, now, ask),
            None => self.algorithm.decide(&mut A::State::default(), now, ask),
        }
    }

    fn settle(&mut self, key: Fingerprint, birth: Birth, now: Nanos, ask: Ask) -> Option<Decision> {
        let entry = self.entries.get_mut(&key).filter(|entry| entry.birth == birth)?;
        let decision = self.algorithm.decide(&mut entry.state, now, ask);
        self.tidy(key, now);
        Some(decision)
    }

    fn keep(&mut self, key: Fingerprint, now: Nanos) -> Option<Birth> {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.pins += 1;
            return Some(entry.birth);
        }
        self.look_at(EVICTIONS, now);
        if key != Fingerprint::OVERFLOW && self.is_full() {
            self.look_at(usize::MAX, now);
            if self.is_full() {
                return None;
            }
        }
        self.births += 1;
        let birth = Birth(self.births);
        let entry = Entry { state: A::State::default(), birth, pins: 1, due: Nanos::MAX };
        self.entries.insert(key, entry);
        self.meter.kept();
        Some(birth)
    }

    fn release(&mut self, key: Fingerprint, now: Nanos) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.pins = entry.pins.saturating_sub(1);
        }
        self.tidy(key, now);
    }

    fn evict(&mut self, now: Nanos) -> usize {
        self.look_at(usize::MAX, now)
    }

    fn keys(&self) -> usize {
        self.entries.len()
    }

    fn forget(&mut self, key: Fingerprint) {
        if self.entries.remove(&key).is_some() {
            self.meter.evicted(1);
            self.compact();
        }
    }

    fn reset(&mut self) {
        self.meter.evicted(self.entries.len());
        self.entries.clear();
        self.appointments.clear();
    }

    fn set_algorithm(
        &mut self,
        algorithm: Arc<dyn Any + Send + Sync>,
        now: Nanos,
    ) -> Result<(), &'static str> {
        let algorithm = algorithm.downcast::<A>().map_err(|_| type_name::<A>())?;
        let before = mem::replace(&mut self.algorithm, algorithm);
        for entry in self.entries.values_mut() {
            // Unless a call has a place there.
            match entry.pins {
                0 => self.algorithm.carry_over_unattended(&before, &mut entry.state, now),
                _ => self.algorithm.carry_over(&before, &mut entry.state, now),
            }
        }
        // Some may go earlier than their appointments are.
        let keys: Vec<_> = self.entries.keys().copied().collect();
        keys.into_iter().for_each(|key| self.tidy(key, now));
        Ok(())
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        self.algorithm.rate(index)
    }

    fn standing(&self, decision: Option<Decision>, tell: &mut dyn FnMut(Standing<'static>)) {
        standing::tell(None, &*self.algorithm, decision, tell);
    }

    fn interval(&self) -> Nanos {
        self.algorithm.interval()
    }

    fn shelf_life(&self) -> Nanos {
        self.algorithm.shelf_life()
    }

    fn holds(&self) -> bool {
        self.algorithm.holds()
    }

    fn imagine(&mut self, key: Fingerprint) {
        let state = self.entries.get(&key).map(|entry| entry.state.clone());
        self.imagined.insert(key, state.unwrap_or_default());
    }

    fn decide_imagined(&mut self, key: Fingerprint, now: Nanos, ask: Ask) -> Decision {
        match self.imagined.get_mut(&key) {
            Some(state) => self.algorithm.decide(state, now, ask),
            None => {
                let state = self.entries.get(&key).map(|entry| entry.state.clone());
                self.algorithm.decide(&mut state.unwrap_or_default(), now, ask)
            }
        }
    }

    fn stop_imagining(&mut self) {
        self.imagined.clear();
    }
}

/// The keys go with their limit, which is no eviction.
impl<A: Algorithm> Drop for Kept<A> {
    fn drop(&mut self) {
        self.meter.gone(self.entries.len());
    }
}
