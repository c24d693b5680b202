//! Records in Redis.

mod script;
mod name;
mod call;
mod reply;
mod slot;
mod redis_store;
mod optimistic;
mod shelf;

pub use optimistic::{Contended, OptimisticRedisStore};
pub use redis_store::RedisStore;
pub use slot::AcrossSlots;
