//! States as bytes: what was written goes on as if nothing had happened, and other bytes do no
//! harm.

use super::{
    ask,
    histories::{History, pause, walk},
    limits::for_each_algorithm,
    rate,
};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use std::{fmt::Debug, time::Duration};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Ask, Concurrency, Grant, LeakyBucket, Nanos, Quota, Serialized,
    SlidingWindow, Strict, Take, TokenBucket,
    algorithm::{Holders, SerialLog, StoredState, Tokens, WindowLog},
};

for_each_algorithm![what_is_read_answers_as_what_was_written, a_part_of_the_bytes_is_no_state];

fn bytes_of(state: &impl StoredState) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.write(&mut bytes);
    bytes
}

fn what_is_read_answers_as_what_was_written<A>(limit: A, history: History) -> TestCaseResult
where
    A: Algorithm<State: StoredState>,
{
    let mut grants = Vec::new();
    walk(&limit, &history, |moment| {
        grants.extend(moment.decision.grant());
        let grant = *grants.first().unwrap_or(&Grant { cost: 1, at: Nanos::new(moment.now) });
        same_answers(&limit, moment.after, moment.now, moment.take, grant)
    })
}

/// Reads the bytes of a state among others, and has both states answer everything.
fn same_answers<A>(
    limit: &A,
    state: &A::State,
    now: u64,
    take: Take,
    grant: Grant,
) -> TestCaseResult
where
    A: Algorithm<State: StoredState>,
{
    let bytes = bytes_of(state);
    let followed = [&bytes[..], &[7, 9]].concat();
    let mut rest = &followed[..];
    let read = A::State::read(&mut rest);
    prop_assert_eq!(rest, &[7, 9]);
    let read = read.ok_or_else(|| TestCaseError::fail("it is the bytes of a state"))?;
    prop_assert_eq!(bytes_of(&read), bytes);
    prop_assert_eq!(limit.new_at(&read), limit.new_at(state));
    let asks = [
        Ask::Peek(Take::fresh(0)),
        Ask::Take(take),
        Ask::Take(Take::fresh(1)),
        Ask::Renew(grant),
        Ask::GiveBack(grant),
        Ask::End(grant),
        Ask::Charge(3),
    ];
    for this in asks {
        let (mut ours, mut theirs) = (read.clone(), state.clone());
        for later in [0, 1, 1000, 1_000_000_007] {
            let then = now + later;
            let expected = ask(limit, &mut theirs, then, this);
            prop_assert_eq!(ask(limit, &mut ours, then, this), expected);
            prop_assert_eq!(bytes_of(&ours), bytes_of(&theirs));
        }
    }
    Ok(())
}

fn a_part_of_the_bytes_is_no_state<A>(limit: A, history: History) -> TestCaseResult
where
    A: Algorithm<State: StoredState>,
{
    let mut last = A::State::default();
    walk(&limit, &history, |moment| {
        last = moment.after.clone();
        Ok(())
    })?;
    let bytes = bytes_of(&last);
    for length in 0..bytes.len() {
        prop_assert!(A::State::read(&mut &bytes[..length]).is_none(), "{length} bytes");
    }
    Ok(())
}

/// What happens to a limit on calls in flight, at which distance, and to which of the calls.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Take(u32),
    Renew(Index),
    End(Index),
    GiveBack(Index),
    Charge(u32),
}

fn turns() -> impl Strategy<Value = Vec<(u64, Turn)>> {
    let turn = prop_oneof![
        6 => (0..=3u32).prop_map(Turn::Take),
        1 => any::<Index>().prop_map(Turn::Renew),
        2 => any::<Index>().prop_map(Turn::End),
        1 => any::<Index>().prop_map(Turn::GiveBack),
        1 => (0..=2u32).prop_map(Turn::Charge),
    ];
    prop::collection::vec((0..12u64, turn), 1..25)
}

