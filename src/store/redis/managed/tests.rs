//! When a connection is made anew, with one that is a number: how many there were before it.

use super::{Connect, ManagedConnection, Signs};
use crate::{
    clock::{Clock, before},
    nanos::Nanos,
};
use redis::{ErrorKind, RedisError, RedisResult};
use std::{
    future,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{join, runtime};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What the future comes to within this time.
async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let (clock, start) = started();
    before(&clock, start + time.into(), future).await
}

async fn sleep(time: Duration) {
    within(time, future::pending::<()>()).await;
}

/// A clock, and what it shows.
fn started() -> (Clock, Nanos) {
    let clock = Clock::monotonic();
    let now = clock.now();
    (clock, now)
}

/// Who makes the connections of a test.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Made>>);

#[derive(Default)]
struct Made {
    connections: Vec<Signs>,
    /// How long each takes.
    takes: Duration,
    /// How often it fails from now on.
    failures: u32,
}

impl Server {
    async fn connection(&self) -> ManagedConnection<usize> {
        let server = self.clone();
        let connect: Connect<usize> = Box::new(move |signs| {
            let server = server.clone();
            Box::pin(async move {
                let takes = server.made().takes;
                sleep(takes).await;
                server.connect(signs)
            })
        });
        ManagedConnection::new(connect, RedisError::is_io_error).await.expect("connects at once")
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.0.lock().expect("nobody panicked")
    }

    fn connect(&self, signs: Signs) -> RedisResult<usize> {
        let mut made = self.made();
        if made.failures > 0 {
            made.failures -= 1;
            return Err(refused());
        }
        made.connections.push(signs);
        Ok(made.connections.len() - 1)
    }

    fn connections(&self) -> usize {
        self.made().connections.len()
    }

    /// The last connection is lost.
    fn cut(&self) {
        self.made().connections.last().expect("it connected").lose();
    }
}

fn refused() -> RedisError {
    (ErrorKind::Io, "refused").into()
}

impl ManagedConnection<usize> {
    /// Which one is asked.
    async fn which(&self) -> usize {
        self.answers_after(ms(0)).await.expect("there is one")
    }

    /// The same where it takes so long to answer.
    async fn answers_after(&self, time: Duration) -> RedisResult<usize> {
        let answers = async |connection: &mut usize| {
            sleep(time).await;
            Ok(*connection)
        };
        self.call(answers).await
    }

