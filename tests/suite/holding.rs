//! Calls that hold their permits, without tower: until the future, the function or the thread has
//! ended, however it ends.

use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::channel,
    thread,
    time::Duration,
};
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};
use tokio_test::{assert_pending, task};
use tower_ratelimit::{Concurrency, ManualClock, Rate, RateLimiter, Reason, Serialized};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn at_once(calls: u32) -> RateLimiter<Concurrency> {
    RateLimiter::new(Concurrency::new(calls).unwrap())
}

fn free(limiter: &RateLimiter<Concurrency>) -> u32 {
    limiter.peek(0).remaining
}

/// Says when it is dropped whether a permit was free.
struct LastWords<'a>(&'a RateLimiter<Concurrency>, &'a mut Option<u32>);

impl Drop for LastWords<'_> {
    fn drop(&mut self) {
        *self.1 = Some(free(self.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_future_holds_its_permit_until_all_of_it_has_ended() {
    let limiter = at_once(1);
    let mut at_the_end = None;
    let words = LastWords(&limiter, &mut at_the_end);
    let work = async move {
        let _words = words;
        sleep(ms(100)).await;
        7
    };
    assert_eq!(limiter.wrap(work).await, Ok(7));
    assert_eq!((at_the_end, free(&limiter)), (Some(0), 1));
    // The same when it is dropped half-way.
    let words = LastWords(&limiter, &mut at_the_end);
    let stuck = async move {
        let _words = words;
        pending::<()>().await;
    };
    let mut wrapped = task::spawn(limiter.wrap(stuck));
    assert_pending!(wrapped.poll());
    assert_eq!(free(&limiter), 0);
    drop(wrapped);
    assert_eq!((at_the_end, free(&limiter)), (Some(0), 1));
}

#[tokio::test(start_paused = true)]
async fn spawned_calls_hold_their_permits_until_they_end_in_order() {
    let limiter = at_once(2);
    let start = Instant::now();
    let call = |length| {
        let work = async move {
            let began = start.elapsed().as_millis();
            sleep(ms(length)).await;
            began
        };
        limiter.spawn(work).unwrap()
    };
    let handles = [100, 30, 50, 10, 10].map(call);
    let mut began = Vec::new();
    for handle in handles {
        began.push(handle.await.unwrap().unwrap());
    }
    assert_eq!(began, [0, 0, 30, 80, 90]);
    assert_eq!(free(&limiter), 2);
}

#[tokio::test(start_paused = true)]
async fn spawned_calls_that_panic_or_are_aborted_let_the_next_one_run() {
    let limiter = at_once(1);
    let start = Instant::now();
    let panics = limiter.spawn(async { panic!("on purpose") }).unwrap();
    let runs = limiter.spawn(pending::<()>()).unwrap();
    let waits = limiter.spawn(pending::<()>()).unwrap();
    let last = limiter.spawn(async move { start.elapsed() }).unwrap();
    let never_polled = limiter.spawn(async {}).unwrap();
    never_polled.abort();
    assert!(panics.await.unwrap_err().is_panic());
    sleep(ms(40)).await;
    assert_eq!(free(&limiter), 0);
    waits.abort();
    runs.abort();
    assert!(runs.await.unwrap_err().is_cancelled());
    assert_eq!(last.await.unwrap(), Ok(ms(40)));
    assert!(waits.await.unwrap_err().is_cancelled());
    assert!(never_polled.await.unwrap_err().is_cancelled());
    assert_eq!(free(&limiter), 1);
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_is_dropped_changes_nothing_for_its_call() {
    let limiter = at_once(1);
    drop(limiter.spawn(sleep(ms(100))).unwrap());
    let start = Instant::now();
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_wrapped_function_holds_its_permits_while_it_runs() {
    let limiter = at_once(3);
    let start = Instant::now();
    let seen = limiter.wrap_fn(async |length: u64| {
        let others = free(&limiter);
        sleep(ms(length)).await;
        (others, start.elapsed().as_millis())
    });
    let pairs = seen.clone().cost(2);
    let (first, second, third) = tokio::join!(seen.call(100), pairs.call(50), seen.call(10));
    assert_eq!([first, second, third], [Ok((2, 100)), Ok((0, 50)), Ok((1, 60))]);
    let refused = seen.clone().cost(4).call(1).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::TooCostly);
    assert_eq!(seen.clone().cost(0).call(0).await, Ok((3, 100)));
    assert_eq!(free(&limiter), 3);
}

#[test]
fn a_wrapped_function_that_panics_holds_nothing_afterwards() {
    let limiter = at_once(1);
    let function = limiter.wrap_fn(|fails: bool| {
        assert!(!fails, "on purpose");
        free(&limiter)
    });
    let panicked = catch_unwind(AssertUnwindSafe(|| function.blocking_call(true)));
    assert!(panicked.is_err());
    assert_eq!(free(&limiter), 1);
    assert_eq!(function.blocking_call(false), Ok(0));
    let limiter = at_once(1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _held = limiter.acquire().blocking_wait().unwrap();
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(free(&limiter), 1);
}

/// Spins until somebody stands in line, which keeps even the permit that is free.
fn until_somebody_waits(limiter: &RateLimiter<Concurrency>) {
    while limiter.peek(1).is_granted() {
        thread::yield_now();
    }
}

#[test]
fn a_thread_waits_until_another_one_has_ended_its_call() {
    let limiter = at_once(2);
    let (says, order) = channel();
    let held = limiter.acquire().blocking_wait().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _held = limiter.acquire().cost(2).blocking_wait().unwrap();
            assert_eq!(free(&limiter), 0);
            says.send("the second").unwrap();
        });
        until_somebody_waits(&limiter);
        assert!(limiter.try_acquire().is_err(), "nobody overtakes");
        says.send("the first").unwrap();
        drop(held);
    });
    assert_eq!(order.try_iter().collect::<Vec<_>>(), ["the first", "the second"]);
    assert_eq!(free(&limiter), 2);
}

#[test]
fn a_thread_gets_the_permit_of_a_dead_holder_when_its_lease_ends() {
    let clock = ManualClock::new();
    let limit = Concurrency::new(2).unwrap().lease(ms(1000)).unwrap();
    let limiter = RateLimiter::builder(limit).clock(clock.clone()).build();
    std::mem::forget(limiter.acquire().blocking_wait().unwrap());
    thread::scope(|scope| {
        let both = || limiter.acquire().cost(2).blocking_wait().map(|permit| permit.waited());
        let waits = scope.spawn(both);
        until_somebody_waits(&limiter);
        clock.set(ms(999));
        assert!(!limiter.peek(1).is_granted());
        clock.set(ms(1000));
        assert_eq!(waits.join().unwrap(), Ok(ms(1000)));
    });
    assert_eq!(free(&limiter), 2);
}

#[tokio::test(start_paused = true)]
async fn a_serialized_call_that_is_aborted_has_ended_like_any_other() {
    let limiter = RateLimiter::new(Serialized::new(Rate::new(1, ms(500)).unwrap()));
    let start = Instant::now();
    let aborted = limiter.spawn(pending::<()>()).unwrap();
    let next = limiter.spawn(async move { start.elapsed() }).unwrap();
    sleep(ms(30)).await;
    aborted.abort();
    assert_eq!(next.await.unwrap(), Ok(ms(530)));
    // One that waits when it is aborted never took place.
    let waits = limiter.spawn(pending::<()>()).unwrap();
    yield_now().await;
    waits.abort();
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), ms(1030));
}

