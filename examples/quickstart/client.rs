//! The reqwest clients: one for each algorithm, all of them given the same calls.

use crate::{
    RUN, Result,
    audit::{self, Audited},
    table::{Promise, Row},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tower::ServiceBuilder;
use tower_ratelimit::{
    Algorithm, Clock, Error, Nanos, Rate, RateLimitLayer, RateLimiter, http::reqwest::Client,
};

/// How many calls come at once in the beginning.
pub(crate) const FIRST_CALLS: u32 = 25;
/// How many come each second from then on.
pub(crate) const CALLS_A_SECOND: u32 = 30;
/// How long a call waits.
pub(crate) const MAX_WAIT: Duration = Duration::from_millis(250);

/// What all clients share.
pub(crate) struct Load {
    pub(crate) start: Instant,
    /// All limits count on it, so that what they count can be drawn on one line.
    pub(crate) clock: Clock,
    pub(crate) http: reqwest::Client,
    /// Where the server is.
    pub(crate) server: String,
}

/// When calls really went out, in order.
#[derive(Clone, Default)]
struct Stamps(Arc<Mutex<Vec<Nanos>>>);

impl Stamps {
    fn push(&self, now: Nanos) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(now);
    }

    fn take(&self) -> Vec<Nanos> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Calls the server through a client that this algorithm limits.
pub(crate) async fn run<A: Algorithm>(
    name: &'static str,
    rate: Rate,
    algorithm: A,
    load: &Load,
) -> Result<Row> {
    let limiter = RateLimiter::builder(Audited::new(algorithm)).clock(load.clock.clone()).build();
    let stamps = Stamps::default();

    // The limit outside, the stamp inside: it is taken when the limit calls the client.
    let stamp = {
        let (clock, stamps) = (load.clock.clone(), stamps.clone());
        move |request: reqwest::Request| {
            stamps.push(clock.now());
            request
        }
    };
    let layers = ServiceBuilder::new()
        .layer(RateLimitLayer::new(limiter.clone()).max_wait(MAX_WAIT))
        .map_request(stamp)
        .into_inner();
    let client = Client::new(load.http.clone(), layers);

    let url = format!("{}/open", load.server);
    let mut calls = JoinSet::new();
    for at in arrivals() {
        sleep_until(load.start + at).await;
        calls.spawn(client.get(&url).send());
    }
    let mut row = Row::new(name, rate);
    while let Some(call) = calls.join_next().await {
        row.calls += 1;
        match call? {
            Ok(response) => drop(response.error_for_status()?),
            Err(Error::Limited(refusal)) => row.refused(refusal.retry_after()),
            Err(Error::Inner(error)) => return Err(error.into()),
        }
    }
    row.admitted = stamps.take();
    row.promise = promise(&limiter, &row.admitted);
    Ok(row)
}

/// Counted from the start.
fn arrivals() -> impl Iterator<Item = Duration> {
    let first = std::iter::repeat_n(Duration::ZERO, FIRST_CALLS as usize);
    let steady = (1..).map(|call| Duration::from_secs(1) * call / CALLS_A_SECOND);
    first.chain(steady.take_while(|at| *at < RUN))
}

/// How the calls compare with what the limit promises.
fn promise<A: Algorithm>(limiter: &RateLimiter<Audited<A>>, calls: &[Nanos]) -> Promise {
    let second = Duration::from_secs(1);
    let instants = audit::instants(limiter);
    let lag = audit::lag(&instants, calls);
    Promise {
        seen: audit::most_in(&instants, second),
        promised: limiter.algorithm().most_in(second),
        lag: lag.clone().unwrap_or_default(),
        broken: audit::broken_promise(&*limiter.algorithm(), &instants).or(lag.err()),
    }
}
