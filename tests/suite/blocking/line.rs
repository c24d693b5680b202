//! Threads that stand in line.

use super::{milliseconds, until_turn_is_in, used_up};
use std::{
    pin::Pin,
    sync::mpsc::{Receiver, Sender, channel},
    task::{Context, Waker},
    thread::{self, Scope, ScopedJoinHandle},
    time::Duration,
};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower_ratelimit::{
    Clock, KeyedRateLimiter, LeakyBucket, ManualClock, Rate, RateLimiter, Reason, Strict,
};

/// A thread in line that says its number once it was let go.
fn thread_in_line<'scope>(
    scope: &'scope Scope<'scope, '_>,
    limiter: &RateLimiter<LeakyBucket>,
    (number, says): (u32, &Sender<u32>),
) -> ScopedJoinHandle<'scope, ()> {
    let behind = limiter.peek(1).retry_after().unwrap();
    let (blocked, says) = (limiter.clone(), says.clone());
    let thread = scope.spawn(move || {
        blocked.acquire().blocking_wait().unwrap();
        says.send(number).unwrap();
    });
    until_turn_is_in(limiter, behind + milliseconds(100));
    thread
}

fn numbers() -> (Sender<u32>, Receiver<u32>) {
    channel()
}

#[test]
fn threads_and_tasks_are_served_in_the_order_in_which_they_asked() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let (says, let_go) = numbers();
    thread::scope(|scope| {
        thread_in_line(scope, &limiter, (1, &says));
        let mut second = task::spawn(limiter.acquire());
        assert_pending!(second.poll());
        thread_in_line(scope, &limiter, (3, &says));
        thread_in_line(scope, &limiter, (4, &says));
        let mut fifth = task::spawn(limiter.acquire());
        assert_pending!(fifth.poll());

        clock.set(milliseconds(100));
        assert_eq!(let_go.recv(), Ok(1));
        assert_pending!(second.poll());
        clock.set(milliseconds(200));
        assert_ready_ok!(second.poll());
        for (number, at) in [(3, 300), (4, 400)] {
            clock.set(milliseconds(at - 1));
            assert_pending!(fifth.poll());
            clock.set(milliseconds(at));
            assert_eq!(let_go.recv(), Ok(number));
        }
        assert_pending!(fifth.poll());
        clock.set(milliseconds(500));
        assert_ready_ok!(fifth.poll());
    });
    assert!(let_go.try_recv().is_err());
}

#[test]
fn a_try_does_not_overtake_a_thread() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let (says, let_go) = numbers();
    thread::scope(|scope| {
        thread_in_line(scope, &limiter, (1, &says));
        clock.set(milliseconds(100));
        // Whether the thread has run by now or not, the slot is its own.
        assert!(limiter.try_acquire().is_err());
        assert_eq!(let_go.recv(), Ok(1));
    });
}

#[test]
fn a_thread_that_need_not_wait_is_let_go_at_once() {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(Strict::new(Rate::per_second(1).unwrap()));
    let limiter = limiter.clock(clock.clone()).build();
    let permit = limiter.acquire().blocking_wait().unwrap();
    permit.refund();
    limiter.reserve().blocking_wait().unwrap().commit().unwrap();
    assert!(limiter.try_acquire().is_err());
}

#[test]
fn a_thread_is_refused_at_once_when_the_wait_would_be_too_long() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let refused = limiter.acquire().max_wait(milliseconds(99)).blocking_wait().unwrap_err();
    assert_eq!(refused.reason(), Reason::UsedUp);
    assert_eq!(refused.retry_after(), Some(milliseconds(100)));
    assert_eq!(refused.max_wait(), Some(milliseconds(99)));
    let refused = limiter.acquire().cost(2).blocking_wait().unwrap_err();
    assert_eq!(refused.reason(), Reason::TooCostly);
}

#[test]
fn a_thread_in_line_fails_when_its_time_is_over_and_takes_nothing() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let _first = {
        let mut first = task::spawn(limiter.acquire());
        assert_pending!(first.poll());
        first
    };
    thread::scope(|scope| {
        let second = scope.spawn(|| limiter.acquire().timeout(milliseconds(50)).blocking_wait());
        until_turn_is_in(&limiter, milliseconds(300));
        clock.set(milliseconds(50));
        let refused = second.join().unwrap().unwrap_err();
        assert_eq!(refused.reason(), Reason::UsedUp);
        assert_eq!(refused.retry_after(), Some(milliseconds(150)));
        assert_eq!(refused.max_wait(), Some(milliseconds(50)));
    });
    // It has left the line.
    assert_eq!(limiter.peek(1).retry_after(), Some(milliseconds(150)));
}

