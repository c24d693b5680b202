//! Waits that are known, and those that are not.

use super::{in_line, ms, one_per, two, window};
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_ratelimit::{
    Concurrency, JointBuilder, JointLimiter, ManualClock, Rate, Reason, Strict, limiter::OnLimits,
};

#[tokio::test(start_paused = true)]
async fn the_wait_is_known_before_anything_is_taken() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let first = in_line(&both);
    let refused = both.acquire().max_wait(ms(499)).await.unwrap_err();
    assert_eq!((refused.limit(), refused.retry_after()), (Some("b"), Some(ms(500))));
    assert_eq!((refused.max_wait(), refused.reason()), (Some(ms(499)), Reason::UsedUp));
    let mut accepted = task::spawn(both.acquire().max_wait(ms(500)));
    assert_pending!(accepted.poll());
    let start = Instant::now();
    let first = tokio::spawn(async move { first.into_inner().await.unwrap() });
    assert_eq!(accepted.into_inner().await.unwrap().waited(), ms(500));
    assert_eq!(start.elapsed(), ms(500));
    assert_eq!(first.await.unwrap().waited(), ms(250));
}

#[tokio::test(start_paused = true)]
async fn the_known_wait_counts_those_who_hold_up_the_ones_before() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 1000);
    drop(limiter.on(a, &()).on(b, &()).try_acquire().unwrap());
    // At b it waits until 1000, and holds up a, where nobody else stands.
    let _held_up = in_line(&limiter.on(a, &()).on(b, &()));
    let refused = limiter.on(a, &()).try_acquire().unwrap_err();
    assert_eq!((refused.limit(), refused.retry_after()), (Some("a"), Some(ms(1100))));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_waits_until_then_and_takes_nothing() {
    let (limiter, a, b) = two(JointLimiter::builder(), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    let start = Instant::now();
    let refused = both.acquire().timeout(ms(200)).await.unwrap_err();
    assert_eq!(start.elapsed(), ms(200));
    assert_eq!((refused.limit(), refused.retry_after()), (Some("b"), Some(ms(50))));
    drop(limiter.on(a, &()).try_acquire().unwrap());
    sleep(ms(100)).await;
    drop(both.try_acquire().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_maximum_wait_is_a_time_out_where_calls_hold_their_permits() {
    let mut limits = JointLimiter::builder();
    let running = limits.limit("running", Concurrency::new(1).unwrap()).unwrap();
    let paced = limits.limit("paced", one_per(1000)).unwrap();
    let limiter = limits.build();
    let both = limiter.on(running, &()).on(paced, &());
    let permit = both.try_acquire().unwrap();
    // What is certain is known up front.
    let refused = task::spawn(both.acquire().max_wait(ms(999))).poll();
    let refused = assert_ready_err!(refused);
    assert_eq!((refused.limit(), refused.retry_after()), (Some("paced"), Some(ms(1000))));
    let start = Instant::now();
    let refused = both.acquire().max_wait(ms(1500)).await.unwrap_err();
    assert_eq!((refused.limit(), refused.retry_after()), (Some("running"), None));
    assert_eq!(start.elapsed(), ms(1500));
    let waiting = both.clone();
    let waiting = tokio::spawn(async move { waiting.acquire().await.unwrap().waited() });
    sleep(ms(300)).await;
    drop(permit);
    assert_eq!(waiting.await.unwrap(), ms(300));
}

#[test]
fn a_thread_waits_without_a_runtime() {
    let clock = ManualClock::new();
    let (limiter, a, b) = two(JointLimiter::builder().clock(clock.clone()), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    drop(both.try_acquire().unwrap());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| both.reserve().blocking_wait().unwrap().commit().unwrap());
        // Behind it once it stands in line.
        while both.peek().decision().retry_after() != Some(ms(500)) {
            std::thread::yield_now();
        }
        clock.advance(ms(250));
        drop(waiting.join().unwrap());
    });
    assert_eq!(both.try_acquire().unwrap_err().retry_after(), Some(ms(250)));
}

#[tokio::test(start_paused = true)]
async fn slack_is_added_to_waits_and_to_nothing_else() {
    let (limiter, a, b) = two(JointLimiter::builder().slack(ms(30)), 100, 250);
    let both = limiter.on(a, &()).on(b, &());
    let start = Instant::now();
    drop(both.acquire().await.unwrap());
    assert_eq!(both.try_acquire().unwrap_err().retry_after(), Some(ms(250)));
    let refused = both.acquire().max_wait(ms(279)).await.unwrap_err();
    assert_eq!((refused.limit(), refused.retry_after()), (Some("b"), Some(ms(280))));
    let (first, mut second) = (in_line(&both), in_line(&limiter.on(a, &())));
    assert_eq!(both.try_acquire().unwrap_err().retry_after(), Some(ms(530)));
    drop(first.into_inner().await.unwrap());
    assert_eq!(start.elapsed(), ms(280));
    assert_pending!(second.poll());
    drop(second.into_inner().await.unwrap());
    assert_eq!(start.elapsed(), ms(380));
    sleep(ms(120)).await;
    drop(both.acquire().await.unwrap());
    assert_eq!(start.elapsed(), ms(500));
    // Permits let go late keep as long as others.
    let reserve = tokio::spawn(both.reserve());
    sleep(ms(280 + 99)).await;
    drop(reserve.await.unwrap().unwrap().commit().unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_wait_behind_one_whose_slot_has_come_and_whose_slack_has_not_is_exact() {
    let mut limits = JointLimiter::builder().slack(ms(30));
    let only = limits.limit("only", window(2, 100)).unwrap();
    let call = limits.build().on(only, &());
    for _ in 0..2 {
        drop(call.try_acquire().unwrap());
    }
    let first = call.clone();
    let first = tokio::spawn(async move { first.acquire().await.unwrap().waited() });
    sleep(ms(120)).await;
    // Both go at 130.
    assert_eq!(call.try_acquire().unwrap_err().retry_after(), Some(ms(10)));
    assert_eq!(call.acquire().max_wait(ms(10)).await.unwrap().waited(), ms(10));
    assert_eq!(first.await.unwrap(), ms(130));
}

/// One per 100 ms that counts from the call, with a slack of 30 ms.
fn with_slack(strict: bool, builder: JointBuilder) -> OnLimits {
    let mut limits = builder.slack(ms(30));
    let only = match strict {
        true => limits.limit("only", Strict::new(Rate::new(1, ms(100)).unwrap())),
        false => limits.limit("only", window(1, 100)),
    };
    limits.build().on(only.unwrap(), &())
}

#[test]
fn unused_permits_keep_no_longer_with_slack() {
    for strict in [true, false] {
        let clock = ManualClock::new();
        let call = with_slack(strict, JointLimiter::builder().clock(clock.clone()));
        let reserved = assert_ready_ok!(task::spawn(call.reserve()).poll());
        clock.set(ms(100));
        drop(call.try_acquire().unwrap());
        reserved.commit().unwrap_err();
        // Those let go in line keep as long from then on.
        let mut waiting = in_line(&call);
        clock.set(ms(230));
        call.try_acquire().unwrap_err();
        clock.set(ms(329));
        call.try_acquire().unwrap_err();
        clock.set(ms(330));
        drop(call.try_acquire().unwrap());
        assert_pending!(waiting.poll());
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_with_slack_is_known_where_limits_count_from_the_call() {
    for strict in [true, false] {
        let call = with_slack(strict, JointLimiter::builder());
        drop(call.try_acquire().unwrap());
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let call = call.clone();
            waiting.push(tokio::spawn(async move { call.acquire().await.unwrap().waited() }));
            yield_now().await;
        }
        let refused = call.acquire().max_wait(ms(519)).await.unwrap_err();
        assert_eq!(refused.retry_after(), Some(ms(520)));
        let last = call.acquire().max_wait(ms(520)).await.unwrap();
        assert_eq!(last.waited(), ms(520));
        for (waiting, expected) in waiting.into_iter().zip([130, 260, 390]) {
            assert_eq!(waiting.await.unwrap(), ms(expected));
        }
    }
}
