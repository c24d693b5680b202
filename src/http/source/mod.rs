//! Who is asking.

mod address;
mod peer;
#[cfg(feature = "axum")]
mod connect_info;
#[cfg(not(feature = "axum"))]
#[path = "no_connect_info.rs"]
mod connect_info;
mod client;
mod proxies;
mod list;
mod node;
mod header;
mod extension;
mod method;
#[cfg(feature = "axum")]
mod route;
mod host;

pub use address::AddressKey;
pub use client::ClientIp;
pub use extension::Extension;
pub use header::Header;
pub use host::Host;
pub use method::RequestMethod;
pub use peer::{PeerAddr, PeerIp};
pub use proxies::TrustedProxies;
#[cfg(feature = "axum")]
pub use route::Route;
