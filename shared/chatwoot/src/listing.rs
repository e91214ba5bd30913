//! Messages as Chatwoot lists them: what `send` goes by. A callback is only a hint; this is the truth.

use std::fmt::Write as _;

use domain::{MessageId, Timestamp};
use serde::Deserialize;

/// What a message is in Chatwoot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the customer.
    Incoming,
    /// From an agent, a bot or an automation.
    Outgoing,
    /// A line of the system.
    Activity,
    /// A greeting, an out-of-office text, a survey.
    Template,
    /// Something newer than this bridge.
    Other,
}

/// A message in a list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Listed {
    /// Its id; ids grow.
    pub id: MessageId,
    /// Its text.
    #[serde(default)]
    pub content: Option<String>,
    /// `text`, `input_select` and so on.
    #[serde(default)]
    pub content_type: Option<String>,
    #[serde(default)]
    message_type: TypeCode,
    /// A note among agents.
    #[serde(default)]
    pub private: bool,
    /// Whatever API wrote it puts its own id here; ours is the wamid.
    #[serde(default)]
    pub source_id: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    created_at: serde_json::Value,
    #[serde(default)]
    content_attributes: Option<Attributes>,
    #[serde(default)]
    attachments: Option<Vec<File>>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct Attributes {
    #[serde(default)]
    external_echo: Option<serde_json::Value>,
    #[serde(default)]
    deleted: Option<bool>,
    #[serde(default)]
    in_reply_to: Option<serde_json::Value>,
    #[serde(default)]
    in_reply_to_external_id: Option<String>,
    #[serde(default)]
    items: Option<Vec<Item>>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Item {
    #[serde(default)]
    title: Option<String>,
}

/// A file of a message.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct File {
    /// Where it is; redirects to the storage.
    #[serde(default)]
    pub data_url: Option<String>,
    /// Its type, on newer versions.
    #[serde(default)]
    pub content_type: Option<String>,
    /// `image`, `audio`, `video`, `file` and others that are no files.
    #[serde(default)]
    pub file_type: Option<String>,
}

/// A number on newer endpoints, a word on others.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(untagged)]
enum TypeCode {
    Number(i64),
    Word(String),
    #[default]
    Absent,
}

impl Listed {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match &self.message_type {
            TypeCode::Number(0) => Kind::Incoming,
            TypeCode::Number(1) => Kind::Outgoing,
            TypeCode::Number(2) => Kind::Activity,
            TypeCode::Number(3) => Kind::Template,
            TypeCode::Word(word) => match word.as_str() {
                "incoming" => Kind::Incoming,
                "outgoing" => Kind::Outgoing,
                "activity" => Kind::Activity,
                "template" => Kind::Template,
                _ => Kind::Other,
            },
            TypeCode::Number(_) | TypeCode::Absent => Kind::Other,
        }
    }

    /// When it was written.
    pub fn created_at(&self) -> Option<Timestamp> {
        let seconds = self.created_at.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds since the epoch")]
        let millis = (seconds * 1000.0) as i64;
        Some(Timestamp::from_millis(millis))
    }

    /// Whether it is for the customer: public, not an echo, not our own writing, not deleted.
    pub fn is_for_customer(&self) -> bool {
        let attributes = self.content_attributes.as_ref();
        let echo = attributes
            .and_then(|a| a.external_echo.as_ref())
            .is_some_and(|echo| !matches!(echo, serde_json::Value::Null | serde_json::Value::Bool(false)));
        let deleted = attributes.and_then(|a| a.deleted).unwrap_or_default();
        let foreign = self.source_id.as_deref().is_some_and(|id| !id.is_empty());
        matches!(self.kind(), Kind::Outgoing | Kind::Template) && !self.private && !echo && !deleted && !foreign
    }

    /// Whether the agent sees it as failed.
    pub fn is_failed(&self) -> bool {
        self.status.as_deref() == Some("failed")
    }

    /// The message it quotes: by Chatwoot's id, and by ours where Chatwoot knows it.
    pub fn quotes(&self) -> (Option<MessageId>, Option<&str>) {
        let Some(attributes) = &self.content_attributes else { return (None, None) };
        let id = attributes.in_reply_to.as_ref().and_then(|id| match id {
            serde_json::Value::Number(id) => id.as_i64(),
            serde_json::Value::String(id) => id.parse().ok(),
            _ => None,
        });
        (id.map(MessageId), attributes.in_reply_to_external_id.as_deref().filter(|id| !id.is_empty()))
    }

    /// Its files, in order.
    pub fn files(&self) -> &[File] {
        self.attachments.as_deref().unwrap_or_default()
    }

    /// What it says, choices included.
    pub fn text(&self) -> String {
        let mut text = self.content.as_deref().unwrap_or_default().trim().to_owned();
        let items = self.content_attributes.as_ref().and_then(|a| a.items.as_deref()).unwrap_or_default();
        if self.content_type.as_deref() == Some("input_select") {
            for (at, title) in items.iter().filter_map(|item| item.title.as_deref()).enumerate() {
                let _ = write!(text, "\n{}. {title}", at + 1);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(extra: serde_json::Value) -> Listed {
        let mut message = json!({ "id": 7, "content": "Hola", "message_type": 1, "private": false, "status": "sent",
            "content_attributes": {}, "created_at": 1_795_184_000, "source_id": null });
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(message).unwrap()
    }

    #[test]
    fn only_what_an_agent_says_to_the_customer_goes_out() {
        assert!(listed(json!({})).is_for_customer());
        assert!(listed(json!({ "message_type": "template" })).is_for_customer());
        for not in [
            json!({ "private": true }),
            json!({ "message_type": 0 }),
            json!({ "message_type": 2 }),
            json!({ "source_id": "wamid.X" }),
            json!({ "content_attributes": { "external_echo": true } }),
            json!({ "content_attributes": { "deleted": true } }),
        ] {
            assert!(!listed(not.clone()).is_for_customer(), "{not}");
        }
    }

    #[test]
    fn choices_become_lines() {
        let message = listed(json!({ "content_type": "input_select",
            "content_attributes": { "items": [{ "title": "Contado", "value": "1" }, { "title": "Crédito", "value": "2" }] } }));
        assert_eq!(message.text(), "Hola\n1. Contado\n2. Crédito");
    }

    #[test]
    fn a_quote_is_known_by_both_ids() {
        let message =
            listed(json!({ "content_attributes": { "in_reply_to": 5, "in_reply_to_external_id": "wamid.X" } }));
        assert_eq!(message.quotes(), (Some(MessageId(5)), Some("wamid.X")));
        assert_eq!(listed(json!({ "content_attributes": null })).quotes(), (None, None));
    }
}
