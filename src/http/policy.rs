//! What a limit publishes of itself: a name, a quota and a window.

use crate::limiter::Standing;
use std::borrow::Cow;

/// The name of the policy of a limit without a name.
pub(super) const UNNAMED: &str = "default";

/// By which name the policy goes: that of the limit, and of several rates which one.
pub(super) fn name<'a>(standing: &Standing<'a>) -> Cow<'a, str> {
    match (standing.limit(), standing.rate().filter(|_| standing.is_one_of_several())) {
        (name, None) => name.unwrap_or(UNNAMED).into(),
        (None, Some(rate)) => rate.to_string().into(),
        (Some(name), Some(rate)) => format!("{name} {rate}").into(),
    }
}

/// So many permits in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) quota: u64,
    /// Whole seconds, at least 1; `None` where nothing comes back by itself.
    pub(super) window: Option<u64>,
}

const SECOND: u128 = 1_000_000_000;

impl Policy {
    /// The rate as it was written. Where more permits than those can be had at once it is those,
    /// in the time that they take to come back: so the quota is never less than what is left.
    ///
    /// Windows that are not whole seconds are made longer until they are, with as many permits more as
    /// the rate has in that time, rounded down: ten in 100 ms are a hundred in a second.
    pub(super) fn of(standing: &Standing<'_>) -> Self {
        let most = u128::from(standing.most());
        let Some(rate) = standing.rate() else {
            return Self { quota: standing.most().into(), window: None };
        };
        let (permits, period) = (u128::from(rate.permits()), rate.period().as_nanos());
        let (quota, length) = match most > permits {
            true => (most, (period * most).div_ceil(permits)),
            false => (permits, period),
        };
        let window = length.div_ceil(SECOND);
        let quota = quota * window * SECOND / length;
        let narrow = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Self { quota: narrow(quota), window: Some(narrow(window)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Rate;
    use std::time::Duration;

    fn policy(permits: u32, millis: u64, most: u32) -> (u64, u64) {
        let rate = Rate::new(permits, Duration::from_millis(millis)).expect("a rate");
        let policy = Policy::of(&Standing::new(None, most).with_rate(rate));
        (policy.quota, policy.window.expect("a window"))
    }

    #[test]
    fn a_rate_is_published_as_it_was_written() {
        assert_eq!(policy(60, 60_000, 60), (60, 60));
        assert_eq!(policy(100, 1000, 5), (100, 1));
        assert_eq!(policy(1000, 86_400_000, 1000), (1000, 86_400));
    }

    #[test]
    fn a_bucket_that_holds_more_than_its_rate_is_published_by_its_capacity() {
        assert_eq!(policy(1, 1000, 10), (10, 10));
        assert_eq!(policy(2, 60_000, 3), (3, 90));
    }

    #[test]
    fn windows_are_whole_seconds_and_never_promise_more_than_the_rate() {
        assert_eq!(policy(10, 100, 10), (100, 1));
        assert_eq!(policy(1, 300, 1), (3, 1));
        assert_eq!(policy(3, 1500, 3), (4, 2));
        assert_eq!(policy(1, 2500, 1), (1, 3));
    }
}
