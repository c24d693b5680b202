//! The lines of those who wait for several limits.

use super::{in_line, ms, one_per, two, window};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_ratelimit::{
    BurstCompensating, Concurrency, JointLimiter, Quota, Rate, Reason, limiter::OnLimits,
};

/// Runs calls that get in line in this order, and says when each was let go, in milliseconds.
async fn released(calls: &[OnLimits]) -> Vec<u128> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for call in calls {
        let call = call.clone();
        tasks.push(tokio::spawn(async move {
            drop(call.acquire().await.unwrap());
            start.elapsed().as_millis()
        }));
        tokio::task::yield_now().await;
    }
    let mut released = Vec::new();
    for task in tasks {
        released.push(task.await.unwrap());
    }
    released
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_when_all_its_limits_let_it() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    assert_eq!(released(&vec![both; 4]).await, [0, 250, 500, 750]);
}

#[tokio::test(start_paused = true)]
async fn each_key_is_served_in_the_order_of_arrival() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 250);
    let (a, b, both) = (limiter.on(a, &()), limiter.on(b, &()), limiter.on(a, &()).on(b, &()));
    // The last two wait for the third, which waits for b although a would let it go at 100.
    let calls = [&both, &b, &both, &a, &b].map(Clone::clone);
    assert_eq!(released(&calls).await, [0, 250, 500, 600, 750]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_share_no_key_do_not_delay_each_other() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 1000);
    let slow = limiter.on(a, "x").on(b, &());
    let quick = limiter.on(a, "y");
    let calls = [&slow, &slow, &slow, &quick, &quick, &quick].map(Clone::clone);
    assert_eq!(released(&calls).await, [0, 1000, 2000, 0, 100, 200]);
}

#[tokio::test(start_paused = true)]
async fn crossing_calls_do_not_wait_for_each_other_for_ever() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 100);
    let (one, other) = (limiter.on(a, &()).on(b, &()), limiter.on(b, &()).on(a, &()));
    let calls = [&one, &other, &one, &other].map(Clone::clone);
    assert_eq!(released(&calls).await, [0, 100, 200, 300]);
}

