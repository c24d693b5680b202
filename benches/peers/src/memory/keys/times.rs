//! How long a decision about one of many keys takes.

use super::{
    floors,
    keyed::{Keyed, Row},
    kind::Kind,
    peers::{self, GOVERNOR_AHASH, OURS},
};
use crate::harness::{Bound, Length, Random, Stat, Table, interleave, over, threads};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Decisions between two looks at the clock.
const BATCH: u32 = 256;

/// How many keys are asked about often.
const HOT: u32 = 1000;

pub const FLOOR: &str = "floor: a map that nobody changes";

/// How far from the floor hot keys may be, as their bound is out of reach.
const OVER_FLOOR: f64 = 1.25;

/// At most so many times what governor takes: time with a few hot keys and with all, and memory.
pub struct Allowed {
    pub hot: f64,
    pub uniform: f64,
    pub bytes: f64,
}

/// Limits that are asked about these keys in this order, again and again.
pub struct Cell<'a, K> {
    asked: Arc<dyn Keyed<K>>,
    keys: &'a [K],
    order: &'a [u32],
    threads: usize,
    /// How far each thread is in the order.
    places: [AtomicUsize; 2],
    turn: usize,
}

impl<'a, K: Kind> Cell<'a, K> {
    pub fn new(asked: &Arc<dyn Keyed<K>>, keys: &'a [K], order: &'a [u32], threads: usize) -> Self {
        let places = [0, order.len() / 2].map(AtomicUsize::new);
        Self { asked: Arc::clone(asked), keys, order, threads, places, turn: 0 }
    }

    /// Many slices, but without others in between: they would take the caches.
    pub fn visit(&mut self, length: Length) -> f64 {
        let slices: Vec<f64> = (0..length.pick(20, 1)).map(|_| self.slice()).collect();
        Stat::of(&slices).median
    }

    fn slice(&mut self) -> f64 {
        self.turn += 1;
        threads::nanoseconds(self.threads, self.turn, BATCH, |thread| {
            let place = self.places[thread].load(Relaxed);
            let end = place + BATCH as usize;
            self.asked.ask_about(self.keys, &self.order[place..end]);
            self.places[thread].store(end % self.order.len(), Relaxed);
        })
    }
}

/// This many keys.
pub fn keys<K: Kind>(count: u32) -> Vec<K> {
    (0..count).map(K::number).collect()
}

/// Each of so many keys about as often, in no order.
pub fn order(length: Length, keys: u32) -> Vec<u32> {
    let mut random = Random::new();
    let places = length.pick(1 << 22, 1 << 14);
    (0..places).map(|_| random.below(keys)).collect()
}

/// Limits that know all these keys already, and have room for as many more.
pub fn filled<K: Kind>(row: &Row<K>, keys: &[K]) -> Arc<dyn Keyed<K>> {
    let asked = (row.make)(2 * keys.len());
    let granted = keys.iter().filter(|key| asked.ask(key)).count();
    assert_eq!(granted, keys.len(), "{} lets every key through", row.name);
    Arc::from(asked)
}

/// All crates with a thousand hot keys, and with a million.
pub fn side_by_side<K: Kind>(length: Length, allowed: &Allowed) -> Vec<Bound> {
    let count = length.pick(1_000_000, 10_000);
    let keys = keys::<K>(count);
    let mut rows: Vec<(&str, Arc<dyn Keyed<K>>)> = vec![
        ("floor: the key and its hash", Arc::from(floors::hash())),
        (FLOOR, Arc::from(floors::prefilled(count))),
    ];
    rows.extend(peers::rows().iter().map(|row| (row.name, filled(row, &keys))));
    let (hot, uniform) = (order(length, HOT), order(length, count));
    let cells = |(_, asked): &(_, Arc<dyn Keyed<K>>)| {
        let cell = |order, threads| Cell::new(asked, &keys, order, threads);
        [cell(&hot, 1), cell(&hot, 2), cell(&uniform, 1), cell(&uniform, 2)]
    };
    let mut all: Vec<Cell<'_, K>> = rows.iter().flat_map(cells).collect();
    interleave(&mut all, 1, |cell| cell.visit(Length::Quick));
    let samples = interleave(&mut all, length.pick(9, 1), |cell| cell.visit(length));
    let mut table = Table::new([
        "limiter",
        "1,000 hot keys, ns [p25-p75]",
        "two threads",
        "1,000,000 keys",
        "two threads",
    ]);
    for ((name, _), samples) in rows.iter().zip(samples.chunks(4)) {
        let column = |index: usize| Stat::of(&samples[index]).show(1);
        table.row([(*name).into(), column(0), column(1), column(2), column(3)]);
    }
    println!("Keys of type {}:\n\n{table}", K::NAME);
    let bound = |keys: &str, column: usize, most| {
        let place = |name| rows.iter().position(|row| row.0 == name).expect("there is this row");
        let of = |name| &samples[4 * place(name) + column];
        let name = format!("memory keys: {OURS}, {keys} {}, over {GOVERNOR_AHASH}", K::NAME);
        Bound::new(name, &over(of(OURS), of(GOVERNOR_AHASH)), 0.0..=most)
            .with_floor(&over(of(FLOOR), of(GOVERNOR_AHASH)))
    };
    vec![
        bound("1,000 hot", 0, allowed.hot).out_of_reach(OVER_FLOOR),
        bound("1,000,000", 2, allowed.uniform),
    ]
}
