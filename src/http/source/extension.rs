//! What a layer before has found out.

use crate::{
    http::TooManyRequests,
    key::Key,
    per_key::{KeySource, MissingKey},
};
use http::Request;
use std::{any, fmt, marker::PhantomData};

/// Keys requests by a value of this type in their extensions, such as the user that an
/// authentication layer has found.
///
/// The layer that inserts it has to be outside of this one. A request without it is answered with 500,
/// and with the feature `tracing` logged as an error, unless [`OrShared`](crate::OrShared) is around.
///
/// ```
/// use http::Request;
/// use tower_ratelimit::{Key, KeySource, http::Extension};
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct UserId(u64);
///
/// impl Key for UserId {
///     fn write(&self, out: &mut dyn FnMut(&[u8])) {
///         self.0.write(out);
///     }
/// }
///
/// let mut request = Request::new(());
/// assert!(Extension::<UserId>::new().key(&request).is_err());
/// request.extensions_mut().insert(UserId(7));
/// assert_eq!(Extension::<UserId>::new().key(&request), Ok(UserId(7)));
/// ```
pub struct Extension<T>(PhantomData<fn() -> T>);

impl<T> Extension<T> {
    /// Creates a source of the extension of this type.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Key + Clone + Send + Sync + 'static, B> KeySource<Request<B>> for Extension<T> {
    type Key = T;
    type Reply = TooManyRequests;

    fn key(&self, request: &Request<B>) -> Result<T, MissingKey> {
        let value = request.extensions().get().cloned();
        value.ok_or(MissingKey::new("put the layer that inserts the extension outside of this one"))
    }

    fn reply(&self) -> TooManyRequests {
        TooManyRequests
    }
}

// Not derived, as these do not ask anything of the type.

impl<T> Default for Extension<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Extension<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Extension<T> {}

impl<T> fmt::Debug for Extension<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extension({})", any::type_name::<T>())
    }
}
