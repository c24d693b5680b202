//! Layers over a store.

use super::{Slow, bucket, builder, limiter, ms, since};
use std::{convert::Infallible, future::poll_fn, task::Poll};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_ratelimit::{Concurrency, Error, LeakyBucket, ManualClock, Rate, RateLimitLayer, Reason};

#[tokio::test(start_paused = true)]
async fn a_layer_waits_for_the_turn_that_the_store_gives() {
    let limiter = limiter(&Slow::new(10), bucket(100, 1));
    let echo = service_fn(async |number: u32| Ok::<_, Infallible>(number));
    let mut service = ServiceBuilder::new().layer(RateLimitLayer::new(limiter)).service(echo);
    let start = Instant::now();
    for number in 0..3 {
        assert_eq!(service.ready().await.unwrap().call(number).await.unwrap(), number);
        let slot = 10 + 100 * u128::from(number);
        assert!((slot..slot + 11).contains(&since(start)), "{number} at {}", since(start));
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_per_key_refuses_what_the_store_refuses() {
    let limiter = limiter(&Slow::new(10), bucket(100, 1));
    let echo = service_fn(async |name: &'static str| Ok::<_, Infallible>(name));
    let layer = RateLimitLayer::per_key(|name: &&'static str| *name, limiter);
    let service = ServiceBuilder::new().layer(layer).service(echo);
    service.clone().oneshot("alice").await.unwrap();
    service.clone().oneshot("bob").await.unwrap();
    match service.oneshot("alice").await {
        Err(Error::Limited(refusal)) => assert_eq!(refusal.reason(), Reason::UsedUp),
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_ready_service_that_is_dropped_gives_its_permit_back() {
    let limiter = limiter(&Slow::new(10), bucket(100, 1));
    let echo = service_fn(async |number: u32| Ok::<_, Infallible>(number));
    let service = ServiceBuilder::new().layer(RateLimitLayer::new(limiter)).service(echo);
    let start = Instant::now();
    let mut unused = service.clone();
    unused.ready().await.unwrap();
    drop(unused);
    sleep(ms(10)).await;
    service.clone().oneshot(1).await.unwrap();
    assert!(since(start) <= 40, "{}", since(start));
}

#[tokio::test(start_paused = true)]
async fn a_layer_holds_a_permit_until_the_call_has_ended() {
    let limiter = limiter(&Slow::new(0), Concurrency::new(1).unwrap());
    let slow = service_fn(async |(): ()| {
        sleep(ms(50)).await;
        Ok::<_, Infallible>(())
    });
    let layer = RateLimitLayer::new(limiter.clone()).refuse();
    let service = ServiceBuilder::new().layer(layer).service(slow);
    let first = tokio::spawn(service.clone().oneshot(()));
    sleep(ms(10)).await;
    assert!(service.clone().oneshot(()).await.is_err());
    first.await.unwrap().unwrap();
    sleep(ms(1)).await;
    service.oneshot(()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn permits_do_not_perish_while_their_callers_wait_to_be_run() {
    let (clock, store) = (ManualClock::new(), Slow::new(10));
    // Permits that are not used within a millisecond perish.
    let bucket = LeakyBucket::new(Rate::per_second(10_000).unwrap()).capacity(1000).unwrap();
    let builder = builder(&store, bucket).clock(clock.clone());
    let limiter = builder.deadline(ms(100_000)).unwrap().build().unwrap();
    let echo = service_fn(async |name: &'static str| Ok::<_, Infallible>(name));
    let layer = RateLimitLayer::per_key(|name: &&'static str| *name, limiter);
    let service = ServiceBuilder::new().layer(layer).service(echo);
    let ages = tokio::spawn(async move {
        loop {
            sleep(ms(1)).await;
            // In between other tasks, and not after them.
            let mut left = 10;
            poll_fn(|cx| {
                clock.advance(ms(2));
                cx.waker().wake_by_ref();
                left -= 1;
                if left > 0 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
        }
    });
    let calls: JoinSet<_> = (0..40).map(|_| service.clone().oneshot("alice")).collect();
    let calls = timeout(ms(1000), calls.join_all()).await.expect("none asks again and again");
    assert!(calls.iter().all(Result::is_ok));
    ages.abort();
    assert_eq!(store.batches().iter().sum::<usize>(), 40);
}
