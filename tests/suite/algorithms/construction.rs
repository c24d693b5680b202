//! What no limit can be built from, and how the error says so.

use super::rate;
use std::time::Duration;
use tower_ratelimit::{BurstCompensating, Invalid, LeakyBucket, Rate, SlidingWindow, TokenBucket};

const MILLISECOND: u64 = 1_000_000;

/// Parameter, value and what is allowed.
fn parts(invalid: &Invalid) -> (&str, &str, &str) {
    (invalid.parameter(), invalid.value(), invalid.allowed())
}

/// Limits with their periods in milliseconds.
fn windows<const N: usize>(rates: [(u32, u64); N]) -> Result<SlidingWindow, Invalid> {
    SlidingWindow::all(rates.map(|(permits, period)| rate(permits, period * MILLISECOND)))
}

#[test]
fn a_list_of_rates_is_taken_when_every_rate_can_be_binding() {
    for (rates, periods) in [
        (windows([(1, 1)]), vec![1]),
        (windows([(2, 1), (3, 2)]), vec![1, 2]),
        (windows([(2, 1), (3, 2), (4, 3)]), vec![1, 2, 3]),
        (windows([(1, 1), (2, 2)]), vec![1, 2]),
        // The order given does not matter.
        (windows([(3, 2), (2, 1)]), vec![1, 2]),
        (windows([(4, 3), (2, 1), (3, 2)]), vec![1, 2, 3]),
    ] {
        let rates = rates.unwrap();
        let found = rates.rates().iter().map(Rate::period);
        let periods = periods.into_iter().map(Duration::from_millis);
        assert!(found.eq(periods), "{rates:?}");
    }
}

#[test]
fn a_list_of_rates_is_refused_and_the_pair_named_when_one_can_never_be_binding() {
    let same = "of different periods";
    let permits = "of growing permits when sorted by period";
    let density = "of falling density (permits by period) when sorted by period";
    for (rates, pair, allowed) in [
        (windows([]), "empty", "at least one rate"),
        (windows([(2, 1), (1, 1)]), "2/ms with 1/ms", same),
        (windows([(1, 1), (1, 2)]), "1/ms with 1/2ms", permits),
        (windows([(2, 1), (1, 2)]), "2/ms with 1/2ms", permits),
        (windows([(1, 1), (3, 2), (4, 1)]), "1/ms with 4/ms", same),
        (windows([(1, 1), (3, 2)]), "1/ms with 3/2ms", density),
        // Sorted, the second and the third do not go together.
        (windows([(3, 4), (1, 1), (3, 3)]), "3/3ms with 3/4ms", permits),
        (windows([(2, 1), (3, 2), (5, 3)]), "3/2ms with 5/3ms", density),
    ] {
        let invalid = rates.unwrap_err();
        assert_eq!(parts(&invalid), ("rates", pair, allowed));
    }
}

#[test]
fn densities_are_compared_without_rounding() {
    let [long, longer] = [u64::from(u32::MAX) * 1000, u64::from(u32::MAX) * 1000 + 1];
    let first = rate(u32::MAX - 1, long - 1000);
    // As dense and denser by a hair.
    assert!(SlidingWindow::all([first, rate(u32::MAX, long)]).is_ok());
    assert!(SlidingWindow::all([first, rate(u32::MAX, longer)]).is_ok());
    let invalid = SlidingWindow::all([first, rate(u32::MAX, long - 1)]).unwrap_err();
    assert_eq!(invalid.parameter(), "rates");
}

#[test]
fn a_bucket_holds_at_least_one() {
    let ten = LeakyBucket::new(Rate::per_second(10).unwrap());
    let invalid = ten.capacity(0).unwrap_err();
    assert_eq!(parts(&invalid), ("capacity", "0", "1 to 78840000000"), "250 years of 100 ms each");
    assert!(ten.capacity(1).is_ok());
    assert!(ten.capacity(u32::MAX).is_ok());
}

