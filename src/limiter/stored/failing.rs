//! What becomes of calls while the store does not answer.

use super::super::KeyedRateLimiter;
use crate::algorithm::Algorithm;

/// What becomes of calls while the store does not answer. Nobody is let through by accident: whoever
/// builds a limiter over a store has to say.
#[derive(Clone, Debug)]
pub enum OnFailure<A> {
    /// They are refused, with [`Unavailable`](crate::Reason::Unavailable).
    Refuse,
    /// They pass, and nothing is counted.
    Admit,
    /// This limit holds, per key, in this process alone. Where n processes share a limit, it is an n-th of
    /// that, or less.
    ///
    /// It is used up by what the store lets through, too: a store that comes and goes hands out no
    /// fresh burst each time to those who keep calling.
    Local(A),
}

/// The same, in use.
#[derive(Debug)]
pub(super) enum Failing<A: Algorithm> {
    Refuse,
    Admit,
    Local(KeyedRateLimiter<A>),
}
