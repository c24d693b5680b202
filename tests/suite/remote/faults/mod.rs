//! What becomes of calls while a store is in trouble, and afterwards.

mod crowded;
mod policies;
mod postgres;
mod redis;
mod redis_cluster;
mod redis_cluster_servers;
mod redis_sentinel;
mod redis_steps;
mod sqlite;
