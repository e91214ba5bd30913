//! Writes a message into Chatwoot, exactly once. It is claimed before the call, searched for before a second call, and its
//! claim is closed with its link.

use app::HandlerError;
use chatwoot::{Chatwoot, ChatwootError, NewMessage, render};
use domain::{Author, Channel, Content, ConversationId, CustomerId, Message, RefusalReason, Wamid, message::Call};
use platform::Metric;
use queue::Record;
use store::{ItemOutcome, MessageLink, PendingFile, ResolvedAliases, Thread};
use texts::NoteText;

use crate::{
    Attempt, Handler,
    contact_sync::opens_window,
    create_message::{PostedMessage, Whose, source_id},
};

impl Handler {
    pub(crate) async fn message(
        &self,
        record: &Record,
        message: &Message,
        known: Option<ResolvedAliases>,
    ) -> Result<(), HandlerError> {
        let number = message.channel.as_str();
        let Some(before) = self.claim(record, number, &message.item).await? else { return Ok(()) };
        let Some(channel) = self.clients.channels.get(&message.channel).await? else {
            return self.dead_letter(record, number, Some(&before.held), RefusalReason::UnknownChannel).await;
        };
        // Where Meta's body did not say which number it is, this could not be known earlier.
        if message.customer.phone.as_ref().is_some_and(|phone| channel.is_number(phone.as_str())) {
            return Ok(self
                .clients
                .ledger
                .close(number, &before.held, ItemOutcome::Refused(RefusalReason::NoteToOneself))
                .await?);
        }
        if message.author == Author::Business
            && let Some(own) = self.own(message).await?
        {
            if before.perhaps_done {
                self.remove_copy(record, message, &own).await?;
            }
            self.metrics.count(Metric::Duplicate);
            self.clients.ledger.close(number, &before.held, ItemOutcome::Duplicate).await?;
            return Ok(());
        }
        if let Content::Revoke { original } = &message.content
            && self.revoke(message, &channel, original, &before).await?
        {
            return Ok(());
        }
        let Some((customer, message)) = self.resolve_customer(&channel, message, known).await? else {
            return Ok(self
                .clients
                .ledger
                .close(number, &before.held, ItemOutcome::Refused(RefusalReason::NeverWrote))
                .await?);
        };
        let message = message.as_ref();
        if message.is_about_customer() && !self.is_heard(&customer, &message.channel).await? {
            // What it says is stored; there is no chat to show it in.
            self.note_marketing_choice(message, &customer).await?;
            return Ok(self.clients.ledger.close(number, &before.held, ItemOutcome::Done).await?);
        }
        if is_silent(message) {
            self.touch(message, &channel, &customer).await?;
            return Ok(self.clients.ledger.close(number, &before.held, ItemOutcome::Done).await?);
        }
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let revoked = self.is_revoked(message).await?;
        let blanked = revoked.then(|| render::blank(message));
        let shown = blanked.as_ref().unwrap_or(message);
        let placed = self.find_conversation_and_write(record, shown, &channel, &customer, &chatwoot, &before).await?;
        let Some((conversation, written, thread)) = placed else {
            self.note_marketing_choice(message, &customer).await?;
            return Ok(self.clients.ledger.close(number, &before.held, ItemOutcome::Done).await?);
        };
        let revoked = self.follow(message, &customer, conversation, written.id).await? || revoked;
        self.sync_contact(message, &customer, &thread, &chatwoot, conversation, written.stood_since).await?;
        if !revoked {
            // Rarely more than a check of the text, and a large future: boxed, so that it does not weigh on every message.
            Box::pin(self.erasure_intent(record, message, &channel, &customer, &chatwoot, conversation)).await?;
        }
        let link = link_id(message).map(|wamid| MessageLink {
            wamid,
            customer,
            account: channel.account,
            conversation,
            message: written.id,
            author: message.author,
            part: None,
            sent_at: Some(message.sent_at.min(self.clients.clock.now())),
            early: None,
        });
        let missing = link.as_ref().zip(written.missing.as_ref());
        let missing = missing.map(|(link, file)| self.missing(record, message, link, file));
        self.close(message, &before, link, missing, revoked, &chatwoot).await?;
        self.metrics.count(Metric::Forwarded);
        Ok(())
    }

    /// Writes a line for the agent in place of a message that is in the dead letters, if the customer has a conversation.
    pub(crate) async fn post_placeholder(&self, record: &Record, message: &Message) -> Result<(), HandlerError> {
        let Some(channel) = self.clients.channels.get(&message.channel).await? else { return Ok(()) };
        let Some(customer) = self.clients.customers.find(channel.account, &message.customer).await? else {
            return Ok(());
        };
        let thread = self.clients.customers.thread(&customer, &message.channel).await?;
        let Some(conversation) = thread.and_then(|thread| thread.conversation) else { return Ok(()) };
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        // Not the message's own id: after a redrive the message has to come all the same.
        let source = format!("lmotos:instead:{}", message.item);
        if self.listed(record, message, &chatwoot, conversation, &source).await?.is_some() {
            return Ok(());
        }
        let content = NoteText::SetAside.text(self.clients.locale);
        let line = NewMessage { content: &content, private: true, source_id: Some(&source), ..NewMessage::default() };
        Ok(chatwoot.create_message(conversation, line).await.map(|_| ())?)
    }

