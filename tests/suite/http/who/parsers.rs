//! Headers of any bytes, read by the crate and by an oracle.

use super::{from, ip, naive};
use http::{HeaderName, HeaderValue};
use proptest::{prelude::*, sample::Index};
use tower_ratelimit::http::{ClientIp, TrustedProxies};

const CORPUS: &str =
    concat!(include_str!("corpus/x_forwarded_for.txt"), include_str!("corpus/forwarded.txt"));

/// Bytes that mean something to a parser.
const TELLING: &[u8] = b"\",;:=[]%\\._- \t0129afx\x80\xff";

/// A line of the corpus, or two, after some changes.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let telling = prop_oneof![3 => prop::sample::select(TELLING), 1 => any::<u8>()];
    let changes = prop::collection::vec((0..5_u8, any::<Index>(), any::<Index>(), telling), 0..6);
    (any::<Index>(), any::<Index>(), changes).prop_map(|(one, other, changes)| {
        let seeds: Vec<&str> = CORPUS.lines().collect();
        let mut line = one.get(&seeds).as_bytes().to_vec();
        for (kind, place, end, byte) in changes {
            let place = place.index(line.len() + 1);
            let end = (place + end.index(8)).min(line.len());
            match kind {
                0 => line.insert(place, byte),
                1 => drop(line.drain(place..end)),
                2 => line[place..end].fill(byte),
                3 => drop(line.splice(place..place, line[place..end].to_vec())),
                _ => drop(line.splice(place.., other.get(&seeds).bytes().skip(end - place))),
            }
        }
        // Anything else never gets this far.
        line.retain(|byte| HeaderValue::from_bytes(&[*byte]).is_ok());
        line
    })
}

fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(line(), 0..4)
}

/// What has no meaning outside of quotes, nor an address in it, as text.
fn text(lines: &[Vec<u8>]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

fn trusted() -> [(TrustedProxies, naive::Trusted); 3] {
    let private = TrustedProxies::networks(["10.0.0.0/8", "fd00::/8"]).unwrap();
    let hops = |hops: u8| TrustedProxies::hops(hops).unwrap();
    [
        (private, naive::Trusted::Private),
        (hops(1), naive::Trusted::Hops(1)),
        (hops(3), naive::Trusted::Hops(3)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn headers_of_any_bytes_are_read_as_by_an_oracle(lines in lines(), is_proxy in any::<bool>()) {
        let peer = if is_proxy { "10.0.0.1" } else { "198.51.100.77" };
        let texts = text(&lines);
        for (proxies, trusted) in trusted() {
            let list = ClientIp::x_forwarded_for(proxies.clone());
            let found = list.address(&from(peer, "x-forwarded-for", &lines));
            prop_assert_eq!(found, Ok(naive::x_forwarded_for(ip(peer), &texts, trusted)));

            let elements = ClientIp::forwarded(proxies.clone());
            let found = elements.address(&from(peer, "forwarded", &lines));
            prop_assert_eq!(found, Ok(naive::forwarded(ip(peer), &texts, trusted)));

            let name = HeaderName::from_static("x-real-ip");
            let single = ClientIp::single(name, proxies).unwrap();
            let found = single.address(&from(peer, "x-real-ip", &lines));
            let believed = is_proxy || matches!(trusted, naive::Trusted::Hops(_));
            let expected = if believed { naive::single(ip(peer), &texts) } else { ip(peer) };
            prop_assert_eq!(found, Ok(expected));
        }
    }

    /// Neither from the left of what cannot be read, nor from the left of the client.
    #[test]
    fn whatever_a_client_sends_is_not_what_its_proxy_adds(
        sent in lines(),
        last in line(),
        client in 0..4_usize,
        proxies in 0..3_usize,
        has_own_line in any::<bool>(),
    ) {
        let private = TrustedProxies::networks(["10.0.0.0/8", "fd00::/8"]).unwrap();
        let list = (
            ClientIp::x_forwarded_for(private.clone()),
            "x-forwarded-for",
            [("192.0.2.7", "192.0.2.7"), ("[2001:db8::7]:9", "2001:db8::7"), ("?", ""), ("", "")],
            ", 10.0.0.2",
        );
        let elements = (
            ClientIp::forwarded(private),
            "forwarded",
            [
                ("for=192.0.2.7", "192.0.2.7"),
                ("by=_a;for=\"[2001:db8::7]:9\"", "2001:db8::7"),
                ("for=unknown", ""),
                ("host=\"for=192.0.2.7, for=192.0.2.7\"", ""),
            ],
            ", for=\"10.0.0.2:80\";by=10.0.0.1",
        );
        for (source, header, added, proxy) in [list, elements] {
            let (text, address) = added[client];
            let added = format!("{text}{}", proxy.repeat(proxies));
            let mut lines = sent.clone();
            lines.push(last.clone());
            if has_own_line {
                lines.push(added.into_bytes());
            } else if let Some(line) = lines.last_mut() {
                line.extend([b", ", added.as_bytes()].concat());
            }
            let known = if proxies == 0 { "10.0.0.1" } else { "10.0.0.2" };
            let expected = if address.is_empty() { known } else { address };
            let found = source.address(&from("10.0.0.1", header, &lines));
            prop_assert_eq!(found, Ok(ip(expected)), "{:?}", lines);
        }
    }
}

#[test]
fn every_line_of_the_corpus_is_read_as_by_the_oracle() {
    for line in CORPUS.lines() {
        for (proxies, trusted) in trusted() {
            let (peer, lines) = (ip("10.0.0.1"), [line.to_owned()]);
            let list = ClientIp::x_forwarded_for(proxies.clone());
            let found = list.address(&from("10.0.0.1", "x-forwarded-for", &[line]));
            assert_eq!(found, Ok(naive::x_forwarded_for(peer, &lines, trusted)), "{line}");
            let elements = ClientIp::forwarded(proxies);
            let found = elements.address(&from("10.0.0.1", "forwarded", &[line]));
            assert_eq!(found, Ok(naive::forwarded(peer, &lines, trusted)), "{line}");
        }
    }
}