#[test]
fn a_refund_wakes_a_thread_although_the_clock_stands_still() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(1).unwrap();
    let limiter = RateLimiter::builder(bucket).clock(clock.clone()).build();
    let permit = limiter.try_acquire().unwrap();
    let (says, let_go) = numbers();
    thread::scope(|scope| {
        thread_in_line(scope, &limiter, (1, &says));
        permit.refund();
        assert_eq!(let_go.recv(), Ok(1));
    });
}

#[test]
fn a_reservation_that_a_thread_drops_goes_to_the_next_in_line() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let (says, let_go) = numbers();
    thread::scope(|scope| {
        let (tell, told) = numbers();
        let reserving = limiter.clone();
        let reserving = scope.spawn(move || {
            let reservation = reserving.reserve().blocking_wait().unwrap();
            told.recv().unwrap();
            drop(reservation);
        });
        until_turn_is_in(&limiter, milliseconds(200));
        thread_in_line(scope, &limiter, (2, &says));
        clock.set(milliseconds(100));
        tell.send(0).unwrap();
        reserving.join().unwrap();
        assert_eq!(let_go.recv(), Ok(2));
    });
    // Both had the permit of the same slot.
    assert_eq!(limiter.peek(1).retry_after(), Some(milliseconds(100)));
}

#[test]
fn when_a_task_before_it_gives_up_a_thread_moves_up() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let (says, let_go) = numbers();
    thread::scope(|scope| {
        let mut first = task::spawn(limiter.acquire());
        assert_pending!(first.poll());
        thread_in_line(scope, &limiter, (2, &says));
        drop(first);
        clock.set(milliseconds(100));
        assert_eq!(let_go.recv(), Ok(2));
    });
}

#[test]
fn a_future_that_was_polled_keeps_its_place_when_a_thread_takes_over() {
    let clock = ManualClock::new();
    let limiter = used_up(&clock);
    let mut first = limiter.acquire();
    let mut context = Context::from_waker(Waker::noop());
    assert_pending!(Pin::new(&mut first).poll(&mut context));
    let mut second = task::spawn(limiter.acquire());
    assert_pending!(second.poll());
    clock.set(milliseconds(100));
    first.blocking_wait().unwrap();
    assert_pending!(second.poll());
}

#[test]
fn threads_that_wait_for_two_keys_do_not_delay_each_other() {
    let clock = ManualClock::new();
    let keyed = KeyedRateLimiter::builder(Strict::new(Rate::per_second(10).unwrap()));
    let keyed = keyed.clock(clock.clone()).build();
    let (a, b) = (keyed.key("a"), keyed.key("b"));
    a.try_acquire().unwrap();
    a.try_acquire().unwrap_err();
    thread::scope(|scope| {
        let waits = scope.spawn(|| a.acquire().blocking_wait().map(drop));
        until_turn_is_in(&a, milliseconds(200));
        b.acquire().blocking_wait().unwrap();
        clock.set(milliseconds(100));
        waits.join().unwrap().unwrap();
    });
    assert!(a.try_acquire().is_err());
}

/// Threads that each make some calls, on a clock that moves by itself. Nothing is known of the
/// instants but that they keep the limit.
fn gaps_of_threads(clock: Clock, rate: Rate) -> Vec<Duration> {
    let limiter = RateLimiter::builder(Strict::new(rate)).clock(clock).build();
    let mut calls = thread::scope(|scope| {
        let thread = || {
            let call = |_| {
                let permit = limiter.acquire().blocking_wait().unwrap();
                permit.decision().grant().unwrap().at
            };
            (0..20).map(call).collect::<Vec<_>>()
        };
        let threads = [0; 3].map(|_| scope.spawn(thread));
        threads.map(|thread| thread.join().unwrap()).concat()
    });
    calls.sort();
    assert_eq!(calls.len(), 60);
    calls.windows(2).map(|pair| (pair[1] - pair[0]).into()).collect()
}

#[test]
fn threads_keep_the_limit_on_a_real_clock() {
    let rate = Rate::per_second(5000).unwrap();
    for clock in [Clock::monotonic(), Clock::precise(), Clock::wall()] {
        let gaps = gaps_of_threads(clock, rate);
        assert!(gaps.iter().all(|gap| *gap >= rate.interval()), "{gaps:?}");
    }
}
