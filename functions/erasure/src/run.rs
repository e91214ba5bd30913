//! Carries one erasure from stage to stage: begun, sealed, cleared, checked, done. Each stage is made only by the one before
//! it, so that no receipt is written for a request that left one out.

use app::HandlerError;
use domain::{
    ConfirmationCode, Erasure, Timestamp,
    erasure::{DataLocation, InvalidTransition},
};
use queue::Verdict;
use store::{DataSubject, ErasureEntry, StoreError};

use crate::{CONTENTION_DELAY, Handler, intake::Sealed, locations::Cleared, receipt, second_check::Checked};

/// Why a run ends before the receipt.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It goes on later, or there is nothing more to do.
    Verdict(Verdict),
    /// It failed.
    Failed(HandlerError),
    /// The request's state refuses the step. Nothing is done then that the step would have allowed.
    Refused(InvalidTransition),
}

impl Stop {
    /// Gives what becomes of the task. A refused step keeps it in its queue: the request is read anew, and must not be lost.
    pub(crate) fn verdict(self, code: &ConfirmationCode) -> Result<Verdict, HandlerError> {
        match self {
            Self::Verdict(verdict) => Ok(verdict),
            Self::Failed(error) => Err(error),
            Self::Refused(error) => {
                tracing::error!(%error, erasure = %code, "erasure refused a step and is tried again");
                Ok(Verdict::Retry { after: None })
            }
        }
    }
}

impl<E> From<E> for Stop
where
    HandlerError: From<E>,
{
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The work on one erasure: what the table says of the request and of its data subject.
pub(crate) struct ErasureRun<'h> {
    pub(crate) handler: &'h Handler,
    pub(crate) entry: ErasureEntry,
    pub(crate) subject: DataSubject,
}

/// Carries a request through its stages, as far as it goes now.
pub(crate) async fn carry_out(handler: &Handler, entry: ErasureEntry) -> Result<Verdict, HandlerError> {
    let code = entry.erasure.code().clone();
    let stages = async {
        let run = ErasureRun::begin(handler, entry).await?;
        let sealed = Sealed::seal(run).await?;
        let cleared = Cleared::clear(sealed).await?;
        let checked = Checked::check(cleared).await?;
        receipt::finish(checked).await
    };
    stages.await.map_or_else(|stop: Stop| stop.verdict(&code), |()| Ok(Verdict::Done))
}

impl<'h> ErasureRun<'h> {
    pub(crate) async fn begin(handler: &'h Handler, entry: ErasureEntry) -> Result<Self, Stop> {
        let begun = entry.erasure.clone().begin(handler.clients.clock.now()).map_err(Stop::Refused)?;
        let entry = handler.save(&entry, begun).await?;
        // Nothing is known any more of the data subject: that is no reason to call the request done.
        let subject = handler.clients.erasures.data_subject(entry.erasure.code()).await?.ok_or(StoreError::Missing)?;
        Ok(Self { handler, entry, subject })
    }

    pub(crate) fn code(&self) -> &ConfirmationCode {
        self.entry.erasure.code()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.handler.clients.clock.now()
    }

    /// When a data location was found clear, if it was.
    pub(crate) fn cleared_at(&self, location: DataLocation) -> Option<Timestamp> {
        self.entry.erasure.cleared().get(&location).map(|cleared| cleared.at)
    }

    /// Moves the request to its next state and stores that.
    pub(crate) async fn step(
        &mut self,
        change: impl FnOnce(Erasure, Timestamp) -> Result<Erasure, InvalidTransition>,
    ) -> Result<(), Stop> {
        let next = change(self.entry.erasure.clone(), self.now()).map_err(Stop::Refused)?;
        Ok(self.save(next).await?)
    }

    pub(crate) async fn save(&mut self, erasure: Erasure) -> Result<(), HandlerError> {
        self.entry = self.handler.save(&self.entry, erasure).await?;
        Ok(())
    }

    pub(crate) async fn save_subject(&self) -> Result<(), StoreError> {
        self.handler.clients.erasures.set_data_subject(self.code(), &self.subject).await
    }

    /// Stores how much was found before any of it is erased.
    pub(crate) async fn note(&mut self, location: DataLocation, found: usize) -> Result<(), HandlerError> {
        self.count(|erasure| erasure.note(location, found as u64)).await
    }

    /// Stores how much of it has to stay where it is.
    pub(crate) async fn leave(&mut self, location: DataLocation, left: usize) -> Result<(), HandlerError> {
        self.count(|erasure| erasure.leave(location, left as u64)).await
    }

    async fn count(&mut self, change: impl FnOnce(&mut Erasure)) -> Result<(), HandlerError> {
        let mut erasure = self.entry.erasure.clone();
        change(&mut erasure);
        if erasure == self.entry.erasure { Ok(()) } else { self.save(erasure).await }
    }

    /// Stores that a data location is waited for. The run ends; the next one begins when that says.
    pub(crate) async fn wait(&mut self, location: DataLocation) -> Result<Stop, Stop> {
        self.step(|erasure, now| erasure.wait(location, now)).await?;
        Ok(self.deferred())
    }

    pub(crate) fn deferred(&self) -> Stop {
        let now = self.now();
        let after = self.entry.erasure.wake_at().map_or(CONTENTION_DELAY, |at| at.since(now));
        Stop::Verdict(Verdict::Retry { after: Some(after) })
    }
}

#[cfg(test)]
mod tests;
