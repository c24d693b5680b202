//! Calls evenly apart.

use super::{leaky, milliseconds, together};
use std::{cell::RefCell, rc::Rc};
use tokio::time::{Instant, sleep};
use tower_ratelimit::{BurstCompensating, Rate, RateLimiter};

#[tokio::test(start_paused = true)]
async fn r04_a_late_release_catches_up_and_keeps_the_grid() {
    let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(100).unwrap()));
    let start = Instant::now();
    let instants = Rc::new(RefCell::new(Vec::new()));
    let waiters = (0..12).map(|_| {
        let (limiter, instants) = (limiter.clone(), Rc::clone(&instants));
        async move {
            limiter.acquire().await.unwrap();
            instants.borrow_mut().push(start.elapsed().as_millis());
        }
    });
    let stall = async {
        // All have asked; now the one thread is busy and no timer is looked at.
        tokio::task::yield_now().await;
        tokio::time::advance(milliseconds(85)).await;
    };
    let local = tokio::task::LocalSet::new();
    for waiter in waiters {
        local.spawn_local(waiter);
    }
    local.spawn_local(stall);
    local.await;
    assert_eq!(*instants.borrow(), [0, 85, 85, 85, 85, 85, 90, 100, 110, 120, 130, 140]);
}

#[tokio::test(start_paused = true)]
async fn r05_idling_earns_nothing() {
    let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(100).unwrap()));
    limiter.acquire().await.unwrap();
    sleep(milliseconds(200)).await;
    assert_eq!(together(&limiter, 4).await, [0, 10, 20, 30]);
}

#[tokio::test(start_paused = true)]
async fn r06_a_faster_rate_holds_for_those_who_wait() {
    let limiter = RateLimiter::new(leaky(1, 1));
    limiter.try_acquire().unwrap();
    let change = async {
        sleep(milliseconds(100)).await;
        limiter.set_algorithm(leaky(10, 1));
    };
    let (released, ()) = tokio::join!(together(&limiter, 3), change);
    assert_eq!(released, [100, 200, 300]);
}

#[tokio::test(start_paused = true)]
async fn r32_n_calls_take_one_interval_less_than_n() {
    let limiter = RateLimiter::new(BurstCompensating::new(Rate::per_second(20).unwrap()));
    let instants = together(&limiter, 10).await;
    assert_eq!(instants, (0..10).map(|slot| slot * 50).collect::<Vec<u128>>());
}
