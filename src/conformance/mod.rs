//! Kits that say whether an algorithm, a store, a limiter or a layer of your own keeps its contract.
//!
//! Behind the feature `conformance`, which is for `[dev-dependencies]`: a test calls a kit, and fails
//! with a [`Violation`] that names the [`Point`] of the contract and the history that broke it.
//!
//! | of your own | call | in a test |
//! |---|---|---|
//! | [`Algorithm`] | [`algorithm`], or [`Histories`] for other seeds and more histories | any |
//! | [`Store`](crate::store::Store) | [`store()`] | any, in the runtime that the store needs |
//! | [`Limiter`](crate::Limiter) | [`Limits::limiter`] | with paused time, or on a [`ManualClock`](crate::ManualClock) |
//! | [`KeyedLimiter`](crate::KeyedLimiter) | [`Limits::keyed_limiter`] | the same |
//! | a layer that waits, or our layers in a stack of yours | [`Limits::layer`] | the same |
//! | a layer that refuses | [`Limits::refusing_layer`] | the same |
//!
//! The algorithms, stores and limiters of this crate are tested by the same kits. They find what breaks a
//! contract in short histories of few calls; whether an algorithm decides what you want is for tests of
//! your own.
//!
//! # Example
//!
//! A bucket that forgets to look at what a call costs, and what is found:
//!
//! ```
//! use std::time::Duration;
//! use tower_ratelimit::{
//!     Algorithm, Ask, Decision, LeakyBucket, Nanos, Rate, Take, conformance::{self, Point},
//!     algorithm::Spent,
//! };
//!
//! struct Careless(LeakyBucket);
//!
//! impl Algorithm for Careless {
//!     type State = Nanos;
//!     type Permits = Spent;
//!
//!     fn decide(&self, state: &mut Nanos, now: Nanos, ask: Ask) -> Decision {
//!         let ask = match ask {
//!             Ask::Take(_) => Ask::Take(Take::fresh(1)),
//!             other => other,
//!         };
//!         self.0.decide(state, now, ask)
//!     }
//!     // The rest is as it should be.
//! #   fn new_at(&self, state: &Nanos) -> Nanos { self.0.new_at(state) }
//! #   fn interval(&self) -> Nanos { self.0.interval() }
//! #   fn shelf_life(&self) -> Nanos { self.0.shelf_life() }
//! #   fn rate(&self, index: usize) -> Option<Rate> { self.0.rate(index) }
//! #   fn most_in(&self, length: Duration) -> u64 { self.0.most_in(length) }
//! #   fn carry_over(&self, before: &Self, state: &mut Nanos, now: Nanos) {
//! #       self.0.carry_over(&before.0, state, now);
//! #   }
//! }
//!
//! let limit = LeakyBucket::new(Rate::per_second(10)?).capacity(3)?;
//! assert!(conformance::algorithm(&limit)?.reaches_bound());
//! let violation = conformance::algorithm(&Careless(limit)).unwrap_err();
//! assert_eq!(violation.point(), Point::Peek);
//! println!("{violation}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod random;
mod point;
mod violation;
mod algorithm;
mod store;
mod limiter;

pub use algorithm::{Fullest, Histories, Report};
pub use limiter::{Limits, Probe, ProbeFailed};
pub use point::Point;
pub use store::{Sampled, store};
pub use violation::Violation;

use crate::algorithm::Algorithm;

/// Tests whether an algorithm keeps the [contract](Algorithm#contract), in 200 histories.
///
/// ```
/// use tower_ratelimit::{FixedWindow, Rate, conformance};
///
/// # // In a test this is `fn it_conforms() -> Result<(), conformance::Violation>`.
/// let report = conformance::algorithm(&FixedWindow::new(Rate::per_minute(3)?))?;
/// println!("{:?}", report.fullest());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The first point of the contract that is broken, with the shortest history found.
pub fn algorithm<A: Algorithm>(algorithm: &A) -> Result<Report, Violation> {
    Histories::new().algorithm(algorithm)
}
