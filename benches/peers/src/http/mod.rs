//! What a limit for each address costs a server.

pub mod calls;
mod client;
mod layers;
pub mod loopback;
mod replay;
mod server;
