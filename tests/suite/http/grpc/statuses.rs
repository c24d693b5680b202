//! The status of a refusal, and what is in it.

use super::retry_delay;
use http::{HeaderValue, Response};
use std::{convert::Infallible, error::Error as _, time::Duration};
use tonic::{Code, Status};
use tonic_types::{RetryInfo, StatusExt};
use tower_ratelimit::{
    Rate, RateLimited, Reason, Reply,
    http::{ResourceExhausted, resource_exhausted, too_many_requests},
};

/// As a service behind a layer answers it.
fn refused(refusal: RateLimited) -> Response<String> {
    let Ok(response) = Reply::<_, Infallible>::refuse(&ResourceExhausted, refusal, ());
    response
}

/// As a client takes it.
fn decoded(refusal: RateLimited) -> Status {
    Status::from_header_map(refused(refusal).headers()).unwrap()
}

const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Each reason, its code, and whether it is there for good.
const REASONS: [(Reason, Code, bool, &str); 12] = [
    (Reason::UsedUp, Code::ResourceExhausted, false, "limit is used up"),
    (Reason::Exhausted, Code::ResourceExhausted, true, "limit is spent for good"),
    (Reason::TooCostly, Code::ResourceExhausted, true, "limit can never grant a cost of 7"),
    (Reason::QueueFull, Code::Unavailable, false, "limit has as many calls waiting as it may"),
    (Reason::TooManyKeys, Code::Unavailable, false, "limit has as many keys in use as it may"),
    (Reason::NoKey, Code::Internal, false, "limit found no key in the request"),
    (Reason::Anonymous, Code::Unauthenticated, false, "limit needs a client that says who it is"),
    (Reason::UnknownLimit, Code::Internal, false, "limit is not one of this limiter"),
    (Reason::Cancelled, Code::Unavailable, false, "limit sent away all who waited"),
    (Reason::Closed, Code::Unavailable, false, "limit was closed"),
    (Reason::NotTogether, Code::Internal, false, "limit cannot be taken together with the others"),
    (Reason::Unavailable, Code::Unavailable, false, "limit is not available"),
];

#[test]
fn each_reason_has_the_code_of_its_http_status() {
    for (reason, code, is_for_good, message) in REASONS {
        let refusal = RateLimited::new(reason).with_cost(7);
        let http = too_many_requests::<String>(&refusal).status().as_u16();
        let same = match http {
            400 => Code::Unauthenticated,
            429 => Code::ResourceExhausted,
            500 => Code::Internal,
            _ => Code::Unavailable,
        };
        assert_eq!(code, same, "{reason:?}");

        let response = refused(refusal.clone());
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert_eq!(response.headers()["grpc-status"], i32::from(code).to_string());
        assert_eq!(response.body(), "");
        let pushback = response.headers().get(PUSHBACK).map(HeaderValue::as_bytes);
        assert_eq!(pushback, is_for_good.then_some(b"-1".as_slice()), "{reason:?}");

        let status = decoded(refusal);
        assert_eq!((status.code(), status.message()), (code, message));
        let details = status.check_error_details().unwrap();
        assert!(details.retry_info().is_none(), "{reason:?}");
        // RESOURCE_EXHAUSTED alone could be a message that is too large.
        let says_more = details.quota_failure().is_some() || pushback.is_some();
        assert_eq!(says_more, code == Code::ResourceExhausted, "{reason:?}");
    }
}

#[test]
fn the_wait_is_told_to_the_nanosecond_and_in_milliseconds_rounded_up() {
    let days_24 = Duration::from_millis(i32::MAX as u64);
    for (wait, milliseconds) in [
        (Duration::ZERO, "0"),
        (Duration::from_nanos(1), "1"),
        (Duration::from_millis(1), "1"),
        (Duration::from_nanos(1_000_001), "2"),
        (Duration::new(59, 999_999_999), "60000"),
        (days_24, "2147483647"),
        (days_24 + Duration::from_nanos(1), "-1"),
        (RetryInfo::MAX_RETRY_DELAY, "-1"),
    ] {
        for reason in [Reason::UsedUp, Reason::Unavailable] {
            let status = decoded(RateLimited::new(reason).with_retry_after(wait));
            assert_eq!(retry_delay(&status), Some(wait));
            assert_eq!(status.metadata().get(PUSHBACK).unwrap(), milliseconds, "{wait:?}");
        }
    }
    // As long as there are numbers for it.
    let status = decoded(RateLimited::new(Reason::UsedUp).with_retry_after(Duration::MAX));
    assert_eq!(retry_delay(&status), Some(RetryInfo::MAX_RETRY_DELAY));
    assert_eq!(status.metadata().get(PUSHBACK).unwrap(), "-1");
}

#[test]
fn the_details_are_a_status_of_google_rpc_with_the_same_code_and_message() {
    let wait = Duration::from_millis(1500);
    let status = decoded(RateLimited::new(Reason::UsedUp).with_retry_after(wait));
    let mut expected = vec![0x08, 8, 0x12, 16];
    expected.extend(b"limit is used up");
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    // RetryInfo { retry_delay: Duration { seconds: 1, nanos: 500_000_000 } }
    let info = [0x0a, 8, 0x08, 1, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01];
    expected.extend([0x1a, u8::try_from(2 + url.len() + 2 + info.len()).unwrap()]);
    expected.extend([0x0a, u8::try_from(url.len()).unwrap()]);
    expected.extend(url);
    expected.extend([0x12, u8::try_from(info.len()).unwrap()]);
    expected.extend(info);
    assert_eq!(status.details(), expected);
}

#[test]
fn the_message_is_the_name_of_the_limit_in_a_form_that_any_header_carries() {
    let refusal = RateLimited::new(Reason::UsedUp)
        .with_limit("Blätter 100%\r\nx: y")
        .with_rate(Rate::per_second(3).unwrap())
        .with_retry_after(Duration::from_secs(1))
        .with_max_wait(Duration::from_millis(10));
    let response = refused(refusal.clone());
    let message = "limit%20Bl%C3%A4tter%20100%25\\r\\nx:%20y%20is%20used%20up";
    assert_eq!(response.headers()["grpc-message"], message);
    assert_eq!(decoded(refusal).message(), "limit Blätter 100%\\r\\nx: y is used up");
}

#[test]
fn the_server_finds_the_refusal_behind_the_status() {
    let refusal = RateLimited::new(Reason::UsedUp).with_rate(Rate::per_second(3).unwrap());
    let status = resource_exhausted(&refusal);
    let source = status.source().unwrap();
    assert_eq!(source.downcast_ref(), Some(&refusal));
}

#[test]
fn a_refusal_can_be_changed() {
    let reply = ResourceExhausted.change(|refusal, response: &mut Response<String>| {
        let cost = HeaderValue::from(refusal.cost());
        response.headers_mut().insert("x-cost", cost);
    });
    let refusal = RateLimited::new(Reason::TooCostly).with_cost(9);
    let Ok(response) = Reply::<_, Infallible>::refuse(&reply, refusal, ());
    assert_eq!(response.headers()["x-cost"], "9");
    assert_eq!(response.headers()["grpc-status"], "8");
}
