//! Refusals in gRPC, which are responses with status 200.

use super::{
    number::LARGEST,
    refused::{Again, Refused},
};
use http::{HeaderMap, HeaderName};
use prost::Message;
use std::time::Duration;
use tonic::{Code, metadata::MetadataMap};
use tonic_types::{
    RetryInfo,
    pb::{self, Status},
};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What RESOURCE_EXHAUSTED and UNAVAILABLE say, if it stands in the head: a call that fails later
/// has its status behind its messages.
pub(super) fn refused(headers: &HeaderMap) -> Option<Refused> {
    let code = Code::from_bytes(headers.get(STATUS)?.as_bytes());
    let pushback = headers.get(PUSHBACK).map(|value| milliseconds(value.to_str().ok()?));
    let again = match (code, pushback) {
        (Code::ResourceExhausted | Code::Unavailable, Some(None)) => Again::Never,
        (Code::ResourceExhausted, _) | (Code::Unavailable, Some(_)) => Again::Always,
        (Code::Unavailable, None) => Again::IfIdempotent,
        _ => return None,
    };
    Some(Refused { again, wait: pushback.flatten().max(retry_delay(headers)) })
}

/// Nothing where it is negative or cannot be read: both say not to try again.
fn milliseconds(text: &str) -> Option<Duration> {
    let number: u64 = text.trim().parse().ok()?;
    Some(Duration::from_millis(number.min(LARGEST)))
}

/// What `google.rpc.RetryInfo` says.
///
/// It is taken apart here, as tonic panics where a server sends no base64, and its types where the
/// number of seconds is the least that there is.
fn retry_delay(headers: &HeaderMap) -> Option<Duration> {
    let details = headers.get(DETAILS)?.clone();
    let metadata = MetadataMap::from_headers(HeaderMap::from_iter([(DETAILS, details)]));
    let bytes = metadata.get_bin(DETAILS.as_str())?.to_bytes().ok()?;
    let details = Status::decode(bytes).ok()?.details.into_iter();
    let mut infos = details.filter(|detail| detail.type_url == RetryInfo::TYPE_URL);
    let delay = pb::RetryInfo::decode(&*infos.next()?.value).ok()?.retry_delay?;
    // A negative one is over.
    let seconds = u64::try_from(delay.seconds).unwrap_or(0).min(LARGEST);
    Some(Duration::new(seconds, u32::try_from(delay.nanos).unwrap_or(0)))
}
