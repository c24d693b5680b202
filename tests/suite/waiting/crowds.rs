//! Lines of a hundred thousand, and a hundred thousand lines: who is polled how often, and when.

use super::milliseconds;
use std::{
    pin::pin,
    sync::{Arc, Mutex},
};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Duration, Instant},
};
use tower_ratelimit::{
    Algorithm, BurstCompensating, KeyedRateLimiter, LeakyBucket, Rate, RateLimiter,
};

const CROWD: u64 = 100_000;

/// A call that was let go, in the order in which they ran.
#[derive(Debug, PartialEq, Eq)]
struct LetGo {
    caller: u64,
    after: Duration,
    polls: u32,
}

/// Waits for a permit; after how many polls it came.
async fn polls<A: Algorithm>(limiter: &RateLimiter<A>) -> u32 {
    let mut polls = 0;
    let mut acquire = pin!(limiter.acquire());
    let permit = std::future::poll_fn(|cx| {
        polls += 1;
        acquire.as_mut().poll(cx)
    });
    permit.await.unwrap();
    polls
}

/// Lets all tasks run that can. A runtime lets some of them wait for its next round.
async fn all_have_joined() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

/// One task for each of these limiters, all asking at once; how each fared.
fn run<A: Algorithm>(limiters: impl Fn(u64) -> RateLimiter<A>, callers: u64) -> Vec<LetGo> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let start = Instant::now();
        let all = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for caller in 0..callers {
            let (limiter, all) = (limiters(caller), Arc::clone(&all));
            tasks.spawn(async move {
                let polls = polls(&limiter).await;
                let after = start.elapsed();
                all.lock().unwrap().push(LetGo { caller, after, polls });
            });
        }
        tasks.join_all().await;
        std::mem::take(&mut *all.lock().unwrap())
    })
}

#[test]
fn each_of_a_hundred_thousand_in_line_is_polled_when_it_joins_and_when_it_is_let_go() {
    let bucket = LeakyBucket::new(Rate::per_second(1000).unwrap()).capacity(1).unwrap();
    let limiter = RateLimiter::new(bucket);
    let all = run(|_| limiter.clone(), CROWD);
    let expected = |caller| {
        let polls = if caller == 0 { 1 } else { 2 };
        LetGo { caller, after: milliseconds(caller), polls }
    };
    assert!(all.into_iter().eq((0..CROWD).map(expected)));
}

#[test]
fn those_whose_turns_come_within_a_tick_go_together_in_order_and_two_of_them_look_before() {
    let pacer = BurstCompensating::new(Rate::per_second(50_000).unwrap()).max_burst(100).unwrap();
    let limiter = RateLimiter::new(pacer);
    let all = run(|_| limiter.clone(), CROWD);
    // Fifty turns a tick, the last of them at the tick itself.
    let expected = |caller: u64| (caller, milliseconds(caller.div_ceil(50)));
    assert!(all.iter().map(|one| (one.caller, one.after)).eq((0..CROWD).map(expected)));
    assert!(all.iter().all(|one| one.polls <= 3));
    let looked_before = all.iter().filter(|one| one.polls == 3).count();
    assert!(looked_before as u64 <= CROWD / 50 * 2, "{looked_before} looked before");
}

#[test]
fn each_of_three_in_line_for_each_of_a_hundred_thousand_keys_is_polled_twice() {
    let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(1).unwrap();
    let limiter = KeyedRateLimiter::new(bucket);
    let all = run(|caller| limiter.key(&(caller % CROWD)), 4 * CROWD);
    for one in &all {
        let earlier = one.caller / CROWD;
        assert_eq!(one.after, milliseconds(100 * earlier), "{one:?}");
        assert_eq!(one.polls, if earlier == 0 { 1 } else { 2 }, "{one:?}");
    }
    assert_eq!(all.len() as u64, 4 * CROWD);
}

#[test]
fn each_is_polled_once_more_where_the_first_in_line_gives_up() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(1).unwrap();
        let limiter = RateLimiter::new(bucket);
        limiter.try_acquire().unwrap();
        let start = Instant::now();
        let first = super::in_line(&limiter);
        let waiting = (0..1000_u64).map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { (polls(&limiter).await, start.elapsed()) })
        });
        let waiting: Vec<_> = waiting.collect();
        all_have_joined().await;
        drop(first);
        for (turn, task) in (1..).zip(waiting) {
            assert_eq!(task.await.unwrap(), (3, milliseconds(100 * turn)));
        }
    });
}

#[test]
fn those_who_give_up_in_the_middle_cost_the_others_neither_time_nor_order() {
    let bucket = LeakyBucket::new(Rate::per_second(1000).unwrap()).capacity(1).unwrap();
    let limiter = RateLimiter::new(bucket);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        limiter.try_acquire().unwrap();
        let start = Instant::now();
        let mut waiting: Vec<_> = (0..10_000_u64)
            .map(|_| {
                let limiter = limiter.clone();
                tokio::spawn(async move {
                    polls(&limiter).await;
                    start.elapsed()
                })
            })
            .collect();
        all_have_joined().await;
        // All but every seventh, from the back, the middle and the front.
        let gone = |caller: &usize| !caller.is_multiple_of(7);
        for caller in (5000..10_000).rev().chain(2500..5000).chain(0..2500).filter(gone) {
            waiting[caller].abort();
        }
        let mut turn = 0;
        for task in waiting.drain(..).step_by(7) {
            turn += 1;
            assert_eq!(task.await.unwrap(), milliseconds(turn));
        }
    });
}
