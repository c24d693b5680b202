//! Taking hold of a limiter over a store.

use super::{Slow, bucket, limiter, ms, refused, since};
use std::future::IntoFuture;
use tokio::time::{Instant, sleep};
use tower_ratelimit::{LeakyBucket, Reason, StoredLimiter};

type Limiter = StoredLimiter<LeakyBucket, Slow<LeakyBucket>>;

/// A limiter that is used up for 100 ms, and what becomes of a call that waits for it while something is done after 30 ms.
async fn while_one_waits(act: impl FnOnce(&Limiter)) -> (Limiter, Result<u128, Reason>) {
    let limiter = limiter(&Slow::new(0), bucket(100, 1));
    limiter.key("alice").acquire().await.unwrap();
    let start = Instant::now();
    let waits = tokio::spawn(limiter.key("alice").acquire().into_future());
    sleep(ms(30)).await;
    act(&limiter);
    let result = waits.await.unwrap();
    (
        limiter,
        result.map(|_| since(start)).map_err(|refusal| {
            assert_eq!(since(start), 30);
            refusal.reason()
        }),
    )
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_are_sent_away_and_their_turns_go_back() {
    let (limiter, waited) = while_one_waits(|limiter| limiter.cancel()).await;
    assert_eq!(waited, Err(Reason::Cancelled));
    let start = Instant::now();
    limiter.key("alice").acquire().await.unwrap();
    assert_eq!(since(start), 70);
}

#[tokio::test(start_paused = true)]
async fn each_of_many_is_sent_away_wherever_it_stands_and_whether_or_not_it_was_answered() {
    for answer_after in [0, 1_000] {
        let store = Slow::new(answer_after);
        let limiter = limiter(&store, bucket(100, 1));
        let calls: Vec<_> =
            (0..200).map(|_| tokio::spawn(limiter.key("alice").acquire().into_future())).collect();
        let start = Instant::now();
        sleep(ms(30)).await;
        limiter.cancel();
        let mut sent_away = 0;
        for call in calls {
            if call.await.unwrap().is_err_and(|refusal| refusal.reason() == Reason::Cancelled) {
                assert_eq!(since(start), 30);
                sent_away += 1;
            }
        }
        // One has passed, where there were answers.
        assert_eq!(sent_away, if answer_after == 0 { 199 } else { 200 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_breach_lets_everybody_pass_until_it_ends() {
    let (limiter, waited) = while_one_waits(|limiter| limiter.breach()).await;
    assert_eq!(waited, Ok(30));
    for _ in 0..10 {
        limiter.key("alice").try_acquire().await.unwrap();
    }
    limiter.end_breach();
    let refusal = refused(limiter.key("alice").try_acquire().await);
    assert_eq!(refusal.retry_after(), Some(ms(70)));
}

#[tokio::test(start_paused = true)]
async fn a_closed_limiter_lets_nobody_pass_and_closing_it_twice_changes_nothing() {
    let (limiter, waited) = while_one_waits(|limiter| limiter.close()).await;
    assert_eq!(waited, Err(Reason::Closed));
    limiter.close();
    limiter.breach();
    limiter.end_breach();
    assert_eq!(refused(limiter.key("bob").try_acquire().await).reason(), Reason::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_breach_that_ends_before_anybody_looks_has_let_go_those_who_waited() {
    let (limiter, waited) = while_one_waits(|limiter| {
        limiter.breach();
        limiter.end_breach();
    })
    .await;
    assert_eq!(waited, Ok(30));
    refused(limiter.key("alice").try_acquire().await);
}
