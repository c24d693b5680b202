//! What the contracts promise, point by point.

use std::fmt;

/// A point of the contract of [`Algorithm`](crate::Algorithm), or of a limiter and the layers on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Point {
    /// No ask panics, also at the ends of the time line and with the largest costs.
    Panic,
    /// [`interval`](crate::Algorithm::interval) and [`shelf_life`](crate::Algorithm::shelf_life)
    /// are at least 1 ns.
    Spans,
    /// The same ask about a clone of a state gets the same answer: all that matters is in the state.
    Clones,
    /// A peek answers what the take would and changes nothing.
    Peek,
    /// A take of cost 0 is granted and changes nothing.
    CostZero,
    /// A grant is of as many permits as were asked for.
    Granted,
    /// A refused take changes nothing, but that the first call came may be remembered once.
    Refusal,
    /// A refused take is granted after exactly the wait that was named, and not a nanosecond earlier.
    RetryAfter,
    /// A cost that can never be had is refused with `Never`, and only such a cost.
    TooCostly,
    /// What is exhausted does not come back by itself, and was there when the limit was new.
    Exhausted,
    /// As many permits as are said to remain can be had.
    Remaining,
    /// A give-back is granted, and permits given back at once can be had again, and no more.
    GiveBack,
    /// A charge is granted and takes permits, and one of cost 0 changes nothing.
    Charge,
    /// A renewal is granted, or refused for permits that were lost, and then changes nothing.
    Renew,
    /// An end is granted and changes nothing, but for the permits held by the call that ends.
    End,
    /// Permits are in use only while a call has them.
    InUse,
    /// No more permits are held at the same time than the limit has.
    Held,
    /// No window holds more calls than [`most_in`](crate::Algorithm::most_in) says.
    Bound,
    /// From [`new_at`](crate::Algorithm::new_at) on a state is as a new one.
    NewAt,
    /// An earlier instant grants nothing that a later one would refuse.
    Earlier,
    /// A change to the same parameters changes nothing.
    CarryOver,

    /// A fresh limit lets as many calls through as it has permits, and the responses are theirs.
    LetsThrough,
    /// A limit lets no more calls through than it has permits, from whichever clone they come.
    Limits,
    /// A call that waits is let through in the end.
    Serves,
    /// A call that waits is woken when its turn has come, in the task that polled last.
    Wakes,
    /// Calls are let through in the order in which they came.
    InOrder,
    /// Permits that go back are granted to the next in line at once.
    HandsOn,
    /// A call that is never polled again does not hold up those behind it for long.
    Unpolled,
    /// A service that was ready and is dropped gives back its permit.
    ReadyDropped,
    /// A call that is dropped while it waits, or when its turn has come, takes nothing with it.
    WaitDropped,
    /// A clone of a service that is ready has no permit.
    CloneOfReady,
    /// Permits that were not used are not saved up and used together with those of others.
    SavedUp,
    /// The inner service is called only when it was readied.
    CalledUnready,
    /// Nothing is reserved in the inner service while a permit is waited for, nor after a refusal.
    InnerLast,
    /// A permit is not kept for ever by a call whose inner service is not ready.
    InnerNotReady,
    /// Errors of the inner service are passed on, and the calls after it fare as ever.
    InnerError,
    /// `poll_ready` is ready for a call that will be refused, which fails in `call`.
    ReadyForRefusal,
    /// A call that is refused does not reach the inner service.
    RefusedUnseen,
    /// A service that has refused a call lets later ones through.
    AfterRefusal,
    /// A refusal takes nothing, and comes when the caller's patience is over.
    Patience,
    /// A cost that can never be had is refused, and never waited for.
    CostTooHigh,
    /// A call of cost 0 passes and takes nothing.
    CostNothing,
    /// A ticket that was just granted can be used.
    FreshTicket,
    /// A ticket that is given back can be had again.
    TicketBack,
    /// No call waits for the calls of another key.
    Keys,

    /// A store answers, and says that it failed only when it did.
    Answered,
    /// A batch that says what time it is is decided at that time.
    SetTime,
    /// There is an answer for each order, in the order of the orders.
    Answers,
    /// Clones of a store share what they keep.
    Shared,
    /// Orders about the same key are decided one after the other, as they come in the batch.
    SameKey,
    /// Keys are the same exactly when their bytes are, whatever those are.
    KeysApart,
    /// Limits of different names keep nothing together.
    LimitsApart,
    /// Of a group each order takes its permits, or none does.
    Groups,
    /// A record is kept until it equals new at least.
    Remembers,
    /// A limit that becomes another one goes on from what it was, by its
    /// [measure](crate::Algorithm::measure).
    Changes,
    /// The decisions are those of [`MemoryStore`](crate::store::MemoryStore).
    Decides,
    /// An algorithm that is [kept to](crate::store::Store::keep_to) lets no more through than before.
    KeepsTo,
    /// A batch that is dropped is decided in whole groups.
    Dropped,
    /// Of many calls that ask at the same time as many get permits as there are permits.
    AtOnce,
    /// At least one batch may be asked at a time.
    BatchesAtOnce,
}

