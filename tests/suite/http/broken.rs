//! What a client reads in fields that are broken in any way.

use super::{
    heard::{Dice, LARGEST, headers, now, secs},
    vendors::{Head, heads},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sfv::{BareItem, List, ListEntry, Parser};
use std::time::Duration;
use tower_ratelimit::http::{Heard, Left};

const RATE_LIMIT: &str = include_str!("corpus/ratelimit.txt");

/// Fields by name, and what was seen in them.
const FIELDS: [(&str, &str); 5] = [
    ("retry-after", include_str!("corpus/retry_after.txt")),
    ("ratelimit", RATE_LIMIT),
    ("ratelimit-policy", include_str!("corpus/ratelimit_policy.txt")),
    ("date", include_str!("corpus/date.txt")),
    ("age", "0\n1\n60\n31536000\n2147483648\n18446744073709551616\n-1\n1.5\nold\n5, 7"),
];

/// Pieces that mean something to a parser.
const PIECES: [&[u8]; 16] = [
    b"\"",
    b"\\",
    b";",
    b",",
    b"=",
    b"-",
    b".",
    b":",
    b"(",
    b"?1",
    b"9999999999",
    b";r=0",
    b";t=1",
    b"GMT",
    b"\xff",
    b"\t",
];

/// A line of a corpus after some changes: flipped bits, cuts, doubles, pieces put in, and the end of
/// another line in place of its own.
fn broken(dice: &mut Dice, corpus: &[&str], mut line: Vec<u8>) -> Vec<u8> {
    for _ in 0..dice.throw(4) {
        let at = dice.throw(line.len() + 1);
        let end = (at + dice.throw(12)).min(line.len());
        match dice.throw(6) {
            0 if at < line.len() => line[at] ^= 1 << dice.throw(8),
            1 => drop(line.drain(at..end)),
            2 => line.truncate(at),
            3 => drop(line.splice(at..at, line[at..end].to_vec())),
            4 => {
                let other = corpus[dice.throw(corpus.len())].as_bytes();
                drop(line.splice(at.., other[dice.throw(other.len() + 1)..].to_vec()));
            }
            _ => drop(line.splice(at..at, PIECES[dice.throw(PIECES.len())].to_vec())),
        }
    }
    line
}

fn read(status: StatusCode, headers: &HeaderMap) -> Heard {
    Heard::read(status, headers, now())
}

/// Rounded up to whole seconds, and no more than a field can carry.
fn printed(length: Duration) -> u64 {
    length.as_millis().div_ceil(1000).try_into().unwrap_or(LARGEST).min(LARGEST)
}

/// What holds for everything that is heard.
fn check(heard: Heard, headers: &HeaderMap) {
    // One second more where a fraction was rounded up.
    let longest = secs(LARGEST + 1);
    assert!(heard.retry_after.is_none_or(|wait| wait <= longest), "{headers:?}");
    assert!(heard.pause().is_none_or(|pause| pause <= longest), "{headers:?}");
    let fits = |left: Left| left.calls <= LARGEST && left.within <= longest;
    assert!(heard.left.is_none_or(fits), "{headers:?}");
    assert!(heard.refused || heard.retry_after.is_none(), "{headers:?}");
    assert!(!heard.refused || heard.pause().is_some(), "{headers:?}");

    // Written by the rules it says the same.
    let mut again = HeaderMap::new();
    if let Some(wait) = heard.retry_after {
        again.insert("retry-after", printed(wait).into());
    }
    if let Some(Left { calls, within }) = heard.left {
        let text = format!("\"again\";r={calls};t={}", printed(within));
        again.insert("ratelimit", text.parse().unwrap());
    }
    let status = if heard.refused { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::OK };
    let whole = |length| secs(printed(length));
    let left = heard.left.map(|left| Left { within: whole(left.within), ..left });
    let expected = Heard { retry_after: heard.retry_after.map(whole), left, ..heard };
    assert_eq!(read(status, &again), expected, "{headers:?}");
}

/// As many cases as take a second or two; the dice are always the same.
const CASES: usize = 30_000;

#[test]
fn broken_fields_never_panic_nor_ask_for_more_than_there_can_be() {
    let mut dice = Dice(5);
    let mut heard_something = 0;
    for case in 0..CASES {
        let mut headers = HeaderMap::new();
        for (name, lines) in FIELDS {
            let corpus: Vec<&str> = lines.lines().collect();
            // All of the corpus as it is before anything is broken.
            let line = corpus.get(case).copied().unwrap_or(corpus[dice.throw(corpus.len())]);
            let line = if case < corpus.len() {
                line.as_bytes().to_vec()
            } else {
                broken(&mut dice, &corpus, line.into())
            };
            // A field that is always there would hide what stands in others.
            if let Ok(value) = HeaderValue::from_bytes(&line)
                && (name != "age" || dice.throw(4) == 0)
            {
                headers.append(name, value);
            }
        }
        let status = [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS][dice.throw(2)];
        let heard = read(status, &headers);
        check(heard, &headers);
        heard_something += usize::from(heard.left.is_some() || heard.retry_after.is_some());
    }
    assert!(heard_something > CASES / 4, "only {heard_something} could be read: too broken");
}

#[test]
fn broken_heads_of_services_never_panic_nor_ask_for_more_than_there_can_be() {
    let heads: Vec<Head> = heads().collect();
    let corpus: Vec<&str> = heads.iter().flat_map(|head| head.lines.lines()).collect();
    let mut dice = Dice(6);
    let mut heard_something = 0;
    for _ in 0..CASES {
        let head = &heads[dice.throw(heads.len())];
        let mut headers = HeaderMap::new();
        for (name, value) in head.lines.lines().filter_map(|line| line.split_once(": ")) {
            let value = broken(&mut dice, &corpus, value.into());
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
            }
        }
        let heard = read(head.status, &headers);
        check(heard, &headers);
        heard_something += usize::from(heard.left.is_some() || heard.retry_after.is_some());
    }
    assert!(heard_something > CASES / 4, "only {heard_something} could be read: too broken");
}

