//! The limit on which faults are put: one call in a window.

use std::time::Duration;
use tower_ratelimit::{ManualClock, Rate, SlidingWindow, conformance::Limits};

const PERIOD: Duration = Duration::from_millis(320);

pub(super) fn window(permits: u32) -> SlidingWindow {
    SlidingWindow::new(Rate::new(permits, PERIOD).unwrap())
}

pub(super) fn limits(clock: &ManualClock) -> Limits {
    Limits::new(1, PERIOD).clock(clock.clone()).in_order()
}
