//! Callers that go away.

use super::{Slow, bucket, limiter, ms, refused, since};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_test::{assert_pending, task::spawn};
use tower_ratelimit::{AnyAlgorithm, Quota};

#[tokio::test(start_paused = true)]
async fn permits_of_a_lone_caller_who_goes_away_under_way_go_back() {
    for gone_after in [0, 4, 9] {
        let store = Slow::new(10);
        let limiter = limiter(&store, Quota::new(1).unwrap());
        let limit = limiter.key("alice");
        let gone = timeout(ms(gone_after), limit.try_acquire()).await;
        assert!(gone.is_err());
        sleep(ms(50)).await;
        limit.try_acquire().await.unwrap();
        refused(limit.try_acquire().await);
    }
}

#[tokio::test(start_paused = true)]
async fn permits_of_a_caller_in_a_batch_who_goes_away_go_back() {
    let store = Slow::new(10);
    let limiter = limiter(&store, Quota::new(1).unwrap());
    let (alice, bob) = (limiter.key("alice"), limiter.key("bob"));
    let mut lone = spawn(bob.try_acquire());
    assert_pending!(lone.poll());
    let mut in_batch = spawn(alice.try_acquire());
    assert_pending!(in_batch.poll());
    sleep(ms(4)).await;
    drop(in_batch);
    sleep(ms(50)).await;
    alice.try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_goes_back() {
    let store = Slow::new(10);
    let limiter = limiter(&store, Quota::new(1).unwrap());
    let (alice, bob) = (limiter.key("alice"), limiter.key("bob"));
    let mut lone = spawn(bob.try_acquire());
    assert_pending!(lone.poll());
    let mut in_batch = spawn(alice.try_acquire());
    assert_pending!(in_batch.poll());
    // It was answered, and not polled since.
    sleep(ms(30)).await;
    drop(in_batch);
    sleep(ms(30)).await;
    alice.try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_ask_that_was_not_sent_yet_is_not_sent() {
    let store = Slow::new(10);
    let limiter = limiter(&store, bucket(1, 10));
    let limit = limiter.key("alice");
    let mut callers = [(); 3].map(|()| spawn(limit.try_acquire()));
    for caller in &mut callers {
        assert_pending!(caller.poll());
    }
    // The first is under way by itself, the second in a batch, the third in the queue.
    sleep(Duration::ZERO).await;
    let mut waits = spawn(limit.try_acquire());
    assert_pending!(waits.poll());
    drop(waits);
    sleep(ms(100)).await;
    assert_eq!(store.batches().iter().sum::<usize>(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_caller_who_gives_up_goes_to_the_next_to_come() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    let limit = limiter.key("alice");
    limit.acquire().await.unwrap();
    let start = Instant::now();
    let gone = timeout(ms(30), async { limit.acquire().await }).await;
    assert!(gone.is_err());
    limit.acquire().await.unwrap();
    assert_eq!(since(start), 100);
}

#[tokio::test(start_paused = true)]
async fn callers_who_give_up_from_behind_leave_no_gap() {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    let limit = limiter.key("alice");
    limit.acquire().await.unwrap();
    let start = Instant::now();
    let mut waits: Vec<_> =
        (0..5).map(|_| spawn(std::future::IntoFuture::into_future(limit.acquire()))).collect();
    for wait in &mut waits {
        assert_pending!(wait.poll());
        sleep(ms(1)).await;
        assert_pending!(wait.poll());
    }
    while let Some(last) = waits.pop() {
        drop(last);
        sleep(ms(1)).await;
    }
    limit.acquire().await.unwrap();
    assert_eq!(since(start), 100);
}

#[tokio::test(start_paused = true)]
async fn places_that_are_given_up_go_to_the_next_to_come_whatever_the_limit() {
    let lines = [
        ("leaky bucket 10/s, capacity 1", 100),
        ("strict 10/s", 100),
        ("burst compensating 10/s", 100),
        ("token bucket 1/100ms, capacity 1", 100),
        ("sliding window 1/100ms", 100),
        ("fixed window 1/100ms", 100),
    ];
    let mut let_go = Vec::new();
    for (line, _) in lines {
        let limiter = limiter(&Slow::new(0), line.parse::<AnyAlgorithm>().unwrap());
        let limit = limiter.key("alice");
        limit.acquire().await.unwrap();
        let start = Instant::now();
        let mut gone =
            [(); 2].map(|()| spawn(std::future::IntoFuture::into_future(limit.acquire())));
        for wait in &mut gone {
            assert_pending!(wait.poll());
            sleep(ms(1)).await;
            assert_pending!(wait.poll());
        }
        let [first, second] = gone;
        for wait in [second, first] {
            drop(wait);
            sleep(ms(1)).await;
        }
        limit.acquire().await.unwrap();
        let_go.push((line, since(start)));
    }
    assert_eq!(let_go, lines);
}
