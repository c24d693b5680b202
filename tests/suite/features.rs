//! What users of other rate limiters look for and no other test of ours shows as a whole.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::time::{Instant, interval, sleep};
use tokio_test::assert_pending;
use tower_ratelimit::{
    Decision, KeyedRateLimiter, LeakyBucket, ManualClock, Permit, Rate, RateLimited, RateLimiter,
    Reason, Reservation, SlidingWindow, Strict,
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn strict(milliseconds: u64) -> Strict {
    Strict::new(Rate::new(1, ms(milliseconds)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_all_there_is_to_know_and_reads_as_a_sentence() {
    let rates = [Rate::per_second(3).unwrap(), Rate::new(4, ms(1500)).unwrap()];
    let window = SlidingWindow::all(rates).unwrap();
    let limiter = RateLimiter::builder(window).name("outgoing").build();
    limiter.try_acquire_many(2).unwrap();
    sleep(ms(1000)).await;
    limiter.try_acquire_many(2).unwrap();
    let refused = limiter.acquire().cost(2).max_wait(ms(250)).await.unwrap_err();
    // Both fail: the shorter one is named, and the wait is the longer one.
    assert_eq!(refused.reason(), Reason::UsedUp);
    assert_eq!(refused.limit(), Some("outgoing"));
    assert_eq!(refused.rate(), Some(rates[0]));
    assert_eq!(refused.cost(), 2);
    assert_eq!(refused.retry_after(), Some(ms(1000)));
    assert_eq!(refused.max_wait(), Some(ms(250)));
    let sentence = "limit outgoing of 3/s is used up, retry after 1s (accepted wait 250ms)";
    assert_eq!(refused.to_string(), sentence);

    let refused = limiter.acquire().cost(1).timeout(ms(400)).await.map(drop);
    assert_eq!(refused.unwrap_err().rate(), Some(rates[1]));
    let refused = limiter.try_acquire_many(9).unwrap_err();
    assert_eq!(refused.to_string(), "limit outgoing of 3/s can never grant a cost of 9");
}

/// The compiler warns of a `Result` that nobody looks at; a permit that is one cannot be ignored.
#[tokio::test(start_paused = true)]
async fn whoever_asks_gets_a_result_and_no_bool_that_could_be_overlooked() {
    let limiter = RateLimiter::new(strict(100));
    let tried: Result<Permit<'_, Strict>, RateLimited> = limiter.try_acquire();
    let waited: Result<Permit<'_, Strict>, RateLimited> = limiter.acquire().await;
    let kept: Result<Reservation<'_, Strict>, RateLimited> = limiter.reserve().await;
    let wrapped: Result<u8, RateLimited> = limiter.wrap(async { 1 }).await;
    let charged: Result<(), RateLimited> = limiter.charge(1);
    let would: Decision = limiter.peek(1);
    assert!(tried.is_ok() && waited.is_ok() && kept.is_ok() && wrapped.is_ok() && charged.is_ok());
    assert!(!would.is_granted());
}

#[tokio::test(start_paused = true)]
async fn one_who_tries_again_when_told_gets_through_or_knows_that_time_is_too_short() {
    async fn within(limiter: &RateLimiter<LeakyBucket>, longest: Duration) -> Option<Duration> {
        let start = Instant::now();
        loop {
            match limiter.try_acquire() {
                Ok(_) => return Some(start.elapsed()),
                Err(refused) => match refused.retry_after() {
                    Some(wait) if start.elapsed() + wait <= longest => sleep(wait).await,
                    _ => return None,
                },
            }
        }
    }
    let bucket = LeakyBucket::new(Rate::per_second(1).unwrap()).capacity(2).unwrap();
    let limiter = RateLimiter::new(bucket);
    limiter.charge(5).unwrap();
    assert_eq!(within(&limiter, ms(3999)).await, None);
    assert_eq!(within(&limiter, ms(4000)).await, Some(ms(4000)));
    // The same without a loop, and nobody gets ahead.
    assert!(limiter.acquire().max_wait(ms(999)).await.is_err());
    assert!(limiter.acquire().max_wait(ms(1000)).await.is_ok());
}

/// The limit of everything that this program sends.
static OUTGOING: LazyLock<RateLimiter<LeakyBucket>> = LazyLock::new(|| {
    let rate = Rate::per_day(1).expect("one a day is a rate");
    RateLimiter::new(LeakyBucket::new(rate).capacity(3).expect("three fit"))
});

#[test]
fn a_limiter_can_be_a_static_of_the_whole_program() {
    let taken = std::thread::scope(|scope| {
        let threads = [0; 8].map(|_| scope.spawn(|| OUTGOING.try_acquire().is_ok()));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 3);
}

/// Keys that equal new are forgotten when a new key comes. Nothing runs in the background unless
/// somebody lets it, as often as they like.
#[tokio::test(start_paused = true)]
async fn a_task_that_evicts_now_and_then_gives_memory_back_while_nobody_comes() {
    let limiter = KeyedRateLimiter::new(strict(10_000));
    for key in 0..500_u32 {
        limiter.key(&key).try_acquire().unwrap();
    }
    let left_alone = KeyedRateLimiter::new(strict(10_000));
    left_alone.key("a").try_acquire().unwrap();
    let task = tokio::spawn({
        let limiter = limiter.clone();
        async move {
            let mut every = interval(Duration::from_secs(3));
            loop {
                every.tick().await;
                limiter.evict();
            }
        }
    });
    sleep(ms(11_999)).await;
    assert_eq!(limiter.keys(), 500);
    sleep(ms(2)).await;
    assert_eq!(limiter.keys(), 0);
    task.abort();
    assert_eq!(left_alone.keys(), 1, "nobody has looked at it");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_leaves_its_thread_to_the_others() {
    let limiter = RateLimiter::new(strict(1000));
    limiter.try_acquire().unwrap();
    let start = Instant::now();
    let other_work = async {
        let mut every = interval(ms(100));
        for _ in 0..=10 {
            every.tick().await;
        }
        start.elapsed()
    };
    let (worked, waited) = tokio::join!(other_work, limiter.acquire());
    assert_eq!((worked, waited.unwrap().waited()), (ms(1000), ms(1000)));
}

#[test]
fn where_both_ends_of_a_window_count_its_period_is_a_nanosecond_longer() {
    let clock = ManualClock::new();
    let period = Duration::from_secs(1) + Duration::from_nanos(1);
    let window = SlidingWindow::new(Rate::new(1, period).unwrap());
    let limiter = RateLimiter::builder(window).clock(clock.clone()).build();
    limiter.try_acquire().unwrap();
    clock.set(Duration::from_secs(1));
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_nanos(1)));
    clock.set(period);
    limiter.try_acquire().unwrap();
}

#[test]
fn limits_of_one_name_and_keys_of_one_text_have_nothing_in_common() {
    let rate = Rate::per_day(1).unwrap();
    let limiter = || KeyedRateLimiter::builder(Strict::new(rate)).name("logins").build();
    let (web, api) = (limiter(), limiter());
    web.key("alice").try_acquire().unwrap();
    let refused = web.key("alice").try_acquire().unwrap_err();
    assert_eq!(refused.limit(), Some("logins"));
    api.key("alice").try_acquire().unwrap();
    // A namespace of its own in the same limiter: a part of the key.
    web.key(&("mobile", "alice")).try_acquire().unwrap();
    web.key(&("mobilealice", "")).try_acquire().unwrap();
    web.key(&("mobile", "alice")).try_acquire().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn one_who_gives_up_on_waiting_frees_a_place_in_a_full_line() {
    let limiter = Arc::new(RateLimiter::builder(strict(100)).max_waiting(1).build());
    limiter.try_acquire().unwrap();
    let mut first = tokio_test::task::spawn(limiter.acquire().timeout(ms(50)));
    assert_pending!(first.poll());
    assert_eq!(limiter.acquire().await.unwrap_err().reason(), Reason::QueueFull);
    sleep(ms(50)).await;
    assert!(first.await.is_err());
    let start = Instant::now();
    limiter.acquire().await.unwrap();
    assert_eq!(start.elapsed(), ms(50));
}
