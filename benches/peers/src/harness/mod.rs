//! What the groups share: rounds that visit every row, their statistics, tables, bounds.

mod bound;
mod floor;
mod limit;
mod own_process;
mod random;
mod rounds;
pub mod service;
mod stack;
mod stat;
mod still;
mod table;
pub mod threads;

pub use bound::{Bound, Verdict};
pub use floor::Floor;
pub use limit::Limit;
pub use own_process::{PART, figures, part, part_under, resident};
pub use random::Random;
pub use rounds::{Length, interleave, sliced};
pub use stack::at_another_place;
pub use stat::{Stat, over};
pub use still::watched;
pub use table::Table;
