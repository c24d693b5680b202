//! A clock that moves while somebody begins to wait for it, in all orders in which that may happen.

use super::{Alarm, Clock, ManualClock};
use crate::{
    nanos::Nanos,
    sync::{Signal, model},
};
use loom::thread;
use std::{
    sync::Arc,
    task::{Context, Waker},
};

#[test]
fn whoever_begins_to_wait_while_the_clock_moves_sees_where_it_is_or_is_woken() {
    const AT: Nanos = Nanos::new(10);
    model(3, || {
        let clock = ManualClock::new();
        let signal = Arc::<Signal>::default();
        let waits = thread::spawn({
            let (clock, waker) = (Clock::from(clock.clone()), Waker::from(signal.clone()));
            move || Alarm::default().poll(&clock, AT, &mut Context::from_waker(&waker)).is_ready()
        });
        clock.set(AT.into());
        assert!(waits.join().expect("no panic") || signal.is_woken());
    });
}
