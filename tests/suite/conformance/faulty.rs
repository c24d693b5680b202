//! Algorithms that break one point of their contract each, and that the kit finds which.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tower_ratelimit::{
    Algorithm, Ask, Decision, Grant, LeakyBucket, Nanos, Outcome, Rate,
    algorithm::Spent,
    conformance::{self, Histories, Point, Violation},
};

const INTERVAL: Nanos = Nanos::new(10);
const CAPACITY: u32 = 3;

/// What a bucket does wrong, named by the point that it breaks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    PanicWhenAskedForAll,
    PanicLate,
    SpansOfNothing,
    ClonesAreToldApart,
    PeekTakes,
    PeekSaysWhatWas,
    CostZeroIsRefused,
    CostZeroTakes,
    GrantedOneLess,
    RefusalTakes,
    RetryAfterTooLate,
    RetryAfterTooEarly,
    TooCostlyIsLater,
    TooCostlyThoughItCouldBeHad,
    ExhaustedThoughItComesBack,
    RemainingOneMore,
    GiveBackLosesAll,
    GiveBackTooMuch,
    GiveBackAtAnyTime,
    ChargeOfNothing,
    RenewRefused,
    EndGivesBack,
    InUseByNobody,
    BoundTooLow,
    BoundOfNoTime,
    NewAtTooEarly,
    EarlierForgets,
    CarryOverForgets,
}

use Fault::*;

struct Faulty {
    fault: Fault,
    bucket: LeakyBucket,
    asked: AtomicU32,
}

/// The state of the bucket, and the latest instant it was asked at.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    empty_at: Nanos,
    latest: Nanos,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        let rate = Rate::new(1, INTERVAL.into()).unwrap();
        let bucket = LeakyBucket::new(rate).capacity(CAPACITY).unwrap();
        Self { fault, bucket, asked: AtomicU32::new(0) }
    }

    fn take(&self, state: &mut State, now: Nanos, ask: Ask, cost: u32) -> Decision {
        let before = *state;
        let decision = self.bucket.decide(&mut state.empty_at, now, ask);
        let outcome = match (self.fault, decision.outcome) {
            (PanicWhenAskedForAll, _) => {
                assert!(cost < u32::MAX, "on purpose");
                decision.outcome
            }
            (PanicLate, outcome) => {
                assert!(before.empty_at < Nanos::new(300), "on purpose");
                outcome
            }
            (ClonesAreToldApart, Outcome::Granted(_))
                if self.asked.fetch_add(1, Ordering::SeqCst) % 5 == 4 =>
            {
                Outcome::Never
            }
            (CostZeroIsRefused, Outcome::Granted(_)) if cost == 0 && decision.remaining == 0 => {
                Outcome::Later(INTERVAL)
            }
            (CostZeroTakes, outcome) if cost == 0 && matches!(ask, Ask::Take(_)) => {
                state.empty_at = state.empty_at.max(now) + Nanos::new(1);
                outcome
            }
            (GrantedOneLess, Outcome::Granted(grant)) if cost > 1 => {
                Outcome::Granted(Grant { cost: grant.cost - 1, ..grant })
            }
            (RefusalTakes, outcome @ Outcome::Later(_)) if matches!(ask, Ask::Take(_)) => {
                state.empty_at = state.empty_at + Nanos::new(1);
                outcome
            }
            (RetryAfterTooLate, Outcome::Later(wait)) => Outcome::Later(wait + Nanos::new(1)),
            (RetryAfterTooEarly, Outcome::Later(wait)) => Outcome::Later(wait - Nanos::new(1)),
            (TooCostlyIsLater, Outcome::Never) => Outcome::Later(INTERVAL * CAPACITY),
            (TooCostlyThoughItCouldBeHad, Outcome::Later(_)) => Outcome::Never,
            (ExhaustedThoughItComesBack, Outcome::Later(_)) => Outcome::Exhausted,
            (InUseByNobody, Outcome::Later(wait)) => Outcome::InUse(Some(wait)),
            (_, outcome) => outcome,
        };
        Decision { outcome, ..decision }
    }
}

impl Algorithm for Faulty {
    type State = State;
    type Permits = Spent;

