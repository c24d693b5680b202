//! Asking for permits: at once, or in line.
//!
//! [`RateLimiter`] keeps one limit, [`KeyedRateLimiter`] one for each key, [`JointLimiter`] several
//! that are taken together. They are used as they are or through a layer, and a [`Limiter`] of your
//! own can stand in their place.
//!
//! What most programs name stands at the root of the crate, too. The rest is what one meets on the
//! way: futures ([`Acquire`]), permits that are kept for later ([`Ticket`]), and what a limiter of
//! your own is made of.

// The words of this module:
//
// | word | what it means | file |
// |---|---|---|
// | lane | the state of one key and, while it is needed, its line | `lane`, all of them in `lanes` |
// | line | the calls that wait for one key, and the permits granted there and not used yet | `line`, `unused` |
// | row | the ring in which a line keeps its calls, in the order of their places | `row` |
// | place | a number in a line, smaller for earlier calls; then the permit granted there | `line` |
// | turn | what a call in line finds when it looks: wait, granted, refused or sent away | `desk` |
// | desk | a lane, its line and its rules under the lock, where calls are answered and let go | `desk`, `serve` |
// | short way | taking permits without the lock, where a limit keeps its state in one word | `short_way`, `cell`, `at_once` |
// | stand | how a limit stands: what is left of it, and when more comes | `standing`, `joint::stand` |
// | board | all limits and lines of a `JointLimiter` under its one lock | `joint::board` |
// | reins | what cancels, breaches, resets and closes a limiter in use | `reins`, `control`, `stored::reins` |
// | seat | a service's caller, waiting or with a permit in hand | `crate::seat` |
//
// The way of a call: one that does not wait goes through `one` or `keyed`, `without_patience` and
// `at_once`; what that does not decide through `answer`, `lanes`, `lane` and `desk`; it ends in
// `refusing`, or in `used` and `permit`. One that may wait comes from `acquire` to `answer`, gets in
// line at its `desk`, and is polled in `waiting`, `shared`, `desk` and `serve`, which lets go all
// calls that are due.

mod one;
mod keyed;
mod reins;
mod joint;
mod stored;
mod builder;
mod snapshot;
mod restore;
#[cfg(feature = "serde")]
mod config;
mod limit_id;
mod terms;
mod acquire;
mod permit;
mod run;
mod wrapped;
mod waiting;
mod shared;
mod answer;
mod without_patience;
mod refusing;
mod look;
mod used;
mod control;
mod at_once;
mod lanes;
mod single;
mod rules;
mod standing;
mod short_way;
mod cell;
mod settled;
mod uncontrolled;
mod enforcement;
mod enforced;
mod lane;
mod desk;
mod serve;
mod line;
mod row;
mod unused;
mod forecast;
#[cfg(all(test, loom))]
mod models;

pub use acquire::{Acquire, Granted};
pub use builder::{Builder, ManyLimits, SingleLimit};
pub use enforced::{Enforced, EnforcedWait};
pub use enforcement::Enforcement;
pub use joint::{
    Binding, JointAcquire, JointBuilder, JointGranted, JointHold, JointLimiter, JointPermit,
    JointReservation, JointTicket, JointWaiting, OnLimits,
};
pub use keyed::KeyedRateLimiter;
pub use lanes::AtCapacity;
pub use limit_id::LimitId;
pub use one::RateLimiter;
pub use permit::{Hold, LeaseLost, Permit, Reservation};
pub use settled::{Settle, Settled, Settles};
pub use standing::Standing;
pub use stored::{
    OnFailure, StoredAcquire, StoredBuilder, StoredHold, StoredJointAcquire, StoredJointBuilder,
    StoredJointHold, StoredJointLimiter, StoredJointPermit, StoredJointTicket, StoredJointWaiting,
    StoredKey, StoredLimiter, StoredOnLimits, StoredPermit, StoredTicket, StoredWaiting,
};
pub use terms::{Patience, Terms};
pub use uncontrolled::Uncontrolled;
pub use used::Ticket;
pub use waiting::Waiting;
pub use wrapped::WrappedFn;

use crate::{algorithm::Algorithm, error::RateLimited, key::Key};
use std::{error, fmt};

