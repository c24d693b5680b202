//! Calls in flight: never more than the limit has, and nobody ends what another holds.

use super::{ask, granted, histories::check_with, limits};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use tower_ratelimit::{Algorithm, Ask, Concurrency, Grant, Nanos, Outcome, Take};

/// An oracle: everybody who ever got permits, and what became of them.
#[derive(Clone, Debug)]
struct Everybody {
    capacity: u64,
    lease: Option<u64>,
    holders: Vec<Holder>,
    /// A clock that is set back does not make a lease end earlier than an older one.
    last_grant: u64,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    cost: u64,
    since: u64,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Holds,
    /// The lease had ended when others took permits.
    Lost,
    Ended,
}

impl Everybody {
    fn new(capacity: u32, lease: Option<u64>) -> Self {
        Self { capacity: capacity.into(), lease, holders: Vec::new(), last_grant: 0 }
    }

    fn is_overdue(&self, holder: &Holder, now: u64) -> bool {
        self.lease.is_some_and(|lease| now >= holder.since + lease)
    }

    fn in_use(&self, now: u64) -> u64 {
        let holds = |holder: &&Holder| holder.fate == Fate::Holds && !self.is_overdue(holder, now);
        self.holders.iter().filter(holds).map(|holder| holder.cost).sum()
    }

    fn fits(&self, now: u64, cost: u32) -> bool {
        self.in_use(now) + u64::from(cost) <= self.capacity
    }

    /// The index of the new holder.
    fn add(&mut self, now: u64, cost: u32) -> usize {
        for index in 0..self.holders.len() {
            let overdue = self.is_overdue(&self.holders[index], now);
            if self.holders[index].fate == Fate::Holds && overdue {
                self.holders[index].fate = Fate::Lost;
            }
        }
        self.last_grant = self.last_grant.max(now);
        let (cost, since) = (u64::from(cost), self.last_grant);
        self.holders.push(Holder { cost, since, fate: Fate::Holds });
        self.holders.len() - 1
    }

    /// Whether the holder goes on.
    fn renew(&mut self, index: usize, now: u64) -> bool {
        let holder = self.holders[index];
        if holder.fate == Fate::Holds && !self.is_overdue(&holder, now) {
            // Without a lease nothing begins anew.
            if self.lease.is_some() {
                self.last_grant = self.last_grant.max(now);
                self.holders[index].since = self.last_grant;
            }
            return true;
        }
        if holder.cost > self.capacity || !self.fits(now, holder.cost as u32) {
            return false;
        }
        let anew = self.add(now, holder.cost as u32);
        self.holders[index] = self.holders.remove(anew);
        true
    }

    fn end(&mut self, index: usize) {
        self.holders[index].fate = Fate::Ended;
    }

    /// By trying each instant at which a lease ends.
    fn wait(&self, now: u64, cost: u32) -> Option<u64> {
        let lease = self.lease?;
        let mut ends: Vec<u64> = self.holders.iter().map(|holder| holder.since + lease).collect();
        ends.sort_unstable();
        ends.into_iter().find(|end| *end > now && self.fits(*end, cost)).map(|end| end - now)
    }
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Take(u32),
    Renew(Index),
    GiveBack(Index),
    End(Index),
    Charge(u32),
    CarryOver { capacity: u32, lease: Option<u64> },
}

/// Forwards or, for a few, back; some to the end of a lease.
#[derive(Clone, Copy, Debug)]
enum Jump {
    Stay,
    On(u64),
    Back(u64),
    Wait(i64),
}

fn turns(with_charges: bool) -> impl Strategy<Value = Vec<(Jump, Turn)>> {
    let jump = prop_oneof![
        4 => Just(Jump::Stay),
        4 => (1..=12u64).prop_map(Jump::On),
        1 => (1..=40u64).prop_map(Jump::Back),
        3 => (-1..=1i64).prop_map(Jump::Wait),
    ];
    let others = u32::from(with_charges);
    let turn = prop_oneof![
        10 => prop_oneof![6 => Just(1), 3 => 2..=4u32, 1 => Just(0), 1 => Just(u32::MAX)]
            .prop_map(Turn::Take),
        4 => any::<Index>().prop_map(Turn::Renew),
        1 => any::<Index>().prop_map(Turn::GiveBack),
        4 => any::<Index>().prop_map(Turn::End),
        others => (0..=4u32).prop_map(Turn::Charge),
        others => (1..=5u32, limits::lease())
            .prop_map(|(capacity, lease)| Turn::CarryOver { capacity, lease }),
    ];
    prop::collection::vec((jump, turn), 1..60)
}

/// Capacity and lease of a limit, as it says itself.
fn parts(limit: &Concurrency) -> (u32, Option<u64>) {
    let mut state = Default::default();
    let decision = ask(limit, &mut state, 0, Ask::Take(Take::fresh(1)));
    let new_at = limit.new_at(&state);
    (decision.limit, (new_at < Nanos::MAX).then(|| new_at.get()))
}

