//! Keys as stores know them.

use crate::key::Key;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::{hash::Hasher, sync::Arc};

/// A key as a store keeps it: the bytes that it [wrote](Key::write), if they are 64 at most.
///
/// Of a longer one, the first 64 bytes are kept and a hash of 128 bits of them all, so that clients
/// cannot fill a store with long headers. The hash is SipHash-2-4 with the key zero, low
/// half first, both little-endian: all processes of all versions agree on it.
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
    /// Creates it from a key.
    pub fn new(key: &(impl Key + ?Sized)) -> Self {
        let mut bytes = Vec::with_capacity(KEPT);
        key.write(&mut |part| bytes.extend_from_slice(part));
        shorten(&mut bytes, 0);
        Self { tag: bytes.len(), bytes: bytes.into() }
    }

    /// Creates it from a key that lies where all others of this tag do: `(tag, key)`, and not the
    /// same as this pair or the key without a tag.
    pub fn tagged(tag: &(impl Key + ?Sized), key: &(impl Key + ?Sized)) -> Self {
        Self::below(&Self::new(tag), key)
    }

    /// The same with a tag that was written already.
    pub(crate) fn below(tag: &Self, key: &(impl Key + ?Sized)) -> Self {
        let mut bytes = tag.bytes.to_vec();
        let tag = bytes.len();
        key.write(&mut |part| bytes.extend_from_slice(part));
        // Stores that keep the bytes only tell it from the pair by this.
        tag.write(&mut |part| bytes.extend_from_slice(part));
        shorten(&mut bytes, tag);
        Self { bytes: bytes.into(), tag }
    }

    /// Returns the bytes, of any values, at most 160.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the first bytes, by which a store finds the place of the key.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        &self.bytes[..self.tag]
    }

    /// Returns the bytes behind the tag, where it is tagged.
    #[must_use]
    pub fn rest(&self) -> Option<&[u8]> {
        (self.tag < self.bytes.len()).then(|| &self.bytes[self.tag..])
    }
}

/// How many bytes are kept as they are.
const KEPT: usize = 64;

/// Puts a hash in the place of what is too long behind `start`. The result is longer than anything
/// that is kept as it is, so that no key can spell the hash of another one.
fn shorten(bytes: &mut Vec<u8>, start: usize) {
    let long = &bytes[start..];
    if long.len() <= KEPT {
        return;
    }
    let mut hasher = SipHasher24::new();
    hasher.write(long);
    let hash = hasher.finish128();
    bytes.truncate(start + KEPT);
    bytes.extend(hash.h1.to_le_bytes());
    bytes.extend(hash.h2.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::StoreKey;

    fn bytes(key: &StoreKey) -> Vec<u8> {
        key.bytes().to_vec()
    }

    #[test]
    fn keys_of_up_to_64_bytes_are_kept_as_they_are_and_longer_ones_are_hashed() {
        assert_eq!(bytes(&StoreKey::new(&[7_u8; 64])), [7; 64]);
        for length in [56, 57, 500, 100_000] {
            // The length of a text is eight bytes.
            let long = StoreKey::new("x".repeat(length).as_str());
            assert_eq!(long.bytes().len(), if length > 56 { 80 } else { 64 }, "{length}");
        }
    }

    #[test]
    fn long_keys_that_begin_alike_are_different_keys() {
        let long = |end: &str| StoreKey::new(&format!("{}{end}", "x".repeat(1000)));
        assert_eq!(long("a"), long("a"));
        assert_ne!(long("a"), long("b"));
        assert_ne!(long("a"), long("aa"));
        // Not even one that is what is kept of another one.
        let kept: [u8; 80] = bytes(&long("a")).try_into().expect("64 and 16 bytes");
        assert_ne!(StoreKey::new(&kept), long("a"));
    }

    #[test]
    fn the_tag_and_what_is_below_it_are_hashed_apart() {
        let tag = "t".repeat(100);
        let key = "k".repeat(100);
        let both = StoreKey::tagged(&tag, &key);
        assert_eq!(both.tag(), StoreKey::new(&tag).tag());
        assert_eq!((both.tag().len(), both.bytes().len()), (80, 160));
        assert_eq!(StoreKey::below(&StoreKey::new(&tag), &key), both);
        assert_ne!(StoreKey::tagged(&tag, &format!("{key}k")), both);
    }

    /// As another implementation has it, which agrees with the published vectors.
    #[test]
    fn the_hash_is_the_published_one() {
        let counting: [u8; 65] = std::array::from_fn(|index| index as u8);
        let hash = StoreKey::new(&counting).bytes()[64..].to_vec();
        assert_eq!(
            hash,
            [
                0x64, 0xff, 0x15, 0x9d, 0xfb, 0xc4, 0x87, 0x76, 0x12, 0x9b, 0xfe, 0x94, 0x6c, 0xec,
                0xea, 0xad
            ]
        );
    }
}
