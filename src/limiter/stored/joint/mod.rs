//! Several limits whose states a [`Store`](crate::store::Store) keeps, taken all at once or not at all.
//!
//! The permits of several limits are not reserved ahead of time: nobody knows when all of them are there
//! together. A call that has to wait asks again when the store said that it could be let go.

mod limiter;
mod builder;
mod on_limits;
mod acquire;
mod permit;
mod ticket;
mod shared;
mod part;
mod reserve;
mod failing;

pub use acquire::StoredJointAcquire;
pub use builder::StoredJointBuilder;
pub use limiter::StoredJointLimiter;
pub use on_limits::StoredOnLimits;
pub use permit::{StoredJointHold, StoredJointPermit};
pub use ticket::{StoredJointTicket, StoredJointWaiting};
