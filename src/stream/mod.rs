//! Streams, sinks, and bytes a second.
//!
//! | to limit | take | what a permit is |
//! |---|---|---|
//! | what comes out of a stream | [`RateLimitStream::rate_limited`] | an item |
//! | what goes into a sink | [`RateLimitSink::rate_limited`] | an item |
//! | what is read | [`ThrottledRead`] | a byte |
//! | what is written | [`ThrottledWrite`] | a byte |
//!
//! All of them wait in the line of their limiter, first come, first served. While they are pending
//! they hold a place in that line and no permit, and while what they wrap is pending they do not
//! even stand in line. Dropped, they give up their place.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use futures_util::{StreamExt, stream};
//! use tower_ratelimit::{LeakyBucket, Rate, stream::RateLimitStream};
//!
//! // Ten a second, bursts of two.
//! let limit = LeakyBucket::new(Rate::per_second(10)?).capacity(2)?;
//! let mut numbers = stream::iter(1..=4).rate_limited(limit);
//!
//! let start = tokio::time::Instant::now();
//! let mut sum = 0;
//! while let Some(number) = numbers.next().await {
//!     sum += number?;
//! }
//! assert_eq!((sum, start.elapsed().as_millis()), (10, 200));
//! # Ok(())
//! # }
//! ```

mod items;
mod refused;
mod sink;
mod read;
mod write;
mod stash;
mod payer;
mod permit;

pub use items::{LimitedStream, RateLimitStream};
pub use read::ThrottledRead;
pub use refused::Refused;
pub use sink::{LimitedSink, RateLimitSink};
pub use write::ThrottledWrite;
