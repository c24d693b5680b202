//! What the quick ways are told of a batch, and what they answer.

use super::{
    connection::Parameter,
    request::{Request, WIDTH},
};
use tokio_postgres::types::Type;

/// Of each key how many permits a call takes, how many such calls there are, and how long the most
/// patient of them would wait. Calls for different permits are one for all of these, that is granted
/// or not answered.
pub(super) struct Takes {
    costs: Vec<i64>,
    counts: Vec<i64>,
    moments: Vec<i64>,
}

/// How long a call waits that does not.
const NOT_AT_ALL: i64 = -1;

/// How many numbers there are of each key in an answer.
const NUMBERS: usize = 3;

impl Takes {
    /// Nothing unless all that is asked are permits of one leaky bucket.
    pub(super) fn new(request: &Request<'_>) -> Option<Self> {
        let (["leaky_bucket"], [_, capacity]) = (&request.kinds[..], &request.parameters[..])
        else {
            return None;
        };
        let none = vec![0; request.keys.len()];
        let mut takes = Self { costs: none.clone(), counts: none.clone(), moments: none };
        for &[key, _, what, cost, _, moment, is_with_previous] in orders(request) {
            let moment = match what {
                0 => NOT_AT_ALL,
                6 => moment,
                _ => return None,
            };
            let key = place(key)?;
            takes.add(key, cost, moment)?;
            if cost == 0 || takes.costs[key] > *capacity || is_with_previous != 0 {
                return None;
            }
        }
        Some(takes)
    }

    fn add(&mut self, key: usize, cost: i64, moment: i64) -> Option<()> {
        let count = self.counts.get_mut(key)?;
        let (before, longest) = (self.costs.get_mut(key)?, self.moments.get_mut(key)?);
        match *count {
            0 => (*before, *count, *longest) = (cost, 1, moment),
            _ if *before == cost && *longest < i64::MAX => {
                *count += 1;
                *longest = moment.max(*longest);
            }
            _ => (*before, *count, *longest) = (*before * *count + cost, 1, i64::MAX),
        }
        Some(())
    }

    pub(super) fn parameters(&self) -> [Parameter<'_>; 3] {
        [&self.costs, &self.counts, &self.moments]
            .map(|numbers| -> Parameter<'_> { (numbers, Type::INT8_ARRAY) })
    }
}

/// What a quick way says.
pub(super) struct Told {
    /// The numbers that the long way would have returned.
    pub(super) numbers: Vec<Option<i64>>,
    /// How many records were put into the table; one if anything was granted at all, so that the clean-up
    /// goes on where all keys are known.
    pub(super) added: usize,
    /// Whether there was a record of each key of which anything was granted.
    pub(super) are_known: bool,
}

/// What these numbers say. Nothing if they are not of a quick way.
pub(super) fn told(request: &Request<'_>, numbers: &[Option<i64>]) -> Option<Told> {
    let [None, Some(now), Some(added), numbers @ ..] = numbers else {
        return None;
    };
    let many = request.keys.len();
    let numbers: Vec<i64> = numbers.iter().copied().collect::<Option<_>>()?;
    let &[step, capacity] = &request.parameters[..] else {
        return None;
    };
    if numbers.len() != NUMBERS * many {
        return None;
    }
    let (granted, rest) = numbers.split_at(many);
    let (remaining, full_after) = rest.split_at(many);
    let mut taken = vec![0; many];
    let mut answers = Vec::with_capacity(8 * request.orders.len() / WIDTH);
    for &[key, _, _, cost, ..] in orders(request) {
        let key = place(key)?;
        let filled = |permits: i64| full_after[key] + step * permits;
        let (outcome, wait) = match taken[key] + cost <= granted[key] {
            true => {
                taken[key] += cost;
                (0, 0)
            }
            false => (1, filled(taken[key] + cost) - step * capacity),
        };
        let left = remaining[key] - taken[key];
        let answer = [*now, outcome, *now, wait, capacity, left, filled(taken[key]), 0];
        answers.extend(answer.map(Some));
    }
    let are_known = *added == 0;
    let added = usize::try_from(*added).ok()?;
    let added = added.max(usize::from(granted.iter().any(|permits| *permits > 0)));
    Some(Told { numbers: answers, added, are_known })
}

/// The orders, of so many numbers each.
fn orders<'a>(request: &'a Request<'_>) -> impl Iterator<Item = &'a [i64; WIDTH]> {
    request.orders.as_chunks().0.iter()
}

/// Keys are counted from one.
fn place(key: i64) -> Option<usize> {
    usize::try_from(key).ok()?.checked_sub(1)
}