fn calls_in_flight_are_read_as_they_were_written<A>(
    limit: &A,
    turns: Vec<(u64, Turn)>,
) -> TestCaseResult
where
    A: Algorithm<State: StoredState>,
{
    let (mut state, mut now) = (A::State::default(), 0);
    let mut grants = vec![Grant { cost: 1, at: Nanos::ZERO }];
    for (pause, turn) in turns {
        now += pause;
        let this = match turn {
            Turn::Take(cost) => Ask::Take(Take::fresh(cost)),
            Turn::Charge(cost) => Ask::Charge(cost),
            Turn::Renew(index) => Ask::Renew(*index.get(&grants)),
            Turn::End(index) => Ask::End(*index.get(&grants)),
            Turn::GiveBack(index) => Ask::GiveBack(*index.get(&grants)),
        };
        grants.extend(ask(limit, &mut state, now, this).grant());
        for grant in &grants {
            same_answers(limit, &state, now, Take::fresh(1), *grant)?;
        }
    }
    Ok(())
}

/// If it is the bytes of a state, asks it everything, at instants in any order.
fn survives<A>(limit: &A, bytes: &[u8], times: &[u64])
where
    A: Algorithm<State: StoredState>,
{
    let Some(mut state) = A::State::read(&mut &bytes[..]) else { return };
    for &now in times {
        let grant = Grant { cost: 1, at: Nanos::new(now) };
        let asks = [
            Ask::Peek(Take::queued(u32::MAX)),
            Ask::Take(Take::fresh(1)),
            Ask::Take(Take::queued(2)),
            Ask::Renew(grant),
            Ask::GiveBack(grant),
            Ask::End(grant),
            Ask::Charge(u32::MAX),
        ];
        for this in asks {
            let _ = ask(limit, &mut state, now, this);
            let _ = limit.new_at(&state);
        }
        limit.carry_over(limit, &mut state, Nanos::new(now));
    }
    assert!(A::State::read(&mut &bytes_of(&state)[..]).is_some(), "it is written as a state");
}

