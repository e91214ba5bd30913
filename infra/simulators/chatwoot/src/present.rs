//! Rows to the shapes of callbacks. The same shapes, nested, are in the answers of the API.

use domain::Timestamp;

use crate::{
    calendar::{float_secs, iso},
    event::{Event, EventSubject},
    rows::{Contact, Conversation, Message, MessageType, Role, SenderRef},
    state::State,
    wire::{
        ContactInboxData, ConversationBody, ConversationData, MessageBody, MessageConversation, MessageData, Meta,
        Named, Person, RootSender, SourceId, TypingBody, rails_json,
    },
};

fn secs(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_secs)
}

impl State {
    /// The body of an event, from the rows as they are now; nothing if they are gone.
    pub(crate) fn body(&self, event: &Event, older: bool) -> Option<String> {
        let conversation = self.conversations.get(&event.conversation)?;
        let body = match &event.subject {
            EventSubject::Message(id) => {
                rails_json(&self.message_body(event.name, self.messages.get(id)?, conversation, older))
            }
            EventSubject::Conversation(changes) => rails_json(&ConversationBody {
                conversation: self.conversation_data(conversation, older),
                event: event.name,
                changed_attributes: changes.clone(),
            }),
            EventSubject::Typing { user, private } => rails_json(&TypingBody {
                event: event.name,
                user: self.root_sender(*user),
                conversation: self.conversation_data(conversation, older),
                is_private: *private,
            }),
        };
        body.ok()
    }

    fn account(&self) -> Named {
        Named { id: self.account_id, name: self.account_name.clone() }
    }

    fn message_body(
        &self,
        event: &'static str,
        message: &Message,
        conversation: &Conversation,
        older: bool,
    ) -> MessageBody {
        let inbox = self.inboxes.get(&message.inbox_id).map(|inbox| inbox.name.clone()).unwrap_or_default();
        MessageBody {
            account: self.account(),
            additional_attributes: message.additional_attributes.clone(),
            content_attributes: message.content_attributes.clone(),
            content_type: message.content_type.clone(),
            content: self.told_content(message, conversation),
            conversation: self.conversation_data(conversation, older),
            created_at: iso(message.created_at),
            id: message.id,
            inbox: Named { id: message.inbox_id, name: inbox },
            message_type: message.message_type.name(),
            private: message.private,
            sender: self.root_sender(message.sender),
            source_id: message.source_id.clone(),
            attachments: self.attachments_data(message, older),
            event,
        }
    }

