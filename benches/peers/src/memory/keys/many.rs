//! Ten million keys against a million, in processes of their own: whatever lay in memory before them
//! decides where keys and tables come to lie, and so how long it takes to find them.

use super::{
    floors,
    keyed::Keyed,
    kind::{self, Kind},
    peers::{self, OURS},
    times::{Cell, FLOOR, asked, filled},
};
use crate::harness::{Bound, Length, Stat, figures, interleave, over, part};
use std::{net::IpAddr, sync::Arc};

/// The part of this group that has a process of its own: `PART KIND LENGTH`.
pub const PART: &str = "many";

const QUICK: &str = "quick";

/// What is measured: ours with a million keys and with ten, and the floor.
const ROWS: usize = 4;

/// Ours with ten million keys over ours with a million.
pub fn measure<K: Kind>(length: Length) -> Bound {
    let part = || figures(part(&[PART, K::NAME, length.pick("full", QUICK)]));
    let parts: Vec<Vec<f64>> = (0..length.pick(3, 1)).map(|_| part()).collect();
    let samples = |row: usize| -> Vec<f64> {
        parts.iter().flat_map(|figures| figures.chunks(ROWS).map(move |round| round[row])).collect()
    };
    let samples: Vec<Vec<f64>> = (0..ROWS).map(samples).collect();
    for (name, samples) in [(OURS, &samples[..2]), (FLOOR, &samples[2..])] {
        let [few, many] = [0, 1].map(|index| Stat::of(&samples[index]).show(1));
        println!("{name}, of {}: 1,000,000 keys {few} ns, 10,000,000 keys {many} ns.\n", K::NAME);
    }
    let name = format!("memory keys: {OURS}, 10,000,000 {} over 1,000,000", K::NAME);
    Bound::new(name, &over(&samples[1], &samples[0]), 0.0..=1.5)
        .with_floor(&over(&samples[3], &samples[2]))
}

/// The rows of each round, in this process.
pub fn do_part(words: &[&str]) -> Vec<f64> {
    let [kind, length] = words else { panic!("not a part: {words:?}") };
    let length = if *length == QUICK { Length::Quick } else { Length::Full };
    kind::by_name(kind, [ask::<u64>, ask::<IpAddr>, ask::<String>])(length)
}

fn ask<K: Kind>(length: Length) -> Vec<f64> {
    let (few, many) = length.pick((1_000_000, 10_000_000), (1_000, 10_000));
    let rows = peers::rows::<K>();
    let ours = rows.iter().find(|row| row.name == OURS).expect("there is this row");
    let [asked_of_few, asked_of_many] = [few, many].map(|keys| asked::<K>(length, keys));
    let floor = |count| -> Arc<dyn Keyed<K>> { Arc::from(floors::prefilled(count)) };
    let mut cells: [_; ROWS] = [
        Cell::new(&filled(ours, few), &asked_of_few, 1),
        Cell::new(&filled(ours, many), &asked_of_many, 1),
        Cell::new(&floor(few), &asked_of_few, 1),
        Cell::new(&floor(many), &asked_of_many, 1),
    ];
    interleave(&mut cells, 1, |cell| cell.visit(Length::Quick));
    let samples = interleave(&mut cells, length.pick(15, 1), |cell| cell.visit(length));
    (0..samples[0].len()).flat_map(|round| samples.iter().map(move |row| row[round])).collect()
}