impl Point {
    fn sentence(self) -> &'static str {
        match self {
            Self::Panic => "no ask panics",
            Self::Spans => "interval and shelf life are at least 1 ns",
            Self::Clones => "the same ask about a clone of a state gets the same answer",
            Self::Peek => "a peek answers what the take would and changes nothing",
            Self::CostZero => "a take of cost 0 is granted and changes nothing",
            Self::Granted => "a grant is of as many permits as were asked for",
            Self::Refusal => "a refused take changes nothing",
            Self::RetryAfter => "a refused take is granted after exactly the wait that was named",
            Self::TooCostly => "a cost that can never be had, and no other, is refused with Never",
            Self::Exhausted => "what is exhausted was there once and does not come back",
            Self::Remaining => "as many permits as are said to remain can be had",
            Self::GiveBack => "permits given back at once can be had again, and no more",
            Self::Charge => "a charge is granted and takes permits",
            Self::Renew => "a renewal is granted, but for permits that were lost",
            Self::End => "an end is granted and takes nothing from anybody else",
            Self::InUse => "permits are in use only while somebody has them",
            Self::Held => "no more permits are held at the same time than the limit has",
            Self::Bound => "no window holds more calls than most_in says",
            Self::NewAt => "from new_at on a state is as a new one",
            Self::Earlier => "an earlier instant grants nothing that a later one would refuse",
            Self::CarryOver => "a change to the same parameters changes nothing",
            Self::LetsThrough => "a fresh limit lets as many calls through as it has permits",
            Self::Limits => "a limit lets no more calls through than it has permits",
            Self::Serves => "a call that waits is let through in the end",
            Self::Wakes => "the task that polled last is woken when its turn has come",
            Self::InOrder => "calls are let through in the order in which they came",
            Self::HandsOn => "permits that go back are had by the next in line at once",
            Self::Unpolled => "a call that is never polled again does not hold up the others",
            Self::ReadyDropped => "a service that was ready and is dropped gives back its permit",
            Self::WaitDropped => "a call that is dropped while it waits takes nothing with it",
            Self::CloneOfReady => "a clone of a service that is ready has no permit",
            Self::SavedUp => "permits that were not used are not saved up",
            Self::CalledUnready => "the inner service is called only when it was readied",
            Self::InnerLast => "nothing is reserved in the inner service without a permit",
            Self::InnerNotReady => "an inner service that is not ready keeps no permit for ever",
            Self::InnerError => "errors of the inner service are passed on and keep no permit",
            Self::ReadyForRefusal => "poll_ready is ready for a call that fails in call",
            Self::RefusedUnseen => "a call that is refused does not reach the inner service",
            Self::AfterRefusal => "a service that has refused a call lets later ones through",
            Self::Patience => "a refusal takes nothing and comes when the patience is over",
            Self::CostTooHigh => "a cost that can never be had is refused and not waited for",
            Self::CostNothing => "a call of cost 0 passes and takes nothing",
            Self::FreshTicket => "a ticket that was just granted can be used",
            Self::TicketBack => "a ticket that is given back can be had again",
            Self::Keys => "nobody waits for the calls of another key",
            Self::Answered => "a store answers what it is asked",
            Self::SetTime => "a batch that says what time it is is decided at that time",
            Self::Answers => "there is an answer for each order, in the order of the orders",
            Self::Shared => "clones of a store share what they keep",
            Self::SameKey => "orders about the same key are decided as they come in the batch",
            Self::KeysApart => "keys are the same exactly when their bytes are",
            Self::LimitsApart => "limits of different names keep nothing together",
            Self::Groups => "of a group each order takes its permits, or none does",
            Self::Remembers => "a record is kept until it equals new at least",
            Self::Changes => "a limit that becomes another one goes on from what it was",
            Self::Decides => "the decisions are those of the store in memory",
            Self::KeepsTo => "an algorithm that is kept to lets no more through than before",
            Self::Dropped => "a batch that is dropped is decided in whole groups",
            Self::AtOnce => "of many who ask at once as many get permits as there are permits",
            Self::BatchesAtOnce => "at least one batch may be asked at a time",
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}
