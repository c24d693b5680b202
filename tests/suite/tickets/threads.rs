//! Whatever threads do at the same time, each permit is used once, and none is lost.

use super::{NOW, Quota, ms, ticket};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll, Waker},
    thread,
};
use tower::{Layer, Service, service_fn};
use tower_ratelimit::{
    Clock, Limiter, ManualClock, Nanos, RateLimitLayer, RateLimiter,
    limiter::{Attempt, Ticket},
};

const SHELF_LIFE: u64 = 1000;

/// Numbers that look random; each seed gives others.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

fn any_of(tickets: &mut Vec<Ticket>, dice: &mut Dice) -> Option<Ticket> {
    let index = dice.below(tickets.len().max(1) as u64) as usize;
    (index < tickets.len()).then(|| tickets.swap_remove(index))
}

/// Does `deeds` things one after the other, and counts the permits used.
fn busy(
    limiter: &RateLimiter<Quota>,
    clock: &ManualClock,
    used: &AtomicU32,
    dice: &mut Dice,
    deeds: u32,
) {
    let cx = &mut Context::from_waker(Waker::noop());
    let use_them = |permits| used.fetch_add(permits, Ordering::SeqCst);
    let layer = RateLimitLayer::new(limiter.clone()).refuse();
    let inner = service_fn(|()| {
        used.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, std::convert::Infallible>(()) }
    });
    let mut service = layer.layer(inner);
    let mut is_ready = false;
    let mut tickets = Vec::new();
    let mut waiting: Vec<_> = Vec::new();
    for _ in 0..deeds {
        match dice.below(20) {
            0..4 => {
                is_ready = service.poll_ready(cx).is_ready();
            }
            4..8 if is_ready => {
                drop(service.call(()));
                is_ready = false;
            }
            8 => {
                service = service.clone();
                is_ready = false;
            }
            9..11 => tickets.extend(ticket(limiter)),
            11..13 => {
                if let Some(ticket) = any_of(&mut tickets, dice) {
                    use_them(u32::from(limiter.commit(ticket).is_ok()));
                }
            }
            13 => {
                if let Some(ticket) = any_of(&mut tickets, dice) {
                    let _ = limiter.keeps(&ticket);
                    limiter.give_back(ticket);
                }
            }
            // A ticket is plain data, and forgotten when it is dropped.
            14 => drop(any_of(&mut tickets, dice)),
            15 => {
                let cost = 1 + dice.below(18) as u32;
                if let Ok(permit) = limiter.try_acquire_many(cost) {
                    match dice.below(8) {
                        0 => drop(use_them(cost)),
                        _ => permit.refund(),
                    }
                }
            }
            16 => match Limiter::take(limiter, &(), NOW) {
                Attempt::Now(Ok(_)) => drop(use_them(1)),
                Attempt::Now(Err(_)) => {}
                Attempt::Later(_) => panic!("a call without patience is answered at once"),
            },
            17 => {
                let mut reserve = Box::pin(limiter.reserve().cost(1 + dice.below(3) as u32));
                match reserve.as_mut().poll(cx) {
                    // Committed, dropped or forgotten.
                    Poll::Ready(reservation) => match (dice.below(3), reservation.unwrap()) {
                        (0, reservation) => {
                            if let Ok(permit) = reservation.commit() {
                                use_them(permit.decision().grant().unwrap().cost);
                            }
                        }
                        (1, reservation) => drop(reservation),
                        (_, reservation) => std::mem::forget(reservation),
                    },
                    Poll::Pending => waiting.push(reserve),
                }
            }
            18 => {
                let index = dice.below(waiting.len().max(1) as u64) as usize;
                if index < waiting.len() {
                    let mut reserve = waiting.swap_remove(index);
                    // Not ready, it gives up its place.
                    if let Poll::Ready(reservation) = reserve.as_mut().poll(cx)
                        && let Ok(permit) = reservation.unwrap().commit()
                    {
                        use_them(permit.decision().grant().unwrap().cost);
                    }
                }
            }
            _ => match dice.below(4) {
                // Backwards, too.
                0 => clock.set(std::time::Duration::from_nanos(dice.below(20 * SHELF_LIFE))),
                1 => clock.advance(std::time::Duration::from_nanos(SHELF_LIFE / 3)),
                _ => drop(limiter.peek(1)),
            },
        }
    }
}

#[test]
fn permits_are_counted_exactly_whatever_threads_do() {
    for seed in 1..=ROUNDS {
        let mut dice = Dice::new(seed);
        let permits = 14 + dice.below(100) as u32;
        let clock = ManualClock::new();
        let quota = Quota { permits, shelf_life: Nanos::new(SHELF_LIFE) };
        let limiter = RateLimiter::builder(quota).clock(Clock::from(clock.clone())).build();
        let used = AtomicU32::new(0);
        thread::scope(|scope| {
            for thread in 0..4 {
                let (limiter, clock, used) = (&limiter, &clock, &used);
                let dice = &mut dice;
                let mut dice = Dice::new(1 + thread + dice.below(u64::MAX));
                scope.spawn(move || busy(limiter, clock, used, &mut dice, 150));
            }
        });
        // What was forgotten perishes; the rest is there for the taking, once.
        clock.set(ms(1));
        let _ = limiter.peek(0);
        clock.set(ms(2));
        let used = used.into_inner();
        assert!(used <= permits, "{used} of {permits} used, seed {seed}");
        assert_eq!(limiter.peek(0).remaining, permits - used, "{permits} permits, seed {seed}");
        let left = (0..).take_while(|_| limiter.try_acquire().is_ok()).count();
        assert_eq!(left, (permits - used) as usize, "seed {seed}");
    }
}

const ROUNDS: u64 = 200;

/// The shortest race: a ticket is made and used while others look.
#[test]
fn a_ticket_is_used_once_while_others_look() {
    const PERMITS: u32 = 1_000_000;
    const EACH: u32 = 80_000;
    let quota = Quota { permits: PERMITS, shelf_life: Nanos::MAX };
    let limiter = RateLimiter::builder(quota).clock(ManualClock::new()).build();
    let used = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (limiter, used) = (&limiter, &used);
            scope.spawn(move || {
                for n in 0..EACH {
                    if thread == 3 {
                        let _ = limiter.peek(1);
                        continue;
                    }
                    let ticket = ticket(limiter).unwrap();
                    match (n + thread) % 8 {
                        0 => limiter.give_back(ticket),
                        1 => assert!(limiter.keeps(&ticket)),
                        _ => {
                            limiter.commit(ticket).unwrap();
                            used.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
    });
    // An eighth was forgotten, and never perishes.
    let kept = 3 * EACH / 8;
    assert_eq!(used.into_inner(), 3 * EACH * 6 / 8);
    assert_eq!(limiter.peek(0).remaining, PERMITS - 3 * EACH * 6 / 8 - kept);
}
