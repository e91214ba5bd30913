//! Reads one dead letter: its text, its pieces, its age, and where it belongs.

use std::time::Duration;

use aws_sdk_sqs::{
    operation::send_message::builders::SendMessageInputBuilder,
    types::{Message, MessageAttributeValue, MessageSystemAttributeName},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{MessageGroup, Timestamp, task::QUEUES_KEEP_DAYS};
use uuid::Uuid;

use crate::QueueError;

/// How long the queue keeps a dead letter. Putting one back must not begin that time anew.
const DEAD_LETTER_TTL: Duration = Duration::from_secs(QUEUES_KEEP_DAYS.unsigned_abs() * 86_400);

/// A message of a dead-letter queue: a dead letter, or a piece of one.
#[derive(Clone, Debug)]
pub struct DeadLetter(Message);

/// Gives a dead letter's text, whatever form it was stored in: pieces in any order, base64.
pub fn text(pieces: &[DeadLetter]) -> String {
    let mut in_order: Vec<&DeadLetter> = pieces.iter().collect();
    in_order.sort_by_key(|piece| piece.part().map(|(at, _)| at));
    let raw: String = in_order.iter().map(|piece| piece.body()).collect();
    let is_base64 = in_order.iter().any(|piece| piece.is_base64());
    let decoded = is_base64.then(|| STANDARD.decode(&raw).ok()).flatten();
    decoded.map_or(raw, |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Gives a message group for one dead letter, behind no other.
pub(crate) fn own_group() -> String {
    MessageGroup::KeptDeadLetter(Uuid::new_v4().to_string()).to_string()
}

impl From<Message> for DeadLetter {
    fn from(message: Message) -> Self {
        Self(message)
    }
}

impl DeadLetter {
    /// SQS's id of it; another one after it was put back.
    pub fn id(&self) -> &str {
        self.0.message_id().unwrap_or_default()
    }

    /// The id it had when it first came here.
    pub fn first_id(&self) -> &str {
        self.attribute("first").unwrap_or(self.id())
    }

    /// As it is stored.
    pub fn body(&self) -> &str {
        self.0.body().unwrap_or_default()
    }

    /// Why it is here; SQS itself gives no reason.
    pub fn reason(&self) -> Option<&str> {
        self.attribute("reason")
    }

    /// By what it can be deleted, or made visible again.
    pub fn receipt(&self) -> &str {
        self.0.receipt_handle().unwrap_or_default()
    }

    /// Gives the name of the dead letter this is a piece of, and how many pieces there are; nothing if it is whole.
    pub fn piece(&self) -> Option<(String, usize)> {
        let (_, of) = self.part()?;
        // Older ones have no name, and share their group.
        let name = self.attribute("letter").or_else(|| self.attribute("group")).unwrap_or_else(|| self.group());
        Some((name.to_owned(), of))
    }

    /// Whether it was no text.
    pub fn is_base64(&self) -> bool {
        self.attribute("encoding") == Some("base64")
    }

    /// Whether no other dead letter is behind it in its message group.
    pub fn stands_alone(&self) -> bool {
        MessageGroup::from(self.group()).has_one_message()
    }

    /// Whether it was put back, and is past the time the queue would have kept it.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let since = self.attribute("since").and_then(|since| since.parse().ok()).map(Timestamp::from_millis);
        since.is_some_and(|since| now.since(since) >= DEAD_LETTER_TTL)
    }

    /// Gives the time since when it is in a queue, wherever it was first. One that does not say counts as old.
    pub fn since(&self) -> Timestamp {
        Timestamp::from_millis(self.first_seen().parse().unwrap_or_default())
    }

    /// The message group it had before it was put back.
    pub fn first_group(&self) -> &str {
        self.attribute("group").unwrap_or_else(|| self.group())
    }

    /// Its place among those that came in the same millisecond: SQS's sequence numbers are of one length.
    pub fn order(&self) -> &str {
        self.attribute("order").or_else(|| self.system(&MessageSystemAttributeName::SequenceNumber)).unwrap_or_default()
    }

    /// Gives the attributes it must have wherever it is put back: when and where it was first, and as what.
    pub(crate) fn beside(&self) -> [(&'static str, &str); 4] {
        [
            ("since", self.first_seen()),
            ("group", self.first_group()),
            ("order", self.order()),
            ("first", self.first_id()),
        ]
    }

    /// Gives the same dead letter in a message group of its own, to be put back.
    pub(crate) fn alone(&self) -> Result<SendMessageInputBuilder, QueueError> {
        let mut attributes = self.0.message_attributes().cloned().unwrap_or_default();
        for (name, value) in self.beside().into_iter().filter(|(_, value)| !value.is_empty()) {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build()?;
            attributes.insert(name.to_owned(), value);
        }
        Ok(SendMessageInputBuilder::default()
            .message_group_id(own_group())
            .message_deduplication_id(Uuid::new_v4().to_string())
            .message_body(self.body())
            .set_message_attributes(Some(attributes)))
    }

    fn part(&self) -> Option<(usize, usize)> {
        let (at, of) = self.attribute("part")?.split_once('/')?;
        Some((at.parse().ok()?, of.parse().ok()?))
    }

    fn first_seen(&self) -> &str {
        self.attribute("since").or_else(|| self.system(&MessageSystemAttributeName::SentTimestamp)).unwrap_or("0")
    }

    fn group(&self) -> &str {
        self.system(&MessageSystemAttributeName::MessageGroupId).unwrap_or_default()
    }

    fn system(&self, name: &MessageSystemAttributeName) -> Option<&str> {
        self.0.attributes()?.get(name).map(String::as_str)
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.0.message_attributes()?.get(name)?.string_value()
    }
}
