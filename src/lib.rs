#![doc = "Rate limits for tower services."]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// Floor 1, decides: pure functions.
mod algorithm;
#[cfg(feature = "serde")]
mod config;
mod decision;
mod invalid;
mod nanos;
mod rate;
// Floor 2, remembers: time and state.
mod clock;
mod error;
#[cfg(feature = "tracing")]
mod events;
#[cfg(not(feature = "tracing"))]
#[path = "no_events.rs"]
mod events;
mod key;
mod store;
// Floor 3, asks: at once, or in line.
mod limiter;
// Floor 4, speaks tower.
mod future;
mod layer;
mod per_key;
mod refusal;
mod seat;
mod service;
// Floor 5, speaks HTTP.
pub mod http;

pub use algorithm::{
    Algorithm, BurstCompensating, LeakyBucket, PacedState, Refills, SlidingWindow, Strict,
    WindowLog,
};
pub use clock::{Clock, ManualClock};
pub use decision::{Ask, Decision, Grant, Outcome, Take};
pub use error::{Error, RateLimited, Reason};
pub use future::ResponseFuture;
pub use invalid::Invalid;
pub use key::Key;
pub use layer::RateLimitLayer;
pub use limiter::{
    Acquire, AtCapacity, Attempt, Builder, Existing, Fresh, Granted, IntoKeyedLimiter, IntoLimiter,
    KeyedLimiter, KeyedRateLimiter, Limiter, ManyLimits, Patience, Perished, Permit, RateLimiter,
    Reservation, SingleLimit, Terms, Ticket, Use, Waiting,
};
pub use nanos::Nanos;
pub use per_key::{Answered, KeySource, MissingKey, PerKey, PerKeyLayer};
pub use rate::Rate;
pub use refusal::{Fail, OnRefusal, Respond, WaitOnly};
pub use service::RateLimit;
