//! Conversations the bridge did not make.

use app::BridgeError;
use chatwoot::{Chatwoot, Party};
use domain::{Channel, ConversationId, CustomerId, Identity, WaId, pacing::Pair};
use store::Conversation;

use crate::{Send, Task, look::RETRIABLE};

impl Send {
    /// Meets a conversation the bridge did not make: begun by an agent, merged, or older than the bridge. It is resolved by
    /// our own id, then the phone; never by guessing.
    pub(crate) async fn adopt(
        &self,
        task: &Task<'_>,
        chatwoot: &Chatwoot,
        channel: &Channel,
        known: Option<Conversation>,
    ) -> Result<Option<(Conversation, bool)>, BridgeError> {
        let Some(party) = chatwoot.party(task.hint.conversation).await? else { return Ok(None) };
        if party.inbox.is_some_and(|inbox| inbox != channel.inbox) {
            tracing::warn!(channel.id = %channel.phone_number_id, "a hint names a conversation of another inbox");
            return Ok(None);
        }
        let (customer, erased) = self.customer(channel, task.hint.conversation, &party).await?;
        let now = self.clients.clock.now();
        let known = known.unwrap_or(Conversation {
            account: task.hint.account,
            conversation: task.hint.conversation,
            channel: channel.phone_number_id.clone(),
            customer: None,
            // As far as the bridge has been looking after the channel, what agents wrote is ours to send, or to say why not.
            known_since: channel.since.unwrap_or(now).max(now - RETRIABLE),
            settled: None,
            looked_at: None,
            told_to_wait_at: None,
            braked_at: None,
            mending: None,
            pair: Pair::default(),
            seen: None,
            heard: None,
            ticked: None,
            resolved_at: None,
        });
        let adopted = Conversation { customer, ..known };
        self.clients.conversations.adopt(&adopted).await?;
        Ok(Some((adopted, erased)))
    }

    /// Whose conversation it is, and whether they are being erased, or were, and have not written again since.
    async fn customer(
        &self,
        channel: &Channel,
        conversation: ConversationId,
        party: &Party,
    ) -> Result<(Option<CustomerId>, bool), BridgeError> {
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
        // Nobody has this conversation yet: an agent begins. What they answer belongs into it. Whoever began all this before and
        // did not live to end it did a part of the same.
        let identity = by_phone(phone);
        let customer = customers.identify(channel.account, &identity, self.clients.clock.now()).await?;
        customers.touch(&customer, &channel.phone_number_id, &identity, None, None).await?;
        self.clients.conversations.bind(customers, &customer, channel, contact.id, conversation).await?;
        Ok((Some(customer), false))
    }

    /// The customer by our own id.
    async fn known(&self, party: &Party) -> Result<Option<CustomerId>, BridgeError> {
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