    fn decide(&self, state: &mut State, now: Nanos, ask: Ask) -> Decision {
        if self.fault == EarlierForgets && now < state.latest {
            *state = State::default();
        }
        if let Ask::Take(_) = ask {
            state.latest = state.latest.max(now);
        }
        let mut decision = match (self.fault, ask) {
            (PeekTakes, Ask::Peek(take)) => {
                self.bucket.decide(&mut state.empty_at, now, Ask::Take(take))
            }
            (PeekSaysWhatWas, Ask::Peek(take)) => {
                let standing = Ask::Charge(0);
                let was = self.bucket.decide(&mut { state.empty_at }, now, standing);
                Decision { outcome: self.take(&mut { *state }, now, ask, take.cost).outcome, ..was }
            }
            (_, Ask::Take(take) | Ask::Peek(take)) => self.take(state, now, ask, take.cost),
            (GiveBackLosesAll, Ask::GiveBack(_)) | (ChargeOfNothing, Ask::Charge(_)) => {
                let decision = self.bucket.decide(&mut { state.empty_at }, now, ask);
                Decision { ..decision }
            }
            (GiveBackTooMuch, Ask::GiveBack(grant)) => {
                let more = Grant { cost: grant.cost.saturating_add(1), ..grant };
                let decision = self.bucket.decide(&mut state.empty_at, now, Ask::GiveBack(more));
                Decision { outcome: Outcome::Granted(grant), ..decision }
            }
            // What has leaked meanwhile comes back, too.
            (GiveBackAtAnyTime, Ask::GiveBack(grant)) => {
                let fresh = Grant { at: now, ..grant };
                let decision = self.bucket.decide(&mut state.empty_at, now, Ask::GiveBack(fresh));
                Decision { outcome: Outcome::Granted(grant), ..decision }
            }
            (RenewRefused, Ask::Renew(_)) => {
                let decision = self.bucket.decide(&mut state.empty_at, now, ask);
                Decision { outcome: Outcome::Later(INTERVAL), ..decision }
            }
            (EndGivesBack, Ask::End(grant)) => {
                self.bucket.decide(&mut state.empty_at, now, Ask::GiveBack(grant))
            }
            (_, ask) => self.bucket.decide(&mut state.empty_at, now, ask),
        };
        if self.fault == RemainingOneMore {
            decision.remaining += 1;
        }
        decision
    }

    fn new_at(&self, state: &State) -> Nanos {
        match self.fault {
            NewAtTooEarly => state.empty_at - Nanos::new(1),
            _ => state.empty_at,
        }
    }

    fn interval(&self) -> Nanos {
        if self.fault == SpansOfNothing { Nanos::ZERO } else { INTERVAL }
    }

    fn shelf_life(&self) -> Nanos {
        INTERVAL
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        self.bucket.rate(index)
    }

    fn most_in(&self, length: Duration) -> u64 {
        match self.fault {
            BoundTooLow => self.bucket.most_in(length.saturating_sub(INTERVAL.into())),
            BoundOfNoTime => self.bucket.most_in(length) + 1,
            _ => self.bucket.most_in(length),
        }
    }

    fn carry_over(&self, _: &Self, state: &mut State, _: Nanos) {
        if self.fault == CarryOverForgets {
            *state = State::default();
        }
    }
}

fn violation<A: Algorithm>(algorithm: &A) -> Violation {
    conformance::algorithm(algorithm).expect_err("it breaks its contract")
}

/// The point that is found broken, after this many asks at most.
fn breaks(fault: Fault, point: Point, asks: usize) {
    let violation = violation(&Faulty::new(fault));
    assert_eq!(violation.point(), point, "{fault:?}: {violation}");
    assert!(violation.history().len() <= asks, "{fault:?}: {violation}");
}

#[test]
fn a_bucket_without_a_fault_conforms_and_reaches_its_bound() {
    let report = conformance::algorithm(&Faulty::new(Nothing)).unwrap();
    assert!(report.reaches_bound(), "{report:?}");
}

#[test]
fn each_fault_is_found_in_a_short_history() {
    breaks(PanicWhenAskedForAll, Point::Panic, 0);
    breaks(PanicLate, Point::Panic, 40);
    breaks(SpansOfNothing, Point::Spans, 0);
    breaks(ClonesAreToldApart, Point::Peek, 1);
    breaks(PeekTakes, Point::Peek, 1);
    breaks(PeekSaysWhatWas, Point::Peek, 1);
    breaks(CostZeroIsRefused, Point::CostZero, 4);
    breaks(CostZeroTakes, Point::CostZero, 1);
    breaks(GrantedOneLess, Point::Granted, 1);
    breaks(RefusalTakes, Point::Refusal, 4);
    breaks(RetryAfterTooLate, Point::RetryAfter, 4);
    breaks(RetryAfterTooEarly, Point::RetryAfter, 4);
    breaks(TooCostlyIsLater, Point::TooCostly, 1);
    breaks(TooCostlyThoughItCouldBeHad, Point::TooCostly, 4);
    breaks(ExhaustedThoughItComesBack, Point::Exhausted, 4);
    breaks(RemainingOneMore, Point::Remaining, 1);
    breaks(GiveBackLosesAll, Point::GiveBack, 4);
    breaks(GiveBackTooMuch, Point::GiveBack, 4);
    breaks(GiveBackAtAnyTime, Point::Bound, 8);
    breaks(ChargeOfNothing, Point::Charge, 1);
    breaks(RenewRefused, Point::Renew, 0);
    breaks(EndGivesBack, Point::End, 1);
    breaks(InUseByNobody, Point::InUse, 4);
    breaks(BoundTooLow, Point::Bound, 4);
    breaks(BoundOfNoTime, Point::Bound, 0);
    breaks(NewAtTooEarly, Point::NewAt, 1);
    breaks(EarlierForgets, Point::Earlier, 4);
    breaks(CarryOverForgets, Point::CarryOver, 1);
}

#[test]
fn the_same_seed_finds_the_same_and_is_told() {
    let [one, other] = [(); 2].map(|()| {
        let histories = Histories::new().seed(99).count(50);
        histories.algorithm(&Faulty::new(RefusalTakes)).unwrap_err()
    });
    assert_eq!(one, other);
    assert_eq!(one.seed(), Some(99));
    assert!(one.to_string().ends_with("(seed 99)"));
    assert_eq!(format!("{one:?}"), one.to_string());
}
