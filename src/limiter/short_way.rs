//! The way past the lock, for calls that are let go at once or not at all.
//!
//! A limit that is a [`Bucket`] keeps its state in one word, and while nobody waits, holds permits
//! that were not used yet, or has arithmetic of its own, that word is where everybody finds it: a
//! call that comes changes it by itself. Whoever has more to do takes the word out first, under the
//! lock, and puts it back when the key is at rest again.

use super::rules::{Dated, Gate, Rules};
use crate::{
    algorithm::{Algorithm, Bucket, Poured},
    decision::Grant,
    nanos::Nanos,
    rate::Rate,
    store::table::{self, Fingerprint, Keep, Table},
    sync::{AtomicU64, Ordering, fence},
};

/// The bucket that calls on the short way go by.
///
/// It is written as a whole and read as a whole: the version is odd while there is none, and another
/// one after each change.
#[derive(Debug)]
pub(super) struct ShortWay {
    version: AtomicU64,
    interval: AtomicU64,
    depth: AtomicU64,
    permits: AtomicU64,
    period: AtomicU64,
}

/// Where a state is looked for.
///
/// It is a trait and not a function to call, as the compiler would make a call of that.
pub(super) trait Find: Copy {
    type Word: Word;

    /// The state, if it is there for everybody to change; or the end of time, when nobody is let go.
    fn find(self) -> Option<Self::Word>;
}

/// A state that others may change at any time, as it was found.
pub(super) trait Word {
    /// States from here on have no room in it.
    const END: Nanos;

    /// That of another key, where it is not [still there](Self::is_still_there).
    fn state(&self) -> Nanos;

    /// Whether it is the same as it was found: who changes nothing has to look.
    fn is_still_there(&self) -> bool;

    /// Puts another state in its place; false when somebody else did, and it has to be found again.
    fn replace(self, after: Nanos) -> bool;
}

/// That of one of many keys.
impl<'a, V: Keep<R>, R: Clone> Find for (&'a Table<V, R>, Fingerprint) {
    type Word = table::Word<'a>;

    #[inline(always)]
    fn find(self) -> Option<table::Word<'a>> {
        self.0.word(self.1)
    }
}

impl Word for table::Word<'_> {
    const END: Nanos = Self::END;

    #[inline(always)]
    fn state(&self) -> Nanos {
        self.state()
    }

    #[inline(always)]
    fn is_still_there(&self) -> bool {
        self.is_still_there()
    }

    #[inline(always)]
    fn replace(self, after: Nanos) -> bool {
        self.replace(after)
    }
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Missed {
    /// The permits are there after this time, and not sooner.
    Early(Nanos),
    /// Somebody else changed the state first: it is as well to try again.
    Beaten,
    /// It takes the long way.
    NoWay,
}

/// The lowest bit of the version: there is none.
const SHUT: u64 = 1;

/// From this bit on the version says how often everything has begun anew, and below it how often the
/// bucket was another one.
const RESETS: u32 = 32;

impl ShortWay {
    /// Open if the limit is a bucket and in force.
    pub(super) fn new<A: Algorithm>(rules: &Rules<A>) -> Self {
        let new = || AtomicU64::new(0);
        let way = Self {
            version: AtomicU64::new(SHUT),
            interval: new(),
            depth: new(),
            permits: new(),
            period: new(),
        };
        way.open(rules);
        way
    }

