//! How a service answers a call that was not let through.

use crate::error::{Error, RateLimited};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Turns a refusal into what the service returns: an error, or a response.
///
/// `Res` and `E` are the response and the error of the inner service.
pub trait OnRefusal<Res, E>: Clone {
    /// The error of the service behind the layer.
    type Error;

    /// Answers a call that was not let through.
    ///
    /// # Errors
    ///
    /// When the answer is an error.
    fn refuse(&self, refusal: RateLimited) -> Result<Res, Self::Error>;

    /// Passes on an error of the inner service.
    fn inner(&self, error: E) -> Self::Error;

    /// Receives what was kept while the call ran, when there is a response. The call has ended once
    /// it is dropped, which happens at once unless a type says otherwise.
    fn responded<H: Send + Sync + 'static>(&self, _response: &mut Res, hold: H) {
        drop(hold);
    }
}

/// Refusals are errors: the service fails with [`Error<E>`](Error).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fail;

impl<Res, E> OnRefusal<Res, E> for Fail {
    type Error = Error<E>;

    fn refuse(&self, refusal: RateLimited) -> Result<Res, Error<E>> {
        Err(Error::Limited(refusal))
    }

    #[inline]
    fn inner(&self, error: E) -> Error<E> {
        Error::Inner(error)
    }
}

/// Refusals and errors of the inner service are boxed errors, as with tower's own `Timeout`, `Buffer` and
/// `LoadShed`, which can then stand outside of this layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boxed;

impl<Res, E: Into<BoxError>> OnRefusal<Res, E> for Boxed {
    type Error = BoxError;

    fn refuse(&self, refusal: RateLimited) -> Result<Res, BoxError> {
        Err(refusal.into())
    }

    fn inner(&self, error: E) -> BoxError {
        error.into()
    }
}

/// Refusals are answered by a function, and the service keeps the error type of the inner one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Respond<F>(pub F);

impl<F, Res, E> OnRefusal<Res, E> for Respond<F>
where
    F: Fn(RateLimited) -> Result<Res, E> + Clone,
{
    type Error = E;

    fn refuse(&self, refusal: RateLimited) -> Result<Res, E> {
        self.0(refusal)
    }

    #[inline]
    fn inner(&self, error: E) -> E {
        error
    }
}

/// There are no refusals: every call waits its turn, and the service keeps the error type of the
/// inner one. Made by [`RateLimitLayer::wait_only`](crate::RateLimitLayer::wait_only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitOnly(pub(crate) ());

impl<Res, E> OnRefusal<Res, E> for WaitOnly {
    type Error = E;

    fn refuse(&self, refusal: RateLimited) -> Result<Res, E> {
        unreachable!(
            "a limit that refills grants a cost of 1 in the end, and nobody else holds it: {refusal}"
        )
    }

    #[inline]
    fn inner(&self, error: E) -> E {
        error
    }
}
