//! The one test binary. Time is injected or paused, and instants are exact.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod algorithms;
mod cases;
mod control;
mod events;
mod floors;
mod http;
mod rate;
mod store;
mod tower;
mod waiting;
