//! Several limits taken together: per second and per day for each address, and one over all.
//!
//! ```sh
//! cargo run --example several_limits
//! ```
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{net::Ipv4Addr, time::Duration};
use tower_ratelimit::{JointLimiter, LeakyBucket, LimitId, Rate, SlidingWindow, limiter::OnLimits};

/// The limits, and how a call names them.
struct Limits {
    limiter: JointLimiter,
    per_second: LimitId,
    per_day: LimitId,
    over_all: LimitId,
}

impl Limits {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let mut limits = JointLimiter::builder().max_waiting(100).max_keys(50_000)?;
        let per_second = SlidingWindow::new(Rate::per_second(4)?);
        let per_second = limits.limit("per second", per_second)?;
        let per_day = limits.limit("per day", SlidingWindow::new(Rate::per_day(9)?))?;
        let over_all = LeakyBucket::new(Rate::per_second(20)?).capacity(6)?;
        let over_all = limits.limit("over all", over_all)?;
        Ok(Self { limiter: limits.build(), per_second, per_day, over_all })
    }

    /// What a call from this address is subject to.
    fn of(&self, address: Ipv4Addr) -> OnLimits {
        let Self { limiter, per_second, per_day, over_all } = self;
        limiter.on(*per_second, &address).on(*per_day, &address).on(*over_all, &())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits::new()?;
    let (alice, bob) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));

    println!("tries, which never wait:");
    for (name, address) in [("alice", alice); 5].into_iter().chain([("bob", bob); 3]) {
        match limits.of(address).try_acquire() {
            Ok(permit) => {
                let binding = permit.binding();
                let left = binding.decision().remaining;
                println!("  {name}: yes, {left} left {}", binding.limit().unwrap_or_default());
            }
            Err(refused) => println!("  {name}: {refused}"),
        }
    }

    println!("calls that wait their turn at all three, but not for hours:");
    for _ in 0..6 {
        let call = limits.of(alice);
        match call.acquire().max_wait(Duration::from_secs(5)).await {
            Ok(permit) => println!("  alice: after {} ms", permit.waited().as_millis()),
            Err(refused) => println!("  alice: {refused}"),
        }
    }
    Ok(())
}
