//! Paying for bytes.

use super::permit::{poll_permit, terms};
use crate::{
    algorithm::Algorithm,
    error::{RateLimited, Reason},
    invalid::Invalid,
    limiter::{Limiter, RateLimiter},
    seat::{Go, Seat},
};
use std::{
    io, mem,
    task::{Context, Poll, ready},
};

/// Takes permits for bytes, as many at once as the limit can grant.
pub(super) struct Payer<L: Limiter> {
    seat: Seat<L>,
    /// The most permits to ask for at once, at least 1.
    most: u32,
    /// How many were asked for; zero when none are.
    asked: u32,
}

impl<A: Algorithm> Payer<RateLimiter<A>> {
    pub(super) fn new(limiter: RateLimiter<A>) -> Self {
        let most = limiter.peek(0).limit.max(1);
        Self { seat: Seat::new(limiter), most, asked: 0 }
    }
}

impl<L: Limiter> Payer<L> {
    pub(super) fn in_pieces(limiter: L, most: u32) -> Result<Self, Invalid> {
        if most == 0 {
            return Err(Invalid::new("most", most, "at least 1"));
        }
        Ok(Self { seat: Seat::new(limiter), most, asked: 0 })
    }

    pub(super) fn limiter(&self) -> &L {
        self.seat.limiter()
    }

    /// How many of so many bytes can be paid for at once.
    pub(super) fn piece(&self, bytes: usize) -> usize {
        bytes.min(count(self.most))
    }

    /// Pays for some of these bytes, which are one or more, and says for how many. Those of the
    /// first ask count, should there be more or fewer when it is asked again.
    pub(super) fn poll_paid(
        &mut self,
        cx: &mut Context<'_>,
        bytes: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let cost = self.ask(bytes);
            match ready!(poll_permit(&mut self.seat, cx, cost)) {
                Ok(_) => return Poll::Ready(Ok(count(mem::take(&mut self.asked)))),
                Err(refusal) => self.refused(refusal)?,
            }
        }
    }

    /// The same for permits that are still to be [used](Self::spend), in the same poll.
    pub(super) fn poll_reserved(
        &mut self,
        cx: &mut Context<'_>,
        bytes: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            let terms = terms(self.ask(bytes));
            if ready!(self.seat.poll_seated(cx, &(), &terms)) {
                return Poll::Ready(Ok(count(self.asked)));
            }
            if let Go::Refused(refusal) = self.seat.take(&(), &terms) {
                self.refused(refusal)?;
            }
        }
    }

    /// Uses what was reserved. False when it had perished, and is still to be
    /// [paid](Self::poll_paid).
    pub(super) fn spend(&mut self) -> bool {
        match self.seat.take(&(), &terms(self.asked)) {
            Go::Call(_) => {
                self.asked = 0;
                true
            }
            // Whoever pays asks anew, and hears of a refusal that stands.
            Go::Refused(_) => {
                self.asked = 0;
                false
            }
            // It stands in line for as many.
            Go::Wait => false,
        }
    }

    /// Gives back what was reserved.
    pub(super) fn give_back(&mut self) {
        self.seat.vacate();
        self.asked = 0;
    }

    fn ask(&mut self, bytes: usize) -> u32 {
        if self.asked == 0 {
            self.asked = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.most);
        }
        self.asked
    }

    /// Goes on with a smaller piece if this one was too large: the limit may have become smaller,
    /// or what is left of a quota be less than a piece.
    fn refused(&mut self, refusal: RateLimited) -> io::Result<()> {
        let asked = mem::take(&mut self.asked);
        match refusal.reason() {
            Reason::TooCostly if asked > 1 => self.most = asked / 2,
            Reason::Exhausted if asked > 1 => self.asked = asked / 2,
            _ => return Err(io::Error::other(refusal)),
        }
        Ok(())
    }
}

/// So many permits as bytes. Where they do not fit, no more bytes than that are ever asked for.
fn count(permits: u32) -> usize {
    usize::try_from(permits).unwrap_or(usize::MAX)
}
