//! Walks through random batches: a store answers them as the one in memory does, to the nanosecond.

mod orders;

pub(crate) use super::limits::{CHANGING, LIMITS, SHORTENED};

use super::random::Random;
use std::{mem::discriminant, sync::Arc};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Nanos, Outcome,
    store::{Answer, Batch, MemoryStore, Order, Store, StoreAsk, StoreKey, StoredLimit},
};

/// Today.
pub(crate) const TODAY: Nanos = Nanos::new(1_790_000_000_000_007_000);

/// What servers count in.
pub(crate) const MICROSECOND: Nanos = Nanos::new(1000);

/// Walks through a store that counts in this unit while one of two limits becomes each of these.
pub(crate) async fn agree_while_changed(
    mut store: impl Store<AnyAlgorithm>,
    lines: &[&str],
    unit: Nanos,
    seed: usize,
) {
    Walk::beside_another(&store, lines[0], unit, seed).agree_while_changed(&mut store, lines).await;
}

/// The same where they become each other in this order only.
pub(crate) async fn agree_while_shortened(
    mut store: impl Store<AnyAlgorithm>,
    lines: &[&str],
    unit: Nanos,
    seed: usize,
) {
    let mut walk = Walk::beside_another(&store, lines[0], unit, seed);
    walk.agree_while_shortened(&mut store, lines).await;
}

/// The year 2096: twice that is the last that scripts can count.
const LATEST: u64 = 4_000_000_000_000_000_000;

/// What was granted about a key of a limit.
type Granted = (Arc<str>, StoreKey, Answer);

/// A walk, with what was granted on the way.
pub(crate) struct Walk {
    seed: u64,
    random: Random,
    limits: Vec<Arc<StoredLimit<AnyAlgorithm>>>,
    /// Two that are always kept in one place, and one that may lie elsewhere.
    keys: [StoreKey; 3],
    granted: Vec<Granted>,
    was_of_another_kind: bool,
    memory: MemoryStore<AnyAlgorithm>,
    now: u64,
    /// The clock is not set back beyond that.
    earliest: u64,
    /// The steps of the clock.
    tick: u64,
    interval: u64,
    /// The wait of the last refusal.
    wait: u64,
}

impl Walk {
    /// Through limits of these names and lines, as the store keeps to them, of the first one mostly.
    pub(crate) fn new(
        store: &impl Store<AnyAlgorithm>,
        limits: &[(&str, &str)],
        start: Nanos,
        tick: Nanos,
        seed: u64,
    ) -> Self {
        let limit = |(name, line): &(&str, &str)| {
            let algorithm = store.keep_to(line.parse().unwrap()).unwrap();
            Arc::new(StoredLimit { name: (*name).into(), algorithm })
        };
        let limits: Vec<_> = limits.iter().map(limit).collect();
        let algorithm = &limits[0].algorithm;
        let interval = algorithm.rate(0).map_or(0, |rate| Nanos::from(rate.interval()).get());
        Self {
            seed,
            random: Random::new(seed),
            interval: (interval / tick.get()).max(10),
            limits,
            keys: [
                StoreKey::tagged("here", "a"),
                StoreKey::tagged("here", "b"),
                StoreKey::new("elsewhere"),
            ],
            granted: Vec::new(),
            was_of_another_kind: false,
            memory: MemoryStore::default(),
            now: start.get() / tick.get(),
            earliest: 0,
            tick: tick.get(),
            wait: 0,
        }
    }

    /// Through a limit of this line, and another one now and then.
    fn beside_another(
        store: &impl Store<AnyAlgorithm>,
        line: &str,
        unit: Nanos,
        seed: usize,
    ) -> Self {
        let limits = [("first", line), ("second", LIMITS[seed % LIMITS.len()])];
        Self::new(store, &limits, TODAY, unit, seed as u64)
    }

