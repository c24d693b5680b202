//! A field value that is written without asking for memory, unless it is long.

use crate::http::number;
use http::HeaderValue;

/// More than that no client is sent.
const LONGEST: usize = 1024;

/// The largest integer of a structured field: fifteen digits.
pub(super) const LARGEST: u64 = 999_999_999_999_999;

/// What most are shorter than. All of it is set to zero for each line.
const SHORT: usize = 128;

/// A list of structured items, written member by member; one that cannot be written is left out.
pub(super) struct Line {
    short: [u8; SHORT],
    /// All of it, once it was longer than that.
    long: Vec<u8>,
    length: usize,
}

/// There is no room for it, or no field may carry it.
#[derive(Debug)]
pub(super) struct Unwritable;

impl Line {
    pub(super) fn new() -> Self {
        Self { short: [0; SHORT], long: Vec::new(), length: 0 }
    }

    /// What was written.
    fn as_bytes(&self) -> &[u8] {
        match self.long.is_empty() {
            true => &self.short[..self.length],
            false => &self.long[..self.length],
        }
    }

    /// The value of the field, unless it is empty.
    pub(super) fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(self.as_bytes()).ok().filter(|value| !value.is_empty())
    }

    /// One more member of the list: where it was written, or why it was not.
    pub(super) fn member(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), Unwritable>,
    ) -> Result<&[u8], Unwritable> {
        let before = self.length;
        let separated = if before > 0 { self.text(", ") } else { Ok(()) };
        let begin = self.length;
        match separated.and_then(|()| write(self)) {
            Ok(()) => Ok(&self.as_bytes()[begin..]),
            Err(unwritable) => {
                self.length = before;
                Err(unwritable)
            }
        }
    }

    /// Text as it is, printable ASCII.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Unwritable> {
        self.bytes(text.as_bytes())
    }

    /// `;name=number`
    pub(super) fn parameter(&mut self, name: &str, number: u64) -> Result<(), Unwritable> {
        self.text(";")?;
        self.text(name)?;
        self.text("=")?;
        self.bytes(number::digits(number.min(LARGEST), &mut [0; number::MOST]))
    }

    /// These bytes as they are, printable ASCII.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Unwritable> {
        let end = self.length + bytes.len();
        if end > LONGEST {
            return Err(Unwritable);
        }
        match self.short.get_mut(self.length..end) {
            Some(room) if self.long.is_empty() => room.copy_from_slice(bytes),
            _ => {
                if self.long.is_empty() {
                    self.long.extend(&self.short[..self.length]);
                }
                // Without what could not be written.
                self.long.truncate(self.length);
                self.long.extend(bytes);
            }
        }
        self.length = end;
        Ok(())
    }

    /// The inside of a structured string: printable ASCII only.
    pub(super) fn quoted(&mut self, text: &str) -> Result<(), Unwritable> {
        for (index, character) in text.char_indices() {
            match character {
                '"' => self.text("\\\"")?,
                '\\' => self.text("\\\\")?,
                ' '..='~' => self.text(&text[index..=index])?,
                _ => return Err(Unwritable),
            }
        }
        Ok(())
    }
}
