//! Several limits: each counts under its own name.

use super::{ms, paced, watched, why};
use metrics_util::debugging::DebugValue;
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower_ratelimit::{AtCapacity, JointLimiter, LimitId, ManualClock, Quota};

/// All that is not zero, by limit: what is of several is of all.
#[derive(Default)]
pub(super) struct Read {
    totals: std::collections::BTreeMap<String, f64>,
}

impl Read {
    pub(super) fn says<L>(&mut self, watched: &super::Watched<L>) -> Vec<String> {
        for (key, _, _, value) in watched.snapshotter.snapshot().into_vec() {
            let key = key.key();
            let limit = key.labels().find(|label| label.key() == "limit");
            let limit = limit.map_or("all", |label| label.value());
            let name = key.name().strip_prefix("rate_limit_").unwrap();
            let more = match value {
                DebugValue::Counter(more) => f64::from(u32::try_from(more).unwrap()),
                DebugValue::Gauge(more) => more.into_inner(),
                DebugValue::Histogram(waits) => waits.iter().map(|wait| wait.into_inner()).sum(),
            };
            let series = format!("{limit}: {name} {}", why(key));
            *self.totals.entry(series.trim_end().to_owned()).or_default() += more;
        }
        let totals = self.totals.iter().filter(|(_, total)| **total != 0.0);
        totals.map(|(series, total)| format!("{series} {total}")).collect()
    }
}

fn limits() -> (super::Watched<JointLimiter>, LimitId, LimitId) {
    let watched = watched(|| {
        let mut limits = JointLimiter::builder();
        limits.limit("own", paced()).unwrap();
        limits.limit("quota", Quota::new(3).unwrap()).unwrap();
        limits.build()
    });
    let [own, quota] = ["own", "quota"].map(|name| watched.limiter.limit(name).unwrap());
    (watched, own, quota)
}

#[tokio::test(start_paused = true)]
async fn each_limit_counts_a_call_it_lets_go_and_the_binding_one_counts_a_refusal() {
    let (watched, own, quota) = limits();
    let (mut read, limiter) = (Read::default(), watched.limiter.clone());
    // Twice of the same limit is one call.
    drop(limiter.on(own, "a").on(own, "b").on(quota, &()).try_acquire().unwrap());
    drop(limiter.on_many(own, "c", 0).try_acquire().unwrap());
    limiter.on(own, "a").on(quota, &()).try_acquire().unwrap_err();
    limiter.on_many(quota, &(), 4).try_acquire().unwrap_err();
    limiter.on(own, "a").charge(1).unwrap();
    let expected = [
        "own: admitted_total 2",
        "own: keys 2",
        "own: refused_total used_up 1",
        "quota: admitted_total 1",
        "quota: keys 1",
        "quota: refused_total too_costly 1",
    ];
    assert_eq!(read.says(&watched), expected);
}

#[tokio::test(start_paused = true)]
async fn a_call_in_line_stands_in_the_line_of_each_of_its_limits() {
    let (watched, own, quota) = limits();
    let (mut read, limiter) = (Read::default(), watched.limiter.clone());
    let both = limiter.on(own, "a").on(own, "b").on(quota, &());
    drop(both.try_acquire().unwrap());
    let mut waiting = task::spawn(both.acquire());
    assert_pending!(waiting.poll());
    let mut dropped = task::spawn(both.acquire());
    assert_pending!(dropped.poll());
    let says = read.says(&watched);
    assert!(says.contains(&"own: waiting 2".to_owned()), "{says:?}");
    assert!(says.contains(&"quota: waiting 2".to_owned()), "{says:?}");
    drop(dropped);
    advance(ms(100)).await;
    let reserved = task::spawn(limiter.on(own, "c").reserve()).await.unwrap();
    drop(assert_ready_ok!(waiting.poll()));
    drop(reserved);
    let expected = [
        "own: admitted_total 2",
        "own: evicted_total 1",
        "own: keys 2",
        "own: wait_seconds 0.1",
        "quota: admitted_total 2",
        "quota: keys 1",
        "quota: wait_seconds 0.1",
    ];
    assert_eq!(read.says(&watched), expected);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_sent_away_is_refused_by_all_its_limits_and_one_let_pass_is_admitted() {
    let (watched, own, quota) = limits();
    let (mut read, limiter) = (Read::default(), watched.limiter.clone());
    let both = limiter.on(own, &()).on(quota, &());
    drop(both.try_acquire().unwrap());
    for act in [JointLimiter::cancel, JointLimiter::breach] {
        let mut waiting = task::spawn(both.acquire());
        assert_pending!(waiting.poll());
        advance(ms(10)).await;
        act(&limiter);
        let _ = waiting.poll();
    }
    let reserved = both.reserve().await.unwrap();
    reserved.commit().unwrap();
    drop(both.reserve().await.unwrap());
    limiter.close();
    assert_ready_err!(task::spawn(both.acquire()).poll());
    let expected = [
        "own: admitted_total 3",
        "own: keys 1",
        "own: refused_total cancelled 1",
        "own: refused_total closed 1",
        "own: wait_seconds 0.01",
        "quota: admitted_total 3",
        "quota: keys 1",
        "quota: refused_total cancelled 1",
        "quota: refused_total closed 1",
        "quota: wait_seconds 0.01",
    ];
    assert_eq!(read.says(&watched), expected);
}

#[test]
fn keys_add_up_with_those_that_were_forgotten() {
    let clock = ManualClock::new();
    let watched = watched(|| {
        let mut limits = JointLimiter::builder()
            .clock(clock.clone())
            .max_keys(2)
            .unwrap()
            .at_capacity(AtCapacity::Refuse);
        limits.limit("own", paced()).unwrap();
        limits.build()
    });
    let (mut read, limiter) = (Read::default(), watched.limiter.clone());
    let own = limiter.limit("own").unwrap();
    for key in ["a", "b", "c"] {
        let _ = limiter.on(own, key).try_acquire();
    }
    let full = ["own: admitted_total 2", "own: keys 2", "own: refused_total too_many_keys 1"];
    assert_eq!(read.says(&watched), full);
    clock.advance(ms(100));
    assert_eq!(limiter.evict(), 2);
    drop(limiter.on(own, "c").try_acquire().unwrap());
    limiter.on(own, "c").reset();
    drop(limiter.on(own, "d").try_acquire().unwrap());
    limiter.reset();
    assert_eq!(read.says(&watched)[1], "own: evicted_total 4");
    drop(limiter.on(own, "e").try_acquire().unwrap());
    assert_eq!(read.says(&watched)[2], "own: keys 1");
    let super::Watched { snapshotter, limiter: last, totals, waits, batches } = watched;
    drop((limiter, last));
    let watched = super::Watched { snapshotter, limiter: (), totals, waits, batches };
    assert!(!read.says(&watched).iter().any(|says| says.starts_with("own: keys")));
}
