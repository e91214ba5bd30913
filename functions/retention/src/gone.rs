//! Contacts that somebody deleted in Chatwoot. No event tells of it; a thread whose contact answers 404 does.

use std::collections::BTreeMap;

use app::BridgeError;
use chatwoot::Chatwoot;
use domain::{AccountId, Channel, ContactId, CustomerId, PhoneNumberId, erasure::Door};
use store::Target;

use crate::{Retention, run::Run};

/// So many contacts are asked for a day; the rest comes the days after.
const A_DAY: usize = 2_000;

/// From so many on, more than half of them being gone is rather the fault of an address than of agents.
pub(crate) const SUSPICIOUS: usize = 20;

/// Where it goes on.
const SWEEP: &str = "contacts";

impl Retention {
    pub(crate) async fn gone(&self, channels: &[Channel], run: &mut Run) -> Result<(), BridgeError> {
        let until = run.share(3);
        let mut inboxes: BTreeMap<&PhoneNumberId, (&Channel, Chatwoot)> = BTreeMap::new();
        for channel in channels {
            match self.chatwoot(channel).await {
                Ok(chatwoot) => _ = inboxes.insert(&channel.phone_number_id, (channel, chatwoot)),
                Err(error) => run.keep(Err(error)),
            }
        }
        let from = self.sweeps.mark(SWEEP).await?;
        let (threads, mut next) = self.sweeps.threads(from.clone(), A_DAY).await?;
        let mut last = from;
        let (mut gone, mut looked): (Vec<(AccountId, CustomerId)>, usize) = (Vec::new(), 0);
        for (customer, number, contact) in threads {
            if self.clients.clock.now() >= until {
                next = last;
                break;
            }
            last = Some((format!("customer#{customer}"), format!("channel#{number}")));
            let Some((channel, chatwoot)) = inboxes.get(&number) else { continue };
            match self.is_gone(chatwoot, channel, &customer, contact).await {
                Ok(true) => gone.push((channel.account, customer)),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, account = %channel.account, contact = %contact, "a contact could not be looked at");
                    run.unjudged(1);
                    continue;
                }
            }
            looked += 1;
        }
        if gone.len() >= SUSPICIOUS && gone.len() * 2 > looked {
            let count = gone.len();
            let ids = gone.iter().map(|(_, customer)| customer.as_str()).collect::<Vec<_>>().join(" ");
            tracing::error!(gone = count, of = looked, customers = ids, "too many contacts are gone to believe it");
            run.report.overdue += count as u64;
            gone.clear();
        }
        for (account, customer) in gone {
            let target = Target { customers: [customer].into(), only: Some(account), ..Target::default() };
            let asked = self.ask(Door::Chatwoot, target, self.clients.clock.now()).await?;
            run.report.gone += u64::from(asked.is_new);
        }
        Ok(self.sweeps.set_mark(SWEEP, next.as_ref()).await?)
    }

    async fn is_gone(
        &self,
        chatwoot: &Chatwoot,
        channel: &Channel,
        customer: &CustomerId,
        contact: ContactId,
    ) -> Result<bool, BridgeError> {
        if chatwoot.contact(contact).await?.is_some() {
            return Ok(false);
        }
        // Merged into another contact, our id still leads to that one, or a conversation does.
        let target = Target { customers: [customer.clone()].into(), only: Some(channel.account), ..Target::default() };
        app::is_deleted(&self.belongings, chatwoot, channel, customer, &target).await
    }
}
