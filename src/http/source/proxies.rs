//! Which proxies are believed.

use crate::invalid::Invalid;
use ipnet::{IpNet, Ipv4Net};
use std::{net::IpAddr, sync::Arc};

/// The most hops that are followed from the server to the client.
pub(super) const MOST_HOPS: u8 = 100;

/// The proxies before a server that are trusted to name the client: those of given networks, or a
/// given number of them.
///
/// ```
/// use tower_ratelimit::http::TrustedProxies;
///
/// // Those in the private network, and one with a public address.
/// let proxies = TrustedProxies::networks(["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7"])?;
/// // A load balancer, and behind it a proxy; nobody else can reach the server.
/// let proxies = TrustedProxies::hops(2)?;
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies(pub(super) Trusted);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trusted {
    Networks(Arc<[IpNet]>),
    Hops(u8),
}

impl TrustedProxies {
    /// Trusts proxies with addresses of these networks, each written as `address/prefix` or as a
    /// single address. A request from any other address is taken for the client's own.
    ///
    /// No client may have such an address: it could pretend to be any other. Networks of a provider
    /// that forwards requests for anyone are no better than the rules of that provider.
    ///
    /// # Errors
    ///
    /// When there are none, one cannot be read or has bits behind its prefix, and when they contain
    /// all addresses, which would believe whatever a client writes.
    pub fn networks<T: AsRef<str>>(networks: impl IntoIterator<Item = T>) -> Result<Self, Invalid> {
        let networks: Vec<IpNet> =
            networks.into_iter().map(|text| network(text.as_ref())).collect::<Result<_, _>>()?;
        if networks.is_empty() {
            let allowed = "at least one network: where there is no proxy, take `PeerIp`";
            return Err(Invalid::new("networks", "empty", allowed));
        }
        // Put together, as two halves are everybody, too.
        let networks = IpNet::aggregate(&networks);
        match networks.iter().find(|network| network.prefix_len() == 0) {
            None => Ok(Self(Trusted::Networks(networks.into()))),
            Some(everybody) => {
                let allowed = "those of your proxies only: if nobody but them can reach the \
                               server, say by `hops` how many there are between it and a client";
                Err(Invalid::new("networks", everybody, allowed))
            }
        }
    }

    /// Trusts this many proxies between the server and a client, 1 to 100, each of which adds the
    /// address it was asked from. The server may be reachable through all of them only: with one
    /// proxy less in the way, a client could pretend to be any other.
    ///
    /// # Errors
    ///
    /// When there are none, or more.
    pub fn hops(hops: u8) -> Result<Self, Invalid> {
        match hops {
            1..=MOST_HOPS => Ok(Self(Trusted::Hops(hops))),
            _ => {
                let allowed = "1 to 100: where there is no proxy, take `PeerIp`";
                Err(Invalid::new("hops", hops, allowed))
            }
        }
    }
}

impl Trusted {
    /// Whether this address, so many hops before the server (the peer is the first), is a proxy's.
    pub(super) fn includes(&self, address: IpAddr, hop: u8) -> bool {
        match self {
            Self::Networks(networks) => networks.iter().any(|network| network.contains(&address)),
            Self::Hops(hops) => hop <= *hops,
        }
    }
}

fn network(text: &str) -> Result<IpNet, Invalid> {
    let invalid = |allowed| Err(Invalid::new("network", format_args!("{text:?}"), allowed));
    let address = text.trim().parse().map(|address: IpAddr| address.to_canonical().into());
    let Ok(network) = address.or_else(|_| text.trim().parse::<IpNet>()) else {
        return invalid("written like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7");
    };
    if network.trunc() != network {
        return invalid("an address alone, or a network whose bits behind the prefix are zero");
    }
    Ok(canonical(network))
}

/// IPv4-mapped networks are those of IPv4: addresses are made canonical, too.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let address = mapped.addr().to_ipv4_mapped();
    let ipv4 = address.zip(mapped.prefix_len().checked_sub(96));
    let ipv4 = ipv4.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    ipv4.map_or(network, IpNet::V4)
}
