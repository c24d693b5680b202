//! Calls that come, are polled or not, go away at every stage, and are given back or used, in any order.

use super::{Dice, Slow, limiter, ms};
use std::{pin::Pin, task::Poll, time::Duration};
use tokio::time::sleep;
use tokio_test::task::{Spawn, spawn};
use tower_ratelimit::{
    Algorithm, AnyAlgorithm, Concurrency, Grant, Limiter, Patience, Quota, RateLimited,
    StoredLimiter, Terms,
    limiter::{Attempt, StoredPermit, StoredTicket},
};

type Asks<T> = Spawn<Pin<Box<dyn Future<Output = Result<T, RateLimited>> + Send>>>;

type Permit<A> = StoredPermit<A, Slow<A>>;

/// Everything that calls can be at. A pending call may not have been polled yet, be queued, under way, answered, or
/// waiting for its slot.
struct World<A: Algorithm> {
    limiter: StoredLimiter<A, Slow<A>>,
    dice: Dice,
    costs: u64,
    acquiring: Vec<(u32, Asks<Permit<A>>)>,
    reserving: Vec<Asks<StoredTicket<A>>>,
    reserved: Vec<StoredTicket<A>>,
    used: Vec<(u32, Permit<A>)>,
    /// What used its permits through the seam of the layers.
    committed: usize,
}

impl<A: Algorithm> World<A> {
    fn new(algorithm: A, seed: u64, costs: u64) -> Self {
        let mut dice = Dice::new(seed);
        let store = Slow::new(2 * dice.roll(6)).at_once(1 + dice.index(3));
        let limiter = limiter(&store, algorithm);
        let (acquiring, reserving) = (Vec::new(), Vec::new());
        let (reserved, used, committed) = (Vec::new(), Vec::new(), 0);
        Self { limiter, dice, costs, acquiring, reserving, reserved, used, committed }
    }

    fn patience(&mut self) -> Patience {
        match self.dice.roll(4) {
            0 => Patience::Now,
            1 => Patience::MaxWait(ms(self.dice.roll(300))),
            2 => Patience::Timeout(ms(self.dice.roll(300))),
            _ => Patience::Forever,
        }
    }

    fn begin(&mut self) {
        let cost = u32::try_from(1 + self.dice.roll(self.costs)).unwrap();
        let (limit, patience) = (self.limiter.key(&()), self.patience());
        let asks: Pin<Box<dyn Future<Output = _> + Send>> = match patience {
            Patience::Now => Box::pin(async move { limit.try_acquire_many(cost).await }),
            Patience::MaxWait(longest) => {
                Box::pin(limit.acquire().cost(cost).max_wait(longest).into_future())
            }
            Patience::Timeout(longest) => {
                Box::pin(limit.acquire().cost(cost).timeout(longest).into_future())
            }
            Patience::Forever => Box::pin(limit.acquire().cost(cost).into_future()),
        };
        self.acquiring.push((cost, spawn(asks)));
    }

    fn reserve(&mut self) {
        let patience = self.patience();
        match self.limiter.reserve(&(), Terms { cost: 1, patience }) {
            Attempt::Later(wait) => self.reserving.push(spawn(Box::pin(wait))),
            Attempt::Now(_) => panic!("it asks the store"),
        }
    }

    fn poll(&mut self) {
        if let Some((cost, mut call)) = out_of(&mut self.acquiring, &mut self.dice) {
            match call.poll() {
                Poll::Pending => self.acquiring.push((cost, call)),
                Poll::Ready(granted) => self.used.extend(granted.ok().map(|permit| (cost, permit))),
            }
        }
        if let Some(mut call) = out_of(&mut self.reserving, &mut self.dice) {
            match call.poll() {
                Poll::Pending => self.reserving.push(call),
                Poll::Ready(granted) => self.reserved.extend(granted),
            }
        }
    }

