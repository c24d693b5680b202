//! Servers of our own, in temporary folders, for the stores that need one, and what can befall them.

#[cfg(feature = "redis")]
pub(crate) mod cluster;
#[cfg(feature = "sqlite")]
pub(crate) mod folder;
pub(crate) mod freeze;
#[cfg(feature = "postgres")]
pub(crate) mod pgbouncer;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod proxy;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "postgres")]
mod script;
#[cfg(feature = "redis")]
pub(crate) mod sentinel;
