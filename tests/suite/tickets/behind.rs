//! Those in line behind a ticket are let go when it is given back, perishes, or counts no more.

use super::{ms, ticket, window};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower_ratelimit::{Limiter, RateLimiter, SlidingWindow, limiter::Ticket};

/// 20 in 2 s, so that a permit keeps for 100 ms; nothing is used, and one ticket is out.
async fn ticket_out() -> (RateLimiter<SlidingWindow>, Ticket) {
    let limiter = RateLimiter::new(window(20, 2000));
    limiter.commit(ticket(&limiter).unwrap()).unwrap();
    tokio::time::advance(ms(2000)).await;
    let out = ticket(&limiter).unwrap();
    (limiter, out)
}

#[tokio::test(start_paused = true)]
async fn who_needs_them_all_gets_a_permit_that_has_perished_at_once() {
    let (limiter, _forgotten) = ticket_out().await;
    tokio::time::advance(ms(5000)).await;
    let start = Instant::now();
    let heavy = limiter.acquire().cost(20);
    let (heavy, light) = tokio::join!(heavy, async {
        limiter.acquire().await.unwrap();
        start.elapsed()
    });
    heavy.unwrap();
    assert_eq!(light, ms(2000));
}

#[tokio::test(start_paused = true)]
async fn who_needs_them_all_gets_the_last_permit_when_it_goes_back() {
    let (limiter, out) = ticket_out().await;
    let mut heavy = task::spawn(limiter.acquire().cost(20));
    assert_pending!(heavy.poll());
    tokio::time::advance(ms(99)).await;
    assert_pending!(heavy.poll());
    limiter.give_back(out);
    assert!(heavy.is_woken());
    assert_ready_ok!(heavy.poll());
}

#[tokio::test(start_paused = true)]
async fn who_needs_them_all_waits_a_window_for_a_permit_that_is_used() {
    let (limiter, out) = ticket_out().await;
    let start = Instant::now();
    let (heavy, ()) = tokio::join!(limiter.acquire().cost(20), async {
        tokio::time::sleep(ms(60)).await;
        limiter.commit(out).unwrap();
        // While somebody waits, nobody overtakes.
        assert!(ticket(&limiter).is_none());
    });
    heavy.unwrap();
    assert_eq!(start.elapsed(), ms(2060));
}

/// Those who use their permits in the reverse order, with a line behind them.
#[tokio::test(start_paused = true)]
async fn nobody_gets_a_ticket_while_somebody_waits() {
    let (limiter, out) = ticket_out().await;
    let kept = [(); 3].map(|()| ticket(&limiter).unwrap());
    let mut heavy = task::spawn(limiter.acquire().cost(20));
    assert_pending!(heavy.poll());
    for ticket in kept.into_iter().rev() {
        limiter.commit(ticket).unwrap();
        assert!(super::ticket(&limiter).is_none());
    }
    assert!(limiter.keeps(&out));
    limiter.commit(out).unwrap();
    assert!(ticket(&limiter).is_none());
    tokio::time::advance(ms(2000)).await;
    assert_ready_ok!(heavy.poll());
}

#[tokio::test(start_paused = true)]
async fn a_permit_perishes_before_those_taken_after_it() {
    let (limiter, out) = ticket_out().await;
    limiter.try_acquire_many(18).unwrap();
    tokio::time::advance(ms(50)).await;
    let later = ticket(&limiter).unwrap();
    assert!(ticket(&limiter).is_none());
    tokio::time::advance(ms(50)).await;
    assert!(!limiter.keeps(&out) && limiter.keeps(&later));
    limiter.try_acquire().unwrap();
    assert!(limiter.try_acquire().is_err());
    assert!(limiter.commit(out).is_err());
    limiter.commit(later).unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_let_its_permits_perish_takes_nobody_elses_for_them() {
    let limiter = RateLimiter::new(window(20, 2000));
    limiter.try_acquire_many(2).unwrap();
    let mut asleep = task::spawn(limiter.acquire().cost(19));
    assert_pending!(asleep.poll());
    tokio::time::advance(ms(2000)).await;
    let _ = limiter.peek(0);
    assert!(asleep.is_woken());
    tokio::time::advance(ms(100)).await;
    limiter.commit(ticket(&limiter).unwrap()).unwrap();
    let out = ticket(&limiter).unwrap();
    assert_pending!(asleep.poll());
    assert!(limiter.commit(out).is_ok());
    assert_pending!(asleep.poll());
}
