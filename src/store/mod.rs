//! Where states are remembered. Each step on a state is atomic.

pub(crate) mod memory;
mod entries;
pub(crate) mod names;
