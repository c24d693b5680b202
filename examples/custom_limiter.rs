//! A limiter of your own: the layers ask a service elsewhere, which keeps the quotas.
//!
//! ```text
//! cargo run --example custom_limiter
//! ```
//!
//! The quota service stands for a vendor's: an answer takes 20 ms, and each key gets three permits
//! in 300 ms. [`Limiter`] is what the layers ask, so its implementation is all that is needed: five
//! calls for one tenant wait for each other, those of another tenant for nobody, and a call that
//! is dropped before it takes place gives its permit back. Whether it keeps its contract says a kit,
//! in the test at the end.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use std::{
    collections::HashMap,
    convert::Infallible,
    error::Error,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_ratelimit::{
    Error as Failure, Key, KeyedLimiter, Limiter, Patience, RateLimitLayer, RateLimited, Reason,
    Terms,
    limiter::{Attempt, Perished},
};

const PERIOD: Duration = Duration::from_millis(300);
const PERMITS: u32 = 3;

/// The client of the vendor's service; clones share the quotas.
#[derive(Clone, Default)]
struct Quotas(Arc<Mutex<HashMap<Vec<u8>, Quota>>>);

struct Quota {
    since: Instant,
    used: u32,
}

impl Quotas {
    /// Takes permits of the present period, which it names, or says how long that still lasts.
    async fn take(&self, key: &[u8], cost: u32) -> Result<Instant, Duration> {
        sleep(Duration::from_millis(20)).await;
        let mut all = self.all();
        let quota = all.entry(key.to_vec()).or_insert(Quota { since: Instant::now(), used: 0 });
        if quota.since.elapsed() >= PERIOD {
            *quota = Quota { since: Instant::now(), used: 0 };
        }
        if quota.used + cost > PERMITS {
            return Err(PERIOD.saturating_sub(quota.since.elapsed()));
        }
        quota.used += cost;
        Ok(quota.since)
    }

    /// Puts permits back, unless their period is over.
    fn put_back(&self, key: &[u8], period: Instant, cost: u32) {
        match self.all().get_mut(key) {
            Some(quota) if quota.since == period => quota.used -= cost,
            _ => {}
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Quota>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Permits of the service. Unused ones go back when they are dropped, whether by a caller who gave
/// up or with a future that nobody waits for any more.
struct Lease {
    quotas: Quotas,
    key: Vec<u8>,
    period: Instant,
    cost: u32,
    taken: Instant,
    used: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.used {
            self.quotas.put_back(&self.key, self.period, self.cost);
        }
    }
}

/// Asks until there are permits, or the caller would rather be refused.
async fn lease(quotas: Quotas, key: Vec<u8>, terms: Terms) -> Result<Lease, RateLimited> {
    let refusal = |reason| RateLimited::new(reason).with_limit("quotas").with_cost(terms.cost);
    if terms.cost > PERMITS {
        return Err(refusal(Reason::TooCostly));
    }
    let start = Instant::now();
    let period = loop {
        // From here to the lease nothing is awaited, so no permits are lost with a dropped future.
        let wait = match quotas.take(&key, terms.cost).await {
            Ok(period) => break period,
            Err(wait) => wait,
        };
        let longest = match terms.patience {
            Patience::Forever | Patience::Timeout(_) => None,
            Patience::MaxWait(longest) => Some(longest),
            Patience::Now => Some(Duration::ZERO),
        };
        match longest {
            Some(longest) if start.elapsed() + wait > longest => {
                let refusal = refusal(Reason::UsedUp).with_retry_after(wait);
                return Err(refusal.with_max_wait(longest));
            }
            _ => sleep(wait).await,
        }
    };
    Ok(Lease { quotas, key, period, cost: terms.cost, taken: Instant::now(), used: false })
}

impl Limiter for Quotas {
    type Ticket = Lease;
    type Hold = ();
    type Wait = Pin<Box<dyn Future<Output = Result<Lease, RateLimited>> + Send>>;

    /// The answer is never there at once: even a call that will not wait needs the round trip.
    fn reserve<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<Lease, Self::Wait> {
        let mut bytes = Vec::new();
        key.write(&mut |part| bytes.extend_from_slice(part));
        let lease = lease(self.clone(), bytes, terms);
        Attempt::Later(match terms.patience {
            Patience::Timeout(longest) => Box::pin(async move {
                let late = RateLimited::new(Reason::UsedUp).with_max_wait(longest);
                timeout(longest, lease).await.unwrap_or(Err(late))
            }),
            _ => Box::pin(lease),
        })
    }

    /// A call never takes place at once, so all that can be had is a lease as ever.
    fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<(), Self::Wait> {
        self.reserve(key, terms).map(drop)
    }

    fn keeps(&self, lease: &Lease) -> bool {
        lease.taken.elapsed() < PERIOD / PERMITS
    }

    fn commit(&self, mut lease: Lease) -> Result<(), Perished> {
        // One that is too old goes back, as it is dropped unused.
        lease.used |= self.keeps(&lease);
        match lease.used {
            true => Ok(()),
            false => Err(Perished),
        }
    }

    fn give_back(&self, mut lease: Lease) {
        lease.used = false;
    }
}

/// It tells keys apart, so that `RateLimitLayer::per_key` takes it too.
impl KeyedLimiter for Quotas {}

struct Job {
    tenant: &'static str,
    number: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let worker = service_fn(move |Job { tenant, number }: Job| async move {
        println!("{:>4} ms: job {number} of {tenant}", start.elapsed().as_millis());
        Ok::<_, Infallible>(())
    });
    let quotas = Quotas::default();

    // Per tenant, and waiting.
    let layer = RateLimitLayer::per_key(|job: &Job| job.tenant, quotas.clone()).wait();
    let service = ServiceBuilder::new().layer(layer).service(worker);
    let alice = (1..=5).map(|number| Job { tenant: "alice", number });
    let jobs = alice.chain([Job { tenant: "bob", number: 1 }]);
    let calls: Vec<_> = jobs.map(|job| tokio::spawn(service.clone().oneshot(job))).collect();
    for call in calls {
        call.await??;
    }

    // All together, and refusing.
    let layer = RateLimitLayer::new(quotas).refuse();
    let mut service = ServiceBuilder::new().layer(layer).service(worker);
    // Ready and never called: what it holds goes back.
    service.clone().ready().await?;
    for number in 1..=4 {
        match service.ready().await?.call(Job { tenant: "carol", number }).await {
            Err(Failure::Limited(refusal)) => println!("  {number} for carol: {refusal}"),
            done => done?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_ratelimit::conformance::{Limits, Violation};

    #[tokio::test(start_paused = true)]
    async fn it_keeps_the_contract_of_a_limiter() -> Result<(), Violation> {
        let limits = Limits::new(PERMITS, PERIOD).latency(Duration::from_millis(20));
        limits.limiter(Quotas::default).await?;
        limits.keyed_limiter(Quotas::default).await
    }
}
