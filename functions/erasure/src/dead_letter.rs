//! Reads one dead letter: its text, its pieces, and its age.

use std::time::Duration;

use aws_sdk_sqs::{
    operation::send_message::builders::SendMessageInputBuilder,
    types::{Message, MessageAttributeValue, MessageSystemAttributeName},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{MessageGroup, Timestamp};
use queue::QueueError;
use uuid::Uuid;

/// How long the queue keeps a dead letter. Putting one back must not begin that time anew.
const DEAD_LETTER_TTL: Duration = Duration::from_secs(store::QUEUES_KEEP_DAYS.unsigned_abs() * 86_400);

/// Gives a dead letter's text, whatever form it was stored in: pieces in any order, base64.
pub(crate) fn text(pieces: &[Message]) -> String {
    let mut in_order: Vec<&Message> = pieces.iter().collect();
    in_order.sort_by_key(|piece| part(piece).map(|(at, _)| at));
    let raw: String = in_order.iter().map(|piece| piece.body().unwrap_or_default()).collect();
    let is_base64 = in_order.iter().any(|piece| attribute(piece, "encoding") == Some("base64"));
    let decoded = is_base64.then(|| STANDARD.decode(&raw).ok()).flatten();
    decoded.map_or(raw, |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Gives the name of the dead letter this is a piece of, and how many pieces there are; nothing if it is whole.
pub(crate) fn piece(message: &Message) -> Option<(String, usize)> {
    let (_, of) = part(message)?;
    // Older ones have no name, and share their group.
    let name = attribute(message, "letter").or_else(|| attribute(message, "group")).unwrap_or_else(|| group(message));
    Some((name.to_owned(), of))
}

fn part(message: &Message) -> Option<(usize, usize)> {
    let (at, of) = attribute(message, "part")?.split_once('/')?;
    Some((at.parse().ok()?, of.parse().ok()?))
}

/// Whether no other dead letter is behind it in its message group.
pub(crate) fn stands_alone(message: &Message) -> bool {
    MessageGroup::from(group(message)).has_one_message()
}

/// Whether it was put back, and is past the time the queue would have kept it.
pub(crate) fn is_overdue(message: &Message, now: Timestamp) -> bool {
    let since = attribute(message, "since").and_then(|since| since.parse().ok()).map(Timestamp::from_millis);
    since.is_some_and(|since| now.since(since) >= DEAD_LETTER_TTL)
}

/// Gives the same dead letter in a message group of its own, to be put back.
pub(crate) fn alone(message: &Message) -> Result<SendMessageInputBuilder, QueueError> {
    let mut attributes = message.message_attributes().cloned().unwrap_or_default();
    for (name, value) in beside(message).into_iter().filter(|(_, value)| !value.is_empty()) {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build()?;
        attributes.insert(name.to_owned(), value);
    }
    Ok(SendMessageInputBuilder::default()
        .message_group_id(own_group())
        .message_deduplication_id(Uuid::new_v4().to_string())
        .message_body(message.body().unwrap_or_default())
        .set_message_attributes(Some(attributes)))
}

/// Gives the time since when it is in a queue, wherever it was first. One that does not say counts as old.
pub(crate) fn since(message: &Message) -> Timestamp {
    let [(_, since), _] = beside(message);
    Timestamp::from_millis(since.parse().unwrap_or_default())
}

/// Gives the attributes it must have wherever it is put back: since when it is there, and where it was first.
pub(crate) fn beside(message: &Message) -> [(&'static str, &str); 2] {
    let sent = message.attributes().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
    let since = attribute(message, "since").unwrap_or_else(|| sent.map_or("0", String::as_str));
    [("since", since), ("group", attribute(message, "group").unwrap_or_else(|| group(message)))]
}

/// Gives a message group for one dead letter, behind no other.
pub(crate) fn own_group() -> String {
    MessageGroup::KeptDeadLetter(Uuid::new_v4().to_string()).to_string()
}

/// Gives the message group it is in.
pub(crate) fn group(message: &Message) -> &str {
    let attributes = message.attributes();
    attributes.and_then(|all| all.get(&MessageSystemAttributeName::MessageGroupId)).map_or("", String::as_str)
}

/// Gives the value of an attribute.
pub(crate) fn attribute<'l>(letter: &'l Message, name: &str) -> Option<&'l str> {
    letter.message_attributes()?.get(name)?.string_value()
}
