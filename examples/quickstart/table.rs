//! The table.

use crate::{RUN, Result};
use std::{ops::Range, time::Duration};
use tower_ratelimit::{Nanos, Rate};

/// How much time one character of the timeline stands for.
const COLUMN: Duration = Duration::from_millis(100);
/// When the achieved rate is measured: after the first burst, until the calls end.
const STEADY: Range<Duration> = Duration::from_secs(1)..RUN;

/// What became of the calls of one client.
pub(crate) struct Row {
    name: &'static str,
    rate: Rate,
    pub(crate) calls: usize,
    /// When calls were let go.
    pub(crate) admitted: Vec<Nanos>,
    refused: usize,
    retry_after: Option<Duration>,
    pub(crate) promise: Promise,
}

/// What the limit promises, and how that compares with what was seen.
#[derive(Default)]
pub(crate) struct Promise {
    /// The most calls in a second, on the server in a minute.
    pub(crate) seen: usize,
    pub(crate) promised: u64,
    /// How far calls were behind their permits, at most.
    pub(crate) lag: Duration,
    pub(crate) broken: Option<String>,
}

impl Row {
    pub(crate) fn new(name: &'static str, rate: Rate) -> Self {
        Self {
            name,
            rate,
            calls: 0,
            admitted: Vec::new(),
            refused: 0,
            retry_after: None,
            promise: Promise::default(),
        }
    }

    pub(crate) fn refused(&mut self, retry_after: Option<Duration>) {
        self.refused += 1;
        self.retry_after = self.retry_after.or(retry_after);
    }

    /// An error when the limit let more through than it promises.
    pub(crate) fn verdict(&self) -> Result<()> {
        match &self.promise.broken {
            Some(broken) => Err(format!("{} broke its promise: {broken}", self.name).into()),
            None => Ok(()),
        }
    }

    fn print(&self, achieved: &str) {
        print_line(
            [
                self.name,
                &self.rate.to_string(),
                achieved,
                &self.calls.to_string(),
                &self.admitted.len().to_string(),
                &self.refused.to_string(),
                &self.retry_after.map(whole_milliseconds).unwrap_or_default(),
                &format!("{} of {}", self.promise.seen, self.promise.promised),
            ],
            &self.timeline(),
        );
    }

    fn achieved(&self) -> f64 {
        self.admitted_in(STEADY) as f64 / (STEADY.end - STEADY.start).as_secs_f64()
    }

    fn timeline(&self) -> String {
        columns().map(|start| character(self.admitted_in(start..start + COLUMN))).collect()
    }

    fn admitted_in(&self, time: Range<Duration>) -> usize {
        self.admitted.iter().filter(|at| time.contains(&Duration::from(**at))).count()
    }
}

/// When the columns of the timeline begin.
fn columns() -> impl Iterator<Item = Duration> {
    (0..).map(|column| COLUMN * column).take_while(|start| *start < RUN)
}

fn character(calls: usize) -> char {
    match calls {
        0 => '.',
        1..=9 => char::from(b'0' + calls as u8),
        _ => '#',
    }
}

/// A mark at each full second.
fn axis() -> String {
    columns().map(|start| if start.subsec_nanos() == 0 { '|' } else { ' ' }).collect()
}

/// Rounded up, as a wait should be.
fn whole_milliseconds(wait: Duration) -> String {
    match wait.as_nanos().div_ceil(1_000_000) {
        wait if wait.is_multiple_of(1000) => format!("{} s", wait / 1000),
        wait => format!("{wait} ms"),
    }
}

fn print_line(
    [limit, set, achieved, calls, admitted, refused, retry, most]: [&str; 8],
    tail: &str,
) {
    println!(
        "{limit:<24} {set:>6} {achieved:>8} {calls:>5} {admitted:>8} {refused:>7} {retry:>11} {most:>8}  {tail}"
    );
}

/// Prints all rows, and what they mean.
pub(crate) fn print(clients: &[Row], servers: &[Row]) {
    let heads = ["set", "achieved", "calls", "admitted", "refused", "retry after", "most in"];
    let [set, achieved, calls, admitted, refused, retry, most] = heads;
    print_line(["CLIENT", set, achieved, calls, admitted, refused, retry, most], &axis());
    for row in clients {
        row.print(&format!("{:.1}/s", row.achieved()));
    }
    print_line(["SERVER", "", "", "", "", "", "", ""], &axis());
    for row in servers {
        row.print("");
    }
    let lag = clients.iter().map(|row| row.promise.lag).max().unwrap_or_default();
    println!(
        "\nachieved     once the first second, with its burst, is over\n\
         retry after  what the first refused call was told\n\
         most in      the most calls in any second (server: minute), of how many promised\n\
         timeline     calls let go in each {COLUMN:?}, # for ten and more; a mark every second\n\n\
         Calls went out at most {:.1} ms after the instant at which their limit counts them.",
        lag.as_secs_f64() * 1000.0
    );
}
