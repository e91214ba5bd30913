//! The bodies of callbacks: structs, because the order of their keys is part of what is signed and compared.

use serde::Serialize;
use serde_json::Value;

use crate::{event::Changes, rows::Attributes};

#[derive(Serialize)]
pub(crate) struct Named {
    pub id: i64,
    pub name: String,
}

/// `message_created` and `message_updated`.
#[derive(Serialize)]
pub(crate) struct MessageBody {
    pub account: Named,
    pub additional_attributes: Attributes,
    pub content_attributes: Attributes,
    pub content_type: String,
    pub content: Option<String>,
    pub conversation: ConversationData,
    pub created_at: String,
    pub id: i64,
    pub inbox: Named,
    pub message_type: &'static str,
    pub private: bool,
    pub sender: Option<RootSender>,
    pub source_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentData>,
    pub event: &'static str,
}

/// `conversation_created`, `conversation_updated` and `conversation_status_changed`.
#[derive(Serialize)]
pub(crate) struct ConversationBody {
    #[serde(flatten)]
    pub conversation: ConversationData,
    pub event: &'static str,
    #[serde(skip_serializing_if = "Changes::absent")]
    pub changed_attributes: Changes,
}

/// `conversation_typing_on` and `conversation_typing_off`.
#[derive(Serialize)]
pub(crate) struct TypingBody {
    pub event: &'static str,
    pub user: Option<RootSender>,
    pub conversation: ConversationData,
    pub is_private: bool,
}

/// Who wrote, at the root of a message.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum RootSender {
    User {
        id: i64,
        name: String,
        email: String,
        r#type: &'static str,
    },
    Bot {
        id: i64,
        name: String,
        r#type: &'static str,
    },
    Contact {
        account: Named,
        additional_attributes: Attributes,
        avatar: String,
        custom_attributes: Attributes,
        email: Option<String>,
        id: i64,
        identifier: Option<String>,
        name: String,
        phone_number: Option<String>,
        thumbnail: String,
        blocked: bool,
    },
}

/// Who wrote, or whom it is assigned to, anywhere deeper.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Person {
    User {
        id: i64,
        name: String,
        available_name: String,
        avatar_url: String,
        r#type: &'static str,
        /// Known while a request is answered; a callback is written where nobody is logged in.
        availability_status: Option<&'static str>,
        thumbnail: String,
    },
    Bot {
        id: i64,
        name: String,
        avatar_url: String,
        r#type: &'static str,
    },
    Contact {
        additional_attributes: Attributes,
        custom_attributes: Attributes,
        email: Option<String>,
        id: i64,
        identifier: Option<String>,
        name: String,
        phone_number: Option<String>,
        thumbnail: String,
        blocked: bool,
        r#type: &'static str,
    },
}

impl Person {
    /// As an answer to a request has them: nobody is at the dashboard.
    pub(crate) fn answered(mut self) -> Self {
        if let Self::User { availability_status, .. } = &mut self {
            *availability_status = Some("offline");
        }
        self
    }
}

#[derive(Serialize)]
pub(crate) struct ConversationData {
    pub additional_attributes: Attributes,
    pub can_reply: bool,
    pub channel: String,
    pub contact_inbox: Option<ContactInboxData>,
    pub id: i64,
    pub inbox_id: i64,
    pub messages: Vec<MessageData>,
    pub labels: Vec<String>,
    pub meta: Meta,
    pub status: &'static str,
    pub custom_attributes: Attributes,
    pub snoozed_until: Option<String>,
    pub unread_count: usize,
    pub first_reply_created_at: Option<String>,
    pub priority: Option<String>,
    pub waiting_since: i64,
    pub agent_last_seen_at: i64,
    pub contact_last_seen_at: i64,
    pub last_activity_at: i64,
    pub timestamp: i64,
    pub created_at: i64,
    pub updated_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Named>,
}

#[derive(Serialize)]
pub(crate) struct ContactInboxData {
    pub id: i64,
    pub contact_id: i64,
    pub inbox_id: i64,
    pub source_id: String,
    pub created_at: String,
    pub updated_at: String,
    pub hmac_verified: bool,
    pub pubsub_token: String,
}

#[derive(Serialize)]
pub(crate) struct Meta {
    pub sender: Option<Person>,
    pub assignee: Option<Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee_type: Option<Value>,
    pub team: Value,
    pub hmac_verified: bool,
}

/// A message inside a conversation.
#[derive(Serialize)]
pub(crate) struct MessageData {
    pub id: i64,
    pub content: Option<String>,
    pub account_id: i64,
    pub inbox_id: i64,
    pub conversation_id: i64,
    pub message_type: i64,
    pub created_at: i64,
    pub updated_at: String,
    pub private: bool,
    pub status: &'static str,
    pub source_id: Option<String>,
    pub content_type: String,
    pub content_attributes: Attributes,
    pub sender_type: Option<&'static str>,
    pub sender_id: Option<i64>,
    pub external_source_ids: Attributes,
    pub additional_attributes: Attributes,
    pub processed_message_content: Option<String>,
    pub sentiment: Attributes,
    pub conversation: MessageConversation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Person>,
}

#[derive(Serialize)]
pub(crate) struct MessageConversation {
    pub assignee_id: Option<i64>,
    pub unread_count: usize,
    pub last_activity_at: i64,
    pub contact_inbox: SourceId,
}

#[derive(Serialize)]
pub(crate) struct SourceId {
    pub source_id: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct AttachmentData {
    pub id: i64,
    pub message_id: i64,
    pub file_type: &'static str,
    pub account_id: i64,
    pub extension: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    pub data_url: String,
    pub thumb_url: String,
    pub file_size: usize,
    pub width: Option<u32>,
    pub height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcribed_text: Option<&'static str>,
}

/// One line, with the characters escaped that Rails escapes.
pub(crate) fn rails_json(body: &impl Serialize) -> serde_json::Result<String> {
    let plain = serde_json::to_string(body)?;
    let mut out = String::with_capacity(plain.len());
    for letter in plain.chars() {
        match letter {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    Ok(out)
}
