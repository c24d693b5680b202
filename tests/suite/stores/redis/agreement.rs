//! The script answers as the algorithms do, to the microsecond.

use super::{limit, order, store};
use crate::servers::redis::Server;
use std::sync::Arc;
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Ask, Grant, Nanos, Take,
    store::{Answer, Batch, MemoryStore, Order, Store, StoreAsk, StoredLimit},
};

/// Small numbers, so that boundaries meet, and intervals that have to be rounded.
const LIMITS: [&str; 26] = [
    "leaky bucket 1/7us, capacity 1",
    "leaky bucket 3/10us, capacity 4",
    "leaky bucket 10/s, capacity 5, any window",
    "leaky bucket 1/min, capacity 3",
    "strict 1/9us",
    "strict 3/s",
    "burst compensating 1/10us, max burst 3",
    "burst compensating 2/7us, max burst 1",
    "token bucket 2/13us, capacity 5",
    "token bucket 3/20us, capacity 3, aligned to 7us",
    "token bucket 3/20us, capacity 7, initial 1",
    "token bucket 3/20us, capacity 7, initial 2, aligned to 3us",
    "quota 40",
    "fixed window 4/30us",
    "fixed window 4/30us, aligned to 11us",
    "sliding window 3/20us",
    "sliding window 2/10us and 5/40us and 9/200us",
    "sliding window 3000/s",
    "sliding window counter 5/30us",
    "sliding window counter 1/9us",
    "sliding window counter 3000000000/day",
    "concurrency 4",
    "concurrency 3, lease 50us",
    "concurrency 200, lease 2s",
    "serialized 1/10us",
    "serialized 3/25us",
];

/// Random numbers that are the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % bound
    }
}

/// A walk through random batches, with what was granted on the way.
struct Walk {
    random: Random,
    now: u64,
    interval: u64,
    /// How many permits one of a cost is.
    scale: u32,
    /// Which limit granted what about which key.
    grants: Vec<(usize, &'static str, Answer)>,
    wait: u64,
}

impl Walk {
    /// Mostly forward by about an interval, now and then back, or to where the last refusal ends.
    fn step(&mut self) {
        let interval = self.interval;
        match self.random.below(20) {
            0..8 => {}
            8..12 => self.now += self.random.below(interval.min(1000) + 2),
            12..15 => self.now += interval.saturating_mul(self.random.below(9)),
            15 => self.now += self.wait.saturating_sub(1),
            16 => self.now += self.wait,
            17 => self.now += 1,
            18 => self.now -= self.random.below(2 * interval).min(self.now),
            _ => self.now += interval.saturating_mul(self.random.below(100)),
        }
        self.now = self.now.min(8_000_000_000_000_000);
    }

    fn cost(&mut self) -> u32 {
        [0, 1, 1, 1, 1, 1, 2, 2, 3, 4, 6, 9][self.random.below(12) as usize] * self.scale
    }

    /// One of the last answers that granted something about this key, if there are any.
    fn answer(&mut self, limit: usize, key: &str, is_reserved: bool) -> Option<Answer> {
        let known = self.grants.iter().rev().filter(|(of, about, answer)| {
            *of == limit && *about == key && (!is_reserved || answer.reserved().is_some())
        });
        let known: Vec<_> = known.take(8).map(|(.., answer)| *answer).collect();
        let index = self.random.below(known.len().max(1) as u64) as usize;
        known.get(index).copied()
    }

    fn grant(&mut self, limit: usize, key: &str) -> Grant {
        let made_up = Grant { cost: self.cost(), at: Nanos::new(self.now * 1000) };
        let known = self.answer(limit, key, false).and_then(|answer| answer.decision.grant());
        known.filter(|_| self.random.below(9) > 0).unwrap_or(made_up)
    }

    fn ask(&mut self, limit: usize, key: &str) -> StoreAsk {
        let cost = self.cost();
        let take = StoreAsk::Ask(Ask::Take(Take { cost, queued: self.random.below(4) == 0 }));
        match self.random.below(48) {
            0..16 => take,
            16..20 => StoreAsk::Ask(Ask::Peek(Take { cost, queued: self.random.below(4) == 0 })),
            20..23 => StoreAsk::Ask(Ask::Renew(self.grant(limit, key))),
            23..26 => StoreAsk::Ask(Ask::GiveBack(self.grant(limit, key))),
            26..30 => StoreAsk::Ask(Ask::End(self.grant(limit, key))),
            30..32 => StoreAsk::Ask(Ask::Charge(cost)),
            32..41 => {
                let max_wait = match self.random.below(3) {
                    0 => Nanos::new(self.interval * 1000 * self.random.below(9)),
                    _ => Nanos::MAX,
                };
                StoreAsk::Reserve { cost, max_wait }
            }
            41..47 => {
                let reserved = self.answer(limit, key, true).and_then(|answer| answer.reserved());
                reserved.map_or(take, StoreAsk::Return)
            }
            _ if self.random.below(10) == 0 => StoreAsk::Forget,
            _ => take,
        }
    }

