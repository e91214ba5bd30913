//! Finds or creates the Chatwoot conversation a message belongs to.

use app::HandlerError;
use chatwoot::{Chatwoot, ChatwootError};
use domain::{Channel, ContactId, ConversationId, CustomerId, Message, PhoneNumberId, keyed_hash::HashKind};
use queue::Record;
use store::{Claim, Thread};

use crate::{Attempt, Handler, contact_sync::begins_conversation};

impl Handler {
    /// Gives the conversation of a customer on a channel. An event that only reports on the customer creates none: then the
    /// answer is empty if none was found.
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
        // Two calls make Chatwoot create two conversations, so only one task at a time may search and create.
        let parts = ["place", customer.as_str(), channel.phone_number_id.as_str()];
        let claim = self.clients.key.subject_of_all(HashKind::Item, parts);
        if let Claim::Busy { .. } = self.clients.claims.take(&claim, &record.id).await? {
            // Waiting for the other task is not a crash of this one.
            self.clients.claims.record_failure(&message.item, false).await?;
            return Err(HandlerError::Busy(std::time::Duration::from_secs(1)));
        }
        let found = self.find_conversation(chatwoot, channel, customer, message, over).await;
        // Released whatever the outcome: the next task must not wait for the lease.
        self.clients.claims.release(&claim).await?;
        found
    }

    /// Whether a new conversation is due. Where the inbox is locked to a single conversation, a message reopens the
    /// resolved one. Where it is not, an agent who resolves a conversation means it, as with Chatwoot's own channels. A
    /// blocked customer stays in the old one: Chatwoot would open a resolved conversation for each of their messages.
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
            // Its contact is gone, and the conversation will be gone soon, too; writing into it shows that.
            Err(ChatwootError::Unwell(500)) => None,
            party => party?,
        };
        let Some(party) = party else { return Ok(false) };
        let blocked = party.contact.is_some_and(|contact| contact.blocked == Some(true));
        if !party.resolved || blocked {
            return Ok(false);
        }
        // An earlier attempt wrote the message, and the conversation was resolved since.
        Ok(!attempt.perhaps_done || self.written(record, message, chatwoot, conversation).await?.is_none())
    }

    /// `over` is the conversation that must not be used again.
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
            // The contact was created from this very profile.
            let profile = self.profile_hash(message);
            self.clients.profiles.seen(customer, &channel.phone_number_id, &profile).await?;
        }
        Ok(Some(conversation))
    }

    /// Whether the customer, or another record that turned out to be theirs, was ever seen on a number.
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

    /// Gives a conversation of a known contact in this inbox that belongs to no customer in the table: an agent began it,
    /// or the table that knew it is lost. A resolved one counts only where the inbox keeps one for good, and never one that
    /// was given up for a new one.
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

    /// Gives the conversation of another customer record that turned out to be this customer.
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
