//! What stands in for axum's address of a connection without the `axum` feature: nothing.

use http::Extensions;
use std::net::SocketAddr;

pub(super) const MISSING: &str = "put an `http::PeerAddr` into the extensions of the request where the connection is accepted, \
     or switch on the feature `axum` for axum's `ConnectInfo`";

pub(super) fn connected(_: &Extensions) -> Option<SocketAddr> {
    None
}
