//! A store that comes back, and one that answers what nobody asked.

use super::{
    Slow, bucket, builder, limiter, ms, refused, since,
    slow::Mood::{Answers, Fails, Forgets, Hangs, Panics, Rambles},
};
use std::{error::Error, future::IntoFuture};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, task::spawn};
use tower_ratelimit::{Concurrency, LeakyBucket, OnFailure, Quota, Reason, StoredLimiter};

#[tokio::test(start_paused = true)]
async fn a_batch_that_hangs_holds_up_the_next_one_until_the_deadline() {
    let store = Slow::new(0);
    let limiter = builder(&store, bucket(1, 10)).deadline(ms(50)).unwrap().build().unwrap();
    let limit = limiter.key("alice");
    store.set(Hangs);
    let calls = [(); 3].map(|()| {
        let limit = limit.clone();
        tokio::spawn(async move { limit.try_acquire().await.map(drop) })
    });
    sleep(ms(1)).await;
    store.set(Answers);
    for call in calls {
        assert_eq!(refused(call.await.unwrap()).reason(), Reason::Unavailable);
    }
    for _ in 0..3 {
        let (first, second) = tokio::join!(limit.try_acquire(), limit.try_acquire());
        first.unwrap();
        second.unwrap();
        sleep(ms(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn callers_who_give_up_on_a_store_that_hangs_leave_nothing_behind() {
    let store = Slow::new(0);
    store.set(Hangs);
    let limiter = builder(&store, Quota::new(1).unwrap()).deadline(ms(50)).unwrap();
    let limiter = limiter.build().unwrap();
    for _ in 0..200 {
        let limit = limiter.key("alice");
        let mut gone = spawn(async move { limit.try_acquire().await });
        assert_pending!(gone.poll());
        drop(gone);
        sleep(ms(1)).await;
    }
    // One on its own way, and one batch a deadline.
    assert!(store.batches().len() <= 6, "{:?}", store.batches());
    sleep(ms(2000)).await;
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks, 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_is_a_store_that_fails() {
    let store = Slow::new(0);
    store.set(Panics);
    let limiter = limiter(&store, bucket(1, 10));
    let limit = limiter.key("alice");
    for _ in 0..2 {
        let (alone, in_batch) = tokio::join!(limit.try_acquire(), limit.try_acquire());
        for result in [alone, in_batch] {
            let refusal = refused(result);
            assert_eq!(refusal.reason(), Reason::Unavailable);
            let cause = refusal.source().unwrap().source().unwrap();
            assert_eq!(cause.to_string(), "it panicked");
        }
    }
    store.set(Answers);
    limit.try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn too_few_answers_or_too_many_are_no_answers() {
    for mood in [Forgets, Rambles] {
        let store = Slow::new(0);
        store.set(mood);
        let limiter = limiter(&store, bucket(1, 10));
        let limit = limiter.key("alice");
        let (alone, in_batch) = tokio::join!(limit.try_acquire(), limit.try_acquire());
        for result in [alone, in_batch] {
            assert_eq!(refused(result).reason(), Reason::Unavailable);
        }
        store.set(Answers);
        limit.try_acquire().await.unwrap();
    }
}

fn with_share(store: &Slow<LeakyBucket>) -> StoredLimiter<LeakyBucket, Slow<LeakyBucket>> {
    let share = OnFailure::Local(bucket(100, 1));
    StoredLimiter::builder("api", store.clone(), bucket(100, 10), share).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_the_local_share_are_taken_hold_of_like_all_others() {
    type Act = fn(&StoredLimiter<LeakyBucket, Slow<LeakyBucket>>);
    let acts: [(Act, Option<Reason>); 3] = [
        (|limiter| limiter.cancel(), Some(Reason::Cancelled)),
        (|limiter| limiter.close(), Some(Reason::Closed)),
        (|limiter| limiter.breach(), None),
    ];
    for (act, expected) in acts {
        let store = Slow::new(0);
        store.set(Fails);
        let limiter = with_share(&store);
        limiter.key("alice").try_acquire().await.unwrap();
        let start = Instant::now();
        let waits = tokio::spawn(limiter.key("alice").acquire().into_future());
        sleep(ms(30)).await;
        act(&limiter);
        let result = waits.await.unwrap();
        assert_eq!((since(start), result.err().map(|refusal| refusal.reason())), (30, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_an_answer_are_taken_hold_of_at_once() {
    let store = Slow::new(0);
    store.set(Hangs);
    let limiter = limiter(&store, bucket(1, 10));
    let start = Instant::now();
    let limit = limiter.key("alice");
    let waits = tokio::spawn(async move { limit.try_acquire().await.map(drop) });
    sleep(ms(10)).await;
    limiter.close();
    assert_eq!(refused(waits.await.unwrap()).reason(), Reason::Closed);
    assert_eq!(since(start), 10);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_no_cost_passes_also_without_a_store() {
    let store = Slow::new(0);
    store.set(Fails);
    let limiter = limiter(&store, bucket(1, 10));
    limiter.key("alice").acquire().cost(0).await.unwrap();
}

#[test]
fn a_thread_whose_runtime_has_ended_is_told_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limiter = runtime.block_on(async { limiter(&Slow::new(0), bucket(1, 10)) });
    drop(runtime);
    let refusal = refused(limiter.key("alice").acquire().blocking_wait());
    assert_eq!(refusal.reason(), Reason::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_store_slower_than_the_line_is_patient_is_asked_in_order_all_the_same() {
    let limiter = limiter(&Slow::new(200), Concurrency::new(1).unwrap());
    let permit = limiter.key("alice").acquire().await.unwrap();
    let (served, mut order) = tokio::sync::mpsc::unbounded_channel();
    for caller in 0..4 {
        let (limit, served) = (limiter.key("alice"), served.clone());
        tokio::spawn(async move {
            let _permit = limit.acquire().await.unwrap();
            served.send(caller).unwrap();
        });
        sleep(ms(300)).await;
    }
    sleep(ms(20)).await;
    drop(permit);
    for caller in 0..4 {
        assert_eq!(order.recv().await, Some(caller));
    }
}
