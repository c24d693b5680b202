//! Many who ask at the same time.

use super::{
    Broken, Checked, Point,
    pair::{at, failed},
};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Take},
    store::{
        Answer, Batch, MemoryStore, Order, Store, StoreAsk, StoreError, StoreKey, StoredLimit,
    },
};
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};
use tokio::runtime::Handle;

const THREADS: u32 = 4;

/// How many asks each makes, and how many are made at the same time by each.
const ROUNDS: u32 = 12;
const TASKS: usize = 4;

/// What the threads found.
#[derive(Default)]
struct Found {
    granted: u64,
    failed: Option<StoreError>,
    /// How many are not done.
    running: u32,
    waiting: Option<Waker>,
}

struct Shared(Mutex<Found>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that a thread is done, also one that panicked.
struct Done(Arc<Shared>);

impl Drop for Done {
    fn drop(&mut self) {
        let mut found = self.0.lock();
        found.running -= 1;
        let waiting = found.waiting.take();
        drop(found);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

/// As many get permits as there are, by the clock of the store.
pub(super) async fn gets_what_there_is<A: Algorithm, S: Store<A>>(
    store: S,
    limit: &Arc<StoredLimit<A>>,
) -> Checked {
    let key = StoreKey::new("AtOnce");
    let ask = StoreAsk::Ask(Ask::Take(Take::fresh(1)));
    let order = Order { limit: Arc::clone(limit), key, ask, is_with_previous: false };
    let all = (THREADS * ROUNDS) as usize * TASKS;
    let memory = MemoryStore::default();
    let answers = memory.decide(at(0, vec![order.clone(); all])).await.map_err(failed)?;
    let expected = granted(&answers);

    let found = Found { running: THREADS, ..Found::default() };
    let shared = Arc::new(Shared(Mutex::new(found)));
    for _ in 0..THREADS {
        let (store, order, done) = (store.clone(), order.clone(), Done(Arc::clone(&shared)));
        let runtime = Handle::try_current();
        thread::spawn(move || {
            let asks = ask_often(store, order, &done.0);
            match runtime {
                Ok(runtime) => runtime.block_on(asks),
                Err(_) => block_on(asks),
            }
        });
    }
    poll_fn(|cx| {
        let mut found = shared.lock();
        found.waiting = Some(cx.waker().clone());
        if found.running == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let mut found = shared.lock();
    match found.failed.take() {
        Some(error) => Err(failed(error)),
        None if found.granted == expected => Ok(()),
        None => {
            let got = format!("{} calls got permits, and not {expected}", found.granted);
            Err(Broken::new(Point::AtOnce, got))
        }
    }
}

fn granted(answers: &[Answer]) -> u64 {
    answers.iter().filter(|answer| answer.is_granted()).count() as u64
}

/// Asks again and again, several batches at a time.
async fn ask_often<A: Algorithm, S: Store<A>>(store: S, order: Order<A>, shared: &Shared) {
    for _ in 0..ROUNDS {
        let decide = || Box::pin(store.decide(Batch::new(vec![order.clone()])));
        let mut asks: Vec<_> = (0..TASKS).map(|_| decide()).collect();
        poll_fn(|cx| {
            asks.retain_mut(|ask| match ask.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(Ok(answers)) => {
                    shared.lock().granted += granted(&answers);
                    false
                }
                Poll::Ready(Err(error)) => {
                    shared.lock().failed = Some(error);
                    false
                }
            });
            if asks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread, where there is no runtime.
fn block_on(work: impl Future<Output = ()>) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut work = pin!(work);
    while work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        thread::park();
    }
}
