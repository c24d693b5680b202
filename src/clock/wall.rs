//! The time of day: it goes on while no process runs, and can be set.

pub(crate) use std::time::SystemTime as WallTime;

use crate::nanos::Nanos;
use std::time::Duration;

/// What it is now.
pub(crate) fn wall_time() -> WallTime {
    WallTime::now()
}

/// How long after 1970 this is; nothing before that.
pub(crate) fn since_1970(time: WallTime) -> Nanos {
    passed(WallTime::UNIX_EPOCH, time).into()
}

/// The time this long after 1970, or as late as the platform can say.
pub(crate) fn after_1970(length: Nanos) -> WallTime {
    WallTime::UNIX_EPOCH.checked_add(length.into()).unwrap_or(WallTime::UNIX_EPOCH)
}

/// How long it takes from one time to the other; no time when that is not later.
pub(crate) fn passed(from: WallTime, to: WallTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}
