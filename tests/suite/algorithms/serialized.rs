//! One call at a time, and so many completions in a window.

use super::{ask, bounds::keeps_its_bound, granted, histories::check_with, limits, rate};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use tower_ratelimit::{Algorithm, Ask, Grant, Nanos, Outcome, Rate, Serialized, Take};

const MILLISECOND: u64 = 1_000_000;

/// An oracle: the call that runs, and every completion there ever was.
#[derive(Clone, Debug)]
struct Diary {
    permits: u64,
    period: u64,
    lease: Option<u64>,
    running: Option<(u64, u64)>,
    completions: Vec<u64>,
}

impl Diary {
    /// When the call completes that runs, though nobody ends it.
    fn lease_ends(&self) -> Option<u64> {
        let end = self.running?.0 + self.lease?;
        Some(self.completions.iter().copied().max().unwrap_or(0).max(end))
    }

    /// With the call completed whose lease has ended.
    fn at(&self, now: u64) -> Self {
        let mut then = self.clone();
        if let Some(end) = self.lease_ends().filter(|end| *end <= now) {
            let (_, cost) = then.running.take().unwrap();
            then.complete(end, cost);
        }
        then
    }

    /// Whether this call can go on: nothing has begun since, and not so much time has passed that
    /// all is new.
    fn goes_on(&self, grant: Grant, now: u64) -> bool {
        let is_over = self.lease_ends().is_some_and(|end| now >= end + self.period);
        self.running == Some((grant.at.get(), grant.cost.into())) && !is_over
    }

    fn young(&self, now: u64) -> u64 {
        self.completions.iter().filter(|at| now < **at + self.period).count() as u64
    }

    fn fits(&self, now: u64, cost: u64) -> bool {
        self.young(now) + cost <= self.permits
    }

    /// A clock that was set back writes nothing before what is written. What is a period old by
    /// then is forgotten, also for a clock that is set back later.
    fn complete(&mut self, now: u64, permits: u64) {
        let at = self.completions.iter().copied().max().unwrap_or(0).max(now);
        self.completions.retain(|old| now < old + self.period);
        self.completions.extend((0..permits).map(|_| at));
    }

    fn passes(&self, now: u64, cost: u64) -> bool {
        let then = self.at(now);
        then.running.is_none() && then.fits(now, cost)
    }

