//! Permits that do not come back while threads ask for them in all ways, and others take hold of the
//! limits: each is used once, and none is lost.

use super::{bucket, ms};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll, Waker},
    thread,
};
use tokio_test::task::spawn;
use tower::{Layer, Service, service_fn};
use tower_ratelimit::{
    KeyedRateLimiter, LeakyBucket, Limiter, ManualClock, Patience, RateLimitLayer, RateLimiter,
    Terms, limiter::Attempt,
};

const THREADS: usize = 8;

const NOW: Terms = Terms { cost: 1, patience: Patience::Now };

/// So many permits, as the clock stands still.
fn permits(number: u32) -> LeakyBucket {
    bucket(3_600_000, number)
}

/// A clock at which every state is later than a key's that was never used.
fn clock() -> ManualClock {
    let clock = ManualClock::new();
    clock.set(ms(1000));
    clock
}

/// Asks for a permit in one of many ways; whether a call took place.
fn ask(limiter: &RateLimiter<LeakyBucket>, way: usize) -> bool {
    match way % 6 {
        0 | 1 => limiter.try_acquire().is_ok(),
        2 => match Limiter::reserve(limiter, &(), NOW) {
            Attempt::Now(Ok(ticket)) => limiter.commit(ticket).is_ok(),
            Attempt::Now(Err(_)) => false,
            Attempt::Later(_) => panic!("a call without patience is answered at once"),
        },
        // Some are given back.
        3 => {
            let asked = match spawn(limiter.reserve()).poll() {
                Poll::Ready(asked) => asked,
                // It waits, and gives up.
                Poll::Pending => return false,
            };
            asked.is_ok_and(|reservation| !way.is_multiple_of(5) && reservation.commit().is_ok())
        }
        4 => match limiter.try_acquire() {
            Ok(permit) if way.is_multiple_of(5) => {
                permit.refund();
                false
            }
            asked => asked.is_ok(),
        },
        _ => {
            let inner = service_fn(|()| async { Ok::<_, std::convert::Infallible>(()) });
            let mut service = RateLimitLayer::new(limiter.clone()).refuse().layer(inner);
            let cx = &mut Context::from_waker(Waker::noop());
            let is_ready = service.poll_ready(cx).is_ready();
            // A service that is not called takes nothing.
            let is_called = is_ready && !way.is_multiple_of(5);
            is_called && matches!(spawn(service.call(())).poll(), Poll::Ready(Ok(())))
        }
    }
}

/// Takes hold of a limit in a way that changes nothing.
fn take_hold(limiter: &RateLimiter<LeakyBucket>, way: usize, same: LeakyBucket) {
    match way % 6 {
        0 => limiter.set_algorithm(same),
        1 => drop(limiter.peek(1)),
        2 => limiter.charge(0).unwrap(),
        // Waits and gives up, unless it is let go.
        3 => {
            if let Poll::Ready(permit) = spawn(limiter.acquire().cost(2)).poll() {
                permit.unwrap().refund();
            }
        }
        4 => limiter.cancel(),
        _ => drop(spawn(limiter.reserve()).poll()),
    }
}

/// Uses all permits of these limits, while one more thread does something else; how many calls of each
/// took place.
fn use_all(
    limits: &[RateLimiter<LeakyBucket>],
    asks: usize,
    meanwhile: impl Fn(usize) + Sync,
) -> Vec<u32> {
    let used: Vec<_> = limits.iter().map(|_| AtomicU32::new(0)).collect();
    let one = |index: usize, way| {
        let took_place = ask(&limits[index], way);
        used[index].fetch_add(u32::from(took_place), Ordering::Relaxed);
    };
    let busy = AtomicU32::new(THREADS as u32);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (one, busy) = (&one, &busy);
            scope.spawn(move || {
                for n in 0..asks {
                    one((n * 7 + thread) % limits.len(), n + thread * 11);
                }
                busy.fetch_sub(1, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            let is_busy = |_: &usize| busy.load(Ordering::Relaxed) > 0;
            (0..).take_while(is_busy).for_each(&meanwhile);
        });
    });
    // What was given back when somebody was refused is there still.
    let used = used.into_iter().map(AtomicU32::into_inner);
    let left = |limiter: &RateLimiter<_>| (0..).take_while(|_| ask(limiter, 0)).count() as u32;
    used.zip(limits).map(|(used, limiter)| used + left(limiter)).collect()
}

#[test]
fn each_permit_of_one_limit_is_used_once() {
    const PERMITS: u32 = 20_000;
    for _ in 0..5 {
        let limiter = RateLimiter::builder(permits(PERMITS)).clock(clock()).build();
        let meanwhile = |n| take_hold(&limiter, n, permits(PERMITS));
        let used = use_all(std::slice::from_ref(&limiter), 5000, meanwhile);
        assert_eq!(used, [PERMITS]);
    }
}

#[test]
fn each_permit_of_many_keys_is_used_once() {
    const PERMITS: u32 = 300;
    for _ in 0..5 {
        let limiter = KeyedRateLimiter::builder(permits(PERMITS)).clock(clock()).build();
        let keys: Vec<_> = (0..64_u32).map(|key| limiter.key(&key)).collect();
        let meanwhile = |n: usize| match n % 8 {
            0 => drop(limiter.evict()),
            // They go the long way from then on.
            1 => limiter.set_algorithm_for(&(n as u32 % 8), permits(PERMITS)).unwrap(),
            // Keys come that move others to where there is room.
            2 => drop(limiter.key(&(n as u32)).try_acquire().map(|permit| permit.refund())),
            _ => take_hold(&keys[n / 8 % 64], n, permits(PERMITS)),
        };
        assert_eq!(use_all(&keys, 5000, meanwhile), [PERMITS; 64]);
    }
}
