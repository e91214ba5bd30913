//! Blocks the intake of an erased person's data, and opens it again. From the tombstones on nothing of theirs comes in until
//! the erasure is over.

use app::HandlerError;
use domain::erasure::{DataLocation, ErasureState};

use crate::run::{ErasureRun, Stop};

/// An erasure whose data subject is known and whose intake is blocked.
pub(crate) struct Sealed<'h>(ErasureRun<'h>);

impl<'h> Sealed<'h> {
    pub(crate) async fn seal(mut run: ErasureRun<'h>) -> Result<Self, Stop> {
        if run.block_intake().await? {
            return Ok(Self(run));
        }
        tracing::error!(erasure = %run.code(), "data subject has to be named again");
        Err(run.wait(DataLocation::Chatwoot).await?)
    }

    #[cfg(test)]
    pub(crate) fn assume(run: ErasureRun<'h>) -> Self {
        Self(run)
    }

    pub(crate) fn into_run(self) -> ErasureRun<'h> {
        self.0
    }
}

impl ErasureRun<'_> {
    /// Writes tombstones for all aliases of the person before anything is erased: from now on nothing of theirs comes in.
    /// `false` if their aliases are no longer known.
    async fn block_intake(&mut self) -> Result<bool, HandlerError> {
        let handler = self.handler;
        let clients = &handler.clients;
        let learnt = clients.erasures.learnt(self.code()).await?;
        let first = !self.subject.gathered;
        if first || (self.entry.erasure.holds_back() && !learnt.is_subset(&self.subject.aliases)) {
            self.subject.aliases.extend(learnt);
            handler.inventory.gather(&mut self.subject).await?;
            if self.subject.is_unnamed() {
                return Ok(false);
            }
            if first && !self.subject.barred && self.subject.quiet_since.is_none() {
                // Whatever came in until now is erased with the rest; whatever comes from now on waits.
                self.save(self.entry.erasure.clone().sealed(self.now())).await?;
            }
            // There are more message groups to drain.
            self.subject.marked_at = None;
            self.save_subject().await?;
        }
        // Again after the tombstones' days are over, since they expire; and where the last run ended before it could
        // unblock intake.
        let holds_back = self.entry.erasure.holds_back();
        if first
            || self.subject.marked_at.is_none()
            || matches!(self.entry.erasure.state(), ErasureState::Failed { .. })
            || !holds_back
        {
            clients.tombstones.insert_all(&self.entry.erasure, &self.subject, holds_back).await?;
            self.subject.barred = true;
        }
        self.put_drain_markers().await?;
        Ok(true)
    }

    pub(crate) async fn unblock_intake(&self) -> Result<(), HandlerError> {
        Ok(self.handler.clients.tombstones.insert_all(&self.entry.erasure, &self.subject, false).await?)
    }
}
