//! What a batch leaves that is dropped.

use super::{
    Broken, Checked, Point,
    pair::{Asked, Pair, at, failed, rounded},
};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Take},
    store::{Answer, MemoryStore, Order, Store, StoreAsk, StoreKey, StoredLimit},
};
use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

const NOW: u64 = 1_000_000_000_000;

/// How often somebody looks until what goes on in the background has come to its end.
const LOOKS: u32 = 1_000;

/// How many orders are a group.
const TOGETHER: usize = 3;

/// Drops a batch of two groups after this many polls.
pub(super) async fn leaves_whole_groups<A: Algorithm, S: Store<A>>(
    pair: &mut Pair<A, S>,
    limit: &Arc<StoredLimit<A>>,
    polls: u32,
) -> Checked {
    let orders = |ask| -> Vec<Order<A>> {
        let order = |index: usize| {
            // Two groups that may lie on different servers.
            let tag = ("Dropped", polls, (index / TOGETHER) as u64);
            let key = StoreKey::tagged(&tag, &(index as u64));
            let order = Asked::new(limit, &key, ask).order;
            Order { is_with_previous: !index.is_multiple_of(TOGETHER), ..order }
        };
        (0..2 * TOGETHER).map(order).collect()
    };
    let looks = || -> Vec<Order<A>> {
        let alone = |order| Order { is_with_previous: false, ..order };
        orders(StoreAsk::Ask(Ask::Peek(Take::fresh(1)))).into_iter().map(alone).collect()
    };
    let take = || orders(StoreAsk::Ask(Ask::Take(Take::fresh(1))));
    let memory = MemoryStore::default();
    let untouched = memory.decide(at(NOW, looks())).await.map_err(failed)?;
    memory.decide(at(NOW, take())).await.map_err(failed)?;
    let taken = memory.decide(at(NOW, looks())).await.map_err(failed)?;

    let mut left = polls;
    let mut decision = Some(Box::pin(pair.store.decide(at(NOW, take()))));
    poll_fn(|cx| {
        let Some(decision) = decision.as_mut().filter(|_| left > 0) else {
            return Poll::Ready(());
        };
        left -= 1;
        match decision.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending if left == 0 => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    drop(decision.take());

    let is_whole = |found: &[Answer]| {
        let groups =
            found.chunks(TOGETHER).zip(untouched.chunks(TOGETHER).zip(taken.chunks(TOGETHER)));
        let mut whole = groups.map(|(found, (untouched, taken))| {
            let are = |others: &[Answer]| found.iter().map(rounded).eq(others.iter().map(rounded));
            are(untouched) || are(taken)
        });
        whole.all(|whole| whole)
    };
    let mut found = Vec::new();
    for _ in 0..LOOKS {
        found = pair.store.decide(at(NOW, looks())).await.map_err(failed)?;
        if is_whole(&found) {
            return Ok(());
        }
        let mut yielded = false;
        let mut others = pin!(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            match std::mem::replace(&mut yielded, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }));
        others.as_mut().await;
    }
    let remaining: Vec<u32> = found.iter().map(|answer| answer.decision.remaining).collect();
    let found = format!("dropped after {polls} polls, two groups of three left {remaining:?}");
    Err(Broken::new(Point::Dropped, found))
}
