//! What becomes of permits once a call has used them.

use std::fmt;

/// Whether calls hold their permits until they end: [`Spent`] or [`Held`].
///
/// It is a type and not a value, so that services keep nothing for a call where nothing depends on
/// its end.
pub trait Permits: fmt::Debug + Send + Sync + 'static {
    /// Whether the limiter has to ask [`Ask::End`](crate::Ask::End) when a call ends.
    const HELD: bool;

    /// What is kept while a call runs, of what says that it has ended as it is dropped.
    type Kept<H: Send + Sync + 'static>: Send + Sync + 'static;

    /// Keeps it, or has no use for it.
    fn keep<H: Send + Sync + 'static>(hold: impl FnOnce() -> H) -> Self::Kept<H>;
}

/// Calls use up their permits, and whether they have ended is all the same.
#[derive(Debug)]
pub enum Spent {}

/// Calls hold their permits until they end.
#[derive(Debug)]
pub enum Held {}

impl Permits for Spent {
    const HELD: bool = false;

    type Kept<H: Send + Sync + 'static> = ();

    #[inline(always)]
    fn keep<H: Send + Sync + 'static>(_: impl FnOnce() -> H) {}
}

impl Permits for Held {
    const HELD: bool = true;

    type Kept<H: Send + Sync + 'static> = H;

    fn keep<H: Send + Sync + 'static>(hold: impl FnOnce() -> H) -> H {
        hold()
    }
}
