//! How many permits in how much time.

use proptest::prelude::*;
use std::time::Duration;
use tower_ratelimit::{Invalid, Rate};

/// 25 years.
const LONGEST: u64 = 25 * 365 * 86_400 * 1_000_000_000;

fn nanoseconds(count: u64) -> Duration {
    Duration::from_nanos(count)
}

fn parts(invalid: &Invalid) -> (&str, &str, &str) {
    (invalid.parameter(), invalid.value(), invalid.allowed())
}

fn any_rate() -> impl Strategy<Value = Rate> {
    let unit = prop::sample::select(vec![
        1,
        1_000,
        1_000_000,
        1_000_000_000,
        60_000_000_000,
        3_600_000_000_000,
        86_400_000_000_000,
    ]);
    let count = prop_oneof![Just(1), 1..100u64, 1..=LONGEST];
    let permits = prop_oneof![Just(1), 1..1000u32, 1..=u32::MAX];
    (permits, unit, count).prop_map(|(permits, unit, count)| {
        let period = count * unit.min(LONGEST / count);
        let permits = permits.min(u32::try_from(period).unwrap_or(u32::MAX));
        Rate::new(permits, nanoseconds(period)).unwrap()
    })
}

#[test]
fn each_constructor_names_its_period() {
    for (rate, seconds) in [
        (Rate::per_second(7), 1),
        (Rate::per_minute(7), 60),
        (Rate::per_hour(7), 3600),
        (Rate::per_day(7), 86_400),
        (Rate::new(7, Duration::from_secs(90)), 90),
    ] {
        let rate = rate.unwrap();
        assert_eq!(rate.permits(), 7);
        assert_eq!(rate.period(), Duration::from_secs(seconds));
    }
}

#[test]
fn no_permits_are_no_rate() {
    for rate in [
        Rate::per_second(0),
        Rate::per_minute(0),
        Rate::per_hour(0),
        Rate::per_day(0),
        Rate::new(0, Duration::from_secs(1)),
    ] {
        assert_eq!(parts(&rate.unwrap_err()), ("permits", "0", "at least 1"));
    }
}

#[test]
fn a_period_is_1_ns_to_25_years() {
    let allowed = "1 ns to 25 years";
    let invalid = Rate::new(1, Duration::ZERO).unwrap_err();
    assert_eq!(parts(&invalid), ("period", "0ns", allowed));
    let invalid = Rate::new(1, nanoseconds(LONGEST + 1)).unwrap_err();
    assert_eq!(parts(&invalid), ("period", "788400000.000000001s", allowed));
    let invalid = Rate::new(1, Duration::MAX).unwrap_err();
    assert_eq!((invalid.parameter(), invalid.allowed()), ("period", allowed));
    assert!(Rate::new(1, nanoseconds(1)).is_ok());
    assert!(Rate::new(1, nanoseconds(LONGEST)).is_ok());
}

#[test]
fn a_nanosecond_has_at_most_one_permit() {
    let allowed = "at most one permit a nanosecond";
    let invalid = Rate::new(11, nanoseconds(10)).unwrap_err();
    assert_eq!(parts(&invalid), ("rate", "11 in 10ns", allowed));
    let invalid = Rate::per_second(1_000_000_001).unwrap_err();
    assert_eq!(parts(&invalid), ("rate", "1000000001 in 1s", allowed));
    assert!(Rate::new(10, nanoseconds(10)).is_ok());
    assert!(Rate::per_second(1_000_000_000).is_ok());
    assert!(Rate::per_minute(u32::MAX).is_ok());
}

#[test]
fn an_interval_is_rounded_up() {
    for (permits, period, interval) in [
        (1, 1, 1),
        (10, 1_000_000_000, 100_000_000),
        (3, 1_000_000_000, 333_333_334),
        (3, 10, 4),
        (3, 9, 3),
        (2, 3, 2),
        (u32::MAX, u64::from(u32::MAX), 1),
        (u32::MAX, u64::from(u32::MAX) + 1, 2),
        (1, LONGEST, LONGEST),
    ] {
        let rate = Rate::new(permits, nanoseconds(period)).unwrap();
        assert_eq!(rate.interval(), nanoseconds(interval), "{rate}");
    }
}

