//! Finds or creates the place of a customer in Chatwoot: contact and conversation.
//! One function at a time searches and creates for a customer, since two calls make Chatwoot create two conversations.

mod contact;
mod inbox_lock;

use std::time::Duration;

use chatwoot::Chatwoot;
use domain::{Channel, ContactId, ConversationId, CustomerId, Identity, KeyedHash, keyed_hash::Profile};
use store::{Claim, Conversations, CustomerStore};

pub use inbox_lock::InboxLocks;

use crate::{Clients, HandlerError};

/// When to try again while another task searches for the same customer's conversation.
const SEARCH_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A customer on a channel, as far as their place in Chatwoot is concerned.
#[derive(Clone, Copy, Debug)]
pub struct ChatPlace<'a> {
    /// The clients.
    pub clients: &'a Clients,
    /// Where the customer is stored.
    pub customers: &'a CustomerStore,
    /// Where the conversation is stored.
    pub conversations: &'a Conversations,
    /// Which inboxes keep one conversation for good.
    pub locks: &'a InboxLocks,
    /// The channel.
    pub channel: &'a Channel,
    /// Chatwoot's client for its account.
    pub chatwoot: &'a Chatwoot,
    /// The customer.
    pub customer: &'a CustomerId,
    /// Whether they were not known before.
    pub is_new: bool,
    /// What is known of the person.
    pub person: &'a Identity,
    /// Their profile name.
    pub name: Option<&'a str>,
    /// Their username.
    pub username: Option<&'a str>,
    /// The hash of the profile with which a new contact is up to date.
    pub profile: Option<&'a KeyedHash<Profile>>,
}

/// How a conversation is created, if none is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// In the agents' lists.
    Open,
    /// Out of the agents' lists, and nobody is told of it.
    Pending,
    /// Not at all.
    Never,
}

/// A conversation that was found or created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundChat {
    /// Its id.
    pub conversation: ConversationId,
    /// Whether an import keeps it out of the agents' lists.
    pub pending: bool,
}

impl ChatPlace<'_> {
    /// Finds or creates the conversation, as the only one who does that for the customer. `over` is the conversation that must not
    /// be used again.
    pub async fn find(
        &self,
        holder: &str,
        over: Option<ConversationId>,
        opening: Opening,
    ) -> Result<Option<FoundChat>, HandlerError> {
        let claims = &self.clients.claims;
        let parts = ["place", self.customer.as_str(), self.channel.phone_number_id.as_str()];
        let claim = self.clients.key.item(parts);
        if let Claim::Busy { .. } = claims.take(&claim, holder).await? {
            return Err(HandlerError::Busy(SEARCH_RETRY_DELAY));
        }
        let found = self.find_alone(over, opening).await;
        // Released whatever the outcome: the next task must not wait for the lease.
        claims.release(&claim).await?;
        found
    }

    async fn find_alone(
        &self,
        over: Option<ConversationId>,
        opening: Opening,
    ) -> Result<Option<FoundChat>, HandlerError> {
        let Self { channel, customer, chatwoot, .. } = *self;
        // Another task may have found it while this one waited for the claim.
        let thread = self.customers.thread(customer, &channel.phone_number_id).await?;
        if let Some(thread) = thread
            && let Some(conversation) = thread.conversation.filter(|id| Some(*id) != over)
        {
            return Ok(Some(FoundChat { conversation, pending: thread.pending }));
        }
        if over.is_none()
            && !self.is_new
            && let Some(conversation) = self.inherited().await?
        {
            return Ok(Some(FoundChat { conversation, pending: false }));
        }
        if opening == Opening::Never {
            return Ok(None);
        }
        let (contact, made) = self.contact().await?;
        let open = over.is_some();
        let (mut found, mut pending) = (None, false);
        if !(made && opening == Opening::Pending) {
            found = chatwoot.conversation_of_source(channel.inbox, customer, contact, open).await?;
        }
        if found.is_none() && !made {
            found = self.met_before(contact, open).await?;
        }
        if let (Some(conversation), Opening::Pending) = (found, opening) {
            // An earlier attempt of the import made it, and came no further.
            pending = chatwoot.party(conversation).await?.is_some_and(|party| party.pending);
        }
        let conversation = if let Some(found) = found {
            found
        } else {
            pending = opening == Opening::Pending;
            chatwoot.create_conversation(channel.inbox, contact, customer, pending).await?
        };
        self.conversations.bind(self.customers, customer, channel, contact, conversation, pending).await?;
        if let (true, Some(profile)) = (made, self.profile) {
            // The contact was created from this very profile.
            self.clients.profiles.seen(customer, &channel.phone_number_id, profile).await?;
        }
        Ok(Some(FoundChat { conversation, pending }))
    }

    /// Gives a conversation of a known contact in this inbox that belongs to no customer in the table: an agent began it,
    /// or the table that knew it is lost. A resolved one counts only where the inbox keeps one for good, and never one that
    /// was given up for a new one.
    async fn met_before(&self, contact: ContactId, open: bool) -> Result<Option<ConversationId>, HandlerError> {
        let Self { channel, chatwoot, .. } = *self;
        let mut all = chatwoot.conversations_of(contact).await?;
        all.retain(|one| one.inbox == Some(channel.inbox) && !(open && one.resolved));
        all.sort_by_key(|one| one.resolved);
        for one in all {
            if one.resolved && !self.locks.is_locked(chatwoot, channel, self.clients.clock.now()).await {
                return Ok(None);
            }
            let known = self.conversations.get(channel.account, one.id).await?;
            if known.is_some_and(|known| known.customer.is_some()) {
                continue;
            }
            let Some(party) = chatwoot.party(one.id).await? else { continue };
            // Two people may have one contact since an agent merged theirs.
            let is_customers = match party.source_id {
                Some(id) => self.customers.is_ours(&CustomerId::new(id)).await?,
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
        let Self { channel, customer, chatwoot, .. } = *self;
        let number = &channel.phone_number_id;
        for joined in self.customers.joined(customer).await? {
            let thread = self.customers.thread(&joined, number).await?;
            let Some(conversation) = thread.and_then(|thread| thread.conversation) else { continue };
            let Some(contact) = chatwoot.party(conversation).await?.and_then(|party| party.contact) else { continue };
            self.conversations.bind(self.customers, customer, channel, contact.id, conversation, false).await?;
            return Ok(Some(conversation));
        }
        Ok(None)
    }
}
