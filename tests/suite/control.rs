//! Taking hold of a limiter while it is in use.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    task::{JoinHandle, yield_now},
    time::{Instant, advance, sleep_until},
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_ratelimit::{
    Algorithm, BurstCompensating, KeyedRateLimiter, LeakyBucket, ManualClock, Rate, RateLimited,
    RateLimiter, Reason, SlidingWindow, Strict,
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn one_per(milliseconds: u64) -> LeakyBucket {
    LeakyBucket::new(Rate::new(1, ms(milliseconds)).unwrap()).capacity(1).unwrap()
}

/// What became of one that waited.
type Waited = JoinHandle<Result<u128, Reason>>;

/// Tasks that get in line one after the other, and say when they were let go since `start`.
async fn in_line<A: Algorithm>(
    limiter: &RateLimiter<A>,
    start: Instant,
    calls: usize,
) -> Vec<Waited> {
    let mut tasks = Vec::new();
    for _ in 0..calls {
        let limiter = limiter.clone();
        tasks.push(tokio::spawn(async move {
            limiter.acquire().await.map_err(|refusal| refusal.reason())?;
            Ok(start.elapsed().as_millis())
        }));
        yield_now().await;
    }
    tasks
}

async fn all(tasks: Vec<Waited>) -> Vec<Result<u128, Reason>> {
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

fn reason<T: std::fmt::Debug>(result: Result<T, RateLimited>) -> Reason {
    result.unwrap_err().reason()
}

#[tokio::test(start_paused = true)]
async fn cancel_sends_away_all_who_wait_and_leaves_the_state() {
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let waiting = in_line(&limiter, start, 3).await;
    advance(ms(50)).await;
    limiter.cancel();
    assert_eq!(all(waiting).await, [Err(Reason::Cancelled); 3]);
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(50)));
    // Who gets in line afterwards waits as ever.
    assert_eq!(all(in_line(&limiter, start, 2).await).await, [Ok(100), Ok(200)]);
}

#[tokio::test(start_paused = true)]
async fn one_who_was_sent_away_and_is_dropped_before_it_knows_takes_nothing() {
    let limiter = RateLimiter::new(one_per(100));
    limiter.try_acquire().unwrap();
    let mut waiting = task::spawn(limiter.acquire());
    assert_pending!(waiting.poll());
    limiter.cancel();
    drop(waiting);
    advance(ms(100)).await;
    limiter.try_acquire().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_who_was_granted_a_permit_before_a_cancel_has_it() {
    let limiter = RateLimiter::new(one_per(100));
    limiter.try_acquire().unwrap();
    let mut waiting = task::spawn(limiter.acquire());
    assert_pending!(waiting.poll());
    advance(ms(100)).await;
    assert!(limiter.try_acquire().is_err(), "it is served in passing");
    limiter.cancel();
    assert_ready_ok!(waiting.poll());
}

#[tokio::test(start_paused = true)]
async fn breach_lets_everybody_pass_in_order_until_the_reset() {
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for n in 0..4 {
        let (limiter, order) = (limiter.clone(), Arc::clone(&order));
        waiting.push(tokio::spawn(async move {
            limiter.acquire().cost(1).await.unwrap();
            order.lock().unwrap().push(n);
        }));
        yield_now().await;
    }
    advance(ms(30)).await;
    limiter.breach();
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
    assert_eq!(start.elapsed(), ms(30));
    for _ in 0..100 {
        limiter.try_acquire().unwrap();
        limiter.acquire().await.unwrap();
        limiter.reserve().await.unwrap().commit().unwrap();
        limiter.try_acquire_many(1000).unwrap();
    }
    assert_eq!(start.elapsed(), ms(30));
    limiter.reset();
    limiter.try_acquire().unwrap();
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(100)));
}

#[tokio::test(start_paused = true)]
async fn reset_sends_away_and_begins_anew() {
    let limiter = RateLimiter::new(SlidingWindow::new(Rate::new(2, ms(300)).unwrap()));
    let start = Instant::now();
    limiter.try_acquire_many(2).unwrap();
    let waiting = in_line(&limiter, start, 3).await;
    advance(ms(10)).await;
    limiter.reset();
    assert_eq!(all(waiting).await, [Err(Reason::Cancelled); 3]);
    let calls = in_line(&limiter, start, 3).await;
    assert_eq!(all(calls).await, [Ok(10), Ok(10), Ok(310)]);
}

