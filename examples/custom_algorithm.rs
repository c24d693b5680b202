//! Arithmetic of your own: a quota for each hour of the day that is larger at night.
//!
//! ```text
//! cargo run --example custom_algorithm
//! ```
//!
//! Many services count calls by the hour on the clock and allow more when they have little to do:
//! here two an hour, and five from 22:00 to 06:00. All of it is in [`Algorithm::decide`], a function of
//! a state, an instant and a question. It then serves a call that tries, one that waits and a
//! layer. The clock is one that is moved by hand, so that the night comes at once. Whether it keeps its
//! contract says a kit, in the test at the end.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use std::{convert::Infallible, error::Error, time::Duration};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_ratelimit::{
    Algorithm, Ask, Decision, Error as Failure, Grant, Invalid, ManualClock, Nanos, Outcome, Rate,
    RateLimitLayer, RateLimiter, Take,
    algorithm::{Spent, WAKE_UP},
};

const HOUR: Nanos = Nanos::new(3_600_000_000_000);

struct ByTheHour {
    /// By day and by night.
    rates: [Rate; 2],
    /// The time of day at which the limiter's clock began: an algorithm reads no clock.
    began: Nanos,
}

/// How many permits of an hour were used; hours count from the midnight before the clock began.
#[derive(Clone, Copy, Default)]
struct Used {
    hour: u64,
    permits: u32,
}

impl ByTheHour {
    fn new(by_day: u32, by_night: u32, began: Duration) -> Result<Self, Invalid> {
        let rates = [Rate::per_hour(by_day)?, Rate::per_hour(by_night)?];
        Ok(Self { rates, began: began.into() })
    }

    /// Which rate holds in this hour.
    fn rate_in(&self, hour: u64) -> usize {
        usize::from(!(6..22).contains(&(hour % 24)))
    }

    fn quota(&self, hour: u64) -> u32 {
        self.rates[self.rate_in(hour)].permits()
    }

    /// A call of a higher cost would have to wait for the night, and hold up all who stand in line
    /// behind it.
    fn highest_cost(&self) -> u32 {
        let [by_day, by_night] = self.rates.map(|rate| rate.permits());
        by_day.min(by_night)
    }

    fn hour_of(&self, now: Nanos) -> u64 {
        (now + self.began) / HOUR
    }

    fn start_of(&self, hour: u64) -> Nanos {
        Nanos::new(HOUR.get().saturating_mul(hour)) - self.began
    }

    /// The state as it is now. An hour that was counted in is not left again for an earlier one,
    /// should the clock be set back.
    fn current(&self, used: Used, now: Nanos) -> Used {
        match self.hour_of(now) {
            hour if hour > used.hour => Used { hour, permits: 0 },
            _ => used,
        }
    }

    fn look(&self, Used { hour, permits }: Used, now: Nanos, take: Take) -> Decision {
        let limit = self.quota(hour);
        let remaining = limit.saturating_sub(permits);
        let outcome = if take.cost > self.highest_cost() {
            Outcome::Never
        } else if take.cost > remaining {
            Outcome::Later(self.start_of(hour + 1) - now)
        } else {
            Outcome::Granted(Grant { cost: take.cost, at: now.max(self.start_of(hour)) })
        };
        let full_after = self.new_at(&Used { hour, permits }) - now;
        Decision { outcome, limit, remaining, full_after, rate: self.rate_in(hour) }
    }

    fn granted(&self, used: Used, now: Nanos, grant: Grant) -> Decision {
        Decision { outcome: Outcome::Granted(grant), ..self.look(used, now, Take::fresh(0)) }
    }
}

impl Algorithm for ByTheHour {
    type State = Used;

    type Permits = Spent;

