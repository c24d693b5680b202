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

use crate::until::until;
use std::time::Duration;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// How long a decision of a store may take here.
const DEADLINE: Duration = ms(300);
