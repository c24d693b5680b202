//! The functions in the database answer as the algorithms do, to the microsecond.

use super::{forget, limit, order, pool, store};
use crate::servers;
use std::sync::Arc;
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Ask, Grant, Nanos, Outcome, Scripted, SlidingWindow, Take,
    store::{Answer, Batch, MemoryStore, Order, PostgresStore, Store, StoreAsk, StoredLimit},
};

/// How many batches each limit is asked.
const BATCHES: usize = 250;

/// Small numbers, so that boundaries meet, and intervals that have to be rounded.
const LIMITS: [&str; 24] = [
    "leaky bucket 1/7us, capacity 1",
    "leaky bucket 3/10us, capacity 4",
    "leaky bucket 10/s, capacity 5, any window",
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
    "sliding window counter 5/30us",
    "sliding window counter 1/9us",
    "sliding window counter 3000000000/day",
    "concurrency 4",
    "concurrency 3, lease 50us",
    "concurrency 200, lease 2s",
    "serialized 1/10us",
    "serialized 3/25us",
];

/// Numbers that look random and are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    /// Below this one.
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len().max(1) as u64) as usize)
    }
}

/// What was granted so far about a key.
#[derive(Default)]
struct Granted {
    grants: Vec<Grant>,
    reserved: Vec<Grant>,
}

struct History {
    dice: Dice,
    limits: Vec<Arc<StoredLimit<AnyAlgorithm>>>,
    granted: [Granted; 3],
    /// Microseconds.
    now: u64,
    /// When something was forgotten last: the clock is not set back beyond that.
    forgotten_at: u64,
    interval: u64,
    /// The wait of which there was talk last.
    wait: u64,
}

impl History {
    fn cost(&mut self) -> u32 {
        match self.dice.below(20) {
            0 => 0,
            1..13 => 1,
            13..18 => 2 + self.dice.below(3) as u32,
            18 => 10 + self.dice.below(90) as u32,
            _ => u32::MAX,
        }
    }

    fn grant(&mut self, key: usize) -> Grant {
        let made_up = Grant { cost: self.cost(), at: Nanos::new(self.now * 1000) };
        let grants = &self.granted[key].grants;
        let last = grants.len().saturating_sub(6);
        match self.dice.below(9) {
            0 => made_up,
            _ => self.dice.pick(&grants[last..]).copied().unwrap_or(made_up),
        }
    }

    fn ask(&mut self, key: usize) -> StoreAsk {
        let cost = self.cost();
        let take = Take { cost, queued: self.dice.below(3) == 0 };
        match self.dice.below(40) {
            0..14 => StoreAsk::Ask(Ask::Take(take)),
            14..17 => StoreAsk::Ask(Ask::Peek(take)),
            17..19 => StoreAsk::Ask(Ask::Renew(self.grant(key))),
            19..22 => StoreAsk::Ask(Ask::GiveBack(self.grant(key))),
            22..27 => StoreAsk::Ask(Ask::End(self.grant(key))),
            27 => StoreAsk::Ask(Ask::Charge(cost.min(20))),
            28..35 => {
                let max_wait = match self.dice.below(4) {
                    0 => Nanos::MAX,
                    1 => Nanos::new(self.wait * 1000),
                    2 => Nanos::new(self.wait * 1000) - Nanos::new(1),
                    _ => Nanos::new(self.dice.below(9 * 1000 * self.interval)),
                };
                StoreAsk::Reserve { cost, max_wait }
            }
            35..39 => match self.dice.pick(&self.granted[key].reserved) {
                Some(reserved) => StoreAsk::Return(*reserved),
                None => StoreAsk::Ask(Ask::Take(take)),
            },
            _ if self.dice.below(4) == 0 => StoreAsk::Forget,
            _ => StoreAsk::Ask(Ask::Charge(0)),
        }
    }

    fn batch(&mut self) -> Vec<Order<AnyAlgorithm>> {
        let mut orders = Vec::new();
        for _ in 0..1 + self.dice.below(5) {
            let together =
                if self.dice.below(4) == 0 { 1 + self.dice.below(4) as usize } else { 1 };
            let first = self.dice.below(3) as usize;
            for place in 0..together {
                // In a group of four a key comes twice.
                let key = (first + place) % 3;
                let ask = match together {
                    1 => self.ask(key),
                    _ => StoreAsk::Ask(Ask::Take(Take::fresh(self.cost()))),
                };
                let limit = self.dice.pick(&self.limits).unwrap();
                let order = order(limit, &[key as u8], ask);
                orders.push(Order { is_with_previous: place > 0, ..order });
            }
        }
        orders
    }

    fn note(&mut self, orders: &[Order<AnyAlgorithm>], answers: &[Answer]) {
        for (order, answer) in orders.iter().zip(answers) {
            let granted = &mut self.granted[usize::from(*order.key.bytes().last().unwrap())];
            match answer.decision.outcome {
                Outcome::Granted(grant) => granted.grants.push(grant),
                Outcome::Later(wait) | Outcome::InUse(Some(wait)) => self.wait = wait.get() / 1000,
                _ => {}
            }
            granted.reserved.extend(answer.reserved());
            if let StoreAsk::Return(reserved) = order.ask {
                granted.reserved.retain(|other| *other != reserved);
            }
        }
    }

