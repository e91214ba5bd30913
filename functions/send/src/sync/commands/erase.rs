//! Erases one message.

use app::HandlerError;
use chatwoot::{ChatwootError, listing::ListedMessage};
use domain::{ConversationId, MessageId, Part, Wamid};
use store::ErasedMessage;
use texts::command::reply::Reply;

use super::Asked;
use crate::Handler;

impl Handler {
    /// Erases the message that the command quotes, in Chatwoot with its files and its edits, after a line about that in the
    /// ledger. Should Meta repeat the message, it stays blank. A rule or a bot erases nothing.
    pub(super) async fn erase_message(&self, asked: &Asked<'_>) -> Result<Reply, HandlerError> {
        if asked.note.is_automatic() {
            return Ok(Reply::NotByItself);
        }
        let Some(quoted) = asked.note.quotes().0 else { return Ok(Reply::QuoteWhatGoes) };
        let Some(message) = self.listed_above(asked, quoted).await? else { return Ok(Reply::QuoteWhatGoes) };
        let (account, conversation) = (asked.conversation.account, asked.conversation.conversation);
        let mut doomed = vec![(conversation, quoted)];
        for wamid in self.wamids(asked, &message).await? {
            let customer = asked.conversation.customer.as_ref();
            doomed.extend(self.clients.revocations.revoke(&wamid, customer).await?.followers);
        }
        let line = ErasedMessage {
            account,
            conversation,
            message: quoted,
            at: asked.now,
            by: asked.note.sender(),
            files: message.files().len(),
            copies: doomed.len() - 1,
        };
        self.requests.ledger().note_erased_message(&line).await?;
        for (conversation, message) in doomed {
            delete(asked, conversation, message).await?;
        }
        Ok(Reply::MessageErased { on_phone: !message.private })
    }

    /// The quoted message, as Chatwoot has it.
    async fn listed_above(&self, asked: &Asked<'_>, id: MessageId) -> Result<Option<ListedMessage>, HandlerError> {
        let before = MessageId(id.0.saturating_sub(1));
        let listed = asked.chatwoot.messages(asked.conversation.conversation, Some(before), asked.now).await?;
        Ok(listed.into_iter().find(|message| message.id == id))
    }

    /// Meta's ids of a message.
    async fn wamids(&self, asked: &Asked<'_>, message: &ListedMessage) -> Result<Vec<Wamid>, HandlerError> {
        let own = message.source_id.as_deref().filter(|id| id.starts_with("wamid.")).map(Wamid::new);
        let (account, conversation) = (asked.conversation.account, asked.conversation.conversation);
        let entry = self.clients.outbox.get(account, conversation, message.id).await?;
        let sent = entry.iter().flat_map(|entry| entry.outgoing.parts()).filter_map(Part::wamid).cloned();
        Ok(own.into_iter().chain(sent).collect())
    }
}

async fn delete(asked: &Asked<'_>, conversation: ConversationId, message: MessageId) -> Result<(), HandlerError> {
    match asked.chatwoot.delete_message(conversation, message).await {
        Ok(()) | Err(ChatwootError::Gone) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
