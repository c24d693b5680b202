//! Keys that come and go.

use super::{ms, paced, watched};
use tower_ratelimit::{AtCapacity, KeyedRateLimiter, ManualClock};

#[test]
fn keys_are_counted_while_they_are_kept() {
    let clock = ManualClock::new();
    let mut watched = watched(|| {
        let builder = KeyedRateLimiter::builder(paced()).clock(clock.clone());
        builder.max_keys(2).unwrap().at_capacity(AtCapacity::Refuse).build()
    });
    for key in ["a", "b", "a"] {
        let _ = watched.limiter.key(key).try_acquire();
    }
    assert_eq!(watched.says(), "admitted_total=2, keys=2, refused_total used_up=1");
    watched.limiter.key("c").try_acquire().unwrap_err();
    let full = "admitted_total=2, keys=2, refused_total too_many_keys=1, refused_total used_up=1";
    assert_eq!(watched.says(), full);
    clock.advance(ms(100));
    assert_eq!(watched.limiter.evict(), 2);
    let evicted = "admitted_total=2, evicted_total=2, refused_total too_many_keys=1, \
        refused_total used_up=1";
    assert_eq!(watched.says(), evicted);
}

#[test]
fn keys_forgotten_in_passing_add_up_with_those_that_are_kept() {
    let clock = ManualClock::new();
    let mut watched = watched(|| {
        KeyedRateLimiter::builder(paced()).clock(clock.clone()).max_keys(50).unwrap().build()
    });
    for key in 0..1000_u32 {
        let limiter = watched.limiter.key(&key);
        let permit = limiter.try_acquire().unwrap();
        if key % 3 == 0 {
            permit.refund();
        }
        clock.advance(ms(7));
        watched.read();
        let [kept, evicted] = ["keys", "evicted_total"].map(|series| watched.totals[series]);
        assert_eq!(kept, f64::from(u32::try_from(watched.limiter.keys()).unwrap()));
        assert_eq!(kept + evicted, f64::from(key + 1));
    }
    watched.limiter = KeyedRateLimiter::new(paced());
    watched.read();
    assert_eq!(watched.totals["keys"], 0.0, "they went with their limiter");
    assert!(watched.totals["evicted_total"] < 1000.0);
}
