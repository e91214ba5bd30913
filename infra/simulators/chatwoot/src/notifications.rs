//! Whom Chatwoot tells of what happens: what stands in people's bell, and goes to their mail and phone.
//! As in `notification_listener`, `mention_service`, `new_message_notification_service` and `notification_builder`. Who may opt out
//! of new conversations has not: a double is not quieter than the strictest settings.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    Chatwoot,
    rows::{ConversationStatus, Message, MessageType, Role, SenderRef},
    state::State,
};

/// That a user was told something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// The user's name.
    pub user: String,
    /// `conversation_creation`, `conversation_assignment`, `conversation_mention`, `assigned_conversation_new_message` or
    /// `participating_conversation_new_message`.
    pub kind: &'static str,
    /// The conversation.
    pub conversation: i64,
    /// The message, if it is about one.
    pub message: Option<i64>,
}

impl Chatwoot {
    /// Whom it told what so far, the oldest first.
    pub fn notifications(&self) -> Vec<Notification> {
        self.shared().lock().notifications.clone()
    }

    /// How often its reports count the conversation as resolved.
    pub fn resolutions(&self, conversation: i64) -> usize {
        self.shared().lock().resolutions.get(&conversation).copied().unwrap_or_default()
    }
}

impl State {
    /// A new conversation is told to everybody in its inbox, unless it is pending; so is one that a bot hands over.
    pub(crate) fn notify_members(&mut self, conversation: i64) {
        let Some(row) = self.conversations.get(&conversation) else { return };
        if row.status == ConversationStatus::Pending {
            return;
        }
        let members = self.inboxes.get(&row.inbox_id).map(|inbox| inbox.members.clone()).unwrap_or_default();
        for user in members {
            self.notify(user, "conversation_creation", conversation, None);
        }
    }

    /// An assignee takes part from then on, and is told unless he or she did it, or the conversation is pending.
    pub(crate) fn notify_assignee(&mut self, conversation: i64, by: Option<i64>) {
        let Some(row) = self.conversations.get_mut(&conversation) else { return };
        let Some(assignee) = row.assignee_id else { return };
        row.participants.insert(assignee);
        if row.status != ConversationStatus::Pending && by != Some(assignee) {
            self.notify(assignee, "conversation_assignment", conversation, None);
        }
    }

    /// A message is told to whom it mentions, then to the assignee, then to those who take part: each once, never the writer.
    /// Notes are no exception, lines and templates are.
    pub(crate) fn notify_of(&mut self, message: &Message) {
        let conversation = message.conversation_id;
        let mut told = BTreeSet::new();
        for user in self.mentioned(message) {
            if told.insert(user) {
                self.notify(user, "conversation_mention", conversation, Some(message.id));
            }
            if let Some(row) = self.conversations.get_mut(&conversation) {
                row.participants.insert(user);
            }
        }
        if !matches!(message.message_type, MessageType::Incoming | MessageType::Outgoing) {
            return;
        }
        let Some(row) = self.conversations.get(&conversation) else { return };
        let (assignee, participants) = (row.assignee_id, row.participants.clone());
        let assigned = assignee.map(|user| (user, "assigned_conversation_new_message"));
        let taking_part = participants.into_iter().map(|user| (user, "participating_conversation_new_message"));
        for (user, kind) in assigned.into_iter().chain(taking_part) {
            if message.sender != SenderRef::User(user) && told.insert(user) {
                self.notify(user, kind, conversation, Some(message.id));
            }
        }
    }

    /// The users whom a note mentions, as far as they see its inbox.
    fn mentioned(&self, message: &Message) -> Vec<i64> {
        let text = message.content.as_deref().filter(|_| message.private).unwrap_or_default();
        let ids = text.split("(mention://user/").skip(1).filter_map(|rest| rest.split_once('/')?.0.parse().ok());
        let members = self.inboxes.get(&message.inbox_id).map(|inbox| &inbox.members);
        let sees = |id: &i64| {
            members.is_some_and(|members| members.contains(id))
                || self.user(*id).is_some_and(|user| user.role == Role::Administrator)
        };
        ids.filter(sees).collect()
    }

    /// Nobody is told of a blocked contact, but for mentions; a bot has no notifications.
    fn notify(&mut self, user: i64, kind: &'static str, conversation: i64, message: Option<i64>) {
        let contact = self.conversations.get(&conversation).and_then(|row| self.contacts.get(&row.contact_id));
        if contact.is_some_and(|contact| contact.blocked) && kind != "conversation_mention" {
            return;
        }
        let told = self.user(user).filter(|user| user.role != Role::Bot);
        let Some(user) = told.map(|user| user.name.clone()) else { return };
        self.notifications.push(Notification { user, kind, conversation, message });
    }
}
