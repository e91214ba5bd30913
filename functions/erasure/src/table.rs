//! Deletes the person's items from the table, and looks for late ones. What turns up then may lead to more data elsewhere.

use app::HandlerError;
use domain::erasure::DataLocation;
use store::DataSubject;

use crate::{locations::ClearOutcome, run::ErasureRun};

impl ErasureRun<'_> {
    pub(crate) async fn clear_table(&mut self) -> Result<ClearOutcome, HandlerError> {
        let handler = self.handler;
        let inventory = &handler.inventory;
        let keys = inventory.keys(&self.subject).await?;
        self.note(DataLocation::Table, self.deleted().saturating_add(keys.len())).await?;
        if keys.is_empty() {
            return Ok(ClearOutcome::Clear);
        }
        let known = self.subject.clone();
        inventory.gather_late(&mut self.subject).await?;
        if leads_further(&known, &self.subject)
            || inventory.groups(&self.subject).await?.len() > self.subject.marked_groups
        {
            return self.reopen_everywhere().await;
        }
        inventory.delete(&keys).await?;
        self.subject.deleted += keys.len() as u64;
        self.save_subject().await?;
        // An index is a moment behind its table: the check that finds nothing is another one, later.
        Ok(ClearOutcome::Later)
    }

    /// Looks for items that an index showed late. If they lead to more, every data location is cleared again; if not, they
    /// are deleted.
    pub(crate) async fn check_table_again(&mut self) -> Result<ClearOutcome, HandlerError> {
        let handler = self.handler;
        let inventory = &handler.inventory;
        let keys = inventory.late_keys(&self.subject).await?;
        if keys.is_empty() {
            return Ok(ClearOutcome::Clear);
        }
        tracing::warn!(erasure = %self.code(), items = keys.len(), "an index showed items late");
        let known = self.subject.clone();
        inventory.gather_late(&mut self.subject).await?;
        if leads_further(&known, &self.subject) {
            return self.reopen_everywhere().await;
        }
        self.note(DataLocation::Table, self.deleted().saturating_add(keys.len())).await?;
        self.subject.deleted += keys.len() as u64;
        self.save_subject().await?;
        inventory.delete_late(&keys).await?;
        if known.media != self.subject.media {
            self.save(self.entry.erasure.clone().unclear(&[DataLocation::MetaMedia])).await?;
        }
        Ok(ClearOutcome::Later)
    }

    /// The table stays clear once it was: what is newer comes in by then, and is not held back a second time. From then on
    /// only what names their customers is theirs ([`Erasure::holds_back`](domain::Erasure::holds_back)).
    async fn reopen_everywhere(&mut self) -> Result<ClearOutcome, HandlerError> {
        let found_more = [DataLocation::Chatwoot, DataLocation::MetaMedia];
        self.save(self.entry.erasure.clone().unclear(&found_more)).await?;
        self.reopen_queues().await
    }

    /// Clears the queues again: something of what was found may wait in a message group without a drain marker.
    pub(crate) async fn reopen_queues(&mut self) -> Result<ClearOutcome, HandlerError> {
        self.subject.marked_at = None;
        self.save_subject().await?;
        self.save(self.entry.erasure.clone().reopened()).await?;
        Ok(ClearOutcome::Later)
    }

    fn deleted(&self) -> usize {
        usize::try_from(self.subject.deleted).unwrap_or(usize::MAX)
    }
}

/// Whether what is known by now leads to further data.
fn leads_further(known: &DataSubject, now: &DataSubject) -> bool {
    known.customers != now.customers
        || known.aliases != now.aliases
        || known.contacts != now.contacts
        || known.conversations != now.conversations
}
