//! Keys as stores know them.

use crate::key::Key;
use std::sync::Arc;

/// A key as a store keeps it: the bytes that it [wrote](Key::write).
///
/// A store that is spread over several servers finds the one of a key by its [tag](Self::tag), so
/// that keys of one tag can be taken together. A key that says nothing about it is its own tag.
///
/// ```
/// use tower_ratelimit::store::StoreKey;
///
/// let tenant = StoreKey::new("acme");
/// let user = StoreKey::tagged("acme", "alice");
/// assert_eq!(user.tag(), tenant.tag());
/// assert_ne!(user, StoreKey::tagged("acme", "bob"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreKey {
    // Shared, as an order and its answer each have it.
    bytes: Arc<[u8]>,
    /// How many of the bytes are the tag.
    tag: usize,
}

impl StoreKey {
    /// That of a key.
    pub fn new(key: &(impl Key + ?Sized)) -> Self {
        let mut bytes = Vec::new();
        key.write(&mut |part| bytes.extend_from_slice(part));
        Self { tag: bytes.len(), bytes: bytes.into() }
    }

    /// That of a key which lies where all others of this tag do: `(tag, key)`, and not the same as
    /// this pair or the key without a tag.
    pub fn tagged(tag: &(impl Key + ?Sized), key: &(impl Key + ?Sized)) -> Self {
        let mut bytes = Self::new(tag).bytes.to_vec();
        let tag = bytes.len();
        key.write(&mut |part| bytes.extend_from_slice(part));
        // Stores that keep the bytes only tell it from the pair by this.
        tag.write(&mut |part| bytes.extend_from_slice(part));
        Self { bytes: bytes.into(), tag }
    }

    /// The bytes, any of them, in any number.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first of them, by which a store finds the place of the key.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        &self.bytes[..self.tag]
    }

    /// Those behind the tag, where it is tagged.
    #[must_use]
    pub fn rest(&self) -> Option<&[u8]> {
        (self.tag < self.bytes.len()).then(|| &self.bytes[self.tag..])
    }
}
