//! Callers that all look after each deed: what they find is what the model says, to the grant.

mod acts;
mod looks;
mod promises;

use super::{
    Deed, Kind, Waits, deeds,
    model::{Caller, Model},
    ms,
};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use std::{collections::BTreeMap, time::Duration};
use tokio_test::task::Spawn;
use tower_ratelimit::{
    BurstCompensating, Concurrency, Decision, FixedWindow, Grant, LeakyBucket, ManualClock, Nanos,
    Permit, RateLimiter, Reservation, Serialized, SlidingWindow, Strict, TokenBucket,
    limiter::Acquire,
};

/// A call in line, for permits that are used at once or later.
enum Waiter<'a, A: Kind> {
    Uses(Spawn<Acquire<'a, A>>),
    Keeps(Spawn<Acquire<'a, A, Reservation<'a, A>>>),
}

/// A permit, and when it was granted, for those granted since the limit was last changed.
struct Held<'a, A: Kind> {
    permit: Permit<'a, A>,
    grant: Grant,
    is_old: bool,
}

/// A reservation.
struct Kept<'a, A: Kind> {
    reservation: Reservation<'a, A>,
    takes: bool,
    is_old: bool,
}

/// What is in the hands of the callers.
struct World<'a, A: Kind> {
    limiter: &'a RateLimiter<A>,
    clock: ManualClock,
    model: Model<A>,
    several: Vec<A>,
    current: usize,
    /// The latest that the clock has shown.
    latest: Nanos,
    /// The latest that it showed when somebody took permits: leases that had ended by then are lost.
    taken: Nanos,
    callers: Caller,
    last_granted: Option<Caller>,
    waiting: BTreeMap<Caller, Waiter<'a, A>>,
    kept: BTreeMap<Caller, Kept<'a, A>>,
    held: BTreeMap<Caller, Held<'a, A>>,
    /// When calls took place, since the limit was last changed or the clock was set back.
    calls: BTreeMap<Caller, Nanos>,
    /// How many reservations of before were not used then: each that goes back lets one call more pass.
    may_go_back: usize,
    checks_bound: bool,
}

fn grant_of(decision: Decision) -> Grant {
    decision.grant().expect("a permit was granted")
}

fn pick<T>(of: &BTreeMap<Caller, T>, which: Index) -> Option<Caller> {
    (!of.is_empty()).then(|| *of.keys().nth(which.index(of.len())).unwrap())
}

fn on_terms<'a, A: Kind, G: tower_ratelimit::limiter::Granted<'a, A>>(
    acquire: Acquire<'a, A, G>,
    waits: Waits,
) -> Acquire<'a, A, G> {
    match waits {
        Waits::Not => acquire.max_wait(Duration::ZERO),
        Waits::AtMost(most) => acquire.max_wait(ms(most)),
        Waits::Until(most) => acquire.timeout(ms(most)),
        Waits::Forever => acquire,
    }
}

fn all_promises_hold<A: Kind>(deeds: Vec<Deed>, checks_bound: bool) -> TestCaseResult {
    let clock = ManualClock::new();
    clock.set(ms(1000));
    let limiter = RateLimiter::builder(A::several().swap_remove(0)).clock(clock.clone()).build();
    let mut world = World {
        limiter: &limiter,
        clock,
        model: Model::new(),
        several: A::several(),
        current: 0,
        latest: Nanos::ZERO,
        taken: Nanos::ZERO,
        callers: 0,
        last_granted: None,
        waiting: BTreeMap::new(),
        kept: BTreeMap::new(),
        held: BTreeMap::new(),
        calls: BTreeMap::new(),
        may_go_back: 0,
        checks_bound,
    };
    world.set_clock(Nanos::from(ms(1000)));
    for deed in deeds {
        world.act(deed)?;
        world.check()?;
    }
    world.finish()
}

macro_rules! for_each_kind {
    ($($name:ident: $kind:ty),*) => { $(
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]

            #[test]
            fn $name(some in deeds(4), single in deeds(1)) {
                all_promises_hold::<$kind>(some, false)?;
                all_promises_hold::<$kind>(single, true)?;
            }
        }
    )* };
}

for_each_kind! {
    a_leaky_bucket_keeps_its_promises: LeakyBucket,
    a_strict_limit_keeps_its_promises: Strict,
    a_burst_compensating_limit_keeps_its_promises: BurstCompensating,
    a_sliding_window_keeps_its_promises: SlidingWindow,
    a_token_bucket_keeps_its_promises: TokenBucket,
    a_fixed_window_keeps_its_promises: FixedWindow,
    a_limit_of_calls_in_flight_keeps_its_promises: Concurrency,
    a_serialized_limit_keeps_its_promises: Serialized
}
