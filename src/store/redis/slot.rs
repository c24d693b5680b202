//! In which slot of a cluster a key lies.

use super::{name::push_tag, reply::Garbled};
use crate::store::{Answer, Batch, Order, StoreError, StoreKey};
use std::{collections::HashMap, error::Error, fmt, future, task::Poll};

/// The error when limits should be taken together whose keys lie in different slots of a cluster,
/// and may be kept by different servers: there that cannot be one step. Nothing was taken.
///
/// It is the [source](Error::source) of the [`StoreError`](crate::store::StoreError). Limits on the
/// same key always lie in the same slot, and so do keys of the same
/// [tag](crate::store::StoreKey::tagged).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcrossSlots;

impl fmt::Display for AcrossSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("limits to be taken together have keys in different slots of the cluster")
    }
}

impl Error for AcrossSlots {}

/// How many slots a cluster has.
const SLOTS: u16 = 16384;

/// The slot of a key.
pub(super) fn slot_of(key: &StoreKey) -> u16 {
    let mut tag = String::new();
    push_tag(&mut tag, key.tag());
    tag.bytes().fold(0, checksum) % SLOTS
}

/// CRC-16/XMODEM with one more byte.
fn checksum(before: u16, byte: u8) -> u16 {
    (0..8).fold(before ^ (u16::from(byte) << 8), |sum, _| match sum & 0x8000 {
        0 => sum << 1,
        _ => (sum << 1) ^ 0x1021,
    })
}

/// A part of a batch that one server can answer.
#[derive(Debug)]
struct Part<A> {
    /// Which of the answers are those to its orders.
    places: Vec<usize>,
    batch: Batch<A>,
}

/// The groups of a batch by the slot of their keys, each in the order in which they came.
fn by_slot<A>(batch: &Batch<A>) -> Result<Vec<Part<A>>, AcrossSlots> {
    let mut parts: Vec<Part<A>> = Vec::new();
    let mut index_of = HashMap::new();
    let mut place = 0;
    for group in batch.groups() {
        let slot = one_slot(group)?;
        let index = *index_of.entry(slot).or_insert(parts.len());
        if index == parts.len() {
            let Batch { now, is_in_a_task, .. } = *batch;
            let batch = Batch { orders: Vec::new(), now, is_in_a_task };
            parts.push(Part { places: Vec::new(), batch });
        }
        if let Some(part) = parts.get_mut(index) {
            part.places.extend(place..place + group.len());
            part.batch.orders.extend_from_slice(group);
            place += group.len();
        }
    }
    Ok(parts)
}

/// The slot of all keys of a group.
pub(super) fn one_slot<A>(group: &[Order<A>]) -> Result<Option<u16>, AcrossSlots> {
    let mut slots = group.iter().map(|order| slot_of(&order.key));
    let first = slots.next();
    match slots.all(|slot| Some(slot) == first) {
        true => Ok(first),
        false => Err(AcrossSlots),
    }
}

/// Asks for each slot, all at the same time, and puts the answers in the order of the orders.
pub(super) async fn for_each_slot<A, F>(
    batch: Batch<A>,
    call: impl Fn(Batch<A>) -> F,
) -> Result<Vec<Answer>, StoreError>
where
    F: Future<Output = Result<Vec<Answer>, StoreError>>,
{
    // So limiters send them.
    if one_slot(batch.orders()).is_ok() {
        return call(batch).await;
    }
    let parts = by_slot(&batch).map_err(StoreError::new)?;
    let mut calls: Vec<_> =
        parts.into_iter().map(|Part { places, batch }| (places, Box::pin(call(batch)))).collect();
    let mut answers = vec![None; batch.orders.len()];
    future::poll_fn(|context| {
        let mut failed = None;
        calls.retain_mut(|(places, call)| match call.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(part)) => {
                for (place, answer) in places.iter().zip(part) {
                    answers[*place] = Some(answer);
                }
                false
            }
            Poll::Ready(Err(error)) => {
                failed = Some(error);
                false
            }
        });
        match (failed.take(), calls.is_empty()) {
            (Some(error), _) => Poll::Ready(Err(error)),
            (None, true) => Poll::Ready(Ok(())),
            (None, false) => Poll::Pending,
        }
    })
    .await?;
    answers.into_iter().collect::<Option<_>>().ok_or_else(|| StoreError::new(Garbled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster() {
        let slot = |text: &str| text.bytes().fold(0, checksum) % SLOTS;
        // As the specification of the cluster has it, and as a server says.
        assert_eq!("123456789".bytes().fold(0, checksum), 0x31C3);
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot("bar"), 5061);
    }
}
