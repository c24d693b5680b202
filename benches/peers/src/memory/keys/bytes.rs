//! How much memory a key takes, each limiter in a process of its own.

use super::{
    kind::{self, Kind},
    peers::{self, GOVERNOR, OURS},
};
use crate::harness::{Bound, Length, Stat, Table, figures, over, part, resident};
use std::net::IpAddr;

/// The part of this group that is measured: `PART KIND NAME KEYS`.
pub const PART: &str = "bytes";

/// Tables grow by doubling: what a key takes depends on how full they are.
const KEYS: [u32; 4] = [600_000, 1_000_000, 1_400_000, 1_900_000];

/// What there is room for.
const MOST: usize = 2_000_000;

/// Prints the bytes a key of all crates, and returns the bound of ours over governor.
pub fn measure<K: Kind>(length: Length, allowed: f64) -> Bound {
    let names: Vec<&str> = peers::rows::<K>().iter().map(|row| row.name).collect();
    let counts = KEYS.map(|keys| keys / length.pick(1, 100));
    let mut figures = vec![Vec::new(); names.len()];
    for round in 0..length.pick(5, 1) {
        for (name, figures) in names.iter().zip(&mut figures) {
            // What is not held to a bound is only counted once.
            if round == 0 || [OURS, GOVERNOR].contains(name) {
                figures.push(counts.map(|keys| a_key::<K>(name, keys)));
            }
        }
    }
    let mean = |bytes: &[f64; 4]| bytes.iter().sum::<f64>() / 4.0;
    let means = |of: &Vec<[f64; 4]>| of.iter().map(mean).collect::<Vec<f64>>();
    let mut table = Table::new(["limiter", "0.6 million", "1.0", "1.4", "1.9", "mean [p25-p75]"]);
    for (name, figures) in names.iter().zip(&figures) {
        let [a, b, c, d] = figures[0].map(|bytes| format!("{bytes:.1}"));
        table.row([(*name).into(), a, b, c, d, Stat::of(&means(figures)).show(1)]);
    }
    println!("Bytes of memory a key of type {}:\n\n{table}", K::NAME);
    let place = |name| names.iter().position(|row| *row == name).expect("there is this row");
    let of = |name| means(&figures[place(name)]);
    let name = format!("memory keys: bytes a key of {}, over {GOVERNOR}", K::NAME);
    Bound::new(name, &over(&of(OURS), &of(GOVERNOR)), 0.0..=allowed)
}

fn a_key<K: Kind>(name: &str, keys: u32) -> f64 {
    let mut part = part(&[PART, K::NAME, name, &keys.to_string()]);
    // Otherwise the allocator would keep tables that were grown out of, how many depends on luck.
    part.env("MALLOC_MMAP_THRESHOLD_", "65536").env("MALLOC_TRIM_THRESHOLD_", "65536");
    figures(part)[0]
}

/// Bytes a key, in this process.
pub fn do_part(words: &[&str]) -> f64 {
    let [kind, name, keys] = words else { panic!("not a part: {words:?}") };
    let keys = keys.parse().expect("a number of keys");
    kind::by_name(kind, [fill::<u64>, fill::<IpAddr>, fill::<String>])(name, keys)
}

fn fill<K: Kind>(name: &str, keys: u32) -> f64 {
    let rows = peers::rows::<K>();
    let row = rows.iter().find(|row| row.name == name).expect("there is this row");
    let asked = (row.make)(MOST);
    let before = resident();
    for number in 0..keys {
        assert!(asked.ask(&K::number(number)), "{name} lets every key through");
    }
    (resident() - before) / f64::from(keys)
}
