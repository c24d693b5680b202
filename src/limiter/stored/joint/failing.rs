//! What becomes of calls of several limits while the store does not answer.

use super::{
    StoredJointTicket,
    part::{Asked, Part},
    shared::Shared,
    ticket::From,
};
use crate::{
    algorithm::AnyAlgorithm,
    error::{RateLimited, Reason},
    limiter::{Attempt, JointLimiter, LimitId, Limiter, OnLimits, Terms, settled::Costs},
    nanos::Nanos,
    store::{Store, StoreError},
};

/// What was said with [`OnFailure`](crate::OnFailure), in use.
#[derive(Debug)]
pub(super) enum Failing {
    Refuse,
    Admit,
    Local(Share),
}

/// The share of this process: a limit in it for each one in the store.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) limiter: JointLimiter,
    pub(super) limits: Vec<LimitId>,
}

impl Share {
    /// The same call on the share. A key is known by its bytes there.
    fn on(&self, asked: &[Asked]) -> Option<OnLimits> {
        let mut call: Option<OnLimits> = None;
        for Part { limit, key, cost } in asked.iter().map(|asked| &asked.part) {
            let limit = self.limits[*limit];
            call = Some(match call {
                Some(call) => call.on_many(limit, key.bytes(), *cost),
                None => self.limiter.on_many(limit, key.bytes(), *cost),
            });
        }
        call
    }

    /// The same costs at the limits of the share.
    pub(super) fn costs(&self, costs: &Costs) -> Vec<(LimitId, u32)> {
        let limits = self.limits.iter().enumerate();
        limits.filter_map(|(index, limit)| Some((*limit, costs.of(index)?))).collect()
    }
}

impl<S: Store<AnyAlgorithm>> Shared<S> {
    /// What the policy says for a call that came at this instant and that the store did not answer.
    pub(super) async fn without_store(
        &self,
        asked: &[Asked],
        parts: &[Part],
        terms: Terms,
        came: Nanos,
        error: StoreError,
    ) -> Result<StoredJointTicket, RateLimited> {
        self.inquiry.pipeline.meters.fell_back();
        let since = self.now();
        let call = match &self.failing {
            Failing::Refuse => {
                let refusal = self.refuse(Reason::Unavailable, None, parts, terms);
                return Err(refusal.with_cause(error));
            }
            Failing::Admit => None,
            Failing::Local(share) => share.on(asked),
        };
        let Some(call) = call else { return Ok(StoredJointTicket::free(since)) };
        // The costs are those of the parts already, and the time that it has waited for the store is over.
        let left = Terms { cost: 1, ..terms.left_after(since - came) };
        let (ticket, waited) = match Limiter::reserve(&call, &(), left) {
            Attempt::Now(result) => (result?, Nanos::ZERO),
            Attempt::Later(waiting) => (waiting.await?, self.now() - since),
        };
        Ok(StoredJointTicket { from: From::Local(call, ticket), at: self.now(), waited })
    }

    /// What the store lets through uses up the share of this process, too.
    pub(super) fn use_up_share(&self, asked: &[Asked]) {
        if let Failing::Local(share) = &self.failing
            && let Some(call) = share.on(asked)
        {
            call.use_up();
        }
    }
}
