//! Limiters over the real stores.

mod clocks;
mod faults;
mod kit;
mod layers;
mod leases;
mod line;
mod lives;
mod load;
mod opened;
mod own;
mod processes;
mod released;
mod secure;

use std::time::Duration;
use tokio::time::{Instant, sleep};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// How long a decision of a store may take here.
const DEADLINE: Duration = ms(300);

/// Longer than anything takes here: a server of a cluster that is back answers after two seconds.
const LONGEST: Duration = ms(20_000);

/// Waits for what takes a server to happen, and not for ever.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < LONGEST, "not so: {what}");
        sleep(ms(1)).await;
    }
}
