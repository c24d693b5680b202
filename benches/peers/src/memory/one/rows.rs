//! What is compared.

use super::{
    floors,
    limited::{Limited, limited},
    peers,
};
use crate::{clocks, harness::Limit};

pub const OURS: &str = "ours, quanta clock";
pub const OURS_COARSE: &str = "ours, coarse clock";
pub const GOVERNOR: &str = "governor (quanta clock)";
pub const GOVERNOR_REMAINING: &str = "governor, with remaining";

/// One limit of some crate.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    make: fn(Limit) -> Box<dyn Limited>,
}

impl Row {
    /// A limit of which nothing is used yet, or nothing is left.
    ///
    /// # Panics
    ///
    /// When it does not do what it should.
    pub fn make(self, limit: Limit) -> Box<dyn Limited> {
        let made = (self.make)(limit);
        if limit == Limit::Gone {
            made.ask_in_a_row(4);
        }
        let granted = made.ask_in_a_row(1000);
        let is_right = match limit {
            Limit::Ample => granted == 1000,
            // Some know nothing slower than one a second.
            Limit::Gone => granted <= 1,
        };
        assert!(is_right, "{} lets {granted} of 1000 through", self.name);
        made
    }
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |name, make| rows.push(Row { name, make });
    row("floor: one word, std clock", |limit| floors::gcra(limit, floors::std()));
    row("floor: one word, quanta clock", |limit| floors::gcra(limit, floors::quanta()));
    row("floor: one word, coarse clock", |limit| floors::gcra(limit, floors::coarse()));
    row("ours, std clock", |limit| peers::ours(limit, clocks::std()));
    row(OURS, |limit| peers::ours(limit, clocks::quanta()));
    row(OURS_COARSE, |limit| peers::ours(limit, clocks::coarse()));
    row(GOVERNOR, peers::governor);
    row(GOVERNOR_REMAINING, peers::governor_remaining);
    row("governor, std clock", peers::governor_std);
    row("leaky-bucket", |limit| peers::leaky_bucket(limit, true));
    row("leaky-bucket, unfair", |limit| peers::leaky_bucket(limit, false));
    row("ratelimit", peers::ratelimit);
    row("axum_gcra", peers::axum_gcra);
    row("gcra, in a Mutex", peers::gcra);
    row("async-rate-limiter", peers::async_rate_limiter);
    row("tokio-rate-limit, one key", peers::tokio_rate_limit);
    row("trypema, one key", peers::trypema);
    row("pacekeeper, one key", peers::pacekeeper);
    row("limitador", peers::limitador);
    row("tokio Semaphore", |limit| {
        let permits = match limit {
            Limit::Ample => tokio::sync::Semaphore::MAX_PERMITS,
            Limit::Gone => 0,
        };
        let semaphore = tokio::sync::Semaphore::new(permits);
        limited(move || semaphore.try_acquire().map(|permit| permit.forget()).is_ok())
    });
    row("clock alone, std", |limit| floors::clock(limit, floors::std()));
    row("clock alone, quanta", |limit| floors::clock(limit, floors::quanta()));
    row("clock alone, coarse", |limit| floors::clock(limit, floors::coarse()));
    rows
}
