//! What keys are called in the database.

use crate::store::StoreKey;
use std::fmt::{self, Write};

/// The name of a record, behind its [`beginning`]: `namespace:limit:{key}`, or
/// `namespace:limit:{tag}:rest` where the key is tagged.
///
/// What is between the braces alone decides in which slot of a cluster the record lies, so that
/// several limits on one key or tag can be taken together. Whatever is not plain text, braces
/// included, is written with its percent code.
pub(super) fn record_name(beginning: &str, key: &StoreKey) -> String {
    let mut name = String::with_capacity(beginning.len() + 3 * key.bytes().len() + 2);
    name.push_str(beginning);
    // Writing to a string does not fail.
    let _ = write!(name, "{}}}", Tag(key.tag()));
    if let Some(rest) = key.rest() {
        let _ = write!(name, ":{}", Escaped(rest));
    }
    name
}

/// What the names of all records of a limit begin with.
pub(super) fn beginning(namespace: &str, limit: &str) -> String {
    format!("{}:{}:{{", Escaped(namespace.as_bytes()), Escaped(limit.as_bytes()))
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
            b'%' | b':' | b'{' | b'}' => code(*byte, f),
            b'!'..=b'~' => f.write_char(char::from(*byte)),
            _ => code(*byte, f),
        })
    }
}

/// The percent code of a byte: this is most of the time that a name takes.
fn code(byte: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'A' - 10 + value });
    f.write_char('%')?;
    f.write_char(digit(byte >> 4))?;
    f.write_char(digit(byte & 15))
}
