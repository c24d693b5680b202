//! What the types promise, mostly to the compiler.

use super::{
    ms, one_per,
    outage::Outage,
    probe::{Broken, Probe},
};
use std::{error::Error as _, fs, path::Path};
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt, timeout::Timeout,
    util::BoxCloneSyncService,
};
use tower_ratelimit::{
    BurstCompensating, Error, Fail, KeyedRateLimiter, LeakyBucket, PerKeyLayer, RateLimit,
    RateLimitLayer, RateLimited, RateLimiter, Reason, Respond, ResponseFuture, SlidingWindow,
    Strict, WaitOnly, limiter::Uncontrolled, per_key::PerKey,
};

type Answer = fn(RateLimited) -> Result<u32, Broken>;
type Source = fn(&u32) -> u64;

fn shared<T: Clone + Send + Sync + 'static>() {}

fn service<S>()
where
    S: Service<u32, Future: Send + 'static> + Clone + Send + Sync + 'static,
{
}

/// Points 1 and 14.
#[test]
fn services_can_be_cloned_shared_and_sent_with_every_limiter() {
    service::<RateLimit<Probe, RateLimiter<LeakyBucket>>>();
    service::<RateLimit<Probe, RateLimiter<Strict>, Fail>>();
    service::<RateLimit<Probe, Uncontrolled<RateLimiter<BurstCompensating>>, WaitOnly>>();
    service::<RateLimit<Probe, RateLimiter<SlidingWindow>, Respond<Answer>>>();
    service::<RateLimit<Probe, KeyedRateLimiter<SlidingWindow>>>();
    service::<PerKey<Probe, Source, KeyedRateLimiter<LeakyBucket>>>();
    service::<PerKey<Probe, Source, KeyedRateLimiter<SlidingWindow>>>();
}

/// Point 14: its way to a permit is a boxed future that is not `Sync`.
#[test]
fn services_can_be_shared_with_a_limiter_whose_waits_cannot() {
    service::<RateLimit<Probe, Outage>>();
    service::<PerKey<Probe, Source, Outage>>();
}

/// Point 1.
#[test]
fn layers_can_be_cloned_shared_and_sent() {
    shared::<RateLimitLayer<RateLimiter<LeakyBucket>>>();
    shared::<RateLimitLayer<Uncontrolled<RateLimiter<SlidingWindow>>, WaitOnly>>();
    shared::<RateLimitLayer<RateLimiter<Strict>, Respond<Answer>>>();
    shared::<RateLimitLayer<KeyedRateLimiter<SlidingWindow>>>();
    shared::<PerKeyLayer<Source, KeyedRateLimiter<LeakyBucket>>>();
}

/// Point 14.
#[test]
fn responses_can_be_sent() {
    fn sent<T: Send + 'static>() {}
    sent::<ResponseFuture<Probe, u32, RateLimiter<LeakyBucket>, (), Fail>>();
    sent::<ResponseFuture<Probe, u32, KeyedRateLimiter<SlidingWindow>, u64, Respond<Answer>>>();
    sent::<ResponseFuture<Probe, u32, Outage, (), Fail>>();
}

/// Point 14.
#[tokio::test(start_paused = true)]
async fn a_service_fits_into_a_box_that_wants_everything() {
    let (probe, _) = Probe::new();
    let boxed = BoxCloneSyncService::new(RateLimitLayer::new(one_per(100)).layer(probe));
    assert_eq!(boxed.clone().oneshot(1).await, Ok(1));
    assert_eq!(boxed.oneshot(2).await, Ok(2));
}

fn error_of<S: Service<u32, Error = E>, E>(_: &S) {}

/// Point 17.
#[test]
fn each_layer_has_the_error_type_it_promises() {
    let (probe, _) = Probe::new();
    let answer = |_| Err(Broken);
    let limit = || one_per(100);
    let key = |n: &u32| *n;
    error_of::<_, Error<Broken>>(&RateLimitLayer::new(limit()).layer(probe.clone()));
    error_of::<_, Error<Broken>>(&RateLimitLayer::new(limit()).refuse().layer(probe.clone()));
    error_of::<_, Error<Broken>>(
        &RateLimitLayer::new(limit()).max_wait(ms(1)).layer(probe.clone()),
    );
    error_of::<_, Error<Broken>>(&RateLimitLayer::per_key(key, limit()).layer(probe.clone()));
    error_of::<_, Broken>(&RateLimitLayer::wait_only(limit()).layer(probe.clone()));
    error_of::<_, Broken>(
        &RateLimitLayer::new(limit()).refuse().respond(answer).layer(probe.clone()),
    );
    error_of::<_, Broken>(
        &RateLimitLayer::per_key(key, limit()).respond(answer).layer(probe.clone()),
    );
    error_of::<_, BoxError>(&RateLimitLayer::new(limit()).boxed().layer(probe.clone()));
    error_of::<_, BoxError>(&RateLimitLayer::wait_only(limit()).layer(Timeout::new(probe, ms(1))));
}

