//! Records in Redis.

mod script;
mod name;
mod call;
mod reply;
mod slot;
mod redis_store;

pub use redis_store::RedisStore;
pub use slot::AcrossSlots;
