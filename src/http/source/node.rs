//! What a proxy writes for the one who asked it.

use std::net::{IpAddr, Ipv6Addr};

/// The address of a node: `192.0.2.7`, `192.0.2.7:80`, `2001:db8::7`, `[2001:db8::7]`,
/// `[2001:db8::7]:80`, where IPv6 may have a zone and RFC 7239 allows for an obfuscated port
/// (`_name`). IPv4 if it is an IPv4-mapped one. Nothing for whatever else there may be, such as
/// `unknown` or an obfuscated identifier.
pub(super) fn address(node: &[u8]) -> Option<IpAddr> {
    let node = str::from_utf8(node).ok()?;
    let address = match node.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']')?;
            if !rest.is_empty() && !is_port(rest.strip_prefix(':')?) {
                return None;
            }
            ipv6(address)?.into()
        }
        None => match node.split_once(':') {
            None => IpAddr::V4(node.parse().ok()?),
            // Without brackets, several colons are an address and one is a port.
            Some((_, rest)) if rest.contains(':') => ipv6(node)?.into(),
            Some((address, port)) if is_port(port) => IpAddr::V4(address.parse().ok()?),
            Some(_) => return None,
        },
    };
    Some(address.to_canonical())
}

/// Without its zone, which says something to its own host only.
fn ipv6(address: &str) -> Option<Ipv6Addr> {
    let address = match address.split_once('%') {
        Some((address, zone)) if is_name(zone) => address,
        Some(_) => return None,
        None => address,
    };
    address.parse().ok()
}

fn is_port(port: &str) -> bool {
    match port.strip_prefix('_') {
        Some(name) => is_name(name),
        // `parse` alone takes a sign, too.
        None => port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok(),
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_part)
}
