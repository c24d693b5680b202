//! Records in Redis.

mod script;
mod name;
mod call;
mod reply;
mod slot;
#[cfg(target_os = "linux")]
mod silence;
#[cfg(not(target_os = "linux"))]
#[path = "silence_elsewhere.rs"]
mod silence;
mod redis_store;
mod managed;
mod open;
mod optimistic;
mod shelf;

pub use managed::ManagedConnection;
pub use optimistic::{Contended, OptimisticRedisStore};
pub use redis_store::RedisStore;
pub use slot::AcrossSlots;
