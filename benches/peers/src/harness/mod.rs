//! What the groups share: rounds that visit every row, their statistics, tables, bounds.

mod bound;
mod rounds;
pub mod service;
mod stack;
mod stat;
mod table;

pub use bound::Bound;
pub use rounds::{Length, interleave};
pub use stack::at_another_place;
pub use stat::{Stat, over};
pub use table::Table;
