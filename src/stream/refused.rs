//! An item that was not let through.

use crate::error::RateLimited;
use std::{error, fmt};

/// An item for which there was no permit, and why not. It is not lost: take it out, or drop it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::{StreamExt, stream};
/// use tower_ratelimit::{LeakyBucket, Rate, Reason, stream::RateLimitStream};
///
/// let limit = LeakyBucket::new(Rate::per_second(10)?).capacity(5)?;
/// let mut words = stream::iter(["few", "too many", "some"])
///     .rate_limited(limit)
///     .cost(|word| u32::try_from(word.len()).unwrap_or(u32::MAX));
///
/// assert_eq!(words.next().await.expect("three")?, "few");
/// let refused = words.next().await.expect("three").unwrap_err();
/// assert_eq!(refused.refusal().reason(), Reason::TooCostly);
/// assert_eq!(refused.into_item(), "too many");
/// assert_eq!(words.next().await.expect("three")?, "some");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Refused<T> {
    item: T,
    refusal: RateLimited,
}

impl<T> Refused<T> {
    pub(super) fn new(item: T, refusal: RateLimited) -> Self {
        Self { item, refusal }
    }

    /// Returns why it was refused.
    pub fn refusal(&self) -> &RateLimited {
        &self.refusal
    }

    /// Returns the item.
    pub fn item(&self) -> &T {
        &self.item
    }

    /// Takes the item out.
    pub fn into_item(self) -> T {
        self.item
    }

    /// Takes out both the item and the refusal.
    pub fn into_parts(self) -> (T, RateLimited) {
        (self.item, self.refusal)
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("item was not let through")
    }
}

/// Not derived, so that any item can be in an error.
impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("refusal", &self.refusal).finish_non_exhaustive()
    }
}

impl<T> error::Error for Refused<T> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.refusal)
    }
}
