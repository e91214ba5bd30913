//! Checks everything a second time before a receipt is written. By then late data is visible, and nothing rests on one
//! check.
//!
//! SQS counts what a queue holds a minute and more late, and an index follows its table after a moment. Both say "nothing"
//! too early at times. So what was found clear is checked once more a while later.

use std::time::Duration;

use app::HandlerError;
use domain::erasure::DataLocation;

use crate::{
    locations::{ClearOutcome, Cleared},
    run::{ErasureRun, Stop},
};

/// By then AWS shows what it shows late. AWS says a minute for counts at rest, and less for an index.
const SECOND_CHECK_DELAY: Duration = Duration::from_secs(180);

/// An erasure in which table and dead letters were found clear a second time.
pub(crate) struct Checked<'h>(ErasureRun<'h>);

impl<'h> Checked<'h> {
    pub(crate) async fn check(cleared: Cleared<'h>) -> Result<Self, Stop> {
        let mut run = cleared.into_run();
        // Once the table is clear nothing of theirs is written any more, and what was deleted last is not shown any more.
        let before = [
            DataLocation::InboundQueue,
            DataLocation::OutboundQueue,
            DataLocation::DeadLetters,
            DataLocation::Chatwoot,
            DataLocation::Table,
        ];
        let last = before.into_iter().filter_map(|location| run.cleared_at(location)).max();
        let then = last.unwrap_or_default() + SECOND_CHECK_DELAY;
        if then > run.now() {
            run.step(|erasure, now| erasure.wait_until(DataLocation::Table, now, then)).await?;
            return Err(run.deferred());
        }
        for location in [DataLocation::Table, DataLocation::DeadLetters] {
            match run.check_again(location).await {
                Ok(ClearOutcome::Clear) => {}
                Ok(ClearOutcome::Later | ClearOutcome::Active) => return Err(run.wait(location).await?),
                Err(error) => {
                    tracing::warn!(%error, erasure = %run.code(), location = location.word(), "second check failed");
                    return Err(run.wait(location).await?);
                }
            }
        }
        // The receipt states this check, and counts what it found.
        run.step(|erasure, now| erasure.clear(DataLocation::Table, now)?.clear(DataLocation::DeadLetters, now)).await?;
        Ok(Self(run))
    }

    pub(crate) fn into_run(self) -> ErasureRun<'h> {
        self.0
    }
}

impl ErasureRun<'_> {
    async fn check_again(&mut self, location: DataLocation) -> Result<ClearOutcome, HandlerError> {
        match location {
            DataLocation::Table => self.check_table_again().await,
            // A person who is quiet for so long has no dead letter.
            _ if self.subject.quiet_since.is_some() => Ok(ClearOutcome::Clear),
            _ => self.clear_dead_letters(self.cleared_at(DataLocation::Table)).await,
        }
    }
}

#[cfg(test)]
mod tests;
