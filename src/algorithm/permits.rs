//! What becomes of permits once a call has used them.

use std::fmt;

/// Whether calls hold their permits until they end: [`Spent`] or [`Held`].
///
/// It is a type and not a value, so that services keep nothing for a call where nothing depends on
/// its end.
pub trait Permits: fmt::Debug + Send + Sync + 'static {
    /// Says whether the limiter has to ask [`Ask::End`](crate::Ask::End) when a call ends.
    const HELD: bool;

    /// What is kept while a call runs: `H`, which ends the call as it is dropped, or nothing.
    type Kept<H: Send + Sync + 'static>: Send + Sync + 'static;

    /// Makes and keeps the hold, or does without it.
    fn keep<H: Send + Sync + 'static>(hold: impl FnOnce() -> H) -> Self::Kept<H>;
}

/// Says that calls use up their permits, whenever they end.
#[derive(Debug)]
pub enum Spent {}

/// Says that calls hold their permits until they end.
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