    /// Mostly forward, by about an interval or to the end of a wait, and now and then back.
    fn pause(&mut self) {
        let interval = self.interval;
        match self.dice.below(20) {
            0..6 => {}
            6..9 => self.now += 1,
            9..13 => self.now += self.dice.below(2 * interval),
            13..15 => self.now += interval * self.dice.below(8),
            15 => self.now += interval * self.dice.below(100),
            16 => self.now += self.wait.saturating_sub(1),
            17 | 18 => self.now += self.wait,
            _ => self.now -= self.dice.below(2 * interval).min(self.now),
        }
        self.now = self.now.clamp(self.forgotten_at, 8_000_000_000_000_000);
    }
}

/// Asks the database and the memory the same, step by step, from this instant on.
async fn agree(table: String, lines: &[&str], start: u64, seed: u64) {
    let postgres = store(&table).await;
    agree_with(postgres.clone(), postgres, table, lines, start, seed).await;
}

async fn agree_with(
    store: impl Store<AnyAlgorithm>,
    postgres: PostgresStore,
    table: String,
    lines: &[&str],
    start: u64,
    seed: u64,
) {
    let memory = MemoryStore::default();
    let client = pool(&servers::postgres::url(), 1).get().await.unwrap();
    let limits = lines.iter().map(|line| {
        let algorithm: AnyAlgorithm = line.parse().unwrap();
        limit("limit", postgres.keep_to(algorithm).unwrap())
    });
    let limits: Vec<_> = limits.collect();
    let interval = (limits[0].algorithm.interval().get() / 1000).max(10);
    let granted = Default::default();
    let mut history = History {
        dice: Dice(seed),
        limits,
        granted,
        now: start,
        forgotten_at: 0,
        interval,
        wait: 0,
    };
    for step in 0..BATCHES {
        let orders = history.batch();
        let now = Nanos::new(history.now * 1000);
        if step % 8 == 0 {
            // It is all the same who has forgotten what equals new.
            forget(&client, &table, now).await;
            history.forgotten_at = history.now;
        }
        let expected = memory.decide(Batch::new(orders.clone()).at(now)).await.unwrap();
        let answers = store.decide(Batch::new(orders.clone()).at(now)).await.unwrap();
        assert_eq!(answers.len(), orders.len());
        for (index, order) in orders.iter().enumerate() {
            let (ask, key, algorithm) = (order.ask, order.key.bytes(), &order.limit.algorithm);
            assert_eq!(
                answers[index], expected[index],
                "{algorithm}: seed {seed}, step {step} at {now:?}, order {index}, {ask:?} about {key:?}"
            );
        }
        history.note(&orders, &answers);
        history.pause();
    }
}

/// Today, in microseconds.
const TODAY: u64 = 1_790_000_000_000_007;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_asks_at_the_same_times_get_the_same_answers() {
    let mut tasks = Vec::new();
    for (seed, line) in LIMITS.iter().enumerate() {
        // From the beginning of the time line, or today.
        let start = if seed % 4 == 0 { 0 } else { TODAY };
        tasks.push(tokio::spawn(async move {
            agree(format!("agree_{seed}"), &[line], start, seed as u64).await;
        }));
        if tasks.len() == 4 {
            for task in tasks.drain(..) {
                task.await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_limit_that_becomes_another_one_agrees() {
    // What one algorithm has kept is new to another.
    let lines = [LIMITS[0], LIMITS[3], LIMITS[7], LIMITS[15], LIMITS[20], LIMITS[23]];
    agree("agree_any".to_owned(), &lines, TODAY, 77).await;
}

#[tokio::test]
async fn long_logs_agree() {
    let store = store("long_logs").await;
    let memory = MemoryStore::default();
    let window = SlidingWindow::new("900/9ms".parse().unwrap());
    let limit = limit("window", Scripted::in_microseconds(window).unwrap());
    let mut dice = Dice(1);
    let mut now = TODAY;
    for _ in 0..40 {
        let take = |cost| order(&limit, b"a", super::take(cost));
        let orders: Vec<_> = (0..60).map(|_| take(1 + dice.below(2) as u32)).collect();
        let at = Nanos::new(now * 1000);
        let expected = memory.decide(Batch::new(orders.clone()).at(at)).await.unwrap();
        assert_eq!(store.decide(Batch::new(orders).at(at)).await.unwrap(), expected);
        now += dice.below(1500);
    }
}

#[tokio::test]
async fn what_is_decided_here_agrees() {
    for (seed, line) in [LIMITS[1], LIMITS[9], LIMITS[15], LIMITS[20]].into_iter().enumerate() {
        let table = format!("agree_here_{seed}");
        let postgres = store(&table).await;
        let here = postgres.decided_here();
        agree_with(here, postgres, table, &[line], TODAY, seed as u64).await;
    }
}
