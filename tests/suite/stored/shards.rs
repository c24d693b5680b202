//! A store that is spread over several servers, of which one is away.

use super::{bucket, ms, refused, since};
use std::{
    future::pending,
    sync::{Arc, Mutex},
};
use tokio::time::{Instant, sleep};
use tower_ratelimit::{
    LeakyBucket, OnFailure, Reason, StoredLimiter,
    store::{Answer, Batch, MemoryStore, Order, Store, StoreError},
};

/// Keys that end in an exclamation mark are kept by a server that never answers, others by one that
/// takes 10 ms.
#[derive(Clone, Default)]
struct Spread {
    store: MemoryStore<LeakyBucket>,
    /// How many orders came in each batch, and to which server.
    batches: Arc<Mutex<Vec<(usize, u32)>>>,
}

impl Store<LeakyBucket> for Spread {
    async fn decide(&self, batch: Batch<LeakyBucket>) -> Result<Vec<Answer>, StoreError> {
        let shard = self.shard(&batch.orders()[0]);
        assert!(batch.orders().iter().all(|order| self.shard(order) == shard), "{batch:?}");
        self.batches.lock().unwrap().push((batch.orders().len(), shard));
        if shard == 1 {
            pending::<()>().await;
        }
        sleep(ms(10)).await;
        self.store.decide(batch).await
    }

    fn shard(&self, order: &Order<LeakyBucket>) -> u32 {
        order.key.bytes().ends_with(b"!").into()
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_away_fails_and_holds_up_only_what_it_keeps() {
    let store = Spread::default();
    let limiter = StoredLimiter::builder("api", store.clone(), bucket(1, 100), OnFailure::Refuse);
    let limiter = limiter.deadline(ms(500)).unwrap().build().unwrap();
    let start = Instant::now();
    let calls = ["a!", "b!", "c!", "a", "b", "c"].map(|key| {
        let key = limiter.key(key);
        tokio::spawn(async move { (key.try_acquire().await.map(drop), since(start)) })
    });
    for (index, call) in calls.into_iter().enumerate() {
        let (result, at) = call.await.unwrap();
        match index {
            0..3 => assert_eq!((refused(result).reason(), at), (Reason::Unavailable, 500)),
            _ => assert_eq!((result, at), (Ok(()), 10)),
        }
    }
    // To each one by itself, and those who came meanwhile.
    let batches = store.batches.lock().unwrap().clone();
    assert_eq!(batches, [(1, 1), (1, 0), (2, 1), (2, 0)]);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_left_alone_takes_only_its_own_keys_with_it() {
    let store = Spread::default();
    let limiter = StoredLimiter::builder("api", store.clone(), bucket(1, 100), OnFailure::Refuse);
    let limiter = limiter.deadline(ms(500)).unwrap().build().unwrap();
    let asked = |shard| store.batches.lock().unwrap().iter().filter(|(_, to)| *to == shard).count();
    for _ in 0..5 {
        refused(limiter.key("a!").try_acquire().await);
        // Whoever asks in the very instant may be faster than the driver, whose batch ends in it as well.
        sleep(ms(1)).await;
    }
    assert_eq!(asked(1), 5);
    let start = Instant::now();
    refused(limiter.key("b!").try_acquire().await);
    assert_eq!((asked(1), since(start)), (5, 0));
    for _ in 0..10 {
        limiter.key("a").try_acquire().await.unwrap();
    }
    // That others answer says nothing of it.
    refused(limiter.key("b!").try_acquire().await);
    assert_eq!((asked(1), asked(0)), (5, 10));
}
