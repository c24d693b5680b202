//! Holds a limit to its promise, with the instants that the limit itself counts with.
//!
//! A stamp taken where a call goes out is later than the instant at which the limiter decided,
//! by a microsecond or, when the thread is busy, by many. Two stamps can therefore be closer
//! together than the calls the limiter counted, and no check of stamps against the bound is both
//! exact and free of false alarms. [`Audited`] asks the algorithm and keeps its grants beside its
//! state, so that they can be checked to the nanosecond. The stamps are compared with the grants:
//! as many of them, and none before its grant.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tower_ratelimit::{Algorithm, Ask, Decision, Grant, Nanos, Rate, RateLimiter};

/// An algorithm that remembers all it granted.
pub(crate) struct Audited<A> {
    algorithm: A,
    report: Mutex<Vec<Grant>>,
}

/// The state of [`Audited`]. What might happen is worked out on copies of a state, so the grants
/// are part of it: a list anywhere else would also hold grants that never were.
#[derive(Clone, Default)]
pub(crate) struct Audit<S> {
    state: S,
    grants: Vec<Grant>,
}

impl<A: Algorithm> Audited<A> {
    pub(crate) fn new(algorithm: A) -> Self {
        let report = Mutex::default();
        Self { algorithm, report }
    }

    fn report(&self) -> MutexGuard<'_, Vec<Grant>> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Audit<S> {
    /// One of two equal grants is as good as the other.
    fn remove(&mut self, grant: Grant) {
        if let Some(index) = self.grants.iter().position(|known| *known == grant) {
            self.grants.swap_remove(index);
        }
    }
}

impl<A: Algorithm> Algorithm for Audited<A> {
    type State = Audit<A::State>;

    type Permits = A::Permits;

    fn decide(&self, audit: &mut Self::State, now: Nanos, ask: Ask) -> Decision {
        let decision = self.algorithm.decide(&mut audit.state, now, ask);
        match ask {
            Ask::Take(take) if take.cost > 0 => audit.grants.extend(decision.grant()),
            Ask::Renew(grant) => {
                audit.remove(grant);
                audit.grants.extend(decision.grant());
            }
            Ask::GiveBack(grant) => audit.remove(grant),
            // The way out for the grants: `RateLimiter::peek(0)` asks the state itself.
            Ask::Peek(take) if take.cost == 0 => self.report().clone_from(&audit.grants),
            Ask::Take(_) | Ask::Peek(_) | Ask::Charge(_) | Ask::End(_) => {}
        }
        decision
    }

    /// Never, once there are grants to report.
    fn new_at(&self, audit: &Self::State) -> Nanos {
        match audit.grants.is_empty() {
            true => Nanos::ZERO,
            false => Nanos::MAX,
        }
    }

    fn interval(&self) -> Nanos {
        self.algorithm.interval()
    }

    fn shelf_life(&self) -> Nanos {
        self.algorithm.shelf_life()
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        self.algorithm.rate(index)
    }

    fn most_in(&self, length: Duration) -> u64 {
        self.algorithm.most_in(length)
    }

    fn carry_over(&self, before: &Self, audit: &mut Self::State, now: Nanos) {
        self.algorithm.carry_over(&before.algorithm, &mut audit.state, now);
    }
}

/// When the limit let calls go, by its own count.
pub(crate) fn instants<A: Algorithm>(limiter: &RateLimiter<Audited<A>>) -> Vec<Nanos> {
    let _ = limiter.peek(0);
    let mut instants: Vec<Nanos> = limiter.algorithm().report().iter().map(|g| g.at).collect();
    instants.sort_unstable();
    instants
}

/// Holds the instants to the bound in every window. Those that begin at a call and end just after
/// one are enough: any other holds no more calls than the longest of these in it.
pub(crate) fn broken_promise(algorithm: &impl Algorithm, instants: &[Nanos]) -> Option<String> {
    for (index, first) in instants.iter().enumerate() {
        for (calls, last) in (1..).zip(&instants[index..]) {
            let length = Duration::from(*last - *first + Nanos::new(1));
            let promised = algorithm.most_in(length);
            if calls > promised {
                return Some(format!("{calls} calls in {length:?}, {promised} promised"));
            }
        }
    }
    None
}

/// The most calls in any half-open window of this length.
pub(crate) fn most_in(instants: &[Nanos], length: Duration) -> usize {
    let ends = instants
        .iter()
        .enumerate()
        .map(|(index, first)| instants.partition_point(|at| *at < *first + length.into()) - index);
    ends.max().unwrap_or_default()
}

/// How far the calls were behind the instants at which they were granted, at most; an error when
/// they are not the calls that were granted. Both are sorted.
pub(crate) fn lag(instants: &[Nanos], calls: &[Nanos]) -> Result<Duration, String> {
    if instants.len() != calls.len() {
        let (granted, calls) = (instants.len(), calls.len());
        return Err(format!("{calls} calls, {granted} granted"));
    }
    let pairs = || instants.iter().zip(calls);
    match pairs().find(|(granted, call)| call < granted) {
        Some((granted, call)) => Err(format!("a call at {call:?} before its grant at {granted:?}")),
        None => {
            Ok(pairs().map(|(granted, call)| *call - *granted).max().unwrap_or_default().into())
        }
    }
}
