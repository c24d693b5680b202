//! A fresh limit, and what happens to it.

use super::{
    Limits,
    caller::{Caller, Fate, Limited},
    probe::{Probe, Watch},
};
use crate::conformance::{
    Point,
    violation::{Broken, Checked, Violation, ensure},
};
use crate::nanos::Nanos;
use std::time::Duration;
use tower_layer::Layer;

/// How often those who were woken are polled while a span of time passes.
const LOOKS: u32 = 32;

pub(super) struct Scene<'a, L> {
    pub(super) limits: &'a Limits,
    pub(super) layer: L,
    pub(super) watch: Watch,
    events: Vec<String>,
    numbers: u32,
}

impl<'a, L: Layer<Probe, Service: Limited>> Scene<'a, L> {
    pub(super) fn new(limits: &'a Limits, layer: L) -> Self {
        Self { limits, layer, watch: Watch::default(), events: Vec::new(), numbers: 0 }
    }

    /// What came of it.
    pub(super) fn end(self, checked: Checked) -> Result<(), Violation> {
        let unready =
            Broken::new(Point::CalledUnready, "the service that was called was not ready");
        let checked = if self.watch.was_called_unready() { Err(unready) } else { checked };
        checked.map_err(|broken| Violation::new(broken, self.events, None))
    }

    pub(super) fn event(&mut self, event: impl Into<String>) {
        self.events.push(event.into());
    }

    pub(super) fn caller(&mut self) -> Caller<L::Service> {
        let service = self.layer.layer(self.watch.probe());
        self.caller_of(service)
    }

    pub(super) fn caller_of(&mut self, service: L::Service) -> Caller<L::Service> {
        self.numbers += 1;
        Caller::new(self.numbers, service)
    }

    pub(super) fn callers(&mut self, count: u32) -> Vec<Caller<L::Service>> {
        (0..count).map(|_| self.caller()).collect()
    }

    pub(super) fn readiers(&mut self, count: u32) -> Vec<Caller<L::Service>> {
        self.callers(count).into_iter().map(Caller::readies).collect()
    }

    /// As many as the limit has permits.
    pub(super) fn permits(&self) -> u32 {
        self.limits.permits
    }

    /// Everybody whose task was woken is polled, until nobody is.
    fn look(&mut self, callers: &mut [Caller<L::Service>]) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for caller in &mut *callers {
                let before = caller.fate;
                if caller.poll_if_woken() {
                    quiet &= caller.fate == before;
                }
                if caller.fate != before {
                    self.events.push(caller.to_string());
                }
            }
        }
    }

    /// Lets this time pass, and polls those who are woken.
    pub(super) async fn pass(&mut self, span: Duration, callers: &mut [Caller<L::Service>]) {
        self.look(callers);
        let start = self.limits.clock.now();
        for look in 1..=LOOKS {
            let part = span.saturating_mul(look) / LOOKS;
            self.limits.clock.pass_until(start + Nanos::from(part)).await;
            self.look(callers);
        }
        let waiting = callers.iter().filter(|caller| caller.is(Fate::Waits));
        let waiting: Vec<_> = waiting.map(|caller| caller.number.to_string()).collect();
        let who = match waiting.is_empty() {
            true => String::new(),
            false => format!(", and there wait: {}", waiting.join(", ")),
        };
        self.event(format!("{span:?} have passed{who}"));
    }

    /// Lets as much time pass as an answer takes.
    pub(super) async fn settle(&mut self, callers: &mut [Caller<L::Service>]) {
        match self.limits.latency.is_zero() {
            true => self.look(callers),
            false => self.pass(self.limits.latency, callers).await,
        }
    }

    /// Lets a period pass, and the time that answers take.
    pub(super) async fn wait(&mut self, periods: u32, callers: &mut [Caller<L::Service>]) {
        let span = self.limits.period + self.limits.latency * 2;
        self.pass(span.saturating_mul(periods), callers).await;
    }

    /// Everybody passes at once.
    pub(super) async fn all_pass(
        &mut self,
        callers: &mut [Caller<L::Service>],
        point: Point,
    ) -> Checked {
        self.settle(callers).await;
        let stopped = callers.iter().find(|caller| !caller.is(Fate::Passed));
        ensure(stopped.is_none(), point, || stopped.map_or(String::new(), ToString::to_string))
    }

    /// Uses all permits up.
    pub(super) async fn exhaust(&mut self) -> Checked {
        let mut callers = self.callers(self.permits());
        self.all_pass(&mut callers, Point::LetsThrough).await
    }

    /// This one has been let through by now.
    pub(super) fn is_served(&self, caller: &mut Caller<L::Service>, point: Point) -> Checked {
        if caller.is(Fate::Passed) {
            return Ok(());
        }
        let found = caller.to_string();
        caller.poll();
        match caller.is(Fate::Passed) {
            true => Err(Broken::new(Point::Wakes, format!("{found}, and passes unasked"))),
            false => Err(Broken::new(point, found)),
        }
    }
}

/// How many of them have passed.
pub(super) fn passed<S: Limited>(callers: &[Caller<S>]) -> u32 {
    callers.iter().map(|caller| u32::from(caller.is(Fate::Passed))).sum()
}
