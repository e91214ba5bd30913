//! Withdraws a retention erasure if the customer became active before anything was erased. No person asked for such an
//! erasure.

use std::collections::BTreeSet;

use app::HandlerError;
use domain::AccountId;
use store::DataSubject;

use crate::{locations::ClearOutcome, run::ErasureRun};

impl ErasureRun<'_> {
    /// Checked once the queues are clear: what was on its way into Chatwoot when the tombstones were written is there by
    /// now, and whatever is newer waits.
    pub(crate) async fn recheck_activity(&self) -> Result<ClearOutcome, HandlerError> {
        let (handler, subject) = (self.handler, &self.subject);
        let Some(quiet_since) = subject.quiet_since else { return Ok(ClearOutcome::Clear) };
        let mut now =
            DataSubject { only: subject.only, customers: subject.customers.clone(), ..DataSubject::default() };
        handler.inventory.gather(&mut now).await?;
        now.contacts.extend(subject.contacts.iter().copied());
        let accounts: BTreeSet<AccountId> = now.contacts.iter().map(|(account, _)| *account).collect();
        for account in accounts {
            let chatwoot = handler.clients.chatwoot(account).await?;
            let activity = app::activity(&chatwoot, &now, quiet_since).await?;
            if activity.kept || activity.unclear || activity.last.is_some_and(|last| last > quiet_since) {
                return Ok(ClearOutcome::Active);
            }
        }
        Ok(ClearOutcome::Clear)
    }

    pub(crate) async fn remove_tombstones(&self) -> Result<(), HandlerError> {
        let (code, subject, clients) = (self.code(), &self.subject, &self.handler.clients);
        let tombstones = &clients.tombstones;
        for alias in &subject.aliases {
            tombstones.remove(alias, code, subject.only).await?;
        }
        for customer in &subject.customers {
            tombstones.remove(&tombstones.customer_subject(customer), code, subject.only).await?;
        }
        Ok(clients.erasures.forget_drain_markers(code).await?)
    }
}
