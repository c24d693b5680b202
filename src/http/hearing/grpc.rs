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
    QuotaFailure, RetryInfo,
    pb::{self, Status},
};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What RESOURCE_EXHAUSTED and UNAVAILABLE say, if it stands in the head: a call that fails later
/// has its status behind its messages.
///
/// RESOURCE_EXHAUSTED is also what servers say of an answer that is too large, once the method has run.
pub(super) fn refused(headers: &HeaderMap) -> Option<Refused> {
    let code = Code::from_bytes(headers.get(STATUS)?.as_bytes());
    let pushback = headers.get(PUSHBACK).map(|value| milliseconds(value.to_str().ok()?));
    let again = match (code, pushback) {
        (Code::ResourceExhausted | Code::Unavailable, Some(None)) => Again::Never,
        (Code::ResourceExhausted, _) | (Code::Unavailable, Some(_)) => Again::Always,
        (Code::Unavailable, None) => Again::IfIdempotent,
        _ => return None,
    };
    let status = detailed(headers);
    let wait = pushback.flatten().max(retry_delay(&status));
    let quota = status.details.iter().find(|detail| detail.type_url == QuotaFailure::TYPE_URL);
    let says_nothing = pushback.is_none() && wait.is_none() && quota.is_none();
    let is_vague = code == Code::ResourceExhausted && says_nothing;
    Some(Refused { again, wait, is_vague })
}

/// Nothing where it is negative or cannot be read: both say not to try again.
fn milliseconds(text: &str) -> Option<Duration> {
    let number: u64 = text.trim().parse().ok()?;
    Some(Duration::from_millis(number.min(LARGEST)))
}

/// The status with its details; one without any where it cannot be read.
///
/// It is taken apart here, as tonic panics where a server sends no base64, and its types where the
/// number of seconds is the least that there is.
fn detailed(headers: &HeaderMap) -> Status {
    let read = || {
        let details = headers.get(DETAILS)?.clone();
        let metadata = MetadataMap::from_headers(HeaderMap::from_iter([(DETAILS, details)]));
        let bytes = metadata.get_bin(DETAILS.as_str())?.to_bytes().ok()?;
        Status::decode(bytes).ok()
    };
    read().unwrap_or_default()
}

/// What `google.rpc.RetryInfo` says.
fn retry_delay(status: &Status) -> Option<Duration> {
    let mut details = status.details.iter();
    let info = details.find(|detail| detail.type_url == RetryInfo::TYPE_URL)?;
    let delay = pb::RetryInfo::decode(&*info.value).ok()?.retry_delay?;
    // A negative one is over.
    let seconds = u64::try_from(delay.seconds).unwrap_or(0).min(LARGEST);
    Some(Duration::new(seconds, u32::try_from(delay.nanos).unwrap_or(0)))
}