    /// By trying each instant at which something ends.
    fn answer(&self, now: u64, cost: u32) -> Option<Outcome> {
        let cost = u64::from(cost);
        if cost > self.permits {
            return Some(Outcome::Never);
        }
        if self.passes(now, cost) {
            return None;
        }
        let lease_ends = self.lease_ends();
        let completions = self.completions.iter().copied().chain(lease_ends);
        let ends = completions.map(|at| at + self.period).chain(lease_ends);
        let first = ends.filter(|end| *end > now && self.passes(*end, cost)).min();
        let wait = first.map(|first| Nanos::new(first - now));
        Some(match self.at(now).running {
            Some(_) => Outcome::InUse(wait),
            None => Outcome::Later(wait.unwrap()),
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Take(u32),
    Renew,
    GiveBack,
    End,
    /// A call that has ended already is asked about again.
    Stale(Index),
    Charge(u32),
}

#[derive(Clone, Copy, Debug)]
enum Jump {
    Stay,
    /// Tenths of a period.
    On(u64),
    Back(u64),
    Wait(i64),
}

fn turns(with_charges: bool) -> impl Strategy<Value = Vec<(Jump, Turn)>> {
    let jump = prop_oneof![
        4 => Just(Jump::Stay),
        3 => (0..=12u64).prop_map(Jump::On),
        u32::from(with_charges) => (1..=15u64).prop_map(Jump::Back),
        5 => (-1..=1i64).prop_map(Jump::Wait),
    ];
    let turn = prop_oneof![
        8 => prop_oneof![6 => Just(1), 3 => 2..=6u32, 1 => Just(0), 1 => Just(u32::MAX)]
            .prop_map(Turn::Take),
        2 => Just(Turn::Renew),
        1 => Just(Turn::GiveBack),
        6 => Just(Turn::End),
        1 => any::<Index>().prop_map(Turn::Stale),
        u32::from(with_charges) => (0..=9u32).prop_map(Turn::Charge),
    ];
    prop::collection::vec((jump, turn), 1..60)
}

/// The lease of a limit, as it says itself.
fn lease(limit: &Serialized) -> Option<u64> {
    let mut state = Default::default();
    granted(limit, &mut state, 0, Take::fresh(1)).unwrap();
    let new_at = limit.new_at(&state);
    let period = limit.rate(0).unwrap().period().into();
    (new_at < Nanos::MAX).then(|| (new_at - period).get())
}

fn agrees(limit: Serialized, turns: Vec<(Jump, Turn)>) -> TestCaseResult {
    let rate = limit.rate(0).unwrap();
    let (permits, period) = (u64::from(rate.permits()), Nanos::from(rate.period()).get());
    let lease = lease(&limit);
    let mut diary = Diary { permits, period, lease, running: None, completions: Vec::new() };
    let mut state = Default::default();
    let mut running: Option<Grant> = None;
    let mut ended: Vec<Grant> = Vec::new();
    let (mut now, mut wait) = (period * 2, 0);
    for (jump, turn) in turns {
        now = match jump {
            Jump::Stay => now,
            Jump::On(tenths) => now + period * tenths / 10,
            Jump::Back(tenths) => now.saturating_sub(period * tenths / 10),
            Jump::Wait(offset) => (now + wait).saturating_add_signed(offset).max(now),
        };
        match turn {
            Turn::Take(cost) => {
                let peek = ask(&limit, &mut state, now, Ask::Peek(Take::fresh(cost)));
                let before = state.clone();
                let decision = ask(&limit, &mut state, now, Ask::Take(Take::fresh(cost)));
                prop_assert_eq!(peek, decision);
                match diary.answer(now, cost).filter(|_| cost > 0) {
                    Some(refused) => {
                        prop_assert_eq!(decision.outcome, refused);
                        prop_assert_eq!(&state, &before);
                        wait = super::wait(decision).unwrap_or(0);
                    }
                    None => {
                        let grant = decision.grant();
                        prop_assert!(grant.is_some());
                        if cost > 0 {
                            // One that was lost has ended.
                            ended.extend(running);
                            running = grant;
                            diary = diary.at(now);
                            diary.running = grant.map(|grant| (grant.at.get(), cost.into()));
                        } else {
                            prop_assert_eq!(&state, &before);
                        }
                    }
                }
            }
            Turn::Renew => {
                let Some(grant) = running else { continue };
                let before = state.clone();
                let renewed = ask(&limit, &mut state, now, Ask::Renew(grant));
                let goes_on = diary.goes_on(grant, now);
                match diary.answer(now, grant.cost).filter(|_| !goes_on) {
                    Some(refused) => {
                        prop_assert_eq!(renewed.outcome, refused);
                        prop_assert_eq!(&state, &before);
                        ended.push(grant);
                        running = None;
                    }
                    None => {
                        running = renewed.grant();
                        prop_assert!(running.is_some());
                        if goes_on {
                            let at = lease.map_or(grant.at, |_| grant.at.max(Nanos::new(now)));
                            prop_assert_eq!(running, Some(Grant { at, ..grant }));
                        } else {
                            diary = diary.at(now);
                        }
                        diary.running = running.map(|grant| (grant.at.get(), grant.cost.into()));
                    }
                }
            }
            Turn::GiveBack => {
                let Some(grant) = running.take() else { continue };
                prop_assert!(ask(&limit, &mut state, now, Ask::GiveBack(grant)).is_granted());
                if diary.running == Some((grant.at.get(), grant.cost.into())) {
                    diary.running = None;
                }
            }
            Turn::End => {
                let Some(grant) = running.take() else { continue };
                prop_assert!(ask(&limit, &mut state, now, Ask::End(grant)).is_granted());
                if diary.running == Some((grant.at.get(), grant.cost.into())) {
                    diary = diary.at(now);
                    if let Some((begun, cost)) = diary.running.take() {
                        diary.complete(now.max(begun), cost);
                    }
                }
                ended.push(grant);
            }
            Turn::Stale(index) => {
                if ended.is_empty() || running.is_some_and(|grant| ended.contains(&grant)) {
                    continue;
                }
                let grant = ended[index.index(ended.len())];
                let before = state.clone();
                let _ = ask(&limit, &mut state, now, Ask::End(grant));
                let _ = ask(&limit, &mut state, now, Ask::GiveBack(grant));
                prop_assert_eq!(&state, &before);
            }
            Turn::Charge(cost) => {
                prop_assert!(ask(&limit, &mut state, now, Ask::Charge(cost)).is_granted());
                if cost > 0 {
                    diary = diary.at(now);
                    diary.complete(now, cost.into());
                }
            }
        }
        let standing = ask(&limit, &mut state, now, Ask::Peek(Take::fresh(0)));
        let then = diary.at(now);
        let left = match then.running {
            Some(_) => 0,
            None => permits.saturating_sub(then.young(now)),
        };
        prop_assert_eq!(u64::from(standing.remaining), left);
        prop_assert_eq!(standing.full_after, limit.new_at(&state) - Nanos::new(now));
    }
    Ok(())
}

#[test]
fn calls_begin_as_if_every_completion_were_counted() {
    check_with(3000, turns(true), limits::serialized(), agrees);
}

fn keep_the_bound(limit: Serialized, turns: Vec<(Jump, Turn)>) -> TestCaseResult {
    let period = Nanos::from(limit.rate(0).unwrap().period()).get();
    let lease = lease(&limit);
    // For the limit a call ends with its lease at the latest.
    let end = |start: u64, now: u64| lease.map_or(now, |lease| now.min(start + lease));
    let mut state = Default::default();
    let mut running: Option<(Grant, u64)> = None;
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    let (mut now, mut wait) = (0, 0);
    for (jump, turn) in turns {
        now = match jump {
            Jump::On(tenths) => now + period * tenths / 10,
            Jump::Wait(offset) => (now + wait).saturating_add_signed(offset).max(now),
            Jump::Stay | Jump::Back(_) => now,
        };
        match (turn, running) {
            (Turn::Take(_), _) => {
                let decision = ask(&limit, &mut state, now, Ask::Take(Take::fresh(1)));
                wait = super::wait(decision).unwrap_or(0);
                if let (Some((_, start)), true) = (running, decision.is_granted()) {
                    prop_assert!(
                        end(start, now) < now || lease == Some(now - start),
                        "two at once"
                    );
                    begun.push(start);
                    ended.push(end(start, now));
                }
                running = decision.grant().map(|grant| (grant, now)).or(running);
            }
            (Turn::End, Some((grant, start))) => {
                let _ = ask(&limit, &mut state, now, Ask::End(grant));
                begun.push(start);
                ended.push(end(start, now));
                running = None;
            }
            (Turn::GiveBack, Some((grant, _))) => {
                let _ = ask(&limit, &mut state, now, Ask::GiveBack(grant));
                running = None;
            }
            _ => {}
        }
    }
    keeps_its_bound(&limit, begun)?;
    keeps_its_bound(&limit, ended)
}

#[test]
fn no_window_holds_more_calls_or_completions_than_the_bound() {
    check_with(1000, turns(false), limits::serialized(), keep_the_bound);
}

#[test]
fn calls_without_length_reach_the_bound() {
    let limit = Serialized::new(rate(3, 100));
    let mut state = Default::default();
    for (now, passes) in [(0, 3), (99, 0), (100, 3), (199, 0), (200, 3)] {
        let passed = (0..9).map_while(|_| {
            let grant = granted(&limit, &mut state, now, Take::fresh(1))?;
            Some(ask(&limit, &mut state, now, Ask::End(grant)))
        });
        assert_eq!(passed.count(), passes, "at {now}");
    }
    let most_in = |length| limit.most_in(std::time::Duration::from_nanos(length));
    assert_eq!([0, 1, 100, 101, 201].map(most_in), [0, 3, 3, 6, 9]);
}

/// Begins a call as early as the limit lets it, and ends it after this long: when it began.
fn run(
    limit: &Serialized,
    state: &mut <Serialized as Algorithm>::State,
    now: u64,
    length: u64,
) -> u64 {
    let decision = ask(limit, state, now, Ask::Peek(Take::queued(1)));
    let now = now + super::wait(decision).unwrap_or(0);
    let grant = granted(limit, state, now, Take::queued(1)).unwrap();
    let grant = ask(limit, state, now, Ask::Renew(grant)).grant().unwrap();
    for during in [now, now + length / 2, now + length] {
        let refused = ask(limit, state, during, Ask::Take(Take::fresh(1)));
        assert_eq!(refused.outcome, Outcome::InUse(None));
    }
    let _ = ask(limit, state, now + length, Ask::End(grant));
    now
}

/// R25 of the specification.
#[test]
fn completions_are_a_period_apart_and_never_two_calls_run() {
    let limit = Serialized::new(rate(1, 500 * MILLISECOND));
    let mut state = Default::default();
    let mut now = 0;
    let begun = [(); 5].map(|()| {
        let begun = run(&limit, &mut state, now, 20 * MILLISECOND);
        now = begun + 20 * MILLISECOND;
        begun / MILLISECOND
    });
    assert_eq!(begun, [0, 520, 1040, 1560, 2080]);
}

/// R26 and R27 of the specification: how a call ends makes no difference here.
#[test]
fn calls_that_fail_make_those_behind_them_wait_and_do_not_stop_them() {
    let limit = Serialized::new(rate(1, 10_000 * MILLISECOND));
    let mut state = Default::default();
    let begun = [0; 3].map(|now| run(&limit, &mut state, now, 0) / MILLISECOND);
    assert_eq!(begun, [0, 10_000, 20_000]);
}

#[test]
fn a_call_begins_exactly_a_period_after_the_completion() {
    let limit = Serialized::new(rate(1, 100));
    let mut state = Default::default();
    let grant = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut state, 30, Ask::End(grant));
    let refused = ask(&limit, &mut state, 31, Ask::Take(Take::fresh(1)));
    assert_eq!(refused.outcome, Outcome::Later(Nanos::new(99)));
    assert_eq!(granted(&limit, &mut state, 129, Take::fresh(1)), None);
    assert!(granted(&limit, &mut state, 130, Take::fresh(1)).is_some());
}

#[test]
fn a_call_that_never_took_place_is_not_a_completion() {
    let limit = Serialized::new(rate(1, 100));
    let mut state = Default::default();
    let grant = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut state, 30, Ask::GiveBack(grant));
    assert!(granted(&limit, &mut state, 30, Take::fresh(1)).is_some());
}

#[test]
fn a_call_that_does_not_run_any_more_begins_anew_or_is_refused() {
    let limit = Serialized::new(rate(1, 100));
    let mut state = Default::default();
    let lost = granted(&limit, &mut state, 0, Take::fresh(1)).unwrap();
    // All is reset.
    state = Default::default();
    assert!(ask(&limit, &mut state.clone(), 5, Ask::Renew(lost)).is_granted());
    let other = granted(&limit, &mut state, 5, Take::fresh(1)).unwrap();
    assert_eq!(ask(&limit, &mut state, 6, Ask::Renew(lost)).outcome, Outcome::InUse(None));
    let _ = ask(&limit, &mut state, 6, Ask::End(other));
    let refused = ask(&limit, &mut state, 6, Ask::Renew(lost));
    assert_eq!(refused.outcome, Outcome::Later(Nanos::new(100)));
}

#[test]
fn no_more_is_remembered_than_the_permits_of_the_rate() {
    let limit = Serialized::new(rate(3, 100));
    let mut state = Default::default();
    for now in 0..50 {
        let _ = ask(&limit, &mut state, now, Ask::Charge(1));
    }
    assert_eq!(format!("{state:?}").matches("Call ").count(), 3);
    let waits = [1, 2, 3].map(|cost| {
        super::wait(ask(&limit, &mut state, 50, Ask::Take(Take::fresh(cost)))).unwrap()
    });
    assert_eq!(waits, [97, 98, 99]);
}

#[test]
fn another_rate_counts_the_same_completions() {
    let (slow, fast) = (Serialized::new(rate(1, 100)), Serialized::new(rate(2, 50)));
    let mut state = Default::default();
    let first = granted(&slow, &mut state, 0, Take::fresh(1)).unwrap();
    let _ = ask(&slow, &mut state, 10, Ask::End(first));
    fast.carry_over(&slow, &mut state, Nanos::new(20));
    let second = granted(&fast, &mut state, 20, Take::fresh(1)).unwrap();
    slow.carry_over(&fast, &mut state, Nanos::new(25));
    assert_eq!(ask(&slow, &mut state, 25, Ask::Take(Take::fresh(1))).outcome, Outcome::InUse(None));
    let _ = ask(&slow, &mut state, 30, Ask::End(second));
    let refused = ask(&slow, &mut state, 30, Ask::Take(Take::fresh(1)));
    assert_eq!(super::wait(refused), Some(100));
}

#[test]
fn at_the_ends_of_the_time_line_nothing_panics() {
    let limit = Serialized::new(Rate::new(1, std::time::Duration::from_secs(86_400)).unwrap());
    let mut state = Default::default();
    let grant = granted(&limit, &mut state, u64::MAX, Take::fresh(1)).unwrap();
    let _ = ask(&limit, &mut state, 0, Ask::Renew(grant));
    let _ = ask(&limit, &mut state, 0, Ask::End(grant));
    assert_eq!(granted(&limit, &mut state, u64::MAX, Take::fresh(1)), None);
    assert_eq!(granted(&limit, &mut state, 0, Take::fresh(1)), None);
    let _ = ask(&limit, &mut state, 0, Ask::Charge(u32::MAX));
    assert_eq!(limit.new_at(&state), Nanos::MAX);
}