#[tokio::test(start_paused = true)]
async fn one_who_was_let_go_before_a_reset_and_did_not_look_is_sent_away_too() {
    let limiter = RateLimiter::new(one_per(100));
    limiter.try_acquire().unwrap();
    let mut waiting = task::spawn(limiter.acquire());
    assert_pending!(waiting.poll());
    advance(ms(100)).await;
    assert!(limiter.try_acquire().is_err(), "it is served in passing");
    limiter.reset();
    limiter.try_acquire().unwrap();
    assert_eq!(assert_ready_err!(waiting.poll()).reason(), Reason::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn permits_reserved_before_a_reset_are_worth_nothing_after_it() {
    let limiter = RateLimiter::new(one_per(100));
    let kept = limiter.reserve().await.unwrap();
    let given_back = RateLimiter::new(one_per(100));
    let dropped = given_back.reserve().await.unwrap();
    limiter.reset();
    given_back.reset();
    limiter.try_acquire().unwrap();
    kept.commit().unwrap_err();
    given_back.try_acquire().unwrap();
    drop(dropped);
    assert!(given_back.try_acquire().is_err(), "it was another permit");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_had_plenty_is_closed_and_opened_all_the_same() {
    let rate = Rate::per_second(10).unwrap();
    for _ in 0..2 {
        let limiter = RateLimiter::new(LeakyBucket::new(rate).capacity(100).unwrap());
        for _ in 0..3 {
            limiter.reserve().await.unwrap().commit().unwrap();
        }
        limiter.close();
        assert_eq!(reason(limiter.reserve().await), Reason::Closed);
        let limiter = RateLimiter::new(LeakyBucket::new(rate).capacity(100).unwrap());
        limiter.reserve().await.unwrap().commit().unwrap();
        let reserved = limiter.reserve().await.unwrap();
        limiter.breach();
        for _ in 0..200 {
            limiter.reserve().await.unwrap().commit().unwrap();
        }
        reserved.commit().unwrap();
        assert_eq!(limiter.peek(0).remaining, 98);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slower_rate_holds_for_those_who_wait() {
    async fn change<A: Algorithm>(fast: A, slow: A) -> Vec<Result<u128, Reason>> {
        let limiter = RateLimiter::new(fast);
        let start = Instant::now();
        limiter.try_acquire().unwrap();
        let waiting = in_line(&limiter, start, 3).await;
        sleep_until(start + ms(150)).await;
        limiter.set_algorithm(slow);
        all(waiting).await
    }
    let [fast, slow] = [10, 1].map(|rate| Rate::per_second(rate).unwrap());
    // The slot after that of 100 ms comes a second after it.
    let expected = [Ok(100), Ok(1100), Ok(2100)];
    assert_eq!(change(one_per(100), one_per(1000)).await, expected);
    assert_eq!(change(Strict::new(fast), Strict::new(slow)).await, expected);
    let changed = change(BurstCompensating::new(fast), BurstCompensating::new(slow)).await;
    assert_eq!(changed, expected);
}

#[tokio::test(start_paused = true)]
async fn another_capacity_holds_from_now_on_and_keeps_the_debt() {
    let bucket =
        |capacity| LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(capacity).unwrap();
    let limiter = RateLimiter::new(bucket(5));
    limiter.try_acquire_many(5).unwrap();
    limiter.set_algorithm(bucket(2));
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(400)));
    limiter.set_algorithm(bucket(7));
    limiter.try_acquire_many(2).unwrap();
    assert!(limiter.try_acquire().is_err());
    assert_eq!(limiter.algorithm().most_in(Duration::from_nanos(1)), 7);
}

#[tokio::test(start_paused = true)]
async fn a_permit_reserved_before_a_change_is_taken_by_the_rules_before() {
    let bucket = |milliseconds| {
        let rate = Rate::new(1, ms(milliseconds)).unwrap();
        LeakyBucket::new(rate).capacity(100).unwrap()
    };
    let limiter = RateLimiter::new(bucket(100));
    limiter.reserve().await.unwrap().commit().unwrap();
    advance(ms(60_000)).await;
    let reserved = limiter.reserve().await.unwrap();
    limiter.set_algorithm(bucket(1000));
    assert_eq!(limiter.peek(0).full_after, ms(1000).into());
    reserved.commit().unwrap();
    assert_eq!(limiter.peek(0).remaining, 99);
}

#[tokio::test(start_paused = true)]
async fn a_charge_is_a_debt_that_is_paid_off_first() {
    let limiter = RateLimiter::new(one_per(100));
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let waiting = in_line(&limiter, start, 1).await;
    limiter.charge(4).unwrap();
    assert_eq!(all(waiting).await, [Ok(500)]);
}

#[tokio::test(start_paused = true)]
async fn keys_are_taken_hold_of_one_by_one_or_all_together() {
    let limiter = KeyedRateLimiter::new(one_per(100));
    let start = Instant::now();
    let [alice, bob] = ["alice", "bob"].map(|name| limiter.key(name));
    for key in [&alice, &bob] {
        key.try_acquire().unwrap();
    }
    let (hers, his) = (in_line(&alice, start, 2).await, in_line(&bob, start, 2).await);
    alice.cancel();
    assert_eq!(all(hers).await, [Err(Reason::Cancelled); 2]);
    assert!(alice.try_acquire().is_err());
    alice.reset();
    alice.try_acquire().unwrap();
    assert_eq!(all(his).await, [Ok(100), Ok(200)]);
    let waiting = in_line(&bob, start, 1).await;
    limiter.set_algorithm(one_per(10));
    assert_eq!(all(waiting).await, [Ok(210)]);
    let waiting = in_line(&bob, start, 1).await;
    limiter.cancel();
    assert_eq!(all(waiting).await, [Err(Reason::Cancelled)]);
    limiter.breach();
    for key in 0..5 {
        limiter.key(&key).try_acquire_many(7).unwrap();
    }
    bob.try_acquire().unwrap();
    limiter.reset();
    bob.try_acquire().unwrap();
    assert!(bob.try_acquire().is_err());
    limiter.close();
    assert_eq!(reason(bob.try_acquire()), Reason::Closed);
    assert_eq!(reason(limiter.key("carol").try_acquire()), Reason::Closed);
}

#[tokio::test(start_paused = true)]
async fn memory_of_keys_that_equal_new_is_given_back_when_asked_for() {
    let limiter = KeyedRateLimiter::new(one_per(100));
    for key in 0..1000 {
        limiter.key(&key).try_acquire().unwrap();
    }
    assert_eq!((limiter.keys(), limiter.evict()), (1000, 0));
    advance(ms(100)).await;
    assert_eq!((limiter.evict(), limiter.keys()), (1000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_permit_knows_how_long_it_was_waited_for() {
    let limiter = RateLimiter::new(one_per(100));
    assert_eq!(limiter.acquire().await.unwrap().waited(), ms(0));
    assert_eq!(limiter.acquire().await.unwrap().waited(), ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_layer_is_sent_away_and_closed_with_its_limiter() {
    use tower::{Layer, service_fn};
    use tower_ratelimit::RateLimitLayer;
    let limiter = RateLimiter::new(one_per(100));
    let inner = service_fn(async |n: u32| Ok::<_, std::convert::Infallible>(n));
    let layer = RateLimitLayer::new(limiter.clone());
    let mut service = tower_test::mock::Spawn::new(layer.layer(inner));
    assert_ready_ok!(service.poll_ready());
    service.call(1).await.unwrap();
    assert_pending!(service.poll_ready());
    limiter.cancel();
    // It never fails in `poll_ready`: the refusal is the answer to the call.
    assert_ready_ok!(service.poll_ready());
    let refused = assert_ready_err!(task::spawn(service.call(2)).poll());
    assert_eq!(refused.limited().unwrap().reason(), Reason::Cancelled);
    limiter.close();
    assert_ready_ok!(service.poll_ready());
    let refused = assert_ready_err!(task::spawn(service.call(3)).poll());
    assert_eq!(refused.limited().unwrap().reason(), Reason::Closed);
}

#[tokio::test(start_paused = true)]
async fn slack_is_added_to_waits_and_to_nothing_else() {
    let limiter = RateLimiter::builder(one_per(100)).slack(ms(30)).build();
    let start = Instant::now();
    limiter.acquire().await.unwrap();
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(100)));
    let refused = limiter.acquire().max_wait(ms(129)).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(ms(130)));
    let refused = limiter.acquire().max_wait(ms(1)).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(ms(130)), "also where it is refused without the slack");
    assert_eq!(all(in_line(&limiter, start, 3).await).await, [Ok(130), Ok(230), Ok(330)]);
    sleep_until(start + ms(400)).await;
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), ms(400));
}

#[tokio::test(start_paused = true)]
async fn the_wait_behind_one_whose_slot_has_come_and_whose_slack_has_not_is_exact() {
    let limiter = RateLimiter::builder(one_per(100)).slack(ms(30)).build();
    let start = Instant::now();
    limiter.try_acquire().unwrap();
    let waiting = in_line(&limiter, start, 1).await;
    sleep_until(start + ms(110)).await;
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(120)));
    let last = limiter.acquire().max_wait(ms(120)).await.unwrap();
    assert_eq!((all(waiting).await, last.waited()), (vec![Ok(130)], ms(120)));
    assert_eq!(start.elapsed(), ms(230));
}

