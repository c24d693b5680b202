//! Requests that are tried again.

use super::script::{Script, get};
use http::{Method, Request, Response};
use std::{
    sync::{
        Arc,
        atomic::{AtomicIsize, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    retry::{RetryLayer, budget::Budget},
    service_fn,
};
use tower_ratelimit::{
    Rate, RateLimitLayer, RateLimiter, SlidingWindow,
    http::{HeedLayer, Heeding, Host, RetryPolicy},
};

fn rate() -> Rate {
    Rate::per_second(10).unwrap()
}

/// So many retries and no more.
struct Coins(AtomicIsize);

impl Budget for Coins {
    fn deposit(&self) {}

    fn withdraw(&self) -> bool {
        self.0.fetch_sub(1, Ordering::SeqCst) > 0
    }
}

/// Coins that a test counts.
struct Shared(Arc<Coins>);

impl Budget for Shared {
    fn deposit(&self) {}

    fn withdraw(&self) -> bool {
        self.0.withdraw()
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_waits_for_the_pause_and_takes_a_permit_of_its_own() {
    let script = Script::of(&[(429, "retry-after: 2"), (503, "retry-after: 3")]);
    let limiter = RateLimiter::new(SlidingWindow::new(Rate::per_day(9).unwrap()));
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::new(3)))
        .layer(RateLimitLayer::new(limiter.clone()))
        .layer(HeedLayer::new(Host, Heeding::new(rate())))
        .service(script.client());
    let start = Instant::now();
    assert_eq!(client.oneshot(get("a")).await.unwrap().status(), 200);
    assert_eq!(script.asked(start), [0, 2000, 5000]);
    assert_eq!(limiter.peek(0).remaining, 6);
}

#[tokio::test(start_paused = true)]
async fn after_the_last_attempt_the_refusal_is_the_response() {
    for (attempts, sent) in [(0, 1), (1, 1), (2, 2), (4, 4)] {
        let script = Script::of(&[(429, "retry-after: 2"); 9]);
        let client = RetryLayer::new(RetryPolicy::new(attempts)).layer(script.client());
        assert_eq!(client.clone().oneshot(get("a")).await.unwrap().status(), 429);
        assert_eq!(script.count(), sent);
        // Each request has its own number of attempts.
        client.oneshot(get("a")).await.unwrap();
        assert_eq!(script.count(), 2 * sent);
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_budget_is_used_up_nothing_is_tried_again_by_any_clone() {
    let script = Script::of(&[(429, "retry-after: 0"); 20]);
    let policy = RetryPolicy::new(3).budget(Coins(AtomicIsize::new(3)));
    let one = RetryLayer::new(policy.clone()).layer(script.client());
    let other = RetryLayer::new(policy).layer(script.client());
    for client in [&one, &other, &one] {
        assert_eq!(client.clone().oneshot(get("a")).await.unwrap().status(), 429);
    }
    assert_eq!(script.count(), 3 + 3);
}

#[tokio::test(start_paused = true)]
async fn after_a_503_only_what_is_idempotent_is_tried_again_and_after_a_429_everything() {
    let table = [
        (Method::GET, 429, 2),
        (Method::GET, 503, 2),
        (Method::PUT, 503, 2),
        (Method::POST, 429, 2),
        (Method::POST, 503, 1),
        (Method::PATCH, 503, 1),
        (Method::GET, 500, 1),
        (Method::GET, 404, 1),
    ];
    for (method, status, sent) in table {
        let script = Script::of(&[(status, "retry-after: 0")]);
        let client = RetryLayer::new(RetryPolicy::new(2)).layer(script.client());
        let mut request = get("a");
        *request.method_mut() = method.clone();
        client.oneshot(request).await.unwrap();
        assert_eq!(script.count(), sent, "{method} {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_said_waits_are_random_below_a_bound_that_doubles() {
    let mut longest = [0; 7];
    let mut shortest = [u128::MAX; 7];
    for _ in 0..300 {
        let script = Script::of(&[(503, ""); 7]);
        let policy = RetryPolicy::new(8).budget(Coins(AtomicIsize::new(7)));
        let client = RetryLayer::new(policy).layer(script.client());
        let start = Instant::now();
        client.oneshot(get("a")).await.unwrap();
        let asked = script.asked(start);
        assert_eq!(asked.len(), 8);
        for (attempt, pair) in asked.windows(2).enumerate() {
            longest[attempt] = longest[attempt].max(pair[1] - pair[0]);
            shortest[attempt] = shortest[attempt].min(pair[1] - pair[0]);
        }
    }
    // tokio's timer ticks in milliseconds. That none of 300 throws comes near an end is as good as
    // impossible.
    for (attempt, bound) in [1000, 2000, 4000, 8000, 16_000, 20_000, 20_000].into_iter().enumerate()
    {
        assert!(longest[attempt] <= bound + 1, "{longest:?}");
        assert!(longest[attempt] > bound * 8 / 10, "{longest:?}");
        assert!(shortest[attempt] < bound * 2 / 10, "{shortest:?}");
    }
}

/// It was tried again at once.
#[tokio::test(start_paused = true)]
async fn a_limit_that_has_ended_by_what_a_refusal_says_is_not_tried_at_once() {
    for _ in 0..20 {
        let script = Script::of(&[(429, "x-ratelimit-remaining: 0\nx-ratelimit-reset: 0"); 6]);
        let policy = RetryPolicy::new(7).budget(Coins(AtomicIsize::new(6)));
        let client = RetryLayer::new(policy).layer(script.client());
        let start = Instant::now();
        client.oneshot(get("a")).await.unwrap();
        // That six random waits, of up to 20 s, come to so little is as good as impossible.
        assert!(script.asked(start)[6] > 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_sent_again_as_it_was() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let inner = service_fn(move |request: Request<String>| {
        assert_eq!(request.body(), "text");
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        let status = if first { 429 } else { 200 };
        async move { Ok::<_, std::io::Error>(Response::builder().status(status).body(()).unwrap()) }
    });
    let mut client = RetryLayer::new(RetryPolicy::new(2)).layer(inner);
    let request = Request::post("http://a/").body("text".to_owned()).unwrap();
    assert_eq!(client.ready().await.unwrap().call(request).await.unwrap().status(), 200);
    assert_eq!(sent.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_would_have_to_wait_too_long_fails_and_says_so() {
    let script = Script::of(&[(429, "retry-after: 3600")]);
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryPolicy::new(3)))
        .layer(HeedLayer::new(Host, Heeding::new(rate())))
        .service(script.client());
    let error = client.oneshot(get("a")).await.unwrap_err();
    assert_eq!(error.limited().unwrap().retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(script.count(), 1);
}

/// It was tried again at once.
#[tokio::test(start_paused = true)]
async fn alone_it_waits_as_long_as_the_server_says_and_a_random_time_besides() {
    let (mut longest, mut shortest) = ([0; 4], [u128::MAX; 4]);
    let said = [2000, 3000, 7000, 0];
    for _ in 0..200 {
        let script = Script::of(&[
            (429, "retry-after: 2"),
            (
                503,
                "date: Sat, 21 Nov 2026 18:00:00 GMT\nretry-after: Sat, 21 Nov 2026 18:00:03 GMT",
            ),
            (429, "ratelimit: \"a\";r=0;t=7"),
            (503, "retry-after: 0"),
        ]);
        let policy = RetryPolicy::new(5).budget(Coins(AtomicIsize::new(4)));
        let client = RetryLayer::new(policy).layer(script.client());
        let start = Instant::now();
        assert_eq!(client.oneshot(get("a")).await.unwrap().status(), 200);
        for (attempt, pair) in script.asked(start).windows(2).enumerate() {
            // What is above it, or else it was too early.
            let random = (pair[1] - pair[0]).checked_sub(said[attempt]).unwrap();
            longest[attempt] = longest[attempt].max(random);
            shortest[attempt] = shortest[attempt].min(random);
        }
    }
    // That none of 200 throws comes near an end is as good as impossible.
    for (attempt, bound) in [1000, 2000, 4000, 8000].into_iter().enumerate() {
        assert!(longest[attempt] <= bound + 1, "{longest:?}");
        assert!(longest[attempt] > bound * 8 / 10, "{longest:?}");
        assert!(shortest[attempt] < bound * 2 / 10, "{shortest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_outside_of_it_does_not_wait_for_it() {
    let script = Script::of(&[(429, "retry-after: 2")]);
    let client = ServiceBuilder::new()
        .layer(HeedLayer::new(Host, Heeding::new(rate())))
        .layer(RetryLayer::new(RetryPolicy::new(2)))
        .service(script.client());
    let start = Instant::now();
    assert_eq!(client.oneshot(get("a")).await.unwrap().status(), 200);
    assert!(script.asked(start)[1] >= 2000);
}

#[tokio::test(start_paused = true)]
async fn alone_it_does_not_try_again_what_would_have_to_wait_too_long() {
    let five = Duration::from_secs(5);
    let table = [
        (None, "retry-after: 600", 2),
        (None, "retry-after: 601", 1),
        (None, "retry-after: 99999999999999999999", 1),
        (Some(five), "retry-after: 5", 2),
        (Some(five), "retry-after: 6", 1),
        (Some(five), "ratelimit: \"a\";r=0;t=6", 1),
        (Some(Duration::ZERO), "retry-after: 0", 2),
        (Some(Duration::ZERO), "", 2),
    ];
    for (max_wait, lines, sent) in table {
        let script = Script::of(&[(429, lines)]);
        let coins = Arc::new(Coins(AtomicIsize::new(9)));
        let policy = RetryPolicy::new(2).budget(Shared(Arc::clone(&coins)));
        let policy = max_wait.into_iter().fold(policy, RetryPolicy::max_wait);
        let client = RetryLayer::new(policy).layer(script.client());
        let status = client.oneshot(get("a")).await.unwrap().status();
        assert_eq!((status == 200, script.count()), (sent == 2, sent), "{lines}");
        // What is not tried again takes nothing from the budget.
        let left = usize::try_from(coins.0.load(Ordering::SeqCst)).unwrap();
        assert_eq!(9 - left, sent - 1, "{lines}");
    }
}
