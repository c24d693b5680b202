//! Requests that can be sent again.

use http::{Method, Request};

/// Requests that may be sent twice.
pub trait Replay: Sized {
    /// Returns the method.
    fn method(&self) -> &Method;

    /// Returns the same request again; `None` when its body can be sent only once.
    fn replay(&self) -> Option<Self>;
}

impl<B: Clone> Replay for Request<B> {
    fn method(&self) -> &Method {
        self.method()
    }

    fn replay(&self) -> Option<Self> {
        Some(self.clone())
    }
}