    /// From now on the first limit is another one of the same name.
    pub(crate) fn change(&mut self, store: &impl Store<AnyAlgorithm>, line: &str) {
        let name = Arc::clone(&self.limits[0].name);
        let algorithm = store.keep_to(line.parse().unwrap()).unwrap();
        if discriminant(&algorithm) != discriminant(&self.limits[0].algorithm) {
            // What another kind of limit granted goes back to nobody, and is lost where it is renewed, which
            // `kinds` shows. Where its record equals new, it is there or is not.
            self.was_of_another_kind = true;
            self.granted.retain(|(limit, ..)| *limit != name);
        }
        self.limits[0] = Arc::new(StoredLimit { name, algorithm });
    }

    /// Asks the store and the memory the same, step by step. Before each step `between` is told the
    /// time, and says whether it has forgotten what equals new by then.
    pub(crate) async fn agree<S: Store<AnyAlgorithm>>(
        &mut self,
        store: &mut S,
        steps: u32,
        mut between: impl AsyncFnMut(&mut S, u32, Nanos) -> bool,
    ) {
        for step in 0..steps {
            self.pause();
            let now = Nanos::new(self.now * self.tick);
            if between(store, step, now).await {
                self.earliest = self.now;
            }
            let orders = self.orders();
            let expected = self.memory.decide(Batch::new(orders.clone()).at(now)).await.unwrap();
            let answers = store.decide(Batch::new(orders.clone()).at(now)).await;
            let answers = answers.unwrap_or_else(|error| {
                panic!("seed {}, step {step} at {now:?}, {orders:?}: {error:?}", self.seed)
            });
            assert_eq!(answers.len(), expected.len());
            for (index, order) in orders.iter().enumerate() {
                assert_eq!(
                    answers[index], expected[index],
                    "{}: seed {}, step {step} at {now:?}, {:?} about {:?} of {}",
                    order.limit.algorithm, self.seed, order.ask, order.key, order.limit.name
                );
                self.note(order, answers[index]);
            }
        }
    }

    /// The same with the first limit, which becomes another one of these now and then. Not for long:
    /// waits grow until they reach the end of the time line, which is not a whole microsecond.
    async fn agree_while_changed<S: Store<AnyAlgorithm>>(&mut self, store: &mut S, lines: &[&str]) {
        for _ in 0..15 {
            let line = lines[self.random.below(lines.len() as u64) as usize];
            self.become_another(store, line).await;
        }
    }

    /// The same with the first limit, which becomes each of these in turn.
    async fn agree_while_shortened<S: Store<AnyAlgorithm>>(
        &mut self,
        store: &mut S,
        lines: &[&str],
    ) {
        for line in lines {
            self.become_another(store, line).await;
        }
    }

    async fn become_another<S: Store<AnyAlgorithm>>(&mut self, store: &mut S, line: &str) {
        self.change(store, line);
        let steps = 1 + self.random.below(8) as u32;
        self.agree(store, steps, async |_: &mut S, _, _| false).await;
    }

    /// Mostly forward by about an interval, now and then back, or to where the last refusal ends.
    fn pause(&mut self) {
        let interval = self.interval;
        match self.random.below(20) {
            0..7 => {}
            7..11 => self.now += self.random.below(interval.min(1000) + 2),
            11..14 => self.now += interval.saturating_mul(self.random.below(9)),
            14 => self.now += self.wait.saturating_sub(1),
            15..17 => self.now += self.wait,
            17 => self.now += 1,
            18 => self.now -= self.random.below(2 * interval).min(self.now),
            _ => self.now += interval.saturating_mul(self.random.below(100)),
        }
        self.now = self.now.clamp(self.earliest, LATEST / self.tick);
    }

    fn note(&mut self, order: &Order<AnyAlgorithm>, answer: Answer) {
        match answer.decision.outcome {
            Outcome::Granted(_) => {
                let name = Arc::clone(&order.limit.name);
                self.granted.push((name, order.key.clone(), answer));
            }
            Outcome::Later(wait) | Outcome::InUse(Some(wait)) => self.wait = wait.get() / self.tick,
            _ => {}
        }
        if let StoreAsk::Return(returned) = order.ask {
            // They go back once.
            let is_returned = |answer: &Answer| answer.reserved() == Some(returned);
            self.granted.retain(|(.., answer)| !is_returned(answer));
        }
    }
}
