//! The rate that tasks reach which do nothing but ask for permits, in real time.

use crate::{
    harness::{Bound, Length, Stat, Table, interleave, watched},
    waiting::{self, Wait},
};
use std::{
    fmt, hint,
    ops::RangeInclusive,
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinSet};
use tower_ratelimit::{
    Algorithm, BurstCompensating, Clock, LeakyBucket, Rate, RateLimiter, Strict,
};

const A_SECOND: u32 = 1000;
/// Closer than tokio's timer ticks, for the precise clock.
const MANY_A_SECOND: u32 = 5000;

/// How many tasks ask for permits, each in a loop.
const TASKS: [usize; 2] = [1, 16];

/// The achieved rate over the rate set, where we promise it.
const ALLOWED: RangeInclusive<f64> = 0.998..=1.002;

/// The same for `Strict` with the precise clock, which never makes up for what it lost.
const ALLOWED_STRICT: RangeInclusive<f64> = 0.95..=1.0;

/// How long before its instant the floor is awake, as is a caller with the precise clock.
const AWAKE: Duration = Duration::from_micros(120);

/// What passes at once through our bucket, and is not counted.
const CAPACITY: u32 = 10;

struct Row {
    name: &'static str,
    /// The rate set, in calls a second.
    set: u32,
    /// What the achieved rate over the rate set may be, where it is promised.
    promised: Option<RangeInclusive<f64>>,
    tasks: usize,
    run: Run,
}

/// Returns the achieved rate, in calls a second.
type Run = Box<dyn Fn(&Runtime, Duration) -> f64>;

/// What the smallest burst does not make up for with certainty, when a processor stands still.
const STANDS_STILL: Duration = Duration::from_millis(4);

/// How often a round is measured at most in which one did.
const ATTEMPTS: usize = 6;

/// The rounds in which the machine stood still.
#[derive(Default)]
struct Still {
    again: usize,
    kept: usize,
}

impl Still {
    /// What a round came to in which no processor stood still, or else for the shortest time.
    fn least(&mut self, attempts: usize, round: impl Fn() -> f64) -> f64 {
        let (mut rate, mut still) = watched(&round);
        for _ in 1..attempts {
            if still < STANDS_STILL {
                break;
            }
            self.again += 1;
            let again = watched(&round);
            if again.1 < still {
                (rate, still) = again;
            }
        }
        self.kept += usize::from(still >= STANDS_STILL);
        rate
    }
}

impl fmt::Display for Still {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { again, kept } = self;
        write!(
            f,
            "{again} rounds were measured again, as a processor stood still for {STANDS_STILL:?} or \
             longer; in {kept} of those that count one did.",
        )
    }
}

pub fn run(length: Length) -> Vec<Bound> {
    // Many short ones, as what the machine stands still is lost, and should be in few of them.
    let rounds = length.pick(15, 1);
    let span = length.pick(Duration::from_secs(1), Duration::from_millis(100));
    let mut rows: Vec<Row> = TASKS.into_iter().flat_map(rows).collect();
    rows.push(floor());
    let seconds = (span * (rounds * rows.len()) as u32).as_secs();
    println!("## pacing\n");
    println!(
        "Calls a second of tasks that only ask for permits, at {A_SECOND} a second unless said \
         otherwise, on two threads: {} rows, {rounds} rounds of {span:?} each, {} min {} s in all at the least.\n",
        rows.len(),
        seconds / 60,
        seconds % 60,
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("the system has threads and timers");
    let mut still = Still::default();
    let attempts = length.pick(ATTEMPTS, 1);
    let samples =
        interleave(&mut rows, rounds, |row| still.least(attempts, || (row.run)(&runtime, span)));
    println!("{still}\n");
    for tasks in TASKS {
        let of_these = rows.iter().zip(&samples).filter(|(row, _)| row.tasks == tasks);
        print(tasks, of_these);
    }
    rows.iter().zip(&samples).filter_map(|(row, rates)| bound(row, rates)).collect()
}

fn print<'a>(tasks: usize, rows: impl Iterator<Item = (&'a Row, &'a Vec<f64>)>) {
    let mut table = Table::new(["limiter", "calls a second [p25-p75]", "over the rate set"]);
    for (row, rates) in rows {
        let over = Stat::of(&over_the_rate_set(row, rates)).median;
        let over = format!("{:+.2} %", (over - 1.0) * 100.0);
        table.row([row.name.into(), Stat::of(rates).show(1), over]);
    }
    println!("{}:\n\n{table}", plural(tasks));
}

fn bound(row: &Row, rates: &[f64]) -> Option<Bound> {
    let name = format!("pacing: {}, {}, over the rate set", row.name, plural(row.tasks));
    Some(Bound::new(name, &over_the_rate_set(row, rates), row.promised.clone()?))
}

fn over_the_rate_set(row: &Row, rates: &[f64]) -> Vec<f64> {
    rates.iter().map(|rate| rate / f64::from(row.set)).collect()
}

fn plural(tasks: usize) -> String {
    match tasks {
        1 => "1 task".into(),
        more => format!("{more} tasks"),
    }
}

