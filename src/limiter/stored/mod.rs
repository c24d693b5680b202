//! Limits whose states a [`Store`](crate::store::Store) keeps.

mod limiter;
mod builder;
mod key;
mod acquire;
mod permit;
mod shared;
mod waiting;
mod ticket;
mod line;
mod failing;
mod refused;
mod breaker;
mod group;
mod pipeline;
mod flight;
mod time;

pub use acquire::StoredAcquire;
pub use builder::StoredBuilder;
pub use failing::OnFailure;
pub use key::StoredKey;
pub use limiter::StoredLimiter;
pub use permit::{StoredHold, StoredPermit};
pub use ticket::StoredTicket;
pub use waiting::StoredWaiting;
