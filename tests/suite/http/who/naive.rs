//! The same once more, so simple that it is unlikely to be wrong: everything is taken apart first,
//! and looked at then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy, Debug)]
pub(super) enum Trusted {
    /// 10.0.0.0/8 and fd00::/8.
    Private,
    Hops(usize),
}

/// Who asks by `X-Forwarded-For`.
pub(super) fn x_forwarded_for(peer: IpAddr, lines: &[String], trusted: Trusted) -> IpAddr {
    let entries = lines.iter().flat_map(|line| line.split(','));
    walk(peer, entries.map(node).collect(), trusted)
}

/// Who asks by `Forwarded`.
pub(super) fn forwarded(peer: IpAddr, lines: &[String], trusted: Trusted) -> IpAddr {
    let elements = lines.iter().flat_map(|line| outside_quotes(line, ','));
    walk(peer, elements.map(|element| for_of(&element)).collect(), trusted)
}

/// Who asks by a header with a single address, when the peer is trusted.
pub(super) fn single(peer: IpAddr, lines: &[String]) -> IpAddr {
    match lines {
        [line] => node(line).unwrap_or(peer),
        _ => peer,
    }
}

fn walk(peer: IpAddr, entries: Vec<Option<IpAddr>>, trusted: Trusted) -> IpAddr {
    let known: Vec<IpAddr> = entries.iter().rev().map_while(|entry| *entry).take(100).collect();
    match trusted {
        Trusted::Hops(hops) if known.len() >= hops => known[hops - 1],
        Trusted::Hops(_) if known.len() == entries.len() => peer,
        Trusted::Hops(_) => known.last().copied().unwrap_or(peer),
        Trusted::Private => {
            let all = [vec![peer], known].concat();
            let client = all.iter().find(|address| !is_private(**address));
            *client.unwrap_or(&all[all.len() - 1])
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

/// The parts between separators with an even number of quotes to their right.
fn outside_quotes(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    for (index, character) in text.char_indices() {
        let is_outside = text[index..].matches('"').count().is_multiple_of(2);
        match parts.last_mut() {
            Some(part) if character != separator || !is_outside => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    parts
}

fn for_of(element: &str) -> Option<IpAddr> {
    let pairs: Vec<String> = outside_quotes(element, ';')
        .iter()
        .map(|pair| pair.trim_matches([' ', '\t']).to_owned())
        .filter(|pair| !pair.is_empty())
        .collect();
    let are_pairs = pairs.iter().all(|pair| match pair.split_once('=') {
        None => false,
        Some((_, value)) => match value.matches('"').count() {
            0 => true,
            2 => value.starts_with('"') && value.ends_with('"'),
            _ => false,
        },
    });
    let is_for = |pair: &&String| pair.to_ascii_lowercase().starts_with("for=");
    let fors: Vec<&String> = pairs.iter().filter(is_for).collect();
    match fors[..] {
        [one] if are_pairs && !element.contains('\\') => node_alone(&one[4..].replace('"', "")),
        _ => None,
    }
}

fn node(entry: &str) -> Option<IpAddr> {
    node_alone(entry.trim_matches([' ', '\t']))
}

/// Whatever it is when the text is cut into an address and a port at any place, or not at all.
fn node_alone(text: &str) -> Option<IpAddr> {
    let mut with_port = text.match_indices(':').filter(|(colon, _)| is_port(&text[colon + 1..]));
    let with_port = with_port.find_map(|(colon, _)| {
        let before = &text[..colon];
        before.parse().map(Ipv4Addr::into).ok().or_else(|| bracketed(before))
    });
    let without = || text.parse().map(Ipv4Addr::into).ok();
    let address: IpAddr =
        without().or_else(|| bracketed(text)).or_else(|| ipv6(text)).or(with_port)?;
    Some(address.to_canonical())
}

fn bracketed(text: &str) -> Option<IpAddr> {
    let has_brackets = text.starts_with('[') && text.ends_with(']');
    if has_brackets { ipv6(&text[1..text.len() - 1]) } else { None }
}

fn ipv6(text: &str) -> Option<IpAddr> {
    let parts: Vec<&str> = text.split('%').collect();
    match parts[..] {
        [address] => address.parse().map(Ipv6Addr::into).ok(),
        [address, zone] if is_name(zone) => address.parse().map(Ipv6Addr::into).ok(),
        _ => None,
    }
}

fn is_port(text: &str) -> bool {
    let digits = !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
    let number = digits
        && text.trim_start_matches('0').len() <= 5
        && text.parse::<u32>().is_ok_and(|port| port < 65536);
    number || text.strip_prefix('_').is_some_and(is_name)
}

fn is_name(text: &str) -> bool {
    let is_part = |part: char| part.is_ascii_alphanumeric() || "._-~".contains(part);
    !text.is_empty() && text.chars().all(is_part)
}
