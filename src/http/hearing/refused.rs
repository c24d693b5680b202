//! Whether a response is a refusal, and who may try again.

use super::grpc;
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// What a refusal says besides the fields that any response may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    #[allow(dead_code, reason = "only a client that tries again asks")]
    pub(super) again: Again,
    /// How long to stay away, where that stands elsewhere than in `Retry-After`.
    pub(super) wait: Option<Duration>,
    /// Whether it may be something else than a refusal, unless the fields of the response say that there
    /// is a limit.
    pub(super) is_vague: bool,
}

/// Whether a request may be sent again that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The server did nothing with it.
    Always,
    /// Nobody knows how far the server got.
    IfIdempotent,
    /// The server says that it is of no use.
    #[allow(dead_code, reason = "only servers that speak gRPC say that")]
    Never,
}

impl Refused {
    /// Nothing for a response that is no refusal.
    pub(super) fn read(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        let plain = |again| Some(Self { again, wait: None, is_vague: false });
        match status {
            StatusCode::TOO_MANY_REQUESTS => plain(Again::Always),
            StatusCode::SERVICE_UNAVAILABLE => plain(Again::IfIdempotent),
            _ => grpc::refused(headers),
        }
    }
}
