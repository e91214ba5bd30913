//! What happens to a conversation: opened, found again, resolved, labeled.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    calendar::iso,
    errors::Refusal,
    event::Changes,
    message_rules::Draft,
    rows::{Attributes, ContactInbox, Conversation, ConversationStatus, MessageType, SenderRef},
    state::State,
};

/// A time inside `changed_attributes`.
pub(crate) fn stamp(at: Option<domain::Timestamp>) -> Value {
    at.map_or(Value::Null, |at| Value::String(iso(at)))
}

/// A conversation to be opened.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    pub status: Option<ConversationStatus>,
    pub assignee_id: Option<i64>,
    pub additional_attributes: Attributes,
    pub custom_attributes: Attributes,
}

impl State {
    /// The contact inbox with that source id; made if there is none, with a random id if none is given. `Err` if it is another
    /// contact's.
    pub(crate) fn contact_inbox_for(
        &mut self,
        contact_id: i64,
        inbox_id: i64,
        source_id: Option<String>,
    ) -> Result<i64, Taken> {
        if let Some(source) = &source_id {
            let row = self.contact_inboxes.values().find(|row| row.inbox_id == inbox_id && row.source_id == *source);
            if let Some(row) = row {
                return if row.contact_id == contact_id { Ok(row.id) } else { Err(Taken) };
            }
        }
        let id = self.next_id("contact_inbox");
        let row = ContactInbox {
            id,
            contact_id,
            inbox_id,
            source_id: source_id.unwrap_or_else(|| Uuid::new_v4().to_string()),
            created_at: self.now(),
            pubsub_token: Uuid::new_v4().simple().to_string(),
        };
        self.contact_inboxes.insert(id, row);
        Ok(id)
    }

    /// A new conversation, or the last one of the contact inbox where the inbox is locked to a single one.
    pub(crate) fn open_conversation(&mut self, contact_inbox: i64, opening: Opening) -> Result<i64, Refusal> {
        let language = self.language;
        let row = self.contact_inboxes.get(&contact_inbox).ok_or_else(|| Refusal::not_found(language))?.clone();
        if self.inbox(row.inbox_id)?.lock_to_single_conversation {
            let last = self.conversations.values().rev().find(|known| known.contact_inbox_id == contact_inbox);
            if let Some(last) = last {
                return Ok(last.id);
            }
        }
        let blocked = self.contact(row.contact_id)?.blocked;
        let now = self.now();
        let conversation = Conversation {
            id: self.next_id("conversation"),
            uuid: Uuid::new_v4().to_string(),
            inbox_id: row.inbox_id,
            contact_id: row.contact_id,
            contact_inbox_id: contact_inbox,
            status: if blocked {
                ConversationStatus::Resolved
            } else {
                opening.status.unwrap_or(ConversationStatus::Open)
            },
            snoozed_until: None,
            priority: None,
            labels: Vec::new(),
            additional_attributes: opening.additional_attributes,
            custom_attributes: opening.custom_attributes,
            assignee_id: opening.assignee_id,
            participants: BTreeSet::new(),
            created_at: now,
            updated_at: now,
            last_activity_at: now,
            agent_last_seen_at: None,
            assignee_last_seen_at: None,
            contact_last_seen_at: None,
            first_reply_created_at: None,
            // A new conversation waits from its first moment.
            waiting_since: Some(now),
        };
        let id = conversation.id;
        self.conversations.insert(id, conversation);
        self.tell_conversation("conversation_created", id, Changes::Absent);
        self.notify_members(id);
        self.notify_assignee(id, None);
        Ok(id)
    }

    /// Sets the status and tells it; a person leaves a line in the conversation.
    pub(crate) fn set_status(&mut self, id: i64, status: ConversationStatus, by: Option<i64>) -> Result<(), Refusal> {
        let now = self.now();
        let row = self.conversation_mut(id)?;
        let before = std::mem::replace(&mut row.status, status);
        if before == status {
            return Ok(());
        }
        row.updated_at = now;
        if status == ConversationStatus::Resolved {
            row.waiting_since = None;
            *self.resolutions.entry(id).or_default() += 1;
        }
        self.tell_conversation("conversation_status_changed", id, Changes::Null);
        self.tell_change(id, "status", json!(before.name()), json!(status.name()));
        if let Some(user) = by.and_then(|by| self.user(by)) {
            let (spanish, english) = match status {
                ConversationStatus::Open => ("reabrió la conversación", "reopened the conversation"),
                ConversationStatus::Resolved => ("resolvió la conversación", "resolved the conversation"),
                ConversationStatus::Pending => {
                    ("marcó la conversación como pendiente", "set the conversation to pending")
                }
                ConversationStatus::Snoozed => ("pospuso la conversación", "snoozed the conversation"),
            };
            let text = format!("{} {}", user.name, self.language.say(spanish, english));
            self.leave_line(id, text)?;
        }
        if status == ConversationStatus::Resolved { self.survey(id) } else { Ok(()) }
    }

    /// Replaces the labels; a line in the conversation says who added and who removed which, and counts as activity.
    pub(crate) fn set_labels(&mut self, id: i64, labels: Vec<String>, by: i64) -> Result<(), Refusal> {
        let now = self.now();
        let row = self.conversation_mut(id)?;
        if row.labels == labels {
            return Ok(());
        }
        let before = std::mem::replace(&mut row.labels, labels.clone());
        row.updated_at = now;
        self.tell_change(id, "label_list", json!(before), json!(labels));
        let name = self.user(by).map(|user| user.name.clone()).unwrap_or_default();
        let missing = |of: &[String], from: &[String]| -> String {
            of.iter().filter(|label| !from.contains(label)).cloned().collect::<Vec<_>>().join(", ")
        };
        for (changed, spanish, english) in
            [(missing(&labels, &before), "agregó", "added"), (missing(&before, &labels), "eliminó", "removed")]
        {
            if !changed.is_empty() {
                let text = format!("{name} {} {changed}", self.language.say(spanish, english));
                self.leave_line(id, text)?;
            }
        }
        Ok(())
    }

    /// A line of Chatwoot's own.
    pub(crate) fn leave_line(&mut self, id: i64, text: String) -> Result<(), Refusal> {
        let draft = Draft { message_type: MessageType::Activity, ..Draft::outgoing(SenderRef::Nobody, Some(text)) };
        self.create_message(id, draft).map(|_| ())
    }

    /// Replaces the custom attributes.
    pub(crate) fn set_custom_attributes(&mut self, id: i64, attributes: Attributes) -> Result<(), Refusal> {
        let now = self.now();
        let row = self.conversation_mut(id)?;
        if row.custom_attributes != attributes {
            let before = std::mem::replace(&mut row.custom_attributes, attributes.clone());
            row.updated_at = now;
            self.tell_change(id, "custom_attributes", Value::Object(before), Value::Object(attributes));
        }
        Ok(())
    }

    /// Assigns it, or takes it away. `by` is who does that.
    pub(crate) fn assign(&mut self, id: i64, assignee: Option<i64>, by: Option<i64>) -> Result<(), Refusal> {
        let now = self.now();
        let row = self.conversation_mut(id)?;
        let before = std::mem::replace(&mut row.assignee_id, assignee);
        if before != assignee {
            row.updated_at = now;
            self.tell_change(id, "assignee_id", json!(before), json!(assignee));
            self.notify_assignee(id, by);
        }
        Ok(())
    }
}

/// The source id belongs to another contact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken;
