//! A limiter asked directly: what it does with tickets, costs and patience.

use super::Limits;
use crate::{
    conformance::{
        Point,
        violation::{Broken, Checked, Violation, ensure},
    },
    error::RateLimited,
    limiter::{Attempt, Limiter, Patience, Terms},
    nanos::Nanos,
};
use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// A fresh limiter, and what it was asked.
pub(super) struct Counter<'a, L> {
    limits: &'a Limits,
    limiter: L,
    events: Vec<String>,
}

/// An ask that was made.
enum Asked<L: Limiter> {
    Waits(Pin<Box<L::Wait>>),
    Answered(Result<L::Ticket, RateLimited>),
}

const FOREVER: Patience = Patience::Forever;

impl<'a, L: Limiter> Counter<'a, L> {
    pub(super) fn new(limits: &'a Limits, limiter: L) -> Self {
        Self { limits, limiter, events: Vec::new() }
    }

    pub(super) fn end(self, checked: Checked) -> Result<(), Violation> {
        checked.map_err(|broken| Violation::new(broken, self.events, None))
    }

    /// Asks so often, and lets as much time pass as an answer takes.
    async fn ask(&mut self, count: u32, cost: u32, patience: Patience) -> Vec<Asked<L>> {
        let ask = |_| match self.limiter.reserve(&(), Terms { cost, patience }) {
            Attempt::Now(answer) => Asked::Answered(answer),
            Attempt::Later(wait) => Asked::Waits(Box::pin(wait)),
        };
        let mut asked: Vec<_> = (0..count).map(ask).collect();
        self.pass(self.limits.latency, &mut asked).await;
        let tickets = asked.iter().filter(|asked| asked.is_granted()).count();
        let waiting = asked.iter().filter(|asked| asked.waits()).count();
        self.events.push(format!(
            "{count} ask for {cost} with patience {patience:?}: {tickets} granted, {waiting} wait"
        ));
        asked
    }

    /// Everybody is polled over and over while this time passes.
    async fn pass(&mut self, span: Duration, asked: &mut [Asked<L>]) {
        const LOOKS: u32 = 32;
        let start = self.limits.clock.now();
        for look in 0..=LOOKS {
            let part = span.saturating_mul(look) / LOOKS;
            self.limits.clock.pass_until(start + Nanos::from(part)).await;
            asked.iter_mut().for_each(Asked::poll);
        }
    }

    async fn wait(&mut self) {
        let span = self.limits.period + self.limits.latency * 2;
        self.pass(span, &mut []).await;
        self.events.push(format!("{span:?} have passed"));
    }

    /// As many tickets as there are permits.
    async fn tickets(&mut self, point: Point) -> Result<Vec<L::Ticket>, Broken> {
        let permits = self.limits.permits;
        let asked = self.ask(permits, 1, FOREVER).await;
        let tickets: Vec<_> = asked.into_iter().filter_map(Asked::ticket).collect();
        let granted = tickets.len();
        ensure(granted == permits as usize, point, || format!("{granted} of {permits} granted"))?;
        Ok(tickets)
    }

    fn commit(&mut self, tickets: Vec<L::Ticket>) -> Checked {
        for ticket in tickets {
            let keeps = self.limiter.keeps(&ticket);
            let used = self.limiter.commit(ticket);
            ensure(keeps && used.is_ok(), Point::FreshTicket, || {
                let found = if used.is_ok() { "used" } else { "perished" };
                format!("it keeps: {keeps}, and it {found}")
            })?;
        }
        self.events.push("they are used".to_owned());
        Ok(())
    }

    /// Uses all permits up, of which this point says that they are all there.
    async fn exhaust(&mut self, point: Point) -> Checked {
        let tickets = self.tickets(point).await?;
        self.commit(tickets)
    }

