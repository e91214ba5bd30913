//! Writes the notes of a slice into its person's conversation, and shows that when it was the last.

use app::{ChatPlace, HandlerError, Opening};
use chatwoot::{Chatwoot, ChatwootError, HISTORY_SOURCE, NewMessage};
use domain::{ConversationId, CustomerId, MessageId};
use serde_json::json;
use store::{Conversations, CustomerStore, MessageLink};

use super::{BUSY_WAIT, SliceWork};
use crate::note::{Note, Written};

/// Where a slice is written.
pub(super) struct WrittenTo {
    pub(super) customer: CustomerId,
    pub(super) conversation: ConversationId,
    /// Whether an import made it and has not shown it yet.
    pub(super) pending: bool,
    /// Whether it is nothing but an import's: no agent and no customer wrote in it.
    pub(super) untouched: bool,
}

impl SliceWork<'_> {
    /// How a note of this slice is found again.
    fn source(&self, at: usize) -> String {
        format!("{}:{at}", self.source_prefix())
    }

    fn source_prefix(&self) -> String {
        format!("{HISTORY_SOURCE}{}:{}", self.slice.person, self.slice.item)
    }

    /// The notes an earlier attempt wrote: their sources and ids.
    pub(super) async fn own_notes(&self, chatwoot: &Chatwoot) -> Result<Vec<(String, MessageId)>, HandlerError> {
        let clients = &self.handler.clients;
        let Some(customer) = clients.customers.find(self.channel.account, &self.slice.customer).await? else {
            return Ok(Vec::new());
        };
        let thread = clients.customers.thread(&customer, &self.slice.channel).await?;
        let Some(conversation) = thread.and_then(|thread| thread.conversation) else { return Ok(Vec::new()) };
        let prefix = self.source_prefix();
        let listed = match chatwoot.messages(conversation, None, self.record.sent_at).await {
            Err(ChatwootError::Gone) => Vec::new(),
            listed => listed?,
        };
        let own = listed.into_iter().filter_map(|listed| {
            let source = listed.source_id.clone().filter(|source| source.starts_with(&prefix))?;
            Some((source, listed.id))
        });
        Ok(own.collect())
    }

    pub(super) async fn written_to(
        &self,
        chatwoot: &Chatwoot,
        customers: &CustomerStore,
        conversations: &Conversations,
        is_new: bool,
    ) -> Result<WrittenTo, HandlerError> {
        let slice = self.slice;
        let newest = slice.range().1;
        let customer = customers.identify(self.channel.account, &slice.customer, newest).await?;
        let thread = customers.thread(&customer, &slice.channel).await?;
        if let Some(thread) = &thread
            && let Some(conversation) = thread.conversation
        {
            let (pending, untouched) = (thread.pending, thread.pending && thread.window.start().is_none());
            return Ok(WrittenTo { customer, conversation, pending, untouched });
        }
        if thread.is_none() {
            // No window opens, and what is known of a newer time stays.
            customers.touch(&customer, &slice.channel, &slice.customer, None, Some(newest)).await?;
        }
        let place = ChatPlace {
            clients: &self.handler.clients,
            customers,
            conversations,
            locks: &self.handler.locks,
            channel: self.channel,
            chatwoot,
            customer: &customer,
            is_new,
            person: &slice.customer,
            name: None,
            username: slice.username.as_deref(),
            profile: None,
        };
        let found = Box::pin(place.find(&self.record.id, None, Opening::Pending)).await?;
        let Some(found) = found else { return Err(HandlerError::Busy(BUSY_WAIT)) };
        let untouched = found.pending && thread.is_none_or(|thread| thread.window.start().is_none());
        Ok(WrittenTo { conversation: found.conversation, pending: found.pending, untouched, customer })
    }

    pub(super) async fn write_notes(
        &self,
        chatwoot: &Chatwoot,
        written_to: &WrittenTo,
        notes: &[Note],
        own: &[(String, MessageId)],
    ) -> Result<(), HandlerError> {
        let clients = &self.handler.clients;
        let (conversation, mut followed) = (written_to.conversation, None);
        for (at, note) in notes.iter().enumerate() {
            let source = self.source(at);
            let known = own.iter().find(|(own, _)| *own == source).map(|(_, id)| *id);
            let message = if let Some(id) = known {
                id
            } else {
                let is_followed = match followed {
                    Some(known) => known,
                    None => !written_to.untouched && chatwoot.is_followed(conversation).await?,
                };
                followed = Some(is_followed);
                let began = clients.clock.now();
                let new = || NewMessage {
                    content: &note.content,
                    private: true,
                    source_id: Some(&source),
                    attributes: json!({ "external_created_at": note.newest.as_secs(), "historical": true }),
                    ..NewMessage::default()
                };
                let id = if is_followed {
                    chatwoot.write_quietly(conversation, new).await?
                } else {
                    chatwoot.create_message(conversation, new()).await?
                };
                self.handler.pace.took(clients.clock.now().since(began));
                id
            };
            let link = |written: &Written| MessageLink {
                wamid: written.id.clone(),
                customer: written_to.customer.clone(),
                account: self.channel.account,
                conversation: written_to.conversation,
                message,
                author: written.author,
                part: None,
                sent_at: Some(written.at),
                imported: true,
                early: None,
            };
            let links: Vec<MessageLink> = note.messages.iter().map(link).collect();
            clients.message_links.import(&links).await?;
        }
        Ok(())
    }

    /// The same after a slice of which nothing had to be written.
    pub(super) async fn show_known(&self, chatwoot: &Chatwoot) -> Result<(), HandlerError> {
        let customers = &self.handler.clients.customers;
        let Some(customer) = customers.find(self.channel.account, &self.slice.customer).await? else { return Ok(()) };
        let thread = customers.thread(&customer, &self.slice.channel).await?.filter(|thread| thread.pending);
        let Some(conversation) = thread.and_then(|thread| thread.conversation) else { return Ok(()) };
        self.show(chatwoot, customers, &WrittenTo { customer, conversation, pending: true, untouched: false }).await
    }

    /// After the person's last slice, a conversation that was made for it is closed like one that is over. If the customer wrote
    /// meanwhile, agents see it as open.
    pub(super) async fn show(
        &self,
        chatwoot: &Chatwoot,
        customers: &CustomerStore,
        written_to: &WrittenTo,
    ) -> Result<(), HandlerError> {
        if !written_to.pending {
            return Ok(());
        }
        let (number, imports) = (&self.slice.channel, &self.handler.clients.imports);
        let waiting = imports.waiting(number, &self.slice.person).await?;
        if waiting.iter().any(|one| one.item != self.slice.item) {
            return Ok(());
        }
        let thread = customers.thread(&written_to.customer, number).await?;
        if !thread.is_some_and(|thread| thread.pending) {
            return Ok(());
        }
        chatwoot.set_status(written_to.conversation, "resolved").await?;
        let thread = customers.thread(&written_to.customer, number).await?;
        if thread.is_some_and(|thread| thread.window.start().is_some()) {
            chatwoot.set_status(written_to.conversation, "open").await?;
        }
        Ok(customers.is_shown(&written_to.customer, number).await?)
    }
}
