//! Agreement with something so simple that it is unlikely to be wrong.

use proptest::prelude::*;
use std::time::Duration;
use tokio_test::task;
use tower_ratelimit::{JointLimiter, ManualClock, Rate, RateLimiter, SlidingWindow};

fn ns(nanoseconds: u64) -> Duration {
    Duration::from_nanos(nanoseconds)
}

fn rate(permits: u32, period: u64) -> Rate {
    Rate::new(permits, ns(period)).unwrap()
}

/// A limit of so many permits in any window so long, as a list of what was taken.
struct Naive {
    permits: u32,
    period: u64,
    taken: Vec<(usize, u64, u32)>,
}

impl Naive {
    fn has(&self, key: usize, at: u64, cost: u32) -> bool {
        let counts = |taken: &&(usize, u64, u32)| taken.0 == key && taken.1 + self.period > at;
        let used: u32 = self.taken.iter().filter(counts).map(|taken| taken.2).sum();
        used + cost <= self.permits
    }
}

/// Which limit, which key, how many permits.
type Asked = Vec<(usize, usize, u32)>;

const LIMITS: [(u32, u64); 3] = [(2, 7), (3, 20), (5, 31)];

fn asked() -> impl Strategy<Value = Asked> {
    let parts = [0, 1, 2].map(|limit| (Just(limit), 0..2_usize, 0..3_u32));
    parts.prop_map(|parts| parts.into_iter().filter(|part| part.2 > 0).collect())
}

fn naive() -> Vec<Naive> {
    let empty = |(permits, period)| Naive { permits, period, taken: Vec::new() };
    LIMITS.into_iter().map(empty).collect()
}

fn grants(limits: &[Naive], asked: &Asked, at: u64) -> bool {
    asked.iter().all(|(limit, key, cost)| limits[*limit].has(*key, at, *cost))
}

fn take(limits: &mut [Naive], asked: &Asked, at: u64) {
    for (limit, key, cost) in asked {
        limits[*limit].taken.push((*key, at, *cost));
    }
}

/// The limiter, and a call of it.
fn joint(
    clock: &ManualClock,
) -> (JointLimiter, impl Fn(&JointLimiter, &Asked) -> tower_ratelimit::limiter::OnLimits + use<>) {
    let mut limits = JointLimiter::builder().clock(clock.clone());
    let ids = LIMITS.map(|(permits, period)| {
        limits
            .limit(format!("{permits} in {period}"), SlidingWindow::new(rate(permits, period)))
            .unwrap()
    });
    let call = move |limiter: &JointLimiter, asked: &Asked| {
        // One of no cost, so that there is a call at all.
        let none = limiter.on_many(ids[0], &0_usize, 0);
        asked.iter().fold(none, |call, (limit, key, cost)| call.on_many(ids[*limit], key, *cost))
    };
    (limits.build(), call)
}