/// A limiter as the layers use it; implement it for one of your own or of a vendor.
///
/// A limiter is a cheap handle; clones share their limits.
///
/// # Contract
///
/// A ticket stands for permits that were granted and not used, and ends in
/// [`commit`](Self::commit) when the call takes place or in [`give_back`](Self::give_back) when
/// it does not. Dropping the [`Wait`](Self::Wait) future gives up the place in line and whatever
/// was granted to it.
///
/// It may send each key to a limit of its own kind, and find out which when the key comes for the
/// first time: [`Attempt::Later`] has room for a look-up, and for a `spawn_blocking` around what would
/// block the thread.
///
/// # Example
///
/// ```
/// use std::{future, sync::Arc, sync::atomic::{AtomicBool, Ordering}};
/// use tower_ratelimit::{
///     Key, Limiter, RateLimited, RateLimitLayer, Reason, Terms, limiter::{Attempt, Perished},
/// };
///
/// /// Lets every call through until the switch is pulled.
/// #[derive(Clone, Default)]
/// struct Switch(Arc<AtomicBool>);
///
/// impl Limiter for Switch {
///     type Ticket = ();
///     type Hold = ();
///     type Wait = future::Ready<Result<(), RateLimited>>;
///
///     fn reserve<K: Key + ?Sized>(&self, _: &K, terms: Terms) -> Attempt<(), Self::Wait> {
///         match self.0.load(Ordering::Relaxed) {
///             false => Attempt::Now(Ok(())),
///             true => Attempt::Now(Err(RateLimited::new(Reason::UsedUp).with_cost(terms.cost))),
///         }
///     }
///
///     fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<(), Self::Wait> {
///         self.reserve(key, terms)
///     }
///
///     fn keeps(&self, _: &()) -> bool {
///         true
///     }
///
///     fn commit(&self, _: ()) -> Result<(), Perished> {
///         Ok(())
///     }
///
///     fn give_back(&self, _: ()) {}
/// }
///
/// let layer = RateLimitLayer::new(Switch::default());
/// # let _ = layer;
/// ```
pub trait Limiter: Clone + Send + Sync + 'static {
    /// Permits granted and not used yet, as plain data.
    type Ticket: Send + Sync + 'static;
    /// What a service keeps while a call runs; dropping it says that the call has ended. `()`
    /// where that makes no difference.
    type Hold: Send + Sync + 'static;
    /// The future of a ticket, for a call that has to wait.
    type Wait: Future<Output = Result<Self::Ticket, RateLimited>> + Send + 'static;

    /// Asks for permits for `key`, to be used later. A limiter of a single limit is asked with
    /// the key `()`.
    ///
    /// A limiter that cannot answer at once, because it asks another service, returns
    /// [`Attempt::Later`] whatever the patience; what it waits for then is the answer.
    fn reserve<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<Self::Ticket, Self::Wait>;

    /// Asks for permits for `key` and uses them if they are granted at once. After a wait there is
    /// a ticket, as with [`reserve`](Self::reserve).
    fn take<K: Key + ?Sized>(&self, key: &K, terms: Terms) -> Attempt<Self::Hold, Self::Wait>;

    /// Does what [`take`](Self::take) does, and notes how the limits stand once the call was let
    /// go.
    ///
    /// If the call is let go at once, `note` is called once and can be told what
    /// [`standing`](Self::standing) tells. Limits in memory know it when they decide, and are not looked
    /// at once more; a limiter that would have to look keeps the default.
    fn take_noting<K: Key + ?Sized, N>(
        &self,
        key: &K,
        terms: Terms,
        note: impl FnOnce(&dyn Fn(&mut dyn FnMut(Standing<'_>))) -> N,
    ) -> Attempt<(Self::Hold, N), Self::Wait> {
        self.take(key, terms).map(|hold| {
            let noted = note(&|tell| self.standing(key, Ok(&hold), tell));
            (hold, noted)
        })
    }

    /// Returns whether the permits can still be used: they are not older than one
    /// [shelf life](Algorithm::shelf_life).
    fn keeps(&self, ticket: &Self::Ticket) -> bool;

    /// Uses the permits: the call takes place now.
    ///
    /// # Errors
    ///
    /// [`Perished`] when the permits had grown too old. They went back; ask again.
    fn commit(&self, ticket: Self::Ticket) -> Result<Self::Hold, Perished>;

    /// Gives the permits back: the call does not take place.
    fn give_back(&self, ticket: Self::Ticket);

    /// Reports how each rate of each limit of a call stands, the binding one first; for headers.
    ///
    /// Asked right after the call for `key` was let through, and keeps this, or was refused.
    /// Limits in memory are looked at once more (but for [`take_noting`](Self::take_noting)); one that
    /// asks another service reports what came with that answer, and does not ask again. By default
    /// nothing is reported.
    fn standing<K: Key + ?Sized>(
        &self,
        _key: &K,
        _decided: Result<&Self::Hold, &RateLimited>,
        _tell: &mut dyn FnMut(Standing<'_>),
    ) {
    }

    /// Reports what the limits publish about themselves, whatever the key: for a check at the start
    /// that headers can carry it.
    fn policies(&self, _tell: &mut dyn FnMut(Standing<'_>)) {}

    /// Whether a call of this cost could ever be let through, as the limits are now; for whoever sets a
    /// cost once and for all. True where the limiter does not know, as it is unless it says otherwise.
    fn could_grant(&self, _cost: u32) -> bool {
        true
    }
}

/// A [`Limiter`] with a limit for each key.
pub trait KeyedLimiter: Limiter {}

/// The answer to [`Limiter::reserve`].
#[derive(Debug)]
#[must_use = "a permit that nobody looks at limits nothing"]
pub enum Attempt<T, W> {
    /// The limiter has decided.
    Now(Result<T, RateLimited>),
    /// The answer comes later: wait for this future.
    Later(W),
}

impl<T, W> Attempt<T, W> {
    /// Replaces the ticket by what `map` makes of it.
    #[inline(always)]
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Attempt<U, W> {
        match self {
            Attempt::Now(result) => Attempt::Now(result.map(map)),
            Attempt::Later(wait) => Attempt::Later(wait),
        }
    }
}

/// The error for permits that were not used in time, and went back.
///
/// An unused permit keeps for one interval ([`Algorithm::shelf_life`] says it to the nanosecond).
/// So a service that is ready and never called takes nothing from others, and many such services
/// cannot save up permits and fire at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Perished;

impl fmt::Display for Perished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the permits were not used in time and went back")
    }
}

impl error::Error for Perished {}

/// What a layer can be built from: an [`Algorithm`], with fresh state in memory, or a
/// [`Limiter`], whose state is shared with its other users.
///
/// The parameter only keeps the two apart; it is never named.
pub trait IntoLimiter<Marker> {
    /// The limiter that it is converted into.
    type Limiter: Limiter;

    /// Converts it into a limiter.
    fn into_limiter(self) -> Self::Limiter;
}

/// What a layer that limits per key can be built from: see [`IntoLimiter`].
pub trait IntoKeyedLimiter<Marker> {
    /// The limiter that it is converted into.
    type Limiter: KeyedLimiter;

    /// Converts it into a limiter.
    fn into_keyed_limiter(self) -> Self::Limiter;
}

/// Marks what is converted into a limiter with fresh state.
#[derive(Debug)]
pub enum Fresh {}

/// Marks what is a limiter already.
#[derive(Debug)]
pub enum Existing {}

impl<A: Algorithm> IntoLimiter<Fresh> for A {
    type Limiter = RateLimiter<A>;

    fn into_limiter(self) -> RateLimiter<A> {
        RateLimiter::new(self)
    }
}

impl<L: Limiter> IntoLimiter<Existing> for L {
    type Limiter = L;

    fn into_limiter(self) -> L {
        self
    }
}

impl<A: Algorithm> IntoKeyedLimiter<Fresh> for A {
    type Limiter = KeyedRateLimiter<A>;

    fn into_keyed_limiter(self) -> KeyedRateLimiter<A> {
        KeyedRateLimiter::new(self)
    }
}

impl<L: KeyedLimiter> IntoKeyedLimiter<Existing> for L {
    type Limiter = L;

    fn into_keyed_limiter(self) -> L {
        self
    }
}