#[test]
fn a_fraction_of_a_permit_a_second_is_one_in_a_longer_period() {
    for (permits, expected) in [
        (0.5, Rate::new(1, Duration::from_secs(2))),
        (2.5, Rate::new(1, Duration::from_millis(400))),
        (0.3, Rate::new(1, nanoseconds(3_333_333_334))),
        // Not three in two seconds: one every two thirds of a second.
        (1.5, Rate::new(1, nanoseconds(666_666_667))),
        (999_999_999.5, Rate::new(1, nanoseconds(2))),
    ] {
        assert_eq!(Rate::per_second_f64(permits), expected);
    }
}

#[test]
fn a_whole_number_of_permits_a_second_is_just_that() {
    for permits in [1, 2, 3, 10, 999_999_999, 1_000_000_000] {
        let rate = Rate::per_second_f64(f64::from(permits)).unwrap();
        assert_eq!(rate, Rate::per_second(permits).unwrap());
    }
}

#[test]
fn what_is_not_a_number_of_permits_is_refused() {
    for permits in [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        -1.0,
        -0.5,
        f64::MIN,
        f64::MIN_POSITIVE,
        // The smallest subnormal.
        f64::from_bits(1),
        1e-300,
        // A little less than one in 25 years.
        1.268e-9,
    ] {
        let invalid = Rate::per_second_f64(permits).unwrap_err();
        let value = permits.to_string();
        let allowed = "a finite number, one in 25 years to 1,000,000,000";
        assert_eq!(parts(&invalid), ("permits", value.as_str(), allowed));
    }
}

#[test]
fn more_than_a_billion_permits_a_second_are_refused() {
    for permits in [1_000_000_001.0, 5e9, 1e300, 1_000_000_000.5, 1e9_f64.next_up()] {
        assert!(Rate::per_second_f64(permits).is_err(), "{permits}");
    }
}

#[test]
fn a_refused_number_of_permits_is_named_as_it_was_given() {
    for permits in [1_000_000_001.0_f64, 5e9, 1e300] {
        let invalid = Rate::per_second_f64(permits).unwrap_err();
        let given = permits.to_string();
        assert!(invalid.value().starts_with(&given), "{invalid}");
    }
}

#[test]
fn the_slowest_rate_is_one_in_25_years() {
    let permits = 1.0 / Duration::from_nanos(LONGEST).as_secs_f64();
    // A hair more than that, so that it does not round to less.
    let rate = Rate::per_second_f64(permits * (1.0 + f64::EPSILON)).unwrap();
    assert!(rate.period() <= nanoseconds(LONGEST));
    assert_eq!(rate.permits(), 1);
}

/// Whether one permit in this many nanoseconds is at most this many a second, without rounding.
fn is_at_most(period: Duration, permits: f64) -> bool {
    // A normal number is mantissa * 2^-shift.
    let bits = permits.to_bits();
    let mantissa = u128::from(bits & ((1 << 52) - 1) | (1 << 52));
    let shift = 1075 - (bits >> 52) as u32;
    period.as_nanos() * mantissa >= 1_000_000_000_u128 << shift
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_fraction_never_becomes_more_than_was_asked_for(exponent in -8.8..8.9f64) {
        let permits = 10_f64.powf(exponent);
        prop_assume!(permits.fract() != 0.0);
        let rate = Rate::per_second_f64(permits).unwrap();
        prop_assert_eq!(rate.permits(), 1);
        prop_assert!(is_at_most(rate.period(), permits), "{} became {}", permits, rate);
        // And hardly less.
        let shorter = rate.period().as_nanos() as u64 - 1;
        let shortest = nanoseconds(shorter - (shorter >> 50));
        prop_assert!(shortest.is_zero() || !is_at_most(shortest, permits));
    }

    #[test]
    fn a_printed_rate_is_read_as_the_same_rate(rate in any_rate()) {
        let text = rate.to_string();
        prop_assert_eq!(text.parse::<Rate>(), Ok(rate), "{}", text);
    }

    #[test]
    fn an_interval_never_lets_more_than_the_permits_into_a_period(rate in any_rate()) {
        let interval = rate.interval().as_nanos();
        let permits = u128::from(rate.permits());
        prop_assert!(interval * permits >= rate.period().as_nanos());
        prop_assert!((interval - 1) * permits < rate.period().as_nanos());
    }

    #[test]
    fn whatever_is_read_is_an_answer_and_no_panic(text in "[0-9+-]{0,22} ?/? ?[0-9]{0,22}[a-zµ]{0,6}") {
        if let Ok(rate) = text.parse::<Rate>() {
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }
    }
}

