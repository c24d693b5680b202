//! Keys that are more than may be kept, against one limiter for each of them.

use super::{bucket, long::Long, ms};
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use std::time::Duration;
use tower_ratelimit::{
    AtCapacity, KeyedRateLimiter, LeakyBucket, ManualClock, Nanos, RateLimiter, Reason,
};

const KEYS: usize = 12;

#[derive(Clone, Copy, Debug)]
enum Deed {
    Try(usize, u32),
    /// Takes them and gives them back.
    Refund(usize, u32),
    Charge(usize, u32),
    Set(Index),
    Evict,
    On(Duration),
}

fn deed() -> impl Strategy<Value = Deed> {
    let key = || 0..KEYS;
    prop_oneof![
        30 => (key(), 1..6_u32).prop_map(|(key, cost)| Deed::Try(key, cost)),
        4 => (key(), 1..6_u32).prop_map(|(key, cost)| Deed::Refund(key, cost)),
        2 => (key(), 1..6_u32).prop_map(|(key, cost)| Deed::Charge(key, cost)),
        1 => any::<Index>().prop_map(Deed::Set),
        2 => Just(Deed::Evict),
        8 => (0..8_u64).prop_map(|times| Deed::On(ms(50 * times))),
        1 => Just(Deed::On(Duration::from_nanos(1))),
    ]
}

/// A limiter for each key, of which no more than `most` may be in use at the same time, and one for
/// those that find no room.
struct Oracle {
    each: Vec<RateLimiter<Long<LeakyBucket>>>,
    shared: RateLimiter<Long<LeakyBucket>>,
    most: usize,
    at_capacity: AtCapacity,
}

fn is_in_use(limiter: &RateLimiter<Long<LeakyBucket>>) -> bool {
    limiter.peek(0).full_after > Nanos::ZERO
}

impl Oracle {
    fn in_use(&self) -> usize {
        let all = self.each.iter().chain([&self.shared]);
        all.filter(|limiter| is_in_use(limiter)).count()
    }

    /// A key that equals new may be forgotten when there is no room, or not: then it is.
    fn settle_who_is_kept(&self, key: usize, limiter: &KeyedRateLimiter<LeakyBucket>) {
        if self.in_use() >= self.most && !is_in_use(&self.each[key]) {
            limiter.forget(&key.to_le_bytes());
        }
    }

    /// The limiter that a call for this key goes to, if there is one.
    fn limiter(&self, key: usize) -> Option<&RateLimiter<Long<LeakyBucket>>> {
        match (is_in_use(&self.each[key]) || self.in_use() < self.most, self.at_capacity) {
            (true, _) => Some(&self.each[key]),
            (false, AtCapacity::ShareOne) => Some(&self.shared),
            (false, _) => None,
        }
    }
}

fn find_room_as_the_oracle_says(
    most: usize,
    at_capacity: AtCapacity,
    deeds: &[Deed],
) -> TestCaseResult {
    let several = [bucket(100, 5), bucket(100, 3), bucket(70, 4)];
    let clock = ManualClock::new();
    let builder = KeyedRateLimiter::builder(several[0]).clock(clock.clone());
    let limiter = builder.max_keys(most).unwrap().at_capacity(at_capacity).build();
    let alone = || KeyedRateLimiter::builder(Long(several[0])).clock(clock.clone()).build();
    let one = || alone().key(&());
    let oracle =
        Oracle { each: (0..KEYS).map(|_| one()).collect(), shared: one(), most, at_capacity };
    for (number, deed) in deeds.iter().enumerate() {
        match *deed {
            Deed::Try(key, cost) | Deed::Refund(key, cost) => {
                oracle.settle_who_is_kept(key, &limiter);
                let own = limiter.key(&key.to_le_bytes());
                let asked = own.try_acquire_many(cost);
                let said = asked.as_ref().map(|permit| permit.decision()).map_err(Clone::clone);
                let is_refunded = matches!(deed, Deed::Refund(..));
                if let (Ok(permit), true) = (asked, is_refunded) {
                    permit.refund();
                }
                let Some(expected) = oracle.limiter(key) else {
                    let reason = said.as_ref().map_err(|refusal| refusal.reason());
                    prop_assert_eq!(reason.err(), Some(Reason::TooManyKeys), "deed {}", number);
                    continue;
                };
                let expected = expected.try_acquire_many(cost);
                let right = expected.as_ref().map(|permit| permit.decision()).map_err(Clone::clone);
                prop_assert_eq!(said, right, "deed {}: {:?}", number, deed);
                if let (Ok(permit), true) = (expected, is_refunded) {
                    permit.refund();
                }
            }
            Deed::Charge(key, cost) => {
                oracle.settle_who_is_kept(key, &limiter);
                let charged = limiter.key(&key.to_le_bytes()).charge(cost);
                let expected = oracle.limiter(key);
                prop_assert_eq!(charged.is_ok(), expected.is_some(), "deed {}", number);
                expected.map(|limiter| limiter.charge(cost)).transpose().unwrap();
            }
            Deed::Set(next) => {
                limiter.set_algorithm(*next.get(&several));
                for one in oracle.each.iter().chain([&oracle.shared]) {
                    one.set_algorithm(Long(*next.get(&several)));
                }
            }
            Deed::Evict => {
                limiter.evict();
                prop_assert_eq!(limiter.keys(), oracle.in_use(), "deed {}", number);
            }
            Deed::On(by) => clock.advance(by),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_new_key_is_refused_when_all_that_may_be_kept_are_in_use_and_only_then(
        most in 1..8_usize,
        deeds in prop::collection::vec(deed(), 1..200),
    ) {
        find_room_as_the_oracle_says(most, AtCapacity::Refuse, &deeds)?;
    }

    #[test]
    fn keys_that_find_no_room_are_one_and_the_others_keep_their_limits(
        most in 1..8_usize,
        deeds in prop::collection::vec(deed(), 1..200),
    ) {
        find_room_as_the_oracle_says(most, AtCapacity::ShareOne, &deeds)?;
    }
}
