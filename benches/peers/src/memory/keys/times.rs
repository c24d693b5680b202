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

/// Limits that are asked about these keys, again and again.
pub struct Cell<'a, K> {
    limits: Arc<dyn Keyed<K>>,
    asked: &'a [K],
    threads: usize,
    /// How far each thread is.
    places: [AtomicUsize; 2],
    turn: usize,
}

impl<'a, K: Kind> Cell<'a, K> {
    pub fn new(limits: &Arc<dyn Keyed<K>>, asked: &'a [K], threads: usize) -> Self {
        let places = [0, asked.len() / 2].map(AtomicUsize::new);
        Self { limits: Arc::clone(limits), asked, threads, places, turn: 0 }
    }

    /// Some slices, without others in between: they would take the caches. Not many, as the machine may be another one by the
    /// time it is the next one's turn.
    pub fn visit(&mut self, length: Length) -> f64 {
        let slices: Vec<f64> = (0..length.pick(7, 1)).map(|_| self.slice()).collect();
        Stat::of(&slices).median
    }

    fn slice(&mut self) -> f64 {
        self.turn += 1;
        threads::nanoseconds(self.threads, self.turn, BATCH, |thread| {
            let place = self.places[thread].load(Relaxed);
            let end = place + BATCH as usize;
            self.limits.ask_about(&self.asked[place..end]);
            self.places[thread].store(end % self.asked.len(), Relaxed);
        })
    }
}

/// Each of so many keys about as often, in no order. They lie in memory as they are asked about, one after the other:
/// a request brings its key with it, and nobody has to look for it.
pub fn asked<K: Kind>(length: Length, keys: u32) -> Vec<K> {
    let mut random = Random::new();
    let places = length.pick(1 << 22, 1 << 14);
    (0..places).map(|_| K::number(random.below(keys))).collect()
}

/// Limits that know so many keys already, and have room for as many more.
pub fn filled<K: Kind>(row: &Row<K>, keys: u32) -> Arc<dyn Keyed<K>> {
    let limits = (row.make)(2 * keys as usize);
    let granted = (0..keys).filter(|number| limits.ask(&K::number(*number))).count();
    assert_eq!(granted, keys as usize, "{} lets every key through", row.name);
    Arc::from(limits)
}

/// All crates with a thousand hot keys, and with a million.
pub fn side_by_side<K: Kind>(length: Length, allowed: &Allowed) -> Vec<Bound> {
    let count = length.pick(1_000_000, 10_000);
    let mut rows: Vec<(&str, Arc<dyn Keyed<K>>)> = vec![
        ("floor: the key and its hash", Arc::from(floors::hash())),
        (FLOOR, Arc::from(floors::prefilled(count))),
    ];
    rows.extend(peers::rows().iter().map(|row| (row.name, filled(row, count))));
    let (hot, uniform) = (asked(length, HOT), asked(length, count));
    let cells = |(_, limits): &(_, Arc<dyn Keyed<K>>)| {
        let cell = |asked, threads| Cell::new(limits, asked, threads);
        [cell(&hot, 1), cell(&hot, 2), cell(&uniform, 1), cell(&uniform, 2)]
    };
    let mut all: Vec<Cell<'_, K>> = rows.iter().flat_map(cells).collect();
    interleave(&mut all, 1, |cell| cell.visit(Length::Quick));
    let samples = interleave(&mut all, length.pick(25, 1), |cell| cell.visit(length));
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
