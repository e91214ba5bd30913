//! What is kept up to date beside the messages: a contact's name and attributes, a conversation's attributes; and messages
//! their writer took back.

use domain::{ContactId, ConversationId, MessageId};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{Chatwoot, ChatwootError, client::found};

/// A conversation's texts must be shorter than this (§3.2).
const ATTRIBUTE_LIMIT: usize = 1_500;

/// A contact's texts may be this long (§3.2).
const NAME_LIMIT: usize = 255;

/// A conversation and its contact as they stand in Chatwoot.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The contact: after a merge another one than before.
    pub contact: ContactId,
    /// What agents call it.
    pub name: String,
    /// Its phone.
    pub phone_number: Option<String>,
    /// The contact's attributes.
    pub contact_attributes: Map<String, Value>,
    /// The conversation's attributes.
    pub attributes: Map<String, Value>,
}

/// What changes about a contact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContactChange {
    /// Its name.
    pub name: Option<String>,
    /// Its phone, with `+`.
    pub phone_number: Option<String>,
    /// Attributes; those not named stay as they are.
    pub attributes: Map<String, Value>,
}

impl ContactChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.phone_number.is_none() && self.attributes.is_empty()
    }
}

#[derive(Deserialize)]
struct Row {
    meta: Meta,
    #[serde(default)]
    custom_attributes: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Meta {
    sender: Sender,
}

#[derive(Deserialize)]
struct Sender {
    id: ContactId,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    phone_number: Option<String>,
    #[serde(default)]
    custom_attributes: Option<Map<String, Value>>,
}

impl Chatwoot {
    /// How a conversation and its contact stand; nothing if either is gone.
    pub async fn standing(&self, conversation: ConversationId) -> Result<Option<Standing>, ChatwootError> {
        let row: Option<Value> =
            found(self.json(self.request(Method::GET, &["conversations", &conversation.to_string()])).await)?;
        let row = row.and_then(|row| serde_json::from_value::<Row>(row).ok());
        Ok(row.map(|row| Standing {
            contact: row.meta.sender.id,
            name: row.meta.sender.name.unwrap_or_default(),
            phone_number: row.meta.sender.phone_number.filter(|phone| !phone.is_empty()),
            contact_attributes: row.meta.sender.custom_attributes.unwrap_or_default(),
            attributes: row.custom_attributes.unwrap_or_default(),
        }))
    }

    /// Changes a contact. Chatwoot merges its attributes.
    pub async fn change_contact(&self, contact: ContactId, change: &ContactChange) -> Result<(), ChatwootError> {
        let mut body = json!({});
        if let Some(name) = &change.name {
            body["name"] = json!(name);
        }
        if let Some(phone) = &change.phone_number {
            body["phone_number"] = json!(phone);
        }
        if !change.attributes.is_empty() {
            body["custom_attributes"] = json!(change.attributes);
        }
        let request = self.request(Method::PUT, &["contacts", &contact.to_string()]);
        self.json(request.json(&body)).await.map(|_: Value| ())
    }

    /// Takes the phone from a contact: it is somebody else's now.
    pub async fn clear_phone(&self, contact: ContactId) -> Result<(), ChatwootError> {
        let request = self.request(Method::PUT, &["contacts", &contact.to_string()]);
        self.json(request.json(&json!({ "phone_number": null }))).await.map(|_: Value| ())
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

    /// Deletes a message: its words and files go, a line that says so stays. One that is gone already is deleted enough.
    pub async fn delete_message(&self, conversation: ConversationId, message: MessageId) -> Result<(), ChatwootError> {
        let path = ["conversations", &conversation.to_string(), "messages", &message.to_string()];
        found(self.json::<Value>(self.request(Method::DELETE, &path)).await).map(|_| ())
    }
}

/// A text that fits into a conversation's attribute.
pub fn attribute(text: &str) -> Value {
    Value::from(clean(text, ATTRIBUTE_LIMIT - 1))
}

/// A text that fits into a contact's name.
pub fn contact_name(text: &str) -> String {
    clean(text, NAME_LIMIT)
}

fn clean(text: &str, limit: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(limit).collect::<String>().trim().to_owned()
}
