//! Walks through random batches: a store answers them as the one in memory does, to the nanosecond.

pub(crate) use super::limits::{CHANGING, LIMITS};

use std::sync::Arc;
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Ask, Grant, Nanos, Outcome, Take,
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
    let limits = [("first", lines[0]), ("second", LIMITS[seed % LIMITS.len()])];
    let mut walk = Walk::new(&store, &limits, TODAY, unit, seed as u64);
    walk.agree_while_changed(&mut store, lines).await;
}

/// The year 2096: twice that is the last that scripts can count.
const LATEST: u64 = 4_000_000_000_000_000_000;

/// Random numbers that are the same in every run (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % bound
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// What was granted about a key of a limit.
type Granted = (Arc<str>, StoreKey, Answer);

/// A walk, with what was granted on the way.
pub(crate) struct Walk {
    seed: u64,
    random: Random,
    limits: Vec<Arc<StoredLimit<AnyAlgorithm>>>,
    granted: Vec<Granted>,
    memory: MemoryStore<AnyAlgorithm>,
    now: u64,
    /// The clock is not set back beyond that.
    earliest: u64,
    /// The steps of the clock.
    tick: u64,
    interval: u64,
    /// How many permits one of a cost is.
    scale: u32,
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
            scale: if algorithm.to_string().contains("3000000000") { 300_000_000 } else { 1 },
            limits,
            granted: Vec::new(),
            memory: MemoryStore::default(),
            now: start.get() / tick.get(),
            earliest: 0,
            tick: tick.get(),
            wait: 0,
        }
    }

    /// From now on the first limit is another one of the same name.
    pub(crate) fn change(&mut self, store: &impl Store<AnyAlgorithm>, line: &str) {
        let name = Arc::clone(&self.limits[0].name);
        let algorithm = store.keep_to(line.parse().unwrap()).unwrap();
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
            let answers = answers.unwrap_or_else(|error| panic!("{orders:#?}: {error:?}"));
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
            self.change(store, line);
            let steps = 1 + self.random.below(8) as u32;
            self.agree(store, steps, async |_: &mut S, _, _| false).await;
        }
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

    fn orders(&mut self) -> Vec<Order<AnyAlgorithm>> {
        let mut orders = Vec::new();
        for _ in 0..=self.random.below(3) {
            let key = StoreKey::new(if self.random.one_in(5) { "b" } else { "a" });
            if self.random.one_in(6) {
                orders.extend(self.group(&key));
                continue;
            }
            let limit = self.limit();
            let ask = self.ask(&limit, &key);
            let order = Order { limit, key, ask, is_with_previous: false };
            // Many who ask the same at the same time.
            let times = if self.random.one_in(5) { 2 + self.random.below(5) } else { 1 };
            orders.extend((0..times).map(|_| order.clone()));
        }
        orders
    }

    /// Two that are taken together. Now and then they are of the same limit, but a limit of one
    /// name is never two at the same instant.
    fn group(&mut self, key: &StoreKey) -> Vec<Order<AnyAlgorithm>> {
        let first = self.limit();
        let second = self.limit();
        let second = if second.name == first.name { Arc::clone(&first) } else { second };
        let limits = [first, second].into_iter().zip(["a", "b"]).enumerate();
        let take = |(place, (limit, other))| {
            let key = if self.random.one_in(3) { StoreKey::new(other) } else { key.clone() };
            let ask = StoreAsk::Ask(Ask::Take(Take::fresh(self.cost())));
            Order { limit, key, ask, is_with_previous: place > 0 }
        };
        limits.map(take).collect()
    }

    fn limit(&mut self) -> Arc<StoredLimit<AnyAlgorithm>> {
        let index = match self.random.one_in(3) {
            true => self.random.below(self.limits.len() as u64) as usize,
            false => 0,
        };
        Arc::clone(&self.limits[index])
    }

    fn cost(&mut self) -> u32 {
        match self.random.below(60) {
            0 => u32::MAX,
            1 => 10 + self.random.below(90) as u32,
            _ => {
                let costs = [0, 1, 1, 1, 1, 1, 2, 2, 3, 4, 6, 9];
                costs[self.random.below(12) as usize] * self.scale
            }
        }
    }

    fn ask(&mut self, limit: &StoredLimit<AnyAlgorithm>, key: &StoreKey) -> StoreAsk {
        let cost = self.cost();
        let take = Take { cost, queued: self.random.one_in(4) };
        match self.random.below(48) {
            0..16 => StoreAsk::Ask(Ask::Take(take)),
            16..20 => StoreAsk::Ask(Ask::Peek(take)),
            20..23 => StoreAsk::Ask(Ask::Renew(self.grant(limit, key))),
            23..26 => {
                let grant = self.grant(limit, key);
                StoreAsk::Ask(Ask::GiveBack(self.part_of(grant)))
            }
            26..30 => StoreAsk::Ask(Ask::End(self.grant(limit, key))),
            30..32 => StoreAsk::Ask(Ask::Charge(self.had())),
            32..41 => {
                let interval = self.interval * self.tick;
                let max_wait = match self.random.below(6) {
                    0 | 1 => Nanos::new(interval.saturating_mul(self.random.below(9))),
                    2 => Nanos::new(self.wait * self.tick),
                    3 => Nanos::new((self.wait * self.tick).saturating_sub(1)),
                    _ => Nanos::MAX,
                };
                StoreAsk::Reserve { cost, max_wait }
            }
            41..47 => {
                let reserved = self.granted(limit, key, |answer| answer.reserved());
                reserved.map_or(StoreAsk::Ask(Ask::Take(take)), StoreAsk::Return)
            }
            _ if self.random.one_in(10) => StoreAsk::Forget,
            _ => StoreAsk::Ask(Ask::Take(take)),
        }
    }

    /// A cost of permits that somebody may have.
    fn had(&mut self) -> u32 {
        match self.cost() {
            u32::MAX => 20,
            cost => cost,
        }
    }

    /// One of the last permits that were granted, or some that never were.
    fn grant(&mut self, limit: &StoredLimit<AnyAlgorithm>, key: &StoreKey) -> Grant {
        let made_up = Grant { cost: self.had(), at: Nanos::new(self.now * self.tick) };
        let known = self.granted(limit, key, |answer| answer.decision.grant());
        known.filter(|_| !self.random.one_in(9)).unwrap_or(made_up)
    }

    /// All of these permits, or some of them.
    fn part_of(&mut self, grant: Grant) -> Grant {
        match self.random.one_in(3) {
            true => Grant { cost: self.random.below(u64::from(grant.cost) + 1) as u32, ..grant },
            false => grant,
        }
    }

    /// One of the last few of some permits.
    fn granted(
        &mut self,
        limit: &StoredLimit<AnyAlgorithm>,
        key: &StoreKey,
        permits: impl Fn(&Answer) -> Option<Grant>,
    ) -> Option<Grant> {
        let about_it = |(name, about, answer): &Granted| {
            if *name == limit.name && about == key { permits(answer) } else { None }
        };
        let last: Vec<Grant> = self.granted.iter().rev().filter_map(about_it).take(8).collect();
        let index = self.random.below(last.len().max(1) as u64) as usize;
        last.get(index).copied()
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
