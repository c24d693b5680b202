//! The time of a file.

use crate::{
    clock::{self, Clock},
    nanos::Nanos,
};

/// What a file says of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileTime {
    /// The latest instant at which anything was written; told, the time.
    pub(super) time: Nanos,
    /// How far the time is ahead of the clock on the wall, where that was set back: by this it goes on
    /// for those who have just come.
    pub(super) ahead: Nanos,
}

/// By how much a file may say too little of how far it is ahead: two clocks are not read at the same
/// instant, and nobody should write for that.
const SLACK: Nanos = Nanos::new(1_000_000);

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

    /// The time, where this is what the file says, and what it should say of how far that is ahead.
    pub(super) fn tell(&mut self, file: FileTime) -> FileTime {
        // In this order: who is not let run in between tells a time too early and not too late.
        let wall = clock::since_1970(clock::wall_time());
        let ahead;
        (self.told, ahead) = self.told.next(self.ticking.now(), wall, file);
        FileTime { time: self.told.time, ahead }
    }
}

impl Told {
    /// What to tell next, and how far that is ahead. A clock that is behind what was told has been set,
    /// and is left alone until it has caught up: time goes on as it passes, here by the ticks, and where
    /// others know of a later instant as far ahead of the clock as they were.
    fn next(self, ticks: Nanos, wall: Nanos, file: FileTime) -> (Self, Nanos) {
        let own = if wall >= self.time { wall } else { self.time + (ticks - self.ticks) };
        let ahead = match own.max(file.time) - wall {
            Nanos::ZERO => Nanos::ZERO,
            off if off > file.ahead + SLACK => off,
            _ => file.ahead,
        };
        let time = if file.time > own { file.time.max(wall + ahead) } else { own };
        (Self { time, ticks }, ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::{FileTime, Told};
    use crate::nanos::Nanos;

    const MILLISECOND: u64 = 1_000_000;

    fn ms(milliseconds: u64) -> Nanos {
        Nanos::new(milliseconds * MILLISECOND)
    }

    /// A file, and the clocks of its host in milliseconds.
    #[derive(Default)]
    struct Host {
        file: FileTime,
        ticks: u64,
        wall: u64,
    }

    impl Host {
        /// Time passes.
        fn pass(&mut self, time: u64) {
            self.ticks += time;
            self.wall += time;
        }

        /// What a process is told, which has the file know how far it is ahead, and nothing else.
        fn tell(&mut self, told: &mut Told) -> u64 {
            let (ticks, wall) = (ms(self.ticks), ms(self.wall));
            (*told, self.file.ahead) = told.next(ticks, wall, self.file);
            told.time.get() / MILLISECOND
        }

        /// The same, and it writes.
        fn write(&mut self, told: &mut Told) -> u64 {
            let time = self.tell(told);
            self.file.time = told.time;
            time
        }
    }

    /// A file in which 5000 was written last, at a host where it is 1000.
    fn set_back() -> Host {
        let (time, ahead) = (ms(5000), Nanos::ZERO);
        Host { file: FileTime { time, ahead }, ticks: 0, wall: 1000 }
    }

    #[test]
    fn the_time_is_that_on_the_wall() {
        let (mut host, mut told) = (Host { wall: 1000, ..Host::default() }, Told::default());
        assert_eq!(host.write(&mut told), 1000);
        // Nobody can tell whether it was set by so much.
        (host.ticks, host.wall) = (7, 1005);
        assert_eq!(host.write(&mut told), 1005);
        assert_eq!(host.file, FileTime { time: ms(1005), ahead: Nanos::ZERO });
    }

    #[test]
    fn a_clock_set_back_does_not_turn_back_the_time_nor_stop_it() {
        let (mut host, mut told) = (Host { wall: 1000, ..Host::default() }, Told::default());
        assert_eq!(host.tell(&mut told), 1000);
        host.pass(10);
        assert_eq!(host.tell(&mut told), 1010);
        host.pass(10);
        host.wall = 520;
        assert_eq!(host.tell(&mut told), 1020);
        host.pass(10);
        assert_eq!(host.tell(&mut told), 1030);
        host.wall = 2000;
        assert_eq!(host.tell(&mut told), 2000);
    }

    #[test]
    fn time_goes_on_from_the_latest_in_the_file() {
        let (mut host, mut told) = (set_back(), Told::default());
        for time in [5000, 5010, 5020] {
            assert_eq!(host.tell(&mut told), time);
            host.pass(10);
        }
        // Others write, too.
        host.file.time = ms(6000);
        assert_eq!(host.tell(&mut told), 6000);
        host.pass(10);
        assert_eq!(host.tell(&mut told), 6010);
    }

    #[test]
    fn time_goes_on_where_everybody_comes_only_to_be_refused() {
        let mut host = set_back();
        for time in [5000, 5060, 5120] {
            assert_eq!(host.tell(&mut Told::default()), time);
            host.pass(60);
        }
        assert_eq!(host.file.ahead, ms(4000));
    }

    #[test]
    fn those_who_stay_and_those_who_come_and_go_tell_the_same() {
        let (mut host, mut stays) = (Host { wall: 5000, ..Host::default() }, Told::default());
        assert_eq!(host.write(&mut stays), 5000);
        host.pass(10);
        assert_eq!(host.tell(&mut stays), 5010);
        host.wall = 1000;
        for _ in 0..3 {
            host.pass(10);
            let time = host.write(&mut stays);
            host.pass(10);
            assert_eq!(host.tell(&mut Told::default()), time + 10);
            assert_eq!(host.tell(&mut stays), time + 10);
        }
        // Somebody who was there before the clock was set, and asked nobody since.
        let mut slept = Told { time: ms(900), ticks: Nanos::ZERO };
        host.pass(10);
        let time = host.tell(&mut Told::default());
        assert_eq!(host.tell(&mut slept), time);
    }

    #[test]
    fn a_clock_that_has_caught_up_is_the_time_again() {
        let (mut host, mut stays) = (set_back(), Told::default());
        assert_eq!(host.write(&mut stays), 5000);
        host.wall = 5001;
        assert_eq!(host.tell(&mut Told::default()), 5001);
        assert_eq!(host.file.ahead, Nanos::ZERO);
        assert_eq!(host.write(&mut stays), 5001);
        // And when it is set back by little, no more than that is made up for.
        host.wall = 4999;
        assert_eq!(host.tell(&mut Told::default()), 5001);
        assert_eq!(host.file.ahead, ms(2));
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        let (mut host, mut told) = (Host { wall: 1000, ..Host::default() }, Told::default());
        host.file.time = Nanos::MAX;
        assert_eq!(host.write(&mut told), u64::MAX / MILLISECOND);
        host.pass(10);
        assert_eq!(host.write(&mut told), u64::MAX / MILLISECOND);
        assert_eq!(host.tell(&mut Told::default()), u64::MAX / MILLISECOND);
    }
}
