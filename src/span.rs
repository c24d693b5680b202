//! Lengths of time as text: a whole number and a unit.

use crate::invalid::Invalid;
use std::{fmt, time::Duration};

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// The units a length is printed in, largest first, each with the other names it is read by.
const UNITS: [(&str, u64, &[&str]); 7] = [
    ("day", DAY, &["d", "days"]),
    ("hour", HOUR, &["h", "hr", "hours"]),
    ("min", MINUTE, &["m", "minute", "minutes"]),
    ("s", SECOND, &["sec", "second", "seconds"]),
    ("ms", 1_000_000, &["millisecond", "milliseconds"]),
    ("us", 1_000, &["µs", "microsecond", "microseconds"]),
    ("ns", 1, &["nanosecond", "nanoseconds"]),
];

/// A length of time that is printed as it is read: `30s`, `1500ms`, `90min`.
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match in_largest_unit(self.0.as_nanos()) {
            (0, _) => f.write_str("0s"),
            (count, unit) => write!(f, "{count}{unit}"),
        }
    }
}

/// Reads a whole number and a unit; `None` when that is not what the text says, or is longer than
/// the longest [`Duration`].
pub(crate) fn read(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count: u128 = text[..text.len() - unit.len()].parse().ok()?;
    let nanoseconds = count.checked_mul(unit_length(unit.trim_start())?.into())?;
    let seconds = u64::try_from(nanoseconds / u128::from(SECOND)).ok()?;
    // A remainder of nanoseconds in a second, which is less than 2^30.
    Some(Duration::new(seconds, (nanoseconds % u128::from(SECOND)) as u32))
}

/// What is wrong with this text, or number, given for a length of time.
pub(crate) fn malformed(parameter: &'static str, given: impl fmt::Display) -> Invalid {
    Invalid::new(parameter, given, r#"a whole number and a unit, such as "30s" or "1500ms""#)
}

/// How many of the largest unit that fits without a remainder, and its name.
pub(crate) fn in_largest_unit(nanoseconds: u128) -> (u128, &'static str) {
    UNITS
        .iter()
        .map(|(unit, length, _)| (u128::from(*length), *unit))
        .find(|(length, _)| nanoseconds.is_multiple_of(*length))
        .map_or((nanoseconds, "ns"), |(length, unit)| (nanoseconds / length, unit))
}

/// The nanoseconds of the unit of this name.
pub(crate) fn unit_length(name: &str) -> Option<u64> {
    UNITS
        .iter()
        .find(|(unit, _, others)| *unit == name || others.contains(&name))
        .map(|(_, length, _)| *length)
}
