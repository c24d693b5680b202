//! Which limits a request is subject to.

use crate::{
    algorithm::AnyAlgorithm,
    limiter::{Enforced, JointLimiter, Limiter, OnLimits, StoredOnLimits},
    per_key::MissingKey,
    store::Store,
};

/// Says which limits of a [`JointLimiter`] or a [`StoredJointLimiter`](crate::StoredJointLimiter) a request is
/// subject to, with a key and a cost for each.
///
/// A function from the limiter and the request to an [`OnLimits`] or a [`StoredOnLimits`] is one, and so is a
/// function to a `Result` of it, for requests that may not say who they are from. It can leave out limits, add
/// some for costly requests, pick the one of the client's tier, or take its keys from
/// [sources](crate::KeySource). To enforce none of the refusals, or a share, wrap what it returns
/// by an [`Enforcement`](crate::Enforcement).
pub trait JointRules<Request, L = JointLimiter>: Clone {
    /// The limits of a request as one limiter.
    type OnLimits: Limiter;

    /// Returns the limits of this request.
    ///
    /// # Errors
    ///
    /// [`MissingKey`] when the request does not say for whom to limit it. It is refused then.
    fn limits(&self, limiter: &L, request: &Request) -> Result<Self::OnLimits, MissingKey>;
}

impl<F, Request, L, O> JointRules<Request, L> for F
where
    F: Fn(&L, &Request) -> O + Clone,
    O: OnLimitsOf,
{
    type OnLimits = O::OnLimits;

    fn limits(&self, limiter: &L, request: &Request) -> Result<O::OnLimits, MissingKey> {
        self(limiter, request).into_limits()
    }
}

/// What a function can return about a request: its limits, or that a key is missing.
pub trait OnLimitsOf {
    /// The limits of a request as one limiter.
    type OnLimits: Limiter;

    /// Returns the limits.
    ///
    /// # Errors
    ///
    /// [`MissingKey`] when there is none.
    fn into_limits(self) -> Result<Self::OnLimits, MissingKey>;
}

impl OnLimitsOf for OnLimits {
    type OnLimits = Self;

    fn into_limits(self) -> Result<Self, MissingKey> {
        Ok(self)
    }
}

impl<S: Store<AnyAlgorithm>> OnLimitsOf for StoredOnLimits<S> {
    type OnLimits = Self;

    fn into_limits(self) -> Result<Self, MissingKey> {
        Ok(self)
    }
}

impl<L: Limiter> OnLimitsOf for Enforced<L> {
    type OnLimits = Self;

    fn into_limits(self) -> Result<Self, MissingKey> {
        Ok(self)
    }
}

impl<O: OnLimitsOf> OnLimitsOf for Result<O, MissingKey> {
    type OnLimits = O::OnLimits;

    fn into_limits(self) -> Result<O::OnLimits, MissingKey> {
        self?.into_limits()
    }
}