    async fn step(&mut self) {
        match self.dice.roll(20) {
            0..4 => self.begin(),
            4..6 => self.reserve(),
            6..13 => self.poll(),
            13 => drop(out_of(&mut self.acquiring, &mut self.dice)),
            14 => drop(out_of(&mut self.reserving, &mut self.dice)),
            15 => {
                if let Some((_, permit)) = out_of(&mut self.used, &mut self.dice) {
                    permit.refund();
                }
            }
            16 => {
                if let Some(ticket) = out_of(&mut self.reserved, &mut self.dice) {
                    self.limiter.give_back(ticket);
                }
            }
            17 => {
                if let Some(ticket) = out_of(&mut self.reserved, &mut self.dice) {
                    self.committed += usize::from(self.limiter.commit(ticket).is_ok());
                }
            }
            _ => sleep(ms(self.dice.roll(12))).await,
        }
    }

    /// Nobody waits any more, and nothing is on its way.
    async fn quiet(&mut self) {
        self.acquiring.clear();
        self.reserving.clear();
        for ticket in self.reserved.drain(..) {
            self.limiter.give_back(ticket);
        }
        sleep(ms(1000)).await;
    }

    async fn left(&self) -> u32 {
        self.limiter.key(&()).peek(0).await.unwrap().remaining
    }

    fn in_use(&self) -> u32 {
        self.used.iter().map(|(cost, _)| cost).sum()
    }
}

fn out_of<T>(list: &mut Vec<T>, dice: &mut Dice) -> Option<T> {
    (!list.is_empty()).then(|| list.swap_remove(dice.index(list.len())))
}

#[tokio::test(start_paused = true)]
async fn of_a_quota_exactly_what_was_not_used_is_left() {
    for seed in 0..300 {
        let mut world = World::new(Quota::new(20).unwrap(), seed, 3);
        for _ in 0..150 {
            world.step().await;
            let used = world.in_use() + u32::try_from(world.committed).unwrap();
            assert!(used <= 20, "seed {seed}: {used}");
        }
        world.quiet().await;
        let used = world.in_use() + u32::try_from(world.committed).unwrap();
        assert_eq!(world.left().await, 20 - used, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_permits_in_flight_exactly_what_is_not_held_is_left() {
    for seed in 0..300 {
        let mut world = World::new(Concurrency::new(5).unwrap(), seed, 2);
        for _ in 0..150 {
            world.step().await;
            // The end of a call is its drop.
            if world.dice.roll(4) == 0 {
                drop(out_of(&mut world.used, &mut world.dice));
            }
            assert!(world.in_use() <= 5, "seed {seed}: {}", world.in_use());
        }
        world.quiet().await;
        assert_eq!(world.left().await, 5 - world.in_use(), "seed {seed}");
    }
}

/// That those who used their permits keep to the bound, by the clock of the store.
fn keeps_its_bound(algorithm: &AnyAlgorithm, grants: &mut [Grant], seed: u64) {
    grants.sort_unstable_by_key(|grant| grant.at);
    for (first, from) in grants.iter().enumerate() {
        for (last, to) in grants.iter().enumerate().skip(first) {
            let length = Duration::from(to.at - from.at) + Duration::from_nanos(1);
            let (calls, most) = (last - first + 1, algorithm.most_in(length));
            assert!(
                calls as u64 <= most,
                "seed {seed}, {algorithm}: {calls} in {length:?}: {grants:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn limits_that_refill_keep_to_their_bounds_whoever_goes_away() {
    let lines = [
        "leaky bucket 10/s, capacity 3",
        "token bucket 1/100ms, capacity 3",
        "sliding window 5/s",
        "sliding window counter 5/s",
        "fixed window 5/s",
        "strict 10/s",
        "burst compensating 10/s",
    ];
    for line in lines {
        let algorithm: AnyAlgorithm = line.parse().unwrap();
        for seed in 0..60 {
            let mut world = World::new(algorithm.clone(), seed, 1);
            for _ in 0..200 {
                world.step().await;
                // Those that were committed do not show their grants.
                world.reserving.truncate(0);
            }
            world.quiet().await;
            let grant =
                |(_, permit): &(u32, StoredPermit<_, _>)| permit.decision().unwrap().grant();
            let mut grants: Vec<Grant> = world.used.iter().filter_map(grant).collect();
            keeps_its_bound(&algorithm, &mut grants, seed);
            sleep(ms(3000)).await;
            let limit = world.limiter.key(&()).peek(0).await.unwrap().limit;
            assert_eq!(world.left().await, limit, "seed {seed}, {line}");
        }
    }
}
