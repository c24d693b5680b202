//! Waiting for what servers do.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Longer than anything takes here: a server of a cluster that is back answers after two seconds.
const LONGEST: Duration = Duration::from_secs(20);

/// Waits for what takes a server to happen, and not for ever.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < LONGEST, "not so: {what}");
        sleep(Duration::from_millis(1)).await;
    }
}
