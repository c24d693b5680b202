//! Live keys that are treated as if the table were full, while it is not.

use crate::harness::{Bound, Length};
use tower_ratelimit::{AtCapacity, KeyedRateLimiter, LeakyBucket, ManualClock, Rate, Reason};

/// How many keys there may be, and there are as many.
const ROOM: [u32; 4] = [1_000, 100_000, 1_000_000, 1_500_000];

/// One table of each size a round, all with seeds of their own.
pub fn run(length: Length) -> Bound {
    let mut asked = 0;
    let mut refused = 0;
    for _ in 0..length.pick(5, 1) {
        for room in ROOM.map(|keys| keys / length.pick(1, 100)) {
            asked += room;
            refused += (0..room).filter(limited(room)).count();
        }
    }
    let share = refused as f64 / f64::from(asked);
    println!("Of {asked} live keys in tables with room for them all, {refused} found none.\n");
    let name = "memory keys: live keys that meet the full-table policy below the cap, a million";
    Bound::exact(name, share * 1e6, 0.0..=1.0)
}

/// Whether there was no room for a key, in a table for so many.
fn limited(room: u32) -> impl Fn(&u32) -> bool {
    let bucket = LeakyBucket::new(Rate::per_hour(1).expect("a rate that can be set"));
    // The time stands still, so no key ever equals a new one.
    let builder = KeyedRateLimiter::builder(bucket).clock(ManualClock::new());
    let builder = builder.max_keys(room as usize).expect("there is room for one");
    let limiter = builder.at_capacity(AtCapacity::Refuse).build();
    move |key| match limiter.try_acquire(key) {
        Ok(_) => false,
        Err(error) if error.reason() == Reason::TooManyKeys => true,
        Err(error) => panic!("{error}"),
    }
}
