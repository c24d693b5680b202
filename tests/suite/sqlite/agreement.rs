//! The file answers as the memory does, to the nanosecond, also when it is opened again on the way.

use crate::{
    servers::folder::Folder,
    stores::walk::{LIMITS, TODAY, Walk},
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
