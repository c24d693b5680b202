//! The functions in the database answer as the algorithms do, to the microsecond.

use super::{
    super::{
        crowds,
        walk::{CHANGING, LIMITS, MICROSECOND, TODAY, Walk, agree_while_changed},
    },
    forget, pool, store,
};
use crate::servers;
use futures_util::{StreamExt, stream};
use tower_ratelimit::{AnyAlgorithm, Nanos, store::Store};

/// How many batches each limit is asked.
const BATCHES: u32 = 250;

/// Walks through a limit. Now and then the table has forgotten what equals new: whether it has is all
/// the same.
async fn agree(
    mut store: impl Store<AnyAlgorithm>,
    table: &str,
    lines: &[&str],
    start: Nanos,
    seed: usize,
) {
    let client = pool(&servers::postgres::url(), 1).get().await.unwrap();
    let mut walk = Walk::new(&store, &[("limit", lines[0])], start, MICROSECOND, seed as u64);
    for line in lines {
        walk.change(&store, line);
        let tidy = async |_: &mut _, step: u32, now| {
            let is_time = step.is_multiple_of(8);
            if is_time {
                forget(&client, table, now).await;
            }
            is_time
        };
        walk.agree(&mut store, BATCHES, tidy).await;
    }
}

#[tokio::test]
async fn the_same_asks_at_the_same_times_get_the_same_answers() {
    let walks = LIMITS.into_iter().enumerate().map(async |(seed, line)| {
        let table = format!("agree_{seed}");
        // From the beginning of the time line, or today.
        let start = if seed % 4 == 0 { Nanos::ZERO } else { TODAY };
        agree(store(&table).await, &table, &[line], start, seed).await;
    });
    stream::iter(walks).buffer_unordered(4).collect::<()>().await;
}

#[tokio::test]
async fn a_limit_that_becomes_another_one_agrees() {
    // What one algorithm has kept is new to another.
    let lines = [LIMITS[0], LIMITS[4], LIMITS[8], LIMITS[16], LIMITS[22], LIMITS[25]];
    for seed in 77..80 {
        let table = format!("agree_any_{seed}");
        agree(store(&table).await, &table, &lines, TODAY, seed).await;
    }
}

#[tokio::test]
async fn limits_that_become_others_of_their_kind_agree() {
    let walks = CHANGING.into_iter().enumerate().map(async |(seed, lines)| {
        for seed in 20 * seed..20 * seed + 6 {
            let store = store(&format!("agree_changed_{seed}")).await;
            agree_while_changed(store, &lines, MICROSECOND, seed).await;
        }
        let here = store(&format!("agree_changed_here_{seed}")).await.decided_here();
        agree_while_changed(here, &lines, MICROSECOND, seed).await;
    });
    stream::iter(walks).buffer_unordered(4).collect::<()>().await;
}

#[tokio::test]
async fn long_logs_agree() {
    let lines = ["sliding window 900/9ms"];
    agree(store("long_logs").await, "long_logs", &lines, TODAY, 1).await;
}

#[tokio::test]
async fn what_is_decided_here_agrees() {
    for (seed, line) in [LIMITS[1], LIMITS[10], LIMITS[16], LIMITS[22]].into_iter().enumerate() {
        let table = format!("agree_here_{seed}");
        let here = store(&table).await.decided_here();
        agree(here, &table, &[line], TODAY, seed).await;
    }
}

#[tokio::test]
async fn crowds_of_calls_get_the_same_answers() {
    for (seed, line) in crowds::LIMITS.into_iter().enumerate() {
        for (round, start) in crowds::STARTS.into_iter().enumerate() {
            let store = store(&format!("crowds_{seed}_{round}")).await;
            crowds::agree(store, line, start, seed as u64).await;
        }
    }
}
