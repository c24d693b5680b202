//! Algorithms as lines of text.

use proptest::prelude::*;
use std::{fmt::Debug, str::FromStr, time::Duration};
use tower_ratelimit::{
    AnyAlgorithm, BurstCompensating, Concurrency, FixedWindow, Invalid, LeakyBucket, Quota, Rate,
    Serialized, SlidingWindow, SlidingWindowCounter, Strict, TokenBucket,
};

pub(crate) fn rate() -> impl Strategy<Value = Rate> {
    let period = prop_oneof![1..100u64, 1..=788_400_000_000_000_000u64];
    let unit = prop::sample::select(vec![1, 1_000_000, 1_000_000_000, 60_000_000_000]);
    (1..=u32::MAX, period, unit).prop_map(|(permits, period, unit)| {
        let period = period.saturating_mul(unit).min(788_400_000_000_000_000);
        let permits = permits.min(u32::try_from(period).unwrap_or(u32::MAX));
        Rate::new(permits, Duration::from_nanos(period)).unwrap()
    })
}

fn instant() -> impl Strategy<Value = Option<Duration>> {
    let length = prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        any::<u32>().prop_map(|milliseconds| Duration::from_millis(milliseconds.into())),
        any::<u64>().prop_map(Duration::from_nanos),
    ];
    proptest::option::of(length)
}

/// Limits of every kind, with numbers of every size that is allowed.
pub(crate) fn limit() -> impl Strategy<Value = AnyAlgorithm> {
    let numbers = (any::<u32>(), proptest::option::of(any::<u32>()));
    (0..11, rate(), rate(), numbers, instant()).prop_map(
        |(kind, rate, other, (number, initial), instant)| match kind {
            0 => {
                let limit = LeakyBucket::new(rate);
                limit.capacity(number).unwrap_or(limit).into()
            }
            1 => LeakyBucket::any_window(rate, number % rate.permits().min(1000) + 1)
                .map_or(LeakyBucket::new(rate), |limit| limit)
                .into(),
            2 => Strict::new(rate).into(),
            3 => {
                let limit = BurstCompensating::new(rate);
                limit.max_burst(number).unwrap_or(limit).into()
            }
            4 => {
                let limit = TokenBucket::new(rate);
                let limit = limit.capacity(number).unwrap_or(limit);
                let limit = initial.and_then(|few| limit.initial(few).ok()).unwrap_or(limit);
                instant.map_or(limit, |instant| limit.aligned_to(instant)).into()
            }
            5 => Quota::new(number.max(1)).unwrap().into(),
            6 => SlidingWindow::all([rate, other]).unwrap_or(SlidingWindow::new(rate)).into(),
            7 => {
                let limit = FixedWindow::new(rate);
                instant.map_or(limit, |instant| limit.aligned_to(instant)).into()
            }
            8 => SlidingWindowCounter::new(rate).into(),
            9 => {
                let limit = Concurrency::new(number.max(1)).unwrap();
                instant.and_then(|lease| limit.lease(lease).ok()).unwrap_or(limit).into()
            }
            _ => {
                let limit = Serialized::new(rate);
                instant.and_then(|lease| limit.lease(lease).ok()).unwrap_or(limit).into()
            }
        },
    )
}

fn reads_back<A>(limit: &A) -> Result<(), TestCaseError>
where
    A: FromStr<Err = Invalid> + ToString + PartialEq + Debug,
{
    let line = limit.to_string();
    prop_assert_eq!(&line.parse::<A>().unwrap(), limit, "{}", line);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_printed_limit_is_read_as_the_same_limit(limit in limit()) {
        reads_back(&limit)?;
        // And by the algorithm itself.
        match &limit {
            AnyAlgorithm::LeakyBucket(limit) => reads_back(limit),
            AnyAlgorithm::Strict(limit) => reads_back(limit),
            AnyAlgorithm::BurstCompensating(limit) => reads_back(limit),
            AnyAlgorithm::TokenBucket(limit) => reads_back(limit),
            AnyAlgorithm::Quota(limit) => reads_back(limit),
            AnyAlgorithm::SlidingWindow(limit) => reads_back(limit),
            AnyAlgorithm::FixedWindow(limit) => reads_back(limit),
            AnyAlgorithm::SlidingWindowCounter(limit) => reads_back(limit),
            AnyAlgorithm::Concurrency(limit) => reads_back(limit),
            AnyAlgorithm::Serialized(limit) => reads_back(limit),
            _ => panic!("not one of those above"),
        }?;
    }

    #[test]
    fn whatever_is_read_is_an_answer_and_no_panic(
        line in "(leaky bucket|quota|fixed window|sliding window|concurrency|serialized) [0-9/ a-z]{0,8}(,? ?(and|capacity|lease|aligned to) [0-9]{0,40}[a-zµ]{0,3}){0,2}",
    ) {
        if let Ok(limit) = line.parse::<AnyAlgorithm>() {
            reads_back(&limit)?;
        }
    }
}