#[tokio::test(start_paused = true)]
async fn a_heavy_call_is_served_within_a_window_of_being_first() {
    let mut limits = JointLimiter::builder();
    let shared = limits.limit("shared", window(10, 500)).unwrap();
    let own = limits.limit("own", window(1000, 500)).unwrap();
    let limiter = limits.build();
    let start = Instant::now();
    for busy in 0..4_u32 {
        let call = limiter.on(shared, &()).on(own, &busy);
        tokio::spawn(async move {
            loop {
                drop(call.acquire().await.unwrap());
            }
        });
    }
    sleep(ms(100)).await;
    drop(limiter.on_many(shared, &(), 10).on(own, "heavy").acquire().await.unwrap());
    // Four stand before it, which are let go at 500; ten are free again 500 later.
    assert_eq!(start.elapsed(), ms(1000));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_polls_does_not_hold_up_the_others() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 100);
    let both = limiter.on(a, &()).on(b, &());
    let start = Instant::now();
    drop(both.try_acquire().unwrap());
    let abandoned = in_line(&both);
    // It looks after the abandoned one when its own turn would have come, and lets it go.
    drop(both.acquire().await.unwrap());
    assert_eq!(start.elapsed(), ms(300));
    drop(both.acquire().await.unwrap());
    assert_eq!(start.elapsed(), ms(400));
    drop(abandoned);
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_calls_that_nobody_polls_does_not_hold_up_the_one_behind() {
    let mut limits = JointLimiter::builder();
    let link = limits.limit("link", one_per(100)).unwrap();
    let limiter = limits.build();
    let start = Instant::now();
    for key in 0..4_u32 {
        drop(limiter.on(link, &key).try_acquire().unwrap());
    }
    // Each shares one key with the one before it only.
    let chain = [0, 1, 2].map(|key: u32| in_line(&limiter.on(link, &key).on(link, &(key + 1))));
    drop(limiter.on(link, &3_u32).acquire().await.unwrap());
    assert!(start.elapsed() <= ms(1000), "{:?}", start.elapsed());
    drop(chain);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_that_nobody_polls_do_not_hold_up_the_one_behind() {
    let mut limits = JointLimiter::builder();
    let running = limits.limit("running", Concurrency::new(1).unwrap()).unwrap();
    let limiter = limits.build();
    let call = limiter.on(running, &());
    let start = Instant::now();
    let permit = call.try_acquire().unwrap();
    let abandoned: Vec<_> = (0..5).map(|_| in_line(&call)).collect();
    let last = call.clone();
    let last = tokio::spawn(async move { drop(last.acquire().await.unwrap()) });
    tokio::task::yield_now().await;
    drop(permit);
    last.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    drop(abandoned);
}

#[tokio::test(start_paused = true)]
async fn a_try_behind_others_is_told_when_its_turn_would_come() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let _waiting = [in_line(&both), in_line(&limiter.on(a, &())), in_line(&both)];
    // The second is let go at 350, after the first at 250, and the third at 500.
    let refused = limiter.on(a, &()).try_acquire().unwrap_err();
    assert_eq!((refused.limit(), refused.retry_after()), (Some("a"), Some(ms(600))));
    let refused = both.try_acquire().unwrap_err();
    assert_eq!((refused.limit(), refused.retry_after()), (Some("b"), Some(ms(750))));
    let behind = both.peek();
    assert_eq!((behind.limit(), behind.decision().retry_after()), (Some("b"), Some(ms(750))));
    // Nobody stands in these lines.
    drop(limiter.on(a, "other").on(b, "other").try_acquire().unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_line_of_a_key_is_bounded_and_the_refusal_names_its_limit() {
    let (limiter, a, b) = two(JointLimiter::builder().max_waiting(1), 100, 250);
    let both = limiter.on(a, "x").on(b, &());
    drop(both.try_acquire().unwrap());
    let first = in_line(&both);
    let mut second = task::spawn(limiter.on(a, "y").on(b, &()).acquire());
    let refused = assert_ready_err!(second.poll());
    assert_eq!((refused.limit(), refused.reason()), (Some("b"), Reason::QueueFull));
    assert_eq!(refused.retry_after(), Some(ms(500)));
    let mut elsewhere = task::spawn(limiter.on(a, "y").acquire());
    assert_ready_ok!(elsewhere.poll());
    drop(first);
    let _third = in_line(&both);
}

#[tokio::test(start_paused = true)]
async fn a_full_line_is_named_also_where_another_limit_has_the_longest_wait() {
    let (limiter, a, b) = two(JointLimiter::builder().max_waiting(1), 100, 1000);
    drop(limiter.on(a, &()).on(b, &()).try_acquire().unwrap());
    let _waiting = in_line(&limiter.on(a, &()));
    let mut full = task::spawn(limiter.on(b, &()).on_many(a, &(), 1).acquire());
    let refused = assert_ready_err!(full.poll());
    assert_eq!((refused.limit(), refused.reason()), (Some("a"), Reason::QueueFull));
    assert_eq!(refused.retry_after(), Some(ms(1000)));
}

#[tokio::test(start_paused = true)]
async fn one_that_learns_in_line_that_it_waits_in_vain_makes_way() {
    let mut limits = JointLimiter::builder();
    let spent = limits.limit("spent", Quota::new(2).unwrap()).unwrap();
    let paced = limits.limit("paced", one_per(100)).unwrap();
    let limiter = limits.build();
    let both = limiter.on(spent, &()).on(paced, &());
    drop(both.try_acquire().unwrap());
    let start = Instant::now();
    let (first, mut second) = (in_line(&both), in_line(&both));
    let third = limiter.on(paced, &());
    let third = tokio::spawn(async move { third.acquire().await.unwrap().waited() });
    tokio::task::yield_now().await;
    drop(tokio::spawn(async move { first.into_inner().await.unwrap() }).await.unwrap());
    assert_eq!(start.elapsed(), ms(100));
    let refused = assert_ready_err!(second.poll());
    assert_eq!((refused.limit(), refused.reason()), (Some("spent"), Reason::Exhausted));
    assert_eq!(third.await.unwrap(), ms(200));
}

#[tokio::test(start_paused = true)]
async fn a_late_release_catches_up_as_far_as_all_limits_allow() {
    let mut limits = JointLimiter::builder();
    let paced = limits.limit("paced", BurstCompensating::new(Rate::per_second(100).unwrap()));
    let capped = limits.limit("capped", window(4, 1000)).unwrap();
    let limiter = limits.build();
    let call = limiter.on(paced.unwrap(), &()).on(capped, &());
    drop(call.try_acquire().unwrap());
    let mut waiting: Vec<_> = (0..5).map(|_| in_line(&call)).collect();
    tokio::time::advance(ms(55)).await;
    // Five slots have passed, and three permits are left in the window.
    let ready = waiting.iter_mut().filter_map(|call| match call.poll() {
        std::task::Poll::Ready(permit) => Some(permit.unwrap()),
        std::task::Poll::Pending => None,
    });
    assert_eq!(ready.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_sent_away_when_it_is_cancelled_reset_or_closed() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let mut waiting = in_line(&both);
    limiter.cancel();
    assert!(waiting.is_woken());
    assert_eq!(assert_ready_err!(waiting.poll()).reason(), Reason::Cancelled);
    assert_eq!(both.try_acquire().unwrap_err().retry_after(), Some(ms(250)));
    let mut waiting = in_line(&both);
    limiter.reset();
    assert_eq!(assert_ready_err!(waiting.poll()).reason(), Reason::Cancelled);
    drop(both.try_acquire().unwrap());
    let mut waiting = in_line(&both);
    limiter.close();
    limiter.close();
    assert_eq!(assert_ready_err!(waiting.poll()).reason(), Reason::Closed);
    assert_eq!(limiter.on_many(a, &(), 0).try_acquire().unwrap_err().reason(), Reason::Closed);
    limiter.reset();
    assert_eq!(both.acquire().await.unwrap_err().reason(), Reason::Closed);
    assert_eq!(limiter.keys(), 0);
}

#[tokio::test(start_paused = true)]
async fn tasks_let_go_one_after_the_other_keep_their_order() {
    let (limiter, a, b) = two(JointLimiter::builder(), 10, 10);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..20 {
        let call = if number % 2 == 0 { limiter.on(a, &()).on(b, &()) } else { limiter.on(b, &()) };
        let order = Arc::clone(&order);
        tasks.push(tokio::spawn(async move {
            drop(call.acquire().await.unwrap());
            order.lock().unwrap().push(number);
        }));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_future_that_was_not_polled_has_no_place() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 100);
    let both = limiter.on(a, &()).on(b, &());
    let unpolled = both.acquire();
    drop(both.try_acquire().unwrap());
    let mut unpolled = task::spawn(unpolled);
    assert_pending!(unpolled.poll());
}
