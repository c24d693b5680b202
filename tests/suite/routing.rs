//! Which limit a call meets: looked up by its key, of any kind, at once or after a while.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_ratelimit::{
    AnyAlgorithm, Key, KeyedLimiter, KeyedRateLimiter, Limiter, RateLimitLayer, RateLimited,
    Reason, Terms,
    limiter::{Attempt, Perished, Ticket},
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn limit(line: &str) -> AnyAlgorithm {
    line.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_key_can_have_a_limit_of_another_kind() {
    let limiter = KeyedRateLimiter::new(limit("strict 1/s"));
    limiter.set_algorithm_for("gold", limit("leaky bucket 10/s, capacity 5")).unwrap();
    limiter.set_algorithm_for("trial", limit("quota 2")).unwrap();
    let granted = |key: &str| {
        let key = limiter.key(key);
        let granted = (0..9).filter(|_| key.try_acquire().is_ok()).count();
        (granted, key.try_acquire().unwrap_err())
    };
    let outcome = |key| {
        let (granted, refused) = granted(key);
        (granted, refused.reason(), refused.retry_after())
    };
    assert_eq!(outcome("anybody"), (1, Reason::UsedUp, Some(ms(1000))));
    assert_eq!(outcome("gold"), (5, Reason::UsedUp, Some(ms(100))));
    assert_eq!(outcome("trial"), (2, Reason::Exhausted, None));
}

/// Looks up the plan of a key when it comes for the first time, which takes 30 ms.
#[derive(Clone)]
struct ByPlan {
    limits: KeyedRateLimiter<AnyAlgorithm>,
    known: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl ByPlan {
    async fn look_up(&self, key: &Vec<u8>) {
        if self.known.lock().unwrap().contains(key) {
            return;
        }
        sleep(ms(30)).await;
        let plan = match key.ends_with(b"gold") {
            true => "leaky bucket 10/s, capacity 2",
            false => "strict 1/s",
        };
        self.limits.set_algorithm_for(key, limit(plan)).unwrap();
        self.known.lock().unwrap().push(key.clone());
    }
}

impl Limiter for ByPlan {
    type Ticket = Ticket;
    type Hold = <KeyedRateLimiter<AnyAlgorithm> as Limiter>::Hold;
    type Wait = Pin<Box<dyn Future<Output = Result<Ticket, RateLimited>> + Send>>;

    fn reserve<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<Ticket, Self::Wait> {
        let mut bytes = Vec::new();
        key.write(&mut |part| bytes.extend_from_slice(part));
        let limiter = self.clone();
        Attempt::Later(Box::pin(async move {
            limiter.look_up(&bytes).await;
            match limiter.limits.reserve(&bytes, terms) {
                Attempt::Now(answer) => answer,
                Attempt::Later(waiting) => waiting.await,
            }
        }))
    }

    fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<Self::Hold, Self::Wait> {
        match self.reserve(key, terms) {
            Attempt::Later(wait) => Attempt::Later(wait),
            Attempt::Now(_) => unreachable!("it has to look up the plan"),
        }
    }

    fn keeps(&self, ticket: &Ticket) -> bool {
        self.limits.keeps(ticket)
    }

    fn commit(&self, ticket: Ticket) -> Result<Self::Hold, Perished> {
        self.limits.commit(ticket)
    }

    fn give_back(&self, ticket: Ticket) {
        self.limits.give_back(ticket);
    }
}

impl KeyedLimiter for ByPlan {}

#[tokio::test(start_paused = true)]
async fn a_limit_can_be_looked_up_when_its_key_comes_for_the_first_time() {
    let limits = KeyedRateLimiter::new(limit("quota 1"));
    let layer = RateLimitLayer::per_key(
        |tenant: &&'static str| *tenant,
        ByPlan { limits, known: Arc::default() },
    );
    let start = Instant::now();
    let inner = service_fn(move |_| async move { Ok::<_, std::io::Error>(start.elapsed()) });
    let mut service = layer.layer(inner);
    let mut instants = Vec::new();
    for tenant in ["all gold", "all gold", "all gold", "a trial", "a trial"] {
        let called = service.ready().await.unwrap().call(tenant).await;
        let refused = |error: tower_ratelimit::Error<_>| error.limited().unwrap().retry_after();
        instants.push(called.map_err(refused));
    }
    // Two fit into the bucket of the first, and one into the other limit.
    let [first, then] = [ms(30), ms(60)];
    let expected = [Ok(first), Ok(first), Err(Some(ms(100))), Ok(then), Err(Some(ms(1000)))];
    assert_eq!(instants, expected);
}

/// Lets two calls through, and blocks the thread that asks: not that of the service, please.
#[derive(Clone)]
struct Blocking(Arc<AtomicU32>, ThreadId);

impl Blocking {
    fn take(&self) -> Result<(), RateLimited> {
        assert_ne!(thread::current().id(), self.1);
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Ok(()),
            _ => Err(RateLimited::new(Reason::UsedUp)),
        }
    }
}

impl Limiter for Blocking {
    type Ticket = ();
    type Hold = ();
    type Wait = Pin<Box<dyn Future<Output = Result<(), RateLimited>> + Send>>;

    fn reserve<K: Key + ?Sized>(&self, _: &K, _: Terms) -> Attempt<(), Self::Wait> {
        let limiter = self.clone();
        Attempt::Later(Box::pin(async move {
            let answer = tokio::task::spawn_blocking(move || limiter.take()).await;
            answer.unwrap_or_else(|_| Err(RateLimited::new(Reason::Closed)))
        }))
    }

    fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<(), Self::Wait> {
        self.reserve(key, terms)
    }

    fn keeps(&self, (): &()) -> bool {
        true
    }

    fn commit(&self, (): ()) -> Result<(), Perished> {
        Ok(())
    }

    fn give_back(&self, (): ()) {}
}

#[tokio::test(start_paused = true)]
async fn a_limiter_that_blocks_is_asked_on_a_thread_of_its_own() {
    let inner = service_fn(async |n: u32| Ok::<_, std::io::Error>(n));
    let blocking = Blocking(Arc::default(), thread::current().id());
    let mut service = RateLimitLayer::new(blocking).refuse().layer(inner);
    let mut answers = Vec::new();
    for call in 0..3 {
        let answer = service.ready().await.unwrap().call(call).await;
        answers.push(answer.map_err(|error| error.limited().map(RateLimited::reason)));
    }
    assert_eq!(answers, [Ok(0), Ok(1), Err(Some(Reason::UsedUp))]);
}
