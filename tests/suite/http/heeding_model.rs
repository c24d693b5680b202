//! Pauses against a model of a few lines.

use super::heard::Dice;
use std::time::Duration;
use tower_ratelimit::{
    ManualClock, Rate, RateLimiter,
    http::{Heard, Heeding},
};

#[test]
fn every_answer_is_that_of_a_simple_model_at_random_instants() {
    const INTERVAL: u64 = 100_000_000;
    let heeding = Heeding::new(Rate::per_second(10).unwrap());
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let clock = ManualClock::new();
        let limiter = RateLimiter::builder(heeding).clock(clock.clone()).build();
        let (mut now, mut pause, mut next, mut free) = (0_u64, 0_u64, 0_u64, 0_u64);
        for _ in 0..200 {
            let slot = pause.max(next);
            // To a nanosecond before a slot, to it, after it; or to where the pace ends.
            let step = match dice.throw(6) {
                0 => slot.saturating_sub(now + 1),
                1 => slot.saturating_sub(now),
                2 => free.saturating_sub(now + 1),
                3 => free.saturating_sub(now),
                4 => 0,
                _ => dice.throw(150_000_000) as u64,
            };
            now += step;
            clock.advance(Duration::from_nanos(step));
            if dice.throw(4) == 0 {
                let length = dice.throw(3) as u64 * dice.throw(400_000_000) as u64;
                let retry_after = Some(Duration::from_nanos(length));
                limiter.heed(&Heard { refused: true, retry_after, left: None }).unwrap();
                if now >= free {
                    (pause, next) = (0, 0);
                }
                pause = pause.max(now + length);
                free = free.max(pause + INTERVAL);
                continue;
            }
            let slot = pause.max(next);
            let expected = match now >= free || now >= slot {
                true => None,
                false => Some(Duration::from_nanos(slot - now)),
            };
            if now < free && expected.is_none() {
                next = now + INTERVAL;
                free = free.max(next + INTERVAL);
            }
            let refused = limiter.try_acquire().map(drop).err();
            assert_eq!(refused.and_then(|refused| refused.retry_after()), expected, "seed {seed}");
        }
    }
}
