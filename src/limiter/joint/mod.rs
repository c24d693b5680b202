//! Several limits together: taken all at once or not at all, from one reading of the clock.
//!
//! All of them are under one lock, so that what is taken of several is never seen half taken, and
//! no order of locks has to be minded. The price is that calls for different keys wait for each
//! other as long as a decision takes; where a single limit will do, take a
//! [`KeyedRateLimiter`](super::KeyedRateLimiter).

mod limiter;
mod builder;
mod on_limits;
mod acquire;
mod permit;
mod waiting;
mod shared;
mod board;
mod keys;
mod take;
mod used;
pub(super) mod refused;
mod control;
mod hold;
mod serve;
mod stand;
mod turn;
mod call;
mod line;
mod forecast;
pub(super) mod verdict;
mod limit;
mod kept;

pub use acquire::{JointAcquire, JointGranted};
pub use builder::JointBuilder;
pub use limiter::JointLimiter;
pub use on_limits::{Binding, JointTicket, OnLimits};
pub use permit::{JointHold, JointPermit, JointReservation};
pub use waiting::JointWaiting;
