//! Finds or creates the Chatwoot conversation a message belongs to.

use std::time::Duration;

use app::HandlerError;
use chatwoot::ChatwootError;
use domain::{ContactId, ConversationId, CustomerId};
use store::{Claim, Thread};

use super::{
    MessageContext,
    create::{Whose, find_written},
    customer::begins_conversation,
};

/// When to try again while another task searches for the same customer's conversation.
const SEARCH_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A message and the conversation it belongs to. Only finding the conversation makes one.
pub(crate) struct FoundConversation<'c> {
    pub(crate) context: &'c MessageContext<'c>,
    pub(crate) id: ConversationId,
    /// What was known of the customer on this channel before.
    pub(crate) thread: Thread,
    _by_find: (),
}

impl<'c> FoundConversation<'c> {
    /// Finds the conversation of a customer on a channel, or creates it. An event that only reports on the customer creates
    /// none: then the answer is empty if none was found.
    pub(super) async fn find(context: &'c MessageContext<'c>, thread: Thread) -> Result<Option<Self>, HandlerError> {
        let id = context.conversation(&thread).await?;
        Ok(id.map(|id| Self { context, id, thread, _by_find: () }))
    }

    /// Gives what is known of the customer without the contact and the conversation, which are gone.
    pub(super) fn into_thread_without_chat(self) -> Thread {
        Thread { contact: None, conversation: None, profile: None, ..self.thread }
    }

    /// Whether the contact is gone from the conversation that has the message. Chatwoot's answer does not tell for what the
    /// customer did not write; then the conversation is fetched.
    pub(super) async fn is_left_behind(&self, whose: Whose) -> Result<bool, ChatwootError> {
        match whose {
            Whose::Theirs => Ok(false),
            Whose::Nobodys => Ok(true),
            // The conversation was found or created for this very message.
            Whose::Untold if self.thread.contact.is_none() => Ok(false),
            Whose::Untold => match self.context.chatwoot.party(self.id).await {
                Ok(party) => Ok(party.is_none_or(|party| party.contact.is_none())),
                Err(ChatwootError::Unwell(500)) => Ok(true),
                Err(error) => Err(error),
            },
        }
    }
}

impl MessageContext<'_> {
    async fn conversation(&self, thread: &Thread) -> Result<Option<ConversationId>, HandlerError> {
        let mut over = None;
        if let Some(conversation) = thread.conversation {
            if !self.is_over(conversation).await? {
                return Ok(Some(conversation));
            }
            over = Some(conversation);
        }
        // Two calls make Chatwoot create two conversations, so only one task at a time may search and create.
        let clients = &self.handler().clients;
        let parts = ["place", self.customer.as_str(), self.channel.phone_number_id.as_str()];
        let claim = clients.key.item(parts);
        if let Claim::Busy { .. } = clients.claims.take(&claim, &self.attempt.record.id).await? {
            // Waiting for the other task is not a crash of this one.
            clients.claims.record_failure(&self.message.item, false).await?;
            return Err(HandlerError::Busy(SEARCH_RETRY_DELAY));
        }
        let found = self.find_conversation(over).await;
        // Released whatever the outcome: the next task must not wait for the lease.
        clients.claims.release(&claim).await?;
        found
    }

    async fn is_locked(&self) -> bool {
        self.handler().locks.is_locked(&self.chatwoot, self.channel, self.now()).await
    }

    /// Whether a new conversation is due. Where the inbox is locked to a single conversation, a message reopens the
    /// resolved one. Where it is not, an agent who resolves a conversation means it, as with Chatwoot's own channels. A
    /// blocked customer stays in the old one: Chatwoot would open a resolved conversation for each of their messages.
    async fn is_over(&self, conversation: ConversationId) -> Result<bool, HandlerError> {
        if !begins_conversation(self.shown()) || self.is_locked().await {
            return Ok(false);
        }
        let party = match self.chatwoot.party(conversation).await {
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
        let Self { attempt, message, chatwoot, .. } = self;
        Ok(!attempt.outcome_unknown || find_written(attempt.record, message, chatwoot, conversation).await?.is_none())
    }

    /// `over` is the conversation that must not be used again.
    async fn find_conversation(&self, over: Option<ConversationId>) -> Result<Option<ConversationId>, HandlerError> {
        let Self { channel, customer, chatwoot, .. } = self;
        let clients = &self.handler().clients;
        // Another task may have found it while this one waited for the claim.
        let thread = clients.customers.thread(customer, &channel.phone_number_id).await?;
        if let Some(conversation) = thread.and_then(|thread| thread.conversation).filter(|id| Some(*id) != over) {
            return Ok(Some(conversation));
        }
        if over.is_none()
            && let Some(conversation) = self.inherited().await?
        {
            return Ok(Some(conversation));
        }
        if self.shown().is_about_customer() {
            return Ok(None);
        }
        let (contact, made) = self.contact().await?;
        let open = over.is_some();
        let mut found = chatwoot.conversation_of_source(channel.inbox, customer, contact, open).await?;
        if found.is_none() && !made {
            found = self.met_before(contact, open).await?;
        }
        let conversation = match found {
            Some(found) => found,
            None => chatwoot.create_conversation(channel.inbox, contact, customer).await?,
        };
        clients.conversations.bind(&clients.customers, customer, channel, contact, conversation).await?;
        if made {
            // The contact was created from this very profile.
            let profile = self.profile_hash();
            clients.profiles.seen(customer, &channel.phone_number_id, &profile).await?;
        }
        Ok(Some(conversation))
    }

    /// Gives a conversation of a known contact in this inbox that belongs to no customer in the table: an agent began it,
    /// or the table that knew it is lost. A resolved one counts only where the inbox keeps one for good, and never one that
    /// was given up for a new one.
    async fn met_before(&self, contact: ContactId, open: bool) -> Result<Option<ConversationId>, HandlerError> {
        let Self { channel, chatwoot, .. } = self;
        let clients = &self.handler().clients;
        let mut all = chatwoot.conversations_of(contact).await?;
        all.retain(|one| one.inbox == Some(channel.inbox) && !(open && one.resolved));
        all.sort_by_key(|one| one.resolved);
        for one in all {
            if one.resolved && !self.is_locked().await {
                return Ok(None);
            }
            let known = clients.conversations.get(channel.account, one.id).await?;
            if known.is_some_and(|known| known.customer.is_some()) {
                continue;
            }
            let Some(party) = chatwoot.party(one.id).await? else { continue };
            // Two people may have one contact since an agent merged theirs.
            let is_customers = match party.source_id {
                Some(id) => clients.customers.is_ours(&CustomerId::new(id)).await?,
                None => false,
            };
            if !is_customers {
                return Ok(Some(one.id));
            }
        }
        Ok(None)
    }

    /// Gives the conversation of another customer record that turned out to be this customer.
    async fn inherited(&self) -> Result<Option<ConversationId>, HandlerError> {
        let Self { channel, customer, chatwoot, .. } = self;
        let clients = &self.handler().clients;
        let number = &channel.phone_number_id;
        for joined in clients.customers.joined(customer).await? {
            let thread = clients.customers.thread(&joined, number).await?;
            let Some(conversation) = thread.and_then(|thread| thread.conversation) else { continue };
            let Some(contact) = chatwoot.party(conversation).await?.and_then(|party| party.contact) else { continue };
            clients.conversations.bind(&clients.customers, customer, channel, contact.id, conversation).await?;
            return Ok(Some(conversation));
        }
        Ok(None)
    }
}
