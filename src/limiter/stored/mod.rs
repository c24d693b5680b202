//! Limits whose states a [`Store`](crate::store::Store) keeps.

mod limiter;
mod builder;
mod caller;
mod key;
mod acquire;
mod permit;
mod shared;
mod reserve;
mod asking;
mod settings;
mod reins;
mod waiting;
mod ticket;
mod failing;
mod inquiry;
mod breaker;
mod known;
mod line;
mod resets;
mod refused;
mod group;
mod queue;
mod pipeline;
mod flight;
mod driver;
mod carried;
mod first;
mod joint;

pub use acquire::StoredAcquire;
pub use builder::StoredBuilder;
pub use failing::OnFailure;
pub use joint::{
    StoredJointAcquire, StoredJointBuilder, StoredJointHold, StoredJointLimiter, StoredJointPermit,
    StoredJointTicket, StoredJointWaiting, StoredOnLimits,
};
pub use key::StoredKey;
pub use limiter::StoredLimiter;
pub use permit::{StoredHold, StoredPermit};
pub use ticket::StoredTicket;
pub use waiting::StoredWaiting;
