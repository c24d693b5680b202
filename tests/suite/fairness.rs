//! Many tasks of mixed cost that compete for one limit: each is served exactly when a simple
//! simulation says, millisecond by millisecond, that its turn has come.

use std::time::Duration;
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};
use tower_ratelimit::{
    Algorithm, BurstCompensating, Concurrency, FixedWindow, LeakyBucket, Rate, RateLimiter,
    SlidingWindow, Strict, TokenBucket,
};

const TASKS: u64 = 64;

fn rate(permits: u32, milliseconds: u64) -> Rate {
    Rate::new(permits, Duration::from_millis(milliseconds)).unwrap()
}

/// When each call asks and what it costs: at first many at once, then one after the other.
fn calls() -> Vec<(u64, u32)> {
    let asks = |task: u64| if task < 40 { task / 20 * 7 } else { 2000 + (task - 40) * 133 };
    (0..TASKS).map(|task| (asks(task), 1 + (task * task % 11 % 4) as u32)).collect()
}

/// Whether a call of this cost may go at this millisecond; if it may, it does.
type MayGo = Box<dyn FnMut(u64, u32) -> bool>;

/// The first in line goes as soon as it may, and nobody before it.
fn simulated(mut may_go: MayGo) -> Vec<u64> {
    let mut now = 0;
    let goes = |(asks, cost): (u64, u32)| {
        now = asks.max(now);
        while !may_go(now, cost) {
            now += 1;
        }
        now
    };
    calls().into_iter().map(goes).collect()
}

/// When each of the tasks was let go, which hold their permits for so long.
fn real<A: Algorithm>(algorithm: A, holds: u64) -> Vec<u64> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async move {
        let limiter = RateLimiter::new(algorithm);
        let start = Instant::now();
        let mut tasks = Vec::new();
        for (asks, cost) in calls() {
            tokio::time::sleep_until(start + Duration::from_millis(asks)).await;
            let limiter = limiter.clone();
            tasks.push(tokio::spawn(async move {
                let _permit = limiter.acquire().cost(cost).await.unwrap();
                let at = u64::try_from(start.elapsed().as_millis()).unwrap();
                sleep(Duration::from_millis(holds)).await;
                at
            }));
            // It gets in line before the next one does.
            yield_now().await;
        }
        let mut served = Vec::new();
        for task in tasks {
            served.push(task.await.unwrap());
        }
        served
    })
}

fn agree<A: Algorithm>(algorithm: A, may_go: impl FnMut(u64, u32) -> bool + 'static) {
    let expected = simulated(Box::new(may_go));
    assert!(expected.is_sorted());
    assert_eq!(real(algorithm, 0), expected);
}

#[test]
fn a_leaky_bucket_serves_each_when_it_has_leaked_enough() {
    let bucket = LeakyBucket::new(rate(1, 50)).capacity(6).unwrap();
    // Filled with milliseconds.
    let (mut filled, mut at) = (0u64, 0);
    agree(bucket, move |now, cost| {
        filled = filled.saturating_sub(now - at);
        at = now;
        let fits = filled + u64::from(cost) * 50 <= 6 * 50;
        filled += if fits { u64::from(cost) * 50 } else { 0 };
        fits
    });
}

#[test]
fn pacing_limits_serve_each_as_many_intervals_after_the_one_before_as_that_one_cost() {
    let paced = || {
        let mut free = 0;
        move |now: u64, cost: u32| {
            let goes = now >= free;
            free = if goes { now + u64::from(cost) * 40 } else { free };
            goes
        }
    };
    agree(Strict::new(rate(1, 40)), paced());
    agree(BurstCompensating::new(rate(1, 40)), paced());
}

#[test]
fn a_sliding_window_serves_each_when_enough_have_left_it() {
    let window = SlidingWindow::all([rate(5, 200), rate(8, 500)]).unwrap();
    let mut gone: Vec<(u64, u32)> = Vec::new();
    agree(window, move |now, cost| {
        let used = |period| -> u32 {
            gone.iter().filter(|(at, _)| now - at < period).map(|(_, cost)| cost).sum()
        };
        let fits = used(200) + cost <= 5 && used(500) + cost <= 8;
        gone.extend(fits.then_some((now, cost)));
        fits
    });
}

#[test]
fn a_token_bucket_serves_each_when_enough_have_arrived() {
    let bucket = TokenBucket::new(rate(2, 100)).capacity(5).unwrap();
    let (mut tokens, mut tick) = (5, 0);
    agree(bucket, move |now, cost| {
        // A full bucket has no grid.
        while tokens < 5 && now >= tick + 100 {
            (tokens, tick) = (5.min(tokens + 2), tick + 100);
        }
        tick = if tokens == 5 { now } else { tick };
        let fits = cost <= tokens;
        tokens -= if fits { cost } else { 0 };
        fits
    });
}

#[test]
fn a_fixed_window_serves_each_in_the_first_window_with_room() {
    let (mut left, mut window) = (4, 0);
    agree(FixedWindow::new(rate(4, 150)), move |now, cost| {
        // The first call after a window begins the next one.
        if now >= window + 150 {
            (left, window) = (4, now);
        }
        let fits = cost <= left;
        left -= if fits { cost } else { 0 };
        fits
    });
}

#[test]
fn calls_in_flight_are_served_when_enough_of_those_before_have_ended() {
    let mut running: Vec<(u64, u32)> = Vec::new();
    let expected = simulated(Box::new(move |now, cost| {
        running.retain(|(end, _)| *end > now);
        let in_use: u32 = running.iter().map(|(_, cost)| cost).sum();
        let fits = in_use + cost <= 5;
        running.extend(fits.then_some((now + 70, cost)));
        fits
    }));
    assert_eq!(real(Concurrency::new(5).unwrap(), 70), expected);
}

#[test]
fn nobody_waits_longer_than_those_before_and_its_own_cost_take() {
    let served = real(LeakyBucket::new(rate(1, 50)).capacity(6).unwrap(), 0);
    for (task, (asks, cost)) in calls().into_iter().enumerate() {
        let before: u32 = calls()[..task].iter().map(|(_, cost)| cost).sum();
        assert!(served[task] - asks <= u64::from(before + cost) * 50, "{task}");
    }
}
