//! What the server writes is what the client reads.

use super::{
    call,
    property::{build, limit, members},
};
use http::{HeaderMap, HeaderName, Request, StatusCode};
use proptest::prelude::*;
use std::time::{Duration, SystemTime};
use tower_ratelimit::{
    JointLayer, JointLimiter, ManualClock,
    http::{
        FieldGeneration::{Draft11, XRateLimit},
        Heard, Left, RateLimitFields, TooManyRequests,
    },
};

/// What a client hears of these lines.
fn heard(status: u16, told: &[String]) -> Heard {
    let header = |line: &String| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())
    };
    let headers: HeaderMap = told.iter().map(header).collect();
    let status = StatusCode::from_u16(status).unwrap();
    Heard::read(status, &headers, SystemTime::UNIX_EPOCH)
}

/// Each limit as a parser of structured fields reads it; where it is full, by the window of its
/// policy.
fn written(told: &[String]) -> Vec<Left> {
    let policies = members(told, "ratelimit-policy");
    let left = members(told, "ratelimit").into_iter().filter_map(|(name, state)| {
        let value = |parameters: &[(String, i64)], key| {
            let number = parameters.iter().find(|(name, _)| name == key)?.1;
            u64::try_from(number).ok()
        };
        let window = || {
            let (_, policy) = policies.iter().find(|(other, _)| *other == name)?;
            value(policy, "w")
        };
        let within = Duration::from_secs(value(&state, "t").or_else(window)?);
        Some(Left { calls: value(&state, "r")?, within })
    });
    left.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_client_hears_the_strictest_limit_and_the_wait_that_the_server_wrote(
        limits in prop::collection::vec(limit(), 1..5),
        pauses in prop::collection::vec(0..2_000_000_000_u64, 1..15),
    ) {
        let clock = ManualClock::new();
        let (limiter, ids) = build(&limits, &clock);
        let rules = move |limits: &JointLimiter, _: &Request<()>| {
            let (first, cost) = ids[0];
            let call = limits.on_many(first, &(), cost);
            ids[1..].iter().fold(call, |call, (id, cost)| call.on_many(*id, &(), *cost))
        };
        let layer = JointLayer::new(limiter, rules).reply(TooManyRequests);
        let drafts = layer.clone().fields(RateLimitFields::always(Draft11)).unwrap();
        let trios = layer.fields(RateLimitFields::always(XRateLimit)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for pause in pauses {
            clock.advance(Duration::from_nanos(pause));
            for (layer, is_draft) in [(&drafts, true), (&trios, false)] {
                let (status, told) = runtime.block_on(call(layer, "/"));
                let heard = heard(status, &told);
                prop_assert_eq!(heard.refused, status == 429);
                let find = |name: &str| {
                    let number = told.iter().find_map(|line| line.strip_prefix(name));
                    number.map(|number| number.parse::<u64>().unwrap())
                };
                let retry_after = find("retry-after: ").map(Duration::from_secs);
                prop_assert_eq!(heard.retry_after, retry_after);
                if is_draft {
                    let written = written(&told);
                    let left = heard.left.unwrap();
                    prop_assert!(written.contains(&left), "{:?}", told);
                    for other in written {
                        let [mine, others] = [(left, other), (other, left)]
                            .map(|(one, two)| one.within.as_nanos() * u128::from(two.calls));
                        prop_assert!(mine >= others, "{:?} instead of {:?}", left, other);
                    }
                } else {
                    let pair = find("x-ratelimit-remaining: ").zip(find("x-ratelimit-reset: "));
                    let left = pair.map(|(calls, seconds)| {
                        Left { calls, within: Duration::from_secs(seconds) }
                    });
                    prop_assert_eq!(heard.left, left);
                }
            }
        }
    }
}
