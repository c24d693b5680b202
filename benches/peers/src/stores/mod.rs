//! Decisions a second over stores, one at a time and 64 at once.

mod load;
mod ours;
pub mod postgres;
pub mod redis;
mod server;
mod side_by_side;
pub mod sqlite;
