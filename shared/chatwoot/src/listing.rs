//! Reads messages as Chatwoot lists them. `send` relies on the list; a callback only asks for a sync.

use domain::{MessageId, Timestamp, Wamid, outgoing::MessageKind};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use texts::command::CommandCall;

use crate::{
    rich::{self, RichContent},
    tag::TAG,
};

/// The kind of a message in Chatwoot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedKind {
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

/// A message in a list. A member of an unknown shape counts as absent: it must not cost the message.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ListedMessage {
    /// Its id; ids grow.
    pub id: MessageId,
    /// Its text.
    #[serde(default, deserialize_with = "lenient")]
    pub content: Option<String>,
    /// `text`, `input_select` and so on.
    #[serde(default, deserialize_with = "lenient")]
    pub content_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message_type: TypeCode,
    /// A note among agents. In doubt the message counts as one: a note must never go out.
    #[serde(default, deserialize_with = "flag")]
    pub private: bool,
    /// The id that the API client which wrote it gave it; ours is the wamid.
    #[serde(default, deserialize_with = "any_text")]
    pub source_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    created_at: serde_json::Value,
    #[serde(default, deserialize_with = "object_or_text")]
    content_attributes: Attributes,
    #[serde(default, deserialize_with = "lenient")]
    attachments: Vec<ListedFile>,
    #[serde(default, deserialize_with = "lenient")]
    sender: Sender,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct Sender {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    id: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct Attributes {
    #[serde(default, deserialize_with = "lenient")]
    external_echo: serde_json::Value,
    #[serde(default, deserialize_with = "lenient")]
    deleted: serde_json::Value,
    #[serde(default, deserialize_with = "lenient")]
    in_reply_to: serde_json::Value,
    #[serde(default, deserialize_with = "lenient")]
    in_reply_to_external_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    items: Vec<serde_json::Value>,
    #[serde(default, deserialize_with = "lenient")]
    external_error: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    automation_rule_id: serde_json::Value,
    #[serde(default, deserialize_with = "lenient")]
    lmotos_command: Option<MessageId>,
    #[serde(default, deserialize_with = "lenient")]
    lmotos_kind: Option<MessageKind>,
    #[serde(default, deserialize_with = "lenient")]
    standby: serde_json::Value,
    #[serde(default, deserialize_with = "lenient")]
    submitted_values: Vec<serde_json::Value>,
    /// Data that an integration keeps with it.
    #[serde(default, deserialize_with = "lenient")]
    data: serde_json::Value,
}

/// A file of a message.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ListedFile {
    /// Where it is; redirects to the storage.
    #[serde(default, deserialize_with = "lenient")]
    pub data_url: Option<String>,
    /// Its type, on newer versions.
    #[serde(default, deserialize_with = "lenient")]
    pub content_type: Option<String>,
    /// Its length in bytes.
    #[serde(default, deserialize_with = "lenient")]
    pub file_size: Option<u64>,
    /// `image`, `audio`, `video`, `file` and others that are no files.
    #[serde(default, deserialize_with = "lenient")]
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

/// A member of the wrong shape is absent.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(deserializer)?).unwrap_or_default())
}

/// Anything but absent and false is true.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(is_set(&serde_json::Value::deserialize(deserializer)?))
}

/// A text, or any other value, as text.
fn any_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// A value that was sent in with a file comes back as text on some versions.
fn object_or_text<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Ok(serde_json::from_str(&text).unwrap_or_default()),
        value => Ok(serde_json::from_value(value).unwrap_or_default()),
    }
}

/// Anything but absent and false; a flag may come as text.
fn is_set(flag: &serde_json::Value) -> bool {
    !matches!(flag, serde_json::Value::Null | serde_json::Value::Bool(false)) && *flag != "false"
}

