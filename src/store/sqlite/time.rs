//! The time of a file.

use crate::{
    clock::{self, Clock},
    nanos::Nanos,
};

/// The clock on the wall, kept from going back.
pub(super) struct HostTime {
    ticking: Clock,
    told: Told,
}

/// What was told last, and when that was by a clock that cannot be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    time: Nanos,
    ticks: Nanos,
}

impl HostTime {
    pub(super) fn new() -> Self {
        Self { ticking: Clock::monotonic(), told: Told::default() }
    }

    /// The time, where this is the latest that anybody has written.
    pub(super) fn tell(&mut self, latest: Nanos) -> Nanos {
        self.told =
            self.told.next(self.ticking.now(), clock::since_1970(clock::wall_time()), latest);
        self.told.time
    }
}

impl Told {
    /// What to tell next. A clock that is behind what was told has been set, and is left alone
    /// until it has caught up: time goes on as it passes.
    fn next(self, ticks: Nanos, wall: Nanos, latest: Nanos) -> Self {
        let time = if wall >= self.time { wall } else { self.time + (ticks - self.ticks) };
        Self { time: time.max(latest), ticks }
    }
}

#[cfg(test)]
mod tests {
    use super::Told;
    use crate::nanos::Nanos;

    /// What is told when asked at each of these: the ticks, the clock on the wall, the latest in
    /// the file.
    fn told<const N: usize>(asked: [(u64, u64, u64); N]) -> [u64; N] {
        let mut told = Told::default();
        asked.map(|(ticks, wall, latest)| {
            told = told.next(Nanos::new(ticks), Nanos::new(wall), Nanos::new(latest));
            told.time.get()
        })
    }

    #[test]
    fn the_time_is_that_on_the_wall() {
        assert_eq!(told([(0, 1000, 0), (7, 1005, 1000), (9, 1011, 1005)]), [1000, 1005, 1011]);
    }

    #[test]
    fn a_clock_set_back_does_not_turn_back_the_time_nor_stop_it() {
        let asked = [(0, 1000, 0), (10, 1010, 0), (20, 520, 0), (30, 530, 0), (40, 2000, 0)];
        assert_eq!(told(asked), [1000, 1010, 1020, 1030, 2000]);
    }

    #[test]
    fn time_goes_on_from_the_latest_in_the_file() {
        assert_eq!(told([(0, 1000, 5000), (10, 1010, 5000), (20, 1020, 5000)]), [5000, 5010, 5020]);
        // Others write, too.
        assert_eq!(told([(0, 1000, 5000), (10, 1010, 6000), (20, 1020, 6000)]), [5000, 6000, 6010]);
    }
}
