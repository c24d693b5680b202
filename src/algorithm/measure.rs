//! By what the states of a limit are counted.

use crate::nanos::Nanos;

/// By what the states of a limit are counted: all that a store remembers of the limit that left one.
///
/// A limit that finds a state of another measure takes it over, by
/// [`Algorithm::adopt`](crate::Algorithm::adopt). The default is that of no limit.
///
/// ```
/// use tower_ratelimit::{Algorithm, Ask, LeakyBucket, Nanos, Rate, Take, algorithm::Measure};
///
/// let large = LeakyBucket::new(Rate::per_hour(1000)?).capacity(1000)?;
/// let (mut state, now) = (Nanos::ZERO, Nanos::new(0));
/// large.decide(&mut state, now, Ask::Take(Take::fresh(1000)));
///
/// // No call could have taken more than ten permits of the small one, an hour's worth.
/// let small = LeakyBucket::new(Rate::per_hour(10)?).capacity(10)?;
/// assert_eq!(large.measure(), Measure { interval: large.interval(), capacity: 1000 });
/// small.adopt(large.measure(), &mut state, now);
/// assert_eq!(state, Nanos::new(3_600_000_000_000));
/// # Ok::<(), tower_ratelimit::Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// The [time one permit takes](crate::Algorithm::interval).
    pub interval: Nanos,
    /// How many permits calls can have taken at most; zero where that is all the same to the states.
    pub capacity: u32,
}