    /// Asks somebody who says nothing.
    async fn asks_in_vain(&self, time: Duration) {
        let call = self.call(async |_| future::pending::<RedisResult<()>>().await);
        let answered = within(time, call).await;
        assert!(answered.is_none(), "{answered:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_lost_is_made_anew_before_the_next_call() {
    let server = Server::default();
    let connection = server.connection().await;
    assert_eq!(connection.which().await, 0);
    let (clock, start) = started();
    server.cut();
    server.cut();
    assert_eq!(connection.which().await, 1);
    assert_eq!(clock.now(), start);
    // It is lost once.
    sleep(ms(10_000)).await;
    assert_eq!((connection.which().await, server.connections()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn one_whose_error_says_so_is_made_anew() {
    let server = Server::default();
    let connection = server.connection().await;
    connection.call(async |_| Err::<(), _>(refused())).await.expect_err("it fails");
    assert_eq!(connection.which().await, 1);
    let other = || RedisError::from((ErrorKind::Client, "of no matter"));
    connection.call(async |_| Err::<(), _>(other())).await.expect_err("it fails");
    assert_eq!(connection.which().await, 1);
}

#[tokio::test(start_paused = true)]
async fn it_is_tried_again_ever_later_and_calls_end_with_each_try() {
    let server = Server::default();
    let connection = server.connection().await;
    server.made().failures = 5;
    let (clock, start) = started();
    server.cut();
    for tried_at in [0, 250, 750, 1750, 2750] {
        connection.answers_after(ms(0)).await.expect_err("it fails");
        assert_eq!(clock.now() - start, (ms(tried_at)).into());
    }
    assert_eq!(connection.which().await, 1);
    assert_eq!(clock.now() - start, (ms(3750)).into());
}

#[tokio::test(start_paused = true)]
async fn those_that_are_lost_again_and_again_are_not_made_all_the_time() {
    let server = Server::default();
    let connection = server.connection().await;
    let (clock, start) = started();
    for lost in 1..10 {
        server.cut();
        assert_eq!(connection.which().await, lost);
    }
    assert_eq!(clock.now() - start, (ms(8 * 250)).into());
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_nothing_is_replaced_after_a_quarter_of_a_second() {
    let server = Server::default();
    let connection = server.connection().await;
    assert_eq!(connection.which().await, 0);
    let hangs = connection.asks_in_vain(ms(10_000));
    let looks = async {
        sleep(ms(249)).await;
        assert_eq!(server.connections(), 1);
        sleep(ms(2)).await;
        assert_eq!((connection.which().await, server.connections()), (1, 2));
        // The new one answers, whatever becomes of those that asked the old one.
        sleep(ms(5000)).await;
        assert_eq!(server.connections(), 2);
    };
    join!(hangs, looks);
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_nothing_any_more_is_replaced_after_half_a_second() {
    let server = Server::default();
    let connection = server.connection().await;
    let answered = connection.answers_after(ms(100));
    let hangs = async {
        sleep(ms(120)).await;
        connection.asks_in_vain(ms(10_000)).await;
    };
    let looks = async {
        sleep(ms(499)).await;
        assert_eq!(server.connections(), 1);
        sleep(ms(2)).await;
        assert_eq!(connection.which().await, 1);
    };
    let (answered, ..) = join!(answered, hangs, looks);
    assert_eq!(answered, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn one_that_says_nothing_is_replaced_as_well_when_it_has_replaced_another() {
    let server = Server::default();
    let connection = server.connection().await;
    server.made().takes = ms(100);
    server.cut();
    // It waits for the second one, which does not answer it.
    let hangs = connection.asks_in_vain(ms(10_000));
    let looks = async {
        sleep(ms(100 + 250 + 101)).await;
        assert_eq!(connection.which().await, 2);
    };
    join!(hangs, looks);
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_others_is_kept() {
    let server = Server::default();
    let connection = server.connection().await;
    let answered = async {
        for _ in 0..20 {
            assert_eq!(connection.which().await, 0);
            sleep(ms(200)).await;
        }
    };
    join!(connection.asks_in_vain(ms(4000)), answered);
    assert_eq!(server.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_before_another_is_made_is_kept_and_given_more_time() {
    let server = Server::default();
    let connection = server.connection().await;
    server.made().takes = ms(100);
    for _ in 0..10 {
        assert_eq!(connection.answers_after(ms(300)).await, Ok(0));
    }
    // Another one was made once, in vain.
    assert_eq!(server.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_nothing_is_not_replaced_where_nobody_is() {
    let server = Server::default();
    let connection = server.connection().await;
    server.made().failures = 2;
    let hangs = connection.asks_in_vain(ms(10_000));
    let looks = async {
        // Tried after 250 ms and 500 ms more, and made after a second more.
        sleep(ms(1749)).await;
        assert_eq!((connection.which().await, server.connections()), (0, 1));
    };
    join!(hangs, looks);
}

#[tokio::test(start_paused = true)]
async fn nobody_looks_after_one_that_is_gone() {
    let server = Server::default();
    let connection = server.connection().await;
    server.made().failures = 1000;
    server.cut();
    sleep(ms(10_000)).await;
    drop(connection);
    sleep(ms(1000)).await;
    let failures = server.made().failures;
    sleep(ms(10_000)).await;
    assert_eq!(server.made().failures, failures);
    assert!(failures < 1000);
}

#[test]
fn calls_go_on_with_a_lost_one_when_its_runtime_has_ended() {
    let server = Server::default();
    let runtime =
        || runtime::Builder::new_current_thread().enable_time().build().expect("it starts");
    let (ends, goes_on) = (runtime(), runtime());
    let connection = ends.block_on(server.connection());
    server.cut();
    let waits = goes_on.spawn({
        let connection = connection.clone();
        async move { connection.which().await }
    });
    goes_on.block_on(tokio::task::yield_now());
    drop(ends);
    assert_eq!(goes_on.block_on(waits).expect("it ends"), 0);
    assert_eq!(goes_on.block_on(connection.which()), 0);
}
