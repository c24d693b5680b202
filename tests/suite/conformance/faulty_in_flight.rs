//! Limits on calls in flight that break one point of their contract each.

use std::time::Duration;
use tower_ratelimit::{
    Algorithm, Ask, Concurrency, Decision, Grant, Nanos, Outcome, Rate,
    algorithm::Held,
    conformance::{self, Point},
};

/// What a limit of calls in flight does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    OneMore,
    RenewRefused,
    EndTakesFromOthers,
    EndIsForgotten,
}

struct Crowd {
    fault: Fault,
    limit: Concurrency,
}

impl Crowd {
    fn new(fault: Fault) -> Self {
        let capacity = if fault == Fault::OneMore { 3 } else { 2 };
        Self { fault, limit: Concurrency::new(capacity).unwrap() }
    }
}

impl Algorithm for Crowd {
    /// Those in flight, and the last of them.
    type State = (<Concurrency as Algorithm>::State, Option<Grant>);
    type Permits = Held;

    fn decide(&self, (holders, last): &mut Self::State, now: Nanos, ask: Ask) -> Decision {
        let before = holders.clone();
        let mut decision = self.limit.decide(holders, now, ask);
        match (self.fault, ask) {
            (Fault::OneMore, _) => {
                decision.limit = 2;
                decision.remaining = decision.remaining.min(2);
            }
            (Fault::RenewRefused, Ask::Renew(_)) => {
                *holders = before;
                decision.outcome = Outcome::InUse(None);
            }
            (Fault::EndTakesFromOthers, Ask::End(_)) => {
                if let Some(last) = last.take() {
                    return self.limit.decide(holders, now, Ask::End(last));
                }
            }
            (Fault::EndIsForgotten, Ask::End(_)) => *holders = before,
            (_, Ask::Take(take)) if decision.is_granted() && take.cost > 0 => {
                *last = decision.grant();
            }
            _ => {}
        }
        decision
    }

    fn new_at(&self, (holders, _): &Self::State) -> Nanos {
        self.limit.new_at(holders)
    }

    fn interval(&self) -> Nanos {
        self.limit.interval()
    }

    fn shelf_life(&self) -> Nanos {
        self.limit.shelf_life()
    }

    fn rate(&self, _: usize) -> Option<Rate> {
        None
    }

    fn most_in(&self, length: Duration) -> u64 {
        self.limit.most_in(length)
    }

    fn carry_over(&self, _: &Self, _: &mut Self::State, _: Nanos) {}
}

#[test]
fn faults_of_those_that_hold_their_permits_are_found() {
    let found = |fault| conformance::algorithm(&Crowd::new(fault)).unwrap_err().point();
    assert_eq!(found(Fault::OneMore), Point::Held);
    assert_eq!(found(Fault::RenewRefused), Point::Renew);
    assert_eq!(found(Fault::EndTakesFromOthers), Point::End);
    assert_eq!(found(Fault::EndIsForgotten), Point::InUse);
}
