//! Clears one data location after the other, as far as it goes now.

use app::HandlerError;
use domain::erasure::DataLocation;
use queue::Verdict;

use crate::{
    intake::Sealed,
    run::{ErasureRun, Stop},
};

/// The outcome of clearing a data location.
pub(crate) enum ClearOutcome {
    /// It is empty.
    Clear,
    /// Not yet clear.
    Later,
    /// A customer whose retention was over is active again.
    Active,
}

/// An erasure in which every data location was found clear once.
pub(crate) struct Cleared<'h>(ErasureRun<'h>);

impl<'h> Cleared<'h> {
    pub(crate) async fn clear(sealed: Sealed<'h>) -> Result<Self, Stop> {
        let mut run = sealed.into_run();
        while let Some(location) = run.entry.erasure.next_location() {
            match run.clear(location).await {
                Ok(ClearOutcome::Clear) => run.step(|erasure, now| erasure.clear(location, now)).await?,
                Ok(ClearOutcome::Later) => return Err(run.wait(location).await?),
                Ok(ClearOutcome::Active) => return Err(run.withdraw().await?),
                Err(error) => {
                    tracing::warn!(%error, erasure = %run.code(), location = location.word(), "location not cleared");
                    return Err(run.wait(location).await?);
                }
            }
            tracing::info!(erasure = %run.code(), location = location.word(), "location cleared");
            if location == DataLocation::Table {
                run.unblock_intake().await?;
            }
        }
        run.unblock_intake().await?;
        Ok(Self(run))
    }

    pub(crate) fn into_run(self) -> ErasureRun<'h> {
        self.0
    }
}

impl ErasureRun<'_> {
    async fn clear(&mut self, location: DataLocation) -> Result<ClearOutcome, HandlerError> {
        match location {
            DataLocation::InboundQueue | DataLocation::OutboundQueue => self.clear_queue(location).await,
            // Dead letters are not old enough to belong to a person whose retention is over.
            DataLocation::DeadLetters if self.subject.quiet_since.is_some() && self.entry.erasure.holds_back() => {
                self.recheck_activity().await
            }
            DataLocation::DeadLetters if self.subject.quiet_since.is_some() => Ok(ClearOutcome::Clear),
            DataLocation::DeadLetters => {
                // Dead letters of a person who has begun anew since are not included.
                let until = self.cleared_at(DataLocation::Table);
                self.clear_dead_letters(until).await
            }
            DataLocation::Chatwoot => self.clear_chatwoot().await,
            DataLocation::Table => self.clear_table().await,
            DataLocation::MetaMedia => self.clear_media().await,
            DataLocation::MetaContactBook => self.clear_contact_book().await,
        }
    }

    /// Withdraws the erasure, and removes the tombstones; what the person sent meanwhile comes in.
    async fn withdraw(&mut self) -> Result<Stop, Stop> {
        // Checked first: without its tombstones, an erasure that goes on would let the person in.
        let withdrawn = self.entry.erasure.clone().withdraw(self.now()).map_err(Stop::Refused)?;
        // If this run ends here, the next one writes the tombstones again first.
        self.subject.marked_at = None;
        self.save_subject().await?;
        self.remove_tombstones().await?;
        self.save(withdrawn).await?;
        tracing::info!(erasure = %self.code(), "erasure withdrawn: the customer is active again");
        Ok(Stop::Verdict(Verdict::Done))
    }
}