impl ListedMessage {
    /// Its kind.
    pub fn kind(&self) -> ListedKind {
        match &self.message_type {
            TypeCode::Number(0) => ListedKind::Incoming,
            TypeCode::Number(1) => ListedKind::Outgoing,
            TypeCode::Number(2) => ListedKind::Activity,
            TypeCode::Number(3) => ListedKind::Template,
            TypeCode::Word(word) => match word.as_str() {
                "incoming" => ListedKind::Incoming,
                "outgoing" => ListedKind::Outgoing,
                "activity" => ListedKind::Activity,
                "template" => ListedKind::Template,
                _ => ListedKind::Other,
            },
            TypeCode::Number(_) | TypeCode::Absent => ListedKind::Other,
        }
    }

    /// When it was written.
    pub fn created_at(&self) -> Option<Timestamp> {
        let seconds = self.created_at.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds since the epoch")]
        let millis = (seconds * 1000.0) as i64;
        Some(Timestamp::from_millis(millis))
    }

    /// Whether an agent, or its writer, deleted it.
    pub fn is_deleted(&self) -> bool {
        is_set(&self.content_attributes.deleted)
    }

    /// Whether it is for the customer: public, not an echo, not written by the bridge, not deleted.
    pub fn is_for_customer(&self) -> bool {
        let echo = is_set(&self.content_attributes.external_echo);
        let foreign = self.source_id.as_deref().is_some_and(|id| !id.is_empty());
        matches!(self.kind(), ListedKind::Outgoing | ListedKind::Template)
            && !self.private
            && !echo
            && !self.is_deleted()
            && !foreign
    }

    /// Whether a person or a bot says it to the customer, and not a greeting, a survey or a rule.
    pub fn is_answer(&self) -> bool {
        self.is_for_customer()
            && self.kind() == ListedKind::Outgoing
            && !is_set(&self.content_attributes.automation_rule_id)
    }

    /// Chatwoot's id of whoever wrote it.
    pub fn sender(&self) -> Option<i64> {
        self.sender.id
    }

    /// Whether a rule or a bot wrote it, as far as Chatwoot says so: a macro, or an integration with a user's token, is not
    /// visible.
    pub fn is_automatic(&self) -> bool {
        let bot = matches!(self.sender.kind.as_deref(), Some("agent_bot" | "captain_assistant"));
        bot || is_set(&self.content_attributes.automation_rule_id)
    }

    /// The rule that wrote it, where one did.
    pub fn rule(&self) -> Option<&serde_json::Value> {
        Some(&self.content_attributes.automation_rule_id).filter(|rule| is_set(rule))
    }

    /// Whether the bridge wrote it itself, and not for a customer.
    pub fn is_bridges(&self) -> bool {
        self.source_id.as_deref().is_some_and(|id| id.starts_with("lmotos:"))
            || self.content_attributes.lmotos_command.is_some()
    }

    /// Meta's id of what the customer wrote; `None` for anything else on the customer's side.
    pub fn heard(&self) -> Option<Wamid> {
        let wamid = self.source_id.as_deref().filter(|id| id.starts_with("wamid."))?;
        (self.kind() == ListedKind::Incoming && !self.private).then(|| Wamid::new(wamid))
    }

    /// Meta's id of what was said while Meta's own agent had the chat.
    pub fn overheard(&self) -> Option<Wamid> {
        let wamid = self.source_id.as_deref().filter(|id| id.starts_with("wamid."))?;
        (self.private && is_set(&self.content_attributes.standby)).then(|| Wamid::new(wamid))
    }

    /// Whether the bridge wrote it because of this note's command.
    pub fn was_commanded_by(&self, note: MessageId) -> bool {
        self.content_attributes.lmotos_command == Some(note)
    }

    /// What the bridge wrote it as, where that is more than words.
    pub fn commanded_kind(&self) -> Option<MessageKind> {
        self.content_attributes.lmotos_kind.filter(|_| self.content_attributes.lmotos_command.is_some())
    }

