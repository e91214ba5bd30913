//! Adopts conversations that the bridge did not make.

use app::HandlerError;
use chatwoot::{Chatwoot, ConversationParty};
use domain::{Channel, ConversationId, CustomerId, Identity, WaId, rate_limit::RecipientRateLimit};
use store::Conversation;

use super::{RETRY_MAX_AGE, SyncJob};
use crate::Handler;

impl Handler {
    /// Adopts a conversation the bridge did not make: begun by an agent, merged, or older than the bridge. The customer is
    /// resolved by our own id, then by the phone; never by guessing.
    pub(super) async fn adopt(
        &self,
        job: &SyncJob<'_>,
        chatwoot: &Chatwoot,
        channel: &Channel,
        known: Option<Conversation>,
    ) -> Result<Option<(Conversation, bool)>, HandlerError> {
        let Some(party) = chatwoot.party(job.request.conversation).await? else { return Ok(None) };
        if party.inbox.is_some_and(|inbox| inbox != channel.inbox) {
            tracing::warn!(channel.id = %channel.phone_number_id, "sync request for a conversation of another inbox");
            return Ok(None);
        }
        let (customer, erased) = self.customer(channel, job.request.conversation, &party).await?;
        let now = self.clients.clock.now();
        let known = known.unwrap_or(Conversation {
            account: job.request.account,
            conversation: job.request.conversation,
            channel: channel.phone_number_id.clone(),
            customer: None,
            // What agents wrote since the bridge looks after the channel is ours to send, or to say why not.
            known_since: channel.since.unwrap_or(now).max(now - RETRY_MAX_AGE),
            settled: None,
            synced_at: None,
            wait_note_at: None,
            braked_at: None,
            repair: None,
            recipient_rate: RecipientRateLimit::default(),
            seen: None,
            heard: None,
            ticked: None,
            resolved_at: None,
        });
        let adopted = Conversation { customer, ..known };
        self.clients.conversations.adopt(&adopted).await?;
        Ok(Some((adopted, erased)))
    }

    /// The customer of a conversation, and whether they are being erased, or were, and have not written again since.
    async fn customer(
        &self,
        channel: &Channel,
        conversation: ConversationId,
        party: &ConversationParty,
    ) -> Result<(Option<CustomerId>, bool), HandlerError> {
        let customers = &self.clients.customers;
        let known = self.known(party).await?;
        let phone = party.contact.as_ref().and_then(|contact| Some((contact, contact.phone_number.as_deref()?)));
        let Some((contact, phone)) = phone.filter(|_| known.is_none()) else {
            let erased = self.is_erased(channel.account, known.as_ref(), party.contact.as_ref()).await?;
            return Ok((known, erased));
        };
        let known = customers.find(channel.account, &by_phone(phone)).await?;
        let erased = self.is_erased(channel.account, known.as_ref(), Some(contact)).await?;
        let bound = match &known {
            Some(known) => {
                let thread = customers.thread(known, &channel.phone_number_id).await?;
                thread.is_some_and(|thread| thread.conversation.is_some())
            }
            None => false,
        };
        if erased || bound {
            return Ok((known, erased));
        }
        // This customer has no conversation yet: an agent begins one, and the customer's answers belong into it. An earlier
        // attempt that crashed on the way did a part of these same steps.
        let identity = by_phone(phone);
        let customer = customers.identify(channel.account, &identity, self.clients.clock.now()).await?;
        customers.touch(&customer, &channel.phone_number_id, &identity, None, None).await?;
        self.clients.conversations.bind(customers, &customer, channel, contact.id, conversation, false).await?;
        Ok((Some(customer), false))
    }

    /// The customer whose id of ours stands on the conversation or its contact.
    async fn known(&self, party: &ConversationParty) -> Result<Option<CustomerId>, HandlerError> {
        let customers = &self.clients.customers;
        let Some(contact) = &party.contact else { return Ok(None) };
        for id in [&party.source_id, &contact.identifier].into_iter().flatten() {
            let customer = CustomerId::new(id);
            if customers.is_ours(&customer).await? {
                return Ok(Some(customer));
            }
        }
        Ok(None)
    }
}

fn by_phone(phone: &str) -> Identity {
    Identity { phone: Some(WaId::new(phone.trim_start_matches('+'))), ..Identity::default() }
}
