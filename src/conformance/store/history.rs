//! What happens to the keys of two limits, chosen by chance.

use super::{
    Point, Random, SEED, Violation,
    pair::{Asked, Both, MICROSECOND, Pair},
};
use crate::{
    algorithm::Algorithm,
    decision::{Ask, Grant, Outcome, Take},
    nanos::Nanos,
    store::{Store, StoreAsk, StoreKey, StoredLimit},
};
use std::sync::Arc;

type Limits<A> = [Arc<StoredLimit<A>>; 2];

#[derive(Clone, Debug)]
pub(super) struct History {
    steps: Vec<Step>,
    /// Whether all keys are of one tag, so that every store can take them together.
    has_tag: bool,
}

/// A batch, and the pause before it.
#[derive(Clone, Debug)]
struct Step {
    pause: Pause,
    turns: Vec<Turn>,
    /// Whether the turns, which are takes then, are a group where the store can decide it.
    together: bool,
}

#[derive(Clone, Copy, Debug)]
enum Pause {
    None,
    Microsecond,
    /// Thousandths of the interval of the first limit.
    Part(u64),
    /// The wait of the last refusal, and a microsecond more or less.
    Wait(i64),
}

/// Somebody comes to a key of a limit, or asks about permits that somebody has.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Comes { limit: usize, key: u64, ask: StoreAsk },
    Patient { limit: usize, key: u64, cost: u32, intervals: u32 },
    Asks { which: usize, about: About },
}

#[derive(Clone, Copy, Debug)]
enum About {
    GoesBack,
    Renews,
    Ends,
}

/// Permits that somebody has, as each of the stores knows them.
struct Had {
    limit: usize,
    key: u64,
    theirs: Grant,
    ours: Grant,
    reserved: bool,
}

impl History {
    pub(super) fn new(random: &mut Random) -> Self {
        let length = random.between(4, 24);
        let steps = (0..length).map(|_| Step::new(random)).collect();
        Self { steps, has_tag: length.is_multiple_of(2) }
    }

    /// Lets it happen to the stores of this pair.
    pub(super) async fn happen<A: Algorithm, S: Store<A>>(
        &self,
        pair: &mut Pair<A, S>,
        limits: &Limits<A>,
    ) -> Result<(), Violation> {
        // Keys of its own, in case that others have been in the store.
        let run = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut had: Vec<Had> = Vec::new();
        let (mut now, mut wait) = (1_000_000_000_000, 0);
        for step in &self.steps {
            now = step.pause.after(&limits[0].algorithm, now, wait);
            let mut asked: Vec<Asked<A>> = Vec::new();
            let mut about = Vec::new();
            for turn in &step.turns {
                let Some((limit, key, ask, in_memory, which)) = turn.of(limits, &had, &about)
                else {
                    continue;
                };
                let stored = match self.has_tag {
                    true => StoreKey::tagged(&run, &key),
                    false => StoreKey::new(&(run, key)),
                };
                asked.push(Asked { in_memory, ..Asked::new(&limits[limit], &stored, ask) });
                about.push((limit, key, ask, which));
            }
            if step.together {
                pair.group(&mut asked);
            }
            let is_group = asked.iter().any(|asked| asked.order.is_with_previous);
            let both = pair.ask(Point::Decides, now, asked).await;
            let both = both.map_err(|broken| pair.violation(broken, Some(SEED)))?;
            let all = both.iter().all(|both| both.ours.is_granted());
            let mut gone = Vec::new();
            for ((limit, key, ask, which), Both { theirs, ours }) in about.into_iter().zip(both) {
                if let Outcome::Later(later) = ours.decision.outcome {
                    wait = later.get();
                }
                let grants = theirs.decision.grant().zip(ours.decision.grant());
                match (ask, which, grants) {
                    (StoreAsk::Ask(Ask::Take(_)), _, _) if is_group && !all => {}
                    (StoreAsk::Ask(Ask::Take(_)) | StoreAsk::Reserve { .. }, _, Some(grants)) => {
                        let (theirs, reserved) = (grants.0, ours.reserved().is_some());
                        had.push(Had { limit, key, theirs, ours: grants.1, reserved });
                    }
                    (StoreAsk::Ask(Ask::Renew(_)), Some(which), Some((theirs, ours))) => {
                        let reserved = false;
                        had[which] = Had { theirs, ours, reserved, ..had[which] };
                    }
                    (StoreAsk::Forget, ..) => {
                        let is_of_it =
                            |(_, had): &(usize, &Had)| had.limit == limit && had.key == key;
                        gone.extend(
                            had.iter().enumerate().filter(is_of_it).map(|(index, _)| index),
                        );
                    }
                    (_, Some(which), _) => gone.push(which),
                    _ => {}
                }
            }
            let mut index = 0;
            had.retain(|_| {
                index += 1;
                !gone.contains(&(index - 1))
            });
        }
        Ok(())
    }
}

/// Each history has keys of its own.
static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