    fn root_sender(&self, sender: SenderRef) -> Option<RootSender> {
        match sender {
            SenderRef::Nobody => None,
            SenderRef::User(id) => self.user(id).map(|user| RootSender::User {
                id,
                name: user.name.clone(),
                email: user.email.clone(),
                r#type: "user",
            }),
            SenderRef::Bot(id) => {
                self.user(id).map(|bot| RootSender::Bot { id, name: bot.name.clone(), r#type: "agent_bot" })
            }
            SenderRef::Contact(id) => self.contacts.get(&id).cloned().map(|contact| RootSender::Contact {
                account: self.account(),
                additional_attributes: contact.additional_attributes,
                avatar: String::new(),
                custom_attributes: contact.custom_attributes,
                email: contact.email,
                id,
                identifier: contact.identifier,
                name: contact.name,
                phone_number: contact.phone_number,
                thumbnail: String::new(),
                blocked: contact.blocked,
            }),
        }
    }

    /// The nested form of whoever it is.
    pub(crate) fn person(&self, sender: SenderRef) -> Option<Person> {
        match sender {
            SenderRef::Nobody => None,
            SenderRef::User(id) => self.user(id).map(|user| Person::User {
                id,
                name: user.name.clone(),
                available_name: user.name.clone(),
                avatar_url: String::new(),
                r#type: "user",
                availability_status: None,
                thumbnail: String::new(),
            }),
            SenderRef::Bot(id) => self.user(id).map(|bot| Person::Bot {
                id,
                name: bot.name.clone(),
                avatar_url: String::new(),
                r#type: "agent_bot",
            }),
            SenderRef::Contact(id) => self.contacts.get(&id).map(contact_person),
        }
    }

    fn assignee(&self, conversation: &Conversation) -> Option<SenderRef> {
        let user = self.user(conversation.assignee_id?)?;
        Some(if user.role == Role::Bot { SenderRef::Bot(user.id) } else { SenderRef::User(user.id) })
    }

    pub(crate) fn assignee_person(&self, conversation: &Conversation) -> Option<Person> {
        self.assignee(conversation).and_then(|assignee| self.person(assignee))
    }

    pub(crate) fn assignee_type(&self, conversation: &Conversation) -> Option<&'static str> {
        self.assignee(conversation).map(|assignee| match assignee {
            SenderRef::Bot(_) => "AgentBot",
            _ => "User",
        })
    }

    pub(crate) fn source_id(&self, conversation: &Conversation) -> Option<String> {
        self.contact_inboxes.get(&conversation.contact_inbox_id).map(|row| row.source_id.clone())
    }

    pub(crate) fn unread(&self, conversation: &Conversation) -> usize {
        self.thread(conversation.id)
            .rev()
            .filter(|message| message.message_type == MessageType::Incoming)
            .take_while(|message| conversation.agent_last_seen_at.is_none_or(|seen| message.created_at > seen))
            .take(10)
            .count()
    }

    /// Whether the dashboard lets agents write: judged from the last incoming message of this conversation.
    pub(crate) fn can_reply(&self, conversation: &Conversation) -> bool {
        let window = self.inboxes.get(&conversation.inbox_id).and_then(|inbox| {
            let hours = inbox.additional_attributes.get("agent_reply_time_window")?;
            hours.as_i64().or_else(|| hours.as_str()?.parse().ok())
        });
        let Some(hours) = window else { return true };
        let last = self.thread(conversation.id).rev().find(|message| message.message_type == MessageType::Incoming);
        last.is_some_and(|last| self.now().as_secs() < last.created_at.as_secs() + hours * 3600)
    }

    fn conversation_data(&self, conversation: &Conversation, older: bool) -> ConversationData {
        let contact_inbox = self.contact_inboxes.get(&conversation.contact_inbox_id).map(|row| ContactInboxData {
            id: row.id,
            contact_id: row.contact_id,
            inbox_id: row.inbox_id,
            source_id: row.source_id.clone(),
            created_at: iso(row.created_at),
            updated_at: iso(row.created_at),
            hmac_verified: false,
            pubsub_token: row.pubsub_token.clone(),
        });
        let newest = self
            .thread(conversation.id)
            .rev()
            .find(|message| !message.private && message.message_type != MessageType::Activity);
        ConversationData {
            additional_attributes: conversation.additional_attributes.clone(),
            can_reply: self.can_reply(conversation),
            channel: self.inboxes.get(&conversation.inbox_id).map(|row| row.channel_type.clone()).unwrap_or_default(),
            contact_inbox,
            id: conversation.id,
            inbox_id: conversation.inbox_id,
            messages: newest.map(|message| self.message_data(message, conversation, older)).into_iter().collect(),
            labels: conversation.labels.clone(),
            meta: Meta {
                sender: self.contacts.get(&conversation.contact_id).map(contact_person),
                assignee: self.assignee_person(conversation),
                assignee_type: (!older).then(|| serde_json::json!(self.assignee_type(conversation))),
                team: serde_json::Value::Null,
                hmac_verified: false,
            },
            status: conversation.status.name(),
            custom_attributes: conversation.custom_attributes.clone(),
            snoozed_until: conversation.snoozed_until.map(iso),
            unread_count: self.unread(conversation),
            first_reply_created_at: conversation.first_reply_created_at.map(iso),
            priority: conversation.priority.clone(),
            waiting_since: secs(conversation.waiting_since),
            agent_last_seen_at: secs(conversation.agent_last_seen_at),
            contact_last_seen_at: secs(conversation.contact_last_seen_at),
            last_activity_at: conversation.last_activity_at.as_secs(),
            timestamp: conversation.last_activity_at.as_secs(),
            created_at: conversation.created_at.as_secs(),
            updated_at: float_secs(conversation.updated_at),
            account: (!older).then(|| self.account()),
        }
    }

    /// A message as it stands inside a conversation.
    pub(crate) fn message_data(&self, message: &Message, conversation: &Conversation, older: bool) -> MessageData {
        let (sender_type, sender_id) = match message.sender {
            SenderRef::Nobody => (None, None),
            SenderRef::User(id) => (Some("User"), Some(id)),
            SenderRef::Bot(id) => (Some("AgentBot"), Some(id)),
            SenderRef::Contact(id) => (Some("Contact"), Some(id)),
        };
        MessageData {
            id: message.id,
            content: message.content.clone(),
            account_id: self.account_id,
            inbox_id: message.inbox_id,
            conversation_id: message.conversation_id,
            message_type: message.message_type.number(),
            created_at: message.created_at.as_secs(),
            updated_at: iso(message.updated_at),
            private: message.private,
            status: message.status.name(),
            source_id: message.source_id.clone(),
            content_type: message.content_type.clone(),
            content_attributes: message.content_attributes.clone(),
            sender_type,
            sender_id,
            external_source_ids: serde_json::Map::new(),
            additional_attributes: message.additional_attributes.clone(),
            processed_message_content: message.content.clone(),
            sentiment: serde_json::Map::new(),
            conversation: MessageConversation {
                assignee_id: conversation.assignee_id,
                unread_count: self.unread(conversation),
                last_activity_at: conversation.last_activity_at.as_secs(),
                contact_inbox: SourceId { source_id: self.source_id(conversation) },
            },
            attachments: self.attachments_data(message, older),
            sender: self.person(message.sender),
        }
    }
}

fn contact_person(contact: &Contact) -> Person {
    let contact = contact.clone();
    Person::Contact {
        additional_attributes: contact.additional_attributes,
        custom_attributes: contact.custom_attributes,
        email: contact.email,
        id: contact.id,
        identifier: contact.identifier,
        name: contact.name,
        phone_number: contact.phone_number,
        thumbnail: String::new(),
        blocked: contact.blocked,
        r#type: "contact",
    }
}
