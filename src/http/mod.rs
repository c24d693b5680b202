//! Limits that speak HTTP: who asks, what a refusal looks like, clients.
//!
//! | for | take |
//! |---|---|
//! | axum routes, per address | `PeerIp` (feature `axum`) |
//! | any server, per API key | [`Header`] |
//! | any server, refusals as 429 | [`TooManyRequests`], [`too_many_requests`] |
//! | any server, how the limits stand | [`RateLimitFields`] |
//! | calls that end with their response body | [`UntilBodyEnd`] |
//! | clients, per host | [`Host`] |
//! | reqwest, keeping `client.get(url).send()` | `reqwest::Client` (feature `reqwest`) |
//! | reqwest-middleware | `reqwest_middleware::RateLimitMiddleware` (feature `reqwest-middleware`) |

mod refusal;
mod problem;
mod change;
mod policy;
mod number;
mod fields;
mod source;
mod body_end;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(feature = "reqwest-middleware")]
pub mod reqwest_middleware;

#[cfg(feature = "axum")]
pub use axum::{PeerIp, PeerKey};
pub use body_end::{HandOn, HeldBody, HoldBody, HoldBodyFuture, UntilBodyEnd};
pub use change::Changed;
pub use fields::{FieldGeneration, RateLimitFields, WithFields};
pub use problem::ProblemDetails;
pub use refusal::{TooManyRequests, too_many_requests};
pub use source::{Header, Host};
