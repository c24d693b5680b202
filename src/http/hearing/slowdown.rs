//! A pace that falls with each refusal and comes back by itself.

use crate::nanos::Nanos;

/// The whole pace, in millionths.
const WHOLE: u64 = 1_000_000;

/// The least that is left of the pace, a sixty-fourth, so that somebody goes on asking.
const LEAST: u64 = WHOLE / 64;

/// How long one millionth takes to come back: the whole pace a minute.
const MILLIONTH: Nanos = Nanos::new(60_000_000_000 / WHOLE);

/// How much of the pace was lost, and since when it has been coming back: less by half with each
/// refusal, more by the same in each second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slowdown {
    lost: u64,
    since: Nanos,
    halved_at: Nanos,
}

impl Slowdown {
    /// What is left of the pace at `now`, in millionths.
    fn share(self, now: Nanos) -> u64 {
        WHOLE - self.lost.saturating_sub((now - self.since) / MILLIONTH)
    }

    /// Whether a refusal now is one of this pace, if the last call was let go at `last`: refusals of
    /// calls that were under way when the pace was halved are no news.
    pub(super) fn is_news(self, last: Nanos) -> bool {
        self.lost == 0 || last > self.halved_at
    }

    /// Half of what is left is lost, and begins to come back at `from`.
    pub(super) fn halve(self, now: Nanos, from: Nanos) -> Self {
        let share = (self.share(now) / 2).max(LEAST);
        Self { lost: WHOLE - share, since: from, halved_at: now }
    }

    /// What was lost begins to come back at `from` and not before, unless that has begun.
    pub(super) fn put_off(self, now: Nanos, from: Nanos) -> Self {
        if self.since > now { Self { since: self.since.max(from), ..self } } else { self }
    }

    /// When the pace is whole again.
    pub(super) fn ends(self) -> Nanos {
        Nanos::new(self.since.get().saturating_add(self.lost.saturating_mul(MILLIONTH.get())))
    }

    /// The interval of the pace as it is at `now`, rounded up.
    pub(super) fn stretch(self, interval: Nanos, now: Nanos) -> Nanos {
        let whole = u128::from(interval.get()) * u128::from(WHOLE);
        let stretched = whole.div_ceil(u128::from(self.share(now).max(LEAST)));
        u64::try_from(stretched).map_or(Nanos::MAX, Nanos::new)
    }
}
