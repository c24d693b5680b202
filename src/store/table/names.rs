//! The keys themselves, for tables that are to list them.

use super::Fingerprint;
use crate::key::Key;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Whoever asks is noted, known or not, so that there are more names than entries and handles for a
/// while: up to twice as many, and these.
const SPARE: usize = 64;

/// A key that a limiter keeps, as it [wrote](Key::write) itself, which can be used as that key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeptKey(Arc<[u8]>);

impl KeptKey {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes that the key wrote.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text, if the key is a single text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let (length, text) = self.0.split_first_chunk()?;
        let is_all = u64::from_le_bytes(*length) == text.len() as u64;
        std::str::from_utf8(text).ok().filter(|_| is_all)
    }
}

/// The key that it was.
impl Key for KeptKey {
    #[inline]
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        out(&self.0);
    }
}

impl fmt::Debug for KeptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => write!(f, "KeptKey({text:?})"),
            None => write!(f, "KeptKey({:?})", self.0),
        }
    }
}

/// The names of those who asked.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    names: HashMap<Fingerprint, KeptKey>,
    /// How many of them were not in the table when that was last looked at, but somebody had them who
    /// may ask yet.
    out: usize,
}

impl Names {
    /// Notes a key, for as long as somebody has what is returned. `entries` are in the table, and
    /// `is_kept` tells which.
    #[cold]
    #[inline(never)]
    pub(super) fn note(
        &self,
        fingerprint: Fingerprint,
        key: &(impl Key + ?Sized),
        entries: usize,
        is_kept: impl Fn(Fingerprint) -> bool,
    ) -> KeptKey {
        let Noted { names, out } = &mut *self.lock();
        if let Some(name) = names.get(&fingerprint) {
            return name.clone();
        }
        let needed = entries.saturating_add(*out);
        if names.len() >= needed.saturating_mul(2).saturating_add(SPARE) {
            *out = 0;
            names.retain(|fingerprint, name| {
                let is_kept = is_kept(*fingerprint);
                let is_out = !is_kept && Arc::strong_count(&name.0) > 1;
                *out += usize::from(is_out);
                is_kept || is_out
            });
        }
        let mut bytes = Vec::new();
        key.write(&mut |part| bytes.extend_from_slice(part));
        let name = KeptKey(bytes.into());
        names.insert(fingerprint, name.clone());
        name
    }

    /// The keys that are in the table.
    pub(super) fn kept(&self, is_kept: impl Fn(Fingerprint) -> bool) -> Vec<KeptKey> {
        let noted = self.lock();
        let kept = noted.names.iter().filter(|(fingerprint, _)| is_kept(**fingerprint));
        kept.map(|(_, name)| name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
