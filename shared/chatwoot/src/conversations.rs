//! Finds, opens and changes conversations, and reads their inboxes (§1.1, §3.3).

use domain::{ContactId, ConversationId, CustomerId, InboxId, MessageId, Timestamp, template::Picked};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Chatwoot, ChatwootError, Contact, client::found, messages::is_imported, template, text};

/// Texts among a conversation's attributes must be shorter than this (§3.2).
const ATTRIBUTE_LIMIT: usize = 1_500;

/// The last id that Chatwoot's column holds: no account has so many conversations.
const UNUSED_CONVERSATION_ID: ConversationId = ConversationId(2_147_483_647);

/// The customer's side of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationParty {
    /// The inbox it is in.
    pub inbox: Option<InboxId>,
    /// The id under which the inbox holds the contact; ours, where we made it.
    pub source_id: Option<String>,
    /// The contact.
    pub contact: Option<Contact>,
    /// Its attributes.
    pub attributes: Map<String, Value>,
    /// Whether an agent has closed it.
    pub resolved: bool,
    /// Whether it is in no agent's list.
    pub pending: bool,
}

/// A conversation in which something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveConversation {
    /// Its id.
    pub id: ConversationId,
    /// When something last happened in it.
    pub at: Option<Timestamp>,
    /// Whether that was an import of history, in a conversation that is in no agent's list.
    pub imported: bool,
}

/// The result of looking up a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConversationLookup {
    /// The customer's side of it.
    Found(Box<ConversationParty>),
    /// A row whose contact is deleted. A job of Chatwoot's removes it; if that failed, it stays for ever.
    LeftBehind,
    /// Nothing.
    Gone,
}

impl Chatwoot {
    /// The customer's side of a conversation, if its contact exists. A row without its contact makes Chatwoot answer with an
    /// error, each time. To tell this from an outage, Chatwoot is asked about a conversation that does not exist, and then once
    /// more about this one.
    pub async fn shown(&self, conversation: ConversationId) -> Result<ConversationLookup, ChatwootError> {
        let mut answer = self.party(conversation).await;
        if matches!(answer, Err(ChatwootError::Unwell(500))) {
            if self.party(UNUSED_CONVERSATION_ID).await?.is_some() {
                return Err(ChatwootError::Unwell(500));
            }
            answer = self.party(conversation).await;
        }
        match answer {
            Ok(Some(party)) => Ok(ConversationLookup::Found(Box::new(party))),
            Ok(None) => Ok(ConversationLookup::Gone),
            Err(ChatwootError::Unwell(500)) => Ok(ConversationLookup::LeftBehind),
            Err(error) => Err(error),
        }
    }

    /// The newest conversation that an inbox holds under our id; of the open ones alone, if so asked.
    pub async fn conversation_of_source(
        &self,
        inbox: InboxId,
        source: &CustomerId,
        contact: ContactId,
        open: bool,
    ) -> Result<Option<ConversationId>, ChatwootError> {
        let query = [("inbox_id", inbox.to_string()), ("status", "all".to_owned()), ("source_id", source.to_string())];
        let listed = self.conversations(&query).await?;
        let ours = listed.into_iter().filter(|c| c.inbox_id.is_none_or(|id| id == inbox));
        // A version that does not know the filter lists the conversations of all contacts.
        let wanted = ours.filter(|c| c.contact() == Some(contact) && !(open && c.is_resolved()));
        Ok(wanted.map(|c| c.id).max())
    }

    /// Opens a conversation. A pending one is in no agent's list, and nobody is told of it.
    pub async fn create_conversation(
        &self,
        inbox: InboxId,
        contact: ContactId,
        source: &CustomerId,
        pending: bool,
    ) -> Result<ConversationId, ChatwootError> {
        let status = if pending { "pending" } else { "open" };
        let body = json!({ "inbox_id": inbox, "contact_id": contact, "source_id": source, "status": status });
        let made: ConversationRow = self.json(self.request(Method::POST, &["conversations"]).json(&body)).await?;
        Ok(made.id)
    }

