//! Waiting for a permit that is used the moment it is there.

use crate::{
    error::RateLimited,
    limiter::{Limiter, Patience, Terms},
    seat::{Go, Seat},
};
use std::task::{Context, Poll, ready};

/// On what terms items and bytes wait: as long as it takes.
pub(super) fn terms(cost: u32) -> Terms {
    Terms { cost, patience: Patience::Forever }
}

/// Ready once permits were granted and used, or refused. In between the seat has a place in line.
pub(super) fn poll_permit<L: Limiter>(
    seat: &mut Seat<L>,
    cx: &mut Context<'_>,
    cost: u32,
) -> Poll<Result<L::Hold, RateLimited>> {
    let terms = terms(cost);
    loop {
        let _ = ready!(seat.poll_seated(cx, &(), &terms));
        match seat.take(&(), &terms) {
            Go::Call(hold) => return Poll::Ready(Ok(hold)),
            Go::Refused(refusal) => return Poll::Ready(Err(refusal)),
            // The waker has to be known to the place in line that it has now.
            Go::Wait => {}
        }
    }
}
