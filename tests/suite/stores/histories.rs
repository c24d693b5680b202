//! Random histories of one key: calls, reservations, and what becomes of them.

use super::{Seam, wait};
use crate::algorithms::histories::{Pause, check_with, pause};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{TestCaseError, TestCaseResult},
};
use std::{fmt::Debug, sync::Arc};
use tower_ratelimit::{
    Algorithm, Ask, Grant, Nanos, Take,
    store::{Answer, StoreAsk, StoredLimit},
};

/// Who comes, or which of those before does what. Indices are taken modulo.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    Take(Take),
    Peek(Take),
    Reserve { cost: u32, patience: Patience },
    Return(Index),
    GiveBack(Index),
    Renew(Index),
    End(Index),
    Charge(u32),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    Endless,
    Intervals(u32),
    /// The wait that there is, or a nanosecond less.
    Exact(u64),
}

fn cost() -> impl Strategy<Value = u32> {
    prop_oneof![12 => Just(1), 1 => Just(0), 6 => 2..=4u32, 1 => Just(50), 1 => Just(u32::MAX)]
}

fn patience() -> impl Strategy<Value = Patience> {
    prop_oneof![
        4 => Just(Patience::Endless),
        2 => (0..20u32).prop_map(Patience::Intervals),
        1 => (0..=1u64).prop_map(Patience::Exact),
    ]
}

pub(super) fn turns() -> impl Strategy<Value = Vec<(Pause, Turn)>> {
    let take = || (cost(), any::<bool>()).prop_map(|(cost, queued)| Take { cost, queued });
    let reserve =
        (cost(), patience()).prop_map(|(cost, patience)| Turn::Reserve { cost, patience });
    let turn = prop_oneof![
        4 => take().prop_map(Turn::Take),
        1 => take().prop_map(Turn::Peek),
        8 => reserve,
        6 => any::<Index>().prop_map(Turn::Return),
        2 => any::<Index>().prop_map(Turn::GiveBack),
        1 => any::<Index>().prop_map(Turn::Renew),
        2 => any::<Index>().prop_map(Turn::End),
        1 => (0..4u32).prop_map(Turn::Charge),
    ];
    // Mostly in quick succession, so that lines form.
    let pause = prop_oneof![6 => Just(Pause::None), 4 => pause()];
    prop::collection::vec((pause, turn), 1..50)
}

/// Checks this property of random limits after random histories.
pub(super) fn check<A: Algorithm + Debug>(
    limits: impl Strategy<Value = A>,
    property: impl Fn(&Arc<StoredLimit<A>>, &[(Pause, Turn)]) -> TestCaseResult,
) {
    check_with(100, turns(), limits, |algorithm, turns| {
        property(&Arc::new(StoredLimit { name: "limit".into(), algorithm }), &turns)
    });
}

/// Permits that somebody has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) grant: Grant,
    /// When it takes place.
    pub(super) at: u64,
    pub(super) reserved: bool,
    pub(super) ended: bool,
}

/// One ask of a history.
pub(super) struct Moment<'a, A: Algorithm> {
    pub(super) now: u64,
    pub(super) ask: StoreAsk,
    pub(super) answer: Answer,
    pub(super) before: &'a Seam<A>,
    pub(super) after: &'a Seam<A>,
    /// The calls that have not gone back, before it.
    pub(super) calls: &'a [Call],
    /// The instant of the last reservation ever made, before it.
    pub(super) ahead: u64,
}

