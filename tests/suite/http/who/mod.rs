//! Who is asking, whatever they say.

mod choices;
mod naive;
mod parsers;
mod peer;
mod setting_up;
mod spoofing;

use http::{HeaderName, HeaderValue, Request};
use std::net::IpAddr;
use tower_ratelimit::http::PeerAddr;

/// A request from this address, with these lines of one header.
fn from<L: AsRef<[u8]>>(peer: &str, header: &'static str, lines: &[L]) -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(PeerAddr((ip(peer), 4711).into()));
    for line in lines {
        let line = HeaderValue::from_bytes(line.as_ref()).unwrap();
        request.headers_mut().append(HeaderName::from_static(header), line);
    }
    request
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}