    /// Records that the customer wrote. The window opens before the agent can see the message and answer it.
    async fn touch(&self, message: &Message, channel: &Channel, customer: &CustomerId) -> Result<Thread, HandlerError> {
        let written_at = opens_window(message).then_some(message.sent_at);
        let number = &channel.phone_number_id;
        let said_at =
            written_at.or_else(|| matches!(message.content, Content::NumberChanged { .. }).then_some(message.sent_at));
        let thread = self.clients.customers.touch(customer, number, &message.customer, written_at, said_at).await?;
        if message.standby && message.author == Author::Customer {
            self.clients.customers.overheard(customer, number, message.sent_at).await?;
        }
        Ok(thread)
    }

    /// A message the bridge itself sent must not come back as an echo.
    async fn own(&self, message: &Message) -> Result<Option<MessageLink>, HandlerError> {
        let Some(wamid) = &message.id else { return Ok(None) };
        Ok(self.clients.message_links.get(wamid).await?)
    }

    /// Removes an echo that an earlier attempt wrote before it was known to be our own message.
    async fn remove_copy(&self, record: &Record, message: &Message, own: &MessageLink) -> Result<(), HandlerError> {
        let chatwoot = self.clients.chatwoot(own.account).await?;
        let copy = self.written(record, message, &chatwoot, own.conversation).await?;
        if let Some(copy) = copy.filter(|copy| copy.id != own.message) {
            chatwoot.delete_message(own.conversation, copy.id).await?;
        }
        Ok(())
    }

    async fn find_conversation_and_write(
        &self,
        record: &Record,
        message: &Message,
        channel: &Channel,
        customer: &CustomerId,
        chatwoot: &Chatwoot,
        attempt: &Attempt,
    ) -> Result<Option<(ConversationId, PostedMessage, Thread)>, HandlerError> {
        let customers = &self.clients.customers;
        let mut thread = self.touch(message, channel, customer).await?;
        if message.referral.is_some() && opens_window(message) {
            customers.came_by_advert(customer, &channel.phone_number_id, message.sent_at).await?;
        }
        let mut gone_before = false;
        loop {
            let place = self.conversation(record, chatwoot, channel, customer, &thread, message, attempt).await?;
            let Some(conversation) = place else { return Ok(None) };
            match self.write(record, message, channel, customer, chatwoot, conversation, attempt).await {
                // Where the contact is gone, the conversation follows a moment later, with what was written into it.
                Ok(written)
                    if is_left_behind(&written, &thread, chatwoot, conversation).await?
                        && Box::pin(self.was_deleted(message, channel, customer, &thread, chatwoot)).await? =>
                {
                    return Err(HandlerError::Erasing);
                }
                Ok(written) => return Ok(Some((conversation, written, thread))),
                // An agent deleted the conversation or the contact: a new one is found or created, once.
                Err(HandlerError::Chatwoot(ChatwootError::Gone)) if !gone_before => {
                    if Box::pin(self.was_deleted(message, channel, customer, &thread, chatwoot)).await? {
                        return Err(HandlerError::Erasing);
                    }
                    gone_before = true;
                    customers.unbind(customer, &channel.phone_number_id).await?;
                    (thread.contact, thread.conversation, thread.profile) = (None, None, None);
                }
                // Until Chatwoot's job has deleted it, a conversation without its contact breaks Chatwoot's answers.
                Err(HandlerError::Chatwoot(error @ (ChatwootError::Refused(422) | ChatwootError::Unwell(500))))
                    if !gone_before =>
                {
                    let deleted = Box::pin(self.was_deleted(message, channel, customer, &thread, chatwoot)).await;
                    return Err(if deleted.is_ok_and(|deleted| deleted) {
                        HandlerError::Erasing
                    } else {
                        error.into()
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes the claim. A message taken back before that is deleted first: it ends as if it had been taken back
    /// afterwards.
    async fn close(
        &self,
        message: &Message,
        attempt: &Attempt,
        link: Option<MessageLink>,
        missing: Option<PendingFile>,
        revoked: bool,
        chatwoot: &Chatwoot,
    ) -> Result<(), HandlerError> {
        let (counters, traces) = (&self.clients.ledger, &self.clients.revocations);
        let (number, held) = (message.channel.as_str(), &attempt.held);
        let Some(link) = link else { return Ok(counters.close(number, held, ItemOutcome::Done).await?) };
        let links = &self.clients.message_links;
        if revoked || !links.close_unless_revoked(&link, counters, traces, number, held, missing.as_ref()).await? {
            chatwoot.delete_message(link.conversation, link.message).await?;
            links.close(&link, counters, number, held).await?;
        }
        Ok(())
    }
}

/// Whether the contact is gone from the conversation that has a message. Chatwoot's answer does not tell for what the
/// customer did not write; then the conversation is fetched.
async fn is_left_behind(
    written: &PostedMessage,
    thread: &Thread,
    chatwoot: &Chatwoot,
    conversation: ConversationId,
) -> Result<bool, ChatwootError> {
    match written.whose {
        Whose::Theirs => Ok(false),
        Whose::Nobodys => Ok(true),
        // The conversation was found or created for this very message.
        Whose::Untold if thread.contact.is_none() => Ok(false),
        Whose::Untold => match chatwoot.party(conversation).await {
            Ok(party) => Ok(party.is_none_or(|party| party.contact.is_none())),
            Err(ChatwootError::Unwell(500)) => Ok(true),
            Err(error) => Err(error),
        },
    }
}

/// Gives the id a message is linked under: Meta's, or our own for a file of a form, so that what is kept of it is found.
pub(crate) fn link_id(message: &Message) -> Option<Wamid> {
    let file = message.part_of.is_some().then(|| Wamid::new(source_id(message)));
    message.id.clone().or(file)
}

/// A ringing call is nothing to read yet; its outcome is.
fn is_silent(message: &Message) -> bool {
    matches!(&message.content, Content::Call { event, seconds } if !Call::read(event, *seconds).is_over())
}
