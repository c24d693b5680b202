//! x
use crate::harness::{Bound, Length};
pub fn run(_: Length) -> Vec<Bound> {
    Vec::new()
}
pub mod bytes;
