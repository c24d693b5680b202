//! What is in the headers of proxies, from the right to the left.

use super::node;
use http::HeaderValue;
use std::{iter, net::IpAddr};

/// The addresses of an `X-Forwarded-For` line, from the right: nothing in place of an entry that is
/// none.
pub(super) fn plain(line: &HeaderValue) -> impl Iterator<Item = Option<IpAddr>> {
    line.as_bytes().rsplit(|byte| *byte == b',').map(|entry| node::address(trimmed(entry)))
}

/// The addresses of a `Forwarded` line, from the right: nothing in place of an element that does
/// not say an address, or has an escape in a quoted string, which no address needs.
///
/// Commas and semicolons in quotes are text. Read from the right, an element is told by what stands
/// in it and to its right alone: a quote that a client left open takes nothing of what a proxy
/// added behind it.
pub(super) fn elements(line: &HeaderValue) -> impl Iterator<Item = Option<IpAddr>> {
    unquoted_rsplit(line.as_bytes(), b',').map(element)
}

/// The one address of a line that has one.
pub(super) fn single(line: &HeaderValue) -> Option<IpAddr> {
    node::address(trimmed(line.as_bytes()))
}

/// The address after `for=`, which is to be there once.
fn element(element: &[u8]) -> Option<IpAddr> {
    if element.contains(&b'\\') {
        return None;
    }
    let mut found = None;
    for pair in unquoted_rsplit(element, b';').map(trimmed).filter(|pair| !pair.is_empty()) {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&pair[..equals], unquoted(&pair[equals + 1..])?);
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
    }
    node::address(found?)
}

/// What is between the quotes, if there are any.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    let value = match value {
        [b'"', text @ .., b'"'] => text,
        bare => bare,
    };
    (!value.contains(&b'"')).then_some(value)
}

/// The parts between separators that are not in quotes, from the right.
fn unquoted_rsplit(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let text = rest?;
        let mut is_quoted = false;
        let last = text.iter().rposition(|byte| {
            is_quoted ^= *byte == b'"';
            *byte == separator && !is_quoted
        });
        rest = last.map(|separator| &text[..separator]);
        Some(&text[last.map_or(0, |separator| separator + 1)..])
    })
}

fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}
