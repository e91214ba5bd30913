//! Where a message belongs in Chatwoot: the customer's contact and conversation, found or made.

use app::HandlerError;
use chatwoot::{Chatwoot, ChatwootError};
use domain::{Channel, ContactId, ConversationId, CustomerId, Message, PhoneNumberId, keyed_hash::HashKind};
use queue::Record;
use store::{Claim, Thread};

use crate::{Attempt, Handler, contact_sync::begins_conversation};

impl Handler {
    /// The conversation of a customer on a channel. News of the customer opens none: then there is none where none was found.
    #[expect(clippy::too_many_arguments, reason = "all that a message is written with")]
    pub(crate) async fn conversation(
        &self,
        record: &Record,
        chatwoot: &Chatwoot,
        channel: &Channel,
        customer: &CustomerId,
        thread: &Thread,
        message: &Message,
        attempt: &Attempt,
    ) -> Result<Option<ConversationId>, HandlerError> {
        let mut over = None;
        if let Some(conversation) = thread.conversation {
            if !self.is_over(record, chatwoot, channel, conversation, message, attempt).await? {
                return Ok(Some(conversation));
            }
            over = Some(conversation);
        }
        // Chatwoot makes two conversations of two calls, so only one may be looking for a place at a time.
        let parts = ["place", customer.as_str(), channel.phone_number_id.as_str()];
        let claim = self.clients.key.subject_of_all(HashKind::Item, parts);
        if let Claim::Busy { .. } = self.clients.claims.take(&claim, &record.id).await? {
            // Waiting for the other task is no crash of this one.
            self.clients.claims.record_failure(&message.item, false).await?;
            return Err(HandlerError::Busy(std::time::Duration::from_secs(1)));
        }
        let found = self.find_conversation(chatwoot, channel, customer, message, over).await;
        // Whatever came of it: who comes next must not wait for the lease.
        self.clients.claims.release(&claim).await?;
        found
    }

    /// Whether a new conversation is due. A message reopens the resolved one where the inbox is locked to a single one; where
    /// it is not, an agent who resolves a conversation means it, as with Chatwoot's own channels. Somebody who is blocked
    /// stays in the old one: Chatwoot would open a resolved one for each of their messages.
    async fn is_over(
        &self,
        record: &Record,
        chatwoot: &Chatwoot,
        channel: &Channel,
        conversation: ConversationId,
        message: &Message,
        attempt: &Attempt,
    ) -> Result<bool, HandlerError> {
        if !begins_conversation(message) || self.locks.is_locked(chatwoot, channel, self.clients.clock.now()).await {
            return Ok(false);
        }
        let party = match chatwoot.party(conversation).await {
            // Its contact is gone, and it goes soon, too; what is written into it tells.
            Err(ChatwootError::Unwell(500)) => None,
            party => party?,
        };
        let Some(party) = party else { return Ok(false) };
        let blocked = party.contact.is_some_and(|contact| contact.blocked == Some(true));
        if !party.resolved || blocked {
            return Ok(false);
        }
        // Written by an earlier attempt, and resolved since.
        Ok(!attempt.perhaps_done || self.written(record, message, chatwoot, conversation).await?.is_none())
    }

    /// `over` is the conversation that is not to be used again.
    async fn find_conversation(
        &self,
        chatwoot: &Chatwoot,
        channel: &Channel,
        customer: &CustomerId,
        message: &Message,
        over: Option<ConversationId>,
    ) -> Result<Option<ConversationId>, HandlerError> {
        // Another task may have found it while this one waited for the claim.
        let thread = self.clients.customers.thread(customer, &channel.phone_number_id).await?;
        if let Some(conversation) = thread.and_then(|thread| thread.conversation).filter(|id| Some(*id) != over) {
            return Ok(Some(conversation));
        }
        if over.is_none()
            && let Some(conversation) = self.inherited(chatwoot, channel, customer).await?
        {
            return Ok(Some(conversation));
        }
        if message.is_about_customer() {
            return Ok(None);
        }
        let (contact, made) = self.contact(chatwoot, channel, customer, message).await?;
        let open = over.is_some();
        let mut found = chatwoot.conversation_of_source(channel.inbox, customer, contact, open).await?;
        if found.is_none() && !made {
            found = self.met_before(chatwoot, channel, contact, open).await?;
        }
        let conversation = match found {
            Some(found) => found,
            None => chatwoot.create_conversation(channel.inbox, contact, customer).await?,
        };
        self.clients.conversations.bind(&self.clients.customers, customer, channel, contact, conversation).await?;
        if made {
            // The contact was made of this very profile.
            let profile = self.profile_hash(message);
            self.clients.profiles.seen(customer, &channel.phone_number_id, &profile).await?;
        }
        Ok(Some(conversation))
    }

    /// Whether the customer, or who turned out to be them, was ever heard on a number.
    pub(crate) async fn is_heard(&self, customer: &CustomerId, number: &PhoneNumberId) -> Result<bool, HandlerError> {
        let customers = &self.clients.customers;
        if customers.thread(customer, number).await?.is_some() {
            return Ok(true);
        }
        for joined in customers.joined(customer).await? {
            if customers.thread(&joined, number).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A conversation of a known contact in this inbox that is nobody's in the table: an agent began it, or the table that knew it is
    /// lost. A resolved one only where one is kept for good, and none that was given up for a new one.
    async fn met_before(
        &self,
        chatwoot: &Chatwoot,
        channel: &Channel,
        contact: ContactId,
        open: bool,
    ) -> Result<Option<ConversationId>, HandlerError> {
        let mut all = chatwoot.conversations_of(contact).await?;
        all.retain(|one| one.inbox == Some(channel.inbox) && !(open && one.resolved));
        all.sort_by_key(|one| one.resolved);
        for one in all {
            if one.resolved && !self.locks.is_locked(chatwoot, channel, self.clients.clock.now()).await {
                return Ok(None);
            }
            let known = self.clients.conversations.get(channel.account, one.id).await?;
            if known.is_some_and(|known| known.customer.is_some()) {
                continue;
            }
            let Some(party) = chatwoot.party(one.id).await? else { continue };
            // Two people may have one contact since an agent merged theirs.
            let somebodys = match party.source_id {
                Some(id) => self.clients.customers.is_ours(&CustomerId::new(id)).await?,
                None => false,
            };
            if !somebodys {
                return Ok(Some(one.id));
            }
        }
        Ok(None)
    }

    /// The conversation of somebody who turned out to be this customer.
    async fn inherited(
        &self,
        chatwoot: &Chatwoot,
        channel: &Channel,
        customer: &CustomerId,
    ) -> Result<Option<ConversationId>, HandlerError> {
        let number = &channel.phone_number_id;
        for joined in self.clients.customers.joined(customer).await? {
            let thread = self.clients.customers.thread(&joined, number).await?;
            let Some(conversation) = thread.and_then(|thread| thread.conversation) else { continue };
            let Some(contact) = chatwoot.party(conversation).await?.and_then(|party| party.contact) else { continue };
            let customers = &self.clients.customers;
            self.clients.conversations.bind(customers, customer, channel, contact.id, conversation).await?;
            return Ok(Some(conversation));
        }
        Ok(None)
    }
}