#[test]
fn a_rate_is_printed_in_its_largest_whole_unit() {
    for (permits, period, text) in [
        (10, 1_000_000_000, "10/s"),
        (3, 1_500_000_000, "3/1500ms"),
        (1, 3_000_000_000, "1/3s"),
        (1, 60_000_000_000, "1/min"),
        (1, 90_000_000_000, "1/90s"),
        (500, 3_600_000_000_000, "500/hour"),
        (1, 5_400_000_000_000, "1/90min"),
        (7, 172_800_000_000_000, "7/2day"),
        (1, 1_000, "1/us"),
        (1, 1, "1/ns"),
        (1, 1_000_000_001, "1/1000000001ns"),
        (1, LONGEST, "1/9125day"),
    ] {
        let rate = Rate::new(permits, nanoseconds(period)).unwrap();
        assert_eq!(rate.to_string(), text);
        assert_eq!(format!("{rate:?}"), format!("Rate({text})"));
        assert_eq!(text.parse(), Ok(rate));
    }
}

#[test]
fn every_unit_is_read_by_all_its_names() {
    let names = [
        ("ns nanosecond nanoseconds", 1),
        ("us µs microsecond microseconds", 1_000),
        ("ms millisecond milliseconds", 1_000_000),
        ("s sec second seconds", 1_000_000_000),
        ("min m minute minutes", 60_000_000_000),
        ("hour h hr hours", 3_600_000_000_000),
        ("day d days", 86_400_000_000_000),
    ];
    for (names, length) in names {
        for name in names.split(' ') {
            let one = Rate::new(1, nanoseconds(length));
            assert_eq!(format!("1/{name}").parse(), one, "{name}");
            let two = Rate::new(1, nanoseconds(2 * length));
            assert_eq!(format!("1/2{name}").parse(), two, "{name}");
        }
    }
}

#[test]
fn spaces_around_the_parts_are_let_pass() {
    let expected = Rate::new(3, Duration::from_secs(2));
    for text in [" 3/2s ", "3 / 2s", "3/2 s", "3 / 2 seconds"] {
        assert_eq!(text.parse(), expected, "{text:?}");
    }
}

#[test]
fn what_is_no_rate_is_refused_with_the_text_as_it_was() {
    for text in [
        "",
        " ",
        "/",
        "10",
        "/s",
        "10/",
        "10/x",
        "10/3",
        "10/S",
        "10/-1s",
        "10/1.5s",
        "-1/s",
        "1e3/s",
        "1.5/s",
        "ten/s",
        "10/s/s",
        "10/ss",
        "10s",
        "10 per s",
        "10/s;",
        "１０/s",
        "4294967296/day",
        "99999999999999999999/s",
        "1/99999999999999999999s",
        "1/18446744073709551616ns",
    ] {
        let invalid = text.parse::<Rate>().unwrap_err();
        let value = format!("{text:?}");
        let allowed = r#"permits/period, such as "10/s", "500/hour" or "3/1500ms""#;
        assert_eq!(parts(&invalid), ("rate", value.as_str(), allowed));
    }
}

#[test]
fn what_reads_as_a_rate_is_held_to_the_same_limits() {
    for (text, parameter) in [
        ("0/s", "permits"),
        ("10/0s", "period"),
        ("1/9126day", "period"),
        // More than a time line of days.
        ("1/18446744073709551615day", "period"),
        ("1000000001/s", "rate"),
    ] {
        let invalid = text.parse::<Rate>().unwrap_err();
        assert_eq!(invalid.parameter(), parameter, "{text}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_rate_in_a_configuration_file_is_its_text() {
    for text in ["10/s", "500/hour", "3/1500ms", "1/3s"] {
        let rate: Rate = text.parse().unwrap();
        let json = serde_json::to_string(&rate).unwrap();
        assert_eq!(json, format!("{text:?}"));
        assert_eq!(serde_json::from_str::<Rate>(&json).unwrap(), rate);
    }
    // A text with an escape cannot be borrowed from the file.
    let escaped: Rate = serde_json::from_str(r#""10\u002fs""#).unwrap();
    assert_eq!(escaped, Rate::per_second(10).unwrap());
}

#[cfg(feature = "serde")]
#[test]
fn a_configuration_file_learns_what_is_wrong_with_its_rate() {
    let error = serde_json::from_str::<Rate>(r#""0/s""#).unwrap_err();
    assert!(error.to_string().contains("permits is 0"), "{error}");
    let error = serde_json::from_str::<Rate>(r#""ten""#).unwrap_err();
    assert!(error.to_string().contains("permits/period"), "{error}");
    assert!(serde_json::from_str::<Rate>("10").is_err());
}
