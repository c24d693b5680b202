//! Callers of whom some stay, some give up and some fall asleep.

use super::milliseconds;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;
use tower_ratelimit::{
    Algorithm, BurstCompensating, LeakyBucket, Rate, RateLimiter, SlidingWindow, Strict,
};

/// What becomes of one of the callers in the property test.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Stays,
    /// Gives up after this many milliseconds.
    GivesUp(u64),
    /// Is let go and never polled again.
    FallsAsleep,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Stays),
        3 => (0..1500_u64).prop_map(Fate::GivesUp),
        1 => Just(Fate::FallsAsleep),
    ]
}

/// Runs callers with these fates, all asking at once, and returns who was served when.
async fn served<A: Algorithm>(limiter: RateLimiter<A>, fates: Vec<Fate>) -> Vec<(usize, u64)> {
    let start = Instant::now();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut asleep = Vec::new();
    let mut tasks = Vec::new();
    // Leaked, so that those who fall asleep can stay in line until the end.
    let limiter: &'static RateLimiter<A> = Box::leak(Box::new(limiter));
    for (caller, fate) in fates.into_iter().enumerate() {
        let served = Arc::clone(&served);
        let mut acquire = Box::pin(limiter.acquire());
        let first =
            std::future::poll_fn(|cx| std::task::Poll::Ready(acquire.as_mut().poll(cx))).await;
        let served_now = move || {
            let now = u64::try_from(start.elapsed().as_millis()).unwrap();
            served.lock().unwrap().push((caller, now));
        };
        if first.is_ready() {
            served_now();
            continue;
        }
        match fate {
            Fate::FallsAsleep => asleep.push(acquire),
            Fate::Stays => tasks.push(tokio::spawn(async move {
                acquire.await.unwrap();
                served_now();
            })),
            Fate::GivesUp(after) => tasks.push(tokio::spawn(async move {
                if let Ok(result) = tokio::time::timeout(milliseconds(after), acquire).await {
                    result.unwrap();
                    served_now();
                }
            })),
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    std::mem::take(&mut *served.lock().unwrap())
}

fn run<A: Algorithm>(algorithm: A, fates: Vec<Fate>) -> Vec<(usize, u64)> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async { served(RateLimiter::new(algorithm), fates).await })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn callers_are_served_in_order_whoever_gives_up(fates in prop::collection::vec(fate(), 1..25)) {
        let rate = Rate::per_second(20).unwrap();
        let outcomes = [
            run(LeakyBucket::new(rate).capacity(3).unwrap(), fates.clone()),
            run(Strict::new(rate), fates.clone()),
            run(BurstCompensating::new(rate), fates.clone()),
            run(SlidingWindow::new(Rate::new(4, milliseconds(200)).unwrap()), fates.clone()),
        ];
        for mut served in outcomes {
            // Those let go at the same instant run in the order in which the runtime sees fit.
            served.sort();
            prop_assert!(served.is_sorted_by_key(|(_, at)| *at), "{served:?}");
            // Nobody who stays is forgotten.
            for (caller, fate) in fates.iter().enumerate() {
                let was_served = served.iter().any(|(other, _)| *other == caller);
                prop_assert!(was_served || !matches!(fate, Fate::Stays), "{caller} of {fates:?}");
            }
        }
    }

    #[test]
    fn a_place_given_up_in_time_costs_the_others_nothing(
        gives_up in prop::collection::vec(any::<bool>(), 1..25),
    ) {
        // Whoever gives up does so before the first slot, so the others are served as if alone.
        let fates = gives_up.iter().map(|up| if *up { Fate::GivesUp(0) } else { Fate::Stays });
        let staying = gives_up.iter().skip(1).filter(|up| !**up).count();
        let rate = Rate::per_second(20).unwrap();
        let served = run(BurstCompensating::new(rate), fates.collect());
        let instants: Vec<u64> = served.iter().map(|(_, at)| *at).collect();
        let expected: Vec<u64> = (0..=staying as u64).map(|slot| slot * 50).collect();
        prop_assert_eq!(instants, expected);
    }
}
