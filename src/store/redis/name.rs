//! What keys are called in the database.

use crate::store::StoreKey;
use std::fmt::{self, Write};

/// The name of a record: `namespace:limit:{key}`, or `namespace:limit:{tag}:rest` where the key is
/// tagged.
///
/// What is between the braces alone decides in which slot of a cluster the record lies, so that
/// several limits on one key or tag can be taken together. Whatever is not plain text, braces
/// included, is written with its percent code.
pub(super) fn record_name(namespace: &str, limit: &str, key: &StoreKey) -> String {
    let mut name = String::with_capacity(namespace.len() + limit.len() + key.bytes().len() + 4);
    // Writing to a string does not fail.
    let _ = write!(
        name,
        "{}:{}:{{{}}}",
        Escaped(namespace.as_bytes()),
        Escaped(limit.as_bytes()),
        Tag(key.tag())
    );
    if let Some(rest) = key.rest() {
        let _ = write!(name, ":{}", Escaped(rest));
    }
    name
}

/// What stands between the braces. Nothing at all would not be a tag.
pub(super) struct Tag<'a>(pub(super) &'a [u8]);

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("%"),
            bytes => Escaped(bytes).fmt(f),
        }
    }
}

/// Bytes as plain text, each in one way only.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b'%' | b':' | b'{' | b'}' => write!(f, "%{byte:02X}"),
            b'!'..=b'~' => f.write_char(char::from(*byte)),
            _ => write!(f, "%{byte:02X}"),
        })
    }
}
