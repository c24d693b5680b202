//! Which limits a request is subject to.

use crate::{
    limiter::{JointLimiter, OnLimits},
    per_key::MissingKey,
};

/// Says which limits of a [`JointLimiter`] a request is subject to, with a key and a cost for each.
///
/// A function from the limiter and the request to an [`OnLimits`] is one, and so is a function to a
/// `Result` of it, for requests that may not say who they are from. It can leave out limits, add
/// some for costly requests, or take its keys from [sources](crate::KeySource).
pub trait JointRules<Request>: Clone {
    /// The limits of this request.
    ///
    /// # Errors
    ///
    /// [`MissingKey`] when the request does not say for whom to limit it. It is refused then.
    fn limits(&self, limiter: &JointLimiter, request: &Request) -> Result<OnLimits, MissingKey>;
}

impl<F, Request, O> JointRules<Request> for F
where
    F: Fn(&JointLimiter, &Request) -> O + Clone,
    O: OnLimitsOf,
{
    fn limits(&self, limiter: &JointLimiter, request: &Request) -> Result<OnLimits, MissingKey> {
        self(limiter, request).into_limits()
    }
}

/// What a function can say about a request: its limits, or that a key is missing.
pub trait OnLimitsOf {
    /// The limits.
    ///
    /// # Errors
    ///
    /// [`MissingKey`] when there is none.
    fn into_limits(self) -> Result<OnLimits, MissingKey>;
}

impl OnLimitsOf for OnLimits {
    fn into_limits(self) -> Result<OnLimits, MissingKey> {
        Ok(self)
    }
}

impl OnLimitsOf for Result<OnLimits, MissingKey> {
    fn into_limits(self) -> Result<OnLimits, MissingKey> {
        self
    }
}
