//! What stands in for the coarse clock without the `coarse-clock` feature: nobody has one.

use crate::nanos::Nanos;

#[derive(Clone, Debug)]
pub(super) enum Coarse {}

impl Coarse {
    #[inline(always)]
    pub(super) fn now(&self) -> Nanos {
        match *self {}
    }
}
