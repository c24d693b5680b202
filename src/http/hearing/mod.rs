//! Clients that listen: what a server says about its limits, and the shared pause that follows.
//!
//! [`Heard`] is what one response says, [`Heeding`] the algorithm of a pause and of what comes
//! after it, [`HeedLayer`] puts both around a client.

mod number;
mod fields;
mod refused;
#[cfg(feature = "tonic")]
mod grpc;
#[cfg(not(feature = "tonic"))]
#[path = "no_grpc.rs"]
mod grpc;
mod heard;
mod slowdown;
mod heeding;
mod head;
mod layer;
mod listen;
mod replay;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
#[cfg(feature = "retry")]
mod retry;
#[cfg(all(feature = "retry", feature = "reqwest-middleware"))]
mod retry_middleware;

pub use head::ResponseHead;
pub use heard::{Heard, Left};
pub use heeding::{Heeded, Heeding};
pub use layer::HeedLayer;
pub use listen::{Listen, ListenFuture};
#[cfg(feature = "reqwest-middleware")]
pub use middleware::HeedMiddleware;
pub use replay::Replay;
#[cfg(feature = "retry")]
pub use retry::{Backoff, RetryPolicy};
#[cfg(all(feature = "retry", feature = "reqwest-middleware"))]
pub use retry_middleware::RetryMiddleware;