/// Point 17.
#[tokio::test(start_paused = true)]
async fn a_layer_that_only_waits_passes_on_the_errors_of_the_inner_service() {
    let (probe, watch) = Probe::new();
    let mut service = RateLimitLayer::wait_only(one_per(100)).layer(probe);
    watch.fail(1);
    assert_eq!(service.ready().await.unwrap().call(1).await, Err(Broken));
    assert_eq!(service.ready().await.unwrap().call(2).await, Ok(2));
    watch.break_down();
    assert_eq!(service.ready().await.err(), Some(Broken));
}

/// Point 17.
#[test]
fn an_error_tells_a_refusal_from_a_failure_and_keeps_the_cause() {
    let refusal = RateLimited::new(Reason::UsedUp).with_retry_after(ms(100));
    let limited = Error::<Broken>::Limited(refusal.clone());
    assert_eq!(limited.limited(), Some(&refusal));
    let source = limited.source().unwrap();
    assert_eq!(source.downcast_ref::<RateLimited>(), Some(&refusal));
    assert_eq!(source.to_string(), "limit is used up, retry after 100ms");
    assert!(source.source().is_none());

    let failed = Error::Inner(Broken);
    assert_eq!(failed.limited(), None);
    let source = failed.source().unwrap();
    assert_eq!(source.downcast_ref::<Broken>(), Some(&Broken));
    assert_eq!(source.to_string(), "the probe is broken");
    // Each link of the chain says something of its own.
    assert_ne!(failed.to_string(), source.to_string());
}

/// Point 17.
#[tokio::test(start_paused = true)]
async fn an_error_keeps_its_type_in_a_box() {
    let (probe, watch) = Probe::new();
    watch.fail(1);
    let layer = RateLimitLayer::new(one_per(100)).refuse();
    let mut service = layer.layer(probe).map_err(BoxError::from);
    let failed = service.ready().await.unwrap().call(1).await.unwrap_err();
    assert_eq!(failed.downcast_ref::<Error<Broken>>(), Some(&Error::Inner(Broken)));
    let limited = service.ready().await.unwrap().call(2).await.unwrap_err();
    let limited = limited.downcast::<Error<Broken>>().unwrap();
    assert_eq!(limited.limited().unwrap().retry_after(), Some(ms(100)));
}

/// Point 17.
#[tokio::test(start_paused = true)]
async fn a_boxed_layer_fits_between_layers_with_boxed_errors() {
    let (probe, watch) = Probe::new();
    watch.fail(1);
    let mut service = ServiceBuilder::new()
        .timeout(ms(1000))
        .layer(RateLimitLayer::new(one_per(100)).refuse().boxed())
        .timeout(ms(1000))
        .service(probe);
    let failed = service.ready().await.unwrap().call(1).await.unwrap_err();
    assert_eq!(failed.downcast_ref::<Broken>(), Some(&Broken));
    let limited = service.ready().await.unwrap().call(2).await.unwrap_err();
    let limited = limited.downcast_ref::<RateLimited>().unwrap();
    assert_eq!(limited.retry_after(), Some(ms(100)));
}

/// The last word on the patience counts.
#[tokio::test(start_paused = true)]
async fn the_patience_of_a_layer_can_be_set_again() {
    async fn second(layer: impl Layer<Probe, Service: Service<u32, Response = u32>>) -> bool {
        let (probe, watch) = Probe::new();
        let mut service = layer.layer(probe);
        for request in 0..2 {
            let Ok(ready) = service.ready().await else { panic!("the probe does not fail") };
            let _ = ready.call(request).await;
        }
        watch.calls() == [0, 1]
    }
    let layer = || RateLimitLayer::new(one_per(100));
    let answer = |_| Ok(429);
    assert!(!second(layer().refuse()).await);
    assert!(!second(layer().refuse().respond(answer)).await);
    assert!(!second(layer().wait().max_wait(ms(99)).respond(answer)).await);
    assert!(second(layer().refuse().max_wait(ms(100))).await);
    assert!(second(layer().refuse().wait().respond(answer)).await);
    let keyed = || RateLimitLayer::per_key(|_: &u32| (), one_per(100));
    assert!(!second(keyed()).await);
    assert!(!second(keyed().wait().refuse()).await);
    assert!(!second(keyed().respond(answer).max_wait(ms(99))).await);
    assert!(second(keyed().max_wait(ms(100)).respond(answer)).await);
    assert!(second(keyed().refuse().wait()).await);
}

/// The source files below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![fs::read_to_string(path).unwrap()],
        })
        .collect()
}

/// Point 20: what is there without a feature is there with it.
#[test]
fn no_feature_takes_anything_away() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources = sources(&folder);
    assert!(sources.len() > 30);
    let mut without: Vec<_> = sources
        .iter()
        .flat_map(|source| source.lines())
        .filter(|line| line.contains("not(feature") || line.contains("cfg!("))
        .collect();
    // What axum knows of a connection, the clocks of which there are none without their features, the
    // events of a build without `tracing`, the metrics of one without `metrics`, and what is refused in
    // gRPC: private modules of empty functions or types without a value.
    let stand_ins = ["axum", "coarse-clock", "metrics", "quanta", "tonic", "tracing"]
        .map(|name| format!("#[cfg(not(feature = {name:?}))]"));
    // Folders are read in no order.
    without.sort_unstable();
    assert_eq!(without, stand_ins);
}
