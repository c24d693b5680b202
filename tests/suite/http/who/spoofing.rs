//! What clients and proxies write, and whose address counts.

use super::{from, ip};
use http::HeaderName;
use tower_ratelimit::{
    KeySource,
    http::{AddressKey, ClientIp, TrustedProxies},
};

const XFF: &str = "x-forwarded-for";
const PROXY: &str = "10.0.0.1";

fn private() -> TrustedProxies {
    TrustedProxies::networks(["10.0.0.0/8", "fd00::/8"]).unwrap()
}

fn hops(hops: u8) -> TrustedProxies {
    TrustedProxies::hops(hops).unwrap()
}

/// Who asks by each of these, when the peer is the proxy.
fn check(source: &ClientIp, header: &'static str, table: &[(&[&str], &str)]) {
    for (lines, client) in table {
        let found = source.address(&from(PROXY, header, lines));
        assert_eq!(found, Ok(ip(client)), "{lines:?} by {source:?}");
    }
}

#[test]
fn the_first_from_the_right_that_is_no_proxy_is_the_client() {
    check(
        &ClientIp::x_forwarded_for(private()),
        XFF,
        &[
            (&["192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7, 10.0.0.2"], "192.0.2.7"),
            (&["192.0.2.7,10.0.0.3 ,\t10.0.0.2"], "192.0.2.7"),
            (&["192.0.2.7, fd00::3, 10.0.0.2"], "192.0.2.7"),
            (&["192.0.2.7, ::ffff:10.0.0.2"], "192.0.2.7"),
            // What stands to its left the client may have made up.
            (&["198.51.100.9, 192.0.2.7"], "192.0.2.7"),
            (&["10.0.0.9, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
            (&["127.0.0.1, ::1, 10.0.0.9, 192.0.2.7"], "192.0.2.7"),
            (&["unknown, <script>, \u{fc}, \", 192.0.2.7"], "192.0.2.7"),
            (&[",,,,192.0.2.7"], "192.0.2.7"),
            // All lines are one list.
            (&["198.51.100.9", "192.0.2.7"], "192.0.2.7"),
            (&["198.51.100.9", "192.0.2.7", "10.0.0.2, 10.0.0.3"], "192.0.2.7"),
            (&["198.51.100.9, 192.0.2.7", "10.0.0.2"], "192.0.2.7"),
        ],
    );
}

#[test]
fn an_address_may_have_a_port_brackets_and_a_zone() {
    check(
        &ClientIp::x_forwarded_for(private()),
        XFF,
        &[
            (&["192.0.2.7:4711"], "192.0.2.7"),
            (&["192.0.2.7:0"], "192.0.2.7"),
            (&["192.0.2.7:65535"], "192.0.2.7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["2001:DB8:0:0::7"], "2001:db8::7"),
            (&["[2001:db8::7]"], "2001:db8::7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["fe80::7%eth0"], "fe80::7"),
            (&["[fe80::7%eth0.1]:4711"], "fe80::7"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            (&["[::ffff:192.0.2.7]:4711"], "192.0.2.7"),
            (&["::ffff:c000:207"], "192.0.2.7"),
            (&["192.0.2.7, 10.0.0.2:80, [fd00::1]:80"], "192.0.2.7"),
        ],
    );
}

#[test]
fn what_cannot_be_read_ends_the_search_at_the_last_known_proxy() {
    let source = ClientIp::x_forwarded_for(private());
    for malformed in [
        "",
        "unknown",
        "_hidden",
        "localhost",
        "192.0.2",
        "192.0.2.7.8",
        "192.0.2.256",
        "192.0.2.07",
        "0xc0000207",
        "3221225991",
        "+192.0.2.7",
        "192.0.2.7/32",
        "192.0.2.7%eth0",
        "192.0.2.7:",
        "192.0.2.7:+80",
        "192.0.2.7:-1",
        "192.0.2.7:65536",
        "192.0.2.7:80:80",
        "192.0.2.7 198.51.100.9",
        "192.0.2.7;198.51.100.9",
        "\"192.0.2.7\"",
        "for=192.0.2.7",
        "[192.0.2.7]",
        "[192.0.2.7]:80",
        "[2001:db8::7",
        "2001:db8::7]",
        "[[2001:db8::7]]",
        "[2001:db8::7]80",
        "[2001:db8::7]:",
        "[2001:db8::7]:65536",
        "[]",
        "[]:80",
        "fe80::7%",
        "fe80::7%a%b",
        "fe80::7%eth 0",
        "2001:db8::7::",
        "2001:db8::12345",
        "1:2:3:4:5:6:7:8:9",
        "::ffff:192.0.2.256",
        ":",
        "%",
        "\u{661}92.0.2.7",
    ] {
        let only = format!("198.51.100.9, {malformed}");
        check(&source, XFF, &[(&[&only], PROXY), (&["198.51.100.9", malformed], PROXY)]);
        let behind_proxies = format!("198.51.100.9, {malformed}, 10.0.0.3, 10.0.0.2");
        check(&source, XFF, &[(&[&behind_proxies], "10.0.0.3")]);
    }
}

#[test]
fn whoever_is_no_proxy_is_the_client_whatever_they_send() {
    let sources =
        [ClientIp::x_forwarded_for(private()), ClientIp::forwarded(private()), real_ip(private())];
    for source in sources {
        for (header, line) in
            [(XFF, "192.0.2.7"), ("forwarded", "for=192.0.2.7"), ("x-real-ip", "192.0.2.7")]
        {
            for stranger in ["198.51.100.9", "11.0.0.1", "2001:db8::9", "fc00::1"] {
                let found = source.address(&from(stranger, header, &[line]));
                assert_eq!(found, Ok(ip(stranger)));
            }
        }
        // An IPv4 address by the way of IPv6.
        let mapped = source.address(&from("::ffff:11.0.0.1", XFF, &["192.0.2.7"]));
        assert_eq!(mapped, Ok(ip("11.0.0.1")));
    }
    let by_mapped = from("::ffff:10.0.0.1", XFF, &["192.0.2.7"]);
    assert_eq!(ClientIp::x_forwarded_for(private()).address(&by_mapped), Ok(ip("192.0.2.7")));
}

#[test]
fn where_all_are_proxies_the_first_of_them_asks_and_the_peer_without_a_header() {
    let source = ClientIp::x_forwarded_for(private());
    check(&source, XFF, &[(&["10.0.0.9, 10.0.0.2"], "10.0.0.9"), (&[], PROXY), (&[""], PROXY)]);
}

#[test]
fn one_header_is_never_taken_for_another() {
    for source in [ClientIp::x_forwarded_for(private()), ClientIp::forwarded(private())] {
        for other in ["x-real-ip", "cf-connecting-ip", "x-client-ip", "true-client-ip", "via"] {
            check(&source, other, &[(&["192.0.2.7"], PROXY), (&["for=192.0.2.7"], PROXY)]);
        }
    }
    check(&ClientIp::forwarded(private()), XFF, &[(&["192.0.2.7"], PROXY)]);
    check(&ClientIp::x_forwarded_for(private()), "forwarded", &[(&["for=192.0.2.7"], PROXY)]);
    check(&real_ip(private()), XFF, &[(&["192.0.2.7"], PROXY)]);
}

#[test]
fn so_many_hops_from_the_right_is_the_client_and_too_few_are_the_peer() {
    let one = ClientIp::x_forwarded_for(hops(1));
    check(
        &one,
        XFF,
        &[
            (&["192.0.2.7"], "192.0.2.7"),
            (&["198.51.100.9, 192.0.2.7"], "192.0.2.7"),
            (&["198.51.100.9", "192.0.2.7"], "192.0.2.7"),
            (&["malformed, 192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7, malformed"], PROXY),
            (&[], PROXY),
        ],
    );
    let three = ClientIp::x_forwarded_for(hops(3));
    check(
        &three,
        XFF,
        &[
            (&["198.51.100.9, 192.0.2.7, 203.0.113.1, 203.0.113.2"], "192.0.2.7"),
            (&["198.51.100.9", "192.0.2.7, 203.0.113.1", "203.0.113.2"], "192.0.2.7"),
            (&["203.0.113.1, 203.0.113.2"], PROXY),
            (&["203.0.113.2"], PROXY),
            (&[], PROXY),
            (&["192.0.2.7, malformed, 203.0.113.2"], "203.0.113.2"),
            (&["192.0.2.7, 203.0.113.1, malformed"], PROXY),
            (&["malformed, 203.0.113.1, 203.0.113.2"], "203.0.113.1"),
        ],
    );
}

#[test]
fn forwarded_is_read_as_its_standard_says() {
    check(
        &ClientIp::forwarded(private()),
        "forwarded",
        &[
            (&["for=192.0.2.7"], "192.0.2.7"),
            (&["For=192.0.2.7"], "192.0.2.7"),
            (&["for=\"192.0.2.7\""], "192.0.2.7"),
            (&["for=\"192.0.2.7:4711\""], "192.0.2.7"),
            (&["for=\"192.0.2.7:_port\""], "192.0.2.7"),
            (&["for=\"[2001:db8::7]\""], "2001:db8::7"),
            (&["for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
            (&["for=\"[::ffff:192.0.2.7]\""], "192.0.2.7"),
            (&["proto=http;by=203.0.113.43;for=192.0.2.7"], "192.0.2.7"),
            (&["for=192.0.2.7; proto=https; host=\"a,b;for=c\""], "192.0.2.7"),
            (&["host=\"for=198.51.100.9\";for=192.0.2.7;"], "192.0.2.7"),
            (&["for=198.51.100.9, for=192.0.2.7, for=10.0.0.2;by=10.0.0.1"], "192.0.2.7"),
            (&["for=198.51.100.9", "for=192.0.2.7", "for=\"[fd00::2]\""], "192.0.2.7"),
            // What a client left open takes nothing of what was added behind it.
            (&["for=\", for=192.0.2.7"], "192.0.2.7"),
            (&["for=\"198.51.100.9, for=192.0.2.7"], "192.0.2.7"),
            (&["for=\"\\, for=\"192.0.2.7\""], "192.0.2.7"),
        ],
    );
}

#[test]
fn a_forwarded_element_without_an_address_ends_the_search() {
    let source = ClientIp::forwarded(private());
    for malformed in [
        "",
        ";",
        "for=unknown",
        "for=\"unknown\"",
        "for=_gazonk",
        "for=\"_gazonk:80\"",
        "for=",
        "for=\"\"",
        "for=\"",
        "for",
        "192.0.2.7",
        "by=192.0.2.7",
        "proto=https",
        "xfor=192.0.2.7",
        "for=192.0.2.7;for=192.0.2.7",
        "for=192.0.2.7;FOR=198.51.100.9",
        "for=192.0.2.7;broken",
        "for=192.0.2.7 198.51.100.9",
        "for=\"192.0.2.7",
        "for=192.0.2.7\"",
        "for='192.0.2.7'",
        "for=\"192.0.2.7\"x",
        "for=\"192\\.0.2.7\"",
        "for=192.0.2.7;host=\"a\\b\"",
        "for = 192.0.2.7",
    ] {
        let only = format!("for=198.51.100.9, {malformed}");
        check(
            &source,
            "forwarded",
            &[(&[&only], PROXY), (&["for=198.51.100.9", malformed], PROXY)],
        );
        let behind = format!("for=198.51.100.9, {malformed}, for=10.0.0.3, for=10.0.0.2");
        check(&source, "forwarded", &[(&[&behind], "10.0.0.3")]);
    }
}

fn real_ip(proxies: TrustedProxies) -> ClientIp {
    ClientIp::single(HeaderName::from_static("x-real-ip"), proxies).unwrap()
}

#[test]
fn a_header_with_one_address_has_one_line_with_one_address() {
    for proxies in [private(), hops(1), hops(3)] {
        check(
            &real_ip(proxies),
            "x-real-ip",
            &[
                (&["192.0.2.7"], "192.0.2.7"),
                (&[" 192.0.2.7:4711 "], "192.0.2.7"),
                (&["10.0.0.9"], "10.0.0.9"),
                (&["192.0.2.7", "192.0.2.7"], PROXY),
                (&["198.51.100.9, 192.0.2.7"], PROXY),
                (&["unknown"], PROXY),
                (&[""], PROXY),
                (&[], PROXY),
            ],
        );
    }
}

#[test]
fn one_with_a_64_bit_network_of_their_own_is_one_client() {
    let source = ClientIp::x_forwarded_for(private());
    let key = |address: &str| source.key(&from(PROXY, XFF, &[address]));
    let network = Ok(AddressKey::V6("2001:db8:1:2::".parse().unwrap()));
    for host in 0..100_u64 {
        // Any of them, near and far.
        let bits = u128::from(host.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let address = 0x2001_0db8_0001_0002_u128 << 64 | bits;
        let address = std::net::Ipv6Addr::from(address).to_string();
        assert_eq!(key(&address), network);
        assert_eq!(key(&format!("[{address}]:{host}")), network);
    }
    assert_ne!(key("2001:db8:1:3::1"), network);
    let site = source.clone().ipv6_prefix(48).unwrap();
    let site = |address: &str| site.key(&from(PROXY, XFF, &[address]));
    assert_eq!(site("2001:db8:1:2::1"), site("2001:db8:1:3::1"));
    assert_eq!(key("::ffff:192.0.2.7"), Ok(AddressKey::V4([192, 0, 2, 7].into())));
}

#[test]
fn a_list_as_long_as_any_ends_after_a_hundred_hops() {
    let source = ClientIp::x_forwarded_for(private());
    let before = |proxies: usize| format!("192.0.2.7{}", ", 10.0.0.2".repeat(proxies));
    check(
        &source,
        XFF,
        &[
            (&[&before(99)], "192.0.2.7"),
            (&[&before(100)], "10.0.0.2"),
            (&[&before(50_000)], "10.0.0.2"),
            (&[&",".repeat(500_000)], PROXY),
            (&[&"9".repeat(500_000)], PROXY),
        ],
    );
    let by_hops = ClientIp::x_forwarded_for(hops(100));
    check(&by_hops, XFF, &[(&[&before(99)], "192.0.2.7"), (&[&before(98)], PROXY)]);
    let forwarded = ClientIp::forwarded(private());
    check(&forwarded, "forwarded", &[(&[&"\"".repeat(500_001)], PROXY)]);
}
