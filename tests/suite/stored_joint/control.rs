//! Taking hold of the limits while they are in use.

use super::{builder, left, two};
use crate::stored::{Slow, ms, refused, since};
use std::future::IntoFuture;
use tokio::time::{Instant, sleep};
use tower_ratelimit::{AnyAlgorithm, Reason};

const LINE: &str = "leaky bucket 1/h, capacity 1";

#[tokio::test(start_paused = true)]
async fn all_who_wait_are_sent_away_or_let_go() {
    for what in ["cancel", "close", "breach"] {
        let (limiter, a, b) = two(builder(&Slow::new(10)), LINE, "quota 9");
        let call = limiter.on(a, "k").on(b, "k");
        call.acquire().await.unwrap();
        let waits = [(); 3].map(|()| tokio::spawn(call.acquire().into_future()));
        sleep(ms(50)).await;
        match what {
            "cancel" => limiter.cancel(),
            "close" => limiter.close(),
            _ => limiter.breach(),
        }
        for wait in waits {
            let result = wait.await.unwrap();
            match what {
                "cancel" => assert_eq!(refused(result).reason(), Reason::Cancelled),
                "close" => assert_eq!(refused(result).reason(), Reason::Closed),
                _ => drop(result.unwrap()),
            }
        }
        sleep(ms(50)).await;
        assert_eq!(left(&limiter, b, "k").await, 8);
        let again = call.try_acquire().await;
        match what {
            "cancel" => assert_eq!(refused(again).limit(), Some("a")),
            "close" => assert_eq!(refused(again).reason(), Reason::Closed),
            _ => drop(again.unwrap()),
        }
        limiter.end_breach();
        refused(call.try_acquire().await);
    }
}

#[tokio::test(start_paused = true)]
async fn when_one_of_its_keys_begins_anew_a_call_that_waits_is_sent_away() {
    let (limiter, a, b) = two(builder(&Slow::new(0)), LINE, LINE);
    limiter.on(a, "k").acquire().await.unwrap();
    limiter.on(a, "other").acquire().await.unwrap();
    let call = limiter.on(a, "k").on(b, "k");
    let wait = tokio::spawn(call.acquire().into_future());
    let other = tokio::spawn(limiter.on(a, "other").acquire().into_future());
    sleep(ms(50)).await;
    limiter.on(b, "k").reset().await.unwrap();
    assert_eq!(refused(wait.await.unwrap()).reason(), Reason::Cancelled);
    limiter.on(a, "k").reset().await.unwrap();
    call.try_acquire().await.unwrap();
    assert!(!other.is_finished());
}

#[tokio::test(start_paused = true)]
async fn another_arithmetic_holds_for_those_who_wait_too() {
    let (limiter, a, b) = two(builder(&Slow::new(0)), LINE, "quota 9");
    let call = limiter.on(a, "k").on(b, "k");
    call.acquire().await.unwrap();
    let start = Instant::now();
    let waits = tokio::spawn(call.acquire().into_future());
    sleep(ms(10)).await;
    let larger = "leaky bucket 1/h, capacity 2".parse::<AnyAlgorithm>().unwrap();
    limiter.set_algorithm(a, larger).unwrap();
    waits.await.unwrap().unwrap();
    assert_eq!(since(start), 10);
}
