//! Limits in configuration files.

use crate::text;
use proptest::prelude::*;
use serde::{Deserialize, de::DeserializeOwned};
use std::time::Duration;
use tower_ratelimit::{
    AnyAlgorithm, AtCapacity, Builder, BurstCompensating, Concurrency, FixedWindow, LeakyBucket,
    ManualClock, Quota, Rate, Reason, Serialized, SlidingWindow, SlidingWindowCounter, Strict,
    TokenBucket, limiter::ManyLimits,
};

type Keyed = Builder<AnyAlgorithm, ManyLimits>;

/// Fields of a table in TOML, and the line of the limit that they make.
const TABLES: [(&str, &str, &str); 18] = [
    ("leaky_bucket", "rate = '10/s'", "leaky bucket 10/s, capacity 10"),
    ("leaky_bucket", "rate = '10/s'\ncapacity = 5", "leaky bucket 10/s, capacity 5"),
    (
        "leaky_bucket",
        "rate = '3/1500ms'\ncapacity = 2\nany_window = true",
        "leaky bucket 3/1500ms, capacity 2, any window",
    ),
    ("leaky_bucket", "rate = '10/s'\nany_window = false", "leaky bucket 10/s, capacity 10"),
    ("strict", "rate = '10/s'", "strict 10/s"),
    ("burst_compensating", "rate = '10/s'", "burst compensating 10/s, max burst 5"),
    ("burst_compensating", "rate = '10/s'\nmax_burst = 1", "burst compensating 10/s, max burst 1"),
    ("token_bucket", "rate = '5/s'", "token bucket 5/s, capacity 5"),
    (
        "token_bucket",
        "rate = '5/s'\ncapacity = 20\ninitial = 0\naligned_to = '90min'",
        // An instant of each grid is in its first period.
        "token bucket 5/s, capacity 20, initial 0, aligned to 0s",
    ),
    ("quota", "permits = 1000", "quota 1000"),
    ("sliding_window", "rate = '10/s'", "sliding window 10/s"),
    ("sliding_window", "rates = ['10/s']", "sliding window 10/s"),
    ("sliding_window", "rates = ['99/day', '10/s']", "sliding window 10/s and 99/day"),
    ("fixed_window", "rate = '60/min'\naligned_to = '30 s'", "fixed window 60/min, aligned to 30s"),
    ("sliding_window_counter", "rate = '60/min'", "sliding window counter 60/min"),
    ("concurrency", "capacity = 8\nlease = '1500ms'", "concurrency 8, lease 1500ms"),
    ("serialized", "rate = '1/s'", "serialized 1/s"),
    ("serialized", "rate = '1/s'\nlease = '1500ms'", "serialized 1/s, lease 1500ms"),
];

/// The table of an algorithm as JSON.
fn json(table: &str) -> String {
    serde_json::to_string(&toml::from_str::<toml::Table>(table).unwrap()).unwrap()
}

fn error<T: DeserializeOwned>(json: &str) -> String {
    serde_json::from_str::<T>(json).err().unwrap().to_string()
}

#[test]
fn every_algorithm_is_read_from_toml_and_json() {
    for (algorithm, fields, line) in TABLES {
        let table = format!("algorithm = '{algorithm}'\n{fields}");
        let expected: AnyAlgorithm = line.parse().unwrap();
        assert_eq!(toml::from_str::<AnyAlgorithm>(&table).unwrap(), expected, "{table}");
        assert_eq!(serde_json::from_str::<AnyAlgorithm>(&json(&table)).unwrap(), expected);
    }
}

/// Reads the fields as one algorithm, which is not named then.
fn line<A: DeserializeOwned + Into<AnyAlgorithm>>(fields: &str) -> String {
    let from_toml: AnyAlgorithm = toml::from_str::<A>(fields).unwrap().into();
    let from_json: AnyAlgorithm = serde_json::from_str::<A>(&json(fields)).unwrap().into();
    assert_eq!(from_toml, from_json);
    from_toml.to_string()
}

