//! Decisions a second over stores, one at a time and 64 at once.

mod load;
mod redis;
mod server;

use crate::harness::{Bound, Length};

pub fn run(length: Length) -> Vec<Bound> {
    redis::run(length)
}