fn second(permits: u32) -> Rate {
    Rate::per_second(permits).unwrap()
}

/// These lines are stable: somebody has them in a file.
#[test]
fn every_algorithm_has_its_line() {
    let ten = second(10);
    let bucket = TokenBucket::new(second(5)).capacity(20).unwrap();
    let lines: [(AnyAlgorithm, &str); 16] = [
        (LeakyBucket::new(ten).capacity(5).unwrap().into(), "leaky bucket 10/s, capacity 5"),
        (
            LeakyBucket::any_window(ten, 5).unwrap().into(),
            "leaky bucket 10/s, capacity 5, any window",
        ),
        (Strict::new(ten).into(), "strict 10/s"),
        (BurstCompensating::new(ten).into(), "burst compensating 10/s, max burst 5"),
        (bucket.into(), "token bucket 5/s, capacity 20"),
        (bucket.initial(0).unwrap().into(), "token bucket 5/s, capacity 20, initial 0"),
        (
            bucket.initial(3).unwrap().aligned_to(Duration::from_millis(250)).into(),
            "token bucket 5/s, capacity 20, initial 3, aligned to 250ms",
        ),
        (Quota::new(1000).unwrap().into(), "quota 1000"),
        (SlidingWindow::new(ten).into(), "sliding window 10/s"),
        (
            SlidingWindow::all([Rate::per_day(1000).unwrap(), ten]).unwrap().into(),
            "sliding window 10/s and 1000/day",
        ),
        (FixedWindow::new(ten).into(), "fixed window 10/s"),
        (
            FixedWindow::new(ten).aligned_to(Duration::ZERO).into(),
            "fixed window 10/s, aligned to 0s",
        ),
        (SlidingWindowCounter::new(ten).into(), "sliding window counter 10/s"),
        (
            Concurrency::new(8).unwrap().lease(Duration::from_secs(30)).unwrap().into(),
            "concurrency 8, lease 30s",
        ),
        (Serialized::new(ten).into(), "serialized 10/s"),
        (
            Serialized::new(ten).lease(Duration::from_secs(30)).unwrap().into(),
            "serialized 10/s, lease 30s",
        ),
    ];
    for (limit, line) in lines {
        assert_eq!(limit.to_string(), line);
        assert_eq!(line.parse(), Ok(limit));
    }
}

#[test]
fn what_need_not_be_said_may_be_left_out() {
    let same = |line: &str, full: &str| {
        assert_eq!(line.parse::<AnyAlgorithm>().unwrap().to_string(), full, "{line}");
    };
    same("leaky bucket 10/s", "leaky bucket 10/s, capacity 10");
    same("burst compensating 10/s", "burst compensating 10/s, max burst 5");
    same("token bucket 5/s", "token bucket 5/s, capacity 5");
    same("concurrency 8", "concurrency 8");
}

#[test]
fn the_order_of_the_parts_and_spaces_do_not_matter() {
    for line in [
        "token bucket 5/s, initial 3, aligned to 250ms, capacity 20",
        "  token bucket  5 / s ,capacity  20 ,  initial 3, aligned to 250 ms ",
    ] {
        let limit: AnyAlgorithm = line.parse().unwrap();
        let full = "token bucket 5/s, capacity 20, initial 3, aligned to 250ms";
        assert_eq!(limit.to_string(), full);
    }
}

