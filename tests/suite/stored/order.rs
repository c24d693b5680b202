//! The oracle of concurrent histories: is there an order in which all of this could have happened one after another?

use std::collections::HashSet;

/// What was done to a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It took permits, and was told how many were left.
    Took(u64, u64),
    /// It was told that there are not so many.
    Refused(u64),
    /// It was told how many there are.
    Saw(u64),
    GaveBack(u64),
    Charged(u64),
    Began,
    /// Somebody who went away may have taken permits.
    MayHaveTaken(u64),
    /// If so, they went back: those of the act before it in the list.
    IfSoGaveBack(u64),
}

/// One act, and when its caller began and saw the end of it; `u64::MAX` if it did not look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) act: Act,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// Whether the events could have happened one after another to a quota, each at an instant between its beginning
/// and its end. It is tried out.
pub(crate) fn is_possible(permits: u64, events: &[Event]) -> bool {
    assert!(events.len() < 64);
    search(permits, events, State { done: 0, skipped: 0, used: 0 }, &mut HashSet::new())
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct State {
    /// A bit for each event.
    done: u64,
    skipped: u64,
    used: u64,
}

fn search(permits: u64, events: &[Event], state: State, seen: &mut HashSet<State>) -> bool {
    if state.done == (1 << events.len()) - 1 {
        return true;
    }
    if !seen.insert(state) {
        return false;
    }
    let is_left = |index: &usize| state.done & (1 << index) == 0;
    let first_end = (0..events.len()).filter(is_left).map(|index| events[index].ended).min();
    (0..events.len()).filter(is_left).any(|index| {
        let event = events[index];
        if event.began > first_end.unwrap() {
            return false;
        }
        let done = state.done | 1 << index;
        let left = permits.saturating_sub(state.used);
        let go = |used: u64, skipped: u64, seen: &mut HashSet<State>| {
            search(permits, events, State { done, skipped, used }, seen)
        };
        let same = state.skipped;
        match event.act {
            Act::Took(cost, left_then) if cost + left_then == left => {
                go(state.used + cost, same, seen)
            }
            Act::Refused(cost) if cost > left => go(state.used, same, seen),
            Act::Saw(left_then) if left_then == left => go(state.used, same, seen),
            Act::Took(..) | Act::Refused(_) | Act::Saw(_) => false,
            Act::GaveBack(cost) => go(state.used.saturating_sub(cost), same, seen),
            Act::Charged(cost) => go(state.used + cost, same, seen),
            Act::Began => go(0, same, seen),
            Act::MayHaveTaken(cost) => {
                cost <= left && go(state.used + cost, same, seen)
                    || go(state.used, same | 1 << index, seen)
            }
            Act::IfSoGaveBack(_) if is_left(&(index - 1)) => false,
            Act::IfSoGaveBack(_) if same & 1 << (index - 1) != 0 => go(state.used, same, seen),
            Act::IfSoGaveBack(cost) => go(state.used.saturating_sub(cost), same, seen),
        }
    })
}

fn event(act: Act, began: u64, ended: u64) -> Event {
    Event { act, began, ended }
}

#[test]
fn what_cannot_have_happened_is_found_out() {
    let took = event(Act::Took(1, 0), 1, 4);
    // Two at the same time, and two one after the other.
    assert!(!is_possible(1, &[took, event(Act::Took(1, 0), 2, 3)]));
    assert!(is_possible(1, &[took, event(Act::Refused(1), 2, 3)]));
    assert!(is_possible(1, &[took, event(Act::Saw(1), 2, 3)]));
    assert!(!is_possible(1, &[took, event(Act::Saw(1), 5, 6)]));
    assert!(!is_possible(1, &[took, event(Act::Refused(1), 0, 0)]));
}

#[test]
fn whoever_goes_away_takes_and_gives_back_or_does_nothing() {
    let gone = [event(Act::MayHaveTaken(1), 1, u64::MAX), event(Act::IfSoGaveBack(1), 1, u64::MAX)];
    let with = |act| [gone[0], gone[1], act];
    assert!(is_possible(1, &with(event(Act::Refused(1), 2, 3))));
    assert!(is_possible(1, &with(event(Act::Took(1, 0), 2, 3))));
    let quiet = [gone[0], Event { ended: 4, ..gone[1] }, event(Act::Saw(0), 5, 6)];
    assert!(!is_possible(1, &quiet));
}