    fn orders(&mut self, limits: &[Arc<StoredLimit<AnyAlgorithm>>]) -> Vec<Placed> {
        let mut orders = Vec::new();
        for _ in 0..=self.random.below(3) {
            let key = ["a", "b"][usize::from(self.random.below(5) == 0)];
            if self.random.below(8) == 0 {
                // Now and then a key comes twice.
                let indices = [&[0, 1][..], &[0, 1, 0]][usize::from(self.random.below(4) == 0)];
                for (place, index) in indices.iter().enumerate() {
                    let take = StoreAsk::Ask(Ask::Take(Take::fresh(self.cost())));
                    let order = order(&limits[*index], key, take);
                    orders.push((*index, key, Order { is_with_previous: place > 0, ..order }));
                }
            } else {
                let index = usize::from(self.random.below(6) == 0);
                let ask = self.ask(index, key);
                orders.push((index, key, order(&limits[index], key, ask)));
            }
        }
        orders
    }

    fn remember(&mut self, limit: usize, key: &'static str, answer: Answer) {
        match answer.decision.retry_after() {
            Some(_) if answer.is_granted() => self.grants.push((limit, key, answer)),
            Some(wait) => self.wait = wait.as_micros() as u64,
            None => {}
        }
    }
}

/// An order, and the limit and the key that it is about.
type Placed = (usize, &'static str, Order<AnyAlgorithm>);

/// Asks both the same, step by step.
async fn agree(store: impl Store<AnyAlgorithm>, line: &str, start: u64, seed: u64, steps: u32) {
    let limits = [limit("first", line), limit("second", LIMITS[seed as usize % LIMITS.len()])];
    let interval = Nanos::from(
        limits[0].algorithm.rate(0).map_or_else(Default::default, |rate| rate.interval()),
    );
    let mut walk = Walk {
        random: Random(seed),
        now: start,
        interval: (interval.get() / 1000).max(10),
        scale: if line.contains("3000000000") { 300_000_000 } else { 1 },
        grants: Vec::new(),
        wait: 0,
    };
    let oracle = MemoryStore::default();
    for step in 0..steps {
        walk.step();
        let now = Nanos::new(walk.now * 1000);
        let placed = walk.orders(&limits);
        let orders: Vec<_> = placed.iter().map(|(.., order)| order.clone()).collect();
        let expected = oracle.decide(Batch::new(orders.clone()).at(now)).await.unwrap();
        let answers = store.decide(Batch::new(orders).at(now)).await;
        let answers = answers.unwrap_or_else(|error| panic!("{line}: {placed:#?}: {error:?}"));
        let other = &limits[1].algorithm;
        assert_eq!(answers.len(), expected.len());
        for (index, (limit, key, order)) in placed.iter().enumerate() {
            assert_eq!(
                answers[index], expected[index],
                "{line}, and {other}: seed {seed}, step {step} at {now:?}, {:?} about {limit} {key}",
                order.ask
            );
            walk.remember(*limit, key, answers[index]);
        }
    }
}

#[tokio::test]
async fn the_same_asks_at_the_same_times_get_the_same_answers() {
    let server = Server::start().await;
    for (seed, line) in LIMITS.into_iter().enumerate() {
        // From the beginning of the time line, and today.
        for (start, offset) in [(0, 0), (1_790_000_000_000_007, 100)] {
            agree(store(&server).await, line, start, (seed + offset) as u64, 400).await;
        }
    }
}

#[tokio::test]
async fn long_logs_are_read_and_written_at_their_ends() {
    let server = Server::start().await;
    // Entries come and go by the hundred, many times over.
    for (seed, line) in
        ["sliding window 900/9ms", "concurrency 500, lease 5ms", "serialized 300/1500us"]
            .into_iter()
            .enumerate()
    {
        agree(store(&server).await, line, 1_790_000_000_000_007, 1000 + seed as u64, 1500).await;
    }
}

#[tokio::test]
async fn what_is_decided_here_and_kept_there_gets_the_same_answers() {
    let server = Server::start().await;
    for (seed, line) in LIMITS.into_iter().enumerate() {
        let store = store(&server).await.optimistic();
        agree(store, line, 1_790_000_000_000_007, 200 + seed as u64, 100).await;
    }
}
