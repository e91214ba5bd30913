//! Contacts that somebody deleted in Chatwoot. No event tells of it; a thread whose contact answers 404 does.

use std::collections::BTreeMap;

use bridge::BridgeError;
use domain::{AccountId, Channel, CustomerId, PhoneNumberId, erasure::Door};
use store::Target;

use crate::{Report, Retention};

/// So many contacts are asked for a day; the rest comes the days after.
const A_DAY: usize = 2_000;

/// From so many on, more than half of them being gone is rather the fault of an address than of agents.
const SUSPICIOUS: usize = 20;

/// Where it goes on.
const SWEEP: &str = "contacts";

impl Retention {
    pub(crate) async fn gone(&self, channels: &[Channel], report: &mut Report) -> Result<(), BridgeError> {
        let account: BTreeMap<&PhoneNumberId, &Channel> =
            channels.iter().map(|channel| (&channel.phone_number_id, channel)).collect();
        for channel in channels {
            // An answer that everything is gone is no answer: the inbox itself has to be there.
            self.clients.chatwoot(channel.account).await?.is_locked(channel.inbox).await?;
        }
        let from = self.belongings.mark(SWEEP).await?;
        let (threads, next) = self.belongings.threads(from, A_DAY).await?;
        let mut gone: Vec<(AccountId, CustomerId)> = Vec::new();
        for (customer, number, contact) in &threads {
            let Some(channel) = account.get(number) else { continue };
            let chatwoot = self.clients.chatwoot(channel.account).await?;
            // Merged into another contact, our id still leads to that one.
            if chatwoot.contact(*contact).await?.is_none()
                && chatwoot.contact_of_source(channel.inbox, customer).await?.is_none()
            {
                gone.push((channel.account, customer.clone()));
            }
        }
        if gone.len() >= SUSPICIOUS && gone.len() * 2 > threads.len() {
            tracing::error!(
                gone = gone.len(),
                of = threads.len(),
                "too many contacts are gone from Chatwoot to believe it"
            );
            return Ok(());
        }
        let now = self.clients.clock.now();
        for (_, customer) in gone {
            let target = Target { customers: [customer].into(), ..Target::default() };
            report.gone += u64::from(self.ask(Door::Chatwoot, target, now).await?);
        }
        Ok(self.belongings.set_mark(SWEEP, next.as_ref()).await?)
    }
}