    /// Whether it says this to the customer, without naming the command that caused it.
    pub fn says_unmarked(&self, content: &str) -> bool {
        self.is_for_customer() && self.content_attributes.lmotos_command.is_none() && self.text() == content.trim()
    }

    /// The command in a note, if it has one.
    pub fn command(&self) -> Option<CommandCall> {
        let foreign = self.source_id.as_deref().is_some_and(|id| !id.is_empty());
        let asks = self.private && self.kind() == ListedKind::Outgoing && !foreign && !self.is_deleted();
        self.content.as_deref().filter(|_| asks).and_then(CommandCall::parse)
    }

    /// Data that an integration keeps with it.
    pub(crate) fn data(&self) -> &serde_json::Value {
        &self.content_attributes.data
    }

    /// Whether the agent sees it as failed.
    pub fn is_failed(&self) -> bool {
        self.status.as_deref() == Some("failed")
    }

    /// Whether it is failed although it cannot fail: a customer's message, a note, an echo or a deleted message does not have
    /// to be sent. Chatwoot marks each of these failed where its callback fails.
    pub fn is_red_by_mistake(&self) -> bool {
        let ours = self.source_id.as_deref().is_some_and(|id| id.starts_with("wamid.") || id.starts_with("lmotos:"));
        let unsent = self.private || ours || is_set(&self.content_attributes.external_echo);
        self.is_failed()
            && match self.kind() {
                ListedKind::Incoming => true,
                ListedKind::Outgoing | ListedKind::Template => unsent || (self.is_deleted() && self.error().is_some()),
                ListedKind::Activity | ListedKind::Other => false,
            }
    }

    /// The reason shown on it as failed.
    pub fn error(&self) -> Option<&str> {
        self.content_attributes.external_error.as_deref()
    }

    /// Whether the customer's phone has it.
    pub fn is_delivered(&self) -> bool {
        matches!(self.status.as_deref(), Some("delivered" | "read"))
    }

    /// Whether it is as it was first written, or as Retry leaves it.
    pub fn is_sent(&self) -> bool {
        self.status.as_deref() == Some("sent")
    }

    /// The message it quotes: by Chatwoot's id, and by ours where Chatwoot knows it.
    pub fn quotes(&self) -> (Option<MessageId>, Option<&str>) {
        let attributes = &self.content_attributes;
        let id = match &attributes.in_reply_to {
            serde_json::Value::Number(id) => id.as_i64(),
            serde_json::Value::String(id) => id.parse().ok(),
            _ => None,
        };
        (id.map(MessageId), attributes.in_reply_to_external_id.as_deref().filter(|id| !id.is_empty()))
    }

    /// Its files, in order.
    pub fn files(&self) -> &[ListedFile] {
        &self.attachments
    }

    /// Its text, in Markdown.
    pub fn text(&self) -> &str {
        markup::trimmed(self.content.as_deref().unwrap_or_default())
    }

    /// The same as it was typed.
    pub fn typed(&self) -> &str {
        self.content.as_deref().unwrap_or_default()
    }

    /// Whether it has our tag.
    pub fn is_tagged(&self) -> bool {
        self.content_attributes.submitted_values.iter().any(|value| value["name"] == TAG)
    }

    /// Whether it had choices or cards, which Chatwoot does not create without, and has none any more: Retry removes them on
    /// versions up to 4.15 (§2.5).
    pub fn has_lost_items(&self) -> bool {
        matches!(self.content_type.as_deref(), Some("input_select" | "cards")) && self.rich().is_none()
    }

