//! Calls that were refused, and passed all the same.

use super::{paced, watched};
use metrics::{Unit, with_local_recorder};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower_ratelimit::{
    Enforcement, JointLimiter, KeyedRateLimiter, Limiter, Patience, RateLimiter, Terms,
    limiter::Attempt,
};

/// How many of so many calls at this instant pass.
fn passed(limiter: &impl Limiter, calls: usize) -> usize {
    let terms = Terms { cost: 1, patience: Patience::Now };
    let passes = |_: &usize| matches!(limiter.take(&(), terms), Attempt::Now(Ok(_)));
    (0..calls).filter(passes).count()
}

#[test]
fn in_the_shadow_the_limit_says_what_an_enforced_one_would() {
    let mut shadow = watched(|| RateLimiter::builder(paced()).name("pace").build());
    let mut twin = watched(|| RateLimiter::builder(paced()).name("pace").build());
    assert_eq!(passed(&Enforcement::shadow().of(shadow.limiter.clone()), 7), 7);
    assert_eq!(passed(&twin.limiter, 7), 1);
    assert_eq!(shadow.says(), twin.says());
    assert_eq!(twin.says(), "admitted_total=1, refused_total used_up=6");
}

#[test]
fn each_refusal_that_does_not_stand_counts_by_limit_and_reason() {
    let recorder = DebuggingRecorder::new();
    let limiter = KeyedRateLimiter::builder(paced()).name("logins").build();
    let quarter = Enforcement::percent(25.0).unwrap().of(limiter);
    let mut limits = JointLimiter::builder();
    let each = limits.limit("each", paced()).unwrap();
    let joint = Enforcement::shadow().of(limits.build().on_many(each, &"secret", 2));
    let nameless = RateLimiter::new(paced());
    nameless.close();
    let nameless = Enforcement::shadow().of(nameless);
    with_local_recorder(&recorder, || {
        // One has the permit, and of the eight others every fourth is turned away.
        assert_eq!(passed(&quarter, 9), 7);
        assert_eq!(passed(&joint, 2), 2);
        assert_eq!(passed(&nameless, 3), 3);
    });
    let mut series: Vec<_> = recorder.snapshotter().snapshot().into_vec();
    series.retain(|(key, ..)| key.key().name() == "rate_limit_unenforced_total");
    let mut says: Vec<_> = series
        .into_iter()
        .map(|(key, unit, description, value)| {
            assert_eq!(unit, Some(Unit::Count));
            assert!(description.is_some());
            let labels =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value()));
            let labels = labels.collect::<Vec<_>>().join(" ");
            match value {
                DebugValue::Counter(calls) => format!("{labels}: {calls}"),
                other => panic!("not a counter: {other:?}"),
            }
        })
        .collect();
    says.sort();
    let expected =
        ["limit=each reason=too_costly: 2", "limit=logins reason=used_up: 6", "reason=closed: 3"];
    assert_eq!(says, expected);
}