    /// Sends everybody the long way. For one at a time, as [`open`](Self::open) is.
    ///
    /// Who has read the bucket and not changed a word yet comes before the change of the rules that
    /// follows, or finds that somebody changed the word, or else that the version is another one. Where
    /// another bucket leaves a state as it was, that state is not put back into its word.
    pub(super) fn shut(&self) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version | SHUT, Ordering::Relaxed);
        // Before anything is written that comes after it.
        fence(Ordering::Release);
    }

    /// Opens the way again, if the limit is a bucket and in force.
    pub(super) fn open<A: Algorithm>(&self, rules: &Rules<A>) {
        let bucket = Bucket::of(&*rules.algorithm).filter(|_| rules.gate == Gate::Working);
        let (Some(bucket), Some(rate)) = (bucket, rules.algorithm.rate(0)) else { return };
        let write = |word: &AtomicU64, value| word.store(value, Ordering::Relaxed);
        write(&self.interval, bucket.interval.get());
        write(&self.depth, bucket.depth.get());
        write(&self.permits, rate.permits().into());
        write(&self.period, Nanos::from(rate.period()).get());
        // The lower half, which begins at zero again after two billion changes.
        let shut = (self.version.load(Ordering::Relaxed) | SHUT) as u32;
        let version = u64::from(rules.resets) << RESETS | u64::from(shut.wrapping_add(1));
        self.version.store(version, Ordering::Release);
    }

    /// The bucket as it looks without a second look: it may be put together of two while it changes. For what is
    /// found out later anyway.
    #[inline(always)]
    pub(super) fn bucket_in_passing(&self) -> Option<Bucket> {
        let is_open = self.version.load(Ordering::Relaxed) & SHUT == 0;
        is_open.then(|| self.read_bucket())
    }

    /// The bucket, if there is one.
    #[inline(always)]
    pub(super) fn bucket(&self) -> Option<Bucket> {
        self.read(|| self.read_bucket()).map(|(_, bucket)| bucket)
    }

    #[inline(always)]
    fn read_bucket(&self) -> Bucket {
        Bucket { interval: read(&self.interval), depth: read(&self.depth) }
    }

    /// The rate of the bucket, if there is one.
    #[inline(always)]
    pub(super) fn rate(&self) -> Option<Rate> {
        // Made of a rate's own parts, one of which is a u32.
        let rate = self.read(|| Rate::of(read(&self.permits).get() as u32, read(&self.period)));
        rate.map(|(_, rate)| rate)
    }

    /// Takes permits that are used now from a word that others may change at the same time. `undo` puts
    /// back the state from before if it can.
    #[inline(always)]
    pub(super) fn pour<F: Find>(
        &self,
        cost: u32,
        now: Nanos,
        of: F,
        undo: impl FnOnce(Dated<Poured>, Nanos) -> bool,
    ) -> Result<Dated<Poured>, Missed> {
        if cost == 0 {
            return Err(Missed::NoWay);
        }
        // The word first: it is not the same any more if the bucket changes in between.
        let word = of.find().ok_or(Missed::NoWay)?;
        let before = word.state();
        let (version, bucket) = self.read(|| self.read_bucket()).ok_or(Missed::NoWay)?;
        // The end of time is for the lock, be it that of the line or a state that is not here.
        let end = bucket.filled(before, now, cost).filter(|end| *end < F::Word::END);
        let end = end.ok_or(Missed::NoWay)?;
        if end - now > bucket.depth {
            // Or it could never be had, however long it waits.
            return Err(match bucket.interval * cost <= bucket.depth {
                true if word.is_still_there() => Missed::Early(end - now - bucket.depth),
                true => Missed::Beaten,
                false => Missed::NoWay,
            });
        }
        if !word.replace(end) {
            return Err(Missed::Beaten);
        }
        let what = Poured { bucket, grant: Grant { cost, at: now }, empty_at: end };
        // The upper half.
        let poured = Dated { what, resets: (version >> RESETS) as u32 };
        // The gate may have been opened or closed before, which leaves the states of keys as they are:
        // then this call has not come yet. Where the state cannot be put back, whoever changed the rules
        // knows of the call.
        let is_late = self.version.load(Ordering::Relaxed) != version;
        match is_late && undo(poured, before) {
            true => Err(Missed::NoWay),
            false => Ok(poured),
        }
    }

    #[inline(always)]
    fn read<T>(&self, values: impl FnOnce() -> T) -> Option<(u64, T)> {
        // One that was odd is not found again.
        let version = self.version.load(Ordering::Acquire) & !SHUT;
        let values = values();
        // Whoever reads any value of a later change finds a later version, too.
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then_some((version, values))
    }
}

#[inline(always)]
fn read(word: &AtomicU64) -> Nanos {
    Nanos::new(word.load(Ordering::Relaxed))
}
