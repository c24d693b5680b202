//! What the series are called.

use super::{paced, watched};
use metrics::{Unit, with_local_recorder};
use metrics_util::{MetricKind, debugging::DebuggingRecorder};
use tower_ratelimit::{KeyedRateLimiter, RateLimiter};

#[test]
fn names_kinds_units_and_labels_are_fixed_and_all_series_are_there_from_the_start() {
    use MetricKind::{Counter, Gauge, Histogram};
    let watched = watched(|| KeyedRateLimiter::builder(paced()).name("logins").build());
    let mut series: Vec<_> = watched
        .snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, unit, description, _)| {
            assert!(description.is_some_and(|description| !description.is_empty()));
            let labels =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value()));
            let labels = labels.collect::<Vec<_>>().join(",");
            (key.key().name().to_owned(), labels, key.kind(), unit.unwrap())
        })
        .collect();
    series.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let only = "limit=logins";
    let mut expected = vec![
        ("rate_limit_admitted_total", only.to_owned(), Counter, Unit::Count),
        ("rate_limit_evicted_total", only.to_owned(), Counter, Unit::Count),
        ("rate_limit_keys", only.to_owned(), Gauge, Unit::Count),
        ("rate_limit_wait_seconds", only.to_owned(), Histogram, Unit::Seconds),
        ("rate_limit_waiting", only.to_owned(), Gauge, Unit::Count),
    ];
    let reasons = [
        "cancelled",
        "closed",
        "exhausted",
        "queue_full",
        "too_costly",
        "too_many_keys",
        "unavailable",
        "used_up",
    ];
    expected.splice(
        3..3,
        reasons.map(|reason| {
            let labels = format!("limit=logins,reason={reason}");
            ("rate_limit_refused_total", labels, Counter, Unit::Count)
        }),
    );
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(name, labels, kind, unit)| (name.to_owned(), labels, kind, unit))
        .collect();
    assert_eq!(series, expected);
}

#[test]
fn a_limit_without_a_name_has_no_label_and_one_without_keys_counts_none() {
    let watched = watched(|| RateLimiter::new(paced()));
    for (key, ..) in watched.snapshotter.snapshot().into_vec() {
        assert!(key.key().labels().all(|label| label.key() == "reason"), "{key:?}");
        let name = key.key().name();
        assert!(!["rate_limit_keys", "rate_limit_evicted_total"].contains(&name));
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_in_no_label() {
    let mut watched = watched(|| KeyedRateLimiter::new(paced()));
    for _ in 0..2 {
        let _ = watched.limiter.key("secret").try_acquire();
    }
    assert_eq!(watched.says(), "admitted_total=1, keys=1, refused_total used_up=1");
    for (key, ..) in watched.snapshotter.snapshot().into_vec() {
        assert!(!format!("{key:?}").contains("secret"));
    }
}

#[test]
fn a_limit_built_before_there_is_a_recorder_is_not_watched() {
    let recorder = DebuggingRecorder::new();
    let limiter = RateLimiter::new(paced());
    with_local_recorder(&recorder, || limiter.try_acquire().unwrap());
    assert!(recorder.snapshotter().snapshot().into_vec().is_empty());
}
