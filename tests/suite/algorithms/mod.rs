//! Floor 1: pure functions of a state, an instant and an ask.
//!
//! Each algorithm against an oracle, against its contract and against its published bound.

use tower_ratelimit::{Algorithm, Ask, Decision, Grant, Nanos, Outcome, Rate, Take};

pub(crate) mod histories;
pub(crate) mod limits;
mod naive;

mod agreement;
mod any;
mod backwards;
pub(crate) mod bounds;
mod carry_over;
mod charging;
mod construction;
mod contract;
mod extremes;
mod forgetting;
mod giving_back;
mod in_flight;
mod leases;
mod renewal;
mod scripted;
mod serialized;
mod serialized_leases;
mod stored;
mod token_bucket;
mod windows;

fn ask<A: Algorithm>(algorithm: &A, state: &mut A::State, now: u64, ask: Ask) -> Decision {
    algorithm.decide(state, Nanos::new(now), ask)
}

/// The permits, if they are to be had now.
fn granted<A: Algorithm>(
    algorithm: &A,
    state: &mut A::State,
    now: u64,
    take: Take,
) -> Option<Grant> {
    ask(algorithm, state, now, Ask::Take(take)).grant()
}

/// How many calls of cost 1 pass one after another at this instant, of at most this many.
fn pass_at<A: Algorithm>(algorithm: &A, state: &mut A::State, now: u64, calls: usize) -> usize {
    (0..calls).take_while(|_| granted(algorithm, state, now, Take::fresh(1)).is_some()).count()
}

/// The wait of a refusal.
fn wait(decision: Decision) -> Option<u64> {
    match decision.outcome {
        Outcome::Later(wait) => Some(wait.get()),
        _ => None,
    }
}

fn rate(permits: u32, nanoseconds: u64) -> Rate {
    Rate::new(permits, std::time::Duration::from_nanos(nanoseconds)).unwrap()
}
