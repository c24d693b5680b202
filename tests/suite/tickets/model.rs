//! A window against a list of permits: a ticket's is taken at once, and counts anew when it is used.

use super::{ms, ticket, window};
use proptest::prelude::*;
use tower_ratelimit::{Limiter, ManualClock, RateLimiter, limiter::Ticket};

#[derive(Clone, Copy, Debug)]
enum Deed {
    Reserve,
    Commit(prop::sample::Index),
    CommitLast,
    GiveBack(prop::sample::Index),
    Forget(prop::sample::Index),
    Keeps(prop::sample::Index),
    Try(u32),
    Peek,
    Move(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    use Deed::*;
    let which = any::<prop::sample::Index>;
    prop_oneof![
        10 => Just(Reserve),
        4 => which().prop_map(Commit),
        8 => Just(CommitLast),
        1 => which().prop_map(GiveBack),
        1 => which().prop_map(Forget),
        1 => which().prop_map(Keeps),
        1 => (1..19_u32).prop_map(Try),
        1 => Just(Peek),
        4 => prop_oneof![0..1500_u64, Just(SHELF_LIFE - 1), Just(SHELF_LIFE), Just(WINDOW)]
            .prop_map(Move),
    ]
}

const WINDOW: u64 = 20_000;
/// Of one in twenty in that time.
const SHELF_LIFE: u64 = WINDOW / MOST as u64;
const MOST: u32 = 20;

#[derive(Clone, Copy)]
struct Permit {
    owner: usize,
    at: u64,
    is_used: bool,
}

#[derive(Default)]
struct Model {
    now: u64,
    /// In the order in which they were taken.
    taken: Vec<Permit>,
}

impl Model {
    fn left(&self) -> usize {
        let counts = self.taken.iter().filter(|permit| self.now - permit.at < WINDOW).count();
        MOST as usize - counts
    }

    fn take(&mut self, owner: usize, is_used: bool) {
        self.taken.push(Permit { owner, at: self.now, is_used });
    }

    fn reclaim(&mut self) {
        let now = self.now;
        self.taken.retain(|permit| permit.is_used || now - permit.at < SHELF_LIFE);
    }

    fn take_now(&mut self, owner: usize, cost: usize, is_used: bool) -> bool {
        self.reclaim();
        let fits = self.left() >= cost;
        for _ in 0..if fits { cost } else { 0 } {
            self.take(owner, is_used);
        }
        fits
    }

    fn kept(&self, owner: usize) -> Option<Permit> {
        let mine = |permit: &&Permit| permit.owner == owner && !permit.is_used;
        self.taken.iter().find(mine).copied().filter(|mine| self.now - mine.at < SHELF_LIFE)
    }

    fn commit(&mut self, owner: usize) -> bool {
        let is_good = self.kept(owner).is_some();
        match is_good {
            true => {
                self.taken.retain(|permit| permit.owner != owner || permit.is_used);
                self.take(owner, true);
            }
            false => self.give_back(owner),
        }
        is_good
    }

    fn give_back(&mut self, owner: usize) {
        self.taken.retain(|permit| permit.owner != owner || permit.is_used);
        self.reclaim();
    }
}

fn pick(tickets: &mut Vec<(usize, Ticket)>, which: prop::sample::Index) -> Option<(usize, Ticket)> {
    (!tickets.is_empty()).then(|| tickets.swap_remove(which.index(tickets.len())))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_window_grants_what_the_list_says(deeds in prop::collection::vec(deed(), 1..150)) {
        let clock = ManualClock::new();
        let limiter = RateLimiter::builder(window(MOST, WINDOW)).clock(clock.clone()).build();
        let mut model = Model::default();
        let mut tickets = Vec::new();
        for (owner, deed) in deeds.into_iter().enumerate() {
            match deed {
                Deed::Reserve => {
                    let ticket = ticket(&limiter);
                    prop_assert_eq!(ticket.is_some(), model.take_now(owner, 1, false));
                    tickets.extend(ticket.map(|ticket| (owner, ticket)));
                }
                Deed::Commit(_) | Deed::CommitLast => {
                    let picked = match deed {
                        Deed::Commit(which) => pick(&mut tickets, which),
                        _ => tickets.pop(),
                    };
                    let Some((owner, ticket)) = picked else { continue };
                    prop_assert_eq!(limiter.commit(ticket).is_ok(), model.commit(owner));
                }
                Deed::GiveBack(which) => {
                    let Some((owner, ticket)) = pick(&mut tickets, which) else { continue };
                    limiter.give_back(ticket);
                    model.give_back(owner);
                }
                Deed::Forget(which) => drop(pick(&mut tickets, which)),
                Deed::Keeps(which) if !tickets.is_empty() => {
                    let (owner, ticket) = &tickets[which.index(tickets.len())];
                    prop_assert_eq!(limiter.keeps(ticket), model.kept(*owner).is_some());
                }
                Deed::Keeps(_) => {}
                Deed::Try(cost) => {
                    let fits = model.take_now(owner, cost as usize, true);
                    prop_assert_eq!(limiter.try_acquire_many(cost).is_ok(), fits);
                }
                Deed::Peek => {
                    model.reclaim();
                    prop_assert_eq!(limiter.peek(0).remaining as usize, model.left());
                }
                Deed::Move(by) => {
                    clock.advance(ms(by));
                    model.now += by;
                }
            }
        }
        model.reclaim();
        prop_assert_eq!(limiter.peek(0).remaining as usize, model.left());
    }
}
