//! States as bytes.

use crate::{decision::Grant, nanos::Nanos};
use std::collections::VecDeque;

/// A state that can be written down as bytes and read back, now or by another process.
///
/// All states of the algorithms of this crate can. For an algorithm of your own, write the fields
/// one after the other and read them in the same order; `Nanos`, integers, `bool` and options of
/// them are states already.
///
/// Integers are written with all their bytes, the lowest first, and a list after the number of its
/// entries. Instants are those of the limiter's [`Clock`](crate::Clock), counted from where it began.
/// Which algorithm the state is of, and by which parameters, is not in the bytes.
///
/// # Contract
///
/// What [`write`](Self::write) has written [`read`](Self::read) reads, and the state then answers
/// every ask as the one that was written. Bytes from anywhere are `None`, or a state that the
/// algorithm can go on with: `read` never panics, and takes no more memory than in proportion to
/// the bytes that are there, whatever number of entries they tell of.
///
/// ```
/// use tower_ratelimit::{Nanos, algorithm::StoredState};
///
/// /// The next slot, and how many calls there were.
/// #[derive(Debug, PartialEq)]
/// struct Counted {
///     next: Nanos,
///     calls: u32,
/// }
///
/// impl StoredState for Counted {
///     fn write(&self, bytes: &mut Vec<u8>) {
///         self.next.write(bytes);
///         self.calls.write(bytes);
///     }
///
///     fn read(bytes: &mut &[u8]) -> Option<Self> {
///         Some(Self { next: Nanos::read(bytes)?, calls: u32::read(bytes)? })
///     }
/// }
///
/// let state = Counted { next: Nanos::new(258), calls: 7 };
/// let mut bytes = Vec::new();
/// state.write(&mut bytes);
/// assert_eq!(bytes, [2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0]);
/// assert_eq!(Counted::read(&mut &bytes[..]), Some(state));
/// assert_eq!(Counted::read(&mut &bytes[..9]), None);
/// ```
pub trait StoredState: Sized {
    /// Appends the bytes of the state.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Reads a state off the front of these bytes and leaves what follows it; `None` when it is not
    /// the bytes of such a state that they begin with, and then how far they were read is not said.
    fn read(bytes: &mut &[u8]) -> Option<Self>;

    /// Ends the calls in flight, which will not end by themselves: the process that ran them is
    /// gone.
    ///
    /// Only states of calls that [hold](crate::algorithm::Held) their permits know of any; for others there is
    /// nothing to do, which is the default.
    fn end_calls(&mut self, now: Nanos) {
        let _ = now;
    }
}

macro_rules! integers {
    ($($integer:ty),*) => { $(
        impl StoredState for $integer {
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                bytes.split_off(..size_of::<Self>())?.try_into().ok().map(Self::from_le_bytes)
            }
        }
    )* };
}

integers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

/// One byte, 0 or 1.
impl StoredState for bool {
    fn write(&self, bytes: &mut Vec<u8>) {
        u8::from(*self).write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        match u8::read(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// Whether there is one, and what it is.
impl<S: StoredState> StoredState for Option<S> {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.is_some().write(bytes);
        if let Some(state) = self {
            state.write(bytes);
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        match bool::read(bytes)? {
            false => Some(None),
            true => S::read(bytes).map(Some),
        }
    }
}

impl StoredState for Nanos {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.get().write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        u64::read(bytes).map(Self::new)
    }
}

impl StoredState for Grant {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.cost.write(bytes);
        self.at.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { cost: u32::read(bytes)?, at: Nanos::read(bytes)? })
    }
}

/// A state that is its fields, one after the other, whatever they are.
macro_rules! stored_fields {
    ($state:ident { $($field:ident),+ }) => {
        impl $crate::algorithm::StoredState for $state {
            fn write(&self, bytes: &mut Vec<u8>) {
                $($crate::algorithm::StoredState::write(&self.$field, bytes);)+
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::algorithm::StoredState::read(bytes)?),+ })
            }
        }
    };
}
pub(super) use stored_fields;

/// Writes down grants after their number.
pub(super) fn write_grants(grants: impl ExactSizeIterator<Item = Grant>, bytes: &mut Vec<u8>) {
    (grants.len() as u64).write(bytes);
    grants.for_each(|grant| grant.write(bytes));
}

/// Reads grants of one permit or more, none of which is before the one in front of it.
pub(super) fn read_grants(bytes: &mut &[u8]) -> Option<VecDeque<Grant>> {
    let number = u64::read(bytes)?;
    // Grown with the grants that are there: nobody has seen yet whether there are so many.
    let mut grants = VecDeque::new();
    let mut latest = Nanos::ZERO;
    for _ in 0..number {
        let grant = Grant::read(bytes).filter(|grant| grant.cost > 0 && grant.at >= latest)?;
        latest = grant.at;
        grants.push_back(grant);
    }
    Some(grants)
}
