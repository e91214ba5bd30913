//! Deletes in Chatwoot a message that was deleted for everyone. Its words, its files and its edits go, too, since its
//! writer asked for that. What remains is the same line whether the deletion comes after the message or before it.

use app::{Clients, HandlerError};
use domain::{Content, Message, Wamid};
use platform::Metric;
use store::{ItemOutcome, MessageLink};

use super::{ClaimedMessage, CreatedMessage};

impl ClaimedMessage<'_> {
    /// Applies a deletion. `false` if it is about a part of an agent's message whose other parts remain: that is told in
    /// words.
    pub(super) async fn revoke(&self, original: &Wamid) -> Result<bool, HandlerError> {
        let Self { message, attempt, channel } = self;
        let (clients, metrics) = (&attempt.handler.clients, &attempt.handler.metrics);
        // The revocation is stored first: the worker that writes the message at this moment sees it when closing the claim,
        // or has linked the message already.
        let customer = clients.customers.find(channel.account, &message.customer).await?;
        let trace = clients.revocations.revoke(original, customer.as_ref()).await?;
        let link = clients.message_links.get(original).await?;
        if let Some(link) = &link
            && is_part_of_more(clients, link).await?
        {
            return Ok(false);
        }
        let own = link.filter(|link| link.author == message.author && link.account == channel.account);
        let doomed: Vec<_> =
            own.map(|link| (link.conversation, link.message)).into_iter().chain(trace.followers).collect();
        if !doomed.is_empty() {
            let chatwoot = clients.chatwoot(channel.account).await?;
            for (conversation, id) in doomed {
                chatwoot.delete_message(conversation, id).await?;
            }
        }
        attempt.close(ItemOutcome::Done).await?;
        metrics.count(Metric::Forwarded);
        Ok(true)
    }
}

impl CreatedMessage<'_> {
    /// Links an edit to the message it changes, and a form's file to the form, so that it is deleted with it. Tells whether
    /// the message, or that one, was taken back already.
    pub(super) async fn is_revoked(&self) -> Result<bool, HandlerError> {
        let context = self.context();
        let Some(original) = followed(&context.message) else { return Ok(context.is_blank()) };
        let revocations = &context.handler().clients.revocations;
        let trace = revocations.follow(original, &context.customer, self.found.id, self.written.id).await?;
        Ok(trace.revoked || context.is_blank())
    }
}

/// Whether a message, or the one it changes, was taken back before it came.
pub(super) async fn was_revoked(clients: &Clients, message: &Message) -> Result<bool, HandlerError> {
    for wamid in message.id.iter().chain(followed(message)) {
        if clients.revocations.get(wamid).await?.revoked {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn is_part_of_more(clients: &Clients, link: &MessageLink) -> Result<bool, HandlerError> {
    if link.imported {
        return Ok(true);
    }
    if link.part.is_none() {
        return Ok(false);
    }
    let entry = clients.outbox.get(link.account, link.conversation, link.message).await?;
    Ok(entry.is_some_and(|entry| entry.outgoing.parts().len() > 1))
}

/// Gives the message that a message is deleted with.
fn followed(message: &Message) -> Option<&Wamid> {
    match &message.content {
        Content::Edit { original, .. } => Some(original),
        _ => message.part_of.as_ref(),
    }
}
