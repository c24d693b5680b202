//! Why calls are refused.

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
    /// [source](std::error::Error::source) says so.
    NotTogether,
    /// The store that keeps the limit did not answer; the [source](std::error::Error::source) says why.
    Unavailable,
}
