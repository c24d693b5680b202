//! What is left of a limit.

use super::line::{Line, Unwritable};
use crate::{
    error::RateLimited,
    http::{number, refusal::whole_seconds},
    limiter::Standing,
};
use http::HeaderValue;
use std::num::NonZero;

/// What is left, and for how long that is so.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) remaining: u32,
    /// None where nobody knows, and where nothing was used.
    pub(super) seconds: Option<NonZero<u64>>,
}

/// `;r=`, `;t=` and two numbers.
const LONGEST: usize = 6 + 2 * number::MOST;

impl State {
    /// Of the limit that refused a call the wait is that of the refusal.
    pub(super) fn of(limit: &Standing<'_>, refusal: Option<&RateLimited>) -> Option<Self> {
        let remaining = limit.remaining()?;
        if let Some(refusal) = refusal
            && let Some(wait) = refusal.retry_after()
        {
            // Time may have passed since it was refused.
            let remaining = remaining.min(refusal.cost().saturating_sub(1));
            return Some(Self { remaining, seconds: NonZero::new(whole_seconds(wait)) });
        }
        let wait = match remaining {
            _ if limit.holds() => None,
            0 => limit.next_after(),
            _ => limit.full_after().filter(|wait| !wait.is_zero()),
        };
        Some(Self { remaining, seconds: wait.and_then(|wait| NonZero::new(whole_seconds(wait))) })
    }

    /// `;r=50;t=30`, at the end of a buffer.
    fn text(self, buffer: &mut [u8; LONGEST]) -> &[u8] {
        let mut begin = LONGEST;
        let mut write = |name: &[u8; 3], number: u64| {
            let digits = number::write_before(begin, number.min(super::line::LARGEST), buffer);
            begin = digits - name.len();
            buffer[begin..digits].copy_from_slice(name);
        };
        if let Some(seconds) = self.seconds {
            write(b";t=", seconds.get());
        }
        write(b";r=", self.remaining.into());
        &buffer[begin..]
    }

    /// After the name of a policy.
    pub(super) fn write(self, line: &mut Line) -> Result<(), Unwritable> {
        line.bytes(self.text(&mut [0; LONGEST]))
    }

    /// The field of a single limit, whose policy has this name.
    pub(super) fn value(self, name: &[u8]) -> Option<HeaderValue> {
        let mut buffer = [0; LONGEST];
        let text = self.text(&mut buffer);
        // As long as it will be, so that it is never asked for twice.
        let mut value = Vec::with_capacity(name.len() + text.len());
        value.extend_from_slice(name);
        value.extend_from_slice(text);
        HeaderValue::try_from(value).ok()
    }
}