    /// What it shows beside its text.
    pub fn rich(&self) -> Option<RichContent> {
        rich::read(self.content_type.as_deref(), &self.content_attributes.items)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(extra: serde_json::Value) -> ListedMessage {
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
    fn an_odd_member_does_not_cost_the_message() {
        let odd = listed(json!({ "private": null, "content_attributes": "{\"in_reply_to\":5}", "attachments": null,
            "created_at": "soon" }));
        assert!(odd.is_for_customer() && odd.files().is_empty());
        assert_eq!(odd.quotes().0, Some(MessageId(5)));
        assert!(!listed(json!({ "content_attributes": { "deleted": "true" } })).is_for_customer());
        for odd in [json!({ "private": "true" }), json!({ "private": 1 }), json!({ "source_id": 7 })] {
            assert!(!listed(odd).is_for_customer(), "in doubt nothing goes out");
        }
    }

    #[test]
    fn an_answer_is_a_persons_or_a_bots() {
        assert!(listed(json!({})).is_answer());
        for not in [json!({ "message_type": 3 }), json!({ "content_attributes": { "automation_rule_id": 4 } })] {
            assert!(!listed(not.clone()).is_answer() && listed(not).is_for_customer());
        }
    }

    #[test]
    fn a_rule_or_a_bot_is_known_as_far_as_chatwoot_tells() {
        for automatic in [
            json!({ "content_attributes": { "automation_rule_id": 4 } }),
            json!({ "sender": { "id": 1, "type": "agent_bot" } }),
            json!({ "sender": { "type": "captain_assistant" } }),
        ] {
            assert!(listed(automatic.clone()).is_automatic(), "{automatic}");
        }
        for not in
            [json!({}), json!({ "sender": { "type": "user" } }), json!({ "sender": null }), json!({ "sender": 7 })]
        {
            assert!(!listed(not.clone()).is_automatic(), "{not}");
        }
        assert!(listed(json!({ "source_id": "lmotos:wait:1" })).is_bridges());
        assert!(listed(json!({ "content_attributes": { "lmotos_command": 6 } })).is_bridges());
        assert!(!listed(json!({ "source_id": "wamid.X" })).is_bridges());
    }

    #[test]
    fn only_what_the_customer_wrote_can_be_ticked() {
        let heard = |extra| listed(extra).heard().is_some();
        assert!(heard(json!({ "message_type": 0, "source_id": "wamid.X" })));
        assert!(!heard(json!({ "message_type": 1, "source_id": "wamid.X" })));
        assert!(!heard(json!({ "message_type": 0, "source_id": "lmotos:file:x" })));
    }

    #[test]
    fn a_command_is_an_agents_own_note() {
        let note = |extra: serde_json::Value| {
            let mut note = json!({ "private": true, "content": "/ayuda" });
            note.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            listed(note).command().is_some()
        };
        assert!(note(json!({})));
        for no in [
            json!({ "private": false }),
            json!({ "source_id": "lmotos:command:6" }),
            json!({ "content_attributes": { "deleted": true } }),
            json!({ "content": "ver /ayuda" }),
        ] {
            assert!(!note(no.clone()), "{no}");
        }
    }

    #[test]
    fn choices_stand_beside_the_words() {
        let items = json!({ "items": [{ "title": "Contado", "value": "1" }, { "title": "Crédito", "value": "2" }] });
        let message = listed(json!({ "content_type": "input_select", "content_attributes": items }));
        let Some(RichContent::Choices(choices)) = message.rich() else { panic!("{message:?}") };
        assert_eq!((message.text(), choices.len()), ("Hola", 2));
        let odd = listed(json!({ "content_type": "input_select", "content_attributes": { "items": { "a": 1 } } }));
        assert_eq!((odd.text(), odd.rich(), odd.has_lost_items()), ("Hola", None, true));
        assert!(!message.has_lost_items() && !listed(json!({})).has_lost_items());
    }

    #[test]
    fn a_quote_is_known_by_both_ids() {
        let message =
            listed(json!({ "content_attributes": { "in_reply_to": 5, "in_reply_to_external_id": "wamid.X" } }));
        assert_eq!(message.quotes(), (Some(MessageId(5)), Some("wamid.X")));
        assert_eq!(listed(json!({ "content_attributes": null })).quotes(), (None, None));
    }
}
