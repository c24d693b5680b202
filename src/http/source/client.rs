//! Who asks through proxies.

use super::{
    PeerIp, TrustedProxies,
    address::{AddressKey, Fold},
    list,
    proxies::{MOST_HOPS, Trusted},
};
use crate::{
    http::TooManyRequests,
    invalid::Invalid,
    per_key::{KeySource, MissingKey},
};
use http::{HeaderName, Request, header};
use std::net::IpAddr;

/// Keys requests by the address of the client behind [trusted proxies](TrustedProxies), from a
/// header of theirs.
///
/// Only what a trusted proxy wrote is believed. The address that the server is connected with is
/// followed by those in the header, from the right, where each proxy adds its own: the first that
/// is not a trusted proxy's is the client. Whatever stands to its left the client may have made up.
/// So a request from elsewhere is the peer's own, whatever it says in the header. What cannot be
/// read ends the search, and is never skipped: the last proxy that was known is taken for the
/// client then, as it is when all are proxies. (By [hops](TrustedProxies::hops), a header with too
/// few of them leaves it with the peer.)
///
/// There is one header, and no other is tried in its stead: a client could send the one that its
/// proxy does not write. IPv6 addresses count as in [`PeerIp`], and the server has to keep the
/// address of the peer as for that.
///
/// ```
/// use http::Request;
/// use std::net::SocketAddr;
/// use tower_ratelimit::{
///     Rate, RateLimitLayer, SlidingWindow, http::{ClientIp, PeerAddr, TrustedProxies},
/// };
///
/// let by_client = ClientIp::x_forwarded_for(TrustedProxies::networks(["10.0.0.0/8"])?);
///
/// let mut request = Request::new(());
/// request.extensions_mut().insert(PeerAddr(SocketAddr::from(([10, 0, 0, 1], 50_000))));
/// let line = "198.51.100.9, 192.0.2.7, 10.0.0.2".parse().expect("text");
/// request.headers_mut().insert("x-forwarded-for", line);
/// assert_eq!(by_client.address(&request), Ok([192, 0, 2, 7].into()));
///
/// let limit = SlidingWindow::new(Rate::per_minute(60)?);
/// let layer = RateLimitLayer::per_key(by_client, limit);
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIp {
    header: Header,
    proxies: TrustedProxies,
    fold: Fold,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Header {
    XForwardedFor,
    Forwarded,
    Single(HeaderName),
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl ClientIp {
    /// Reads `X-Forwarded-For`, to which each proxy adds the address it was asked from.
    #[must_use]
    pub fn x_forwarded_for(proxies: TrustedProxies) -> Self {
        Self::by(Header::XForwardedFor, proxies)
    }

    /// Reads `Forwarded` (RFC 7239), of which `for=` counts. Identifiers that are no address, such
    /// as `unknown` or `_gazonk`, end the search.
    #[must_use]
    pub fn forwarded(proxies: TrustedProxies) -> Self {
        Self::by(Header::Forwarded, proxies)
    }

    /// Reads a header that holds the address of the client and nothing else, such as `X-Real-IP` or
    /// `CF-Connecting-IP`. It is believed if the peer is trusted (by [hops](TrustedProxies::hops),
    /// however many, every peer is) and there is one line of it.
    ///
    /// The proxy that writes it has to remove what the client sent, and those behind it have to
    /// leave it alone: most proxies pass on whatever they do not know.
    ///
    /// ```
    /// use http::HeaderName;
    /// use tower_ratelimit::http::{ClientIp, TrustedProxies};
    ///
    /// let name = HeaderName::from_static("x-real-ip");
    /// let by_client = ClientIp::single(name, TrustedProxies::networks(["127.0.0.1", "::1"])?)?;
    /// # Ok::<(), tower_ratelimit::Invalid>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When it is `X-Forwarded-For` or `Forwarded`, which hold lists.
    pub fn single(name: HeaderName, proxies: TrustedProxies) -> Result<Self, Invalid> {
        if name == X_FORWARDED_FOR || name == header::FORWARDED {
            let allowed = "one that holds a single address: for lists, take \
                           `ClientIp::x_forwarded_for` or `ClientIp::forwarded`";
            return Err(Invalid::new("name", name, allowed));
        }
        Ok(Self::by(Header::Single(name), proxies))
    }

    fn by(header: Header, proxies: TrustedProxies) -> Self {
        Self { header, proxies, fold: Fold::default() }
    }

    /// Sets how many leading bits of an IPv6 address count, 0 to 128, as [`PeerIp::ipv6_prefix`]
    /// does.
    ///
    /// # Errors
    ///
    /// When there are more than 128.
    pub fn ipv6_prefix(self, bits: u8) -> Result<Self, Invalid> {
        let fold = Fold::new(bits)?;
        Ok(Self { fold, ..self })
    }

    /// Returns the whole address, for logs and for [exceptions](crate::PerKeyLayer::exempt); IPv4
    /// if it is an IPv4-mapped one.
    ///
    /// # Errors
    ///
    /// [`MissingKey`] when the server does not keep that of the peer.
    pub fn address<B>(&self, request: &Request<B>) -> Result<IpAddr, MissingKey> {
        let peer = PeerIp::default().address(request)?;
        let lines = |name| request.headers().get_all(name).iter();
        let trusted = &self.proxies.0;
        Ok(match &self.header {
            Header::XForwardedFor => {
                client(peer, lines(&X_FORWARDED_FOR).rev().flat_map(list::plain), trusted)
            }
            Header::Forwarded => {
                client(peer, lines(&header::FORWARDED).rev().flat_map(list::elements), trusted)
            }
            Header::Single(name) => {
                let mut lines = lines(name);
                match (lines.next(), lines.next()) {
                    (Some(line), None) if trusted.includes(peer, 1) => {
                        list::single(line).unwrap_or(peer)
                    }
                    _ => peer,
                }
            }
        })
    }
}

/// Goes back from the peer, by what each trusted proxy says about who asked it, up to the first
/// address that is no proxy's.
fn client(peer: IpAddr, before: impl Iterator<Item = Option<IpAddr>>, trusted: &Trusted) -> IpAddr {
    let mut before = before;
    let mut last = peer;
    // A client could send so many addresses of proxies that looking through them takes long.
    for hop in 1..=MOST_HOPS {
        if !trusted.includes(last, hop) {
            return last;
        }
        match before.next() {
            Some(Some(address)) => last = address,
            // It broke off where the proxies should have been more than there are.
            None if matches!(trusted, Trusted::Hops(_)) => return peer,
            Some(None) | None => return last,
        }
    }
    last
}

impl<B> KeySource<Request<B>> for ClientIp {
    type Key = AddressKey;
    type Reply = TooManyRequests;

    fn key(&self, request: &Request<B>) -> Result<AddressKey, MissingKey> {
        self.address(request).map(|address| self.fold.key(address))
    }

    fn reply(&self) -> TooManyRequests {
        TooManyRequests
    }
}
