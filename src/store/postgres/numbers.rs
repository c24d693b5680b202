//! The numbers that a statement returns, as answers.

use crate::{
    decision::{Ask, Decision, Grant, Outcome},
    nanos::Nanos,
    store::{Answer, Batch, StoreAsk, StoreError},
};

/// How many numbers an answer is.
const WIDTH: usize = 8;

/// The end of the time line. What is cut to it is cut to the same end here.
const END: u64 = u64::MAX / 1000;

/// The answers to all orders of a batch.
pub(super) fn answers<A>(
    batch: &Batch<A>,
    numbers: &[Option<i64>],
) -> Result<Vec<Answer>, StoreError> {
    let (answers, rest) = numbers.as_chunks::<WIDTH>();
    let orders = batch.orders();
    if answers.len() != orders.len() || !rest.is_empty() {
        return Err(StoreError::new("there is not an answer for each order"));
    }
    let answers = answers.iter().zip(orders);
    let answers = answers.map(|(numbers, order)| answer(numbers, order.ask));
    answers.collect::<Option<_>>().ok_or_else(|| StoreError::new("an answer makes no sense"))
}

fn answer(numbers: &[Option<i64>; WIDTH], ask: StoreAsk) -> Option<Answer> {
    let [now, outcome, at, wait, limit, remaining, full_after, rate] = numbers
        .map(|number| number.map(u64::try_from).transpose().ok())
        .into_iter()
        .collect::<Option<Vec<_>>>()?
        .try_into()
        .ok()?;
    let now = now?;
    // What lies ahead of now by less than the rest of the time line.
    let span = |length: u64| match now.saturating_add(length) {
        ..END => Nanos::new(length * 1000),
        END.. => Nanos::MAX - instant(now),
    };
    let outcome = match outcome? {
        0 => Outcome::Granted(Grant { cost: cost(ask), at: instant(at?) }),
        1 => Outcome::Later(span(wait?)),
        2 => Outcome::InUse(wait.map(span)),
        3 => Outcome::Exhausted,
        4 => Outcome::Never,
        _ => return None,
    };
    let decision = Decision {
        outcome,
        limit: limit?.try_into().ok()?,
        remaining: remaining?.try_into().ok()?,
        full_after: span(full_after?),
        rate: rate?.try_into().ok()?,
    };
    let wait = if decision.is_granted() { span(wait?) } else { Nanos::ZERO };
    Some(Answer { decision, wait })
}

fn instant(microseconds: u64) -> Nanos {
    match microseconds {
        ..END => Nanos::new(microseconds * 1000),
        END.. => Nanos::MAX,
    }
}

/// How many permits a grant is of.
fn cost(ask: StoreAsk) -> u32 {
    match ask {
        StoreAsk::Ask(Ask::Take(take) | Ask::Peek(take)) => take.cost,
        StoreAsk::Ask(Ask::Renew(grant) | Ask::GiveBack(grant) | Ask::End(grant))
        | StoreAsk::Return(grant) => grant.cost,
        StoreAsk::Ask(Ask::Charge(cost)) | StoreAsk::Reserve { cost, .. } => cost,
        StoreAsk::Forget => 0,
    }
}