/// Lets a history happen, has each of its moments looked at, and says which calls took place.
pub(super) fn play<A: Algorithm>(
    limit: &Arc<StoredLimit<A>>,
    turns: &[(Pause, Turn)],
    mut look: impl FnMut(Moment<'_, A>) -> TestCaseResult,
) -> Result<Vec<Call>, TestCaseError> {
    let mut seam = Seam::of(limit);
    let algorithm = &limit.algorithm;
    let (mut now, mut last_wait, mut ahead, mut used) = (0, 0, 0, false);
    let mut calls: Vec<Call> = Vec::new();
    for &(pause, turn) in turns {
        now = pause.after(algorithm, now, last_wait);
        let which = |index: Index, suits: &dyn Fn(&Call) -> bool| {
            let chosen: Vec<usize> = (0..calls.len()).filter(|&call| suits(&calls[call])).collect();
            (!chosen.is_empty()).then(|| chosen[index.index(chosen.len())])
        };
        let shelf_life = algorithm.shelf_life().get();
        let is_fresh = |call: &Call| call.at <= now && now - call.at < shelf_life && !call.ended;
        let (chosen, ask) = match turn {
            // Nobody stands in line before the first call.
            Turn::Take(take) => {
                let queued = take.queued && used;
                (None, Some(StoreAsk::Ask(Ask::Take(Take { queued, ..take }))))
            }
            Turn::Peek(take) => (None, Some(StoreAsk::Ask(Ask::Peek(Take::fresh(take.cost))))),
            Turn::Reserve { cost, patience } => {
                let max_wait = match patience {
                    Patience::Endless => Nanos::MAX,
                    Patience::Intervals(count) => algorithm.interval() * count,
                    Patience::Exact(less) => {
                        let told = seam.clone().reserve_within(now, cost, Nanos::ZERO);
                        Nanos::new(wait(told).unwrap_or(0).saturating_sub(less))
                    }
                };
                (None, Some(StoreAsk::Reserve { cost, max_wait }))
            }
            Turn::Return(index) => {
                let chosen = which(index, &|call| call.reserved && !call.ended);
                (chosen, chosen.map(|call| StoreAsk::Return(calls[call].grant)))
            }
            Turn::GiveBack(index) => {
                let chosen = which(index, &|call| !call.reserved && !call.ended);
                (chosen, chosen.map(|call| StoreAsk::Ask(Ask::GiveBack(calls[call].grant))))
            }
            Turn::Renew(index) => {
                let chosen = which(index, &is_fresh);
                (chosen, chosen.map(|call| StoreAsk::Ask(Ask::Renew(calls[call].grant))))
            }
            Turn::End(index) => {
                let chosen = which(index, &|call| call.at <= now && !call.ended);
                (chosen, chosen.map(|call| StoreAsk::Ask(Ask::End(calls[call].grant))))
            }
            Turn::Charge(cost) => (None, Some(StoreAsk::Ask(Ask::Charge(cost)))),
        };
        let Some(ask) = ask else { continue };
        let before = seam.clone();
        let answer = seam.ask(now, ask);
        last_wait = wait(answer).unwrap_or(0);
        look(Moment { now, ask, answer, before: &before, after: &seam, calls: &calls, ahead })?;
        match (ask, chosen, answer.decision.grant()) {
            (StoreAsk::Ask(Ask::Take(_)) | StoreAsk::Reserve { .. }, _, Some(grant)) => {
                let reserved = answer.reserved().is_some();
                let at = now + answer.wait.get();
                if grant.cost > 0 {
                    calls.push(Call { grant, at, reserved, ended: false });
                    used = true;
                }
                if reserved {
                    ahead = ahead.max(at);
                }
            }
            (StoreAsk::Ask(Ask::Renew(_)), Some(chosen), Some(grant)) => {
                // With others ahead it took place when it was granted: they were promised theirs.
                if grant.at != calls[chosen].grant.at && ahead <= now {
                    calls[chosen].at = now;
                }
                calls[chosen].grant = grant;
                calls[chosen].reserved = false;
            }
            (StoreAsk::Ask(Ask::End(_)), Some(chosen), _) => calls[chosen].ended = true,
            (StoreAsk::Return(_) | StoreAsk::Ask(Ask::GiveBack(_)), Some(chosen), _) => {
                calls.remove(chosen);
            }
            _ => {}
        }
    }
    Ok(calls)
}

/// A test of every algorithm for each of these behaviours: functions of a random limit and a
/// random history.
macro_rules! for_each_limit {
    ($($behaviour:ident),+ $(,)?) => {$(
        mod $behaviour {
            $crate::stores::histories::for_each_limit! {
                of $behaviour: leaky_bucket any_window strict burst_compensating sliding_window
                token_bucket warming_bucket quota fixed_window sliding_window_counter
                any_algorithm concurrency serialized
            }
        }
    )+};
    (of $behaviour:ident: $($limit:ident)+) => {$(
        #[test]
        fn $limit() {
            $crate::stores::histories::check(
                $crate::algorithms::limits::$limit(),
                super::$behaviour,
            );
        }
    )+};
}
pub(super) use for_each_limit;
