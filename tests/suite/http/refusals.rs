//! What a client sees of a refusal.

use http::{Response, StatusCode};
use std::time::Duration;
use tower_ratelimit::{
    RateLimited, Reason, Reply,
    http::{TooManyRequests, too_many_requests},
};

fn response(refusal: RateLimited) -> Response<String> {
    too_many_requests(&refusal)
}

#[test]
fn retry_after_is_in_whole_seconds_rounded_up_and_at_least_one() {
    for (wait, header) in [
        (Duration::ZERO, "1"),
        (Duration::from_nanos(1), "1"),
        (Duration::from_millis(999), "1"),
        (Duration::from_secs(1), "1"),
        (Duration::from_nanos(1_000_000_001), "2"),
        (Duration::from_secs(3600), "3600"),
        (Duration::MAX, "18446744073709551615"),
    ] {
        let response = response(RateLimited::new(Reason::UsedUp).with_retry_after(wait));
        assert_eq!(response.headers()["retry-after"], header, "{wait:?}");
    }
}

#[test]
fn without_a_known_wait_there_is_no_retry_after() {
    let response = response(RateLimited::new(Reason::TooCostly));
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(!response.headers().contains_key("retry-after"));
}

#[test]
fn the_status_says_whose_fault_it_is() {
    for (reason, status) in [
        (Reason::UsedUp, 429),
        (Reason::TooCostly, 429),
        (Reason::QueueFull, 503),
        (Reason::TooManyKeys, 503),
        (Reason::NoKey, 500),
        (Reason::Anonymous, 400),
    ] {
        let response = response(RateLimited::new(reason));
        assert_eq!(response.status().as_u16(), status, "{reason:?}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.body(), "");
    }
}

#[test]
fn the_error_type_of_the_inner_service_is_kept() {
    let refused: Result<Response<String>, std::io::Error> =
        TooManyRequests.refuse(RateLimited::new(Reason::UsedUp), ());
    assert_eq!(refused.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
}
