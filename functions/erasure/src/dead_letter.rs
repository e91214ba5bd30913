//! A dead letter as it lies in its queue: what it says, which piece of what it is, and since when it is there.

use std::time::Duration;

use aws_sdk_sqs::{
    operation::send_message::builders::SendMessageInputBuilder,
    types::{Message, MessageAttributeValue, MessageSystemAttributeName},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::Timestamp;
use queue::QueueError;
use uuid::Uuid;

/// Before the group of a letter that was put in again.
const KEPT_PREFIX: &str = "kept#";

/// Groups of one letter.
const SINGLE_PERSON_PREFIXES: [&str; 2] = [KEPT_PREFIX, "unreadable#"];

/// As long as the queue keeps a letter. One put in again must not begin that time anew.
const DEAD_LETTER_TTL: Duration = Duration::from_secs(store::QUEUES_KEEP_DAYS.unsigned_abs() * 86_400);

/// What a letter says, whatever it was set aside in: pieces in any order, base64.
pub(crate) fn text(pieces: &[Message]) -> String {
    let mut in_order: Vec<&Message> = pieces.iter().collect();
    in_order.sort_by_key(|piece| part(piece).map(|(at, _)| at));
    let raw: String = in_order.iter().map(|piece| piece.body().unwrap_or_default()).collect();
    let is_base64 = in_order.iter().any(|piece| attribute(piece, "encoding") == Some("base64"));
    let decoded = is_base64.then(|| STANDARD.decode(&raw).ok()).flatten();
    decoded.map_or(raw, |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Of which letter this is a piece, and how many there are; nothing if it is whole.
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

/// Whether nothing of others stands behind it in its group.
pub(crate) fn stands_alone(message: &Message) -> bool {
    SINGLE_PERSON_PREFIXES.iter().any(|prefix| group(message).starts_with(prefix))
}

/// Whether it was put in again, and its days are over.
pub(crate) fn is_overdue(message: &Message, now: Timestamp) -> bool {
    let since = attribute(message, "since").and_then(|since| since.parse().ok()).map(Timestamp::from_millis);
    since.is_some_and(|since| now.since(since) >= DEAD_LETTER_TTL)
}

/// The same letter in a group of its own, to be put in again.
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

/// Since when it is there, wherever it stood first. Of one that does not say, nothing is known to be new.
pub(crate) fn since(message: &Message) -> Timestamp {
    let [(_, since), _] = beside(message);
    Timestamp::from_millis(since.parse().unwrap_or_default())
}

/// What has to stand beside it wherever it is put in again: since when it is there, and where it stood first.
pub(crate) fn beside(message: &Message) -> [(&'static str, &str); 2] {
    let sent = message.attributes().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
    let since = attribute(message, "since").unwrap_or_else(|| sent.map_or("0", String::as_str));
    [("since", since), ("group", attribute(message, "group").unwrap_or_else(|| group(message)))]
}

/// A group for one letter, behind nobody.
pub(crate) fn own_group() -> String {
    format!("{KEPT_PREFIX}{}", Uuid::new_v4())
}

/// The group it stands in.
pub(crate) fn group(message: &Message) -> &str {
    let attributes = message.attributes();
    attributes.and_then(|all| all.get(&MessageSystemAttributeName::MessageGroupId)).map_or("", String::as_str)
}

/// What was written beside it.
pub(crate) fn attribute<'l>(letter: &'l Message, name: &str) -> Option<&'l str> {
    letter.message_attributes()?.get(name)?.string_value()
}
