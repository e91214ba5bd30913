//! Puts tasks that cannot be handled into a dead-letter queue.
//! Each has a reason, so that the operator can inspect it and redrive it.

use aws_sdk_sqs::{Client, types::MessageAttributeValue};
use base64::Engine as _;
use domain::RefusalReason;
use uuid::Uuid;

use crate::QueueError;

/// What one dead letter holds at most; a longer body is cut into several.
const MAX_PIECE_BYTES: usize = 700 * 1024;

/// The dead letters of a queue.
///
/// The body stays what it was, so that a redrive puts it back as it came. Its attributes: `reason`; `part` (`1/3`) and `letter`,
/// the same for all pieces, if it was cut; `encoding` = `base64` if it was no text.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    client: Client,
    url: String,
}

impl DeadLetters {
    /// The dead-letter queue at `url`.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Dead-letters a body.
    pub async fn put(&self, group: &str, body: &[u8], reason: RefusalReason) -> Result<(), QueueError> {
        self.put_beside(group, body, reason.word(), &[]).await
    }

    /// The same with a reason as it was read, and further attributes; an empty one is left out.
    pub async fn put_beside(
        &self,
        group: &str,
        body: &[u8],
        reason: &str,
        beside: &[(&str, &str)],
    ) -> Result<(), QueueError> {
        let (text, encoding) = match std::str::from_utf8(body) {
            Ok(text) if !text.is_empty() && text.chars().all(is_allowed) => (text.to_owned(), "text"),
            _ => (base64::engine::general_purpose::STANDARD.encode(body), "base64"),
        };
        let pieces = cut(&text);
        let (of, letter) = (pieces.len(), Uuid::new_v4().to_string());
        for (at, piece) in pieces.into_iter().enumerate() {
            // SQS refuses an empty body.
            let piece = if piece.is_empty() { " " } else { piece };
            let mut request = self
                .client
                .send_message()
                .queue_url(&self.url)
                .message_group_id(group)
                .message_deduplication_id(Uuid::new_v4().to_string())
                .message_body(piece)
                .message_attributes("reason", attribute(reason)?)
                .message_attributes("encoding", attribute(encoding)?);
            if of > 1 {
                request = request.message_attributes("part", attribute(&format!("{}/{of}", at + 1))?);
                request = request.message_attributes("letter", attribute(&letter)?);
            }
            for (name, value) in beside.iter().filter(|(_, value)| !value.is_empty()) {
                request = request.message_attributes(*name, attribute(value)?);
            }
            request.send().await.map_err(QueueError::call)?;
        }
        Ok(())
    }
}

/// Whether SQS takes a character in a body (its documentation names these ranges of XML 1.0).
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn attribute(text: &str) -> Result<MessageAttributeValue, QueueError> {
    Ok(MessageAttributeValue::builder().data_type("String").string_value(text).build()?)
}

fn cut(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > MAX_PIECE_BYTES {
        let mut end = MAX_PIECE_BYTES;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, tail) = rest.split_at(end);
        pieces.push(piece);
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_body_is_cut_and_comes_together_again() {
        // A character of two bytes lies across each cut.
        let text = format!("x{}", "ñ".repeat(MAX_PIECE_BYTES));
        let pieces = cut(&text);
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| piece.len() <= MAX_PIECE_BYTES));
        assert_eq!(pieces.concat(), text);
        assert_eq!(cut(""), [""]);
    }
}