proptest! {
    /// Nothing is let go too early or too late, all limits or none are taken, and the wait of a
    /// refusal is that which trying every nanosecond finds.
    #[test]
    fn tries_agree_with_trying_every_nanosecond(
        steps in prop::collection::vec((0..12_u64, asked()), 1..40),
    ) {
        let clock = ManualClock::new();
        let (limiter, call) = joint(&clock);
        let mut limits = naive();
        let mut now = 0;
        for (passed, asked) in steps {
            now += passed;
            clock.advance(ns(passed));
            let call = call(&limiter, &asked);
            let peeked = call.peek().decision().retry_after();
            match call.try_acquire() {
                Ok(_) => {
                    prop_assert!(grants(&limits, &asked, now));
                    prop_assert_eq!(peeked, Some(Duration::ZERO));
                    take(&mut limits, &asked, now);
                }
                Err(refused) => {
                    let first = (now..).find(|at| grants(&limits, &asked, *at)).unwrap();
                    prop_assert!(first > now);
                    prop_assert_eq!(refused.retry_after(), Some(ns(first - now)));
                    prop_assert_eq!(peeked, refused.retry_after());
                }
            }
        }
    }

    /// A call is let go at the first nanosecond at which it is the first at each of its keys and
    /// all limits grant, and that was known when it got in line.
    #[test]
    fn lines_agree_with_looking_every_nanosecond(
        joins in prop::collection::vec((0..6_u64, asked()), 1..14),
        order in any::<u64>(),
    ) {
        let clock = ManualClock::new();
        let (limiter, call) = joint(&clock);
        let mut limits = naive();
        let mut joins = joins.into_iter().peekable();
        let (mut due, mut now) = (0, 0);
        // Each with when it ought to be let go by what was known when it came, and whether it was.
        let mut waiting: Vec<(Asked, _, u64, bool)> = Vec::new();
        while joins.peek().is_some() || !waiting.is_empty() {
            while let Some((passed, asked)) = joins.next_if(|(passed, _)| due + passed <= now) {
                due += passed;
                let call = call(&limiter, &asked);
                let known = call.peek().decision().retry_after().unwrap();
                let known = now + u64::try_from(known.as_nanos()).unwrap();
                let mut joined = task::spawn(call.acquire());
                let is_ready = joined.poll().is_ready();
                waiting.push((asked, joined, known, is_ready));
            }
            let mut expected = Vec::new();
            for index in 0..waiting.len() {
                let asked = &waiting[index].0;
                let shares = |other: &Asked| {
                    asked.iter().any(|a| other.iter().any(|b| (a.0, a.1) == (b.0, b.1)))
                };
                let is_behind = (0..index).any(|before| {
                    !expected.contains(&before) && shares(&waiting[before].0)
                });
                if !is_behind && grants(&limits, asked, now) {
                    take(&mut limits, asked, now);
                    expected.push(index);
                }
            }
            // Looked at in any order.
            let (turn, calls) = (usize::try_from(order % 13).unwrap(), waiting.len());
            for index in (0..calls).map(|n| (n + turn) % calls) {
                let (_, call, _, is_ready) = &mut waiting[index];
                *is_ready = *is_ready || call.poll().is_ready();
            }
            let ready: Vec<usize> = (0..waiting.len()).filter(|index| waiting[*index].3).collect();
            prop_assert_eq!(&ready, &expected, "at {}", now);
            for index in ready.into_iter().rev() {
                prop_assert_eq!(waiting.remove(index).2, now, "the wait was known");
            }
            now += 1;
            clock.advance(ns(1));
        }
    }

    /// Several rates of one key are what `SlidingWindow::all` does.
    #[test]
    fn several_rates_of_one_key_agree_with_one_algorithm_of_several_rates(
        steps in prop::collection::vec((0..12_u64, 0..4_u32), 1..60),
    ) {
        let clock = ManualClock::new();
        let rates = [rate(2, 7), rate(3, 20), rate(4, 31)];
        let algorithm = SlidingWindow::all(rates).unwrap();
        let single = RateLimiter::builder(algorithm).clock(clock.clone()).build();
        let mut limits = JointLimiter::builder().clock(clock.clone());
        let ids = rates.map(|rate| limits.limit(rate.to_string(), SlidingWindow::new(rate)).unwrap());
        let limiter = limits.build();
        for (passed, cost) in steps {
            clock.advance(ns(passed));
            let call = ids.into_iter().fold(limiter.on_many(ids[0], &(), 0), |call, id| call.on_many(id, &(), cost));
            match (call.try_acquire(), single.try_acquire_many(cost)) {
                (Ok(_), Ok(_)) => {}
                (Err(joint), Err(single)) => {
                    prop_assert_eq!(joint.reason(), single.reason());
                    prop_assert_eq!(joint.retry_after(), single.retry_after());
                }
                (joint, single) => prop_assert!(false, "{:?} but {:?}", joint, single),
            }
        }
    }
}
