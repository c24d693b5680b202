//! The error of a call that was not let through.

use crate::{decision::Decision, rate::Rate, store::StoreError};
use std::{error, fmt, sync::Arc, time::Duration};

/// The error of a call that was not let through; nothing was taken for it.
///
/// It says which limit (by [name](Self::limit)), which [rate](Self::rate), the
/// [cost](Self::cost), when to [try again](Self::retry_after) and the
/// [longest wait](Self::max_wait) that was accepted.
///
/// ```
/// use tower_ratelimit::{LeakyBucket, Rate, RateLimiter};
///
/// let limiter = RateLimiter::builder(LeakyBucket::new(Rate::per_minute(1)?).capacity(1)?)
///     .name("login")
///     .build();
/// limiter.try_acquire().expect("the first");
/// let refused = limiter.try_acquire().unwrap_err();
/// assert_eq!(refused.limit(), Some("login"));
/// assert!(refused.to_string().starts_with("limit login of 1/min is used up, retry after 59."));
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimited {
    reason: Reason,
    limit: Option<Arc<str>>,
    rate: Option<Rate>,
    cost: u32,
    retry_after: Option<Duration>,
    max_wait: Option<Duration>,
    /// One word, as every call has room for a refusal.
    behind: Option<Arc<Behind>>,
}

/// What is behind a refusal, where that is known.
#[derive(Debug, PartialEq, Eq)]
enum Behind {
    /// The store failed.
    Failure(StoreError),
    /// What the store said, for each limit that it was asked about.
    Answers(Vec<Decision>),
    /// Nobody was asked, and this can be done about it.
    WhatToDo(&'static str),
}

/// Why a call was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The limit is used up for now, or the wait would be longer than accepted.
    UsedUp,
    /// The quota is spent, and nothing brings it back by itself.
    Exhausted,
    /// The cost is above what could ever be had.
    TooCostly,
    /// The maximum number of calls is waiting already.
    QueueFull,
    /// The maximum number of keys is in use already.
    TooManyKeys,
    /// The request does not say for whom to limit it, as the service is set up wrongly; the text of the
    /// refusal says what to do.
    NoKey,
    /// The request does not say for whom to limit it, as the client did not say who it is; the text of the
    /// refusal says what to do.
    Anonymous,
    /// The call names a limit of another limiter.
    UnknownLimit,
    /// All waiting calls were cancelled.
    Cancelled,
    /// The limiter was closed.
    Closed,
    /// The store cannot take these limits together, as their keys lie in different places of it; the
    /// [source](error::Error::source) says so.
    NotTogether,
    /// The store that keeps the limit did not answer; the [source](error::Error::source) says why.
    Unavailable,
}

impl RateLimited {
    /// Creates a refusal for a limiter of your own; the setters add what it knows.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        Self {
            reason,
            limit: None,
            rate: None,
            cost: 1,
            retry_after: None,
            max_wait: None,
            behind: None,
        }
    }

    /// Sets the name of the limit.
    #[must_use]
    pub fn with_limit(self, name: impl Into<Arc<str>>) -> Self {
        let limit = Some(name.into());
        Self { limit, ..self }
    }

    /// Sets the rate that refused.
    #[must_use]
    pub fn with_rate(self, rate: Rate) -> Self {
        let rate = Some(rate);
        Self { rate, ..self }
    }

    /// Sets the cost of the call.
    #[must_use]
    pub fn with_cost(self, cost: u32) -> Self {
        Self { cost, ..self }
    }

    /// Sets how long until the same call would be let through.
    #[must_use]
    pub fn with_retry_after(self, retry_after: Duration) -> Self {
        let retry_after = Some(retry_after);
        Self { retry_after, ..self }
    }

    /// Sets the longest wait that was accepted.
    #[must_use]
    pub fn with_max_wait(self, max_wait: Duration) -> Self {
        let max_wait = Some(max_wait);
        Self { max_wait, ..self }
    }

    /// Sets the failure behind it.
    #[must_use]
    pub fn with_cause(self, cause: StoreError) -> Self {
        let behind = Some(Arc::new(Behind::Failure(cause)));
        Self { behind, ..self }
    }

    /// Sets what a store answered, for those who tell how its limits stand.
    pub(crate) fn with_answers(self, answers: Vec<Decision>) -> Self {
        let behind = Some(Arc::new(Behind::Answers(answers)));
        Self { behind, ..self }
    }

    /// Sets what can be done about it that no limit was asked.
    pub(crate) fn with_what_to_do(self, what_to_do: &'static str) -> Self {
        let behind = Some(Arc::new(Behind::WhatToDo(what_to_do)));
        Self { behind, ..self }
    }

    /// What a store answered, for each limit that it was asked about; nothing where it was not.
    pub(crate) fn answers(&self) -> &[Decision] {
        match self.behind.as_deref() {
            Some(Behind::Answers(answers)) => answers,
            Some(Behind::Failure(_) | Behind::WhatToDo(_)) | None => &[],
        }
    }

    /// Returns why the call was not let through.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the name of the limit, if it has one.
    #[must_use]
    pub fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    /// Returns the rate that refused: of several, the first failing one by growing period.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Returns how many permits the call asked for.
    #[must_use]
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Returns how long until the same call would be let through, exact when no other caller asks;
    /// `None` when it never would be, or that is unknown.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the longest wait the call accepted; `None` when it would have waited for ever.
    #[must_use]
    pub fn max_wait(&self) -> Option<Duration> {
        self.max_wait
    }
}

impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("limit")?;
        if let Some(name) = self.limit() {
            write!(f, " {}", name.escape_debug())?;
        }
        if let Some(rate) = self.rate {
            write!(f, " of {rate}")?;
        }
        match self.reason {
            Reason::UsedUp => f.write_str(" is used up")?,
            Reason::Exhausted => f.write_str(" is spent for good")?,
            Reason::TooCostly => write!(f, " can never grant a cost of {}", self.cost)?,
            Reason::QueueFull => f.write_str(" has as many calls waiting as it may")?,
            Reason::TooManyKeys => f.write_str(" has as many keys in use as it may")?,
            Reason::NoKey => f.write_str(" found no key in the request")?,
            Reason::Anonymous => f.write_str(" needs a client that says who it is")?,
            Reason::UnknownLimit => f.write_str(" is not one of this limiter")?,
            Reason::Cancelled => f.write_str(" sent away all who waited")?,
            Reason::Closed => f.write_str(" was closed")?,
            Reason::NotTogether => f.write_str(" cannot be taken together with the others")?,
            Reason::Unavailable => f.write_str(" is not available")?,
        }
        if let Some(Behind::WhatToDo(what_to_do)) = self.behind.as_deref() {
            write!(f, ": {what_to_do}")?;
        }
        if let Some(wait) = self.retry_after {
            write!(f, ", retry after {wait:?}")?;
        }
        match self.max_wait {
            Some(max_wait) if !max_wait.is_zero() => write!(f, " (accepted wait {max_wait:?})"),
            _ => Ok(()),
        }
    }
}

impl error::Error for RateLimited {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self.behind.as_deref() {
            Some(Behind::Failure(cause)) => Some(cause),
            Some(Behind::Answers(_) | Behind::WhatToDo(_)) | None => None,
        }
    }
}

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
