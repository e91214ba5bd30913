//! What a test or the runner's page looks at: plain copies of the rows.

use bytes::Bytes;
use domain::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    rows::{Attributes, Contact, Conversation, Message},
    state::State,
};

/// A contact.
#[derive(Clone, Debug, Serialize)]
pub struct ContactView {
    /// Its id.
    pub id: i64,
    /// The name that agents see.
    pub name: String,
    /// With a plus.
    pub phone_number: Option<String>,
    /// The id that somebody else gave it.
    pub identifier: Option<String>,
    /// An address.
    pub email: Option<String>,
    /// Whether an agent blocked it.
    pub blocked: bool,
    /// Free attributes that agents see.
    pub custom_attributes: Attributes,
    /// Free attributes.
    pub additional_attributes: Attributes,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its contact inboxes: inbox id and source id.
    pub source_ids: Vec<(i64, String)>,
}

/// A conversation.
#[derive(Clone, Debug, Serialize)]
pub struct ConversationView {
    /// The id in paths.
    pub id: i64,
    /// Its inbox.
    pub inbox_id: i64,
    /// Its contact.
    pub contact_id: i64,
    /// The contact's name; empty once the contact is gone.
    pub contact_name: String,
    /// The source id of its contact inbox.
    pub source_id: String,
    /// `open`, `resolved`, `pending` or `snoozed`.
    pub status: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Free attributes that agents see.
    pub custom_attributes: Attributes,
    /// The name of whom it is assigned to.
    pub assignee: Option<String>,
    /// Whether the dashboard lets agents write free text.
    pub can_reply: bool,
    /// Incoming messages that no agent has seen, at most 10.
    pub unread_count: usize,
    /// Messages in it.
    pub messages: usize,
    /// When the last one came, in epoch seconds.
    pub last_activity_at: i64,
}

/// A message.
#[derive(Clone, Debug, Serialize)]
pub struct MessageView {
    /// Its id, global to the installation.
    pub id: i64,
    /// Its text; empty if it has none.
    pub content: String,
    /// `incoming`, `outgoing`, `activity` or `template`.
    pub message_type: String,
    /// Whether it is a note.
    pub private: bool,
    /// `sent`, `delivered`, `read` or `failed`.
    pub status: String,
    /// The red text beside a failed message.
    pub external_error: Option<String>,
    /// The id that its creator gave it.
    pub source_id: Option<String>,
    /// The message it quotes.
    pub in_reply_to: Option<i64>,
    /// Its files.
    pub attachments: Vec<AttachmentView>,
    /// Whether it was deleted.
    pub deleted: bool,
    /// As stored.
    pub content_attributes: Attributes,
    /// As stored; the parameters of a template are in here.
    pub additional_attributes: Attributes,
    /// `text` and others.
    pub content_type: String,
    /// The name of who wrote it.
    pub sender: Option<String>,
    /// When it was created, in epoch seconds.
    pub created_at: i64,
}

/// A file of a message.
#[derive(Clone, Debug, Serialize)]
pub struct AttachmentView {
    /// Its id.
    pub id: i64,
    /// The name it was uploaded with.
    pub filename: String,
    /// Its content type.
    pub content_type: String,
    /// `image`, `audio`, `video` or `file`.
    pub file_type: String,
    /// What is in it.
    #[serde(skip)]
    pub bytes: Bytes,
}

impl State {
    pub(crate) fn contact_view(&self, contact: &Contact) -> ContactView {
        let rows = self.contact_inboxes.values().filter(|row| row.contact_id == contact.id);
        let source_ids = rows.map(|row| (row.inbox_id, row.source_id.clone())).collect();
        let contact = contact.clone();
        ContactView {
            id: contact.id,
            name: contact.name,
            phone_number: contact.phone_number,
            identifier: contact.identifier,
            email: contact.email,
            blocked: contact.blocked,
            custom_attributes: contact.custom_attributes,
            additional_attributes: contact.additional_attributes,
            labels: contact.labels,
            source_ids,
        }
    }

    pub(crate) fn conversation_view(&self, row: &Conversation) -> ConversationView {
        ConversationView {
            id: row.id,
            inbox_id: row.inbox_id,
            contact_id: row.contact_id,
            contact_name: self.contacts.get(&row.contact_id).map(|contact| contact.name.clone()).unwrap_or_default(),
            source_id: self.source_id(row).unwrap_or_default(),
            status: row.status.name().to_owned(),
            labels: row.labels.clone(),
            custom_attributes: row.custom_attributes.clone(),
            assignee: row.assignee_id.and_then(|id| self.user(id)).map(|user| user.name.clone()),
            can_reply: self.can_reply(row),
            unread_count: self.unread(row),
            messages: self.thread(row.id).count(),
            last_activity_at: row.last_activity_at.as_secs(),
        }
    }

    pub(crate) fn message_view(&self, message: &Message) -> MessageView {
        let attachments = message.attachments.iter().filter_map(|attachment| {
            let blob = self.blobs.get(&attachment.blob)?;
            Some(AttachmentView {
                id: attachment.id,
                filename: blob.filename.clone(),
                content_type: blob.content_type.clone(),
                file_type: attachment.file_type.to_owned(),
                bytes: blob.bytes.clone(),
            })
        });
        MessageView {
            id: message.id,
            content: message.content.clone().unwrap_or_default(),
            message_type: message.message_type.name().to_owned(),
            private: message.private,
            status: message.status.name().to_owned(),
            external_error: message.attribute("external_error").and_then(Value::as_str).map(str::to_owned),
            source_id: message.source_id.clone(),
            in_reply_to: message.attribute("in_reply_to").and_then(Value::as_i64),
            attachments: attachments.collect(),
            deleted: message.attribute("deleted") == Some(&Value::Bool(true)),
            content_attributes: message.content_attributes.clone(),
            additional_attributes: message.additional_attributes.clone(),
            content_type: message.content_type.clone(),
            sender: self.sender_name(message),
            created_at: Timestamp::as_secs(message.created_at),
        }
    }

    fn sender_name(&self, message: &Message) -> Option<String> {
        use crate::rows::SenderRef;
        match message.sender {
            SenderRef::Nobody => None,
            SenderRef::User(id) | SenderRef::Bot(id) => self.user(id).map(|user| user.name.clone()),
            SenderRef::Contact(id) => self.contacts.get(&id).map(|contact| contact.name.clone()),
        }
    }

    pub(crate) fn message_views(&self, conversation: i64) -> Vec<MessageView> {
        self.thread(conversation).map(|message| self.message_view(message)).collect()
    }
}
