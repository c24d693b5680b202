//! Responses that can be listened to.

use http::{Extensions, HeaderMap, Response, StatusCode};

/// A response with a status, headers and extensions, whatever its body.
pub trait ResponseHead {
    /// Returns the status.
    fn status(&self) -> StatusCode;

    /// Returns the headers.
    fn headers(&self) -> &HeaderMap;

    /// Returns what layers add for those around them.
    fn extensions(&self) -> &Extensions;

    /// Returns the extensions, to add something.
    fn extensions_mut(&mut self) -> &mut Extensions;
}

impl<B> ResponseHead for Response<B> {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }
}
