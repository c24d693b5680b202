//! The largest costs, at the ends of the time line and to and fro.

use super::subject::Subject;
use crate::{
    algorithm::{Algorithm, Permits},
    conformance::{
        Point,
        violation::{Checked, ensure},
    },
    decision::{Ask, Grant, Take},
    nanos::Nanos,
};
use std::time::Duration;

const LAST: u64 = u64::MAX;

const INSTANTS: [u64; 12] = [
    0,
    1,
    1_000_000_000,
    LAST / 2,
    LAST - 1_000_000_000,
    LAST - 1,
    LAST,
    // And back again.
    LAST - 1,
    LAST / 2,
    2,
    1,
    0,
];

/// Every ask at every extreme instant, with every extreme grant; no more calls pass at an instant
/// than the bound says.
pub(super) fn survives<A: Algorithm>(subject: &Subject<'_, A>) -> Checked {
    let algorithm = subject.algorithm;
    let nanosecond = Nanos::new(1);
    let [interval, shelf_life] = [algorithm.interval(), algorithm.shelf_life()];
    ensure(interval.min(shelf_life) >= nanosecond, Point::Spans, || {
        format!("an interval of {interval:?}, a shelf life of {shelf_life:?}")
    })?;
    let late_life = algorithm.late_life();
    ensure(late_life >= shelf_life, Point::Spans, || {
        format!("a shelf life of {shelf_life:?}, and for who comes late of {late_life:?}")
    })?;
    most_grows(algorithm)?;
    for index in 0..3 {
        let _ = algorithm.rate(index);
    }
    let at_once = algorithm.most_in(Duration::from_nanos(1));
    let mut state = A::State::default();
    for now in INSTANTS {
        let mut passed = 0;
        for cost in [1, 0, 1, u32::MAX, 1, u32::MAX / 2, 1] {
            for take in [Take::fresh(cost), Take::queued(cost)] {
                let peek = subject.ask(&mut state, now, Ask::Peek(take));
                let taken = subject.ask(&mut state, now, Ask::Take(take));
                let found = || format!("{peek:?} at {now} ns, and the take {taken:?}");
                ensure(peek == taken, Point::Peek, found)?;
                let _ = algorithm.new_at(&state);
                passed += u64::from(taken.is_granted() && cost == 1);
            }
        }
        let found = || format!("{passed} calls at {now} ns, and not {at_once}");
        ensure(passed <= at_once, Point::Bound, found)?;
        survives_grants(subject, state.clone(), now)?;
    }
    Ok(())
}

fn most_grows(algorithm: &impl Algorithm) -> Checked {
    let year = Duration::from_secs(365 * 86_400);
    let lengths = [Duration::ZERO, Duration::from_nanos(1), year, Duration::from_nanos(LAST)];
    let most = lengths.map(|length| algorithm.most_in(length));
    let _ = algorithm.most_in(Duration::MAX);
    ensure(most[0] == 0, Point::Bound, || format!("{} calls in no time", most[0]))?;
    ensure(most.is_sorted(), Point::Bound, || format!("{most:?} in windows of {lengths:?}"))
}

fn survives_grants<A: Algorithm>(
    subject: &Subject<'_, A>,
    mut state: A::State,
    now: u64,
) -> Checked {
    for cost in [0, 1, u32::MAX] {
        for at in [now, 0, LAST] {
            let grant = Grant { cost, at: Nanos::new(at) };
            let asks = [
                (Ask::Renew(grant), Point::Renew),
                (Ask::GiveBack(grant), Point::GiveBack),
                (Ask::End(grant), Point::End),
                (Ask::Charge(cost), Point::Charge),
            ];
            for (ask, point) in asks {
                let decision = subject.ask(&mut state, now, ask);
                let may_refuse = A::Permits::HELD && point == Point::Renew;
                ensure(decision.is_granted() || may_refuse, point, || {
                    format!("{ask:?} at {now} ns: {:?}", decision.outcome)
                })?;
                let _ = subject.algorithm.new_at(&state);
            }
        }
        subject.algorithm.carry_over(subject.algorithm, &mut state, Nanos::new(now));
    }
    Ok(())
}
