//! `RateLimit-Policy` and `RateLimit`, at exact instants.

use super::{bucket, call, rate};
use http::Request;
use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Waker},
    time::Duration,
};
use tower_ratelimit::{
    Clock, Concurrency, JointLayer, JointLimiter, KeyedRateLimiter, ManualClock, Quota,
    RateLimitLayer, RateLimiter, SlidingWindow, Terms,
    http::{FieldGeneration::Draft11, RateLimitFields, TooManyRequests},
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test]
async fn the_time_is_rounded_up_at_least_one_and_the_same_as_retry_after() {
    let clock = ManualClock::new();
    let limit = SlidingWindow::new(rate("2/10s"));
    let limiter = RateLimiter::builder(limit).name("api").clock(clock.clone()).build();
    let layer = RateLimitLayer::new(limiter).refuse().reply(TooManyRequests);
    let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap();
    let policy = r#"ratelimit-policy: "api";q=2;w=10"#;
    let admitted = |state: &str| (200, vec![policy.into(), format!("ratelimit: {state}")]);
    let refused = |seconds| {
        let state = format!(r#"ratelimit: "api";r=0;t={seconds}"#);
        (429, vec![format!("retry-after: {seconds}"), policy.into(), state])
    };
    assert_eq!(call(&layer, "/").await, admitted(r#""api";r=1;t=10"#));
    clock.advance(ms(2500));
    // One comes back 7.5 s from now.
    assert_eq!(call(&layer, "/").await, admitted(r#""api";r=0;t=8"#));
    assert_eq!(call(&layer, "/").await, refused(8));
    clock.advance(ms(500));
    assert_eq!(call(&layer, "/").await, refused(7));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(call(&layer, "/").await, refused(7));
    clock.advance(ms(6999));
    assert_eq!(call(&layer, "/").await, refused(1));
}

#[tokio::test]
async fn a_call_and_its_fields_take_one_look_at_the_clock() {
    let looks = Arc::new(AtomicU64::new(0));
    let looked = Arc::clone(&looks);
    let clock = Clock::from_fn(move || Duration::from_secs(looked.fetch_add(1, Relaxed)));
    let limiter = KeyedRateLimiter::builder(bucket("1/min", 9)).clock(clock).build();
    let layer = RateLimitLayer::per_key(|_: &Request<()>| 7_u64, limiter).reply(TooManyRequests);
    let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap();
    // That of a new key is decided under a lock, and looked at once more.
    let _ = call(&layer, "/").await;
    let before = looks.load(Relaxed);
    let (status, fields) = call(&layer, "/").await;
    assert_eq!(status, 200);
    assert!(fields[1].starts_with(r#"ratelimit: "default";r=7;t="#), "{fields:?}");
    assert_eq!(looks.load(Relaxed), before + 1);
}

#[tokio::test]
async fn of_several_limits_the_binding_one_comes_first_and_the_policies_stay_the_same() {
    let clock = ManualClock::new();
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let burst = limits.limit("burst", SlidingWindow::new(rate("3/min"))).unwrap();
    let daily = limits.limit("daily", SlidingWindow::new(rate("4/day"))).unwrap();
    let layer = JointLayer::new(limits.build(), move |limits: &JointLimiter, _: &Request<()>| {
        limits.on(burst, &()).on(daily, &())
    });
    let layer = layer.reply(TooManyRequests).fields(RateLimitFields::always(Draft11)).unwrap();
    let policies = r#"ratelimit-policy: "burst";q=3;w=60, "daily";q=4;w=86400"#;
    let admitted = |state: &str| (200, vec![policies.into(), format!("ratelimit: {state}")]);
    let expected = admitted(r#""burst";r=2;t=60, "daily";r=3;t=86400"#);
    assert_eq!(call(&layer, "/").await, expected);
    let _ = call(&layer, "/").await;
    clock.advance(Duration::from_secs(60));
    let expected = admitted(r#""daily";r=1;t=86400, "burst";r=2;t=60"#);
    assert_eq!(call(&layer, "/").await, expected);
    let _ = call(&layer, "/").await;
    let state = r#"ratelimit: "daily";r=0;t=86340, "burst";r=1;t=60"#;
    let expected = vec!["retry-after: 86340".to_owned(), policies.into(), state.into()];
    assert_eq!(call(&layer, "/").await, (429, expected));
}

#[tokio::test]
async fn a_limit_with_several_rates_names_each_and_knows_the_binding_one() {
    let rates = SlidingWindow::all([rate("2/s"), rate("3/min")]).unwrap();
    let builder = KeyedRateLimiter::builder(rates).name("login").clock(ManualClock::new());
    let layer = RateLimitLayer::per_key(|_: &Request<()>| 7, builder.build());
    let layer = layer.reply(TooManyRequests).fields(RateLimitFields::always(Draft11)).unwrap();
    let policies = r#"ratelimit-policy: "login 2/s";q=2;w=1, "login 3/min";q=3;w=60"#;
    let state = r#"ratelimit: "login 2/s";r=1;t=60"#;
    assert_eq!(call(&layer, "/").await, (200, vec![policies.into(), state.into()]));
}

#[tokio::test]
async fn what_never_comes_back_has_no_window_and_what_is_held_its_own_unit() {
    let fields = RateLimitFields::always(Draft11);
    let quota = RateLimitLayer::new(Quota::new(1).unwrap()).refuse().reply(TooManyRequests);
    let quota = quota.fields(fields).unwrap();
    let policy = r#"ratelimit-policy: "default";q=1"#;
    let state = r#"ratelimit: "default";r=0"#;
    let told = vec![policy.to_owned(), state.to_owned()];
    assert_eq!(call(&quota, "/").await, (200, told.clone()));
    assert_eq!(call(&quota, "/").await, (429, told));
    let in_flight = RateLimitLayer::new(Concurrency::new(9).unwrap()).reply(TooManyRequests);
    let in_flight = in_flight.fields(fields).unwrap();
    let policy = r#"ratelimit-policy: "default";q=9;qu="concurrent-requests""#;
    let state = r#"ratelimit: "default";r=8"#;
    assert_eq!(call(&in_flight, "/").await, (200, vec![policy.into(), state.into()]));
}

#[tokio::test]
async fn a_refused_call_that_needs_many_is_told_the_wait_of_many() {
    let bucket = RateLimiter::builder(bucket("1/s", 10)).clock(ManualClock::new()).build();
    let layer = RateLimitLayer::new(bucket).cost(6).unwrap().refuse().reply(TooManyRequests);
    let layer = layer.fields(RateLimitFields::on_refusal(Draft11)).unwrap();
    assert_eq!(call(&layer, "/").await, (200, vec![]));
    let policy = r#"ratelimit-policy: "default";q=10;w=10"#;
    let state = r#"ratelimit: "default";r=4;t=2"#;
    let told = vec!["retry-after: 2".to_owned(), policy.into(), state.into()];
    assert_eq!(call(&layer, "/").await, (429, told));
}

#[tokio::test]
async fn a_full_line_is_told_the_same_wait_as_retry_after() {
    let builder = RateLimiter::builder(bucket("1/10s", 1)).clock(ManualClock::new());
    let limiter = builder.max_waiting(1).build();
    let layer = RateLimitLayer::new(limiter.clone()).max_wait(Duration::from_secs(60));
    let layer = layer.reply(TooManyRequests).fields(RateLimitFields::on_refusal(Draft11)).unwrap();
    limiter.try_acquire().unwrap();
    let mut waits = limiter.acquire().into_future();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(&mut waits).poll(&mut cx).is_pending());
    let policy = r#"ratelimit-policy: "default";q=1;w=10"#;
    let state = r#"ratelimit: "default";r=0;t=20"#;
    let told = vec!["retry-after: 20".to_owned(), policy.into(), state.into()];
    assert_eq!(call(&layer, "/").await, (503, told));
}

#[tokio::test]
async fn a_limit_that_was_not_used_yet_has_no_time() {
    let limiter = KeyedRateLimiter::builder(bucket("1/s", 3)).clock(ManualClock::new()).build();
    let layer = RateLimitLayer::per_key(|_: &Request<()>| 7, limiter)
        .terms(|_: &Request<()>, terms| Terms { cost: 0, ..terms })
        .reply(TooManyRequests);
    let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap();
    let told = call(&layer, "/").await.1;
    assert_eq!(told[1], r#"ratelimit: "default";r=3"#);
}

#[tokio::test]
async fn a_call_that_waited_is_told_how_the_limit_stands_when_it_is_let_go() {
    tokio::time::pause();
    let limiter = KeyedRateLimiter::new(bucket("1/10s", 2));
    let layer = RateLimitLayer::per_key(|_: &Request<()>| 7, limiter).wait();
    let layer = layer.reply(TooManyRequests).fields(RateLimitFields::always(Draft11)).unwrap();
    for state in ["r=1;t=10", "r=0;t=10", "r=0;t=10"] {
        let (status, told) = call(&layer, "/").await;
        assert_eq!((status, &*told[1]), (200, &*format!(r#"ratelimit: "default";{state}"#)));
    }
}

#[tokio::test]
async fn nothing_is_said_where_nobody_asked_for_it_and_on_redirections() {
    let layer = || RateLimitLayer::new(bucket("1/hour", 1)).refuse().reply(TooManyRequests);
    let off = layer();
    assert_eq!(call(&off, "/").await, (200, vec![]));
    assert_eq!(call(&off, "/").await, (429, vec!["retry-after: 3600".to_owned()]));
    let always = layer().fields(RateLimitFields::always(Draft11)).unwrap();
    assert_eq!(call(&always, "/moved").await, (302, vec![]));
    assert_eq!(call(&always, "/moved").await.1.len(), 3);
}

#[tokio::test]
async fn an_algorithm_of_a_key_is_the_policy_of_that_key() {
    let limiter = KeyedRateLimiter::builder(bucket("1/s", 1)).clock(ManualClock::new()).build();
    limiter.set_algorithm_for("/paid", bucket("100/s", 50)).unwrap();
    let by_path = |request: &Request<()>| request.uri().path().to_owned();
    let layer = RateLimitLayer::per_key(by_path, limiter).reply(TooManyRequests);
    let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap();
    let (_, free) = call(&layer, "/free").await;
    assert_eq!(free[0], r#"ratelimit-policy: "default";q=1;w=1"#);
    let (_, paid) = call(&layer, "/paid").await;
    assert_eq!(paid[0], r#"ratelimit-policy: "default";q=100;w=1"#);
    assert_eq!(paid[1], r#"ratelimit: "default";r=49;t=1"#);
}

#[tokio::test]
async fn layers_that_stand_one_around_the_other_add_to_the_lists() {
    let layer = |name: &str, capacity| {
        let limiter = RateLimiter::builder(bucket("1/hour", capacity)).name(name).build();
        let layer = RateLimitLayer::new(limiter).refuse().reply(TooManyRequests);
        layer.fields(RateLimitFields::always(Draft11)).unwrap()
    };
    let stack = (layer("outer", 2), layer("inner", 3));
    let (_, told) = call(&stack, "/").await;
    assert_eq!(told.len(), 4);
    assert!(told[2].starts_with(r#"ratelimit: "inner";r=2"#), "{told:?}");
    assert!(told[3].starts_with(r#"ratelimit: "outer";r=1"#), "{told:?}");
}
