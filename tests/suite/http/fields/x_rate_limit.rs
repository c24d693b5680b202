//! The older fields.

use super::{bucket, call};
use http::Request;
use std::time::Duration;
use tower::ServiceBuilder;
use tower_ratelimit::{
    Concurrency, JointLayer, JointLimiter, ManualClock, Quota, RateLimitLayer, RateLimiter,
    http::{
        FieldGeneration::{Draft11, XRateLimit},
        RateLimitFields, TooManyRequests,
    },
};

fn lines(told: &[&str]) -> Vec<String> {
    told.iter().map(|line| (*line).to_owned()).collect()
}

#[tokio::test]
async fn the_trio_tells_the_seconds_from_now() {
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(bucket("1/10s", 2)).clock(clock.clone()).build();
    let layer = RateLimitLayer::new(limiter).refuse().reply(TooManyRequests);
    let layer = layer.fields(RateLimitFields::always(XRateLimit)).unwrap();
    let one = ["x-ratelimit-limit: 2", "x-ratelimit-remaining: 1", "x-ratelimit-reset: 10"];
    assert_eq!(call(&layer, "/").await, (200, lines(&one)));
    clock.advance(Duration::from_millis(500));
    let two = ["x-ratelimit-limit: 2", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 10"];
    assert_eq!(call(&layer, "/").await, (200, lines(&two)));
    let refused = [&["retry-after: 10"], &two[..]].concat();
    assert_eq!(call(&layer, "/").await, (429, lines(&refused)));
}

#[tokio::test]
async fn both_forms_can_be_sent() {
    let layer = RateLimitLayer::new(Quota::new(5).unwrap()).refuse().reply(TooManyRequests);
    let layer = layer.fields(RateLimitFields::always(Draft11).and(XRateLimit)).unwrap();
    let told = [
        r#"ratelimit-policy: "default";q=5"#,
        r#"ratelimit: "default";r=4"#,
        "x-ratelimit-limit: 5",
        "x-ratelimit-remaining: 4",
    ];
    assert_eq!(call(&layer, "/").await, (200, lines(&told)));
}

/// The time was once that of another limit.
#[tokio::test]
async fn the_trio_of_an_outer_layer_without_a_time_takes_away_that_of_an_inner_one() {
    let fields = RateLimitFields::always(XRateLimit);
    let inner = RateLimitLayer::new(bucket("1/10s", 2)).refuse().reply(TooManyRequests);
    let outer = RateLimitLayer::new(Concurrency::new(9).unwrap()).reply(TooManyRequests);
    let layers = ServiceBuilder::new()
        .layer(outer.fields(fields).unwrap())
        .layer(inner.fields(fields).unwrap())
        .into_inner();
    let told = ["x-ratelimit-limit: 9", "x-ratelimit-remaining: 8"];
    assert_eq!(call(&layers, "/").await, (200, lines(&told)));
}

/// Of two limits it was once the one with the smaller share, which may be more than the other has.
#[tokio::test]
async fn of_several_limits_the_trio_tells_of_the_one_that_is_used_up_first() {
    let mut limits = JointLimiter::builder().clock(ManualClock::new());
    let many = limits.limit("many", bucket("1/s", 100)).unwrap();
    let few = limits.limit("few", bucket("1/min", 3)).unwrap();
    let limiter = limits.build();
    limiter.on_many(many, &(), 90).try_acquire().unwrap();
    let layer = JointLayer::new(limiter, move |limits: &JointLimiter, _: &Request<()>| {
        limits.on(many, &()).on(few, &())
    });
    let layer = layer.reply(TooManyRequests).fields(RateLimitFields::always(XRateLimit)).unwrap();
    for (remaining, reset) in [(2, 60), (1, 120), (0, 60)] {
        let told = [
            "x-ratelimit-limit: 3".to_owned(),
            format!("x-ratelimit-remaining: {remaining}"),
            format!("x-ratelimit-reset: {reset}"),
        ];
        assert_eq!(call(&layer, "/").await, (200, told.to_vec()));
    }
    assert_eq!(call(&layer, "/").await.0, 429);
}

#[test]
fn names_that_only_the_draft_sends_are_not_asked_about() {
    let limiter = RateLimiter::builder(bucket("1/s", 1)).name("häuser").build();
    let layer = RateLimitLayer::new(limiter).refuse();
    assert!(layer.fields(RateLimitFields::always(XRateLimit)).is_ok());
}
