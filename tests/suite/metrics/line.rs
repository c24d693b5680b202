//! Ways out of the line.

use super::{ms, paced, watched, watched_pace};
use std::thread;
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_ratelimit::{
    Algorithm, LeakyBucket, ManualClock, Rate, RateLimiter, Reason, limiter::Acquire,
};

/// A call in line that was polled once.
fn in_line<A: Algorithm>(limiter: &RateLimiter<A>) -> task::Spawn<Acquire<'_, A>> {
    let mut waiting = task::spawn(limiter.acquire());
    assert_pending!(waiting.poll());
    waiting
}

#[tokio::test(start_paused = true)]
async fn one_let_go_after_a_wait_is_out_of_line_and_says_how_long_it_was() {
    let mut watched = watched_pace();
    let limiter = watched.limiter.clone();
    limiter.try_acquire().unwrap();
    let (mut first, mut second) = (in_line(&limiter), in_line(&limiter));
    assert_eq!(watched.says(), "admitted_total=1, waiting=2");
    advance(ms(100)).await;
    let permit = assert_ready_ok!(first.poll());
    assert_eq!(watched.says(), "admitted_total=2, waiting=1, waits=[0.1]");
    assert_eq!(permit.waited(), ms(100));
    advance(ms(150)).await;
    assert_ready_ok!(second.poll());
    assert_eq!(watched.says(), "admitted_total=3, waits=[0.1, 0.25]");
}

#[tokio::test(start_paused = true)]
async fn one_that_waited_for_a_reservation_is_admitted_when_it_uses_it() {
    let mut watched = watched_pace();
    let limiter = watched.limiter.clone();
    limiter.try_acquire().unwrap();
    let mut waiting = task::spawn(limiter.reserve());
    assert_pending!(waiting.poll());
    advance(ms(100)).await;
    let reservation = assert_ready_ok!(waiting.poll());
    assert_eq!(watched.says(), "admitted_total=1, waits=[0.1]");
    reservation.commit().unwrap();
    assert_eq!(watched.says(), "admitted_total=2, waits=[0.1]");
}

#[tokio::test(start_paused = true)]
async fn one_back_in_line_counts_as_waiting_again() {
    let mut watched = watched_pace();
    let limiter = watched.limiter.clone();
    limiter.try_acquire().unwrap();
    let (mut first, mut second) = (in_line(&limiter), in_line(&limiter));
    advance(ms(100)).await;
    // Served in passing.
    assert!(limiter.try_acquire().is_err());
    let granted = "admitted_total=1, refused_total used_up=1, waiting=1";
    assert_eq!(watched.says(), granted);
    // It does not look before its permit has perished, and the second has taken that.
    advance(ms(100)).await;
    assert_ready_ok!(second.poll());
    assert_eq!(watched.says(), "admitted_total=2, refused_total used_up=1, waits=[0.2]");
    assert_pending!(first.poll());
    let again = "admitted_total=2, refused_total used_up=1, waiting=1, waits=[0.2]";
    assert_eq!(watched.says(), again);
    advance(ms(100)).await;
    assert_ready_ok!(first.poll());
    assert_eq!(watched.says(), "admitted_total=3, refused_total used_up=1, waits=[0.2, 0.3]");
}

