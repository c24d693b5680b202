//! Set-ups that cannot be right.

use http::HeaderName;
use tower_ratelimit::{
    Invalid,
    http::{ClientIp, PeerIp, TrustedProxies},
};

fn refused<T: std::fmt::Debug>(result: Result<T, Invalid>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_header_is_believed_from_somebody_only() {
    let nobody = TrustedProxies::networks([""; 0]);
    assert_eq!(
        refused(nobody),
        "networks is empty, but must be at least one network: where there is no proxy, take \
         `PeerIp`"
    );
    for hops in [0, 101, 255] {
        assert_eq!(
            refused(TrustedProxies::hops(hops)),
            format!("hops is {hops}, but must be 1 to 100: where there is no proxy, take `PeerIp`")
        );
    }
    for hops in [1, 100] {
        assert!(TrustedProxies::hops(hops).is_ok());
    }
}

#[test]
fn nobody_believes_everybody() {
    for everybody in [
        &["0.0.0.0/0"][..],
        &["::/0"],
        &["::ffff:0:0/96"],
        &["10.0.0.0/8", "0.0.0.0/0"],
        &["0.0.0.0/1", "128.0.0.0/1"],
        &["128.0.0.0/2", "0.0.0.0/1", "192.0.0.0/2"],
        &["::/1", "8000::/1"],
    ] {
        let invalid = TrustedProxies::networks(everybody).unwrap_err();
        assert!(["0.0.0.0/0", "::/0"].contains(&invalid.value()), "{invalid}");
        assert!(invalid.allowed().contains("`hops`"), "{invalid}");
    }
    assert!(TrustedProxies::networks(["0.0.0.0/1", "::/1"]).is_ok());
}

#[test]
fn a_network_is_written_as_one() {
    for network in [
        "",
        "10.0.0.0/33",
        "2001:db8::/129",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0/8",
        "10.0.0.0/8/8",
        "2001:db8::/64x",
        "localhost",
        "[::1]",
        "10.0.0.1:80",
        "*",
    ] {
        let expected = format!(
            "network is {network:?}, but must be written like 10.0.0.0/8, 2001:db8::/32 or \
             192.0.2.7"
        );
        assert_eq!(refused(TrustedProxies::networks(["10.0.0.0/8", network])), expected);
    }
    for network in ["10.0.0.1/8", "2001:db8::1/64", "192.0.2.7/31"] {
        let expected = format!(
            "network is {network:?}, but must be an address alone, or a network whose bits behind \
             the prefix are zero"
        );
        assert_eq!(refused(TrustedProxies::networks([network])), expected);
    }
    let configured = " 10.0.0.0/8, 192.0.2.7 ,fd00::/8".split(',');
    let written = TrustedProxies::networks(["fd00::/8", "192.0.2.7/32", "::ffff:10.0.0.0/104"]);
    assert_eq!(TrustedProxies::networks(configured), written);
}

#[test]
fn a_list_is_not_taken_for_a_single_address() {
    for name in ["x-forwarded-for", "forwarded"] {
        let proxies = TrustedProxies::hops(1).unwrap();
        let invalid = ClientIp::single(HeaderName::from_static(name), proxies).unwrap_err();
        assert_eq!((invalid.parameter(), invalid.value()), ("name", name));
        assert!(invalid.allowed().contains("`ClientIp::x_forwarded_for`"), "{invalid}");
    }
}

#[test]
fn an_address_has_128_bits() {
    let by_client = ClientIp::forwarded(TrustedProxies::hops(1).unwrap());
    for bits in [0, 56, 128] {
        assert!(PeerIp::default().ipv6_prefix(bits).is_ok());
        assert!(by_client.clone().ipv6_prefix(bits).is_ok());
    }
    let expected = "ipv6_prefix is 129, but must be 0 to 128, the bits of an address";
    assert_eq!(refused(PeerIp::default().ipv6_prefix(129)), expected);
    assert_eq!(refused(by_client.ipv6_prefix(129)), expected);
}
