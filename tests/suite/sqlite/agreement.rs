//! The file answers as the memory does, to the nanosecond, also when it is opened again on the way.

use crate::{
    servers::folder::Folder,
    stores::{
        changing,
        walk::{CHANGING, LIMITS, TODAY, Walk, agree_while_changed},
    },
};
use tower_ratelimit::Nanos;

const NANOSECOND: Nanos = Nanos::new(1);

#[tokio::test]
async fn the_same_asks_at_the_same_times_get_the_same_answers() {
    for (seed, line) in LIMITS.into_iter().enumerate() {
        let folder = Folder::new();
        let mut store = folder.open();
        let limits = [("first", line), ("second", LIMITS[(seed + 7) % LIMITS.len()])];
        let start = if seed % 4 == 0 { Nanos::ZERO } else { TODAY };
        let mut walk = Walk::new(&store, &limits, start, NANOSECOND, seed as u64);
        let reopen = async |store: &mut _, step: u32, _| {
            if step % 50 == 49 {
                *store = folder.open();
            }
            false
        };
        walk.agree(&mut store, 300, reopen).await;
    }
}

#[tokio::test]
async fn limits_that_become_others_of_their_kind_get_the_same_answers() {
    for (seed, lines) in CHANGING.into_iter().enumerate() {
        for seed in 20 * seed..20 * seed + 5 {
            let folder = Folder::new();
            agree_while_changed(folder.open(), &lines, NANOSECOND, seed).await;
        }
    }
}

#[tokio::test]
async fn a_changed_limit_holds_in_a_file() {
    changing::change(Folder::new().open()).await;
}
