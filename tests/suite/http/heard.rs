//! What a client reads in the head of a response.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::time::{Duration, SystemTime};
use tower_ratelimit::http::{Heard, Left};

/// Sat, 21 Nov 2026 18:00:00 GMT, in seconds since 1970.
const NOW: u64 = 1_795_284_000;

pub(super) const LARGEST: u64 = 999_999_999_999_999;

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + secs(NOW)
}

/// The lines of a head, one header each.
pub(super) fn headers(lines: &str) -> HeaderMap {
    let lines = lines.lines().filter_map(|line| line.split_once(": "));
    lines
        .map(|(name, value)| {
            (name.trim().parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn read(status: u16, lines: &str) -> Heard {
    Heard::read(StatusCode::from_u16(status).unwrap(), &headers(lines), now())
}

fn left(calls: u64, within: u64) -> Option<Left> {
    Some(Left { calls, within: secs(within) })
}

#[test]
fn retry_after_is_read_in_all_its_forms_and_ignored_where_it_makes_no_sense() {
    let table = [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 7 ", Some(7)),
        ("2.0", Some(2)),
        ("0.5", Some(1)),
        ("1.000000001", Some(2)),
        ("3.", Some(3)),
        ("999999999999999", Some(LARGEST)),
        ("99999999999999999999999999", Some(LARGEST)),
        // The three forms of a date, ninety seconds from now.
        ("Sat, 21 Nov 2026 18:01:30 GMT", Some(90)),
        ("Saturday, 21-Nov-26 18:01:30 GMT", Some(90)),
        ("Sat Nov 21 18:01:30 2026", Some(90)),
        // The past is no wait.
        ("Sat, 21 Nov 2026 17:00:00 GMT", Some(0)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("", None),
        (".", None),
        (".5", None),
        ("-1", None),
        ("+1", None),
        ("1e9", None),
        ("0x10", None),
        ("1 2", None),
        ("1,2", None),
        ("inf", None),
        ("NaN", None),
        ("soon", None),
        ("Sat, 21 Nov 2026 25:00:00 GMT", None),
        ("Sat, 31 Feb 2026 18:00:00 GMT", None),
        ("Sat, 21 Nov 2026", None),
        ("2026-11-21T18:01:30Z", None),
    ];
    for (value, wait) in table {
        for status in [429, 503] {
            let heard = read(status, &format!("retry-after: {value}"));
            assert_eq!(heard.retry_after, wait.map(secs), "{value:?}");
            assert!(heard.refused);
            // A refusal that says nothing is a pause of a second.
            assert_eq!(heard.pause(), Some(secs(wait.unwrap_or(1))), "{value:?}");
        }
        assert_eq!(read(200, &format!("retry-after: {value}")), Heard::default(), "{value:?}");
    }
}

#[test]
fn dates_are_as_far_away_as_the_server_sees_them_whatever_the_local_clock_shows() {
    let lines = "date: Tue, 01 Jan 2030 00:00:00 GMT\nretry-after: Tue, 01 Jan 2030 00:00:05 GMT";
    assert_eq!(read(429, lines).pause(), Some(secs(5)));
    // An hour behind.
    let lines = "date: Sat, 21 Nov 2026 17:00:00 GMT\nretry-after: Sat, 21 Nov 2026 17:01:00 GMT";
    assert_eq!(read(429, lines).pause(), Some(secs(60)));
    // So are instants since 1970.
    let lines = format!(
        "date: Sat, 21 Nov 2026 19:00:00 GMT\nx-ratelimit-remaining: 0\nx-ratelimit-reset: {}",
        NOW + 3600 + 9
    );
    assert_eq!(read(200, &lines).pause(), Some(secs(9)));
    // Without a date that can be read the local one has to do.
    let lines = "date: yesterday\nretry-after: Sat, 21 Nov 2026 18:00:30 GMT";
    assert_eq!(read(429, lines).pause(), Some(secs(30)));
}

#[test]
fn the_fields_of_all_generations_are_read_and_malformed_ones_ignored() {
    let (second, millisecond) = (NOW + 30, (NOW + 30) * 1000);
    let table = [
        // Drafts 8 to 11.
        (r#"ratelimit: "default";r=50;t=30"#.to_string(), left(50, 30)),
        (r#"ratelimit: "default"; r=50; t=30; pk=:dHJ5O3I9MA==:"#.into(), left(50, 30)),
        ("ratelimit: default;t=30;r=50".into(), left(50, 30)),
        (r#"ratelimit: "a";r=9;t=90, "b";r=0;t=5, "c";r=0;t=4"#.into(), left(0, 5)),
        ("ratelimit: \"a\";r=9;t=90\nratelimit: \"b\";r=1;t=11".into(), left(1, 11)),
        (r#"ratelimit: "a,b;r=0;t=99\"c";r=5;t=50"#.into(), left(5, 50)),
        // Without `t` the window of the policy counts.
        (
            "ratelimit-policy: \"a\";q=9;w=3,\"b\";q=5;w=60\nratelimit: \"b\";r=5".into(),
            left(5, 60),
        ),
        ("ratelimit-policy: \"a\";q=9;w=3\nratelimit: \"b\";r=5".into(), None),
        (r#"ratelimit: "a";r=5"#.into(), None),
        (r#"ratelimit: "a";t=5"#.into(), None),
        (r#"ratelimit: "a";r=-5;t=5"#.into(), None),
        (r#"ratelimit: "a";r=x;t=5, "b";r=2;t=2"#.into(), left(2, 2)),
        (r#"ratelimit: "a";r=0;t=-5"#.into(), None),
        (r#"ratelimit: "a;r=0;t=5"#.into(), None),
        (r#"ratelimit: ;=,";,=;r==;t"#.into(), None),
        // Draft 7.
        ("ratelimit: limit=100, remaining=50, reset=5".into(), left(50, 5)),
        ("ratelimit: limit=100,  Remaining=0 ,reset=5;x=1".into(), left(0, 5)),
        ("ratelimit: limit=100, remaining=50".into(), None),
        // Draft 6 and before.
        (
            "ratelimit-limit: 9, 9;w=60\nratelimit-remaining: 4\nratelimit-reset: 20".into(),
            left(4, 20),
        ),
        ("ratelimit-remaining: 4".into(), None),
        ("ratelimit-reset: 4".into(), None),
        // What everybody had before that.
        ("x-ratelimit-remaining: 1\nx-ratelimit-reset: 30".into(), left(1, 30)),
        (format!("x-ratelimit-remaining: 1\nx-ratelimit-reset: {second}"), left(1, 30)),
        (format!("x-ratelimit-remaining: 1\nx-ratelimit-reset: {second}.25"), left(1, 31)),
        (format!("x-rate-limit-remaining: 1\nx-rate-limit-reset: {second}"), left(1, 30)),
        (format!("x-ratelimit-remaining: 1\nx-ratelimit-reset: {millisecond}"), left(1, 30)),
        ("x-ratelimit-remaining: 598.9\nx-ratelimit-reset: 30.1".into(), left(598, 31)),
        (format!("x-ratelimit-remaining: 1\nx-ratelimit-reset: {}", NOW - 5), left(1, 0)),
        ("x-ratelimit-remaining: none\nx-ratelimit-reset: 30".into(), None),
        ("x-ratelimit-remaining: 1\nx-ratelimit-reset: 6m0s".into(), None),
        // The strictest of all generations.
        (
            "ratelimit: \"a\";r=9;t=9\nx-ratelimit-remaining: 3\nx-ratelimit-reset: 30".into(),
            left(3, 30),
        ),
    ];
    for (lines, expected) in table {
        assert_eq!(read(200, &lines).left, expected, "{lines}");
    }
}

#[test]
fn retry_after_wins_over_the_fields_and_they_over_silence() {
    let fields = r#"ratelimit: "a";r=0;t=30"#;
    assert_eq!(read(429, &format!("{fields}\nretry-after: 7")).pause(), Some(secs(7)));
    assert_eq!(read(429, fields).pause(), Some(secs(30)));
    assert_eq!(read(429, r#"ratelimit: "a";r=4;t=30"#).pause(), Some(secs(1)));
    assert_eq!(read(200, fields).pause(), Some(secs(30)));
    assert_eq!(read(200, r#"ratelimit: "a";r=1;t=30"#).pause(), None);
    assert_eq!(read(200, r#"ratelimit: "a";r=0;t=0"#).pause(), None);
    // It refuses all the same: the end of the limit is past by another clock than its own.
    assert_eq!(read(429, r#"ratelimit: "a";r=0;t=0"#).pause(), Some(secs(1)));
    let past = format!("x-ratelimit-remaining: 0\nx-ratelimit-reset: {}", NOW - 5);
    assert_eq!(read(429, &past).pause(), Some(secs(1)));
    assert_eq!(read(429, &format!("{past}\nretry-after: 0")).pause(), Some(secs(0)));
    assert_eq!(read(403, fields).pause(), Some(secs(30)));
    assert_eq!(read(200, "").pause(), None);
    // Of several lines the longest.
    assert_eq!(read(503, "retry-after: 3\nretry-after: 9\nretry-after: 5").pause(), Some(secs(9)));
}

#[test]
fn the_time_that_a_refusal_was_kept_in_a_cache_is_taken_off_the_wait() {
    let at = |hour| format!("Sat, 21 Nov 2026 {hour} GMT");
    let table = [
        ("age: 0\nretry-after: 9".to_owned(), 9),
        ("age: 3\nretry-after: 9".into(), 6),
        ("age: 9\nretry-after: 9".into(), 0),
        ("age: 10\nretry-after: 9".into(), 0),
        ("age: 99999999999999999999\nretry-after: 9".into(), 0),
        ("age: 99999999999999999999\nretry-after: 99999999999999999999".into(), 0),
        ("age: 3\nretry-after: 5\nretry-after: 9\nretry-after: 1".into(), 6),
        // Rounded so that it is never too early.
        ("age: 3.9\nretry-after: 8.1".into(), 6),
        // What cannot be read is not there.
        ("age: old\nretry-after: 9".into(), 9),
        ("age: -3\nretry-after: 9".into(), 9),
        ("age: \nretry-after: 9".into(), 9),
        // A date is as far away as its server saw it when it answered, less that time.
        (format!("age: 30\ndate: {}\nretry-after: {}", at("09:00:00"), at("09:01:30")), 60),
        (format!("age: 90\ndate: {}\nretry-after: {}", at("09:00:00"), at("09:01:30")), 0),
        (format!("age: 91\ndate: {}\nretry-after: {}", at("09:00:00"), at("09:01:30")), 0),
        // And by the local clock as far as it is: no cache has changed that.
        (format!("age: 30\nretry-after: {}", at("18:01:30")), 90),
    ];
    for (lines, wait) in table {
        for status in [429, 503] {
            let heard = read(status, &lines);
            let expected = Heard { refused: true, retry_after: Some(secs(wait)), left: None };
            assert_eq!(heard, expected, "{lines}");
            assert_eq!(heard.pause(), Some(secs(wait)), "{lines}");
        }
        assert_eq!(read(200, &lines), Heard::default(), "{lines}");
    }
}

#[test]
fn what_else_a_response_out_of_a_cache_says_is_not_heard() {
    let fields = "ratelimit: \"a\";r=0;t=30";
    assert_eq!(read(200, &format!("age: 1\n{fields}")), Heard::default());
    assert_eq!(read(200, &format!("age: 0\n{fields}")).pause(), Some(secs(30)));
    assert_eq!(read(429, &format!("age: 1\n{fields}")), Heard::default());
    assert_eq!(read(429, "age: 1"), Heard::default());
    let heard = read(429, &format!("age: 1\nretry-after: 9\n{fields}"));
    assert_eq!((heard.left, heard.pause()), (None, Some(secs(8))));
}

/// Numbers that look as if thrown with dice, and are always the same.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn throw(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}
