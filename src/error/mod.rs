//! The errors of calls.

mod rate_limited;
mod reason;

pub use rate_limited::RateLimited;
pub use reason::Reason;

use std::{error, fmt};

/// The error of a service behind a layer that can refuse: the refusal, or the inner service's own.
///
/// ```
/// # fn answer(result: Result<(), tower_ratelimit::Error<std::io::Error>>) {
/// use tower_ratelimit::Error;
///
/// match result {
///     Ok(()) => {}
///     Err(Error::Limited(refusal)) => println!("again in {:?}", refusal.retry_after()),
///     Err(Error::Inner(error)) => println!("{error}"),
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The call was not let through; the inner service never saw it.
    Limited(RateLimited),
    /// The inner service failed.
    Inner(E),
}

impl<E> Error<E> {
    /// Returns the refusal, if it is one.
    pub fn limited(&self) -> Option<&RateLimited> {
        match self {
            Error::Limited(refusal) => Some(refusal),
            Error::Inner(_) => None,
        }
    }
}

impl<E> Error<Error<E>> {
    /// Makes one error of those of two layers, where it does not matter which of them refused.
    ///
    /// ```
    /// use tower_ratelimit::{Error, RateLimited, Reason};
    ///
    /// let inside: Error<std::fmt::Error> = Error::Limited(RateLimited::new(Reason::UsedUp));
    /// assert_eq!(Error::Inner(inside.clone()).flatten(), inside);
    /// ```
    pub fn flatten(self) -> Error<E> {
        match self {
            Error::Limited(refusal) => Error::Limited(refusal),
            Error::Inner(error) => error,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Limited(_) => f.write_str("rate limited"),
            Error::Inner(_) => f.write_str("service failed"),
        }
    }
}

impl<E: error::Error + 'static> error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Error::Limited(refusal) => Some(refusal),
            Error::Inner(error) => Some(error),
        }
    }
}
