//! Who is connected.

use super::{
    address::{AddressKey, Fold},
    connect_info::{MISSING, connected},
};
use crate::{
    http::TooManyRequests,
    invalid::Invalid,
    per_key::{KeySource, MissingKey},
};
use http::Request;
use std::net::{IpAddr, SocketAddr};

/// Keys requests by the address of the socket's peer, which is the client or a proxy before it.
/// Behind a proxy, take [`ClientIp`](super::ClientIp).
///
/// IPv4-mapped IPv6 addresses count as the IPv4 address they stand for. Of IPv6 addresses the
/// first 64 bits count, the smallest block that is given to a single customer; see
/// [`ipv6_prefix`](Self::ipv6_prefix).
///
/// The server has to keep the address: axum when it is told to, others by a [`PeerAddr`]. Otherwise
/// every request is answered with 500. What to do stands in the refusal, which
/// [`respond`](crate::PerKeyLayer::respond) can print, and with the feature `tracing` an error is logged
/// that says it.
///
/// ```no_run
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::get};
/// use std::net::SocketAddr;
/// use tower_ratelimit::{Rate, RateLimitLayer, SlidingWindow, http::PeerIp};
///
/// let app = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(RateLimitLayer::per_key(PeerIp::default(), SlidingWindow::new(Rate::per_minute(60)?)));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerIp {
    fold: Fold,
}

impl PeerIp {
    /// Sets how many leading bits of an IPv6 address count, 0 to 128; 64 by default.
    ///
    /// # Errors
    ///
    /// When there are more.
    pub fn ipv6_prefix(self, bits: u8) -> Result<Self, Invalid> {
        let fold = Fold::new(bits)?;
        Ok(Self { fold })
    }

    /// Returns the whole address, for logs and for [exceptions](crate::PerKeyLayer::exempt); IPv4
    /// if it is an IPv4-mapped one.
    ///
    /// # Errors
    ///
    /// [`MissingKey`] when the server does not keep it.
    #[inline(always)]
    pub fn address<B>(&self, request: &Request<B>) -> Result<IpAddr, MissingKey> {
        let extensions = request.extensions();
        let peer = match extensions.get() {
            Some(PeerAddr(peer)) => Some(*peer),
            None => connected(extensions),
        };
        match peer {
            Some(peer) => Ok(peer.ip().to_canonical()),
            None => Err(MissingKey::new(MISSING)),
        }
    }
}

impl<B> KeySource<Request<B>> for PeerIp {
    type Key = AddressKey;
    type Reply = TooManyRequests;

    // A key that is returned through memory is written in small pieces and read in large ones, which
    // waits for the writing: a third of what it takes to find the address.
    #[inline(always)]
    fn key(&self, request: &Request<B>) -> Result<AddressKey, MissingKey> {
        Ok(self.fold.key(self.address(request)?))
    }

    fn reply(&self) -> TooManyRequests {
        TooManyRequests
    }
}

/// The address of the socket's peer, where a server without axum keeps it: in the extensions of the
/// request, from which [`PeerIp`] and [`ClientIp`](super::ClientIp) take it.
///
/// It goes before axum's own, for servers that know better, such as one behind the PROXY protocol.
///
/// ```
/// use http::Request;
/// use std::net::SocketAddr;
/// use tower_ratelimit::{KeySource, http::{AddressKey, PeerAddr, PeerIp}};
///
/// // As `TcpListener::accept` returned it.
/// let peer = SocketAddr::from(([192, 0, 2, 7], 50_000));
/// let mut request = Request::new(());
/// request.extensions_mut().insert(PeerAddr(peer));
/// assert_eq!(PeerIp::default().key(&request), Ok(AddressKey::V4([192, 0, 2, 7].into())));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr(pub SocketAddr);
