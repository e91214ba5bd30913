//! Checks everything a second time before a receipt is written. By then late data is visible, and nothing rests on one
//! check.
//!
//! SQS counts what a queue holds a minute and more late, and an index follows its table after a moment. Both say "nothing"
//! too early at times. So what was found clear is checked once more a while later.

use std::time::Duration;

use app::HandlerError;
use domain::erasure::{DataLocation, ErasureState, InvalidTransition};
use queue::Verdict;
use store::{DataSubject, ErasureEntry};

use crate::{ClearOutcome, Handler};

/// By then AWS shows what it shows late. AWS says a minute for counts at rest, and less for an index.
const SECOND_CHECK_DELAY: Duration = Duration::from_secs(180);

impl Handler {
    /// Checks the table and the dead letters once more. Gives nothing if both are clear for good.
    pub(crate) async fn look_again(
        &self,
        entry: &mut ErasureEntry,
        subject: &mut DataSubject,
    ) -> Result<Option<Verdict>, HandlerError> {
        let (place, came) = self.second_look(entry, subject).await;
        if let Err(error) = &came {
            tracing::warn!(%error, erasure = %entry.erasure.code, place = place.word(), "the second look did not go through");
        }
        let now = self.clients.clock.now();
        let mut next = entry.erasure.clone();
        if matches!(came, Ok(ClearOutcome::Clear)) {
            // The receipt states this check, and counts what it found.
            for place in [DataLocation::Table, DataLocation::DeadLetters] {
                next = next.clear(place, now).unwrap_or_else(|InvalidTransition| entry.erasure.clone());
            }
            *entry = self.save(entry, next).await?;
            return Ok(None);
        }
        next = next.wait(place, now).unwrap_or_else(|InvalidTransition| entry.erasure.clone());
        if let (
            Ok(ClearOutcome::NotBefore(then)),
            ErasureState::Waiting { wake_at, .. } | ErasureState::Failed { wake_at, .. },
        ) = (came, &mut next.state)
        {
            *wake_at = then;
        }
        *entry = self.save(entry, next).await?;
        Ok(Some(self.defer(&entry.erasure)))
    }

    async fn second_look(
        &self,
        entry: &mut ErasureEntry,
        subject: &mut DataSubject,
    ) -> (DataLocation, Result<ClearOutcome, HandlerError>) {
        let cleared = |place| entry.erasure.cleared.get(&place).map(|cleared| cleared.at);
        // Once the table is clear nothing of theirs is written any more, and what was deleted last is not shown any more.
        let before = [
            DataLocation::InboundQueue,
            DataLocation::OutboundQueue,
            DataLocation::DeadLetters,
            DataLocation::Chatwoot,
            DataLocation::Table,
        ];
        let then = before.into_iter().filter_map(cleared).max().unwrap_or_default() + SECOND_CHECK_DELAY;
        let table = cleared(DataLocation::Table);
        if then > self.clients.clock.now() {
            return (DataLocation::Table, Ok(ClearOutcome::NotBefore(then)));
        }
        match self.is_left_in_table(entry, subject).await {
            Ok(false) => {}
            Ok(true) => return (DataLocation::Table, Ok(ClearOutcome::Later)),
            Err(error) => return (DataLocation::Table, Err(error)),
        }
        // A person who is quiet for so long has no dead letter.
        if subject.quiet_since.is_some() {
            return (DataLocation::DeadLetters, Ok(ClearOutcome::Clear));
        }
        (DataLocation::DeadLetters, self.clear_dead_letters(entry, subject, table).await)
    }

    /// Whether the table has anything of theirs after all. If that leads to more, every data location is cleared again; if
    /// not, it is deleted.
    async fn is_left_in_table(
        &self,
        entry: &mut ErasureEntry,
        subject: &mut DataSubject,
    ) -> Result<bool, HandlerError> {
        let keys = self.inventory.late_keys(subject).await?;
        if keys.is_empty() {
            return Ok(false);
        }
        tracing::warn!(erasure = %entry.erasure.code, items = keys.len(), "an index showed items of somebody's late");
        let known = subject.clone();
        self.inventory.gather_late(subject).await?;
        if leads_further(&known, subject) {
            self.look_everywhere_again(entry, subject).await?;
            return Ok(true);
        }
        let so_far = usize::try_from(subject.deleted).unwrap_or(usize::MAX);
        self.note(entry, DataLocation::Table, so_far.saturating_add(keys.len())).await?;
        subject.deleted += keys.len() as u64;
        self.clients.erasures.set_data_subject(&entry.erasure.code, subject).await?;
        self.inventory.delete_late(&keys).await?;
        if known.media != subject.media {
            let mut erasure = entry.erasure.clone();
            erasure.cleared.remove(&DataLocation::MetaMedia);
            *entry = self.save(entry, erasure).await?;
        }
        Ok(true)
    }

    /// Whether the table shows more of them by now than when the queues were drained.
    pub(crate) async fn is_more_by_now(&self, subject: &mut DataSubject) -> Result<bool, HandlerError> {
        let known = subject.clone();
        self.inventory.gather_late(subject).await?;
        Ok(leads_further(&known, subject) || self.inventory.groups(subject).await?.len() > subject.probed_groups)
    }

    /// The table stays clear once it was: what is newer comes in by then, and is not held back a second time. From then on
    /// only what names their customers is theirs ([`Erasure::holds_back`](domain::Erasure::holds_back)).
    pub(crate) async fn look_everywhere_again(
        &self,
        entry: &mut ErasureEntry,
        subject: &mut DataSubject,
    ) -> Result<ClearOutcome, HandlerError> {
        let mut erasure = entry.erasure.clone();
        for place in [DataLocation::Chatwoot, DataLocation::MetaMedia] {
            erasure.cleared.remove(&place);
        }
        *entry = self.save(entry, erasure).await?;
        self.look_into_queues_again(entry, subject).await
    }
}

/// Whether what is known by now leads to further data.
fn leads_further(known: &DataSubject, now: &DataSubject) -> bool {
    known.customers != now.customers
        || known.aliases != now.aliases
        || known.contacts != now.contacts
        || known.conversations != now.conversations
}
