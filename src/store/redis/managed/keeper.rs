//! Who makes a connection anew.

use super::{Link, Shared, Signs};
use crate::{clock::before, nanos::Nanos};
use std::{
    future, io,
    sync::{Arc, Weak},
};
use tokio::sync::Notify;

/// For how long no call is answered until another connection is tried, and after which time it is tried again.
/// The time is doubled whenever that comes to nothing: the server is away, or slow.
const PATIENCE: Nanos = Nanos::new(250_000_000);

/// The longest of those times.
const MOST_PATIENCE: Nanos = Nanos::new(1_000_000_000);

/// How long a try may take: longer than any client waits for servers that say nothing.
const LONGEST: Nanos = Nanos::new(30_000_000_000);

/// Looks after a connection, until that is dropped or the runtime ends.
pub(super) struct Keeper<C> {
    shared: Weak<Shared<C>>,
    is_told: Arc<Notify>,
    patience: Nanos,
    /// When another connection may be tried.
    next_try: Nanos,
}

impl<C> Keeper<C> {
    pub(super) fn new(shared: &Arc<Shared<C>>) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            is_told: Arc::clone(&shared.keeper),
            patience: PATIENCE,
            next_try: Nanos::ZERO,
        }
    }

    pub(super) async fn keep(mut self) {
        loop {
            self.is_told.notified().await;
            loop {
                let Some(shared) = self.shared.upgrade() else { return };
                if !self.look(&shared).await {
                    break;
                }
            }
        }
    }

    /// Looks at the connection for a while, and has it made anew where that is necessary; or finds that there is
    /// nothing to look at.
    async fn look(&mut self, shared: &Shared<C>) -> bool {
        let signs = shared.signs();
        if !signs.is_lost() && !signs.is_in_use() {
            return shared.keeps_watching(&signs);
        }
        let answers = signs.answers();
        if !signs.is_lost() {
            let is_lost = async {
                while !signs.is_lost() {
                    self.is_told.notified().await;
                }
            };
            let clock = &shared.clock;
            before(clock, clock.now() + self.patience, is_lost).await;
        }
        let is_needed = || signs.is_lost() || signs.answers() == answers;
        if is_needed() {
            self.make(shared, is_needed).await;
        }
        true
    }

    /// Makes another connection, and takes it unless the old one has found its way meanwhile.
    async fn make(&mut self, shared: &Shared<C>, is_needed: impl Fn() -> bool) {
        let clock = &shared.clock;
        before(clock, self.next_try, future::pending::<()>()).await;
        self.next_try = clock.now() + self.patience;
        let signs = Signs::new(&shared.keeper);
        let connecting = (shared.connect)(signs.clone());
        let made = before(clock, clock.now() + LONGEST, connecting).await;
        let made = made.unwrap_or_else(|| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
        match made {
            Ok(connection) if is_needed() => {
                shared.replace(Link { connection, signs });
                self.patience = PATIENCE;
                return;
            }
            Ok(_) => {}
            Err(error) => shared.fail(error),
        }
        self.patience = (self.patience * 2).min(MOST_PATIENCE);
    }
}

impl<C> Drop for Keeper<C> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.leave();
        }
    }
}