    pub(super) async fn tickets_go_back(&mut self) -> Checked {
        let mut point = Point::LetsThrough;
        for _ in 0..3 {
            let tickets = self.tickets(point).await?;
            point = Point::TicketBack;
            tickets.into_iter().for_each(|ticket| self.limiter.give_back(ticket));
            self.events.push("they are given back".to_owned());
        }
        self.tickets(Point::TicketBack).await.map(drop)
    }

    pub(super) async fn nothing_costs_nothing(&mut self) -> Checked {
        for round in 0..2 {
            if round > 0 {
                self.exhaust(Point::CostNothing).await?;
            }
            for asked in self.ask(3, 0, FOREVER).await {
                let found = || "it was not let through".to_owned();
                let ticket = asked.ticket();
                ensure(ticket.is_some(), Point::CostNothing, found)?;
                let _ = ticket.map(|ticket| self.limiter.commit(ticket));
            }
        }
        Ok(())
    }

    pub(super) async fn what_costs_too_much_is_refused(&mut self) -> Checked {
        let asked = self.ask(1, u32::MAX, FOREVER).await;
        let waits = asked.iter().any(Asked::waits);
        ensure(!waits, Point::CostTooHigh, || format!("a cost of {} waits", u32::MAX))?;
        let tickets: Vec<_> = asked.into_iter().filter_map(Asked::ticket).collect();
        if !tickets.is_empty() {
            // More than the limit has at once, and to be had all the same: those after it wait longer.
            self.commit(tickets)?;
            self.wait().await;
            let next = self.ask(1, 1, Patience::Now).await;
            let is_ignored = next.iter().any(Asked::is_granted);
            let found = || format!("a cost of {} is granted and makes no difference", u32::MAX);
            return ensure(!is_ignored, Point::CostTooHigh, found);
        }
        self.tickets(Point::CostTooHigh).await.map(drop)
    }

    /// In each of these ways a call that would have to wait is refused, and takes nothing.
    pub(super) async fn impatience_is_respected(&mut self) -> Checked {
        let short = self.limits.period / 8;
        let ways = [Patience::Now, Patience::MaxWait(short), Patience::Timeout(short)];
        for patience in ways {
            self.exhaust(Point::Patience).await?;
            let start = self.limits.clock.now();
            self.pass(self.limits.period / 2, &mut []).await;
            let mut asked = self.ask(3, 1, patience).await;
            if let Patience::Timeout(_) = patience {
                self.pass(short, &mut asked).await;
            }
            let others = asked.iter().filter(|asked| !asked.is_refused()).count();
            ensure(others == 0, Point::Patience, || format!("{others} were not refused in time"))?;
            drop(asked);
            // When the next permit comes does not depend on those who were refused.
            let next = start + (self.limits.period + self.limits.latency * 2).into();
            let left = next - self.limits.clock.now();
            self.pass(left.into(), &mut []).await;
            self.events.push(format!("{:?} have passed since they were used", next - start));
            let asked = self.ask(1, 1, FOREVER).await;
            let found = || "the next one is not granted".to_owned();
            ensure(asked.iter().any(Asked::is_granted), Point::Patience, found)?;
            asked.into_iter().filter_map(Asked::ticket).for_each(|ticket| {
                self.limiter.give_back(ticket);
            });
            // A burst takes its time to come back, however long a single permit takes.
            for _ in 0..self.limits.permits {
                self.wait().await;
            }
        }
        Ok(())
    }
}

impl<L: Limiter> Asked<L> {
    /// The kit polls it again anyway, so nobody need be woken.
    fn poll(&mut self) {
        if let Self::Waits(wait) = self
            && let Poll::Ready(answer) = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            *self = Self::Answered(answer);
        }
    }

    fn waits(&self) -> bool {
        matches!(self, Self::Waits(_))
    }

    fn is_granted(&self) -> bool {
        matches!(self, Self::Answered(Ok(_)))
    }

    fn is_refused(&self) -> bool {
        matches!(self, Self::Answered(Err(_)))
    }

    fn ticket(self) -> Option<L::Ticket> {
        match self {
            Self::Answered(answer) => answer.ok(),
            Self::Waits(_) => None,
        }
    }
}
