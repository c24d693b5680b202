//! What a layer adds to a service that does nothing, when every call is let through.

use crate::{
    clocks,
    harness::{
        Bound, Floor, Length, Stat, Table, over,
        service::{Called, Nothing, SLICE, SLICES, added, nanoseconds, seconds},
    },
    memory::one::{Time, coarse, take},
};
use axum::body::Body;
use http::{Request, Response, StatusCode};
use std::{fmt, sync::atomic::AtomicU64, time::Duration};
use tower::{Layer, Service, limit};
use tower_governor::{
    GovernorLayer, governor::GovernorConfigBuilder, key_extractor::GlobalKeyExtractor,
};
use tower_ratelimit::{Clock, LeakyBucket, ManualClock, Rate, RateLimitLayer, RateLimiter};

/// What one limit of ours may add, as a multiple of what tower's `RateLimit` adds, by its clock.
const MOST: [(usize, f64); 3] = [(OURS, 2.3), (OURS_QUANTA, 1.25), (OURS_COARSE, 0.65)];

/// How far from its floor the one may be whose bound is out of reach.
const OVER_FLOOR: f64 = 1.25;

// Where the rows are that are compared with others.
const BARE: usize = 0;
const TOWER: usize = 1;
const OURS: usize = 2;
const OURS_QUANTA: usize = 3;
const OURS_COARSE: usize = 4;
const FLOOR: usize = 5;

pub fn run(length: Length) -> Vec<Bound> {
    let rounds = length.pick(25, 2);
    // tower's RateLimit and our waits have a timer, and a timer needs a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("the system has threads and timers");
    let _entered = runtime.enter();
    let mut rows = rows();
    println!("## layer\n");
    println!(
        "Nanoseconds of `poll_ready` + `call` + polling the response, every call let through: \
         {} rows, {rounds} rounds of {SLICES} slices of {SLICE:?} each, {:.0} s in all.\n",
        rows.len(),
        seconds(&rows, rounds),
    );
    let samples = nanoseconds(&mut rows, rounds);
    print(&rows, &samples);
    let bound = |(row, most): (usize, f64)| {
        let name = format!("layer: {} adds, over what tower's RateLimit adds", rows[row].name);
        let bound = Bound::new(name, &ratios(&samples, row), 0.0..=most);
        match row {
            OURS_COARSE => bound.with_floor(&ratios(&samples, FLOOR)).out_of_reach(OVER_FLOOR),
            _ => bound,
        }
    };
    MOST.map(bound).into()
}

fn print(rows: &[Called], samples: &[Vec<f64>]) {
    let mut table =
        Table::new(["service", "ns a call [p25-p75]", "added", "over tower's RateLimit"]);
    for (index, row) in rows.iter().enumerate() {
        let (added, ratio) = match index {
            BARE => Default::default(),
            _ => (
                Stat::of(&added(&samples[index], &samples[BARE])).show(1),
                Stat::of(&ratios(samples, index)).show(2),
            ),
        };
        table.row([row.name.into(), Stat::of(&samples[index]).show(1), added, ratio]);
    }
    println!("{table}");
}

fn ratios(samples: &[Vec<f64>], row: usize) -> Vec<f64> {
    let added = |row: usize| added(&samples[row], &samples[BARE]);
    over(&added(row), &added(TOWER))
}

fn rows() -> Vec<Called> {
    // A permit keeps for one interval, here 1 ms, and that is longer than from `poll_ready` to
    // `call`. The burst is larger than the run.
    let bucket = leaky_bucket(1000, 4_000_000_000);
    // Here the interval is over before `call`. What becomes of the permit then is ours to say.
    let fastest = leaky_bucket(1_000_000_000, 1_000_000_000);
    // The bucket has leaked empty before the next call. Nothing is to be had from knowing that
    // there is room for many more.
    let small = leaky_bucket(1_000_000_000, 10);
    let on = |clock: Clock| RateLimitLayer::new(RateLimiter::builder(bucket).clock(clock).build());
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
        row("ours, one limit, quanta clock", on(clocks::quanta()).layer(Nothing)),
        row("ours, one limit, coarse clock", on(clocks::coarse()).layer(Nothing)),
        row("floor: one word, coarse clock", Floor::new(Nothing, one_word())),
        row("ours, one limit, one permit a ns", RateLimitLayer::new(fastest).layer(Nothing)),
        row("ours, one limit, a burst of 10", RateLimitLayer::new(small).layer(Nothing)),
        row("ours, one limit, clock stands still", on(ManualClock::new().into()).layer(Nothing)),
        row("ours, per key, one u64", per_key().layer(Nothing)),
        row("ours, per key, may wait", per_key().wait().layer(Nothing)),
        row("tower ConcurrencyLimit", limit::ConcurrencyLimitLayer::new(1024).layer(Nothing)),
        row("tower_governor, one key", GovernorLayer::new(governor).layer(Nothing)),
    ]
}

/// Finds a slot for every call, as the coarse clock goes.
fn one_word<Request>() -> impl Fn(&Request) -> bool {
    let (time, next) = (coarse(), AtomicU64::new(0));
    move |_| take(&next, time.now(), 1_000_000, u64::MAX / 2)
}

fn leaky_bucket(a_second: u32, capacity: u32) -> LeakyBucket {
    let rate = Rate::per_second(a_second).expect("one permit takes a nanosecond at least");
    let bucket = LeakyBucket::new(rate).capacity(capacity);
    bucket.expect("the bucket leaks empty within 250 years")
}

fn row<S>(name: &'static str, service: S) -> Called
where
    S: Service<Request<Body>, Response = Response<Body>, Error: fmt::Debug> + 'static,
{
    Called::new(name, service, || Request::new(Body::empty()), StatusCode::OK)
}
