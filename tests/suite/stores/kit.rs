//! The conformance kit passes stores that are right, and finds what is wrong with others.

use super::broken::{Broken, Fault};
use tower_ratelimit::{
    AnyAlgorithm, BurstCompensating, Concurrency, FixedWindow, LeakyBucket, Quota, Serialized,
    SlidingWindow, SlidingWindowCounter, Strict, TokenBucket,
    conformance::{self, Point, Sampled, Violation},
    store::MemoryStore,
};

async fn in_memory<A: Sampled>() -> Result<(), Violation> {
    conformance::store::<A, _>(MemoryStore::default).await
}

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract_of_any_algorithm() -> Result<(), Violation> {
    in_memory::<AnyAlgorithm>().await
}

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract_of_each_algorithm() -> Result<(), Violation> {
    in_memory::<LeakyBucket>().await?;
    in_memory::<Strict>().await?;
    in_memory::<BurstCompensating>().await?;
    in_memory::<TokenBucket>().await?;
    in_memory::<Quota>().await?;
    in_memory::<SlidingWindow>().await?;
    in_memory::<FixedWindow>().await?;
    in_memory::<SlidingWindowCounter>().await?;
    in_memory::<Concurrency>().await?;
    in_memory::<Serialized>().await
}

#[test]
fn a_store_that_goes_on_existing_can_be_looked_at_again_and_without_a_runtime() {
    let store = MemoryStore::default();
    for _ in 0..2 {
        let looked = conformance::store::<Strict, _>(|| store.clone());
        tokio_test::block_on(looked).unwrap();
    }
}

#[test]
fn all_samples_can_be_read() {
    assert_eq!(AnyAlgorithm::samples().len(), 27);
    assert_eq!(LeakyBucket::samples().len(), 3);
    assert_eq!(Serialized::samples().len(), 3);
}

/// What the kit says of a store with this fault.
async fn found(fault: Fault) -> (Point, Violation) {
    let found = conformance::store::<LeakyBucket, _>(|| Broken::new(fault)).await;
    let violation = found.expect_err("the fault is found");
    (violation.point(), violation)
}

#[tokio::test]
async fn a_store_with_a_fault_is_found_out_for_it() {
    for (fault, point) in [
        (Fault::Fails, Point::Answered),
        (Fault::LosesAnswers, Point::Answers),
        (Fault::TurnsAnswersRound, Point::Answers),
        (Fault::KeepsToItself, Point::Shared),
        (Fault::TurnsOrdersRound, Point::SameKey),
        (Fault::CutsKeys(63), Point::KeysApart),
        (Fault::CutsKeys(119), Point::KeysApart),
        (Fault::CutsKeysAtNul, Point::KeysApart),
        (Fault::FoldsKeys, Point::KeysApart),
        (Fault::ReadsKeysAsText, Point::KeysApart),
        (Fault::ForgetsLimits, Point::LimitsApart),
        (Fault::GluesNames, Point::LimitsApart),
        (Fault::TakesGroupsApart, Point::Groups),
        (Fault::KeepsFew(1_000), Point::Remembers),
        (Fault::ForgetsEarly, Point::Remembers),
        (Fault::LosesMeasures, Point::Changes),
        (Fault::ReadsOtherClock, Point::SetTime),
        (Fault::ReservesNothing, Point::SameKey),
        (Fault::LosesReturns, Point::Decides),
        (Fault::RefillsFaster, Point::KeepsTo),
        (Fault::Yields, Point::Dropped),
        (Fault::LooksAndThenTakes, Point::AtOnce),
        (Fault::AsksNobody, Point::BatchesAtOnce),
    ] {
        let (found, violation) = found(fault).await;
        assert_eq!(found, point, "{fault:?}: {violation}");
    }
}

#[tokio::test]
async fn a_violation_tells_the_shortest_history_that_was_found() {
    let (_, violation) = found(Fault::LosesReturns).await;
    assert!((1..12).contains(&violation.history().len()), "{violation}");
    assert!(violation.history().iter().any(|line| line.contains("Return")), "{violation}");
    let (_, again) = found(Fault::LosesReturns).await;
    assert_eq!(violation.seed(), again.seed());
    assert_eq!(violation.history().len(), again.history().len());
}
