//! Keys that were refused are refused again without asking.

use super::{Slow, bucket, builder, ms, refused};
use std::future::IntoFuture;
use tokio::time::sleep;
use tokio_test::{assert_pending, task::spawn};
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

#[tokio::test(start_paused = true)]
async fn the_place_of_one_who_goes_away_is_seen_at_once() {
    let store = Slow::new(0);
    let limiter = limiter(&store);
    let limit = limiter.key("alice");
    limit.acquire().cost(2).await.unwrap();
    let mut waits = spawn(limit.acquire().into_future());
    for _ in 0..2 {
        assert_pending!(waits.poll());
        sleep(ms(1)).await;
    }
    // Behind the one who waits.
    let refusal = refused(limit.try_acquire().await);
    assert!(refusal.retry_after() > Some(ms(150)), "{refusal}");
    drop(waits);
    limit.acquire().max_wait(ms(100)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_older_than_what_went_back_is_not_remembered() {
    let store = Slow::new(10);
    let limiter = limiter(&store);
    let limit = limiter.key("alice");
    let permit = limit.try_acquire_many(2).await.unwrap();
    let mut late = spawn(limit.try_acquire_many(2));
    assert_pending!(late.poll());
    sleep(ms(6)).await;
    assert_pending!(late.poll());
    // It is refused by now; what goes back has gone back before it hears of it.
    permit.refund();
    sleep(ms(50)).await;
    tokio_test::assert_ready!(late.poll()).map(drop).unwrap_err();
    limit.try_acquire_many(2).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn another_arithmetic_holds_for_keys_that_were_refused() {
    let store = Slow::new(0);
    let limiter = limiter(&store);
    let limit = limiter.key("alice");
    limit.acquire().cost(2).await.unwrap();
    refused(limit.try_acquire().await);
    limiter.set_algorithm(bucket(100, 5)).unwrap();
    limit.try_acquire().await.unwrap();
}
