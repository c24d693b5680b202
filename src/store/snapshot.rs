//! The states of a limiter as bytes.

use super::table::{Fingerprint, Seed};
use crate::{
    algorithm::StoredState,
    clock::{WallTime, after_1970},
    invalid::Invalid,
    nanos::Nanos,
};
use std::fmt;

/// What every snapshot begins with, and the version of what follows.
const MAGIC: &[u8] = b"ratelimit";
const VERSION: u8 = 1;

/// The state of a limiter at an instant, to go on with after a restart.
///
/// It is taken by [`RateLimiter::snapshot`](crate::RateLimiter::snapshot) or
/// [`KeyedRateLimiter::snapshot`](crate::KeyedRateLimiter::snapshot), kept as bytes wherever you
/// like, and given to the `restore` of a [`Builder`](crate::Builder): what was used up before is
/// used up after, and freed at the instant at which it would have been.
///
/// ```
/// use tower_ratelimit::{KeyedRateLimiter, Rate, SlidingWindow, Snapshot};
///
/// let limit = SlidingWindow::new(Rate::per_day(1)?);
/// let before = KeyedRateLimiter::new(limit.clone());
/// before.key("alice").try_acquire().expect("one a day");
/// let bytes = before.snapshot().as_bytes().to_vec(); // for a file
///
/// let snapshot = Snapshot::from_bytes(bytes)?;
/// let after = KeyedRateLimiter::builder(limit).restore(&snapshot)?;
/// after.key("alice").try_acquire().expect_err("it is the same day");
/// after.key("bob").try_acquire().expect("bob did not call yet");
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
///
/// # What it holds
///
/// The states of all keys that do not equal new ones, the instant of the limiter's clock, the time
/// of day, and how the algorithm [is printed](crate::AnyAlgorithm). Keys are hashes, as in the
/// limiter, with the seed of those hashes beside them; a limiter that [lists its
/// keys](crate::Builder::list_keys) writes down those, too. Keep it secret: with the seed, keys can
/// be made up that share a limit.
///
/// # What it does not hold
///
/// - Calls: those in line, permits reserved and not used, which go back, and calls in flight. The
///   process that restores it knows of none of them. Calls that
///   [hold their permits](crate::algorithm::Held) count as ended when it is restored.
/// - Settings: all that a builder sets, algorithms that keys have of their own (their states are
///   taken as [`set_algorithm`](crate::RateLimiter::set_algorithm) would have them go on by that of
///   all), and whether the limiter was [breached](crate::RateLimiter::breach) or
///   [closed](crate::RateLimiter::close).
///
/// # While calls come
///
/// Each key is written down as it stands at one instant, but not all at the same one: one of
/// sixteen parts of the keys after another is copied, and only calls for keys of that part wait
/// meanwhile. A call that is let go after its key was copied is not in it, as if it had come after
/// the snapshot. To have all of them in it, close the limiter first.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    bytes: Vec<u8>,
    head: Head,
    /// Where in the bytes the states begin.
    body: usize,
}

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The algorithm as it is printed.
    pub(crate) algorithm: String,
    /// A new state, to tell algorithms apart that are printed alike and keep something else.
    pub(crate) new: Vec<u8>,
    /// What the limiter's clock showed.
    pub(crate) instant: Nanos,
    /// How long after 1970.
    pub(crate) taken_at: Nanos,
    /// The seed of the hashes, if the limit is one for each key.
    pub(crate) seed: Option<Seed>,
}

impl Snapshot {
    pub(crate) fn new(head: Head, states: &[u8]) -> Self {
        let mut content = Vec::with_capacity(states.len());
        head.write(&mut content);
        let (head_length, checksum) = (content.len(), Seed::KNOWN.hash(&[&content, states]));
        let mut bytes = [MAGIC, &[VERSION]].concat();
        checksum.write(&mut bytes);
        let body = bytes.len() + head_length;
        bytes.append(&mut content);
        bytes.extend_from_slice(states);
        Self { bytes, head, body }
    }

    /// Returns all of it as bytes, for [`from_bytes`](Self::from_bytes).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads a snapshot taken before, by this process or another, on this machine or another.
    ///
    /// Damage is noticed, forgery is not.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when these are not the bytes of a snapshot, or those of another version of the
    /// format, or not all of them, or not as they were.
    ///
    /// ```
    /// use tower_ratelimit::Snapshot;
    ///
    /// let invalid = Snapshot::from_bytes(*b"something else").unwrap_err();
    /// assert_eq!(invalid.parameter(), "snapshot");
    /// ```
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, Invalid> {
        let bytes = bytes.into();
        let mut rest = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| Self::invalid("other bytes", "what a limiter wrote"))?;
        match u8::read(&mut rest) {
            Some(VERSION) => {}
            Some(version) => {
                let version = format_args!("of version {version}").to_string();
                return Err(Self::invalid(version, format_args!("of version {VERSION}")));
            }
            None => return Err(Self::damaged()),
        }
        let checksum = u64::read(&mut rest).ok_or_else(Self::damaged)?;
        if checksum != Seed::KNOWN.hash(&[rest]) {
            return Err(Self::damaged());
        }
        let head = Head::read(&mut rest).ok_or_else(Self::damaged)?;
        let body = bytes.len() - rest.len();
        Ok(Self { bytes, head, body })
    }

    /// Returns the time of day when it was taken, in whole nanoseconds.
    #[must_use]
    pub fn taken_at(&self) -> WallTime {
        after_1970(self.head.taken_at)
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) fn states(&self) -> &[u8] {
        self.bytes.get(self.body..).unwrap_or_default()
    }

    pub(crate) fn invalid(value: impl fmt::Display, allowed: impl fmt::Display) -> Invalid {
        Invalid::new("snapshot", value, allowed)
    }

    pub(crate) fn damaged() -> Invalid {
        Self::invalid("damaged", "as it was taken")
    }
}

/// Keys and seed do not get into a log.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("algorithm", &self.head.algorithm)
            .field("taken_at", &self.taken_at())
            .field("length", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Head {
    fn write(&self, bytes: &mut Vec<u8>) {
        write_bytes(self.algorithm.as_bytes(), bytes);
        write_bytes(&self.new, bytes);
        self.instant.write(bytes);
        self.taken_at.write(bytes);
        self.seed.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            algorithm: str::from_utf8(read_bytes(bytes)?).ok()?.to_owned(),
            new: read_bytes(bytes)?.to_vec(),
            instant: Nanos::read(bytes)?,
            taken_at: Nanos::read(bytes)?,
            seed: StoredState::read(bytes)?,
        })
    }
}

impl StoredState for Seed {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        self.1.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self(u64::read(bytes)?, u64::read(bytes)?))
    }
}

impl StoredState for Fingerprint {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        u64::read(bytes).map(Self)
    }
}

/// Writes down these bytes after their number.
pub(crate) fn write_bytes(these: &[u8], bytes: &mut Vec<u8>) {
    (these.len() as u64).write(bytes);
    bytes.extend_from_slice(these);
}

/// Reads as many bytes as the number before them says.
pub(crate) fn read_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let number = usize::try_from(u64::read(bytes)?).ok()?;
    bytes.split_off(..number)
}
