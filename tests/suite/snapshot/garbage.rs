//! What is no snapshot, or not of this limit, is refused.

use super::{at_once, keyed, keyed_at_once, read, single};
use proptest::prelude::*;
use tower_ratelimit::{
    Invalid, KeyedRateLimiter, LeakyBucket, ManualClock, Quota, Rate, RateLimiter, SlidingWindow,
    Snapshot, Strict,
};

fn snapshot() -> Snapshot {
    let builder = KeyedRateLimiter::builder(SlidingWindow::new(Rate::per_second(9).unwrap()));
    let limiter = builder.clock(ManualClock::new()).list_keys().build();
    for key in ["alice", "bob"] {
        limiter.key(key).try_acquire_many(2).unwrap();
        limiter.key(key).try_acquire().unwrap();
    }
    limiter.snapshot()
}

fn refused<T>(result: Result<T, Invalid>) -> String {
    let invalid = result.err().expect("it is refused");
    assert_eq!(invalid.parameter(), "snapshot");
    invalid.to_string()
}

#[test]
fn bytes_go_around() {
    let snapshot = snapshot();
    assert_eq!(Snapshot::from_bytes(snapshot.as_bytes()).unwrap(), snapshot);
}

#[test]
fn a_part_of_a_snapshot_is_refused() {
    let snapshot = snapshot();
    for length in 0..snapshot.as_bytes().len() {
        refused(Snapshot::from_bytes(&snapshot.as_bytes()[..length]));
    }
    refused(Snapshot::from_bytes([snapshot.as_bytes(), &[0]].concat()));
}

#[test]
fn a_snapshot_with_a_bit_changed_is_refused() {
    let snapshot = snapshot();
    for bit in 0..8 * snapshot.as_bytes().len() {
        let mut bytes = snapshot.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        refused(Snapshot::from_bytes(bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn other_bytes_are_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        begins_well in 0..30_usize,
    ) {
        let whole = snapshot();
        let begin = &whole.as_bytes()[..begins_well];
        refused(Snapshot::from_bytes([begin, &bytes].concat()));
    }
}

#[test]
fn a_refusal_says_what_is_wrong() {
    assert_eq!(
        refused(Snapshot::from_bytes([])),
        "snapshot is other bytes, but must be what a limiter wrote"
    );
    let mut bytes = snapshot().as_bytes().to_vec();
    bytes.pop();
    assert_eq!(
        refused(Snapshot::from_bytes(bytes.clone())),
        "snapshot is damaged, but must be as it was taken"
    );
    bytes["ratelimit".len()] = 9;
    assert_eq!(
        refused(Snapshot::from_bytes(bytes)),
        "snapshot is of version 9, but must be of version 1"
    );
}

#[test]
fn the_snapshot_of_another_kind_of_limit_is_refused() {
    let clock = ManualClock::new();
    let rate = Rate::per_second(1).unwrap();
    let strict = single(Strict::new(rate), &clock).snapshot();
    assert_eq!(
        refused(at_once(&strict, LeakyBucket::new(rate), &clock)),
        "snapshot is of the limit \"strict 1/s\", but must be of the kind of \
         \"leaky bucket 1/s, capacity 10\""
    );
    refused(at_once(&strict, Quota::new(1).unwrap(), &clock));
    // One chosen in a file keeps its states otherwise.
    refused(at_once(&strict, read("strict 1/s"), &clock));
    let any = single(read("strict 1/s"), &clock).snapshot();
    refused(at_once(&any, Strict::new(rate), &clock));
}

#[test]
fn limits_per_key_and_single_ones_are_told_apart() {
    let clock = ManualClock::new();
    let strict = Strict::new(Rate::per_second(1).unwrap());
    assert_eq!(
        refused(keyed_at_once(&single(strict, &clock).snapshot(), strict, &clock)),
        "snapshot is of a single limit, but must be of limits per key"
    );
    assert_eq!(
        refused(at_once(&keyed(strict, &clock).snapshot(), strict, &clock)),
        "snapshot is of limits per key, but must be of a single limit"
    );
}

#[test]
fn neither_keys_nor_the_seed_get_into_a_log() {
    let limiter = RateLimiter::new(Strict::new(Rate::per_second(1).unwrap()));
    let text = format!("{:?}", limiter.snapshot());
    assert!(text.starts_with("Snapshot { algorithm: \"strict 1/s\", taken_at: "), "{text}");
    assert!(!format!("{:?}", snapshot()).contains("alice"));
}
