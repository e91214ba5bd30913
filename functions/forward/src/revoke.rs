//! Deletes in Chatwoot a message that was deleted for everyone. Its words, its files and its edits go, too, since its
//! writer asked for that. What remains is the same line whether the deletion comes after the message or before it.

use app::HandlerError;
use domain::{Channel, Content, ConversationId, CustomerId, Message, MessageId, Wamid};
use platform::Metric;
use store::{ItemOutcome, MessageLink};

use crate::{Attempt, Handler};

impl Handler {
    /// Applies a deletion. `false` if it is about a part of an agent's message whose other parts remain: that is told in
    /// words.
    pub(crate) async fn revoke(
        &self,
        message: &Message,
        channel: &Channel,
        original: &Wamid,
        attempt: &Attempt,
    ) -> Result<bool, HandlerError> {
        // The revocation is stored first: the worker that writes the message at this moment sees it when closing the claim,
        // or has linked the message already.
        let customer = self.clients.customers.find(channel.account, &message.customer).await?;
        let trace = self.clients.revocations.revoke(original, customer.as_ref()).await?;
        let link = self.clients.message_links.get(original).await?;
        if let Some(link) = &link
            && self.is_part_of_more(link).await?
        {
            return Ok(false);
        }
        let own = link.filter(|link| link.author == message.author && link.account == channel.account);
        let doomed: Vec<_> =
            own.map(|link| (link.conversation, link.message)).into_iter().chain(trace.followers).collect();
        if !doomed.is_empty() {
            let chatwoot = self.clients.chatwoot(channel.account).await?;
            for (conversation, id) in doomed {
                chatwoot.delete_message(conversation, id).await?;
            }
        }
        self.clients.ledger.close(message.channel.as_str(), &attempt.held, ItemOutcome::Done).await?;
        self.metrics.count(Metric::Forwarded);
        Ok(true)
    }

    async fn is_part_of_more(&self, link: &MessageLink) -> Result<bool, HandlerError> {
        if link.part.is_none() {
            return Ok(false);
        }
        let entry = self.clients.outbox.get(link.account, link.conversation, link.message).await?;
        Ok(entry.is_some_and(|entry| entry.outgoing.parts.len() > 1))
    }

    /// Whether a message, or the one it changes, was taken back before it came.
    pub(crate) async fn is_revoked(&self, message: &Message) -> Result<bool, HandlerError> {
        let own = message.id.as_ref();
        for wamid in own.into_iter().chain(followed(message)) {
            if self.clients.revocations.get(wamid).await?.revoked {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Links an edit to the message it changes, and a form's file to the form, so that it is deleted with it. Tells whether
    /// that was taken back already.
    pub(crate) async fn follow(
        &self,
        message: &Message,
        customer: &CustomerId,
        conversation: ConversationId,
        id: MessageId,
    ) -> Result<bool, HandlerError> {
        let Some(original) = followed(message) else { return Ok(false) };
        Ok(self.clients.revocations.follow(original, customer, conversation, id).await?.revoked)
    }
}

/// Gives the message that a message is deleted with.
fn followed(message: &Message) -> Option<&Wamid> {
    match &message.content {
        Content::Edit { original, .. } => Some(original),
        _ => message.part_of.as_ref(),
    }
}
