//! Where the address of the peer comes from.

use super::{from, ip};
use http::Request;
use tower_ratelimit::{
    KeySource, MissingKey, Reason,
    http::{AddressKey, ClientIp, PeerIp, TrustedProxies},
};

#[test]
fn a_server_of_any_kind_puts_the_address_of_the_peer_into_the_request() {
    let request = from("::ffff:192.0.2.7", "x-forwarded-for", &["198.51.100.9"]);
    assert_eq!(PeerIp::default().address(&request), Ok(ip("192.0.2.7")));
    assert_eq!(PeerIp::default().key(&request), Ok(AddressKey::V4([192, 0, 2, 7].into())));
}

#[test]
fn without_it_the_error_says_what_to_do_for_axum_and_for_others() {
    let by_client = ClientIp::forwarded(TrustedProxies::hops(1).unwrap());
    let missing: [MissingKey; 2] = [
        PeerIp::default().key(&Request::new(())).unwrap_err(),
        by_client.key(&Request::new(())).unwrap_err(),
    ];
    for missing in missing {
        assert_eq!(missing.reason(), Reason::NoKey);
        assert!(missing.what_to_do().contains("into_make_service_with_connect_info"));
        assert!(missing.what_to_do().contains("`http::PeerAddr`"));
    }
}

#[cfg(feature = "axum")]
mod axum {
    use super::{from, ip};
    use ::axum::extract::connect_info::{ConnectInfo, MockConnectInfo};
    use http::Request;
    use std::net::SocketAddr;
    use tower_ratelimit::http::PeerIp;

    fn socket(address: &str) -> SocketAddr {
        (ip(address), 80).into()
    }

    #[test]
    fn the_address_may_be_axums_or_pretended_in_a_test() {
        let mut request = Request::new(());
        request.extensions_mut().insert(MockConnectInfo(socket("192.0.2.1")));
        assert_eq!(PeerIp::default().address(&request), Ok(ip("192.0.2.1")));
        request.extensions_mut().insert(ConnectInfo(socket("192.0.2.2")));
        assert_eq!(PeerIp::default().address(&request), Ok(ip("192.0.2.2")));
    }

    #[test]
    fn the_word_of_the_server_goes_before_axums() {
        let mut request = from("192.0.2.3", "via", &[""]);
        request.extensions_mut().insert(ConnectInfo(socket("192.0.2.2")));
        assert_eq!(PeerIp::default().address(&request), Ok(ip("192.0.2.3")));
    }
}
