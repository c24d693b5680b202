//! The file decides as a store that never forgets anything, whatever is asked.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::SqliteStore;
use crate::{
    algorithm::{AnyAlgorithm, AnyState},
    decision::{Ask, Grant, Take},
    nanos::Nanos,
    store::{Batch, Order, Record, Records, Store, StoreAsk, StoreKey, StoredLimit},
};
use proptest::prelude::*;
use std::{collections::HashMap, convert::Infallible, path::PathBuf, sync::Arc};

/// Each of the algorithms, by several parameters where it matters.
const LIMITS: [&str; 16] = [
    "leaky bucket 10/s, capacity 3",
    "leaky bucket 10/s, capacity 3, any window",
    "strict 10/s",
    "burst compensating 10/s, max burst 3",
    "token bucket 3/s, capacity 5",
    "token bucket 3/s, capacity 5, initial 0",
    "token bucket 3/s, capacity 5, initial 2, aligned to 250ms",
    "quota 12",
    "sliding window 4/s",
    "sliding window 3/s and 10/min",
    "fixed window 3/s",
    "fixed window 3/s, aligned to 100ms",
    "sliding window counter 4/s",
    "concurrency 3",
    "concurrency 3, lease 700ms",
    "serialized 2/s",
];

/// A folder of its own, which goes with the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rate-limits-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.join("limits.sqlite")
    }

    pub(super) fn open(&self) -> SqliteStore {
        SqliteStore::open(self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One order, or two that go together.
#[derive(Clone, Debug)]
enum Step {
    One { limit: usize, key: u8, kind: u8, cost: u32, past: prop::sample::Index },
    Together { limits: [usize; 2], costs: [u32; 2] },
}

fn step() -> impl Strategy<Value = Step> {
    let limit = || 0..LIMITS.len();
    let one = (limit(), 0..3_u8, 0..12_u8, 0..4_u32, any::<prop::sample::Index>())
        .prop_map(|(limit, key, kind, cost, past)| Step::One { limit, key, kind, cost, past });
    let together = ([limit(), limit()], [0..3_u32, 0..3])
        .prop_map(|(limits, costs)| Step::Together { limits, costs });
    prop_oneof![5 => one, 1 => together]
}

/// A batch after a pause; some batches come after the file was opened again.
fn batches() -> impl Strategy<Value = Vec<(u64, bool, Vec<Step>)>> {
    let pause = prop_oneof![
        3 => Just(0), 3 => 1..50_000_000_u64, 3 => 0..2_000_000_000_u64, 1 => 0..90_000_000_000_u64
    ];
    let is_reopened = prop::bool::weighted(0.05);
    prop::collection::vec((pause, is_reopened, prop::collection::vec(step(), 1..6)), 1..60)
}

/// What was granted so far, and to whom.
type Granted = Vec<(Arc<StoredLimit<AnyAlgorithm>>, StoreKey, Grant, Option<Grant>)>;

fn orders(
    step: &Step,
    limits: &[Arc<StoredLimit<AnyAlgorithm>>],
    granted: &Granted,
    matters: impl Fn(&StoredLimit<AnyAlgorithm>, &StoreKey) -> bool,
) -> Vec<Order<AnyAlgorithm>> {
    let order = |limit: &Arc<_>, key: StoreKey, ask| {
        let limit = Arc::clone(limit);
        Order { limit, key, ask, is_with_previous: false }
    };
    match step {
        Step::One { limit, key, kind, cost, past } => {
            let (limit, key, cost) = (&limits[*limit], StoreKey::new(key), *cost);
            let max_wait = Nanos::new(u64::from(cost) * 400_000_000);
            let ask = match kind {
                0..=2 => StoreAsk::Ask(Ask::Take(Take::fresh(cost))),
                // Whoever stood in line stood there for what others took.
                3 if !matters(limit, &key) => return Vec::new(),
                3 => StoreAsk::Ask(Ask::Take(Take::queued(cost))),
                4 => StoreAsk::Ask(Ask::Peek(Take::fresh(cost))),
                5..=6 => StoreAsk::Reserve { cost, max_wait },
                7 if cost == 0 => StoreAsk::Forget,
                7 => StoreAsk::Ask(Ask::Charge(cost)),
                _ if granted.is_empty() => return Vec::new(),
                kind => {
                    let (limit, key, grant, reserved) = past.get(granted);
                    // What is done to permits of long ago may tell whether they were forgotten.
                    if !matters(limit, key) {
                        return Vec::new();
                    }
                    let ask = match (kind, reserved) {
                        (_, Some(reserved)) => StoreAsk::Return(*reserved),
                        (8, _) => StoreAsk::Ask(Ask::GiveBack(*grant)),
                        (9, _) => StoreAsk::Ask(Ask::Renew(*grant)),
                        _ => StoreAsk::Ask(Ask::End(*grant)),
                    };
                    return vec![order(limit, key.clone(), ask)];
                }
            };
            vec![order(limit, key, ask)]
        }
        Step::Together { limits: numbers, costs } => {
            let take = |of: usize| {
                // Each about a key of its own.
                let key = StoreKey::new(&(of as u8));
                order(&limits[numbers[of]], key, StoreAsk::Ask(Ask::Take(Take::fresh(costs[of]))))
            };
            vec![take(0), Order { is_with_previous: true, ..take(1) }]
        }
    }
}

/// Keeps everything for ever.
#[derive(Default)]
struct Archive(HashMap<(Arc<str>, StoreKey), (Record<AnyState>, Nanos)>);

impl Archive {
    /// Whether what is known of a key matters to those who know of none.
    fn matters(&self, limit: &StoredLimit<AnyAlgorithm>, key: &StoreKey, now: Nanos) -> bool {
        let known = self.0.get(&(Arc::clone(&limit.name), key.clone()));
        known.is_some_and(|(_, new_at)| *new_at > now)
    }
}

impl Records<AnyAlgorithm> for Archive {
    type Error = Infallible;

    fn load(
        &mut self,
        limit: &StoredLimit<AnyAlgorithm>,
        key: &StoreKey,
    ) -> Result<Option<Record<AnyState>>, Infallible> {
        let known = self.0.get(&(Arc::clone(&limit.name), key.clone()));
        Ok(known.map(|(record, _)| record.clone()))
    }

    fn save(
        &mut self,
        limit: &StoredLimit<AnyAlgorithm>,
        key: &StoreKey,
        record: Record<AnyState>,
        new_at: Nanos,
    ) -> Result<(), Infallible> {
        self.0.insert((Arc::clone(&limit.name), key.clone()), (record, new_at));
        Ok(())
    }

    fn forget(
        &mut self,
        limit: &StoredLimit<AnyAlgorithm>,
        key: &StoreKey,
    ) -> Result<(), Infallible> {
        self.0.remove(&(Arc::clone(&limit.name), key.clone()));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn answers_are_those_of_a_store_that_never_forgets(
        batches in batches(),
        start in 0..1_u64 << 61,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new("agreement");
            let (mut archive, mut file) = (Archive::default(), folder.open());
            let limits = LIMITS.map(|line| {
                Arc::new(StoredLimit { name: line.into(), algorithm: line.parse().unwrap() })
            });
            let mut granted = Granted::new();
            let mut now = Nanos::new(start);
            for (pause, is_reopened, steps) in batches {
                now = now + Nanos::new(pause);
                if is_reopened {
                    drop(file);
                    file = folder.open();
                }
                let matters = |limit: &_, key: &_| archive.matters(limit, key, now);
                let orders = steps.iter().flat_map(|step| orders(step, &limits, &granted, matters));
                let orders: Vec<_> = orders.collect();
                let batch = || Batch { orders: orders.clone(), now: Some(now) };
                let Ok(expected) = batch().answer(Nanos::ZERO, &mut archive);
                let answers = file.decide(batch()).await.unwrap();
                prop_assert_eq!(&answers, &expected);
                for (order, answer) in orders.iter().zip(&answers) {
                    let takes = matches!(
                        order.ask,
                        StoreAsk::Ask(Ask::Take(_)) | StoreAsk::Reserve { .. }
                    );
                    if let Some(grant) = answer.decision.grant().filter(|_| takes) {
                        let limit = Arc::clone(&order.limit);
                        granted.push((limit, order.key.clone(), grant, answer.reserved()));
                    }
                }
            }
            Ok(())
        })?;
    }
}