    /// The customer's side of a conversation; `None` if it is gone.
    pub async fn party(&self, conversation: ConversationId) -> Result<Option<ConversationParty>, ChatwootError> {
        let request = self.request(Method::GET, &["conversations", &conversation.to_string()]);
        let row: Option<ConversationRow> = found(self.json(request).await)?;
        Ok(row.map(|row| ConversationParty {
            inbox: row.inbox_id,
            source_id: row.source_id(),
            resolved: row.is_resolved(),
            pending: row.has_status("pending"),
            contact: row.meta.and_then(|meta| meta.sender),
            attributes: row.custom_attributes.unwrap_or_default(),
        }))
    }

    /// Whether Chatwoot tells an agent of each note in a conversation: its assignee, or one who takes part.
    pub async fn is_followed(&self, conversation: ConversationId) -> Result<bool, ChatwootError> {
        let id = conversation.to_string();
        let row: ConversationRow = self.json(self.request(Method::GET, &["conversations", &id])).await?;
        if row.meta.is_some_and(|meta| meta.assignee.is_some_and(|assignee| !assignee.is_null())) {
            return Ok(true);
        }
        let request = self.request(Method::GET, &["conversations", &id, "participants"]);
        match self.json::<Vec<Value>>(request).await {
            Ok(participants) => Ok(!participants.is_empty()),
            Err(ChatwootError::Gone) => Ok(false),
            // Not told to us; they may be.
            Err(ChatwootError::Refused(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// What was picked in a message, if it is the last of its conversation: only of that one Chatwoot shows everything. The
    /// outer `None` says that it is not the last, or not shown in full; the inner one says that it is not a template.
    pub async fn last_picked(
        &self,
        conversation: ConversationId,
        message: MessageId,
    ) -> Result<Option<Option<Picked>>, ChatwootError> {
        let request = self.request(Method::GET, &["conversations", &conversation.to_string()]);
        let row: ConversationRow = self.json(request).await?;
        Ok(row.attributes(message).map(template::picked))
    }

    /// Where the customer answers a conversation's survey, as Chatwoot makes the link (§2.5); `None` if the conversation is
    /// gone, or a version does not give its id. Where Chatwoot is known to call itself by another origin, the link would not
    /// work.
    pub async fn survey_link(&self, conversation: ConversationId) -> Result<Option<String>, ChatwootError> {
        let request = self.request(Method::GET, &["conversations", &conversation.to_string()]);
        let row: Option<Value> = found(self.json(request).await)?;
        let Some(row) = row else { return Ok(None) };
        // Avatars and files in it have the origin that Chatwoot calls itself by.
        if self.names_elsewhere(&row) || self.is_elsewhere() {
            return Err(ChatwootError::Elsewhere);
        }
        Ok(row["uuid"].as_str().map(|uuid| self.page(&["survey", "responses", uuid])))
    }

    fn names_elsewhere(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_own_elsewhere(text),
            Value::Array(items) => items.iter().any(|item| self.names_elsewhere(item)),
            Value::Object(members) => members.values().any(|member| self.names_elsewhere(member)),
            _ => false,
        }
    }

    /// One page of an inbox's conversations, the most recently active first.
    pub async fn active(&self, inbox: InboxId, page: u32) -> Result<Vec<ActiveConversation>, ChatwootError> {
        let query = [
            ("inbox_id", inbox.to_string()),
            ("status", "all".to_owned()),
            ("assignee_type", "all".to_owned()),
            ("sort_by", "last_activity_at_desc".to_owned()),
            ("page", page.to_string()),
        ];
        let listed = self.conversations(&query).await?;
        let ours = listed.into_iter().filter(|c| c.inbox_id.is_none_or(|id| id == inbox));
        let active = |row: ConversationRow| ActiveConversation {
            id: row.id,
            at: row.last_activity_at.as_ref().and_then(Value::as_i64).map(Timestamp::from_secs),
            imported: row.is_imported(),
        };
        Ok(ours.map(active).collect())
    }

    async fn conversations(&self, query: &[(&str, String)]) -> Result<Vec<ConversationRow>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            payload: Vec<ConversationRow>,
        }
        let mut url = self.url(&["conversations"]);
        url.query_pairs_mut().extend_pairs(query);
        let answer: Answer = self.json(self.get(url)).await?;
        Ok(answer.data.payload)
    }

    /// Puts a conversation into the agents' lists (`open`), or among the closed ones (`resolved`).
    pub async fn set_status(&self, conversation: ConversationId, status: &str) -> Result<(), ChatwootError> {
        let path = ["conversations", &conversation.to_string(), "toggle_status"];
        self.json(self.request(Method::POST, &path).json(&json!({ "status": status }))).await.map(|_: Value| ())
    }

    /// Gives a conversation these attributes and no others.
    pub async fn set_attributes(
        &self,
        conversation: ConversationId,
        attributes: &Map<String, Value>,
    ) -> Result<(), ChatwootError> {
        let path = ["conversations", &conversation.to_string(), "custom_attributes"];
        let request = self.request(Method::POST, &path).json(&json!({ "custom_attributes": attributes }));
        self.json(request).await.map(|_: Value| ())
    }

    /// Whether a contact keeps a single conversation in an inbox. A version that does not say so is taken to be set up as
    /// `docs/setup.md` asks.
    pub async fn is_locked(&self, inbox: InboxId) -> Result<bool, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            lock_to_single_conversation: Option<bool>,
        }
        let answer: Answer = self.json(self.request(Method::GET, &["inboxes", &inbox.to_string()])).await?;
        Ok(answer.lock_to_single_conversation.unwrap_or(true))
    }
}

