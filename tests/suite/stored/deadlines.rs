//! Who is told when that there is no answer.

use super::{Slow, bucket, builder, ms, refused, since, slow::Mood};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::channel,
    },
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::{JoinSet, yield_now},
    time::{Instant, sleep, timeout},
};
use tower_ratelimit::{Clock, LeakyBucket, Reason, limiter::StoredKey};

type Limit = StoredKey<LeakyBucket, Slow<LeakyBucket>>;

/// A store that never answers.
fn silent() -> Slow<LeakyBucket> {
    let store = Slow::new(0);
    store.set(Mood::Hangs);
    store
}

/// A limit with a deadline of 100 ms, of the runtime in which it is called.
fn limit(store: &Slow<LeakyBucket>) -> Limit {
    let builder = builder(store, bucket(1, 10)).deadline(ms(100)).unwrap();
    builder.breaker(100, ms(1)).unwrap().build().unwrap().key("alice")
}

/// After how many milliseconds a call from now on is told so.
async fn told(limit: Limit) -> u128 {
    let start = Instant::now();
    let told = timeout(ms(1000), limit.try_acquire()).await;
    assert_eq!(refused(told.expect("told")).reason(), Reason::Unavailable);
    since(start)
}

#[tokio::test(start_paused = true)]
async fn everybody_is_told_at_the_deadline_of_its_own() {
    for at_once in [1, 2] {
        let limit = limit(&silent().at_once(at_once));
        let calls = (0..60).map(|call| {
            let limit = limit.clone();
            async move {
                sleep(ms(3 * call)).await;
                told(limit).await
            }
        });
        let told = calls.collect::<JoinSet<_>>().join_all().await;
        assert!(told.iter().all(|after| *after == 100), "{at_once} at once: {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_sent() {
    let store = silent();
    let limit = limit(&store);
    leave_calls(&limit, 3).await;
    // Behind a batch that is given up at their own deadline.
    let calls: JoinSet<_> = (0..5).map(|_| told(limit.clone())).collect();
    assert!(calls.join_all().await.iter().all(|after| *after == 100));
    sleep(ms(5000)).await;
    assert_eq!(store.batches(), [1, 2]);
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Calls that are under way when this runtime stops: one by itself, the others in a batch, or behind one.
async fn leave_calls(limit: &Limit, calls: u64) {
    for _ in 0..calls {
        tokio::spawn(told(limit.clone()));
    }
    for _ in 0..10 {
        yield_now().await;
    }
}

/// Nobody drives the task that asks.
#[test]
fn a_caller_behind_another_runtime_keeps_its_own_time() {
    let (home, elsewhere) = (runtime(), runtime());
    let limit = home.block_on(async { limit(&silent()) });
    home.block_on(leave_calls(&limit, 3));
    assert_eq!(elsewhere.block_on(told(limit)), 100);
}

#[test]
fn a_caller_at_home_behind_another_runtime_keeps_its_own_time() {
    let (home, elsewhere) = (runtime(), runtime());
    let limit = home.block_on(async { limit(&silent()) });
    elsewhere.block_on(leave_calls(&limit, 3));
    assert_eq!(home.block_on(told(limit)), 100);
}

/// They would take those with them whose time is kept at home.
#[test]
fn before_those_who_wait_at_home_no_batch_leaves_from_elsewhere() {
    let (home, elsewhere) = (runtime(), runtime());
    let store = silent().at_once(2);
    let limit = home.block_on(async { limit(&store) });
    home.block_on(leave_calls(&limit, 20));
    home.block_on(leave_calls(&limit, 3));
    elsewhere.block_on(leave_calls(&limit, 20));
    assert_eq!(store.batches(), [1, 19]);
    assert_eq!(home.block_on(told(limit)), 100);
}

/// The task that asks cannot run before it has ended.
#[test]
fn a_caller_behind_somebody_who_holds_up_the_runtime_keeps_its_own_time() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let limit = limit(&Slow::new(0));
        let permit = limit.try_acquire().await.unwrap();
        let (begun, begins) = oneshot::channel();
        let (told, is_told) = channel();
        let holds_up = tokio::spawn(async move {
            permit.refund();
            begun.send(()).unwrap();
            is_told.recv_timeout(Duration::from_secs(20))
        });
        begins.await.unwrap();
        drop(limit.try_acquire().await);
        told.send(()).unwrap();
        holds_up.await.unwrap().expect("told meanwhile");
    });
}

/// The clock is set back while so many others wait behind those who ask.
async fn delays_nobody(others: u64) {
    let start = Instant::now();
    let ahead = Arc::new(AtomicU64::new(3600));
    let clock = Clock::from_fn({
        let ahead = Arc::clone(&ahead);
        move || start.elapsed() + Duration::from_secs(ahead.load(Ordering::SeqCst))
    });
    let builder = builder(&silent(), bucket(1, 10)).deadline(ms(100)).unwrap().clock(clock);
    let limit = builder.build().unwrap().key("alice");
    leave_calls(&limit, 3).await;
    leave_calls(&limit, others).await;
    ahead.store(0, Ordering::SeqCst);
    assert_eq!(told(limit).await, 100);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_delays_nobody() {
    delays_nobody(0).await;
    // Whose time is kept by the task that asks.
    delays_nobody(1).await;
}

/// What goes back there lets nobody else ask until it is answered, or given up.
#[test]
fn what_goes_back_in_a_runtime_that_nobody_drives_holds_others_up_for_one_deadline() {
    let (home, elsewhere) = (runtime(), runtime());
    let store = Slow::new(0).at_once(2);
    let limit = home.block_on(async { limit(&store) });
    let permit = home.block_on(limit.try_acquire()).unwrap();
    elsewhere.block_on(async {
        store.set(Mood::Hangs);
        permit.refund();
        leave_calls(&limit, 0).await;
        store.set(Mood::Answers);
    });
    home.block_on(async {
        assert_eq!(told(limit.clone()).await, 100);
        // The clocks of the two are set apart by what passed between their beginnings.
        sleep(ms(5000)).await;
        limit.try_acquire().await.unwrap();
    });
}
