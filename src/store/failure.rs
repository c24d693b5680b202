//! Why a store did not answer.

use std::{error, fmt, sync::Arc};

/// The error of a store that did not answer, or not correctly; permits may have been taken.
///
/// ```
/// use std::{error::Error, io};
/// use tower_ratelimit::store::StoreError;
///
/// let error = StoreError::new(io::Error::other("no route to host"));
/// assert_eq!(error.to_string(), "the store of the limits failed");
/// assert_eq!(error.source().expect("the cause is kept").to_string(), "no route to host");
/// ```
///
/// Two of them are equal only when they come from the same failure.
// One word, as every refusal has room for it.
#[derive(Clone, Debug)]
pub struct StoreError(Arc<Box<dyn error::Error + Send + Sync>>);

impl StoreError {
    /// Creates an error with this cause.
    pub fn new(cause: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self(Arc::new(cause.into()))
    }

    /// Whether the store has answered, and cannot read what it keeps of a key.
    pub(crate) fn is_about_a_record(&self) -> bool {
        self.0.is::<Unreadable>()
    }
}

impl PartialEq for StoreError {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for StoreError {}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store of the limits failed")
    }
}

impl error::Error for StoreError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&**self.0)
    }
}

/// The store did not answer within the [deadline](crate::StoredBuilder::deadline), and may do so yet:
/// permits that it grants within ten times as long go back.
///
/// ```
/// # use tower_ratelimit::store::StoreError;
/// use std::error::Error;
/// use tower_ratelimit::store::TooLate;
///
/// fn is_slow(error: &StoreError) -> bool {
///     error.source().is_some_and(|cause| cause.is::<TooLate>())
/// }
/// # assert!(is_slow(&StoreError::new(TooLate)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it did not answer in time")
    }
}

impl error::Error for TooLate {}

/// The store has answered, and what it keeps of a key is no record of its limit: mostly one of another
/// algorithm under the same name.
///
/// As the cause of a [`StoreError`] it says nothing against the store, which is asked on as before.
///
/// ```
/// use std::error::Error;
/// use tower_ratelimit::store::{StoreError, Unreadable};
///
/// let error = StoreError::new(Unreadable::new("logins"));
/// assert!(error.source().is_some_and(|cause| cause.is::<Unreadable>()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(Box<str>);

impl Unreadable {
    /// Creates the error for a key of the limit of this name.
    #[must_use]
    pub fn new(limit: &str) -> Self {
        Self(limit.into())
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = &self.0;
        write!(
            f,
            "what is kept of a key of the limit {limit:?} is of another algorithm: \
            give the limit another name, or delete its records"
        )
    }
}

impl error::Error for Unreadable {}