/// What a field says by the rules of structured fields: `None` where it is none, or has numbers or
/// lists of which those say nothing.
fn structured(line: &str) -> Option<Vec<Left>> {
    let list: List = Parser::new(line).parse().ok()?;
    let mut all = Vec::new();
    for entry in &list {
        let ListEntry::Item(item) = entry else { return None };
        let number = |key: &str| match item.params.get(key) {
            Some(BareItem::Integer(number)) => Ok(u64::try_from(i64::from(*number)).ok()),
            Some(BareItem::Decimal(_) | BareItem::Boolean(_)) => Err(()),
            _ => Ok(None),
        };
        let (calls, seconds) = (number("r").ok()?, number("t").ok()?);
        if let (Some(calls), Some(seconds)) = (calls, seconds) {
            all.push(Left { calls, within: secs(seconds) });
        }
    }
    Some(all)
}

#[test]
fn whatever_is_a_structured_field_is_read_as_by_a_parser_of_those() {
    let corpus: Vec<&str> = RATE_LIMIT.lines().collect();
    let mut dice = Dice(7);
    let mut compared = 0;
    for case in 0..CASES {
        let line = match corpus.get(case) {
            Some(line) => line.as_bytes().to_vec(),
            None => {
                let line = corpus[dice.throw(corpus.len())];
                broken(&mut dice, &corpus, line.into())
            }
        };
        let Ok(line) = String::from_utf8(line) else { continue };
        let Ok(value) = HeaderValue::from_str(&line) else { continue };
        let Some(expected) = structured(&line) else { continue };
        let left = read(StatusCode::OK, &HeaderMap::from_iter([(RATELIMIT, value)])).left;
        match (left, &expected[..]) {
            (None, []) => {}
            (Some(left), [_, ..]) => assert!(expected.contains(&left), "{line}: {left:?}"),
            _ => panic!("{line}: {left:?} instead of {expected:?}"),
        }
        compared += usize::from(!expected.is_empty());
    }
    assert!(compared > CASES / 10, "only {compared} could be read: too broken");
}

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

#[test]
fn a_wait_is_counted_from_a_date_in_whatever_form_that_is() {
    let last = httpdate::parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT").unwrap();
    let mut dates = 0;
    for date in include_str!("corpus/date.txt").lines() {
        let Ok(time) = httpdate::parse_http_date(date.trim()) else { continue };
        let end = time + secs(90);
        if end <= last {
            dates += 1;
            let lines = format!("date: {date}\nretry-after: {}", httpdate::fmt_http_date(end));
            let heard = read(StatusCode::TOO_MANY_REQUESTS, &headers(&lines));
            assert_eq!(heard.retry_after, Some(secs(90)), "{date}");
        }
    }
    assert!(dates > 25, "only {dates} are dates");
}
