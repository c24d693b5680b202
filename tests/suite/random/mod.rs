//! Random operations on a limiter: calls come, go, are sent away and forgotten, the rate changes,
//! and the clock jumps, also back. All promises are checked after each of them.

mod model;
mod diligent;
mod lazy;

use proptest::{prelude::*, sample::Index};
use std::time::Duration;
use tower_ratelimit::{
    Algorithm, BurstCompensating, Concurrency, FixedWindow, LeakyBucket, Rate, Serialized,
    SlidingWindow, Strict, TokenBucket,
};

/// How long a call waits, in milliseconds.
#[derive(Clone, Copy, Debug)]
enum Waits {
    Not,
    AtMost(u64),
    Until(u64),
    Forever,
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Acquire(u32, Waits),
    Reserve(u32, Waits),
    Try(u32),
    DropWaiter(Index),
    Poll(Index),
    Commit(Index),
    DropReservation(Index),
    End(Index),
    Refund(Index),
    Renew(Index),
    Charge(u32),
    Cancel,
    Breach,
    Reset,
    Set(Index),
    /// By so many milliseconds.
    On(u64),
    Back(u64),
    /// To when a call that asks now would be served, or so many nanoseconds from it.
    ToTurn(i64),
}

/// Deeds with costs up to this one.
fn deeds(most: u32) -> impl Strategy<Value = Vec<Deed>> {
    use Deed::*;
    let cost = move || prop_oneof![1 => Just(0), 12 => 1..=most];
    let ms = || prop_oneof![1 => Just(0), 3 => 1..150_u64, 2 => (0..20_u64).prop_map(|n| n * 50)];
    let waits = move || {
        prop_oneof![
            1 => Just(Waits::Not),
            2 => ms().prop_map(Waits::AtMost),
            2 => ms().prop_map(Waits::Until),
            8 => Just(Waits::Forever),
        ]
    };
    let which = any::<Index>;
    let deed = prop_oneof![
        24 => (cost(), waits()).prop_map(|(cost, waits)| Acquire(cost, waits)),
        8 => (cost(), waits()).prop_map(|(cost, waits)| Reserve(cost, waits)),
        5 => cost().prop_map(Try),
        5 => which().prop_map(DropWaiter),
        12 => which().prop_map(Poll),
        5 => which().prop_map(Commit),
        3 => which().prop_map(DropReservation),
        8 => which().prop_map(End),
        3 => which().prop_map(Refund),
        4 => which().prop_map(Renew),
        1 => cost().prop_map(Charge),
        1 => Just(Cancel),
        1 => Just(Breach),
        2 => Just(Reset),
        2 => which().prop_map(Set),
        12 => ms().prop_map(On),
        1 => ms().prop_map(Back),
        9 => (-1..=1_i64).prop_map(ToTurn),
    ];
    prop::collection::vec(deed, 1..120)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn rate(permits: u32, milliseconds: u64) -> Rate {
    Rate::new(permits, ms(milliseconds)).unwrap()
}

/// One kind of limit, with several parameters between which it can change.
trait Kind: Algorithm {
    fn several() -> Vec<Self>
    where
        Self: Sized;

    /// How many permits may be in use at the same time.
    fn most_in_use(&self) -> Option<u32> {
        None
    }

    /// The lease, in nanoseconds, the same for all parameters.
    fn lease() -> Option<u64> {
        None
    }
}

impl Kind for LeakyBucket {
    fn several() -> Vec<Self> {
        let bucket = |milliseconds, capacity| {
            LeakyBucket::new(rate(1, milliseconds)).capacity(capacity).unwrap()
        };
        vec![bucket(100, 4), bucket(50, 6), bucket(200, 2)]
    }
}

impl Kind for Strict {
    fn several() -> Vec<Self> {
        vec![Strict::new(rate(1, 100)), Strict::new(rate(1, 50)), Strict::new(rate(3, 1000))]
    }
}

impl Kind for BurstCompensating {
    fn several() -> Vec<Self> {
        let pacer = |milliseconds, burst| {
            BurstCompensating::new(rate(1, milliseconds)).max_burst(burst).unwrap()
        };
        vec![pacer(100, 5), pacer(50, 2), pacer(200, 1)]
    }
}

impl Kind for SlidingWindow {
    fn several() -> Vec<Self> {
        let two = SlidingWindow::all([rate(3, 100), rate(5, 300)]).unwrap();
        vec![SlidingWindow::new(rate(4, 300)), two, SlidingWindow::new(rate(2, 500))]
    }
}

impl Kind for TokenBucket {
    fn several() -> Vec<Self> {
        let bucket = TokenBucket::new(rate(2, 150)).capacity(5).unwrap();
        let aligned = TokenBucket::new(rate(1, 50)).capacity(4).unwrap().aligned_to(ms(10));
        vec![bucket, aligned, TokenBucket::new(rate(3, 400))]
    }
}

impl Kind for FixedWindow {
    fn several() -> Vec<Self> {
        let aligned = FixedWindow::new(rate(3, 200)).aligned_to(ms(30));
        vec![FixedWindow::new(rate(4, 300)), aligned, FixedWindow::new(rate(2, 500))]
    }
}

impl Kind for Concurrency {
    fn several() -> Vec<Self> {
        let limit = |calls| Concurrency::new(calls).unwrap().lease(ms(400)).unwrap();
        vec![limit(4), limit(2), limit(6)]
    }

    fn most_in_use(&self) -> Option<u32> {
        let mut nobody = Default::default();
        let peek = tower_ratelimit::Ask::Peek(tower_ratelimit::Take::fresh(0));
        Some(self.decide(&mut nobody, tower_ratelimit::Nanos::ZERO, peek).limit)
    }

    fn lease() -> Option<u64> {
        Some(400_000_000)
    }
}

impl Kind for Serialized {
    fn several() -> Vec<Self> {
        let leased = Serialized::new(rate(2, 100)).lease(ms(400)).unwrap();
        vec![Serialized::new(rate(4, 300)), leased, Serialized::new(rate(1, 200))]
    }
}
