//! Whether a store keeps its contract.

mod sampled;
mod pair;
mod contract;
mod group;
mod history;
mod dropped;
mod crowd;

pub use sampled::Sampled;

use super::{
    point::Point,
    random::Random,
    violation::{Broken, Checked, Violation, ensure},
};
use crate::store::{Store, StoredLimit};
use history::{History, shortest};
use pair::Pair;
use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::Arc,
};

/// Where the choosing of histories begins.
const SEED: u64 = 1;

/// How many histories happen to each limit.
const HISTORIES: u64 = 24;

/// Tests whether a store keeps the [contract](Store#contract).
///
/// What it is asked, a [`MemoryStore`](crate::store::MemoryStore) is asked, too, and the two have to
/// agree; times are rounded up to microseconds before they are compared. The limits are the
/// [samples](Sampled) of an algorithm, as the store [keeps to](Store::keep_to) them; those that it
/// refuses are left out. A store that works for every algorithm is asked about
/// [`AnyAlgorithm`](crate::AnyAlgorithm) and about each kind alone: what it keeps may differ.
///
/// `open` makes a store, a fresh one or one more handle of the same; it is called many times. The
/// names of the limits are new at each call, so that a store that goes on existing can be looked at
/// again. What is written stays there.
///
/// **Keys.** Those of a batch have tags of their own, but for those that are taken together. Groups are of keys of
/// one [tag](crate::store::StoreKey::tag), which every store decides, and of keys of different ones, which a store
/// decides unless it [says](Store::can_group) that it cannot: then it is seen to take nothing. So a store that is
/// spread over several servers is looked at on all of them.
///
/// **Time.** Most batches say [what time it is](crate::store::Batch::now), in whole microseconds from
/// the beginning of the time line on. A store that forgets by a clock of its own must not forget
/// what came with a time. Only to see whether many tasks at once get as many permits as there are,
/// batches come without.
///
/// It may be called in any runtime; where tokio's runs, all calls are made within it. For the tasks
/// that ask at the same time it starts a few threads.
///
/// # Errors
///
/// The first point of the contract that is broken, with the shortest history found.
///
/// # Cancel safety
///
/// Dropped, it leaves records in the store.
///
/// ```
/// use tower_ratelimit::{AnyAlgorithm, LeakyBucket, conformance, store::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), conformance::Violation> {
/// conformance::store::<LeakyBucket, _>(MemoryStore::default).await?;
/// # Ok(())
/// # }
/// ```
pub async fn store<A: Sampled, S: Store<A>>(mut open: impl FnMut() -> S) -> Result<(), Violation> {
    let without_history = |broken| Violation::new(broken, Vec::new(), None);
    let store = open();
    let at_once = store.batches_at_once();
    ensure(at_once > 0, Point::BatchesAtOnce, || "batches_at_once is 0".to_owned())
        .map_err(without_history)?;
    let limits = limits::<A, S>(&store).map_err(without_history)?;
    for limit in &limits {
        for check in contract::CHECKS {
            let mut pair = Pair::new(open());
            let checked = contract::check(check, &mut pair, limit, &other(limit, &limits)).await;
            checked.map_err(|broken| pair.violation(broken, None))?;
        }
    }
    let mut pair = Pair::new(open());
    let checked = contract::named(&mut pair, &namesakes::<A, S>(&store)).await;
    checked.map_err(|broken| pair.violation(broken, None))?;
    for change in changes::<A, S>(&store) {
        let mut pair = Pair::new(open());
        let checked = contract::changed(&mut pair, &change).await;
        checked.map_err(|broken| pair.violation(broken, None))?;
    }
    let mut random = Random::new(SEED);
    for (index, limit) in limits.iter().enumerate() {
        let next = &limits[(index + 1) % limits.len()];
        let next = if Arc::ptr_eq(next, limit) { other(limit, &limits) } else { Arc::clone(next) };
        let limits = [Arc::clone(limit), next];
        for _ in 0..HISTORIES {
            let history = History::new(&mut random);
            if let Err(violation) = history.happen(&mut Pair::new(open()), &limits).await {
                return Err(shortest(history, violation, &limits, &mut open).await);
            }
        }
    }
    if let Some(limit) = limits.first() {
        for polls in 0..4 {
            let mut pair = Pair::new(open());
            let checked = dropped::leaves_whole_groups(&mut pair, limit, polls).await;
            checked.map_err(|broken| pair.violation(broken, None))?;
        }
        crowd::gets_what_there_is(open(), limit).await.map_err(without_history)?;
    }
    Ok(())
}

/// All samples that the store keeps to, each under a name of its own.
fn limits<A: Sampled, S: Store<A>>(store: &S) -> Result<Vec<Arc<StoredLimit<A>>>, Broken> {
    let run = unheard_of();
    let mut limits = Vec::new();
    for (index, sample) in A::samples().into_iter().enumerate() {
        let before = sample.interval();
        let Ok(algorithm) = store.keep_to(sample) else { continue };
        let after = algorithm.interval();
        let shorter = || format!("an interval of {before:?} became {after:?}");
        ensure(after >= before, Point::KeepsTo, shorter)?;
        let name = format!("{run}: {index}").into();
        limits.push(Arc::new(StoredLimit { name, algorithm }));
    }
    Ok(limits)
}

/// The first sample under the same name twice, and under longer ones.
fn namesakes<A: Sampled, S: Store<A>>(store: &S) -> Vec<Arc<StoredLimit<A>>> {
    let run = unheard_of();
    let named = |more: &str| {
        let algorithm = A::samples().into_iter().find_map(|sample| store.keep_to(sample).ok())?;
        Some(Arc::new(StoredLimit { name: format!("{run}{more}").into(), algorithm }))
    };
    ["", "", "x", "'x", "\0x", "X", "\u{e9}"].into_iter().filter_map(named).collect()
}

/// Each sample and the one after it, in turn under the name that the other has.
fn changes<A: Sampled, S: Store<A>>(store: &S) -> Vec<[Arc<StoredLimit<A>>; 2]> {
    let named = |name: &str| -> Vec<Arc<StoredLimit<A>>> {
        let kept = A::samples().into_iter().filter_map(|sample| store.keep_to(sample).ok());
        kept.map(|algorithm| Arc::new(StoredLimit { name: name.into(), algorithm })).collect()
    };
    let mut changes = Vec::new();
    for index in 1..A::samples().len() {
        for [before, after] in [[index - 1, index], [index, index - 1]] {
            let limits = named(&unheard_of());
            let change = [before, after].map(|index| limits.get(index).map(Arc::clone));
            if let [Some(before), Some(after)] = change {
                changes.push([before, after]);
            }
        }
    }
    changes
}

/// A name that no limit had before.
fn unheard_of() -> String {
    // Seeded anew for each.
    format!("conformance {:x}", RandomState::new().build_hasher().finish())
}

/// Another limit, or the same where there is only one.
fn other<A>(limit: &Arc<StoredLimit<A>>, limits: &[Arc<StoredLimit<A>>]) -> Arc<StoredLimit<A>> {
    let other = limits.iter().find(|other| !Arc::ptr_eq(other, limit));
    Arc::clone(other.unwrap_or(limit))
}
