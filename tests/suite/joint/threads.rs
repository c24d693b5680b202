//! Many threads at once: what is taken of several limits is exact.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
};
use tower_ratelimit::{JointLimiter, Quota, TokenBucket};

#[test]
fn nothing_is_lost_and_no_limit_is_exceeded() {
    let mut limits = JointLimiter::builder();
    let left = limits.limit("left", TokenBucket::quota(300).unwrap()).unwrap();
    let right = limits.limit("right", TokenBucket::quota(500).unwrap()).unwrap();
    let both = limits.limit("both", Quota::new(10_000).unwrap()).unwrap();
    let limiter = limits.build();
    let taken = [const { AtomicU32::new(0) }; 3];
    thread::scope(|scope| {
        for number in 0..6_usize {
            let (limiter, taken) = (&limiter, &taken);
            scope.spawn(move || {
                let calls = [
                    limiter.on(left, &()).on(both, &()),
                    limiter.on(both, &()).on(right, &()),
                    limiter.on(right, &()).on(both, &()).on(left, &()),
                ];
                for round in 0..300 {
                    let which = (number + round) % 3;
                    let granted = calls[which].try_acquire();
                    taken[which].fetch_add(u32::from(granted.is_ok()), Ordering::Relaxed);
                    if round % 7 == 0
                        && let Ok(permit) = granted
                    {
                        permit.refund();
                        taken[which].fetch_sub(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let [of_left, of_right, of_all] = taken.map(|taken| taken.load(Ordering::Relaxed));
    let used = |limit| limiter.on_many(limit, &(), 0).peek().decision();
    assert_eq!(used(left).remaining, 300 - of_left - of_all);
    assert_eq!(used(right).remaining, 500 - of_right - of_all);
    assert_eq!(used(both).remaining, 10_000 - of_left - of_right - of_all);
    assert_eq!(used(left).remaining, 0, "1,800 calls are enough to spend it");
}

#[test]
fn threads_with_crossing_keys_all_get_through() {
    let mut limits = JointLimiter::builder();
    let fork = limits.limit("fork", tower_ratelimit::Concurrency::new(1).unwrap()).unwrap();
    let limiter = limits.build();
    let meals = AtomicU32::new(0);
    thread::scope(|scope| {
        for seat in 0..5_u32 {
            let (limiter, meals) = (&limiter, &meals);
            scope.spawn(move || {
                let call = limiter.on(fork, &seat).on(fork, &((seat + 1) % 5));
                for _ in 0..50 {
                    let _forks = call.acquire().blocking_wait().unwrap();
                    meals.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(meals.load(Ordering::Relaxed), 250);
    assert_eq!(limiter.keys(), 0);
}