#[derive(Deserialize)]
struct ConversationRow {
    id: ConversationId,
    #[serde(default)]
    inbox_id: Option<InboxId>,
    #[serde(default)]
    meta: Option<Meta>,
    #[serde(default)]
    messages: Option<Vec<Value>>,
    #[serde(default)]
    last_non_activity_message: Option<Value>,
    #[serde(default)]
    last_activity_at: Option<Value>,
    #[serde(default)]
    contact_inbox: Option<Value>,
    #[serde(default)]
    status: Option<Value>,
    #[serde(default)]
    custom_attributes: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    sender: Option<Contact>,
    #[serde(default)]
    assignee: Option<Value>,
}

impl ConversationRow {
    fn contact(&self) -> Option<ContactId> {
        Some(self.meta.as_ref()?.sender.as_ref()?.id)
    }

    fn is_resolved(&self) -> bool {
        self.has_status("resolved")
    }

    fn is_imported(&self) -> bool {
        let last = self.last_non_activity_message.as_ref().and_then(|last| last.get("source_id"));
        let ours = last.and_then(Value::as_str).is_some_and(is_imported);
        ours && (self.is_resolved() || self.has_status("pending"))
    }

    fn has_status(&self, status: &str) -> bool {
        self.status.as_ref().and_then(Value::as_str) == Some(status)
    }

    /// The attributes of a message, where they are shown.
    fn attributes(&self, message: MessageId) -> Option<&Value> {
        let shown = self.messages.iter().flatten().chain(&self.last_non_activity_message);
        let mut of_it = shown.filter(|shown| shown.get("id").and_then(Value::as_i64) == Some(message.0));
        of_it.find_map(|shown| shown.get("additional_attributes"))
    }

    /// The id is only inside the messages (§3.3).
    fn source_id(&self) -> Option<String> {
        let inside = self.messages.iter().flatten().chain(&self.last_non_activity_message);
        inside
            .filter_map(|message| message.pointer("/conversation/contact_inbox/source_id"))
            .chain(self.contact_inbox.as_ref().and_then(|row| row.get("source_id")))
            .find_map(|id| id.as_str().filter(|id| !id.trim().is_empty()).map(str::to_owned))
    }
}

/// A text that fits into a conversation's attribute.
pub fn attribute(text: &str) -> Value {
    Value::from(text::clean(text, ATTRIBUTE_LIMIT - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shown_is_not_known() {
        let row = |messages: Value, last: Value| -> ConversationRow {
            serde_json::from_value(json!({ "id": 1, "messages": messages, "last_non_activity_message": last })).unwrap()
        };
        let picked = json!({ "template_params": { "name": "saludo" } });
        let name = |row: &ConversationRow| {
            row.attributes(MessageId(7)).map(|shown| template::picked(shown).map(|picked| picked.name))
        };
        assert_eq!(name(&row(json!([]), json!({ "id": 8, "additional_attributes": {} }))), None);
        assert_eq!(name(&row(json!([{ "id": 7 }]), Value::Null)), None, "an older version does not say");
        assert_eq!(name(&row(json!([{ "id": 7, "additional_attributes": {} }]), Value::Null)), Some(None));
        let shown = row(json!([{ "id": 7 }]), json!({ "id": 7, "additional_attributes": picked }));
        assert_eq!(name(&shown), Some(Some("saludo".to_owned())));
    }
}