impl Step {
    fn new(random: &mut Random) -> Self {
        let part = random.between(1, 3_000);
        let offset = [-1, 0, 1][random.between(0, 2) as usize];
        let pause = random.pick(&[
            (5, Pause::None),
            (1, Pause::Microsecond),
            (3, Pause::Part(part)),
            (3, Pause::Wait(offset)),
            (1, Pause::Part(part * 50)),
        ]);
        let pause = pause.unwrap_or(Pause::None);
        let count = random.between(1, 4);
        if random.one_in(5) {
            // Keys that differ, of limits as it comes.
            let take = |key| Turn::Comes {
                limit: random.between(0, 1) as usize,
                key,
                ask: StoreAsk::Ask(Ask::Take(Take::fresh(cost(random)))),
            };
            return Self { pause, turns: (0..count).map(take).collect(), together: true };
        }
        Self { pause, turns: (0..count).map(|_| Turn::new(random)).collect(), together: false }
    }
}

fn cost(random: &mut Random) -> u32 {
    let few = random.between(2, 4) as u32;
    random.pick(&[(12, 1), (1, 0), (5, few), (1, u32::MAX)]).unwrap_or(1)
}

impl Turn {
    fn new(random: &mut Random) -> Self {
        let limit = usize::from(random.one_in(4));
        let key = random.between(0, 1);
        let (cost, charge) = (cost(random), random.between(0, 3) as u32);
        let which = random.between(0, 99) as usize;
        let intervals = random.between(0, 12) as u32;
        let comes = |ask| Self::Comes { limit, key, ask };
        let asks = |about| Self::Asks { which, about };
        let turn = random.pick(&[
            (6, comes(StoreAsk::Ask(Ask::Take(Take::fresh(cost))))),
            (2, comes(StoreAsk::Ask(Ask::Peek(Take::fresh(cost))))),
            (5, comes(StoreAsk::Reserve { cost, max_wait: Nanos::new(YEAR) })),
            (2, Self::Patient { limit, key, cost, intervals }),
            (1, comes(StoreAsk::Ask(Ask::Charge(charge)))),
            (6, asks(About::GoesBack)),
            (2, asks(About::Renews)),
            (3, asks(About::Ends)),
        ]);
        match random.one_in(60) {
            true => comes(StoreAsk::Forget),
            false => turn.unwrap_or(comes(StoreAsk::Forget)),
        }
    }

    /// The limit, the key, what each store is asked, and about which permits. No order is about
    /// permits that another one of its batch is about.
    fn of<A: Algorithm>(
        self,
        limits: &Limits<A>,
        had: &[Had],
        before: &[(usize, u64, StoreAsk, Option<usize>)],
    ) -> Option<(usize, u64, StoreAsk, StoreAsk, Option<usize>)> {
        match self {
            Self::Comes { limit, key, ask } => Some((limit, key, ask, ask, None)),
            Self::Patient { limit, key, cost, intervals } => {
                let max_wait = limits[limit].algorithm.interval() * intervals;
                let ask = StoreAsk::Reserve { cost, max_wait };
                Some((limit, key, ask, ask, None))
            }
            Self::Asks { which, about } => {
                let which = which % had.len().max(1);
                let Had { limit, key, theirs, ours, reserved } = had.get(which)?;
                let is_taken = |(.., ask, other): &(usize, u64, StoreAsk, Option<usize>)| {
                    *other == Some(which) || *ask == StoreAsk::Forget
                };
                if before.iter().any(is_taken) {
                    return None;
                }
                let ask = |grant: Grant| match about {
                    About::GoesBack if *reserved => StoreAsk::Return(grant),
                    About::GoesBack => StoreAsk::Ask(Ask::GiveBack(grant)),
                    About::Renews => StoreAsk::Ask(Ask::Renew(grant)),
                    About::Ends => StoreAsk::Ask(Ask::End(grant)),
                };
                Some((*limit, *key, ask(*theirs), ask(*ours), Some(which)))
            }
        }
    }
}

/// As long as anybody waits.
const YEAR: u64 = 365 * 86_400 * 1_000_000_000;

impl Pause {
    /// The instant after this pause, in whole microseconds.
    fn after(self, algorithm: &impl Algorithm, now: u64, wait: u64) -> u64 {
        let micros = |span: u64| span.div_ceil(MICROSECOND) * MICROSECOND;
        let pause = match self {
            Self::None => 0,
            Self::Microsecond => MICROSECOND,
            Self::Part(thousandths) => {
                micros(algorithm.interval().get() / 1_000).saturating_mul(thousandths)
            }
            // Nobody waits longer than a year.
            Self::Wait(offset) => match wait {
                0 => 0,
                wait => micros(wait.min(YEAR)).saturating_add_signed(offset * MICROSECOND as i64),
            },
        };
        now.saturating_add(pause.min(YEAR))
    }
}

/// The same violation after as little as possible.
pub(super) async fn shortest<A: Algorithm, S: Store<A>>(
    mut history: History,
    mut violation: Violation,
    limits: &Limits<A>,
    open: &mut impl FnMut() -> S,
) -> Violation {
    for index in (0..history.steps.len()).rev() {
        let mut shorter = history.clone();
        shorter.steps.remove(index);
        match shorter.happen(&mut Pair::new(open()), limits).await {
            Err(found) if found.point() == violation.point() => {
                (history, violation) = (shorter, found);
            }
            _ => {}
        }
    }
    violation
}
