//! Pauses, and what comes after them, to the instant.

use std::time::Duration;
use tokio::{task::JoinSet, time::Instant};
use tokio_test::{assert_pending, task};
use tower_ratelimit::{
    KeyedRateLimiter, ManualClock, Rate, RateLimiter, Reason,
    http::{Heard, Heeding, Left},
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn heeding() -> Heeding {
    Heeding::new(Rate::per_second(10).unwrap())
}

/// A refusal that says how long to stay away.
fn refusal(pause: Duration) -> Heard {
    Heard { refused: true, retry_after: Some(pause), left: None }
}

/// A response that says how much is left.
fn left(calls: u64, within: Duration) -> Heard {
    Heard { left: Some(Left { calls, within }), ..Heard::default() }
}

/// Starts calls that wait their turn, in order.
fn calls(limiter: &RateLimiter<Heeding>, number: usize) -> JoinSet<Instant> {
    let mut calls = JoinSet::new();
    for _ in 0..number {
        let limiter = limiter.clone();
        calls.spawn(async move {
            limiter.acquire().await.unwrap();
            Instant::now()
        });
    }
    calls
}

/// When they were let go, in milliseconds after `start`.
async fn instants(calls: JoinSet<Instant>, start: Instant) -> Vec<u128> {
    let mut instants = calls.join_all().await;
    instants.sort_unstable();
    instants.into_iter().map(|at| (at - start).as_millis()).collect()
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_passes_while_nothing_is_heard() {
    let limiter = RateLimiter::new(heeding());
    for _ in 0..1000 {
        limiter.try_acquire().unwrap();
    }
    limiter.heed(&left(3, ms(1000))).unwrap();
    limiter.heed(&Heard::default()).unwrap();
    for _ in 0..1000 {
        limiter.try_acquire().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_leave_one_after_the_other_from_the_end_of_the_pause() {
    let limiter = RateLimiter::new(heeding());
    let start = Instant::now();
    limiter.heed(&refusal(ms(2000))).unwrap();
    assert_eq!(instants(calls(&limiter, 5), start).await, [2000, 2100, 2200, 2300, 2400]);
}

#[tokio::test(start_paused = true)]
async fn those_who_come_as_the_pause_ends_are_no_herd_either() {
    let limiter = RateLimiter::new(heeding());
    let start = Instant::now();
    limiter.heed(&refusal(ms(1000))).unwrap();
    assert_eq!(limiter.try_acquire().unwrap_err().retry_after(), Some(ms(1000)));
    tokio::time::sleep(ms(1000)).await;
    assert_eq!(instants(calls(&limiter, 3), start).await, [1000, 1100, 1200]);
    // Nor within an interval of an unused slot; later the pace is over.
    tokio::time::sleep(ms(199)).await;
    assert_eq!(instants(calls(&limiter, 2), start).await, [1399, 1499]);
    tokio::time::sleep(ms(200)).await;
    assert_eq!(instants(calls(&limiter, 4), start).await, [1699; 4]);
}

#[tokio::test(start_paused = true)]
async fn no_call_follows_a_late_one_closely_and_a_stalled_line_is_no_herd() {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(heeding()).clock(clock.clone()).build();
    limiter.heed(&refusal(ms(1000))).unwrap();
    let mut waiting = calls(&limiter, 6);
    settle().await;
    // To the instant, 30 ms late, an interval after that, late by half a second, and so on.
    let moves = [(999, 0), (1, 1), (130, 1), (99, 0), (1, 1), (600, 1), (99, 0), (1, 1), (100, 1)];
    for (step, expected) in moves {
        clock.advance(ms(step));
        settle().await;
        let mut let_go = 0;
        while waiting.try_join_next().is_some() {
            let_go += 1;
        }
        assert_eq!(let_go, expected, "at {:?}", clock.now());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_extended_holds_for_those_who_wait_and_a_shorter_one_changes_nothing() {
    let limiter = RateLimiter::new(heeding());
    let start = Instant::now();
    limiter.heed(&refusal(ms(1000))).unwrap();
    let waiting = calls(&limiter, 3);
    tokio::time::sleep(ms(500)).await;
    limiter.heed(&refusal(ms(2000))).unwrap();
    limiter.heed(&refusal(ms(100))).unwrap();
    limiter.heed(&left(5, ms(1))).unwrap();
    assert_eq!(instants(waiting, start).await, [2500, 2600, 2700]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_in_the_middle_of_the_line_stops_the_rest() {
    let limiter = RateLimiter::new(heeding());
    let start = Instant::now();
    limiter.heed(&refusal(ms(1000))).unwrap();
    let waiting = calls(&limiter, 4);
    tokio::time::sleep(ms(1150)).await;
    limiter.heed(&refusal(ms(1000))).unwrap();
    assert_eq!(instants(waiting, start).await, [1000, 1100, 2150, 2250]);
}

#[tokio::test(start_paused = true)]
async fn whoever_would_have_to_wait_too_long_is_refused_at_once_also_in_line() {
    let limiter = RateLimiter::new(heeding());
    let start = Instant::now();
    limiter.heed(&refusal(ms(1000))).unwrap();
    let within = |longest: u64| {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            limiter.acquire().max_wait(ms(longest)).await.map(|_| Instant::now())
        })
    };
    let refused = within(999).await.unwrap().unwrap_err();
    assert_eq!((refused.reason(), refused.retry_after()), (Reason::UsedUp, Some(ms(1000))));
    let [short, long, last] = [within(1500), within(3000), within(2600)];
    settle().await;
    tokio::time::sleep(ms(500)).await;
    limiter.heed(&refusal(ms(2000))).unwrap();
    let refused = short.await.unwrap().unwrap_err();
    assert_eq!(start.elapsed(), ms(500));
    assert_eq!((refused.reason(), refused.max_wait()), (Reason::UsedUp, Some(ms(1500))));
    // As long as if it came now: behind the two who stay.
    assert_eq!(refused.retry_after(), Some(ms(2200)));
    assert_eq!(long.await.unwrap().unwrap() - start, ms(2500));
    // It is third no more, and has its turn just in time.
    assert_eq!(last.await.unwrap().unwrap() - start, ms(2600));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_leaves_its_slot_to_those_behind() {
    let limiter = RateLimiter::new(heeding());
    let start = Instant::now();
    limiter.heed(&refusal(ms(1000))).unwrap();
    let mut dropped = task::spawn(limiter.acquire().into_future());
    assert_pending!(dropped.poll());
    let waiting = calls(&limiter, 2);
    settle().await;
    drop(dropped);
    assert_eq!(instants(waiting, start).await, [1000, 1100]);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_not_used_leaves_its_slot_to_those_behind() {
    let limiter = RateLimiter::new(heeding());
    let start = Instant::now();
    limiter.heed(&refusal(ms(1000))).unwrap();
    let mut reserving = task::spawn(limiter.reserve().into_future());
    assert_pending!(reserving.poll());
    let waiting = calls(&limiter, 2);
    let reserved = reserving.await.unwrap();
    tokio::time::sleep(ms(40)).await;
    drop(reserved);
    assert_eq!(instants(waiting, start).await, [1040, 1140]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_sets_the_pace_after_a_pause_and_only_slows_down() {
    let limiter = RateLimiter::new(heeding());
    let start = Instant::now();
    limiter.heed(&refusal(ms(1000))).unwrap();
    let waiting = calls(&limiter, 8);
    tokio::time::sleep(ms(1050)).await;
    // Two a second; a thousand a second would be no reason to hurry.
    limiter.heed(&left(2, ms(1000))).unwrap();
    tokio::time::sleep(ms(1300)).await;
    limiter.heed(&left(1000, ms(1000))).unwrap();
    let expected = [1000, 1100, 1600, 2100, 2200, 2300, 2400, 2500];
    assert_eq!(instants(waiting, start).await, expected);
}

#[tokio::test(start_paused = true)]
async fn nothing_left_is_a_pause_although_the_call_went_well() {
    let limiter = RateLimiter::new(heeding());
    let start = Instant::now();
    limiter.heed(&left(0, ms(3000))).unwrap();
    assert_eq!(instants(calls(&limiter, 2), start).await, [3000, 3100]);
}

#[tokio::test(start_paused = true)]
async fn no_pause_is_longer_than_a_day() {
    let limiter = RateLimiter::new(heeding());
    for pause in [Duration::MAX, Duration::from_secs(999_999_999_999_999)] {
        limiter.heed(&refusal(pause)).unwrap();
        limiter.heed(&left(0, pause)).unwrap();
        limiter.heed(&left(1, pause)).unwrap();
        let refused = limiter.try_acquire().unwrap_err();
        assert_eq!(refused.retry_after(), Some(Duration::from_secs(86_400)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_pace_halves_with_each_new_refusal_and_comes_back_in_a_minute() {
    let limiter = RateLimiter::new(heeding().adaptive());
    let start = Instant::now();
    limiter.heed(&refusal(ms(1000))).unwrap();
    // Those under way when the pause began are no news.
    limiter.heed(&refusal(ms(1000))).unwrap();
    limiter.heed(&refusal(ms(500))).unwrap();
    // Half of the pace: 200 ms apart, and a little less with each second (1/60 of the whole).
    let first = instants(calls(&limiter, 3), start).await;
    assert_eq!(first, [1000, 1200, 1399]);
    limiter.heed(&refusal(Duration::ZERO)).unwrap();
    let now = start.elapsed().as_millis();
    let second = instants(calls(&limiter, 3), start).await;
    assert!((370..400).contains(&(second[2] - second[1])), "{second:?} from {now}");
    // It is never gone altogether.
    for _ in 0..10 {
        limiter.acquire().await.unwrap();
        for _ in 0..10 {
            limiter.heed(&refusal(Duration::ZERO)).unwrap();
        }
    }
    let slowest = instants(calls(&limiter, 2), start).await;
    let apart = slowest[1] - slowest[0];
    assert!((1500..=6400).contains(&apart), "{apart}");
    // A minute later it is back.
    tokio::time::sleep(Duration::from_secs(67)).await;
    for _ in 0..10 {
        limiter.try_acquire().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_of_calls_that_were_under_way_together_halve_an_adaptive_pace_once() {
    let limiter = RateLimiter::new(heeding().adaptive());
    for _ in 0..20 {
        limiter.heed(&refusal(Duration::ZERO)).unwrap();
        tokio::time::sleep(ms(1)).await;
    }
    let start = Instant::now();
    let apart = instants(calls(&limiter, 2), start).await[1];
    assert!((190..=200).contains(&apart), "{apart}");
}

#[tokio::test(start_paused = true)]
async fn one_server_does_not_pause_another_and_what_is_over_is_forgotten() {
    let limiter = KeyedRateLimiter::builder(heeding()).max_keys(4).unwrap().build();
    limiter.key("a").heed(&refusal(ms(1000))).unwrap();
    limiter.key("b").heed(&left(9, ms(1000))).unwrap();
    assert_eq!(limiter.keys(), 1);
    assert!(limiter.key("a").try_acquire().is_err());
    assert!(limiter.key("b").try_acquire().is_ok());
    for server in 0..1000 {
        limiter.key(&server).try_acquire().unwrap();
        assert!(limiter.keys() <= 4);
    }
    assert!(limiter.key("a").try_acquire().is_err());
    tokio::time::sleep(ms(1100)).await;
    limiter.evict();
    assert_eq!(limiter.keys(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_room_for_one_more_server_all_those_pause_together() {
    let limiter = KeyedRateLimiter::builder(heeding()).max_keys(1).unwrap().build();
    for server in ["a", "b"] {
        limiter.key(server).heed(&refusal(ms(1000))).unwrap();
    }
    assert!(limiter.key("b").try_acquire().is_err());
    assert!(limiter.key("c").try_acquire().is_err());
}
