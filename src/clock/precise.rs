//! One thread that wakes tasks closer to their instants than tokio's timer does.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
    thread,
    time::{Duration, Instant},
};

/// How long before its instant a task is called: the time by which the system wakes a thread too
/// late (50 us on Linux, the slack of its timers), twice, as the thread wakes a worker of the
/// runtime in turn.
pub(super) const EARLY: Duration = Duration::from_micros(120);

/// How long the thread stays when there is nothing to do.
const IDLE: Duration = Duration::from_secs(10);

static CALLS: Mutex<Calls> =
    Mutex::new(Calls { waiting: BTreeMap::new(), number: 0, is_running: false });

/// Tells the thread of a call that comes before all others.
static SOONER: Condvar = Condvar::new();

struct Calls {
    waiting: BTreeMap<(Instant, u64), Waker>,
    /// How many there were.
    number: u64,
    is_running: bool,
}

/// Wakes a task at an instant, unless dropped before.
#[derive(Debug)]
pub(super) struct Call {
    at: Instant,
    number: u64,
}

impl Call {
    /// Arranges to wake a task. Where the system has no thread to do so, nobody calls.
    pub(super) fn at(at: Instant, waker: &Waker) -> Self {
        let waker = waker.clone();
        let mut calls = calls();
        calls.number += 1;
        let number = calls.number;
        calls.waiting.insert((at, number), waker);
        if !calls.is_running {
            let thread = thread::Builder::new().name("tower-ratelimit".into());
            calls.is_running = thread.spawn(run).is_ok();
        } else if calls.waiting.keys().next() == Some(&(at, number)) {
            SOONER.notify_one();
        }
        Self { at, number }
    }

    /// Calls this task from now on. False when the call has been made already.
    pub(super) fn goes_to(&self, waker: &Waker) -> bool {
        let replaced = match calls().waiting.get_mut(&(self.at, self.number)) {
            None => return false,
            Some(known) if known.will_wake(waker) => None,
            Some(known) => Some(std::mem::replace(known, waker.clone())),
        };
        // Once the lock is let go: it may run anything.
        drop(replaced);
        true
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let cancelled = calls().waiting.remove(&(self.at, self.number));
        // As above.
        drop(cancelled);
    }
}

/// Ends the thread in the books when a waker panics; the next call starts another.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            calls().is_running = false;
        }
    }
}

fn run() {
    let _running = Running;
    let mut calls = self::calls();
    loop {
        let now = Instant::now();
        match calls.waiting.first_entry() {
            Some(first) if first.key().0 <= now => {
                let waker = first.remove();
                drop(calls);
                waker.wake();
                calls = self::calls();
            }
            Some(first) => {
                let left = first.key().0 - now;
                (calls, _) =
                    SOONER.wait_timeout(calls, left).unwrap_or_else(PoisonError::into_inner);
            }
            None => {
                let waited =
                    SOONER.wait_timeout(calls, IDLE).unwrap_or_else(PoisonError::into_inner);
                calls = waited.0;
                if waited.1.timed_out() && calls.waiting.is_empty() {
                    calls.is_running = false;
                    return;
                }
            }
        }
    }
}

/// Nothing panics while the lock is held.
fn calls() -> MutexGuard<'static, Calls> {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Call;
    use std::{
        sync::{
            Arc,
            mpsc::{Receiver, Sender, channel},
        },
        task::{Wake, Waker},
        time::{Duration, Instant},
    };

    struct Named(&'static str, Sender<&'static str>);

    impl Wake for Named {
        fn wake(self: Arc<Self>) {
            // Nobody listens any more once a test has failed.
            let _ = self.1.send(self.0);
        }
    }

    fn wakers<const N: usize>(names: [&'static str; N]) -> ([Waker; N], Receiver<&'static str>) {
        let (called, calls) = channel();
        (names.map(|name| Waker::from(Arc::new(Named(name, called.clone())))), calls)
    }

    fn in_milliseconds(n: u64) -> Instant {
        Instant::now() + Duration::from_millis(n)
    }

    /// Who is called next, however long that takes within reason.
    fn next(calls: &Receiver<&'static str>) -> Option<&'static str> {
        calls.recv_timeout(Duration::from_secs(5)).ok()
    }

    #[test]
    fn calls_are_made_in_the_order_of_their_instants_and_not_before() {
        let ([late, soon, next_one, never], calls) = wakers(["late", "soon", "next", "never"]);
        let _never = Call::at(in_milliseconds(3_600_000), &never);
        let at = in_milliseconds(201);
        let _late = Call::at(at, &late);
        let _soon = Call::at(in_milliseconds(150), &soon);
        assert_eq!(next(&calls), Some("soon"));
        assert_eq!(next(&calls), Some("late"));
        assert!(Instant::now() >= at);
        // The thread sleeps by now, for an hour.
        let _next = Call::at(in_milliseconds(1), &next_one);
        assert_eq!(next(&calls), Some("next"));
        assert!(calls.try_recv().is_err());
    }

    #[test]
    fn a_call_that_is_dropped_is_not_made() {
        let ([dropped, stays], calls) = wakers(["dropped", "stays"]);
        let call = Call::at(in_milliseconds(150), &dropped);
        let _stays = Call::at(in_milliseconds(151), &stays);
        drop(call);
        assert_eq!(next(&calls), Some("stays"));
    }

    #[test]
    fn a_call_goes_to_the_last_task_that_asked_and_says_when_it_was_made() {
        let ([first, last], calls) = wakers(["first", "last"]);
        let call = Call::at(in_milliseconds(150), &first);
        assert!(call.goes_to(&last));
        assert_eq!(next(&calls), Some("last"));
        assert!(!call.goes_to(&last));
    }
}