#[test]
fn a_try_behind_others_knows_no_more_than_they_do_when_calls_end() {
    for (lease, hint) in [(None, None), (Some(ms(1000)), Some(ms(900)))] {
        let clock = ManualClock::new();
        let limit = Concurrency::new(2).unwrap();
        let limit = lease.map_or(limit, |lease| limit.lease(lease).unwrap());
        let limiter = RateLimiter::builder(limit).clock(clock.clone()).build();
        let _held = limiter.try_acquire().unwrap();
        clock.set(ms(100));
        let mut both = task::spawn(limiter.acquire().cost(2));
        assert_pending!(both.poll());
        // One permit is free, and is kept for the one that waits for two.
        assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), hint);
        assert_eq!(limiter.peek(1).retry_after(), hint);
        assert!(!limiter.peek(1).is_granted());
    }
}

#[tokio::test(start_paused = true)]
async fn callers_whom_nobody_polls_hold_up_those_behind_them_for_a_while_only() {
    let limiter = RateLimiter::new(Concurrency::new(1).unwrap());
    let permit = limiter.try_acquire().unwrap();
    let mut left = Vec::new();
    for _ in 0..5 {
        let mut waiting = tokio_test::task::spawn(limiter.acquire());
        tokio_test::assert_pending!(waiting.poll());
        left.push(waiting);
    }
    let last = limiter.spawn(async {}).unwrap();
    // It has looked, and waits to be told.
    tokio::task::yield_now().await;
    drop(permit);
    // Each of the five may keep its permit for a second.
    let served = tokio::time::timeout(std::time::Duration::from_secs(10), last).await;
    served.expect("its turn comes").unwrap().unwrap();
}
