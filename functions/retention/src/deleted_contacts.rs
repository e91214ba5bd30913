//! Finds contacts that an agent deleted in Chatwoot. No event reports that; a thread whose contact answers 404 does.

use std::collections::BTreeMap;

use app::HandlerError;
use chatwoot::Chatwoot;
use domain::{AccountId, Channel, ContactId, CustomerId, PhoneNumberId, erasure::RequestSource};
use store::{DataSubject, ThreadOfContact};

use crate::{Handler, run::RetentionRun};

/// How many contacts are looked up a day; the rest comes the days after.
const MAX_LOOKUPS_PER_DAY: usize = 2_000;

/// From this many contacts on, more than half of them being gone is more likely a wrong address than agents' deletions.
pub(crate) const MAX_DELETED_CONTACTS: usize = 20;

/// The name of the cursor where the next run goes on.
const CONTACT_CURSOR: &str = "contacts";

impl Handler {
    pub(crate) async fn deleted_contacts(
        &self,
        channels: &[Channel],
        run: &mut RetentionRun,
    ) -> Result<(), HandlerError> {
        let until = run.share(3);
        let mut inboxes: BTreeMap<&PhoneNumberId, (&Channel, Chatwoot)> = BTreeMap::new();
        for channel in channels {
            match self.chatwoot(channel).await {
                Ok(chatwoot) => _ = inboxes.insert(&channel.phone_number_id, (channel, chatwoot)),
                Err(error) => run.keep(Err(error)),
            }
        }
        let from = self.sweeps.cursor(CONTACT_CURSOR).await?;
        let (threads, mut next) = self.sweeps.threads(from.as_ref(), MAX_LOOKUPS_PER_DAY, until).await?;
        let mut last = from;
        let (mut gone, mut looked): (Vec<(AccountId, CustomerId)>, usize) = (Vec::new(), 0);
        for ThreadOfContact { key, customer, channel: number, contact } in threads {
            if self.clients.clock.now() >= until {
                next = last;
                break;
            }
            last = Some(key);
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
        if gone.len() >= MAX_DELETED_CONTACTS && gone.len() * 2 > looked {
            let count = gone.len();
            let ids = gone.iter().map(|(_, customer)| customer.as_str()).collect::<Vec<_>>().join(" ");
            tracing::error!(gone = count, of = looked, customers = ids, "too many contacts are gone to believe it");
            run.report.overdue += count as u64;
            gone.clear();
        }
        for (account, customer) in gone {
            let subject = DataSubject { customers: [customer].into(), only: Some(account), ..DataSubject::default() };
            let asked = self.ask(RequestSource::Chatwoot, subject, self.clients.clock.now()).await?;
            run.report.gone += u64::from(asked.is_new);
        }
        Ok(self.sweeps.set_cursor(CONTACT_CURSOR, next.as_ref()).await?)
    }

    async fn is_gone(
        &self,
        chatwoot: &Chatwoot,
        channel: &Channel,
        customer: &CustomerId,
        contact: ContactId,
    ) -> Result<bool, HandlerError> {
        if chatwoot.contact(contact).await?.is_some() {
            return Ok(false);
        }
        // After a merge into another contact, our id still leads to that one, or a conversation does.
        let subject =
            DataSubject { customers: [customer.clone()].into(), only: Some(channel.account), ..DataSubject::default() };
        app::is_contact_deleted(&self.inventory, chatwoot, channel, customer, &subject).await
    }
}
