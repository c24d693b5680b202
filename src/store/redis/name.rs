//! What keys are called in the database.

use crate::store::StoreKey;

/// The name of a record, behind its [`beginning`]: `namespace:limit:{key}`, or
/// `namespace:limit:{tag}:rest` where the key is tagged.
///
/// What is between the braces alone decides in which slot of a cluster the record lies, so that
/// several limits on one key or tag can be taken together. Whatever is not plain text, braces
/// included, is written with its percent code.
pub(super) fn record_name(beginning: &str, key: &StoreKey) -> String {
    let mut name = String::with_capacity(beginning.len() + 3 * key.bytes().len() + 3);
    name.push_str(beginning);
    push_tag(&mut name, key.tag());
    name.push('}');
    if let Some(rest) = key.rest() {
        name.push(':');
        push_escaped(&mut name, rest);
    }
    name
}

/// What the names of all records of a limit begin with.
pub(super) fn beginning(namespace: &str, limit: &str) -> String {
    let mut beginning = String::new();
    push_escaped(&mut beginning, namespace.as_bytes());
    beginning.push(':');
    push_escaped(&mut beginning, limit.as_bytes());
    beginning.push_str(":{");
    beginning
}

/// What stands between the braces. Nothing at all would not be a tag.
pub(super) fn push_tag(name: &mut String, tag: &[u8]) {
    match tag {
        [] => name.push('%'),
        bytes => push_escaped(name, bytes),
    }
}

/// Bytes as plain text, each in one way only.
fn push_escaped(name: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'%' | b':' | b'{' | b'}' => push_code(name, *byte),
            b'!'..=b'~' => name.push(char::from(*byte)),
            _ => push_code(name, *byte),
        }
    }
}

/// The percent code of a byte: this is most of the time that a name takes.
fn push_code(name: &mut String, byte: u8) {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'A' - 10 + value });
    name.extend(['%', digit(byte >> 4), digit(byte & 15)]);
}
