//! Two limiters of which one is looked at after every reservation: they answer alike. Before the clock
//! moves both are, as permits that have perished go back when somebody looks.

use super::ms;
use proptest::prelude::*;
use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tower_ratelimit::{
    Algorithm, LeakyBucket, ManualClock, Nanos, Rate, RateLimiter, Reservation, SlidingWindow,
    limiter::Acquire,
};

#[derive(Clone, Copy, Debug)]
enum Deed {
    Reserve(u32),
    /// Commits, gives back or forgets one of the reservations.
    Commit(prop::sample::Index),
    Drop(prop::sample::Index),
    Forget(prop::sample::Index),
    /// Polls one of those who wait, or makes it leave.
    Poll(prop::sample::Index),
    Leave(prop::sample::Index),
    Try(u32),
    Refund(u32),
    Peek(u32),
    Move(Duration),
    Back(Duration),
}

fn deed() -> impl Strategy<Value = Deed> {
    use Deed::*;
    let which = any::<prop::sample::Index>;
    prop_oneof![
        12 => prop_oneof![9 => Just(1), 1 => 0..4_u32].prop_map(Reserve),
        8 => which().prop_map(Commit),
        2 => which().prop_map(Drop),
        1 => which().prop_map(Forget),
        2 => which().prop_map(Poll),
        1 => which().prop_map(Leave),
        1 => (0..4_u32).prop_map(Try),
        1 => (0..19_u32).prop_map(Refund),
        1 => (0..19_u32).prop_map(Peek),
        4 => (0..1500_u64).prop_map(|by| Move(ms(by))),
        1 => (0..40_000_u64).prop_map(|by| Move(ms(by))),
        1 => (0..300_u64).prop_map(|by| Back(ms(by))),
    ]
}

type Asks<'a, A> = Pin<Box<Acquire<'a, A, Reservation<'a, A>>>>;

/// A limiter and those who deal with it.
struct Side<'a, A: Algorithm> {
    limiter: &'a RateLimiter<A>,
    clock: ManualClock,
    is_watched: bool,
    kept: Vec<Reservation<'a, A>>,
    waiting: Vec<Asks<'a, A>>,
}

impl<'a, A: Algorithm> Side<'a, A> {
    fn look(&self) {
        if self.is_watched {
            let _ = self.limiter.peek(0);
        }
    }

    fn poll(&mut self, mut asks: Asks<'a, A>) -> String {
        match asks.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(reservation)) => {
                self.look();
                self.kept.push(reservation);
                "granted".into()
            }
            Poll::Ready(Err(refusal)) => format!("{refusal:?}"),
            Poll::Pending => {
                self.waiting.push(asks);
                "waits".into()
            }
        }
    }

    /// Does it, and says what came of it.
    fn perform(&mut self, deed: Deed) -> String {
        match deed {
            Deed::Reserve(cost) => self.poll(Box::pin(self.limiter.reserve().cost(cost))),
            // How the limit stands then is not compared: those who take permits make room of those
            // that have perished, and those who use theirs do not.
            Deed::Commit(which) => {
                let permit = pick(&mut self.kept, which).map(Reservation::commit);
                format!("{:?}", permit.map(|permit| permit.is_ok()))
            }
            Deed::Drop(which) => format!("{:?}", pick(&mut self.kept, which).map(drop)),
            Deed::Forget(which) => {
                format!("{:?}", pick(&mut self.kept, which).map(std::mem::forget))
            }
            Deed::Poll(which) => match pick(&mut self.waiting, which) {
                Some(asks) => self.poll(asks),
                None => "nobody".into(),
            },
            Deed::Leave(which) => format!("{:?}", pick(&mut self.waiting, which).map(drop)),
            Deed::Try(cost) => match self.limiter.try_acquire_many(cost) {
                Ok(permit) => format!("{:?}", permit.decision()),
                Err(refusal) => format!("{refusal:?}"),
            },
            Deed::Refund(cost) => match self.limiter.try_acquire_many(cost) {
                Ok(permit) => {
                    let decision = permit.decision();
                    permit.refund();
                    format!("{decision:?}")
                }
                Err(refusal) => format!("{refusal:?}"),
            },
            Deed::Peek(cost) => format!("{:?}", self.limiter.peek(cost)),
            Deed::Move(by) => {
                let _ = self.limiter.peek(0);
                self.clock.advance(by);
                String::new()
            }
            Deed::Back(by) => {
                let _ = self.limiter.peek(0);
                self.clock.set((self.clock.now() - Nanos::from(by)).into());
                String::new()
            }
        }
    }
}

fn pick<T>(from: &mut Vec<T>, which: prop::sample::Index) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(which.index(from.len())))
}

fn answer_alike<A: Algorithm + Clone>(algorithm: A, deeds: &[Deed]) -> Result<(), TestCaseError> {
    let clocks = [ManualClock::new(), ManualClock::new()];
    let limiters = [&clocks[0], &clocks[1]]
        .map(|clock| RateLimiter::builder(algorithm.clone()).clock(clock.clone()).build());
    let [mut plain, mut watched] = [0, 1].map(|index| Side {
        limiter: &limiters[index],
        clock: clocks[index].clone(),
        is_watched: index == 1,
        kept: Vec::new(),
        waiting: Vec::new(),
    });
    for (number, deed) in deeds.iter().enumerate() {
        let (first, second) = (plain.perform(*deed), watched.perform(*deed));
        prop_assert_eq!(first, second, "deed {}: {:?}", number, deed);
    }
    // All that was kept, and nothing else, is there in the end.
    prop_assert_eq!(plain.limiter.peek(0), watched.limiter.peek(0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_look_at_a_limit_changes_nothing(
        permits in 14..40_u32,
        deeds in prop::collection::vec(deed(), 1..120),
    ) {
        let rate = Rate::new(permits, ms(20_000)).unwrap();
        let many = SlidingWindow::all([rate, Rate::new(200, ms(500_000)).unwrap()]).unwrap();
        answer_alike(SlidingWindow::new(rate), &deeds)?;
        answer_alike(many, &deeds)?;
        answer_alike(LeakyBucket::new(rate).capacity(permits).unwrap(), &deeds)?;
    }
}
