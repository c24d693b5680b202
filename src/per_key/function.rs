//! Functions that find the key.

use super::{KeySource, MissingKey};
use crate::{key::Key, reply::Fail};

impl<F, Request, K> KeySource<Request> for F
where
    F: Fn(&Request) -> K + Clone,
    K: KeyOf,
{
    type Key = K::Key;
    type Reply = Fail;

    #[inline]
    fn key(&self, request: &Request) -> Result<K::Key, MissingKey> {
        self(request).into_key()
    }

    fn reply(&self) -> Fail {
        Fail
    }
}

/// What a function can say about a request: its key, or that it is missing.
pub trait KeyOf {
    /// The key.
    type Key: Key;

    /// The key.
    ///
    /// # Errors
    ///
    /// [`MissingKey`] when there is none.
    fn into_key(self) -> Result<Self::Key, MissingKey>;
}

impl<K: Key> KeyOf for K {
    type Key = K;

    #[inline]
    fn into_key(self) -> Result<K, MissingKey> {
        Ok(self)
    }
}

impl<K: Key> KeyOf for Result<K, MissingKey> {
    type Key = K;

    #[inline]
    fn into_key(self) -> Self {
        self
    }
}