#[tokio::test(start_paused = true)]
async fn whoever_drops_its_place_is_out_of_line_and_counts_as_nothing_else() {
    let mut watched = watched_pace();
    let limiter = watched.limiter.clone();
    limiter.try_acquire().unwrap();
    let waiting = in_line(&limiter);
    assert_eq!(watched.says(), "admitted_total=1, waiting=1");
    drop(waiting);
    assert_eq!(watched.says(), "admitted_total=1");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_granted_permits_and_is_dropped_is_out_of_line() {
    let mut watched = watched_pace();
    let limiter = watched.limiter.clone();
    limiter.try_acquire().unwrap();
    let waiting = in_line(&limiter);
    advance(ms(100)).await;
    assert!(limiter.try_acquire().is_err(), "the one in line is served in passing");
    drop(waiting);
    assert_eq!(watched.says(), "admitted_total=1, refused_total used_up=1");
}

#[tokio::test(start_paused = true)]
async fn one_whose_time_is_up_is_out_of_line_and_refused() {
    let mut watched = watched_pace();
    let limiter = watched.limiter.clone();
    limiter.try_acquire().unwrap();
    let mut waiting = task::spawn(limiter.acquire().timeout(ms(50)));
    assert_pending!(waiting.poll());
    assert_eq!(watched.says(), "admitted_total=1, waiting=1");
    advance(ms(50)).await;
    assert_ready_err!(waiting.poll());
    assert_eq!(watched.says(), "admitted_total=1, refused_total used_up=1");
}

#[tokio::test(start_paused = true)]
async fn one_that_can_never_be_served_any_more_is_out_of_line_and_refused() {
    let bucket =
        |capacity| LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(capacity).unwrap();
    let mut watched = watched(|| RateLimiter::new(bucket(2)));
    let limiter = watched.limiter.clone();
    limiter.try_acquire_many(2).unwrap();
    let mut waiting = task::spawn(limiter.acquire().cost(2));
    assert_pending!(waiting.poll());
    limiter.set_algorithm(bucket(1));
    assert_ready_err!(waiting.poll());
    assert_eq!(watched.says(), "admitted_total=1, refused_total too_costly=1");
}

/// The line empties at once, and each of those in it counts as refused once it knows.
#[tokio::test(start_paused = true)]
async fn those_sent_away_are_out_of_line_and_refused_with_the_reason() {
    type Act = fn(&RateLimiter<LeakyBucket>);
    let ways: [(Act, Reason, &str); 3] = [
        (RateLimiter::cancel, Reason::Cancelled, "cancelled"),
        (RateLimiter::reset, Reason::Cancelled, "cancelled"),
        (RateLimiter::close, Reason::Closed, "closed"),
    ];
    for (act, reason, label) in ways {
        let mut watched = watched_pace();
        let limiter = watched.limiter.clone();
        limiter.try_acquire().unwrap();
        let (mut first, second) = (in_line(&limiter), in_line(&limiter));
        assert_eq!(watched.says(), "admitted_total=1, waiting=2");
        act(&limiter);
        assert_eq!(watched.says(), "admitted_total=1");
        assert_eq!(assert_ready_err!(first.poll()).reason(), reason);
        drop(second);
        assert_eq!(watched.says(), format!("admitted_total=1, refused_total {label}=1"));
    }
}

#[tokio::test(start_paused = true)]
async fn those_let_pass_by_a_breach_are_out_of_line_and_admitted() {
    let mut watched = watched_pace();
    let limiter = watched.limiter.clone();
    limiter.try_acquire().unwrap();
    let mut waiting = in_line(&limiter);
    advance(ms(10)).await;
    limiter.breach();
    assert_eq!(watched.says(), "admitted_total=1");
    assert_ready_ok!(waiting.poll());
    limiter.try_acquire().unwrap();
    assert_eq!(watched.says(), "admitted_total=3, waits=[0.01]");
}

#[test]
fn a_thread_in_line_counts_as_any_other() {
    let clock = ManualClock::new();
    let mut watched = watched(|| RateLimiter::builder(paced()).clock(clock.clone()).build());
    let limiter = watched.limiter.clone();
    limiter.try_acquire().unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| limiter.acquire().blocking_wait().unwrap().waited());
        while limiter.peek(1).retry_after() != Some(ms(200)) {
            thread::yield_now();
        }
        assert_eq!(watched.says(), "admitted_total=1, waiting=1");
        clock.set(ms(100));
        assert_eq!(thread.join().unwrap(), ms(100));
    });
    assert_eq!(watched.says(), "admitted_total=2, waits=[0.1]");
}
