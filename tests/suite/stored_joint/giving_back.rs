//! What goes back, and that all of it does.

use super::{Limiter, builder, left, two};
use crate::stored::{Slow, ms, refused, since};
use std::future::IntoFuture;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_ratelimit::{JointLayer, RateLimitLayer, limiter::LeaseLost};

#[tokio::test(start_paused = true)]
async fn a_refund_gives_back_the_permits_of_all_limits_in_one_round_trip() {
    let store = Slow::new(10);
    let (limiter, a, b) = two(builder(&store), "quota 5", "quota 7");
    let permit = limiter.on_many(a, "k", 2).on_many(b, "k", 3).try_acquire().await.unwrap();
    assert_eq!((left(&limiter, a, "k").await, left(&limiter, b, "k").await), (3, 4));
    let asked = store.batches().len();
    permit.refund();
    sleep(ms(20)).await;
    assert_eq!(store.batches()[asked..], [2]);
    assert_eq!((left(&limiter, a, "k").await, left(&limiter, b, "k").await), (5, 7));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_at_whatever_point_takes_nothing() {
    for milliseconds in 0..30 {
        let store = Slow::new(10);
        let (limiter, a, b) = two(builder(&store), "quota 5", "quota 7");
        // By itself, and in a batch.
        for others in [0, 3] {
            let mut calls = JoinSet::new();
            for _ in 0..=others {
                let call = limiter.on(a, "k").on(b, "k");
                calls.spawn(async move { call.try_acquire().await.unwrap().refund() });
            }
            sleep(ms(milliseconds)).await;
            calls.shutdown().await;
            sleep(ms(100)).await;
            let left = (left(&limiter, a, "k").await, left(&limiter, b, "k").await);
            assert_eq!(left, (5, 7), "dropped after {milliseconds} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_too_late_is_given_back_whole() {
    let store = Slow::new(100);
    let (late, a, b) = two(builder(&store).deadline(ms(60)).unwrap(), "quota 5", "quota 7");
    refused(late.on(a, "k").on(b, "k").try_acquire().await);
    sleep(ms(500)).await;
    let (limiter, a, b) = two(builder(&store), "quota 5", "quota 7");
    assert_eq!((left(&limiter, a, "k").await, left(&limiter, b, "k").await), (5, 7));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_call_lets_the_next_one_go() {
    let (limiter, in_flight, quota) = two(builder(&Slow::new(0)), "concurrency 1", "quota 9");
    let call = limiter.on(in_flight, "k").on(quota, "k");
    let permit = call.acquire().await.unwrap();
    assert_eq!(refused(call.try_acquire().await).limit(), Some("a"));
    let start = Instant::now();
    let next = tokio::spawn(call.acquire().into_future());
    sleep(ms(60)).await;
    drop(permit);
    let next = next.await.unwrap().unwrap();
    assert_eq!((since(start), next.waited()), (60, ms(60)));
    drop(next);
    sleep(ms(1)).await;
    assert_eq!(left(&limiter, quota, "k").await, 7, "what is not held is used");
    assert_eq!(left(&limiter, in_flight, "k").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_or_its_holder_learns_that_it_lost_it() {
    let (limiter, a, b) =
        two(builder(&Slow::new(0)), "concurrency 1, lease 1s", "concurrency 5, lease 3s");
    let call = limiter.on(a, "k").on(b, "k");
    let mut first = call.acquire().await.unwrap();
    sleep(ms(900)).await;
    first.renew().await.unwrap();
    sleep(ms(400)).await;
    refused(call.try_acquire().await);
    sleep(ms(700)).await;
    let mut second = call.try_acquire().await.unwrap();
    assert_eq!(first.renew().await, Err(LeaseLost));
    sleep(ms(1)).await;
    // It is not in flight by the other limit any more, whose lease has not ended.
    assert_eq!(left(&limiter, b, "k").await, 4);
    second.renew().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_leases_a_renewal_whose_answer_is_lost_changes_nothing() {
    let (limiter, a, b) = two(builder(&Slow::new(10)), "concurrency 1", "serialized 1/ms");
    let call = limiter.on(a, "k").on(b, "k");
    let mut permit = call.acquire().await.unwrap();
    sleep(ms(20)).await;
    assert!(tokio::time::timeout(ms(7), permit.renew()).await.is_err());
    drop(permit);
    sleep(ms(20)).await;
    call.try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_charged_is_a_debt_of_all_and_a_reset_ends_it() {
    let line = "leaky bucket 1/100ms, capacity 5";
    let (limiter, a, b) = two(builder(&Slow::new(0)), line, line);
    let call = limiter.on(a, "k").on_many(b, "k", 2);
    call.charge(4).await.unwrap();
    assert_eq!(left(&limiter, a, "k").await, 1);
    let binding = call.peek().await.unwrap();
    assert_eq!((binding.limit(), binding.decision().retry_after()), (Some("b"), Some(ms(500))));
    call.reset().await.unwrap();
    call.try_acquire().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_layer_decides_for_each_request() {
    let (limiter, per_user, over_all) = two(builder(&Slow::new(10)), "quota 1", "quota 9");
    let rules = move |limits: &Limiter, user: &&str| limits.on(per_user, *user).on(over_all, &());
    let inner = service_fn(async |user: &str| Ok::<_, std::io::Error>(user.len()));
    let service = ServiceBuilder::new().layer(JointLayer::new(limiter.clone(), rules));
    let service = service.service(inner);
    assert_eq!(service.clone().oneshot("alice").await.unwrap(), 5);
    let refusal = service.clone().oneshot("alice").await.unwrap_err();
    assert_eq!(refusal.limited().unwrap().limit(), Some("a"));
    assert_eq!(service.oneshot("bob").await.unwrap(), 3);
    let left = limiter.on_many(over_all, &(), 0).peek().await.unwrap();
    assert_eq!(left.decision().remaining, 7);
}

#[tokio::test(start_paused = true)]
async fn a_layer_waits_for_all_limits() {
    let (limiter, a, b) =
        two(builder(&Slow::new(0)), "leaky bucket 1/100ms, capacity 1", "concurrency 1");
    let layer = RateLimitLayer::new(limiter.on(a, "k").on(b, "k"));
    let inner = service_fn(async |_: ()| {
        sleep(ms(250)).await;
        Ok::<_, std::io::Error>(())
    });
    let mut service = ServiceBuilder::new().layer(layer).service(inner);
    let start = Instant::now();
    let first = service.ready().await.unwrap().call(());
    let second = async { service.clone().ready().await.unwrap().call(()).await };
    let (first, second) = tokio::join!(first, second);
    first.unwrap();
    second.unwrap();
    assert_eq!(since(start), 500);
}

#[tokio::test(start_paused = true)]
async fn each_limit_is_told_what_a_call_has_cost_in_one_round_trip() {
    let store = Slow::new(10);
    let (limiter, a, b) = two(builder(&store), "quota 9", "quota 9");
    let rules = move |limits: &Limiter, job: &u32| limits.on(a, "k").on_many(b, "k", *job);
    let echo = service_fn(async |job: u32| Ok::<_, std::convert::Infallible>(job));
    for (costs, asks, left_then) in [([2, 1], 2, (7, 8)), ([0, 3], 1, (7, 5)), ([1, 9], 1, (6, 0))]
    {
        let layer = JointLayer::new(limiter.clone(), rules)
            .settle(move |_: &u32| [(a, costs[0]), (b, costs[1])]);
        let asked = store.batches().len();
        ServiceBuilder::new().layer(layer).service(echo).oneshot(3).await.unwrap();
        sleep(ms(20)).await;
        let told: Vec<_> = store.batches()[asked..].to_vec();
        assert_eq!((told[0], told[1..].iter().sum::<usize>()), (2, asks), "{costs:?}");
        assert_eq!((left(&limiter, a, "k").await, left(&limiter, b, "k").await), left_then);
    }
}