#[test]
fn an_algorithm_that_is_known_is_read_without_its_name() {
    for (algorithm, fields, expected) in TABLES {
        let line = match algorithm {
            "leaky_bucket" => line::<LeakyBucket>(fields),
            "strict" => line::<Strict>(fields),
            "burst_compensating" => line::<BurstCompensating>(fields),
            "token_bucket" => line::<TokenBucket>(fields),
            "quota" => line::<Quota>(fields),
            "sliding_window" => line::<SlidingWindow>(fields),
            "fixed_window" => line::<FixedWindow>(fields),
            "sliding_window_counter" => line::<SlidingWindowCounter>(fields),
            "concurrency" => line::<Concurrency>(fields),
            "serialized" => line::<Serialized>(fields),
            other => panic!("{other} is not an algorithm"),
        };
        assert_eq!(line, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_written_limit_is_read_as_the_same_limit(limit in text::limit()) {
        let table = toml::to_string(&limit).unwrap();
        prop_assert_eq!(&toml::from_str::<AnyAlgorithm>(&table).unwrap(), &limit, "{}", table);
        let json = serde_json::to_string(&limit).unwrap();
        prop_assert_eq!(&serde_json::from_str::<AnyAlgorithm>(&json).unwrap(), &limit, "{}", json);
        if let AnyAlgorithm::TokenBucket(bucket) = limit {
            let table = toml::to_string(&bucket).unwrap();
            prop_assert_eq!(toml::from_str::<TokenBucket>(&table).unwrap(), bucket);
        }
    }
}

/// What no limit is built from, as a list of algorithm, other fields and error.
#[test]
fn what_code_may_not_set_is_refused_with_the_same_error() {
    let year = "rate = '1/365day'\n";
    let leaky = LeakyBucket::new(Rate::new(1, Duration::from_secs(365 * 86_400)).unwrap());
    let same = leaky.capacity(251).unwrap_err().to_string();
    assert_eq!(error::<LeakyBucket>(&json(&format!("{year}capacity = 251"))), same);
    for (algorithm, fields, expected) in [
        (
            "leaky_bucket",
            "rate = '10/s'\ncapacity = 0",
            "capacity is 0, but must be 1 to 78840000000",
        ),
        (
            "leaky_bucket",
            "rate = '10/s'\ncapacity = 11\nany_window = true",
            "capacity is 11, but must be 1 to 10, the permits of the rate",
        ),
        (
            "leaky_bucket",
            "rate = '10/s'\nany_window = true",
            "capacity is missing, but must be 1 to 10, the permits of the rate",
        ),
        ("strict", "rate = '0/s'", "permits is 0, but must be at least 1"),
        ("strict", "rate = '1/9126day'", "period is 788486400s, but must be 1 ns to 25 years"),
        (
            "serialized",
            "rate = '2000000000/s'",
            "rate is 2000000000 in 1s, but must be at most one permit a nanosecond",
        ),
        (
            "burst_compensating",
            "rate = '1/365day'\nmax_burst = 251",
            "max_burst is 251, but must be 1 to 250",
        ),
        (
            "token_bucket",
            "rate = '5/s'\ncapacity = 4",
            "capacity is 4, but must be 5 or more, as many as arrive at a time",
        ),
        (
            "token_bucket",
            "rate = '5/s'\ninitial = 6",
            "initial is 6, but must be 0 to 5, the capacity",
        ),
        ("quota", "permits = 0", "permits is 0, but must be at least 1"),
        ("sliding_window", "rates = []", "rates is empty, but must be at least one rate"),
        (
            "sliding_window",
            "rates = ['2/s', '1/s']",
            "rates is 2/s with 1/s, but must be of different periods",
        ),
        ("sliding_window", "", r#"rate is missing, but must be a rate, or "rates" a list"#),
        (
            "sliding_window",
            "rate = '1/s'\nrates = ['1/s']",
            r#"rate is 1/s, but must be left out where "rates" are given"#,
        ),
        ("concurrency", "capacity = 0", "capacity is 0, but must be at least 1"),
        (
            "concurrency",
            "capacity = 1\nlease = '0s'",
            "lease is 0ns, but must be 1 ns to 250 years",
        ),
    ] {
        let table = format!("algorithm = '{algorithm}'\n{fields}");
        let message = toml::from_str::<AnyAlgorithm>(&table).unwrap_err().message().to_owned();
        assert_eq!(message, expected, "{table}");
        assert_eq!(error::<AnyAlgorithm>(&json(&table)), expected);
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_named_with_its_parameter() {
    let number = "a whole number, at most 4294967295";
    let length = r#"a whole number and a unit, such as "30s" or "1500ms""#;
    for (field, value, allowed) in [
        ("capacity", "-1", number),
        ("capacity", "4294967296", number),
        ("capacity", "2.5", number),
        ("capacity", "5.0", number),
        ("capacity", "1e300", number),
        ("capacity", "true", number),
        ("capacity", "\"5\"", number),
        ("initial", "-9223372036854775808", number),
        ("aligned_to", "30", length),
        ("aligned_to", "\"30\"", length),
        ("aligned_to", "\"-1s\"", length),
        ("aligned_to", "\"soon\"", length),
    ] {
        let json = format!(r#"{{"rate": "1/s", "{field}": {value}}}"#);
        assert_eq!(
            error::<TokenBucket>(&json),
            format!("{field} is {value}, but must be {allowed}")
        );
    }
    for value in ["1", "\"yes\""] {
        let json = format!(r#"{{"rate": "1/s", "any_window": {value}}}"#);
        let expected = format!("any_window is {value}, but must be true or false");
        assert_eq!(error::<LeakyBucket>(&json), expected);
    }
    for value in ["nan", "inf", "-inf"] {
        let table = format!("algorithm = 'concurrency'\ncapacity = {value}");
        let message = toml::from_str::<AnyAlgorithm>(&table).unwrap_err().message().to_owned();
        let shown = value.replace("nan", "NaN");
        assert_eq!(message, format!("capacity is {shown}, but must be {number}"));
    }
    let message = error::<Strict>(r#"{"rate": 10}"#);
    assert!(message.contains(r#"expected a rate as text, such as "10/s""#), "{message}");
}

#[test]
fn a_field_that_nobody_knows_is_refused_by_every_algorithm() {
    for (algorithm, fields, _) in TABLES {
        let table = format!("algorithm = '{algorithm}'\n{fields}\ncapacty = 5");
        let message = toml::from_str::<AnyAlgorithm>(&table).unwrap_err().message().to_owned();
        assert!(message.starts_with("unknown field `capacty`, expected "), "{message}");
        let message = toml::from_str::<Builder<AnyAlgorithm>>(&table).err().unwrap().to_string();
        assert!(message.contains("unknown field `capacty`, expected "), "{message}");
    }
}

#[test]
fn an_algorithm_that_is_missing_or_unknown_is_refused() {
    assert_eq!(
        error::<AnyAlgorithm>(r#"{"rate": "1/s"}"#),
        "missing field `algorithm` at line 1 column 15"
    );
    let message = error::<AnyAlgorithm>(r#"{"algorithm": "strickt", "rate": "1/s"}"#);
    assert!(message.starts_with("unknown variant `strickt`, expected one of `leaky_bucket`"));
    assert_eq!(error::<AnyAlgorithm>(r#"{"algorithm": "strict"}"#), "missing field `rate`");
}

#[test]
fn a_limiter_is_read_with_its_settings() {
    let table = "
        name = 'outgoing'
        max_waiting = 0
        slack = '20ms'
        algorithm = 'leaky_bucket'
        rate = '10/s'
        capacity = 1
    ";
    let builder: Builder<AnyAlgorithm> = toml::from_str(table).unwrap();
    let clock = ManualClock::new();
    let limiter = builder.clock(clock).build();
    limiter.try_acquire().unwrap();
    let refused = limiter.try_acquire().unwrap_err();
    assert_eq!(refused.limit(), Some("outgoing"));
    assert_eq!(refused.reason(), Reason::UsedUp);
    let refused = limiter.acquire().blocking_wait().unwrap_err();
    assert_eq!(refused.reason(), Reason::QueueFull, "nobody may wait");
    assert_eq!(refused.retry_after(), Some(Duration::from_millis(120)), "20 ms of them slack");
}

#[test]
fn a_limiter_is_read_with_nothing_but_its_algorithm() {
    let builder: Builder<AnyAlgorithm> =
        toml::from_str("algorithm = 'quota'\npermits = 1").unwrap();
    let limiter = builder.build();
    limiter.try_acquire().unwrap();
    assert_eq!(limiter.try_acquire().unwrap_err().limit(), None);
    let builder: Keyed = toml::from_str("algorithm = 'quota'\npermits = 1").unwrap();
    let limiter = builder.build();
    limiter.key("a").try_acquire().unwrap();
    limiter.key("b").try_acquire().unwrap();
    limiter.key("a").try_acquire().unwrap_err();
}

#[test]
fn a_limiter_per_key_is_read_with_the_settings_of_its_keys() {
    let table = |policy: &str| {
        let settings = format!("max_keys = 1\nat_capacity = '{policy}'\nname = 'login'");
        format!("{settings}\nalgorithm = 'quota'\npermits = 1")
    };
    let second = |policy: &str| {
        let limiter = toml::from_str::<Keyed>(&table(policy)).unwrap().build();
        limiter.key("a").try_acquire().unwrap();
        limiter.key("b").try_acquire().err().map(|refused| refused.reason())
    };
    assert_eq!(second("refuse"), Some(Reason::TooManyKeys));
    assert_eq!(second("share_one"), None);
    let error = toml::from_str::<Keyed>(&table("drop")).unwrap_err();
    let expected = "unknown variant `drop`, expected `share_one` or `refuse`";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn the_settings_of_a_limiter_are_held_to_what_its_builder_allows() {
    for (field, expected) in [
        ("max_keys = 0", "max_keys is 0, but must be at least 1"),
        ("max_keys = -1", "max_keys is -1, but must be a whole number, at most "),
        ("max_waiting = -1", "max_waiting is -1, but must be a whole number, at most "),
        ("max_waiting = 1.5", "max_waiting is 1.5, but must be a whole number, at most "),
        ("slack = 20", "slack is 20, but must be a whole number and a unit, such as "),
        ("slack = 'long'", r#"slack is "long", but must be a whole number and a unit, such as "#),
        ("permits = 0", "permits is 0, but must be at least 1"),
        ("max_wating = 5\npermits = 1", "unknown field `max_wating`, expected `permits`"),
    ] {
        let permits = if field.contains("permits") { "" } else { "permits = 1" };
        let table = format!("algorithm = 'quota'\n{permits}\n{field}");
        let message = toml::from_str::<Keyed>(&table).unwrap_err().message().to_owned();
        assert!(message.starts_with(expected), "{message}");
    }
    // One limit for everybody has no keys: a setting for them is a mistake.
    let table = "algorithm = 'quota'\npermits = 1\nmax_keys = 5";
    let message = toml::from_str::<Builder<AnyAlgorithm>>(table).unwrap_err().message().to_owned();
    assert_eq!(message, "unknown field `max_keys`, expected `permits`");
}

#[test]
fn a_limiter_of_one_algorithm_refuses_what_nobody_knows() {
    let table = "name = 'x'\nrate = '10/s'\ncapacity = 5";
    let limiter = toml::from_str::<Builder<LeakyBucket>>(table).unwrap().build();
    limiter.try_acquire_many(5).unwrap();
    let table = format!("{table}\nburst = 5");
    let message = toml::from_str::<Builder<LeakyBucket>>(&table).unwrap_err().message().to_owned();
    let known = "`rate`, `capacity`, `any_window`";
    assert_eq!(message, format!("unknown field `burst`, expected one of {known}"));
}

#[test]
fn a_written_limiter_is_read_as_the_same_limiter() {
    let limit: AnyAlgorithm = "sliding window 10/s and 1000/day".parse().unwrap();
    let single = tower_ratelimit::RateLimiter::builder(limit.clone())
        .name("single")
        .max_waiting(3)
        .slack(Duration::from_millis(1500));
    let written = serde_json::to_string(&single).unwrap();
    let expected = r#"{"name":"single","max_waiting":3,"slack":"1500ms","algorithm":"sliding_window","rates":["10/s","1000/day"]}"#;
    assert_eq!(written, expected);
    let again: Builder<AnyAlgorithm> = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), written);

    let keyed = tower_ratelimit::KeyedRateLimiter::builder(limit)
        .max_keys(7)
        .unwrap()
        .at_capacity(AtCapacity::Refuse);
    let written = toml::to_string(&keyed).unwrap();
    let again: Keyed = toml::from_str(&written).unwrap();
    assert_eq!(toml::to_string(&again).unwrap(), written);
    assert!(written.contains("max_keys = 7\nat_capacity = \"refuse\"\n"), "{written}");
}

/// The file of the example, which has every algorithm.
#[test]
fn the_file_of_the_example_is_read() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        outgoing: Builder<AnyAlgorithm>,
        logins: Keyed,
        upstream: std::collections::BTreeMap<String, AnyAlgorithm>,
    }
    let example = include_str!("../../examples/configuration.rs");
    let (_, file) = example.split_once("const FILE: &str = r#\"").unwrap();
    let (file, _) = file.split_once("\"#;").unwrap();
    let config: Config = toml::from_str(file).unwrap();
    for (algorithm, ..) in TABLES {
        assert!(file.contains(&format!("algorithm = \"{algorithm}\"")), "{algorithm}");
    }
    config.outgoing.build().try_acquire_many(5).unwrap();
    config.logins.build().key("alice").try_acquire_many(5).unwrap();
    assert_eq!(config.upstream["trial"], Quota::new(1000).unwrap().into());
    assert_eq!(config.upstream.len(), 9);
}
