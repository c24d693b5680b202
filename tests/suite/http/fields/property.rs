//! Whatever the limits and the instants: the fields are well-formed, and never promise too much.

use super::call;
use http::Request;
use proptest::prelude::*;
use sfv::{BareItem, FieldType, List, ListEntry, Parser};
use std::time::Duration;
use tower_ratelimit::{
    AnyAlgorithm, JointLayer, JointLimiter, LeakyBucket, LimitId, ManualClock, Rate,
    RateLimitLayer, RateLimiter, SlidingWindow,
    http::{FieldGeneration::Draft11, RateLimitFields, TooManyRequests},
};

/// The members of a field by name, with their parameters.
pub(super) fn members(told: &[String], field: &str) -> Vec<(String, Vec<(String, i64)>)> {
    let prefix = format!("{field}: ");
    let Some(value) = told.iter().find_map(|line| line.strip_prefix(&prefix)) else {
        return Vec::new();
    };
    let list: List = Parser::new(value).parse().unwrap();
    assert_eq!(list.serialize().unwrap(), value, "it is in its canonical form");
    let member = |entry: &ListEntry| {
        let ListEntry::Item(item) = entry else { panic!("{value}") };
        let BareItem::String(name) = &item.bare_item else { panic!("{value}") };
        let number = |(key, value): (&sfv::Key, &BareItem)| {
            let BareItem::Integer(number) = value else { panic!("{key:?}") };
            (key.as_str().to_owned(), i64::from(*number))
        };
        (name.as_str().to_owned(), item.params.iter().map(number).collect())
    };
    list.iter().map(member).collect()
}

#[derive(Clone, Debug)]
pub(super) struct Limit {
    name: String,
    permits: u32,
    period: Duration,
    capacity: u32,
    is_window: bool,
    cost: u32,
}

pub(super) fn limit() -> impl Strategy<Value = Limit> {
    let period = prop_oneof![
        1..3_000_u64,
        1_000_000..100_000_000_000_u64,
        Just(788_400_000 * 1_000_000_000)
    ];
    ("[ -~]{0,9}", 1..50_u32, period, 1..50_u32, any::<bool>(), 1..4_u32).prop_map(
        |(name, permits, nanos, capacity, is_window, cost)| {
            let period = Duration::from_nanos(nanos.max(permits.into()));
            Limit { name, permits, period, capacity, is_window, cost }
        },
    )
}

pub(super) fn build(limits: &[Limit], clock: &ManualClock) -> (JointLimiter, Vec<(LimitId, u32)>) {
    let mut builder = JointLimiter::builder().clock(clock.clone());
    let mut ids = Vec::new();
    for limit in limits {
        let rate = Rate::new(limit.permits, limit.period).unwrap();
        let bucket = || LeakyBucket::new(rate).capacity(limit.capacity);
        let id = match limit.is_window {
            true => builder.limit(&*limit.name, SlidingWindow::new(rate)),
            false => builder.limit(&*limit.name, bucket().unwrap_or(LeakyBucket::new(rate))),
        };
        ids.extend(id.map(|id| (id, limit.cost)));
    }
    (builder.build(), ids)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn fields_are_canonical_and_never_promise_too_much(
        limits in prop::collection::vec(limit(), 1..5),
        pauses in prop::collection::vec(0..2_000_000_000_u64, 1..20),
    ) {
        let clock = ManualClock::new();
        let (limiter, ids) = build(&limits, &clock);
        let subject = limiter.clone();
        let rules = move |limits: &JointLimiter, _: &Request<()>| {
            let (first, cost) = ids[0];
            let call = limits.on_many(first, &(), cost);
            ids[1..].iter().fold(call, |call, (id, cost)| call.on_many(*id, &(), *cost))
        };
        let call_now = rules.clone();
        let layer = JointLayer::new(limiter, rules).reply(TooManyRequests);
        let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for pause in pauses {
            clock.advance(Duration::from_nanos(pause));
            let (status, told) = runtime.block_on(call(&layer, "/"));
            let (policies, left) = (members(&told, "ratelimit-policy"), members(&told, "ratelimit"));
            prop_assert_eq!(policies.len(), subject.names().count());
            prop_assert_eq!(left.len(), policies.len());
            for (name, policy) in &policies {
                let limit = limits.iter().find(|limit| limit.name == *name).unwrap();
                let [(q, quota), (w, window)] = &policy[..] else { panic!("{policy:?}") };
                prop_assert_eq!((&**q, &**w), ("q", "w"));
                prop_assert!(*quota >= 0 && *window >= 1);
                // No more than the rate in the long run.
                let (quota, window) = (*quota as u128, *window as u128 * 1_000_000_000);
                prop_assert!(quota * limit.period.as_nanos() <= u128::from(limit.permits) * window);
                let (_, member) = left.iter().find(|(other, _)| other == name).unwrap();
                prop_assert_eq!(&*member[0].0, "r");
                prop_assert!(member[0].1 as u128 <= quota);
                prop_assert!(member[1..].iter().all(|(t, seconds)| t == "t" && *seconds >= 1));
            }
            let retry_after = told.iter().find_map(|line| line.strip_prefix("retry-after: "));
            prop_assert_eq!(retry_after.is_some() , status == 429 && left[0].1.len() == 2);
            if let Some(seconds) = retry_after {
                let seconds: u64 = seconds.parse().unwrap();
                prop_assert_eq!(left[0].1[1].1, i64::try_from(seconds).unwrap());
                // At the true wait it passes, and that is not after what was said.
                let wait = call_now(&subject, &Request::new(())).peek().decision().retry_after();
                let wait = wait.unwrap();
                prop_assert!(wait <= Duration::from_secs(seconds));
                prop_assert!(seconds == 1 || wait > Duration::from_secs(seconds - 1));
            }
        }
    }
}

/// Limits of all kinds that refill, as they are written.
const LINES: [&str; 9] = [
    "leaky bucket 3/s, capacity 5",
    "leaky bucket 40/min, capacity 20",
    "strict 2/s",
    "burst compensating 5/s",
    "token bucket 10/3s, capacity 15",
    "sliding window 4/1500ms",
    "sliding window 2/s and 3/4s and 5/min",
    "sliding window counter 7/2s",
    "fixed window 6/2s",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn who_asks_for_no_more_than_it_was_told_is_not_refused(
        line in prop::sample::select(&LINES[..]),
        before in prop::collection::vec(0..900_000_000_u64, 1..12),
        pauses in prop::collection::vec(0..1000_u64, 20),
    ) {
        let clock = ManualClock::new();
        let algorithm: AnyAlgorithm = line.parse().unwrap();
        let limiter = RateLimiter::builder(algorithm).clock(clock.clone()).build();
        let layer = RateLimitLayer::new(limiter.clone()).refuse().reply(TooManyRequests);
        let layer = layer.fields(RateLimitFields::always(Draft11)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut told = Vec::new();
        for pause in before {
            clock.advance(Duration::from_nanos(pause));
            told = runtime.block_on(call(&layer, "/")).1;
        }
        let (_, state) = &members(&told, "ratelimit")[0];
        let [(_, remaining), (_, seconds)] = &state[..] else { panic!("{state:?}") };
        // Within the time, in pauses that add up to no more than that.
        let most = Duration::from_secs(u64::try_from(*seconds).unwrap());
        for pause in pauses.iter().take(usize::try_from(*remaining).unwrap()) {
            let share = u32::try_from(*pause).unwrap();
            clock.advance(most * share / 20_000);
            prop_assert!(limiter.try_acquire().is_ok(), "{line}: {told:?}");
        }
    }
}
