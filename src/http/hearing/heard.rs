//! What one response says about the limits of its server.

use super::{fields, number::Made, refused::Refused};
use crate::clock::WallTime;
use http::{HeaderMap, StatusCode, header};
use std::time::Duration;

/// How long to stay away from a server that refused and did not say.
const SILENCE: Duration = Duration::from_secs(1);

/// What a response says about the limits of its server.
///
/// Read are `Retry-After` and the rate-limit fields of all generations: `RateLimit` and
/// `RateLimit-Policy`, `RateLimit-Remaining` and `RateLimit-Reset`, and the same with `X-` before
/// them, in seconds from now or in seconds or milliseconds since 1970. What is malformed is as if
/// it was not there, and numbers of more than 15 digits count as the largest of 15.
///
/// With the feature `tonic` also the status of a gRPC call that failed before its first message, its
/// `google.rpc.RetryInfo` and its `grpc-retry-pushback-ms`. RESOURCE_EXHAUSTED may be a message that was
/// too large, too: it is about a limit where one of these stands beside it, or `google.rpc.QuotaFailure`,
/// or a field that says that nothing is left.
///
/// A response out of a cache (`Age`) says how long to stay away, less the time that it was kept, and
/// nothing else about now.
///
/// ```
/// use http::{HeaderMap, HeaderValue, StatusCode};
/// use std::time::{Duration, SystemTime};
/// use tower_ratelimit::http::{Heard, Left};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("ratelimit", HeaderValue::from_static(r#""day";r=900;t=3600, "burst";r=0;t=7"#));
/// let heard = Heard::read(StatusCode::OK, &headers, SystemTime::now());
/// assert_eq!(heard.left, Some(Left { calls: 0, within: Duration::from_secs(7) }));
/// assert_eq!(heard.pause(), Some(Duration::from_secs(7)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Whether it is a refusal: status 429 or 503, or in gRPC UNAVAILABLE, and RESOURCE_EXHAUSTED where it
    /// says that it is about a limit.
    pub refused: bool,
    /// How long to stay away, if it is a refusal that says so.
    pub retry_after: Option<Duration>,
    /// How many calls are left: of several limits, by the strictest.
    pub left: Option<Left>,
}

/// How many calls are left, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The number of calls.
    pub calls: u64,
    /// The time in which there will be no more.
    pub within: Duration,
}

impl Heard {
    /// Reads the head of a response.
    ///
    /// Dates are taken to be as far away as the server sees them, by its own `Date`, so that it does
    /// not matter how the clocks differ. `now` is the local time, for servers that do not say.
    #[must_use]
    pub fn read(status: StatusCode, headers: &HeaderMap, now: WallTime) -> Self {
        let made = Made::read(headers, now);
        let refused = Refused::read(status, headers);
        let waits = headers.get_all(header::RETRY_AFTER).iter();
        let waits = waits.filter_map(|value| made.retry_after(value.to_str().ok()?));
        let retry_after = refused.and_then(|refused| waits.chain(refused.wait).max());
        match made.age.is_zero() {
            true => {
                let left = fields::left(headers, made.at());
                let heard = Self { refused: true, retry_after, left };
                let is_refusal = |refused: Refused| !refused.is_vague || heard.said().is_some();
                Self { refused: refused.is_some_and(is_refusal), ..heard }
            }
            // That somebody was refused a while ago says nothing by itself.
            false => Self { refused: retry_after.is_some(), retry_after, left: None },
        }
    }

    /// Returns how long calls to that server should pause, if they should: what a refusal says,
    /// else until the limit is reset of which nothing is left, else a second for a refusal that
    /// says nothing.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        self.said().or(self.refused.then_some(SILENCE))
    }

    /// How long the server wants to be left alone, if it says so. A limit that has been reset by now
    /// says nothing, not even of a refusal: the clocks may differ.
    pub(super) fn said(&self) -> Option<Duration> {
        let spent = self.left.filter(|left| left.calls == 0).map(|left| left.within);
        let refused = self.retry_after.filter(|_| self.refused);
        refused.or(spent.filter(|within| !within.is_zero()))
    }
}

impl Left {
    /// That of the two by which calls have to be further apart.
    pub(super) fn stricter(self, other: Self) -> Self {
        // Cross-multiplied; saturating, as the largest numbers exceed even 128 bits.
        let [mine, others] = [(self, other), (other, self)]
            .map(|(one, two)| (one.within.as_nanos().saturating_mul(two.calls.into()), one.within));
        if mine >= others { self } else { other }
    }

    /// How far apart calls are that make even use of it, rounded up; `None` when there are none.
    pub(super) fn apart(self) -> Option<Duration> {
        let apart = self.within.as_nanos().checked_add(u128::from(self.calls).checked_sub(1)?)?;
        // Far above any pause that is believed when it does not fit.
        let apart = apart.checked_div(self.calls.into())?;
        Some(Duration::from_nanos(u64::try_from(apart).unwrap_or(u64::MAX)))
    }
}
