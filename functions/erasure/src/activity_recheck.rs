//! Withdraws a retention erasure if the customer became active before anything was erased. No person asked for such an
//! erasure.

use std::collections::BTreeSet;

use app::HandlerError;
use domain::AccountId;
use store::{DataSubject, ErasureEntry};

use crate::{ClearOutcome, Handler};

impl Handler {
    /// Checked once the queues are clear: what was on its way into Chatwoot when the tombstones were written is there by
    /// now, and whatever is newer waits. Dead letters are not old enough to belong to a person whose time is over.
    pub(crate) async fn is_still_over(&self, subject: &DataSubject) -> Result<ClearOutcome, HandlerError> {
        let Some(quiet_since) = subject.quiet_since else { return Ok(ClearOutcome::Clear) };
        let mut now =
            DataSubject { only: subject.only, customers: subject.customers.clone(), ..DataSubject::default() };
        self.inventory.gather(&mut now).await?;
        now.contacts.extend(subject.contacts.iter().copied());
        let accounts: BTreeSet<AccountId> = now.contacts.iter().map(|(account, _)| *account).collect();
        for account in accounts {
            let chatwoot = self.clients.chatwoot(account).await?;
            let activity = app::activity(&chatwoot, &now, quiet_since).await?;
            if activity.kept || activity.unclear || activity.last.is_some_and(|last| last > quiet_since) {
                return Ok(ClearOutcome::Wanted);
            }
        }
        Ok(ClearOutcome::Clear)
    }

    /// Removes the tombstones; what the person sent meanwhile comes in.
    pub(crate) async fn remove_tombstones(
        &self,
        entry: &ErasureEntry,
        subject: &DataSubject,
    ) -> Result<(), HandlerError> {
        let (code, tombstones) = (&entry.erasure.code, &self.clients.tombstones);
        for alias in &subject.aliases {
            tombstones.remove(alias, code, subject.only).await?;
        }
        for customer in &subject.customers {
            tombstones.remove(&tombstones.customer_subject(customer), code, subject.only).await?;
        }
        Ok(self.clients.erasures.forget_drain_markers(code).await?)
    }
}