#[test]
fn a_bucket_leaks_empty_in_250_years() {
    let yearly = Rate::new(1, Duration::from_secs(365 * 86_400)).unwrap();
    assert!(LeakyBucket::new(yearly).capacity(250).is_ok());
    let invalid = LeakyBucket::new(yearly).capacity(251).unwrap_err();
    assert_eq!(parts(&invalid), ("capacity", "251", "1 to 250"));
    let invalid = LeakyBucket::new(yearly).capacity(u32::MAX).unwrap_err();
    assert_eq!(parts(&invalid), ("capacity", "4294967295", "1 to 250"));
}

#[test]
fn a_bucket_for_any_window_holds_at_most_the_permits_of_its_rate() {
    let rate = Rate::per_minute(60).unwrap();
    for capacity in [0, 61, u32::MAX] {
        let invalid = LeakyBucket::any_window(rate, capacity).unwrap_err();
        let value = capacity.to_string();
        let allowed = "1 to 60, the permits of the rate";
        assert_eq!(parts(&invalid), ("capacity", value.as_str(), allowed));
    }
    assert!(LeakyBucket::any_window(rate, 1).is_ok());
    assert!(LeakyBucket::any_window(rate, 60).is_ok());
}

#[test]
fn a_bucket_for_any_window_leaks_empty_in_250_years() {
    let rate = Rate::new(20, Duration::from_secs(25 * 365 * 86_400)).unwrap();
    let invalid = LeakyBucket::any_window(rate, 20).unwrap_err();
    assert_eq!(parts(&invalid), ("capacity", "20", "1 to 10"));
}

#[test]
fn a_burst_is_at_least_one_and_at_most_250_years() {
    let yearly = Rate::new(1, Duration::from_secs(365 * 86_400)).unwrap();
    let limit = BurstCompensating::new(yearly);
    for max_burst in [0, 251, u32::MAX] {
        let invalid = limit.max_burst(max_burst).unwrap_err();
        let value = max_burst.to_string();
        assert_eq!(parts(&invalid), ("max_burst", value.as_str(), "1 to 250"));
    }
    assert!(limit.max_burst(1).is_ok());
    assert!(limit.max_burst(250).is_ok());
}

/// R21 of the specification.
#[test]
fn a_token_bucket_holds_what_arrives_at_a_time() {
    let bucket = TokenBucket::new(Rate::per_second(5).unwrap());
    for capacity in [0, 4] {
        let invalid = bucket.capacity(capacity).unwrap_err();
        let value = capacity.to_string();
        let allowed = "5 or more, as many as arrive at a time";
        assert_eq!(parts(&invalid), ("capacity", value.as_str(), allowed));
    }
    assert!(bucket.capacity(5).is_ok());
    assert!(bucket.capacity(u32::MAX).is_ok());
}

#[test]
fn a_token_bucket_is_full_in_250_years() {
    let bucket = TokenBucket::new(Rate::new(3, Duration::from_secs(25 * 365 * 86_400)).unwrap());
    assert!(bucket.capacity(30).is_ok());
    let invalid = bucket.capacity(31).unwrap_err();
    assert_eq!(parts(&invalid), ("capacity", "31", "3 to 30"));
}

#[test]
fn a_token_bucket_has_no_more_than_its_capacity_at_first() {
    let bucket = TokenBucket::new(Rate::per_second(5).unwrap());
    let invalid = bucket.initial(6).unwrap_err();
    assert_eq!(parts(&invalid), ("initial", "6", "0 to 5, the capacity"));
    assert!(bucket.initial(0).is_ok());
    let nine = bucket.capacity(9).unwrap().initial(8).unwrap();
    let invalid = nine.capacity(7).unwrap_err();
    assert_eq!(parts(&invalid), ("capacity", "7", "8 or more, the initial permits"));
}

#[test]
fn a_quota_is_at_least_one() {
    let invalid = TokenBucket::quota(0).unwrap_err();
    assert_eq!(parts(&invalid), ("permits", "0", "at least 1"));
}

#[test]
fn an_error_reads_as_a_sentence() {
    let invalid = LeakyBucket::any_window(Rate::per_second(3).unwrap(), 4).unwrap_err();
    assert_eq!(invalid.to_string(), "capacity is 4, but must be 1 to 3, the permits of the rate");
}
