//! A state and the number of its owner, in one word.

use crate::nanos::Nanos;

/// How many bits the instant takes; the others count the owners of the slot. They reach 146 years
/// beyond the beginning of the clock, which is the year 2116 for one that counts from 1970: what ends
/// later is kept elsewhere.
const INSTANT: u32 = 62;

/// The bits of the instant, which are zero while nobody but the keeper may change the state: what equals new
/// since the beginning of time is not kept.
const STATE: u64 = (1 << INSTANT) - 1;

/// The state of a slot, and which of the slot's owners, modulo 4, it belongs to.
///
/// With the number in the word, a change that was worked out for one owner does not go to the next,
/// even if both have the same state, which is usual where clocks are coarse and limits are new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed(pub(super) u64);

impl Packed {
    /// Takes the state away, whatever it is, when a word is combined with this by "and".
    pub(super) const HELD: u64 = !STATE;

    /// The first instant that a word cannot say.
    pub(super) const END: Nanos = Nanos::new(1 << INSTANT);

    /// Whether this is an instant that a word can say.
    #[inline]
    pub(super) const fn says(state: Nanos) -> bool {
        state.get() != 0 && state.get() <= STATE
    }

    /// The state, if it is anybody's to change.
    #[inline]
    pub(super) const fn state(self) -> Option<Nanos> {
        match self.0 & STATE {
            0 => None,
            instant => Some(Nanos::new(instant)),
        }
    }

    /// Another state of the same owner, if a word can say it.
    #[inline]
    pub(super) const fn with(self, state: Nanos) -> Option<Self> {
        match Self::says(state) {
            true => Some(Self(self.held().0 | state.get())),
            false => None,
        }
    }

    /// The same owner, whose state is held.
    #[inline]
    pub(super) const fn held(self) -> Self {
        Self(self.0 & Self::HELD)
    }

    /// The next owner, whose state is held.
    pub(super) const fn next_owner(self) -> Self {
        Self(self.0.wrapping_add(1 << INSTANT) & Self::HELD)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Packed, STATE};
    use crate::nanos::Nanos;

    const UNUSED: Packed = Packed(0);

    #[test]
    fn a_word_says_all_instants_of_146_years_but_the_first() {
        let packed = UNUSED.next_owner();
        for state in [1, 2, STATE].map(Nanos::new) {
            assert_eq!(packed.with(state).and_then(Packed::state), Some(state));
        }
        assert_eq!(packed.with(Nanos::ZERO), None);
        assert_eq!(packed.with(Packed::END), None);
        assert_eq!(packed.with(Nanos::MAX), None);
        assert_eq!(packed.state(), None);
    }

    #[test]
    fn owners_are_told_apart_by_their_number_alone() {
        let mut owner = UNUSED;
        for _ in 1..4 {
            owner = owner.next_owner();
            assert_ne!(owner, UNUSED);
            let state = owner.with(Nanos::new(7)).expect("a small state");
            assert_eq!(state.held(), owner);
            assert_ne!(Some(state), UNUSED.with(Nanos::new(7)));
        }
        assert_eq!(owner.next_owner(), UNUSED);
    }
}