/// A limit of each kind.
fn each_kind() -> Vec<AnyAlgorithm> {
    let lines = [
        "leaky bucket 10/s, capacity 5",
        "strict 10/s",
        "burst compensating 10/s, max burst 5",
        "token bucket 5/s, capacity 20",
        "token bucket 5/s, capacity 20, initial 3, aligned to 250ms",
        "quota 1000",
        "sliding window 10/s and 1000/day",
        "fixed window 60/min",
        "fixed window 60/min, aligned to 0s",
        "sliding window counter 60/min",
        "concurrency 8",
        "concurrency 8, lease 30s",
        "serialized 2/s",
        "serialized 2/s, lease 30s",
    ];
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

/// The bytes of a state of any kind, some of which may have been changed; or any bytes.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let byte = || prop_oneof![2 => Just(0), 1 => Just(0xff), 1 => 1..4u8, 1 => any::<u8>()];
    let steps = prop::collection::vec((pause(), 0..3u32), 0..6);
    let changes = prop::collection::vec((any::<Index>(), byte()), 0..4);
    let changed = (0..each_kind().len(), steps, changes).prop_map(|(kind, steps, changes)| {
        let limit = &each_kind()[kind];
        let (mut state, mut now) = Default::default();
        for (pause, cost) in steps {
            now = pause.after(limit, now, 1000);
            let _ = ask(limit, &mut state, now, Ask::Take(Take::fresh(cost)));
        }
        let mut bytes = bytes_of(&state);
        for (index, byte) in changes {
            *index.get_mut(&mut bytes) = byte;
        }
        bytes
    });
    prop_oneof![4 => changed, 1 => prop::collection::vec(byte(), 0..80)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn holders_are_read_as_they_were_written(turns in turns(), lease in 1..40u64) {
        let limit = Concurrency::new(4).unwrap();
        calls_in_flight_are_read_as_they_were_written(&limit, turns.clone())?;
        let leased = limit.lease(Duration::from_nanos(lease)).unwrap();
        calls_in_flight_are_read_as_they_were_written(&leased, turns.clone())?;
        calls_in_flight_are_read_as_they_were_written(&AnyAlgorithm::from(leased), turns)?;
    }

    #[test]
    fn a_call_that_runs_is_read_as_it_was_written(turns in turns(), lease in 1..40u64) {
        let limit = Serialized::new(rate(3, 20));
        calls_in_flight_are_read_as_they_were_written(&limit, turns.clone())?;
        let leased = limit.lease(Duration::from_nanos(lease)).unwrap();
        calls_in_flight_are_read_as_they_were_written(&leased, turns.clone())?;
        calls_in_flight_are_read_as_they_were_written(&AnyAlgorithm::from(limit), turns)?;
    }

    #[test]
    fn an_algorithm_survives_whatever_was_read(
        bytes in damaged(),
        times in prop::collection::vec(
            prop_oneof![Just(0), Just(u64::MAX), 0..100_000_000_000u64, any::<u64>()],
            1..5,
        ),
    ) {
        let kinds = each_kind();
        for limit in &kinds {
            survives(limit, &bytes, &times);
        }
        // Behind the instant and the kind.
        let inner = bytes.get(9..).unwrap_or(&bytes);
        for limit in &kinds {
            match limit {
                AnyAlgorithm::LeakyBucket(limit) => survives(limit, inner, &times),
                AnyAlgorithm::Strict(limit) => survives(limit, inner, &times),
                AnyAlgorithm::BurstCompensating(limit) => survives(limit, inner, &times),
                AnyAlgorithm::TokenBucket(limit) => survives(limit, inner, &times),
                AnyAlgorithm::Quota(limit) => survives(limit, inner, &times),
                AnyAlgorithm::SlidingWindow(limit) => survives(limit, inner, &times),
                AnyAlgorithm::FixedWindow(limit) => survives(limit, inner, &times),
                AnyAlgorithm::SlidingWindowCounter(limit) => survives(limit, inner, &times),
                AnyAlgorithm::Concurrency(limit) => survives(limit, inner, &times),
                AnyAlgorithm::Serialized(limit) => survives(limit, inner, &times),
                other => panic!("{other} is a kind nobody thought of"),
            }
        }
    }
}

#[test]
fn a_number_of_entries_that_are_not_there_takes_no_memory() {
    let most = [u64::MAX, u64::MAX >> 4, 1 << 40].map(|number| bytes_of(&number));
    for bytes in most {
        assert_eq!(WindowLog::read(&mut &bytes[..]), None);
        assert_eq!(Holders::read(&mut &bytes[..]), None);
        assert_eq!(SerialLog::read(&mut &[&[0], &bytes[..]].concat()[..]), None);
    }
}

#[test]
fn what_no_algorithm_writes_is_no_state() {
    // A call of no cost, one before the one in front of it, and a bool that is neither.
    let grant = |cost: u32, at: u64| bytes_of(&Grant { cost, at: Nanos::new(at) });
    let list = |grants: &[Vec<u8>]| [bytes_of(&(grants.len() as u64)), grants.concat()].concat();
    assert!(WindowLog::read(&mut &list(&[grant(1, 5), grant(1, 5)])[..]).is_some());
    assert_eq!(WindowLog::read(&mut &list(&[grant(0, 5)])[..]), None);
    assert_eq!(WindowLog::read(&mut &list(&[grant(1, 5), grant(1, 4)])[..]), None);
    let holders = |latest: u64| [list(&[grant(1, 5)]), bytes_of(&latest)].concat();
    assert!(Holders::read(&mut &holders(5)[..]).is_some());
    assert_eq!(Holders::read(&mut &holders(4)[..]), None);
    assert_eq!(SerialLog::read(&mut &[&[1], &grant(0, 1)[..], &list(&[])].concat()[..]), None);
    assert_eq!(Tokens::read(&mut &[2; 25][..]), None);
}

/// Whoever wrote states down before reads them later.
#[test]
fn the_bytes_stay_what_they_are() {
    fn after_one<A: Algorithm<State: StoredState>>(limit: A, now: u64) -> Vec<u8> {
        let mut state = A::State::default();
        let _ = ask(&limit, &mut state, now, Ask::Take(Take::fresh(1)));
        bytes_of(&state)
    }
    let word = |number: u64| bytes_of(&number);
    let fast = rate(1, 256);
    assert_eq!(after_one(Strict::new(fast), 1), word(257));
    assert_eq!(after_one(LeakyBucket::new(fast), 1), word(257));
    assert_eq!(after_one(Quota::new(3).unwrap(), 1), word(1));
    assert_eq!(after_one(TokenBucket::new(fast), 2), [vec![1], word(1), word(0), word(2)].concat());
    let one_grant = [word(1), vec![1, 0, 0, 0], word(2)].concat();
    assert_eq!(after_one(SlidingWindow::new(fast), 2), one_grant);
    let any = AnyAlgorithm::from(Strict::new(fast));
    assert_eq!(after_one(any, 1), [word(0), vec![2], word(257)].concat());
}
