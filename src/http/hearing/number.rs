//! Numbers and dates as servers write them, read leniently: what makes no sense is nothing.

use crate::clock::{WallTime, passed, since_1970};
use http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

/// The largest integer of a structured field; larger ones count as this.
pub(super) const LARGEST: u64 = 999_999_999_999_999;

/// From here on a number of seconds is one since 1970 and not one from now: 2001 and later.
const EPOCH_SECONDS: u64 = 1_000_000_000;

/// From here on it is milliseconds since 1970: the same as seconds would be the year 33,658.
const EPOCH_MILLISECONDS: u64 = 1_000_000_000_000;

/// A decimal number without a sign: its whole part, and whether there is more.
fn decimal(text: &str) -> Option<(u64, bool)> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut digits = whole.bytes().chain(fraction.bytes());
    if whole.is_empty() || !digits.all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // All that can be wrong with a row of digits is that it is too long.
    let whole = whole.parse().unwrap_or(LARGEST).min(LARGEST);
    Some((whole, fraction.bytes().any(|digit| digit != b'0')))
}

/// A number of calls, rounded down.
pub(super) fn calls(text: &str) -> Option<u64> {
    decimal(text).map(|(whole, _)| whole)
}

/// A number of seconds, rounded up.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    decimal(text).map(|(whole, more)| Duration::from_secs(whole + u64::from(more)))
}

/// How long until a limit is reset: said as seconds from `now`, or as seconds or milliseconds since
/// 1970.
pub(super) fn until_reset(text: &str, now: WallTime) -> Option<Duration> {
    let (whole, more) = decimal(text)?;
    let number = whole + u64::from(more);
    let since_1970 = Duration::from(since_1970(now));
    Some(match whole {
        EPOCH_MILLISECONDS.. => Duration::from_millis(number).saturating_sub(since_1970),
        EPOCH_SECONDS.. => Duration::from_secs(number).saturating_sub(since_1970),
        _ => Duration::from_secs(number),
    })
}

/// When a response was made, and how old it is since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    /// By the clock of the server, if it says so.
    date: Option<WallTime>,
    /// How long a cache has kept it: nothing if it comes from the server itself.
    pub(super) age: Duration,
    local: WallTime,
}

impl Made {
    /// Reads `Date` and `Age`; `local` is the time here.
    pub(super) fn read(headers: &HeaderMap, local: WallTime) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let age = text(header::AGE).and_then(calls).unwrap_or_default();
        Self { date: text(header::DATE).and_then(date), age: Duration::from_secs(age), local }
    }

    /// What the clock of the server showed when it answered; the local one where it does not say.
    pub(super) fn at(self) -> WallTime {
        self.date.unwrap_or(self.local)
    }

    /// How long to stay away: said as seconds, or as a date in any of the three forms. What the
    /// response has spent in a cache is over.
    pub(super) fn retry_after(self, text: &str) -> Option<Duration> {
        let is_over = |wait: Duration| wait.saturating_sub(self.age);
        seconds(text).map(is_over).or_else(|| {
            let date = date(text)?;
            // By the local clock it is as far away as it is, however old the response.
            Some(self.date.map_or(passed(self.local, date), |made| is_over(passed(made, date))))
        })
    }
}

fn date(text: &str) -> Option<WallTime> {
    httpdate::parse_http_date(text.trim()).ok()
}
