//! All algorithms that are built in keep their contract.

use crate::algorithms::limits;
use proptest::{prelude::*, test_runner::TestRunner};
use std::fmt::Debug;
use tower_ratelimit::{Algorithm, conformance::Histories};

/// Limits of random parameters, each in a few histories.
fn conform<A: Algorithm + Debug>(limits: impl Strategy<Value = A>) {
    let config =
        ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() };
    let result = TestRunner::new(config).run(&(limits, any::<u64>()), |(limit, seed)| {
        let found = Histories::new().seed(seed).count(10).algorithm(&limit);
        found.map(drop).map_err(|violation| TestCaseError::fail(violation.to_string()))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn leaky_bucket() {
    conform(limits::leaky_bucket());
}

#[test]
fn any_window() {
    conform(limits::any_window());
}

#[test]
fn strict() {
    conform(limits::strict());
}

#[test]
fn burst_compensating() {
    conform(limits::burst_compensating());
}

#[test]
fn sliding_window() {
    conform(limits::sliding_window());
}

#[test]
fn token_bucket() {
    conform(limits::token_bucket());
}

#[test]
fn warming_bucket() {
    conform(limits::warming_bucket());
}

#[test]
fn quota() {
    conform(limits::quota());
}

#[test]
fn fixed_window() {
    conform(limits::fixed_window());
}

#[test]
fn sliding_window_counter() {
    conform(limits::sliding_window_counter());
}

#[test]
fn concurrency() {
    conform(limits::concurrency());
}

#[test]
fn serialized() {
    conform(limits::serialized());
}

#[test]
fn any_algorithm() {
    conform(limits::any_algorithm());
}
