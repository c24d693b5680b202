//! Permits that go back, of all limits or none.

use super::{in_line, ms, one_per, two};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_ready_ok, task};
use tower_ratelimit::{Concurrency, JointLimiter, ManualClock, Quota, limiter::Perished};

#[tokio::test(start_paused = true)]
async fn a_reservation_dropped_gives_back_all_limits() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    let reserved = both.reserve().await.unwrap();
    both.try_acquire().unwrap_err();
    drop(reserved);
    assert_eq!(limiter.keys(), 0);
    drop(both.reserve().await.unwrap().commit().unwrap());
    both.try_acquire().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_reservation_keeps_as_long_as_that_of_the_limit_that_keeps_the_shortest() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    let reserved = both.reserve().await.unwrap();
    sleep(ms(99)).await;
    drop(reserved.commit().unwrap());
    sleep(ms(250)).await;
    let reserved = both.reserve().await.unwrap();
    sleep(ms(100)).await;
    // It was the slot of a at b, too, which is free again.
    drop(both.try_acquire().unwrap());
    assert_eq!(reserved.commit().unwrap_err(), Perished);
}

#[tokio::test(start_paused = true)]
async fn a_refund_lets_those_in_line_go() {
    let mut limits = JointLimiter::builder();
    let spent = limits.limit("spent", one_per(1_000_000)).unwrap();
    let other = limits.limit("other", one_per(500)).unwrap();
    let limiter = limits.build();
    let both = limiter.on(spent, &()).on(other, &());
    let permit = both.try_acquire().unwrap();
    let mut waiting = in_line(&both);
    sleep(ms(10)).await;
    permit.refund();
    assert!(waiting.is_woken());
    drop(assert_ready_ok!(waiting.poll()));
}

#[test]
fn a_refund_of_a_call_in_flight_ends_no_other_of_the_same_instant() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let running = limits.limit("running", Concurrency::new(2).unwrap()).unwrap();
    let limiter = limits.build();
    let call = limiter.on(running, &());
    let [first, second] = [(); 2].map(|()| call.try_acquire().unwrap());
    first.refund();
    assert_eq!(limiter.on_many(running, &(), 0).peek().decision().remaining, 1);
    drop(second);
    assert_eq!(limiter.on_many(running, &(), 0).peek().decision().remaining, 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_leaves_makes_way_in_all_its_lines() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 1000);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let start = Instant::now();
    let held_up = in_line(&both);
    let behind = limiter.on(a, &());
    let behind = tokio::spawn(async move { drop(behind.acquire().await.unwrap()) });
    sleep(ms(300)).await;
    drop(held_up);
    behind.await.unwrap();
    assert_eq!(start.elapsed(), ms(300));
}

#[tokio::test(start_paused = true)]
async fn one_dropped_after_it_was_let_go_and_before_it_ran_gives_its_permits_to_the_next() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let (first, mut second) = (in_line(&both), in_line(&both));
    tokio::time::advance(ms(250)).await;
    // Somebody looks, which lets the first go.
    both.try_acquire().unwrap_err();
    assert!(first.is_woken());
    drop(first);
    assert!(second.is_woken());
    drop(assert_ready_ok!(second.poll()));
}

#[tokio::test(start_paused = true)]
async fn permits_that_perished_are_waited_for_again_at_the_same_place() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 100);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let (mut first, mut second) = (in_line(&both), in_line(&both));
    tokio::time::advance(ms(100)).await;
    both.try_acquire().unwrap_err();
    tokio::time::advance(ms(100)).await;
    // Its permits are an interval old; it is before the other one still.
    drop(assert_ready_ok!(first.poll()));
    assert!(second.poll().is_pending());
    tokio::time::advance(ms(100)).await;
    drop(assert_ready_ok!(second.poll()));
}

#[tokio::test(start_paused = true)]
async fn many_that_perished_stand_again_in_their_order() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 100);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let mut all: Vec<_> = (0..4).map(|_| in_line(&both)).collect();
    for _ in 0..4 {
        tokio::time::advance(ms(100)).await;
        both.try_acquire().unwrap_err();
    }
    tokio::time::advance(ms(100)).await;
    // All of them have gone, and another line begins.
    drop(both.try_acquire().unwrap());
    let _last = in_line(&both);
    for waiting in all.iter_mut().rev() {
        assert!(waiting.poll().is_pending());
    }
    for waiting in &mut all {
        tokio::time::advance(ms(100)).await;
        drop(assert_ready_ok!(waiting.poll()));
    }
}

/// A call that is dropped at any point of its life leaves the quotas as they were.
#[tokio::test(start_paused = true)]
async fn dropped_at_any_await_it_has_taken_nothing() {
    for polls in 0..4 {
        let mut limits = JointLimiter::builder();
        let quota = limits.limit("quota", Quota::new(10).unwrap()).unwrap();
        let paced = limits.limit("paced", one_per(100)).unwrap();
        let limiter = limits.build();
        let both = limiter.on(quota, &()).on(paced, &());
        drop(both.try_acquire().unwrap());
        let mut reserve = task::spawn(async {
            let reserved = both.reserve().await.unwrap();
            tokio::task::yield_now().await;
            reserved
        });
        for _ in 0..polls {
            assert!(reserve.poll().is_pending());
            tokio::time::advance(ms(60)).await;
        }
        drop(reserve);
        let left = limiter.on_many(quota, &(), 0).peek().decision().remaining;
        assert_eq!(left, 9, "after {polls} polls");
        sleep(ms(100)).await;
        drop(both.try_acquire().unwrap());
    }
}
