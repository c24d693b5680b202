//! What a layer adds to a service that does nothing, when every call is let through.

use crate::harness::{Bound, Length, Stat, Table, at_another_place, interleave};
use axum::body::Body;
use http::{Request, Response, StatusCode};
use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tower::{Layer, Service, limit};
use tower_governor::{
    GovernorLayer, governor::GovernorConfigBuilder, key_extractor::GlobalKeyExtractor,
};
use tower_ratelimit::{LeakyBucket, ManualClock, Rate, RateLimitLayer, RateLimiter};

/// What one limit of ours may add, as a multiple of what tower's `RateLimit` adds.
const MOST: f64 = 2.5;

/// A round gives each row this many slices, in turn, and counts the median one, so that it does
/// not matter when something else took the processor in between.
const SLICES: usize = 30;
const SLICE: Duration = Duration::from_millis(1);

/// Calls between two looks at the clock.
const CALLS: u32 = 256;

// Where the rows are that others are compared with.
const BARE: usize = 0;
const TOWER: usize = 1;
const OURS: usize = 2;

struct Row {
    name: &'static str,
    /// How many slices it had.
    turn: usize,
    /// Makes this many calls.
    run: Box<dyn FnMut(u32)>,
}

pub fn run(length: Length) -> Vec<Bound> {
    let rounds = length.pick(25, 2);
    // tower's RateLimit and our waits have a timer, and a timer needs a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("the system has threads and timers");
    let _entered = runtime.enter();
    let mut rows = rows();
    let seconds = SLICE.as_secs_f64() * (SLICES * rows.len() * rounds) as f64;
    println!("## layer\n");
    println!(
        "Nanoseconds of `poll_ready` + `call` + polling the response, every call let through: \
         {} rows, {rounds} rounds of {SLICES} slices of {SLICE:?} each, {seconds:.0} s in all.\n",
        rows.len(),
    );
    interleave(&mut rows, 1, slice);
    let samples = measure(&mut rows, rounds);
    print(&rows, &samples);
    let ratios = ratios(&samples, OURS);
    vec![Bound::new(
        "layer: one limit of ours adds, over what tower's RateLimit adds",
        &ratios,
        0.0..=MOST,
    )]
}

/// Nanoseconds a call, by row and round.
fn measure(rows: &mut [Row], rounds: usize) -> Vec<Vec<f64>> {
    let mut samples = vec![Vec::new(); rows.len()];
    for _ in 0..rounds {
        let slices = interleave(rows, SLICES, slice);
        for (samples, slices) in samples.iter_mut().zip(slices) {
            samples.push(Stat::of(&slices).median);
        }
    }
    samples
}

fn slice(row: &mut Row) -> f64 {
    row.turn += 1;
    at_another_place(row.turn, || calls(&mut row.run))
}

fn calls(run: &mut impl FnMut(u32)) -> f64 {
    let start = Instant::now();
    let mut calls = 0.0;
    loop {
        run(CALLS);
        calls += f64::from(CALLS);
        let elapsed = start.elapsed();
        if elapsed >= SLICE {
            return elapsed.as_secs_f64() * 1e9 / calls;
        }
    }
}

fn print(rows: &[Row], samples: &[Vec<f64>]) {
    let mut table =
        Table::new(["service", "ns a call [p25-p75]", "added", "over tower's RateLimit"]);
    for (index, row) in rows.iter().enumerate() {
        let (added, ratio) = match index {
            BARE => Default::default(),
            _ => (
                Stat::of(&added(samples, index)).show(1),
                Stat::of(&ratios(samples, index)).show(2),
            ),
        };
        table.row([row.name.into(), Stat::of(&samples[index]).show(1), added, ratio]);
    }
    println!("{table}");
}

/// What a row takes longer than the bare service, by round.
fn added(samples: &[Vec<f64>], row: usize) -> Vec<f64> {
    let pairs = samples[row].iter().zip(&samples[BARE]);
    pairs.map(|(row, bare)| row - bare).collect()
}

fn ratios(samples: &[Vec<f64>], row: usize) -> Vec<f64> {
    let (ours, towers) = (added(samples, row), added(samples, TOWER));
    ours.iter().zip(towers).map(|(ours, tower)| ours / tower).collect()
}

fn rows() -> Vec<Row> {
    // A permit keeps for one interval, here 1 ms, and that is longer than from `poll_ready` to
    // `call`. The burst is larger than the run.
    let bucket = leaky_bucket(1000, 4_000_000_000);
    // Here the interval is over before `call`. What becomes of the permit then is ours to say.
    let fastest = leaky_bucket(1_000_000_000, 1_000_000_000);
    // The bucket has leaked empty before the next call. Nothing is to be had from knowing that
    // there is room for many more.
    let small = leaky_bucket(1_000_000_000, 10);
    let timeless = RateLimiter::builder(bucket).clock(ManualClock::new()).build();
    let tower = limit::rate::Rate::new(u64::MAX, Duration::from_secs(1));
    let governor = GovernorConfigBuilder::default()
        .per_nanosecond(1)
        .burst_size(1_000_000_000)
        .key_extractor(GlobalKeyExtractor)
        .finish()
        .expect("neither the period nor the burst is zero");
    let per_key = || RateLimitLayer::per_key(|_: &Request<Body>| 1_u64, bucket);
    vec![
        row("bare", Nothing),
        row("tower RateLimit (not `Clone`)", limit::RateLimit::new(Nothing, tower)),
        row("ours, one limit", RateLimitLayer::new(bucket).layer(Nothing)),
        row("ours, one limit, one permit a ns", RateLimitLayer::new(fastest).layer(Nothing)),
        row("ours, one limit, a burst of 10", RateLimitLayer::new(small).layer(Nothing)),
        row("ours, one limit, clock stands still", RateLimitLayer::new(timeless).layer(Nothing)),
        row("ours, per key, one u64", per_key().layer(Nothing)),
        row("ours, per key, may wait", per_key().wait().layer(Nothing)),
        row("tower ConcurrencyLimit", limit::ConcurrencyLimitLayer::new(1024).layer(Nothing)),
        row("tower_governor, one key", GovernorLayer::new(governor).layer(Nothing)),
    ]
}

fn leaky_bucket(a_second: u32, capacity: u32) -> LeakyBucket {
    let rate = Rate::per_second(a_second).expect("one permit takes a nanosecond at least");
    let bucket = LeakyBucket::new(rate).capacity(capacity);
    bucket.expect("the bucket leaks empty within 250 years")
}

fn row<S>(name: &'static str, mut service: S) -> Row
where
    S: Service<Request<Body>, Response = Response<Body>, Error: fmt::Debug> + 'static,
{
    let run = move |calls| {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..calls {
            let Poll::Ready(Ok(())) = service.poll_ready(&mut context) else {
                panic!("{name} is not ready");
            };
            let request = black_box(Request::new(Body::empty()));
            let response = pin!(service.call(request)).poll(&mut context);
            let Poll::Ready(Ok(response)) = black_box(response) else {
                panic!("{name} has no response at once");
            };
            assert_eq!(response.status(), StatusCode::OK, "{name}");
        }
    };
    let run = Box::new(run);
    Row { name, turn: 0, run }
}

/// A service that is always ready and answers at once.
#[derive(Clone)]
struct Nothing;

impl Service<Request<Body>> for Nothing {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request<Body>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(Body::empty())))
    }
}
