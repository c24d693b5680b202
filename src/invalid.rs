//! The error of every constructor and setter.

use std::{error::Error, fmt};

/// The error for a parameter that no limit can be built from.
///
/// It names the parameter, the value given and what is allowed.
///
/// ```
/// use tower_ratelimit::Rate;
///
/// let invalid = Rate::per_second(0).unwrap_err();
/// assert_eq!(invalid.parameter(), "permits");
/// assert_eq!(invalid.to_string(), "permits is 0, but must be at least 1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    parameter: &'static str,
    value: String,
    allowed: String,
}

impl Invalid {
    /// Creates an error for a constructor of your own: `allowed` completes the sentence
    /// "`parameter` is `value`, but must be …".
    pub fn new(
        parameter: &'static str,
        value: impl fmt::Display,
        allowed: impl fmt::Display,
    ) -> Self {
        Self { parameter, value: value.to_string(), allowed: allowed.to_string() }
    }

    /// Returns the name of the parameter.
    #[must_use]
    pub fn parameter(&self) -> &'static str {
        self.parameter
    }

    /// Returns the value given, as text.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns what is allowed, as it completes "must be …".
    #[must_use]
    pub fn allowed(&self) -> &str {
        &self.allowed
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parameter, value, allowed } = self;
        write!(f, "{parameter} is {value}, but must be {allowed}")
    }
}

impl Error for Invalid {}
