//! What is done to limits.

use super::ms;
use proptest::{prelude::*, sample::Index};
use std::time::Duration;

/// Which limit, of those that a side has.
pub(super) type Key = Index;

#[derive(Clone, Copy, Debug)]
pub(super) enum Waits {
    Not,
    AtMost(u64),
    Until(u64),
    Forever,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Try(Key, u32),
    /// One that costs so many in the end.
    Settle(Key, u32, u32),
    Acquire(Key, u32, Waits),
    Reserve(Key, u32, Waits),
    /// Something with one of those who wait.
    Poll(Index),
    Leave(Index),
    /// Something with one of the reservations.
    Commit(Index),
    Drop(Index),
    /// Something with one of the permits that were used.
    Refund(Index),
    Peek(Key, u32),
    Standing(Key),
    Charge(Key, u32),
    Cancel(Key),
    CancelAll,
    Breach,
    Close,
    Reset(Key),
    ResetAll,
    Set(Index),
    SetFor(Key, Index),
    Forget(Key),
    Evict,
    On(Duration),
    /// On to when this limit has a permit, or so many nanoseconds from it.
    ToTurn(Key, i64),
    Back(Duration),
}

pub(super) fn deed() -> impl Strategy<Value = Deed> {
    use Deed::*;
    let which = any::<Index>;
    let cost = || prop_oneof![1 => Just(0), 9 => Just(1), 6 => 2..5_u32, 1 => 5..50_u32];
    let length =
        || prop_oneof![1 => Just(0), 4 => 1..300_u64, 2 => (0..20_u64).prop_map(|n| n * 50)];
    let time = move || {
        prop_oneof![
            4 => length().prop_map(ms),
            1 => (0..3_u64).prop_map(Duration::from_nanos),
            1 => (0..60_000_u64).prop_map(ms),
        ]
    };
    let waits = move || {
        prop_oneof![
            1 => Just(Waits::Not),
            2 => length().prop_map(Waits::AtMost),
            2 => length().prop_map(Waits::Until),
            5 => Just(Waits::Forever),
        ]
    };
    let asks = prop_oneof![
        30 => (which(), cost()).prop_map(|(key, cost)| Try(key, cost)),
        4 => (which(), cost(), cost()).prop_map(|(key, cost, costs)| Settle(key, cost, costs)),
        8 => (which(), cost(), waits()).prop_map(|(key, cost, waits)| Acquire(key, cost, waits)),
        8 => (which(), cost(), waits()).prop_map(|(key, cost, waits)| Reserve(key, cost, waits)),
        8 => (which(), cost()).prop_map(|(key, cost)| Peek(key, cost)),
        2 => which().prop_map(Standing),
    ];
    let goes_on = prop_oneof![
        12 => which().prop_map(Poll),
        4 => which().prop_map(Leave),
        8 => which().prop_map(Commit),
        4 => which().prop_map(Drop),
        5 => which().prop_map(Refund),
    ];
    let takes_hold = prop_oneof![
        4 => (which(), cost()).prop_map(|(key, cost)| Charge(key, cost)),
        2 => which().prop_map(Cancel),
        1 => Just(CancelAll),
        1 => Just(Breach),
        2 => which().prop_map(Reset),
        2 => Just(ResetAll),
        6 => which().prop_map(Set),
        3 => (which(), which()).prop_map(|(key, next)| SetFor(key, next)),
        3 => which().prop_map(Forget),
        4 => Just(Evict),
    ];
    prop_oneof![
        600 => asks,
        300 => goes_on,
        120 => takes_hold,
        1 => Just(Close),
        160 => time().prop_map(On),
        80 => (which(), -1..=1_i64).prop_map(|(key, more)| ToTurn(key, more)),
        15 => time().prop_map(Back),
    ]
}
