//! A clock that moves while somebody begins to wait for it, in all orders in which that may happen.

use super::{Alarm, Clock, ManualClock};
use crate::{
    nanos::Nanos,
    sync::{Signal, model},
};
use loom::thread;
use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

#[test]
fn whoever_begins_to_wait_while_the_clock_moves_sees_where_it_is_or_is_woken() {
    const AT: Nanos = Nanos::new(10);
    model(3, || {
        let clock = ManualClock::new();
        let signal = Arc::<Signal>::default();
        let moves = thread::spawn({
            let clock = clock.clone();
            move || clock.set(AT.into())
        });
        let waker = Waker::from(signal.clone());
        let mut task = Context::from_waker(&waker);
        let has_come = pin!(Alarm::default()).poll(&Clock::from(clock), AT, &mut task).is_ready();
        moves.join().expect("no panic");
        assert!(has_come || signal.is_woken());
    });
}
