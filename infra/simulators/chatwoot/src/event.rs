//! Something that happened and has to be told. The body is built when it is posted, from the rows of that moment.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;
use uuid::Uuid;

use crate::{callbacks::Post, rows::SenderRef};

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub name: &'static str,
    pub inbox: i64,
    pub conversation: i64,
    pub subject: EventSubject,
    pub delivery: Uuid,
    /// It is the second of a doubled pair.
    pub repeated: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum EventSubject {
    Message(i64),
    Conversation(Changes),
    Typing { user: SenderRef, private: bool },
}

/// `changed_attributes` of a conversation.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Changes {
    /// A new conversation has no such key.
    Absent,
    /// A new status comes with null.
    Null,
    List(Vec<Change>),
}

impl Changes {
    pub(crate) fn absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// `{"label_list":{"previous_value":…,"current_value":…}}`.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub name: &'static str,
    pub previous: Value,
    pub current: Value,
}

#[derive(Serialize)]
struct Values<'a> {
    previous_value: &'a Value,
    current_value: &'a Value,
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.name, &Values { previous_value: &self.previous, current_value: &self.current })?;
        map.end()
    }
}

impl Event {
    pub(crate) fn new(name: &'static str, inbox: i64, conversation: i64, subject: EventSubject) -> Self {
        Self { name, inbox, conversation, subject, delivery: Uuid::new_v4(), repeated: false }
    }

    pub(crate) fn message(&self) -> Option<i64> {
        match self.subject {
            EventSubject::Message(id) => Some(id),
            EventSubject::Conversation(_) | EventSubject::Typing { .. } => None,
        }
    }

    pub(crate) fn post(&self) -> Post {
        Post {
            event: self.name.to_owned(),
            inbox: self.inbox,
            conversation: self.conversation,
            message: self.message(),
            delivery: self.delivery.to_string(),
            status: None,
            error: None,
            lost: false,
        }
    }
}
