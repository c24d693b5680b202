//! Who is asking, as axum knows it.

use super::TooManyRequests;
use crate::{
    key::Key,
    per_key::{KeySource, MissingKey},
};
use axum::extract::ConnectInfo;
use http::Request;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address of the socket's peer: whoever is connected, be it the client or a proxy before it.
///
/// IPv4-mapped IPv6 addresses count as the IPv4 address they stand for. Of IPv6 addresses the
/// first 64 bits count, the smallest block that is given to a single customer; see
/// [`ipv6_prefix`](Self::ipv6_prefix).
///
/// The server has to be told to keep the address, or every request is answered with 500:
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerIp {
    ipv6_prefix: u8,
}

impl PeerIp {
    /// How many leading bits of an IPv6 address count, 0 to 128; more count as 128.
    #[must_use]
    pub fn ipv6_prefix(self, bits: u8) -> Self {
        let ipv6_prefix = bits.min(128);
        Self { ipv6_prefix }
    }

    fn fold(self, address: IpAddr) -> PeerKey {
        match address.to_canonical() {
            IpAddr::V4(address) => PeerKey::V4(address),
            IpAddr::V6(address) => {
                let host_bits = u32::from(128 - self.ipv6_prefix);
                let network = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                PeerKey::V6(Ipv6Addr::from(u128::from(address) & network))
            }
        }
    }
}

impl Default for PeerIp {
    fn default() -> Self {
        Self { ipv6_prefix: 64 }
    }
}

/// The key of [`PeerIp`]: an IPv4 address, or the network of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerKey {
    /// An address.
    V4(Ipv4Addr),
    /// A network, its host bits zero.
    V6(Ipv6Addr),
}

impl Key for PeerKey {
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        match *self {
            PeerKey::V4(address) => IpAddr::V4(address).write(out),
            PeerKey::V6(network) => IpAddr::V6(network).write(out),
        }
    }
}

impl<B> KeySource<Request<B>> for PeerIp {
    type Key = PeerKey;
    type Reply = TooManyRequests;

    fn key(&self, request: &Request<B>) -> Result<PeerKey, MissingKey> {
        match request.extensions().get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(peer)) => Ok(self.fold(peer.ip())),
            None => Err(MissingKey::new(
                "serve the router with `into_make_service_with_connect_info::<SocketAddr>()`",
            )),
        }
    }

    fn reply(&self) -> TooManyRequests {
        TooManyRequests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(source: PeerIp, address: &str) -> PeerKey {
        source.fold(address.parse().expect("an address"))
    }

    #[test]
    fn an_ipv4_mapped_address_is_the_ipv4_address() {
        let plain = folded(PeerIp::default(), "192.0.2.7");
        assert_eq!(folded(PeerIp::default(), "::ffff:192.0.2.7"), plain);
        assert_ne!(folded(PeerIp::default(), "::ffff:192.0.2.8"), plain);
        assert_eq!(folded(PeerIp::default().ipv6_prefix(0), "::ffff:192.0.2.7"), plain);
    }

    #[test]
    fn ipv6_addresses_of_one_64_bit_network_are_one_key() {
        let one = folded(PeerIp::default(), "2001:db8:1:2::1");
        assert_eq!(folded(PeerIp::default(), "2001:db8:1:2:ffff:ffff:ffff:ffff"), one);
        assert_ne!(folded(PeerIp::default(), "2001:db8:1:3::1"), one);
    }

    #[test]
    fn the_prefix_can_be_anything_from_nothing_to_the_whole_address() {
        let whole = PeerIp::default().ipv6_prefix(128);
        assert_ne!(folded(whole, "2001:db8::1"), folded(whole, "2001:db8::2"));
        let nothing = PeerIp::default().ipv6_prefix(0);
        assert_eq!(folded(nothing, "2001:db8::1"), folded(nothing, "fe80::9"));
        let site = PeerIp::default().ipv6_prefix(48);
        assert_eq!(folded(site, "2001:db8:1:2::1"), folded(site, "2001:db8:1:3::1"));
        assert_eq!(PeerIp::default().ipv6_prefix(200), whole);
    }
}
