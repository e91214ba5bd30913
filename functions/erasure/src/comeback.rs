//! Somebody whose time was over, and who is active again before anything of theirs is erased: then nobody asked for it.

use std::collections::BTreeSet;

use app::BridgeError;
use domain::AccountId;
use store::{ErasureEntry, Target};

use crate::{Came, Eraser};

impl Eraser {
    /// Looked at once the queues are behind them: whatever was on its way into Chatwoot when they were buried is there by now, and
    /// whatever is newer waits. Dead letters are not old enough for anybody's time to be over.
    pub(crate) async fn is_still_over(&self, target: &Target) -> Result<Came, BridgeError> {
        let Some(quiet_since) = target.quiet_since else { return Ok(Came::Clear) };
        let mut now = Target { only: target.only, customers: target.customers.clone(), ..Target::default() };
        self.belongings.gather(&mut now).await?;
        now.contacts.extend(target.contacts.iter().copied());
        let accounts: BTreeSet<AccountId> = now.contacts.iter().map(|(account, _)| *account).collect();
        for account in accounts {
            let chatwoot = self.clients.chatwoot(account).await?;
            let activity = app::activity(&chatwoot, &now, quiet_since).await?;
            if activity.kept || activity.unclear || activity.last.is_some_and(|last| last > quiet_since) {
                return Ok(Came::Wanted);
            }
        }
        Ok(Came::Clear)
    }

    /// Takes away what bars them; what they sent meanwhile comes in.
    pub(crate) async fn unbury(&self, entry: &ErasureEntry, target: &Target) -> Result<(), BridgeError> {
        let (code, tombstones) = (&entry.erasure.code, &self.clients.tombstones);
        for alias in &target.aliases {
            tombstones.lift(alias, code, target.only).await?;
        }
        for customer in &target.customers {
            tombstones.lift(&tombstones.customer_subject(customer), code, target.only).await?;
        }
        Ok(self.clients.erasures.forget_probes(code).await?)
    }
}
