//! Tasks in line that are polled by hand: only when they were woken, or their timers have gone off.

use super::{RateLimiter, limiter};
use crate::{
    algorithm::Algorithm,
    clock::ManualClock,
    error::Reason,
    limiter::{Attempt, Hold, Patience, Terms, Ticket, Waiting, waiting::Look},
    nanos::Nanos,
    sync::Signal,
};
use std::{array, sync::Arc, task::Waker};

/// Somebody who asks for permits, waits for them if need be, and uses them at once.
pub(super) struct Task<A: Algorithm> {
    limiter: RateLimiter<A>,
    stands: Stands<A>,
    signal: Arc<Signal>,
    /// When its timer goes off.
    alarm: Nanos,
}

enum Stands<A: Algorithm> {
    InLine(Waiting<A>),
    LetGo {
        /// Says that the call has ended, as the task is dropped.
        _hold: Hold<A>,
    },
    SentAway(Reason),
}

impl<A: Algorithm> Task<A> {
    /// Asks, as a future does that is polled for the first time.
    pub(super) fn asks(limiter: &RateLimiter<A>, cost: u32, patience: Patience) -> Self {
        let (shared, signal) = (limiter.shared(), Arc::default());
        let waker = Waker::from(Arc::clone(&signal));
        let (key, terms) = (limiter.key(), Terms { cost, patience });
        let attempt = shared.take(key, &terms, Some(&waker), |used| Hold::open(shared, used));
        let stands = match attempt {
            Attempt::Now(Ok(hold)) => Stands::LetGo { _hold: hold },
            Attempt::Now(Err(refusal)) => Stands::SentAway(refusal.reason()),
            Attempt::Later(waiting) => Stands::InLine(waiting),
        };
        let mut task = Self { limiter: limiter.clone(), stands, signal, alarm: Nanos::ZERO };
        task.look();
        task
    }

    /// Looks for as long as it has a reason to. Whether it had one.
    pub(super) fn run(&mut self) -> bool {
        let mut has_looked = false;
        while matches!(self.stands, Stands::InLine(_))
            && (self.signal.is_woken() || self.limiter.shared().now() >= self.alarm)
        {
            has_looked = true;
            self.look();
        }
        has_looked
    }

    fn look(&mut self) {
        let Stands::InLine(waiting) = &mut self.stands else { return };
        let waker = Waker::from(Arc::clone(&self.signal));
        match waiting.caller.look(&waker, |desk, place| desk.commit(place)) {
            Look::Again(at) => self.alarm = at,
            Look::Done(Ok((decision, waited))) => {
                let shared = self.limiter.shared();
                let used = shared.admit(self.limiter.key(), decision, waited);
                self.stands = Stands::LetGo { _hold: Hold::open(shared, used) };
            }
            Look::Done(Err(refusal)) => self.stands = Stands::SentAway(refusal.reason()),
        }
    }

    /// Looks if it has a reason to, and gives up if it was not let go. 1 if it was.
    pub(super) fn run_and_leave(mut self) -> u32 {
        self.run();
        self.let_go()
    }

    /// Gives up, whether it was let go meanwhile or not. 0, as if it never was.
    pub(super) fn leave(self) -> u32 {
        0
    }

    /// Looks once, and takes its permits as a ticket: it has to be let go.
    pub(super) fn ticket(mut self) -> Ticket {
        let Stands::InLine(waiting) = &mut self.stands else {
            panic!("it does not wait any more");
        };
        let key = self.limiter.key();
        match waiting.caller.look(Waker::noop(), |_, place| Some(Ticket { key, place })) {
            Look::Done(Ok((ticket, _))) => ticket,
            Look::Done(Err(_)) | Look::Again(_) => panic!("it is not let go"),
        }
    }

    /// 1 if it was let go.
    pub(super) fn let_go(&self) -> u32 {
        u32::from(matches!(self.stands, Stands::LetGo { .. }))
    }

    /// Why it was sent away.
    pub(super) fn sent_away(&self) -> Option<Reason> {
        match self.stands {
            Stands::SentAway(reason) => Some(reason),
            Stands::InLine(_) | Stands::LetGo { .. } => None,
        }
    }
}

/// Lets all of them look until none of them has a reason to. How many were let go by then.
pub(super) fn run_all<A: Algorithm>(tasks: &mut [Task<A>]) -> u32 {
    while tasks.iter_mut().fold(false, |some_looked, task| task.run() | some_looked) {}
    tasks.iter().map(Task::let_go).sum()
}

/// A clock at zero, a limit whose permits were all taken then by the first task, and those in line
/// behind it, who have looked once.
pub(super) fn line<A: Algorithm, const N: usize>(
    algorithm: A,
    permits: u32,
) -> (ManualClock, RateLimiter<A>, Task<A>, [Task<A>; N]) {
    let clock = ManualClock::new();
    let limiter = limiter(algorithm, &clock);
    let first = Task::asks(&limiter, permits, Patience::Now);
    assert_eq!(first.let_go(), 1);
    let mut others = array::from_fn(|_| Task::asks(&limiter, 1, Patience::Forever));
    assert_eq!(run_all(&mut others), 0);
    (clock, limiter, first, others)
}