/// One per 100 ms that counts from the call, with a slack of 30 ms.
fn with_slack<A: Algorithm>(limit: A) -> (RateLimiter<A>, ManualClock) {
    let clock = ManualClock::new();
    (RateLimiter::builder(limit).slack(ms(30)).clock(clock.clone()).build(), clock)
}

fn ten_a_second() -> Rate {
    Rate::new(1, ms(100)).unwrap()
}

#[test]
fn unused_permits_keep_no_longer_with_slack() {
    fn perishes<A: Algorithm>(limit: A) {
        let (limiter, clock) = with_slack(limit);
        let reserved = assert_ready_ok!(task::spawn(limiter.reserve()).poll());
        clock.set(ms(100));
        limiter.try_acquire().unwrap();
        reserved.commit().unwrap_err();
        // Those let go in line keep as long from then on.
        let mut waiting = task::spawn(limiter.acquire());
        assert_pending!(waiting.poll());
        clock.set(ms(230));
        limiter.try_acquire().unwrap_err();
        clock.set(ms(329));
        limiter.try_acquire().unwrap_err();
        clock.set(ms(330));
        limiter.try_acquire().unwrap();
        assert_pending!(waiting.poll());
    }
    perishes(Strict::new(ten_a_second()));
    perishes(SlidingWindow::new(ten_a_second()));
}

