//! Limits that stand in a file: as TOML, as JSON, and as a line of text.
//!
//! ```text
//! cargo run --example configuration
//! ```
//!
//! It prints the limits read from TOML, one line each, uses them, then the same limits as JSON,
//! which reads back as the same. Then come a few mistakes, each with the error that names it.
//! A program of your own needs the feature `serde`.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, error::Error};
use tower_ratelimit::{AnyAlgorithm, Builder, LeakyBucket, limiter::ManyLimits};

/// Every algorithm once. What is left out is what code that leaves it out would get.
const FILE: &str = r#"
# One limit for all calls that go out: the settings of the limiter beside those of the algorithm.
[outgoing]
name = "outgoing"
max_waiting = 1000
slack = "20ms"
algorithm = "leaky_bucket"
rate = "10/s"
capacity = 5

# One limit for each address or user.
[logins]
name = "logins"
max_keys = 50000
at_capacity = "refuse"
algorithm = "sliding_window"
rates = ["5/min", "20/hour"]

# Any number of limits by name, each by its own algorithm.
[upstream]
orders = { algorithm = "leaky_bucket", rate = "60/min", capacity = 20, any_window = true }
mail = { algorithm = "strict", rate = "2/s" }
search = { algorithm = "burst_compensating", rate = "100/s", max_burst = 3 }
maps = { algorithm = "token_bucket", rate = "10/s", capacity = 100, initial = 10 }
trial = { algorithm = "quota", permits = 1000 }
weather = { algorithm = "fixed_window", rate = "60/hour", aligned_to = "0s" }
news = { algorithm = "sliding_window_counter", rate = "10000/day" }
reports = { algorithm = "concurrency", capacity = 4, lease = "30s" }
ledger = { algorithm = "serialized", rate = "1/500ms" }
"#;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Config {
    outgoing: Builder<AnyAlgorithm>,
    logins: Builder<AnyAlgorithm, ManyLimits>,
    upstream: BTreeMap<String, AnyAlgorithm>,
}

/// Mistakes, and where a file would have them.
const MISTAKES: [&str; 6] = [
    r#"{ "algorithm": "leaky_bucket", "rate": "10/s", "capacity": 0 }"#,
    r#"{ "algorithm": "leaky_bucket", "rate": "10/s", "capacity": -5 }"#,
    r#"{ "algorithm": "leaky_bucket", "rate": "10/s", "capacty": 5 }"#,
    r#"{ "algorithm": "leeky_bucket", "rate": "10/s" }"#,
    r#"{ "algorithm": "sliding_window", "rates": ["5/min", "5/hour"] }"#,
    r#"{ "algorithm": "concurrency", "capacity": 4, "lease": 30 }"#,
];

fn main() -> Result<(), Box<dyn Error>> {
    let config: Config = toml::from_str(FILE)?;

    println!("read from TOML, each limit as a line:");
    for (name, limit) in &config.upstream {
        println!("  {name:<8} {limit}");
        // The line is another way to say the same.
        assert_eq!(limit.to_string().parse::<AnyAlgorithm>()?, *limit);
    }

    let json = serde_json::to_string_pretty(&config)?;

    // A builder takes what does not stand in a file, such as a clock, and is built as ever.
    let outgoing = config.outgoing.build();
    let burst = (0..10).take_while(|_| outgoing.try_acquire().is_ok()).count();
    let refused = outgoing.try_acquire().err().ok_or("a burst has an end")?;
    println!("\noutgoing: {burst} pass at once, then: {refused}");
    let logins = config.logins.build();
    let burst = (0..10).take_while(|_| logins.key("alice").try_acquire().is_ok()).count();
    println!("logins: {burst} of alice pass at once");

    println!("\nthe same as JSON:\n{json}");
    let again: Config = serde_json::from_str(&json)?;
    assert_eq!(serde_json::to_string_pretty(&again)?, json);

    println!("\nmistakes:");
    for mistake in MISTAKES {
        let error = serde_json::from_str::<AnyAlgorithm>(mistake).err().ok_or("it is wrong")?;
        println!("  {mistake}\n    {error}");
    }

    // Where the algorithm is known, so is its table, which then does not name it.
    let bucket: LeakyBucket = toml::from_str("rate = \"10/s\"\ncapacity = 5")?;
    println!("\na table that is always a leaky bucket: {bucket}");
    Ok(())
}
