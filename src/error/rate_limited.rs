//! The error of a call that was not let through.

use super::Reason;
use crate::{decision::Decision, nanos::Nanos, rate::Rate, store::StoreError};
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
    full_after: FullAfter,
    /// One word, as every call has room for a refusal.
    behind: Option<Arc<Behind>>,
}

/// How long until the limit is as if never used, by whoever has this number; [`MAX`](Nanos::MAX) where that is
/// not known. It saves those who tell how the limit stands a look at it, and is no part of what a refusal
/// says: refusals that say the same are equal.
#[derive(Clone, Copy)]
struct FullAfter {
    by: u64,
    span: Nanos,
}

impl FullAfter {
    const UNKNOWN: Self = Self { by: 0, span: Nanos::MAX };
}

impl PartialEq for FullAfter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for FullAfter {}

impl fmt::Debug for FullAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
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
            full_after: FullAfter::UNKNOWN,
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

    /// Sets how long until the limit is as if never used, for whoever has this number and tells how it
    /// stands.
    pub(crate) fn with_full_after(self, by: u64, span: Nanos) -> Self {
        Self { full_after: FullAfter { by, span }, ..self }
    }

    /// How long until the limit is as if never used, where a limit of this number refused and knew it: a
    /// refusal may be shown to others.
    pub(crate) fn full_after(&self, by: u64) -> Option<Nanos> {
        let FullAfter { by: who, span } = self.full_after;
        (who == by && span != Nanos::MAX).then_some(span)
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