#[test]
fn a_line_is_refused_as_code_is_and_with_the_same_error() {
    for (line, expected) in [
        ("leaky bucket 10/s, capacity 0", "capacity is 0, but must be 1 to 78840000000"),
        (
            "leaky bucket 10/s, capacity 11, any window",
            "capacity is 11, but must be 1 to 10, the permits of the rate",
        ),
        (
            "leaky bucket 10/s, any window",
            "capacity is missing, but must be 1 to 10, the permits of the rate",
        ),
        ("burst compensating 1/day, max burst 0", "max_burst is 0, but must be 1 to 91250"),
        (
            "token bucket 5/s, capacity 4",
            "capacity is 4, but must be 5 or more, as many as arrive at a time",
        ),
        ("token bucket 5/s, initial 6", "initial is 6, but must be 0 to 5, the capacity"),
        ("quota 0", "permits is 0, but must be at least 1"),
        ("strict 0/s", "permits is 0, but must be at least 1"),
        ("strict 1/0s", "period is 0ns, but must be 1 ns to 25 years"),
        (
            "strict ten/s",
            r#"rate is "ten/s", but must be permits/period, such as "10/s", "500/hour" or "3/1500ms""#,
        ),
        (
            "sliding window 1/s and 3/2s",
            "rates is 1/s with 3/2s, but must be of falling density (permits by period) when \
             sorted by period",
        ),
        ("concurrency 0", "capacity is 0, but must be at least 1"),
        ("concurrency 1, lease 0s", "lease is 0ns, but must be 1 ns to 250 years"),
        ("serialized 1/s, lease 0s", "lease is 0ns, but must be 1 ns to 250 years"),
        ("concurrency 1, lease 91251day", "lease is 7884086400s, but must be 1 ns to 250 years"),
    ] {
        assert_eq!(line.parse::<AnyAlgorithm>().unwrap_err().to_string(), expected, "{line}");
    }
}

#[test]
fn what_is_no_number_is_named() {
    let most = "a whole number, at most 4294967295";
    for number in ["-1", "1.5", "4294967296", "99999999999999999999999", "five", "NaN", "inf", ""] {
        let invalid = format!("leaky bucket 10/s, capacity {number}").parse::<LeakyBucket>();
        let invalid = invalid.unwrap_err();
        let parts = (invalid.parameter(), invalid.value(), invalid.allowed());
        assert_eq!(parts, ("capacity", number, most));
    }
}

#[test]
fn what_is_no_length_of_time_is_named() {
    let allowed = r#"a whole number and a unit, such as "30s" or "1500ms""#;
    // The last one is above the longest duration, by one second and by far.
    for length in ["30", "s", "1.5s", "-1s", "30 x", "", "18446744073709551616s", &"9".repeat(40)] {
        let invalid = format!("concurrency 1, lease {length}").parse::<Concurrency>().unwrap_err();
        let value = format!("{length:?}");
        let parts = (invalid.parameter(), invalid.value(), invalid.allowed());
        assert_eq!(parts, ("lease", value.as_str(), allowed));
    }
}

#[test]
fn what_is_no_line_is_refused_and_an_example_shown() {
    for line in [
        "leaky bucket",
        "leaky bucket ",
        "leaky bucket, capacity 5",
        "leaky bucket 10/s,",
        "leaky bucket 10/s, capacity 5, capacity 5",
        "leaky bucket 10/s, capacty 5",
        "leaky bucket 10/s, any windows",
        "leaky bucket 10/s, initial 5",
        "strict 10/s",
        "leaky buckets 10/s",
        "Leaky bucket 10/s",
        "",
    ] {
        let invalid = line.parse::<LeakyBucket>().unwrap_err();
        let value = format!("{line:?}");
        let allowed = r#"written like "leaky bucket 10/s, capacity 5""#;
        let parts = (invalid.parameter(), invalid.value(), invalid.allowed());
        assert_eq!(parts, ("leaky bucket", value.as_str(), allowed));
    }
    for line in ["", "leaky", "leakybucket 10/s", "10/s", "quotas 10"] {
        let invalid = line.parse::<AnyAlgorithm>().unwrap_err();
        assert_eq!(invalid.parameter(), "algorithm", "{line}");
        assert!(invalid.allowed().contains("sliding window counter"), "{invalid}");
    }
}