fn agrees(mut limit: Concurrency, turns: Vec<(Jump, Turn)>) -> TestCaseResult {
    let (capacity, lease) = parts(&limit);
    let mut everybody = Everybody::new(capacity, lease);
    let mut state = Default::default();
    // What each holder of the oracle was told it has.
    let mut grants: Vec<Grant> = Vec::new();
    let (mut now, mut wait) = (50u64, 0u64);
    for (jump, turn) in turns {
        now = match jump {
            Jump::Stay => now,
            Jump::On(pause) => now + pause,
            Jump::Back(pause) => now.saturating_sub(pause),
            Jump::Wait(offset) => (now + wait).saturating_add_signed(offset).max(now),
        };
        let (cost, chosen) = match turn {
            Turn::Take(cost) | Turn::Charge(cost) => (cost, None),
            Turn::CarryOver { .. } => (0, None),
            _ if grants.is_empty() => continue,
            Turn::Renew(index) | Turn::GiveBack(index) | Turn::End(index) => {
                (0, Some(index.index(grants.len())))
            }
        };
        // Whoever has ended is not asked about any more.
        if chosen.is_some_and(|index| everybody.holders[index].fate == Fate::Ended) {
            continue;
        }
        match (turn, chosen) {
            (Turn::Take(_), _) => {
                let peek = ask(&limit, &mut state, now, Ask::Peek(Take::fresh(cost)));
                let before = state.clone();
                let decision = ask(&limit, &mut state, now, Ask::Take(Take::fresh(cost)));
                prop_assert_eq!(peek, decision);
                match decision.outcome {
                    Outcome::Granted(_) if cost == 0 => prop_assert_eq!(&state, &before),
                    Outcome::Granted(grant) => {
                        prop_assert!(everybody.fits(now, cost), "granted {} at {}", cost, now);
                        everybody.add(now, cost);
                        prop_assert_eq!(
                            grant,
                            Grant { cost, at: Nanos::new(everybody.last_grant) }
                        );
                        grants.push(grant);
                    }
                    refused => {
                        prop_assert_eq!(&state, &before);
                        let hint = everybody.wait(now, cost).map(Nanos::new);
                        let expected = match u64::from(cost) > everybody.capacity {
                            true => Outcome::Never,
                            false => Outcome::InUse(hint),
                        };
                        prop_assert!(!everybody.fits(now, cost));
                        prop_assert_eq!(refused, expected);
                        wait = hint.map_or(0, Nanos::get);
                    }
                }
            }
            (Turn::Renew(_), Some(index)) => {
                let before = state.clone();
                let decision = ask(&limit, &mut state, now, Ask::Renew(grants[index]));
                prop_assert_eq!(decision.is_granted(), everybody.renew(index, now));
                match decision.grant() {
                    Some(grant) => {
                        prop_assert_eq!(grant.at.get(), everybody.holders[index].since);
                        grants[index] = grant;
                    }
                    None => prop_assert_eq!(&state, &before),
                }
            }
            (Turn::GiveBack(_), Some(index)) => {
                everybody.end(index);
                let decision = ask(&limit, &mut state, now, Ask::GiveBack(grants[index]));
                prop_assert!(decision.is_granted());
            }
            (Turn::End(_), Some(index)) => {
                everybody.end(index);
                let decision = ask(&limit, &mut state, now, Ask::End(grants[index]));
                prop_assert!(decision.is_granted());
            }
            (Turn::Charge(_), _) => {
                let decision = ask(&limit, &mut state, now, Ask::Charge(cost));
                prop_assert!(decision.is_granted());
                if cost > 0 {
                    everybody.add(now, cost);
                    grants.extend(decision.grant());
                }
            }
            (Turn::CarryOver { capacity, lease }, _) => {
                let other = limits::in_flight(capacity, lease);
                other.carry_over(&limit, &mut state, Nanos::new(now));
                (everybody.capacity, everybody.lease) = (capacity.into(), lease);
                limit = other;
            }
            (_, None) => {}
        }
        let standing = ask(&limit, &mut state, now, Ask::Peek(Take::fresh(0)));
        let left = everybody.capacity.saturating_sub(everybody.in_use(now));
        prop_assert_eq!(u64::from(standing.remaining), left);
        prop_assert_eq!(u64::from(standing.limit), everybody.capacity);
        prop_assert_eq!(standing.full_after, limit.new_at(&state) - Nanos::new(now));
    }
    Ok(())
}

#[test]
fn who_holds_what_is_as_if_counted_one_by_one() {
    check_with(3000, turns(true), limits::concurrency(), agrees);
}

/// What the holders themselves know: when they got permits, whether they were told of a loss.
fn unexpired_in_use(limit: Concurrency, turns: Vec<(Jump, Turn)>) -> TestCaseResult {
    let (capacity, lease) = parts(&limit);
    let mut state = Default::default();
    let mut held: Vec<Grant> = Vec::new();
    let (mut now, mut latest) = (50u64, 0u64);
    for (jump, turn) in turns {
        now = match jump {
            Jump::On(pause) => now + pause,
            Jump::Back(pause) => now.saturating_sub(pause),
            Jump::Stay | Jump::Wait(_) => now,
        };
        latest = latest.max(now);
        match turn {
            Turn::Take(cost) => held.extend(granted(&limit, &mut state, now, Take::fresh(cost))),
            Turn::Renew(index) if !held.is_empty() => {
                let grant = held.remove(index.index(held.len()));
                held.extend(ask(&limit, &mut state, now, Ask::Renew(grant)).grant());
            }
            Turn::GiveBack(index) | Turn::End(index) if !held.is_empty() => {
                let grant = held.remove(index.index(held.len()));
                let _ = ask(&limit, &mut state, now, Ask::End(grant));
            }
            _ => {}
        }
        let unexpired = |grant: &&Grant| lease.is_none_or(|lease| latest < grant.at.get() + lease);
        let in_use: u64 = held.iter().filter(unexpired).map(|grant| u64::from(grant.cost)).sum();
        prop_assert!(in_use <= capacity.into(), "{} in use at {}", in_use, now);
    }
    Ok(())
}

#[test]
fn never_more_in_use_by_unexpired_holders_than_the_limit_has() {
    check_with(2000, turns(false), limits::concurrency(), unexpired_in_use);
}