    fn decide(&self, state: &mut Used, now: Nanos, ask: Ask) -> Decision {
        let mut used = self.current(*state, now);
        match ask {
            // What the take would answer: a copy of the state is told of it.
            Ask::Peek(take) => self.decide(&mut { *state }, now, Ask::Take(take)),
            Ask::Take(take) => {
                let decision = self.look(used, now, take);
                let (Outcome::Granted(grant), 1..) = (decision.outcome, take.cost) else {
                    return decision;
                };
                used.permits += take.cost;
                *state = used;
                self.granted(used, now, grant)
            }
            // A call counts in the hour in which it takes place.
            Ask::Renew(grant) => {
                if self.hour_of(grant.at) != used.hour {
                    used.permits = used.permits.saturating_add(grant.cost);
                    *state = used;
                }
                let at = now.max(self.start_of(used.hour));
                self.granted(used, now, Grant { at, ..grant })
            }
            Ask::Charge(cost) => {
                used.permits = used.permits.saturating_add(cost);
                *state = used;
                self.granted(used, now, Grant { cost, at: now })
            }
            Ask::End(grant) => self.granted(used, now, grant),
            // What was taken in an earlier hour is forgotten already.
            Ask::GiveBack(grant) => {
                if self.hour_of(grant.at) == used.hour {
                    used.permits = used.permits.saturating_sub(grant.cost);
                    *state = used;
                }
                self.granted(used, now, grant)
            }
        }
    }

    fn new_at(&self, used: &Used) -> Nanos {
        self.start_of(used.hour + u64::from(used.permits > 0))
    }

    fn interval(&self) -> Nanos {
        let [by_day, by_night] = self.rates.map(|rate| rate.interval());
        by_day.min(by_night).into()
    }

    fn shelf_life(&self) -> Nanos {
        self.interval().max(WAKE_UP)
    }

    fn rate(&self, index: usize) -> Option<Rate> {
        self.rates.get(index).copied()
    }

    /// The larger quota for each hour that a window can touch, and a call may be as much later
    /// than its permit as a permit keeps.
    fn most_in(&self, length: Duration) -> u64 {
        let [by_day, by_night] = self.rates.map(|rate| u64::from(rate.permits()));
        let granted_in = match Nanos::from(length) {
            Nanos::ZERO => return 0,
            length => length + self.shelf_life() - Nanos::new(1),
        };
        let hours = (granted_in - Nanos::new(1)).get().div_ceil(HOUR.get()) + 1;
        by_day.max(by_night).saturating_mul(hours)
    }

    /// What was used in this hour stays used, whatever the quotas are.
    fn carry_over(&self, _: &Self, _: &mut Used, _: Nanos) {}
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let evening = Duration::from_secs(20 * 3600 + 1800); // 20:30
    let clock = ManualClock::new();
    let limiter = RateLimiter::builder(ByTheHour::new(2, 5, evening)?)
        .name("calls by the hour")
        .clock(clock.clone())
        .build();
    let time = || {
        let minutes = (evening + clock.now().into()).as_secs() / 60;
        format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
    };

    for _ in 0..3 {
        match limiter.try_acquire() {
            Ok(permit) => println!("{} granted, {} left", time(), permit.decision().remaining),
            Err(refusal) => println!("{} {refusal}", time()),
        }
    }

    // A call that waits, while the clock moves on by exactly as long as the refusal said.
    let (waited, ()) = tokio::join!(limiter.acquire(), async {
        clock.advance(Duration::from_secs(1800));
    });
    println!("{} waited for, {} left", time(), waited?.decision().remaining);

    clock.advance(Duration::from_secs(3600));
    let service = ServiceBuilder::new()
        .layer(RateLimitLayer::new(limiter.clone()).refuse())
        .service(service_fn(async |_: ()| Ok::<_, Infallible>("let through by the layer")));
    for _ in 0..6 {
        match service.clone().oneshot(()).await {
            Ok(answer) => println!("{} {answer}", time()),
            Err(Failure::Limited(refusal)) => println!("{} {refusal}", time()),
            Err(Failure::Inner(never)) => match never {},
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_ratelimit::conformance::{self, Violation};

    #[test]
    fn it_keeps_the_contract_of_an_algorithm() -> Result<(), Violation> {
        for began in [0, 5 * 3600, 20 * 3600 + 1800] {
            let limit = ByTheHour::new(2, 5, Duration::from_secs(began)).expect("rates are valid");
            conformance::algorithm(&limit)?;
        }
        Ok(())
    }
}
