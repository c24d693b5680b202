//! A state that nobody else can change.

use super::{Keeper, Words, packed::Packed, pair::Pair};
use crate::nanos::Nanos;

/// The state of a key, taken out until it is [released](Self::release) or [removed](Self::remove).
/// Dropped, it goes back as it was.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    keeper: &'a mut Keeper,
    pair: Pair<'a>,
    row: usize,
    state: Nanos,
    /// What becomes of the key: the state that it goes on with, or nothing.
    fate: Option<Nanos>,
}

impl Words {
    /// Takes the state of this key out, if it is here.
    pub(crate) fn hold<'a>(&'a self, keeper: &'a mut Keeper, key: u64) -> Option<Held<'a>> {
        self.follow(keeper);
        let (row, pair) = self.slot(keeper, key)?;
        let state = pair.hold()?;
        Some(Held { keeper, pair, row, state, fate: Some(state) })
    }
}

impl Held<'_> {
    /// The state that was taken out.
    pub(crate) fn state(&self) -> Nanos {
        self.state
    }

    /// Goes on with this state, be it earlier or later. False when a word cannot say it: the key is
    /// not in here any more, and its state has to be kept elsewhere.
    #[must_use]
    pub(crate) fn release(mut self, state: Nanos) -> bool {
        self.fate = Some(state).filter(|state| Packed::says(*state));
        self.fate.is_some()
    }

    /// Forgets the key.
    pub(crate) fn remove(mut self) {
        self.fate = None;
    }
}

/// Whatever happens, a state does not stay held, which would be for ever.
impl Drop for Held<'_> {
    fn drop(&mut self) {
        match self.fate {
            Some(state) => {
                self.keeper.due.note(self.row, state);
                self.pair.release(state);
            }
            None => {
                self.keeper.kept -= 1;
                self.pair.vacate();
            }
        }
    }
}
