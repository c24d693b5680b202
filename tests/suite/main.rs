//! The one test binary. Time is injected or paused, and instants are exact.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod algorithms;
mod blocking;
mod cases;
mod clocks;
mod fast_clocks;
#[cfg(feature = "serde")]
mod config;
mod conformance;
mod control;
mod events;
mod fairness;
mod features;
mod floors;
mod gate;
mod http;
mod metrics;
mod holding;
mod numbers;
mod ported;
mod joint;
mod locked_out;
mod precise;
mod random;
mod rate;
mod readme;
#[cfg(all(feature = "sqlite", feature = "redis", feature = "postgres"))]
mod remote;
mod reset_books;
mod routing;
mod running;
mod servers;
mod short_way;
mod snapshot;
mod store;
mod stored;
mod stored_joint;
mod stores;
#[cfg(feature = "sqlite")]
mod sqlite;
mod standing;
mod stream;
mod text;
mod tickets;
mod tower;
#[cfg(all(feature = "sqlite", feature = "redis", feature = "postgres"))]
mod until;
mod waiting;
