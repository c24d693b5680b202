//! Where axum keeps the address of a connection.

use axum::extract::connect_info::{ConnectInfo, MockConnectInfo};
use http::Extensions;
use std::net::SocketAddr;

/// What to do when nobody kept the address.
pub(super) const MISSING: &str = "serve the router with `into_make_service_with_connect_info::<SocketAddr>()`, \
     or put an `http::PeerAddr` into the extensions of the request where the connection is accepted";

/// The address of the peer. That of a test is asked for last, as axum does.
#[inline(always)]
pub(super) fn connected(extensions: &Extensions) -> Option<SocketAddr> {
    match extensions.get::<ConnectInfo<SocketAddr>>() {
        Some(ConnectInfo(peer)) => Some(*peer),
        None => extensions.get().map(|MockConnectInfo(peer)| *peer),
    }
}
