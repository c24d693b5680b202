//! The numbers of a script as answers.

use crate::{
    decision::{Decision, Grant, Outcome},
    nanos::Nanos,
    store::Answer,
};
use std::{error::Error, fmt};

/// How many numbers an answer has.
const NUMBERS: usize = 8;

/// The script answered something else than it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbled;

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database answered something else than it was asked")
    }
}

impl Error for Garbled {}

/// Stands in place of an outcome before several answers that follow from the one before them.
const MORE: i64 = 5;

/// Where the numbers stand that differ between those.
const REMAINING: usize = 4;
const FULL_AFTER: usize = 5;

/// The answers in a reply: the time, and so many numbers for each, all of eight bytes.
pub(super) fn answers(reply: &[u8], orders: usize) -> Result<Vec<Answer>, Garbled> {
    let (numbers, rest) = reply.as_chunks();
    let (now, numbers) = numbers.split_first().ok_or(Garbled)?;
    let now = instant(whole(*now))?;
    let (entries, more) = numbers.as_chunks::<NUMBERS>();
    if !rest.is_empty() || !more.is_empty() {
        return Err(Garbled);
    }
    let mut answers = Vec::with_capacity(orders);
    let mut last = [0; NUMBERS];
    for entry in entries {
        let entry = entry.map(whole);
        let (times, fewer, later) = match entry {
            [MORE, times, _, _, fewer, later, _, _] => (times, fewer, later),
            _ => {
                last = entry;
                (1, 0, 0)
            }
        };
        for _ in 0..times {
            if answers.len() == orders {
                return Err(Garbled);
            }
            last[REMAINING] = last[REMAINING].saturating_sub(fewer);
            last[FULL_AFTER] = last[FULL_AFTER].saturating_add(later);
            answers.push(answer(last, now)?);
        }
    }
    match answers.len() == orders {
        true => Ok(answers),
        false => Err(Garbled),
    }
}

/// A number of the script: they are all whole, and exact.
fn whole(bytes: [u8; 8]) -> i64 {
    f64::from_le_bytes(bytes) as i64
}

fn answer(numbers: [i64; NUMBERS], now: Nanos) -> Result<Answer, Garbled> {
    let [outcome, x, y, limit, remaining, full_after, rate, wait] = numbers;
    let outcome = match outcome {
        0 => Outcome::Granted(Grant { cost: count(x)?, at: instant(y)? }),
        1 => Outcome::Later(span(x, now)),
        2 => Outcome::InUse((x >= 0).then(|| span(x, now))),
        3 => Outcome::Exhausted,
        4 => Outcome::Never,
        _ => return Err(Garbled),
    };
    let decision = Decision {
        outcome,
        limit: count(limit)?,
        remaining: count(remaining)?,
        full_after: span(full_after, now),
        rate: usize::try_from(rate).map_err(|_| Garbled)?,
    };
    Ok(Answer { decision, wait: span(wait, now) })
}

/// A length of time; a negative one lasts until the end of the time line.
fn span(microseconds: i64, now: Nanos) -> Nanos {
    instant(microseconds).unwrap_or(Nanos::MAX - now)
}

/// The instant that the server told in seconds and microseconds.
pub(super) fn time(seconds: u64, microseconds: u64) -> Nanos {
    let microseconds = seconds.saturating_mul(1_000_000).saturating_add(microseconds);
    Nanos::new(microseconds.saturating_mul(1000))
}

fn instant(microseconds: i64) -> Result<Nanos, Garbled> {
    let microseconds = u64::try_from(microseconds).map_err(|_| Garbled)?;
    Ok(Nanos::new(microseconds.saturating_mul(1000)))
}

fn count(number: i64) -> Result<u32, Garbled> {
    u32::try_from(number).map_err(|_| Garbled)
}
