//! Why a store did not answer.

use std::{error, fmt, sync::Arc};

/// A store did not answer, or not what it was asked. Whether permits were taken is not known.
///
/// ```
/// use std::{error::Error, io};
/// use tower_ratelimit::store::StoreError;
///
/// let error = StoreError::new(io::Error::other("no route to host"));
/// assert_eq!(error.to_string(), "the store of the limits failed");
/// assert_eq!(error.source().expect("the cause is kept").to_string(), "no route to host");
/// ```
#[derive(Clone, Debug)]
pub struct StoreError(Arc<dyn error::Error + Send + Sync>);

impl StoreError {
    /// A failure with this cause.
    pub fn new(cause: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self(cause.into().into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store of the limits failed")
    }
}

impl error::Error for StoreError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&*self.0)
    }
}
