//! Without the feature `tonic`: what is refused in gRPC is a response like any other.

use super::refused::Refused;
use http::HeaderMap;

pub(super) fn refused(_: &HeaderMap) -> Option<Refused> {
    None
}