fn rows(tasks: usize) -> Vec<Row> {
    let rate = || Rate::per_second(A_SECOND).expect("a rate that can be set");
    let bucket = move || LeakyBucket::new(rate()).capacity(CAPACITY);
    let bucket = move || bucket().expect("a capacity that can be set");
    let capacity = CAPACITY as usize;
    let promised = |row| Row { promised: Some(ALLOWED), ..row };
    let many = |row| Row { set: MANY_A_SECOND, ..row };
    vec![
        promised(row("ours, BurstCompensating", tasks, 0, move || {
            ours(BurstCompensating::new(rate()), tasks)
        })),
        promised(row("ours, LeakyBucket", tasks, capacity, move || ours(bucket(), tasks))),
        row("ours, Strict", tasks, 0, move || ours(Strict::new(rate()), tasks)),
        many(row("ours, Strict, 5000 a second", tasks, 0, move || {
            strict(Clock::monotonic(), tasks)
        })),
        Row {
            promised: Some(ALLOWED_STRICT),
            ..many(row("ours, Strict, 5000 a second, precise clock", tasks, 0, move || {
                strict(Clock::precise(), tasks)
            }))
        },
        row("governor", tasks, 0, move || handles(waiting::governor(A_SECOND, 1), tasks)),
        row("governor, a burst of 10", tasks, capacity, move || {
            handles(waiting::governor(A_SECOND, CAPACITY), tasks)
        }),
        row("leaky-bucket, 1 at most", tasks, 0, move || {
            handles(waiting::leaky_bucket(A_SECOND, 1), tasks)
        }),
        row("leaky-bucket, 10 at most", tasks, 0, move || {
            handles(waiting::leaky_bucket(A_SECOND, 10), tasks)
        }),
        row("async-rate-limiter", tasks, 0, move || {
            handles(waiting::async_rate_limiter(A_SECOND), tasks)
        }),
        row("tokio-rate-limit", tasks, 0, move || {
            handles(waiting::tokio_rate_limit(A_SECOND), tasks)
        }),
        match tasks {
            // It is not `Clone`: one task can do without the Buffer.
            1 => row("tower RateLimit", tasks, 0, || vec![waiting::tower(A_SECOND)]),
            _ => row("tower RateLimit + Buffer", tasks, 0, move || {
                handles(waiting::tower_and_buffer(A_SECOND), tasks)
            }),
        },
    ]
}

/// A row whose limiter is made anew for each run, with a handle for each task. The first `skipped`
/// calls are not counted.
fn row<W: Wait>(
    name: &'static str,
    tasks: usize,
    skipped: usize,
    make: impl Fn() -> Vec<W> + 'static,
) -> Row {
    let run = move |runtime: &Runtime, span| {
        let calls = runtime.block_on(async { calls(make(), span).await });
        rate(calls.get(skipped..).unwrap_or_default())
    };
    Row { name, set: A_SECOND, promised: None, tasks, run: Box::new(run) }
}

/// A thread that keeps the distance of `Strict` with the precise clock, and does nothing else.
fn floor() -> Row {
    let run =
        |_: &Runtime, span| rate(&distant_calls(Duration::from_secs(1) / MANY_A_SECOND, span));
    let name = "floor: a thread that sleeps, 5000 a second";
    Row { name, set: MANY_A_SECOND, promised: None, tasks: 1, run: Box::new(run) }
}

fn distant_calls(distance: Duration, span: Duration) -> Vec<Instant> {
    let mut now = Instant::now();
    let end = now + span;
    let mut calls = Vec::with_capacity(1 << 15);
    while now < end {
        calls.push(now);
        let due = now + distance;
        // The system wakes a thread late.
        thread::sleep((due - AWAKE).saturating_duration_since(Instant::now()));
        now = Instant::now();
        while now < due {
            hint::spin_loop();
            now = Instant::now();
        }
    }
    calls
}

/// Lets each handle call in a task of its own, and returns when the calls were let go, in order.
async fn calls<W: Wait>(handles: Vec<W>, span: Duration) -> Vec<Instant> {
    let end = Instant::now() + span;
    let mut tasks = JoinSet::new();
    for mut handle in handles {
        tasks.spawn(async move {
            let mut calls = Vec::with_capacity(1 << 13);
            loop {
                handle.wait().await;
                let now = Instant::now();
                if now >= end {
                    return calls;
                }
                calls.push(now);
            }
        });
    }
    let mut calls = tasks.join_all().await.concat();
    calls.sort();
    calls
}

/// Intervals between the calls, a second.
fn rate(calls: &[Instant]) -> f64 {
    match calls {
        [first, .., last] => (calls.len() - 1) as f64 / (*last - *first).as_secs_f64(),
        _ => 0.0,
    }
}

fn handles<W: Clone>(handle: W, tasks: usize) -> Vec<W> {
    vec![handle; tasks]
}

fn ours<A: Algorithm>(algorithm: A, tasks: usize) -> Vec<RateLimiter<A>> {
    handles(RateLimiter::new(algorithm), tasks)
}

fn strict(clock: Clock, tasks: usize) -> Vec<RateLimiter<Strict>> {
    let rate = Rate::per_second(MANY_A_SECOND).expect("a rate that can be set");
    handles(RateLimiter::builder(Strict::new(rate)).clock(clock).build(), tasks)
}
