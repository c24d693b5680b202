//! The rate-limit fields of all generations.

use super::{
    heard::Left,
    number::{calls, seconds, until_reset},
};
use crate::clock::WallTime;
use http::HeaderMap;
use std::time::Duration;

/// Of longer lists, and of more lines, the rest is not read.
const MOST_MEMBERS: usize = 32;

/// Fields of their own for what is left and for when that ends.
const PAIRS: [(&str, &str); 3] = [
    ("ratelimit-remaining", "ratelimit-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("x-rate-limit-remaining", "x-rate-limit-reset"),
];

/// The strictest of all that the fields say is left; `now` is the server's.
pub(super) fn left(headers: &HeaderMap, now: WallTime) -> Option<Left> {
    let members: Vec<&str> = members(headers, "ratelimit").collect();
    let listed = members.iter().filter_map(|member| named(headers, member));
    let pairs = PAIRS.iter().filter_map(|(remaining, reset)| {
        let value = |name: &&str| headers.get(*name)?.to_str().ok();
        Some(Left { calls: calls(value(remaining)?)?, within: until_reset(value(reset)?, now)? })
    });
    listed.chain(dictionary(&members, now)).chain(pairs).reduce(Left::stricter)
}

/// `"name";r=50;t=30`. Where `t` is missing, the policy of that name says how long its window is.
fn named(headers: &HeaderMap, member: &str) -> Option<Left> {
    let within = || match parameter(member, "t") {
        Some(t) => seconds(t),
        None => window(headers, name(member)),
    };
    Some(Left { calls: calls(parameter(member, "r")?)?, within: within()? })
}

/// `limit=100, remaining=50, reset=5`.
fn dictionary(members: &[&str], now: WallTime) -> Option<Left> {
    let value = |key| members.iter().find_map(|member| pair(name(member), key));
    Some(Left { calls: calls(value("remaining")?)?, within: until_reset(value("reset")?, now)? })
}

/// The window of the policy with this name.
fn window(headers: &HeaderMap, policy: &str) -> Option<Duration> {
    let mut policies = members(headers, "ratelimit-policy");
    let policy = policies.find(|member| name(member) == policy)?;
    seconds(parameter(policy, "w")?)
}

/// The members of a list that may be spread over several lines.
fn members<'a>(headers: &'a HeaderMap, field: &'static str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(field).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| split(line, ',')).take(MOST_MEMBERS)
}

fn name(member: &str) -> &str {
    split(member, ';').next().unwrap_or_default()
}

/// The value of one of the parameters behind the name; the last where it is given twice.
fn parameter<'a>(member: &'a str, key: &str) -> Option<&'a str> {
    split(member, ';').skip(1).filter_map(|parameter| pair(parameter, key)).last()
}

/// The value of `key=value`, if it is that key.
fn pair<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (found, value) = text.split_once('=')?;
    found.trim().eq_ignore_ascii_case(key).then_some(value.trim())
}

/// The parts between the separators that are not in quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let ends = move |character| {
        let is_quote = character == '"' && !escaped;
        escaped = quoted && character == '\\' && !escaped;
        quoted ^= is_quote;
        character == separator && !quoted
    };
    text.split(ends).map(str::trim)
}