#[test]
fn permits_let_go_with_slack_count_from_then_on_where_calls_do() {
    fn counts<A: Algorithm>(limit: A) {
        let (limiter, clock) = with_slack(limit);
        limiter.try_acquire().unwrap();
        let mut waiting = task::spawn(limiter.reserve());
        assert_pending!(waiting.poll());
        clock.set(ms(130));
        let reserved = assert_ready_ok!(waiting.poll());
        clock.set(ms(229));
        assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(1)));
        reserved.commit().unwrap();
        assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(100)));
    }
    counts(Strict::new(ten_a_second()));
    counts(SlidingWindow::new(ten_a_second()));
}

#[tokio::test(start_paused = true)]
async fn the_wait_with_slack_is_known_where_limits_count_from_the_call() {
    async fn known<A: Algorithm>(limit: A) {
        let limiter = RateLimiter::builder(limit).slack(ms(30)).build();
        let start = Instant::now();
        limiter.try_acquire().unwrap();
        let waiting = in_line(&limiter, start, 3).await;
        let refused = limiter.acquire().max_wait(ms(519)).await.unwrap_err();
        assert_eq!(refused.retry_after(), Some(ms(520)));
        let last = limiter.acquire().max_wait(ms(520)).await.unwrap();
        assert_eq!(all(waiting).await, [Ok(130), Ok(260), Ok(390)]);
        assert_eq!(last.waited(), ms(520));
    }
    known(Strict::new(ten_a_second())).await;
    known(SlidingWindow::new(ten_a_second())).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_can_have_an_arithmetic_of_its_own() {
    let limiter = KeyedRateLimiter::builder(one_per(100)).max_keys(2).unwrap().build();
    let start = Instant::now();
    let [alice, bob] = ["alice", "bob"].map(|name| limiter.key(name));
    for key in [&alice, &bob] {
        key.try_acquire().unwrap();
    }
    let (hers, his) = (in_line(&alice, start, 3).await, in_line(&bob, start, 2).await);
    limiter.set_algorithm_for("alice", one_per(10)).unwrap();
    assert_eq!(all(hers).await, [Ok(10), Ok(20), Ok(30)]);
    let refused = alice.try_acquire().unwrap_err();
    assert_eq!(refused.rate(), Some(Rate::new(1, ms(10)).unwrap()));
    assert_eq!(all(his).await, [Ok(100), Ok(200)]);
    // It stays whatever the others do, is kept though it equals new, and goes when it is told to.
    limiter.set_algorithm(one_per(1000));
    advance(ms(10_000)).await;
    limiter.evict();
    assert_eq!(limiter.keys(), 1);
    alice.try_acquire().unwrap();
    assert_eq!(alice.try_acquire().unwrap_err().retry_after(), Some(ms(10)));
    limiter.forget("alice");
    assert_eq!(limiter.keys(), 0);
    alice.try_acquire().unwrap();
    assert_eq!(alice.try_acquire().unwrap_err().retry_after(), Some(ms(1000)));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_finds_no_room_gets_no_arithmetic_of_its_own() {
    let limiter = KeyedRateLimiter::builder(one_per(100)).max_keys(1).unwrap().build();
    limiter.key("alice").try_acquire().unwrap();
    let refused = limiter.set_algorithm_for("bob", one_per(10)).unwrap_err();
    assert_eq!(refused.reason(), Reason::TooManyKeys);
    // Those who share one limit share the common one.
    limiter.key("bob").try_acquire().unwrap();
    assert_eq!(limiter.key("bob").try_acquire().unwrap_err().retry_after(), Some(ms(100)));
}

#[tokio::test(start_paused = true)]
async fn one_who_waits_for_more_than_a_changed_limit_has_is_told_so_though_it_changes_again() {
    let bucket = |capacity| LeakyBucket::new(Rate::per_second(10).unwrap()).capacity(capacity);
    let limiter = RateLimiter::new(bucket(4).unwrap());
    limiter.try_acquire_many(4).unwrap();
    let mut waiting = task::spawn(limiter.acquire().cost(4));
    assert_pending!(waiting.poll());
    limiter.set_algorithm(bucket(2).unwrap());
    limiter.set_algorithm(bucket(5).unwrap());
    limiter.try_acquire().unwrap();
    assert_eq!(assert_ready_err!(waiting.poll()).reason(), Reason::TooCostly);
}

#[tokio::test(start_paused = true)]
async fn one_that_let_its_permits_perish_is_not_let_go_by_a_closed_limiter() {
    let limiter = RateLimiter::new(one_per(100));
    limiter.try_acquire().unwrap();
    let mut late = task::spawn(limiter.acquire());
    assert_pending!(late.poll());
    // Somebody else serves it, and nobody looks after it for an interval.
    advance(ms(100)).await;
    limiter.try_acquire().unwrap_err();
    advance(ms(150)).await;
    limiter.close();
    assert_eq!(assert_ready_err!(late.poll()).reason(), Reason::Closed);
}

#[test]
fn a_look_during_a_breach_says_that_a_call_would_pass() {
    let limiter = RateLimiter::new(one_per(100));
    limiter.try_acquire().unwrap();
    assert!(!limiter.peek(1).is_granted());
    limiter.breach();
    assert!(limiter.peek(1).is_granted());
    limiter.reset();
    limiter.try_acquire().unwrap();
    assert!(!limiter.peek(1).is_granted());
}
