//! Calls whose cost is known once there is a response keep to the limit, but for those in flight.

use super::{
    ms, one_per,
    settling::{Job, takes, work},
    window,
};
use proptest::{prelude::*, test_runner::TestCaseError};
use std::sync::{Arc, Mutex};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_ratelimit::{Algorithm, KeyedRateLimiter, RateLimitLayer};

/// A call as it was: when it was let through and ended, what it took in advance and cost.
#[derive(Clone, Copy, Debug)]
struct Past {
    began: u64,
    ended: u64,
    took: u32,
    cost: u32,
}

impl Past {
    /// What it cost more than it had taken.
    fn more(self) -> u32 {
        self.cost.saturating_sub(self.took)
    }

    /// When it used which permits.
    fn uses(self) -> [(u64, u32); 2] {
        [(self.began, self.cost.min(self.took)), (self.ended, self.more())]
    }
}

/// Lets calls come so many milliseconds after each other, and says what became of those that were let
/// through.
fn pasts(limiter: KeyedRateLimiter<impl Algorithm>, jobs: Vec<(u64, Job)>) -> Vec<Past> {
    let pasts = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&pasts);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(async move {
        let start = Instant::now();
        let now = move || u64::try_from(start.elapsed().as_millis()).unwrap();
        let work = service_fn(move |job: Job| {
            let written = Arc::clone(&written);
            async move {
                let began = now();
                let cost = work(job).await.unwrap();
                written.lock().unwrap().push(Past { began, ended: now(), took: job.takes, cost });
                Ok::<_, &str>(cost)
            }
        });
        let layer = RateLimitLayer::per_key(|_: &Job| (), limiter).terms(takes);
        let service = layer.settle(|cost: &u32| *cost).layer(work);
        let mut calls = tokio::task::JoinSet::new();
        for (pause, job) in jobs {
            sleep(ms(pause)).await;
            calls.spawn(service.clone().oneshot(job));
        }
        calls.join_all().await;
    });
    Arc::into_inner(pasts).unwrap().into_inner().unwrap()
}

fn jobs() -> impl Strategy<Value = Vec<(u64, Job)>> {
    let job = (0..60u64, 1..=4u32, 0..120u64, 0..=9u32).prop_map(|(pause, takes, lasts, costs)| {
        (pause, Job { takes, lasts: ms(lasts), costs: Ok(costs) })
    });
    prop::collection::vec(job, 1..60)
}

/// In windows of these lengths the real costs are within the bound, and what those in flight at one
/// time cost more than they had taken.
fn keep_to_the_bound(
    algorithm: impl Algorithm,
    jobs: Vec<(u64, Job)>,
    lengths: impl Fn(u64) -> bool,
) -> Result<(), TestCaseError> {
    let most: Vec<_> = (0..1000).map(|length| algorithm.most_in(ms(length))).collect();
    let pasts = pasts(KeyedRateLimiter::new(algorithm), jobs);
    let in_flight = |at: u64| {
        let running = pasts.iter().filter(|past| (past.began..=past.ended).contains(&at));
        running.map(|past| u64::from(past.more())).sum::<u64>()
    };
    let debts = pasts.iter().map(|past| in_flight(past.began)).max().unwrap_or(0);
    let uses: Vec<_> = pasts.iter().flat_map(|past| past.uses()).collect();
    for (from, _) in &uses {
        for length in (1..1000).filter(|length| lengths(*length)) {
            let inside = uses.iter().filter(|(at, _)| (*from..from + length).contains(at));
            let used: u64 = inside.map(|(_, permits)| u64::from(*permits)).sum();
            let most = most[usize::try_from(length).unwrap()];
            prop_assert!(used <= most + debts, "{used} in {length} ms from {from}: {pasts:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn real_costs_keep_to_the_bound_of_a_bucket_but_for_those_in_flight(jobs in jobs()) {
        keep_to_the_bound(one_per(20).capacity(5).unwrap(), jobs, |length| length % 7 == 0)?;
    }

    #[test]
    fn real_costs_keep_to_the_bound_of_a_window_but_for_those_in_flight(jobs in jobs()) {
        keep_to_the_bound(window(5, 100), jobs, |length| length == 100)?;
    }
}
