//! Claims an item, and settles what becomes of it.

use std::time::Duration;

use app::HandlerError;
use domain::{KeyedHash, RefusalReason, keyed_hash::WorkItem};
use platform::Metric;
use queue::Record;
use store::{Claim, ClaimGuard, ItemOutcome};

use crate::Handler;

/// How often a task may crash the function before it is dead-lettered: it holds up its customer.
const MAX_CRASHES: i64 = 5;

/// A claimed item that is being worked on, and what happened to it before this attempt.
pub(crate) struct Attempt<'a> {
    pub(crate) handler: &'a Handler,
    pub(crate) record: &'a Record,
    /// The channel it is counted under.
    pub(crate) channel: &'a str,
    /// The claim that settles the item's outcome. Only claiming makes one.
    pub(crate) guard: ClaimGuard,
    /// An earlier attempt may have done it already.
    pub(crate) outcome_unknown: bool,
    /// How often the work on it crashed.
    pub(crate) crashes: i64,
    /// How often the other side refused it.
    pub(crate) refusals: i64,
}

impl<'a> Attempt<'a> {
    /// Takes the claim of an item. Nothing is to be done about an item that is done.
    pub(crate) async fn claim(
        handler: &'a Handler,
        record: &'a Record,
        channel: &'a str,
        item: &KeyedHash<WorkItem>,
    ) -> Result<Option<Self>, HandlerError> {
        let first = |guard| Self { handler, record, channel, guard, outcome_unknown: false, crashes: 0, refusals: 0 };
        match handler.clients.claims.take(item, &record.id).await? {
            Claim::Won(guard) => Ok(Some(first(guard))),
            Claim::Retaken { guard, crashes, .. } if crashes >= MAX_CRASHES => {
                first(guard).dead_letter(RefusalReason::CrashesTheFunction).await?;
                Ok(None)
            }
            Claim::Retaken { guard, crashes, refusals } => {
                Ok(Some(Self { outcome_unknown: true, crashes, refusals, ..first(guard) }))
            }
            Claim::Busy { for_at_most } => Err(HandlerError::Busy(for_at_most.min(Duration::from_secs(60)))),
            // Counted when it was done.
            Claim::Finished => Ok(None),
            Claim::Done => {
                handler.metrics.count(Metric::Duplicate);
                handler.clients.ledger.repeat(channel, item, &record.id).await?;
                Ok(None)
            }
        }
    }

    /// Records the outcome. It is final: from now on the item is a repeat.
    pub(crate) async fn close(&self, outcome: ItemOutcome) -> Result<(), HandlerError> {
        Ok(self.handler.clients.ledger.close(self.channel, &self.guard, outcome).await?)
    }

    /// Leaves the item open for another worker that meets it later; no task waits for it.
    pub(crate) async fn park(&self) -> Result<(), HandlerError> {
        let clients = &self.handler.clients;
        clients.ledger.wait(self.channel, &self.guard).await?;
        Ok(clients.claims.park(&self.guard).await?)
    }

    /// Dead-letters the item, and tells the agents.
    pub(crate) async fn dead_letter(&self, reason: RefusalReason) -> Result<(), HandlerError> {
        self.handler.dead_letter(self.record, self.channel, Some(&self.guard), reason).await
    }

    /// Does the same without telling an agent.
    pub(crate) async fn write_dead_letter(&self, reason: RefusalReason) -> Result<(), HandlerError> {
        self.handler.write_dead_letter(self.record, self.channel, Some(&self.guard), reason).await
    }
}

#[cfg(test)]
mod tests;
