//! Writes a message into Chatwoot, exactly once. It is claimed before the call, searched for before a second call, and its
//! claim is closed with its link.
//!
//! Each stage is made only by the one before: admitted by the erasure guard, claimed, customer resolved
//! ([`MessageContext`]), conversation found ([`FoundConversation`]), created ([`CreatedMessage`]).

mod contact_sync;
mod conversation;
mod create;
mod customer;
mod placeholder;
mod revoke;

use std::sync::Arc;

use app::HandlerError;
use chatwoot::ChatwootError;
use domain::{Author, Channel, Content, Message, RefusalReason, Wamid};
use platform::Metric;
use store::{ItemOutcome, MessageLink};

pub(crate) use conversation::FoundConversation;
pub(crate) use create::CreatedMessage;
pub(crate) use customer::MessageContext;
pub(crate) use placeholder::post_placeholder;

use crate::{Handler, attempt::Attempt, erasure_guard::Admitted};

/// A claimed message to or from a number of ours, and neither a repeat of our own nor a deletion.
pub(crate) struct ClaimedMessage<'a> {
    message: &'a Message,
    attempt: Attempt<'a>,
    channel: Arc<Channel>,
}

/// Forwards a message that the erasure guard let in.
pub(crate) async fn forward(handler: &Handler, admitted: Admitted<'_, Message>) -> Result<(), HandlerError> {
    let Some(claimed) = ClaimedMessage::claim(handler, &admitted).await? else { return Ok(()) };
    let Some(context) = MessageContext::resolve(&claimed, admitted.aliases).await? else { return Ok(()) };
    let Some(created) = context.create().await? else {
        contact_sync::note_marketing_choice(&handler.clients, &context.message, &context.customer).await?;
        return context.attempt.close(ItemOutcome::Done).await;
    };
    let revoked = created.is_revoked().await?;
    created.sync_contact().await?;
    if !revoked {
        // Rarely more than a check of the text, and a large future: boxed, so that it does not weigh on every message.
        Box::pin(crate::erasure_request::handle_intent(&created)).await?;
    }
    created.close(revoked).await?;
    handler.metrics.count(Metric::Forwarded);
    Ok(())
}

impl<'a> ClaimedMessage<'a> {
    /// Claims a message. Settles one that is not to be shown: of a number that is not ours, from that number itself, an echo
    /// of our own, or a deletion.
    async fn claim(
        handler: &'a Handler,
        admitted: &Admitted<'a, Message>,
    ) -> Result<Option<ClaimedMessage<'a>>, HandlerError> {
        let Admitted { record, task: message, .. } = *admitted;
        let claimed = Attempt::claim(handler, record, message.channel.as_str(), &message.item).await?;
        let Some(attempt) = claimed else { return Ok(None) };
        let Some(channel) = handler.clients.channels.get(&message.channel).await? else {
            attempt.dead_letter(RefusalReason::UnknownChannel).await?;
            return Ok(None);
        };
        if channel.paused_incoming {
            return Err(HandlerError::Paused);
        }
        let claimed = Self { message, attempt, channel };
        // Where Meta's body did not say which number it is, this could not be known earlier.
        if message.customer.phone.as_ref().is_some_and(|phone| claimed.channel.is_number(phone.as_str())) {
            claimed.attempt.close(ItemOutcome::Refused(RefusalReason::NoteToOneself)).await?;
            return Ok(None);
        }
        let is_settled = claimed.is_own_echo().await?
            || match &message.content {
                Content::Revoke { original } => claimed.revoke(original).await?,
                _ => false,
            };
        Ok(Some(claimed).filter(|_| !is_settled))
    }

    /// A message the bridge itself sent must not come back as an echo. One that an earlier attempt wrote before that was
    /// known is removed.
    async fn is_own_echo(&self) -> Result<bool, HandlerError> {
        let Self { message, attempt, .. } = self;
        let clients = &attempt.handler.clients;
        let (Author::Business, Some(wamid)) = (message.author, &message.id) else { return Ok(false) };
        let Some(own) = clients.message_links.get(wamid).await? else { return Ok(false) };
        if attempt.outcome_unknown {
            let chatwoot = clients.chatwoot(own.account).await?;
            let copy = create::find_written(attempt.record, message, &chatwoot, own.conversation).await?;
            if let Some(copy) = copy.filter(|copy| copy.id != own.message) {
                chatwoot.delete_message(own.conversation, copy.id).await?;
            }
        }
        attempt.handler.metrics.count(Metric::Duplicate);
        attempt.close(ItemOutcome::Duplicate).await?;
        Ok(true)
    }
}

