//! Keys that were refused are refused again without asking.

use super::{Slow, bucket, builder, ms, refused};
use tokio::time::sleep;
use tower_ratelimit::{LeakyBucket, StoredLimiter};

fn limiter(store: &Slow<LeakyBucket>) -> StoredLimiter<LeakyBucket, Slow<LeakyBucket>> {
    builder(store, bucket(100, 2)).remember_refused(100).unwrap().build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_not_asked_for_until_its_time_has_come() {
    let store = Slow::new(0);
    let limiter = limiter(&store);
    let limit = limiter.key("alice");
    limit.acquire().cost(2).await.unwrap();
    for elapsed in 0..100 {
        let refusal = refused(limit.try_acquire().await);
        assert_eq!(refusal.retry_after(), Some(ms(100 - elapsed)));
        sleep(ms(1)).await;
    }
    assert_eq!(store.batches().len(), 2);
    limit.try_acquire().await.unwrap();
    assert_eq!(store.batches().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_cheaper_call_or_a_more_patient_one_is_asked_for() {
    let store = Slow::new(0);
    let limiter = limiter(&store);
    let limit = limiter.key("alice");
    limit.acquire().cost(1).await.unwrap();
    refused(limit.try_acquire_many(2).await);
    limit.try_acquire_many(1).await.unwrap();
    refused(limit.try_acquire().await);
    limit.acquire().max_wait(ms(100)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_is_seen_at_once() {
    let store = Slow::new(0);
    let limiter = limiter(&store);
    let limit = limiter.key("alice");
    let permit = limit.try_acquire_many(2).await.unwrap();
    refused(limit.try_acquire().await);
    permit.refund();
    limit.try_acquire_many(2).await.unwrap();
    refused(limit.try_acquire().await);
    limit.reset().await.unwrap();
    limit.try_acquire().await.unwrap();
}
