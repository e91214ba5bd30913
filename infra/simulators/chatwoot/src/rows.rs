//! The tables, as far as the outside can see them.

use std::collections::BTreeSet;

use bytes::Bytes;
use domain::Timestamp;
use serde_json::{Map, Value};

/// A free hash of attributes.
pub(crate) type Attributes = Map<String, Value>;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Administrator,
    /// The inboxes he or she belongs to; nothing is deleted or configured.
    Agent,
    /// An agent bot: a short list of calls.
    Bot,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub id: i64,
    pub name: String,
    pub email: String,
    pub token: String,
    pub role: Role,
}

#[derive(Clone, Debug)]
pub(crate) struct InboxRow {
    pub id: i64,
    pub name: String,
    pub channel_id: i64,
    pub channel_type: String,
    pub webhook_url: String,
    pub secret: String,
    pub hmac_token: String,
    pub identifier: String,
    pub hmac_mandatory: bool,
    pub additional_attributes: Attributes,
    pub lock_to_single_conversation: bool,
    /// The other settings, kept and given back as they came.
    pub fields: Attributes,
    pub created_at: Timestamp,
    /// The agents who see it.
    pub members: BTreeSet<i64>,
}

impl InboxRow {
    pub(crate) fn is_api(&self) -> bool {
        self.channel_type == "Channel::Api"
    }

    pub(crate) fn flag(&self, field: &str) -> bool {
        self.fields.get(field).and_then(Value::as_bool).unwrap_or(false)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub id: i64,
    pub name: String,
    pub email: Option<String>,
    pub phone_number: Option<String>,
    pub identifier: Option<String>,
    pub blocked: bool,
    pub additional_attributes: Attributes,
    pub custom_attributes: Attributes,
    pub labels: Vec<String>,
    pub created_at: Timestamp,
    pub last_activity_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(crate) struct ContactInbox {
    pub id: i64,
    pub contact_id: i64,
    pub inbox_id: i64,
    pub source_id: String,
    pub created_at: Timestamp,
    pub pubsub_token: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConversationStatus {
    Open,
    Resolved,
    Pending,
    Snoozed,
}

impl ConversationStatus {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "open" => Self::Open,
            "resolved" => Self::Resolved,
            "pending" => Self::Pending,
            "snoozed" => Self::Snoozed,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
            Self::Pending => "pending",
            Self::Snoozed => "snoozed",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub id: i64,
    pub uuid: String,
    pub inbox_id: i64,
    pub contact_id: i64,
    pub contact_inbox_id: i64,
    pub status: ConversationStatus,
    pub snoozed_until: Option<Timestamp>,
    pub priority: Option<String>,
    pub labels: Vec<String>,
    pub additional_attributes: Attributes,
    pub custom_attributes: Attributes,
    pub assignee_id: Option<i64>,
    /// Who is told of its messages beside the assignee.
    pub participants: BTreeSet<i64>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub last_activity_at: Timestamp,
    pub agent_last_seen_at: Option<Timestamp>,
    pub assignee_last_seen_at: Option<Timestamp>,
    pub contact_last_seen_at: Option<Timestamp>,
    pub first_reply_created_at: Option<Timestamp>,
    pub waiting_since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageType {
    Incoming,
    Outgoing,
    Activity,
    Template,
}

impl MessageType {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "incoming" => Self::Incoming,
            "outgoing" => Self::Outgoing,
            "activity" => Self::Activity,
            "template" => Self::Template,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Activity => "activity",
            Self::Template => "template",
        }
    }

    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Incoming => 0,
            Self::Outgoing => 1,
            Self::Activity => 2,
            Self::Template => 3,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageStatus {
    Sent,
    Delivered,
    Read,
    Failed,
}

impl MessageStatus {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "sent" => Self::Sent,
            "delivered" => Self::Delivered,
            "read" => Self::Read,
            "failed" => Self::Failed,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SenderRef {
    Nobody,
    User(i64),
    Contact(i64),
    Bot(i64),
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "the columns are named so")]
pub(crate) struct Message {
    pub id: i64,
    pub conversation_id: i64,
    pub inbox_id: i64,
    pub content: Option<String>,
    pub message_type: MessageType,
    pub private: bool,
    pub status: MessageStatus,
    pub source_id: Option<String>,
    pub content_type: String,
    pub content_attributes: Attributes,
    pub additional_attributes: Attributes,
    pub sender: SenderRef,
    pub attachments: Vec<Attachment>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Message {
    pub(crate) fn attribute(&self, key: &str) -> Option<&Value> {
        self.content_attributes.get(key).filter(|value| !value.is_null())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub id: i64,
    pub file_type: &'static str,
    /// The signed id of its blob.
    pub blob: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub filename: String,
    pub content_type: String,
    pub bytes: Bytes,
}