impl<'a> MessageContext<'a> {
    /// Finds the conversation and writes the message into it; nothing if it opens no conversation and there is none.
    async fn create(&'a self) -> Result<Option<CreatedMessage<'a>>, HandlerError> {
        let (customers, number) = (&self.handler().clients.customers, &self.channel.phone_number_id);
        let mut thread = customer::touch(&self.handler().clients, self.shown(), self.channel, &self.customer).await?;
        if self.shown().referral.is_some() && customer::opens_window(self.shown()) {
            customers.came_by_advert(&self.customer, number, self.shown().sent_at).await?;
        }
        let mut gone_before = false;
        loop {
            let Some(found) = FoundConversation::find(self, thread).await? else { return Ok(None) };
            let written = match found.write().await {
                Ok(written) => written,
                // An agent deleted the conversation or the contact: a new one is found or created, once.
                Err(HandlerError::Chatwoot(ChatwootError::Gone)) if !gone_before => {
                    if Box::pin(found.was_deleted()).await? {
                        return Err(HandlerError::Erasing);
                    }
                    gone_before = true;
                    customers.unbind(&self.customer, number).await?;
                    thread = found.into_thread_without_chat();
                    continue;
                }
                // Until Chatwoot's job has deleted it, a conversation without its contact breaks Chatwoot's answers.
                Err(HandlerError::Chatwoot(error @ (ChatwootError::Refused(422) | ChatwootError::Unwell(500))))
                    if !gone_before =>
                {
                    let deleted = Box::pin(found.was_deleted()).await.is_ok_and(|deleted| deleted);
                    return Err(if deleted { HandlerError::Erasing } else { error.into() });
                }
                Err(error) => return Err(error),
            };
            // Where the contact is gone, the conversation follows a moment later, with what was written into it.
            if found.is_left_behind(written.whose).await? && Box::pin(found.was_deleted()).await? {
                return Err(HandlerError::Erasing);
            }
            found.show().await?;
            return Ok(Some(CreatedMessage::new(found, written)));
        }
    }
}

impl CreatedMessage<'_> {
    /// Closes the claim. A message taken back before that is deleted first: it ends as if it had been taken back
    /// afterwards.
    async fn close(&self, revoked: bool) -> Result<(), HandlerError> {
        let (context, conversation) = (self.context(), self.found.id);
        let clients = &context.handler().clients;
        let Some(link) = self.link() else { return context.attempt.close(ItemOutcome::Done).await };
        let pending = self.written.missing.as_ref().map(|file| self.pending_file(&link, file));
        let (ledger, links, revocations) = (&clients.ledger, &clients.message_links, &clients.revocations);
        let (number, guard) = (context.message.channel.as_str(), &context.attempt.guard);
        if revoked || !links.close_unless_revoked(&link, ledger, revocations, number, guard, pending.as_ref()).await? {
            context.chatwoot.delete_message(conversation, self.written.id).await?;
            links.close(&link, ledger, number, guard).await?;
        }
        Ok(())
    }

    fn link(&self) -> Option<MessageLink> {
        let (context, conversation) = (self.context(), self.found.id);
        let message = &context.message;
        link_id(message).map(|wamid| MessageLink {
            wamid,
            customer: context.customer.clone(),
            account: context.channel.account,
            conversation,
            message: self.written.id,
            author: message.author,
            part: None,
            sent_at: Some(message.sent_at.min(context.now())),
            imported: false,
            early: None,
        })
    }
}

/// Gives the id a message is linked under: Meta's, or our own for a file of a form, so that what is kept of it is found.
fn link_id(message: &Message) -> Option<Wamid> {
    let file = message.part_of.is_some().then(|| Wamid::new(create::source_id(message)));
    message.id.clone().or(file)
}

#[cfg(test)]
mod tests;
