//! What a store is asked: a batch of orders.

use super::StoreKey;
use crate::{
    decision::{Ask, Grant},
    nanos::Nanos,
};
use std::sync::Arc;

/// Orders that travel together. They come from many callers and are answered in turn.
#[derive(Debug)]
pub struct Batch<A> {
    pub(crate) orders: Vec<Order<A>>,
    pub(crate) now: Option<Nanos>,
    /// Whether a task of its own asks, and not a caller whom somebody has to poll.
    pub(crate) is_in_a_task: bool,
}

impl<A> Batch<A> {
    /// Creates a batch of these orders.
    #[must_use]
    pub fn new(orders: Vec<Order<A>>) -> Self {
        Self { orders, now: None, is_in_a_task: false }
    }

    /// A task of its own asks.
    pub(crate) fn in_a_task(self) -> Self {
        Self { is_in_a_task: true, ..self }
    }

    /// Sets the instant at which to decide, instead of the store's own: for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn at(self, now: Nanos) -> Self {
        Self { now: Some(now), ..self }
    }

    /// Returns the orders, in the order in which they are to be answered.
    #[must_use]
    pub fn orders(&self) -> &[Order<A>] {
        &self.orders
    }

    /// Returns the orders in groups: of several orders in one group each takes its permits, or none
    /// of them does. Most groups are a single order.
    pub fn groups(&self) -> impl Iterator<Item = &[Order<A>]> {
        self.orders.chunk_by(|_, next| next.is_with_previous)
    }

    /// Returns whether a task of the limiter asks, and not a caller, whom nobody may poll any more. A store
    /// that lends out connections has such a caller asked for by a task of its own, or the connection is
    /// kept from others.
    #[must_use]
    pub fn is_in_a_task(&self) -> bool {
        self.is_in_a_task
    }

    /// Returns the instant at which to decide, where the clock of the store does not count: in
    /// tests.
    #[must_use]
    pub fn now(&self) -> Option<Nanos> {
        self.now
    }
}

/// One question about one key of one limit.
#[derive(Debug)]
pub struct Order<A> {
    /// The limit it is about.
    pub limit: Arc<StoredLimit<A>>,
    /// The key it is about.
    pub key: StoreKey,
    /// What is asked.
    pub ask: StoreAsk,
    /// Whether it belongs to the [group](Batch::groups) of the order before it. Orders of a group
    /// of several are [`Ask::Take`]s. When none of them takes its permits, each is answered as if
    /// those before it had.
    pub is_with_previous: bool,
}

// By hand, as a derived one would ask for an algorithm that can be cloned.
impl<A> Clone for Order<A> {
    fn clone(&self) -> Self {
        let Self { limit, key, ask, is_with_previous } = self;
        let (limit, key) = (Arc::clone(limit), key.clone());
        Self { limit, key, ask: *ask, is_with_previous: *is_with_previous }
    }
}

/// A limit as a store knows it: keys of limits of the same name are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLimit<A> {
    /// Its name.
    pub name: Arc<str>,
    /// Its algorithm.
    pub algorithm: A,
}

/// What a store is asked about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAsk {
    /// As the [`Algorithm`](crate::Algorithm) is asked. What takes permits takes them now, or not
    /// at all.
    Ask(Ask),
    /// Take permits that are to be had within a time, and have them then: a place in line.
    Reserve {
        /// How many permits.
        cost: u32,
        /// The longest wait for them.
        max_wait: Nanos,
    },
    /// Permits that were [reserved](super::Answer::reserved) go back before they were used, once.
    Return(Grant),
    /// The key is as new.
    Forget,
}

impl StoreAsk {
    /// Whether it is about permits that were granted before.
    pub(super) fn is_about_a_grant(&self) -> bool {
        match self {
            Self::Return(_) | Self::Ask(Ask::Renew(_) | Ask::GiveBack(_) | Ask::End(_)) => true,
            Self::Reserve { .. } | Self::Forget | Self::Ask(_) => false,
        }
    }

    /// Whether others may have permits after it that they had not before.
    pub(crate) fn frees(&self) -> bool {
        match self {
            Self::Return(_) | Self::Forget | Self::Ask(Ask::GiveBack(_) | Ask::End(_)) => true,
            Self::Reserve { .. } | Self::Ask(_) => false,
        }
    }
}
