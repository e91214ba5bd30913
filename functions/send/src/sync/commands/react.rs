//! Puts an emoji on a message, or asks the customer for their number.

use app::HandlerError;
use chatwoot::{NewMessage, listing::ListedMessage};
use domain::{MessageId, SyncRequest, Wamid, outgoing::MessageKind};
use serde_json::{Value, json};
use store::Reach;
use texts::{
    command,
    command::reply::{Reply, number_question},
    inbound,
};
use whatsapp::split::{CAPTION_LIMIT, length};

use super::{Asked, template::unmarked};
use crate::Handler;

impl Handler {
    /// Writes an emoji that quotes a message into the conversation; from there it is sent like any other message, as a
    /// reaction. The quoted message is the one the command quotes, else the customer's last one.
    pub(super) async fn react(&self, asked: &Asked<'_>) -> Result<Reply, HandlerError> {
        let Some(emoji) = command::emoji(asked.rest) else { return Ok(Reply::WhichEmoji) };
        if !self.may_write(asked).await? {
            return Ok(Reply::WindowClosed);
        }
        let Some(quote) = self.target(asked).await? else { return Ok(Reply::NothingToReactTo) };
        self.write_commanded(asked, emoji, MessageKind::Reaction, quote).await?;
        Ok(Reply::Reacted { emoji: emoji.to_owned() })
    }

    /// Writes a question that goes out with WhatsApp's button for sharing one's own number.
    pub(super) async fn ask_number(&self, asked: &Asked<'_>) -> Result<Reply, HandlerError> {
        let text = if asked.rest.is_empty() { number_question(self.clients.locale) } else { asked.rest };
        if length(&markup::to_whatsapp(text)) > CAPTION_LIMIT {
            return Ok(Reply::QuestionTooLong);
        }
        if !self.may_write(asked).await? {
            return Ok(Reply::WindowClosed);
        }
        let party = asked.chatwoot.party(asked.conversation.conversation).await?;
        let written = asked.listed.iter().any(|listed| listed.was_commanded_by(asked.note.id));
        if !written && party.and_then(|party| party.contact).is_some_and(|contact| contact.phone_number.is_some()) {
            return Ok(Reply::NumberKnown);
        }
        self.write_commanded(asked, text, MessageKind::NumberRequest, json!({})).await?;
        Ok(Reply::NumberAsked)
    }

    /// Whether free text may be sent now. The outbox checks it again.
    pub(super) async fn may_write(&self, asked: &Asked<'_>) -> Result<bool, HandlerError> {
        let Some(customer) = &asked.conversation.customer else { return Ok(false) };
        let (account, number) = (asked.channel.account, &asked.channel.phone_number_id);
        let reach = self.clients.customers.reach(account, customer, number).await?;
        Ok(matches!(reach, Reach::At(thread) if thread.window.is_open(asked.now)))
    }

    /// What names the message to react to, as attributes of the one that quotes it; nothing if Meta has no id of it.
    async fn target(&self, asked: &Asked<'_>) -> Result<Option<Value>, HandlerError> {
        if asked.note.quotes() != (None, None) {
            let wamid = self.quoted(asked.conversation, asked.note).await?;
            let wamid = wamid.filter(|wamid| wamid.as_str().starts_with("wamid."));
            let (id, external) = asked.note.quotes();
            return Ok(wamid.map(|_| match id {
                Some(id) => json!({ "in_reply_to": id }),
                None => json!({ "in_reply_to_external_id": external }),
            }));
        }
        let listed = asked.chatwoot.messages(asked.conversation.conversation, None, asked.now).await?;
        let last = listed.iter().rev().find_map(|one| Some((one.id, heard(one)?)));
        let settled = || asked.conversation.heard.as_ref().map(|heard| (heard.message, heard.wamid.clone()));
        Ok(last.or_else(settled).map(|(id, _)| json!({ "in_reply_to": id })))
    }

    /// Writes what a command says to the customer. If an earlier attempt wrote it and then crashed, it is not written again: it
    /// would be sent again.
    pub(super) async fn write_commanded(
        &self,
        asked: &Asked<'_>,
        content: &str,
        kind: MessageKind,
        attributes: Value,
    ) -> Result<(), HandlerError> {
        let Asked { job, listed, note, .. } = *asked;
        let marked = listed.iter().find(|listed| listed.was_commanded_by(note.id)).map(|listed| listed.id);
        let written = marked.or_else(|| unmarked(listed, note.id, content).filter(|_| job.suspect));
        let message: MessageId = if let Some(message) = written {
            message
        } else {
            let mut attributes = attributes;
            attributes["lmotos_command"] = json!(note.id);
            attributes["lmotos_kind"] = json!(kind);
            let message = NewMessage { content, attributes, ..NewMessage::default() };
            asked.chatwoot.create_message(asked.conversation.conversation, message).await?
        };
        self.pass_on_written(asked, SyncRequest { message: Some(message), ..job.request.clone() }).await
    }
}

/// Meta's id of what the customer wrote; a reaction of theirs takes none itself.
fn heard(message: &ListedMessage) -> Option<Wamid> {
    message.heard().filter(|_| !inbound::is_reaction(message.text()))
}
