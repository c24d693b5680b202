//! What stands in for the time stamp counter without the `quanta` feature: nobody has one.

use crate::nanos::Nanos;

#[derive(Clone, Debug)]
pub(super) enum Counter {}

impl Counter {
    #[inline(always)]
    pub(super) fn now(&self) -> Nanos {
        match *self {}
    }
}
