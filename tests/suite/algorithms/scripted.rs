//! Algorithms for databases: in whole microseconds, and never more generous for it.

use super::{ask, wait};
use std::time::Duration;
use tower_ratelimit::{Algorithm, AnyAlgorithm, Ask, Invalid, Take, algorithm::Scripted};

const MICROSECOND: u64 = 1000;

fn read(line: &str) -> AnyAlgorithm {
    line.parse().unwrap()
}

fn invalid(line: &str) -> Invalid {
    read(line).in_microseconds().expect_err(line)
}

/// Lines whose numbers are no whole microseconds, with what becomes of them.
const LINES: [(&str, &str, &[u64]); 17] = [
    ("leaky bucket 3/s, capacity 5", "leaky_bucket", &[333_334, 5]),
    ("leaky bucket 10/s, capacity 4, any window", "leaky_bucket", &[142_858, 4]),
    ("strict 7/s", "strict", &[142_858]),
    ("burst compensating 1/1001ns, max burst 9", "burst_compensating", &[2, 9]),
    ("token bucket 5/s, capacity 20", "token_bucket", &[1_000_000, 5, 20, 0, 0, 0]),
    ("token bucket 2/2001ns, capacity 3, initial 1", "token_bucket", &[3, 2, 3, 2, 0, 0]),
    (
        "token bucket 2/ms, capacity 2, aligned to 1700001ns",
        "token_bucket",
        &[1000, 2, 2, 0, 1, 701],
    ),
    ("quota 9", "quota", &[9]),
    ("fixed window 3/3001ns", "fixed_window", &[4, 3, 3, 0, 0, 0]),
    ("fixed window 3/s, aligned to 0s", "fixed_window", &[1_000_000, 3, 3, 0, 1, 0]),
    ("sliding window 1/1001ns and 2/2002ns", "sliding_window", &[1, 2, 2, 3]),
    ("sliding window counter 60/min", "sliding_window_counter", &[60, 60_000_000]),
    ("sliding window counter 7/9001ns", "sliding_window_counter", &[7, 10]),
    ("concurrency 8, lease 1500ns", "concurrency", &[8, 2]),
    ("concurrency 8", "concurrency", &[8, 0]),
    ("serialized 1/1999ns", "serialized", &[1, 2, 0]),
    ("serialized 1/1999ns, lease 2500ns", "serialized", &[1, 2, 3]),
];

#[test]
fn intervals_windows_and_leases_are_rounded_up_to_microseconds() {
    for (line, kind, parameters) in LINES {
        let limit = read(line).in_microseconds().unwrap();
        assert_eq!((limit.kind(), &limit.parameters()[..]), (kind, parameters), "{line}");
        assert_eq!(limit.clone().in_microseconds(), Ok(limit), "{line}: twice is once");
    }
}

#[test]
fn the_rounded_limit_lets_go_no_more_in_any_window() {
    for (line, ..) in LINES {
        let limit = read(line);
        let rounded = limit.clone().in_microseconds().unwrap();
        for length in [1, 999, 1000, 1001, 2000, 10_000, 999_999_999, 3_000_000_000] {
            let length = Duration::from_nanos(length);
            assert!(rounded.most_in(length) <= limit.most_in(length), "{line} in {length:?}");
        }
    }
}

#[test]
fn waits_are_whole_microseconds() {
    for (line, ..) in LINES {
        let limit = read(line).in_microseconds().unwrap();
        let mut state = <AnyAlgorithm as Algorithm>::State::default();
        for now in 0..200 {
            let now = now * MICROSECOND;
            let decision = ask(&limit, &mut state, now, Ask::Take(Take::fresh(1)));
            let wait = wait(decision).unwrap_or_default();
            assert_eq!(wait % MICROSECOND, 0, "{line}: {decision:?}");
        }
    }
}

#[test]
fn rates_above_a_permit_a_microsecond_are_typed_errors() {
    for line in [
        "leaky bucket 1000001/s, capacity 1",
        "strict 2/1999ns",
        "burst compensating 1/999ns, max burst 1",
        "token bucket 1001/ms, capacity 1001",
        "sliding window 1/900ns",
        "fixed window 2000000/s",
        "sliding window counter 1/ns",
        "serialized 5/4us",
    ] {
        let invalid = invalid(line);
        assert_eq!(invalid.parameter(), "rate", "{line}");
        assert_eq!(invalid.allowed(), "at most 1,000,000 permits a second in this store");
    }
    assert!(read("leaky bucket 1000000/s, capacity 1").in_microseconds().is_ok());
}

#[test]
fn spans_beyond_what_scripts_can_count_are_typed_errors() {
    const CENTURY: u64 = 100 * 365;
    for (line, parameter) in [
        ("leaky bucket 1/day, capacity DAYS", "capacity"),
        ("burst compensating 1/day, max burst DAYS", "max_burst"),
        ("token bucket 1/day, capacity DAYS", "capacity"),
        ("concurrency 1, lease DAYSday", "lease"),
        ("serialized 1/s, lease DAYSday", "lease"),
    ] {
        let with = |days: u64| line.replace("DAYS", &days.to_string());
        assert!(read(&with(CENTURY)).in_microseconds().is_ok(), "{line}");
        assert_eq!(invalid(&with(CENTURY + 1)).parameter(), parameter);
    }
}
