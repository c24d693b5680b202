//! The clocks that a limit can be given, and the one that tells what a process costs. How ours gets
//! each of them is said here and nowhere else.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tower_ratelimit::Clock;

/// That of the standard library, the default.
pub fn std() -> Clock {
    Clock::monotonic()
}

/// The time stamp counter of the processor, the default of governor.
pub fn quanta() -> Clock {
    Clock::quanta()
}

/// What the kernel noted down at its last tick, up to 4 ms ago.
pub fn coarse() -> Clock {
    Clock::coarse()
}

/// For how long this process has kept processors busy, with all its threads.
pub fn processor_time() -> Duration {
    of_the_kernel(ClockId::ProcessCPUTime)
}

fn of_the_kernel(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().expect("the clock does not go below zero")
}
