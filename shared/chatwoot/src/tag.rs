//! Puts our tag on an agent's message, which Retry removes. The tag is an attribute. Chatwoot lets only the customer's side
//! write attributes.

use domain::{ConversationId, InboxId, MessageId};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Chatwoot, ChatwootError};

/// The name of the tag among the values a customer submitted with a message. No text message has such values, and none is
/// shown.
pub(crate) const TAG: &str = "lmotos:tag";

impl Chatwoot {
    /// Puts our tag on a message, by the inbox's client API. Returns whether Chatwoot accepted it. Only a list tells whether it
    /// is kept.
    pub async fn tag(&self, conversation: ConversationId, message: MessageId) -> Result<bool, ChatwootError> {
        let Some(party) = self.party(conversation).await? else { return Ok(false) };
        let (Some(inbox), Some(source)) = (party.inbox, party.source_id) else { return Ok(false) };
        let Some(identifier) = self.inbox_identifier(inbox).await? else { return Ok(false) };
        let (conversation, message) = (conversation.to_string(), message.to_string());
        let path = ["public", "api", "v1", "inboxes", &identifier, "contacts", &source, "conversations", &conversation];
        let path = [&path[..], &["messages", &message]].concat();
        let body = json!({ "submitted_values": [{ "name": TAG, "title": TAG, "value": message }] });
        match self.done(self.outside(Method::PATCH, &path).json(&body)).await {
            Ok(()) => Ok(true),
            // A version without that API, or an inbox that demands proof of identity.
            Err(ChatwootError::Gone | ChatwootError::Refused(_) | ChatwootError::Unwell(500)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The identifier of an inbox in the client API.
    async fn inbox_identifier(&self, inbox: InboxId) -> Result<Option<String>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            inbox_identifier: Option<Value>,
        }
        let answer: Answer = self.json(self.request(Method::GET, &["inboxes", &inbox.to_string()])).await?;
        Ok(answer.inbox_identifier.as_ref().and_then(Value::as_str).map(str::to_owned))
    }
}
