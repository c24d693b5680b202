//! Those who wait are woken and let through, in order, whoever else looks.

use super::{caller::Limited, probe::Probe, scene::Scene};
use crate::conformance::{
    Point,
    violation::{Checked, ensure},
};
use tower_layer::Layer;

/// So many wait.
const LINE: u32 = 5;

impl<L: Layer<Probe, Service: Limited>> Scene<'_, L> {
    pub(super) async fn a_line_is_served(&mut self) -> Checked {
        self.exhaust().await?;
        let before = self.watch.calls().len();
        let mut line = self.callers(LINE);
        self.settle(&mut line).await;
        self.wait(LINE + 1, &mut line).await;
        for caller in &mut line {
            self.is_served(caller, Point::Serves)?;
        }
        let calls = self.watch.calls();
        let order = &calls[before..];
        let in_order = order.is_sorted() || !self.limits.in_order;
        ensure(in_order, Point::InOrder, || format!("{order:?}"))
    }

    pub(super) async fn the_task_that_polled_last_is_woken(&mut self) -> Checked {
        self.exhaust().await?;
        let mut callers = self.callers(1);
        self.settle(&mut callers).await;
        self.event("another task polls it");
        callers[0].moves_to_another_task();
        self.settle(&mut callers).await;
        self.wait(1, &mut callers).await;
        self.is_served(&mut callers[0], Point::Serves)
    }

    pub(super) async fn a_call_that_is_never_polled_again_stalls_nobody(&mut self) -> Checked {
        self.exhaust().await?;
        let mut never_again = self.callers(1);
        self.settle(&mut never_again).await;
        self.event("it is never polled again");
        let mut next = self.callers(1);
        self.settle(&mut next).await;
        self.wait(4, &mut next).await;
        self.is_served(&mut next[0], Point::Unpolled)
    }
}
