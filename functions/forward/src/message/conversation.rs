//! Finds or creates the Chatwoot conversation a message belongs to.

use app::{ChatPlace, FoundChat, HandlerError, Opening};
use chatwoot::ChatwootError;
use domain::ConversationId;
use store::Thread;

use super::{
    MessageContext,
    create::{Whose, find_written},
    customer::begins_conversation,
};

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
        let found = context.conversation(&thread).await?;
        Ok(found.map(|FoundChat { conversation: id, pending }| Self {
            context,
            id,
            thread: Thread { pending, ..thread },
            _by_find: (),
        }))
    }

    /// Gives what is known of the customer without the contact and the conversation, which are gone.
    pub(super) fn into_thread_without_chat(self) -> Thread {
        Thread { contact: None, conversation: None, pending: false, profile: None, ..self.thread }
    }

    /// Shows the agents a conversation that an import keeps from them: the customer writes.
    pub(super) async fn show(&self) -> Result<(), HandlerError> {
        let context = self.context;
        if self.thread.pending && begins_conversation(context.shown()) {
            context.chatwoot.set_status(self.id, "open").await?;
            let customers = &context.handler().clients.customers;
            customers.is_shown(&context.customer, &context.channel.phone_number_id).await?;
        }
        Ok(())
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
    async fn conversation(&self, thread: &Thread) -> Result<Option<FoundChat>, HandlerError> {
        let mut over = None;
        if let Some(conversation) = thread.conversation {
            if !self.is_over(conversation).await? {
                return Ok(Some(FoundChat { conversation, pending: thread.pending }));
            }
            over = Some(conversation);
        }
        let handler = self.handler();
        let clients = &handler.clients;
        let profile = self.profile_hash();
        let message = &self.message;
        let place = ChatPlace {
            clients,
            customers: &clients.customers,
            conversations: &clients.conversations,
            locks: &handler.locks,
            channel: self.channel,
            chatwoot: &self.chatwoot,
            customer: &self.customer,
            is_new: false,
            person: &message.customer,
            name: message.name.as_deref(),
            username: message.username.as_deref(),
            profile: Some(&profile),
        };
        let opening = if self.shown().is_about_customer() { Opening::Never } else { Opening::Open };
        let found = Box::pin(place.find(&self.attempt.record.id, over, opening)).await;
        if matches!(found, Err(HandlerError::Busy(_))) {
            // Waiting for the other task is not a crash of this one.
            clients.claims.record_failure(&message.item, false).await?;
        }
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
}
