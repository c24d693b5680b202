//! Somebody who comes as ten million others.

use crate::harness::{Bound, Length, Stat, figures, part, resident};
use std::time::Instant;
use tower_ratelimit::{KeyedRateLimiter, LeakyBucket, Rate};

/// The part of this group that has a process of its own: `PART KEYS`.
pub const PART: &str = "flood";

/// How many keys are used up before the flood.
const LIMITED: u64 = 1000;

/// The flood comes in so many parts. The table, which has room for 100,000 keys, is full after the
/// first one.
const PARTS: u64 = 10;

/// What the memory and the time of a decision are at its end over what they are at its beginning.
pub fn run(length: Length) -> [Bound; 2] {
    let keys = length.pick(10_000_000, 200_000);
    let flood = |_| figures(part(&[PART, &u64::to_string(&keys)]));
    let floods: Vec<Vec<f64>> = (0..length.pick(5, 1)).map(flood).collect();
    let of = |figure: usize| floods.iter().map(|figures| figures[figure]).collect::<Vec<f64>>();
    let [memory, time] = [of(0), of(1)];
    println!(
        "A flood of {keys} keys, its end over its beginning: memory {}, time of a decision {}.\n",
        Stat::of(&memory).show(3),
        Stat::of(&time).show(3),
    );
    [
        Bound::new("memory keys: memory at the end of a flood of keys", &memory, 0.0..=1.05),
        Bound::new("memory keys: time of a decision at the end of a flood", &time, 0.0..=1.2),
    ]
}

/// Lets the keys come, in this process.
///
/// # Panics
///
/// When a key that is used up has permits again.
pub fn do_part(words: &[&str]) -> [f64; 2] {
    let [keys] = words else { panic!("not a part: {words:?}") };
    let keys: u64 = keys.parse().expect("a number of keys");
    let once = LeakyBucket::new(Rate::per_hour(1).expect("a rate that can be set"));
    let limiter = KeyedRateLimiter::new(once.capacity(1).expect("there is room for one"));
    let ask = |key: u64| limiter.try_acquire(&key).is_ok();
    assert!((0..LIMITED).all(ask), "each of them has one");
    let mut figures = Vec::new();
    for part in 0..PARTS {
        let (start, first) = (Instant::now(), LIMITED + part * keys / PARTS);
        for key in first..first + keys / PARTS {
            ask(key);
        }
        figures.push((resident(), start.elapsed().as_secs_f64()));
        assert!(!(0..LIMITED).any(ask), "they are used up for an hour");
    }
    // In the first part there still is room.
    let (_, time) = figures[1];
    let (memory, _) = figures[0];
    figures.last().map_or([f64::NAN; 2], |last| [last.0 / memory, last.1 / time])
}
