//! Turns a callback into a sync request, or nothing. Its body may be stale, doubled, or late; it only says which conversation
//! to sync.

use domain::{
    AccountId, ConversationId, InboxId, MessageId,
    template::{Fault, Picked},
};
use serde::{Deserialize, de::IgnoredAny};
use texts::Text as _;
use texts::{Locale, command::CommandCall};

use crate::{Authentic, template};

/// The body is not valid JSON of Chatwoot's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is no callback of Chatwoot's")]
pub struct UnreadableCallback;

/// What a callback means for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackKind {
    /// Nothing.
    Nothing(&'static str),
    /// There may be something to send in a conversation.
    Changed(ConversationChange),
    /// Chatwoot marked a message failed that cannot fail: a customer's, a note, an echo. Chatwoot's callback failed instead.
    Red(ConversationChange),
    /// An agent asks the bridge for something, in a note.
    Command(ConversationChange),
    /// An agent types a text for the customer.
    Typing(CallbackOrigin),
    /// A conversation was resolved.
    Resolved(CallbackOrigin),
    /// The labels of a conversation changed.
    Labels(LabelChange),
}

/// The conversation whose labels changed. Only a call to Chatwoot tells the current labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelChange {
    /// The account it came from.
    pub account: AccountId,
    /// The inbox it came from.
    pub inbox: InboxId,
    /// The conversation.
    pub conversation: ConversationId,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackOrigin {
    /// The account it came from; older versions do not say so here.
    pub account: Option<AccountId>,
    /// The inbox it came from.
    pub inbox: InboxId,
    /// The conversation.
    pub conversation: ConversationId,
}

/// The conversation to sync, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationChange {
    /// The account it came from.
    pub account: AccountId,
    /// The inbox it came from.
    pub inbox: InboxId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The message that was written or changed.
    pub message: MessageId,
    /// Whether the message is new, or was changed: by an agent's Retry, or by ourselves.
    pub changed: bool,
    /// What was picked, if the message is a template; the list does not say.
    pub picked: Option<Picked>,
    /// The link, if the message is a survey; the list has none.
    pub survey: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    event: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    id: Option<i64>,
    account: Option<Named>,
    inbox: Option<Named>,
    message_type: Option<String>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    private: Option<bool>,
    source_id: Option<String>,
    #[serde(default)]
    content_attributes: Option<serde_json::Value>,
    #[serde(default)]
    additional_attributes: Option<serde_json::Value>,
    conversation: Option<Conversation>,
}

#[derive(Deserialize)]
struct Named {
    id: i64,
}

#[derive(Deserialize)]
struct Conversation {
    id: i64,
    #[serde(default)]
    inbox_id: Option<i64>,
    #[serde(default)]
    messages: Option<Vec<Last>>,
}

#[derive(Deserialize)]
struct Last {
    id: Option<i64>,
    status: Option<String>,
}

/// Reads what a callback means (§2.5). Only the root describes the message; the one inside the conversation may be another.
pub fn read(body: Authentic<'_>) -> Result<CallbackKind, UnreadableCallback> {
    let bytes = body.bytes();
    let Event { event } = serde_json::from_slice(bytes).map_err(|_| UnreadableCallback)?;
    let changed = match event.as_deref() {
        Some("message_created") => false,
        Some("message_updated") => true,
        Some("conversation_typing_on") => return Ok(typing(bytes)),
        Some("conversation_status_changed") => return Ok(status(bytes)),
        Some("conversation_updated") => return Ok(labels(bytes)),
        Some(_) => return Ok(CallbackKind::Nothing("another event")),
        None => return Err(UnreadableCallback),
    };
    let body: Body = serde_json::from_slice(bytes).map_err(|_| UnreadableCallback)?;
    let (Some(message), Some(account), Some(conversation)) = (body.id, body.account, body.conversation) else {
        return Err(UnreadableCallback);
    };
    let attribute = |name: &str| body.content_attributes.as_ref().and_then(|a| a.get(name)).filter(|v| !v.is_null());
    let kind = body.message_type.as_deref();
    let private = body.private.unwrap_or_default();
    let is_ours = body.source_id.as_ref().is_some_and(|id| !id.is_empty())
        || attribute("external_echo").is_some_and(|echo| echo != false);
    let status = conversation.messages.iter().flatten().find(|last| last.id == Some(message));
    let status = status.and_then(|last| last.status.as_deref());
    let inbox = body.inbox.map(|inbox| inbox.id).or(conversation.inbox_id);
    let change = |inbox| ConversationChange {
        account: AccountId(account.id),
        inbox: InboxId(inbox),
        conversation: ConversationId(conversation.id),
        message: MessageId(message),
        changed,
        picked: None,
        survey: None,
    };
    let is_kept = kind == Some("incoming") || (matches!(kind, Some("outgoing" | "template")) && (private || is_ours));
    if is_kept && changed && attribute("external_error").is_some() && status.is_none_or(|is| is == "failed") {
        return inbox.map(|inbox| CallbackKind::Red(change(inbox))).ok_or(UnreadableCallback);
    }
    if !matches!(kind, Some("outgoing" | "template")) {
        return Ok(CallbackKind::Nothing("not an agent's"));
    }
    let command = private && !changed && body.content.as_deref().and_then(CommandCall::parse).is_some();
    if private && !command {
        return Ok(CallbackKind::Nothing("a note"));
    }
    if is_ours {
        return Ok(CallbackKind::Nothing("written by an API"));
    }
    if attribute("deleted").is_some_and(|deleted| deleted == true) {
        return Ok(CallbackKind::Nothing("deleted"));
    }
    if changed {
        // Our own status updates come back: a failure still has its error, ticks still have their status. A Retry has neither.
        let error = attribute("external_error");
        // A message of unknown kind is marked with this text, so that this callback comes and tells its kind.
        let asked = error.and_then(serde_json::Value::as_str).is_some_and(asks_again);
        if !asked && (error.is_some() || matches!(status, Some("delivered" | "read" | "failed"))) {
            return Ok(CallbackKind::Nothing("our own mark"));
        }
    }
    let Some(inbox) = inbox else { return Err(UnreadableCallback) };
    let change = ConversationChange {
        picked: body.additional_attributes.as_ref().and_then(template::picked),
        survey: body.content.as_deref().filter(|_| body.content_type.as_deref() == Some("input_csat")).and_then(survey),
        ..change(inbox)
    };
    Ok(if command { CallbackKind::Command(change) } else { CallbackKind::Changed(change) })
}

/// The link behind a survey's text.
fn survey(content: &str) -> Option<String> {
    let link = content.split_whitespace().next_back().filter(|word| word.contains("/survey/responses/"))?;
    link.starts_with("http").then(|| link.to_owned())
}

/// Whether this is the text by which the bridge asks what kind of message it is.
fn asks_again(words: &str) -> bool {
    [Locale::Es, Locale::En].iter().any(|locale| Fault::Untold.text(*locale) == words)
}

/// What a callback says about a conversation as a whole (§2.5). A body that lacks a needed member is ignored: all of these are
/// optional.
#[derive(Deserialize)]
struct Told {
    id: i64,
    inbox_id: i64,
    #[serde(default)]
    account: Option<Named>,
    #[serde(default)]
    status: Option<String>,
    /// The last message that is neither a note nor a system line.
    #[serde(default)]
    messages: Option<Vec<IgnoredAny>>,
}

impl Told {
    /// Whether nobody said anything in it: an import closes conversations that hold nothing but its notes.
    fn is_silent(&self) -> bool {
        self.messages.as_ref().is_some_and(Vec::is_empty)
    }

    fn place(self) -> CallbackOrigin {
        CallbackOrigin {
            account: self.account.map(|account| AccountId(account.id)),
            inbox: InboxId(self.inbox_id),
            conversation: ConversationId(self.id),
        }
    }
}

fn typing(bytes: &[u8]) -> CallbackKind {
    #[derive(Deserialize)]
    struct Typing {
        conversation: Told,
        is_private: bool,
        user: Who,
    }
    #[derive(Deserialize)]
    struct Who {
        #[serde(rename = "type")]
        kind: String,
    }
    match serde_json::from_slice::<Typing>(bytes) {
        // The event also reports a contact's own typing; only contacts have no type.
        Ok(Typing { conversation, is_private: false, user }) if matches!(user.kind.as_str(), "user" | "agent_bot") => {
            CallbackKind::Typing(conversation.place())
        }
        _ => CallbackKind::Nothing("nobody types to the customer"),
    }
}

fn status(bytes: &[u8]) -> CallbackKind {
    match serde_json::from_slice::<Told>(bytes) {
        Ok(told) if told.is_silent() => CallbackKind::Nothing("nobody said anything"),
        Ok(told) if told.status.as_deref() == Some("resolved") => CallbackKind::Resolved(told.place()),
        _ => CallbackKind::Nothing("not resolved"),
    }
}

/// The conversation is at the root; the account only since 4.14.2, and before that in its last message.
fn labels(bytes: &[u8]) -> CallbackKind {
    #[derive(Deserialize)]
    struct Updated {
        #[serde(flatten)]
        told: Told,
        #[serde(default)]
        changed_attributes: Option<serde_json::Value>,
        #[serde(default)]
        messages: Option<serde_json::Value>,
    }
    let Ok(updated) = serde_json::from_slice::<Updated>(bytes) else { return CallbackKind::Nothing("another event") };
    let changes = updated.changed_attributes.as_ref().and_then(serde_json::Value::as_array);
    let is_about_labels = changes.into_iter().flatten().any(|change| change.get("label_list").is_some());
    let inside = || updated.messages.as_ref()?.get(0)?.get("account_id")?.as_i64().map(AccountId);
    let place = updated.told.place();
    match place.account.or_else(inside) {
        Some(account) if is_about_labels => {
            CallbackKind::Labels(LabelChange { account, inbox: place.inbox, conversation: place.conversation })
        }
        _ => CallbackKind::Nothing("another event"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::PathSecret;

    const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/chatwoot");

    fn meaning(body: &[u8]) -> Result<CallbackKind, UnreadableCallback> {
        read(PathSecret::new("s".into()).verify("s", body).unwrap())
    }

    #[test]
    fn every_recorded_callback_means_what_its_readme_says() {
        let looks = ["01", "02", "03", "04", "05", "06", "07", "11", "12", "13", "16", "23", "24", "99"];
        let mut seen = 0;
        for file in std::fs::read_dir(EVENTS).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            if !name.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            seen += 1;
            let expected = looks.contains(&&name[..2]);
            match meaning(&std::fs::read(&file).unwrap()).unwrap() {
                CallbackKind::Changed(change) => {
                    assert!(expected, "{name}: {change:?}");
                    let conversation = ConversationId(if name.starts_with("12") { 483 } else { 482 });
                    assert_eq!(
                        (change.account, change.inbox, change.conversation),
                        (AccountId(3), InboxId(14), conversation)
                    );
                    assert_eq!(
                        (change.picked.is_some(), change.changed),
                        (matches!(&name[..2], "11" | "16"), name.starts_with("16")),
                        "{name}"
                    );
                }
                CallbackKind::Typing(place) | CallbackKind::Resolved(place) => {
                    assert!(matches!(&name[..2], "18" | "22"), "{name}");
                    assert_eq!((place.inbox, place.conversation), (InboxId(14), ConversationId(482)), "{name}");
                }
                CallbackKind::Red(change) => assert!(name.starts_with("25") && change.changed, "{name}: {change:?}"),
                CallbackKind::Command(change) => panic!("{name}: {change:?}"),
                CallbackKind::Nothing(why) => assert!(!expected, "{name}: {why}"),
                CallbackKind::Labels(labels) => {
                    assert!(!expected && name.contains("label"), "{name}: {labels:?}");
                    assert_eq!(labels.inbox, InboxId(14));
                }
            }
        }
        assert!(seen >= 26);
    }

    #[test]
    fn what_is_no_callback_is_said_to_be_none() {
        for body in ["", "[]", "{}", "{\"event\":\"message_created\"}", "null", "{\"event\":"] {
            assert_eq!(meaning(body.as_bytes()), Err(UnreadableCallback), "{body}");
        }
    }

    fn of(body: &serde_json::Value) -> CallbackKind {
        meaning(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn only_a_new_note_of_somebody_elses_that_begins_with_a_slash_is_a_command() {
        let note = |event: &str, content: &str, private: bool, source: Option<&str>| {
            of(&json!({ "event": event, "id": 7, "account": { "id": 3 }, "inbox": { "id": 14 },
                "message_type": "outgoing", "private": private, "content": content, "source_id": source,
                "conversation": { "id": 482 } }))
        };
        assert!(matches!(note("message_created", "/estado", true, None), CallbackKind::Command(_)));
        assert!(matches!(note("message_created", "/estado", false, None), CallbackKind::Changed(_)));
        for nothing in [
            note("message_updated", "/estado", true, None),
            note("message_created", "mira /estado", true, None),
            note("message_created", "/estado", true, Some("lmotos:command:6")),
        ] {
            assert!(matches!(nothing, CallbackKind::Nothing(_)), "{nothing:?}");
        }
    }

    #[test]
    fn the_mark_that_asks_what_a_message_is_comes_back_with_the_answer() {
        let marked = |error: &str| {
            of(&json!({ "event": "message_updated", "id": 7, "account": { "id": 3 }, "inbox": { "id": 14 },
                "message_type": "outgoing", "content": "x", "content_attributes": { "external_error": error },
                "additional_attributes": { "template_params": { "name": "saludo" } },
                "conversation": { "id": 482, "messages": [{ "id": 7, "status": "failed" }] } }))
        };
        let CallbackKind::Changed(change) = marked(&Fault::Untold.text(Locale::En)) else { panic!("no answer") };
        assert_eq!(change.picked.map(|picked| picked.name).as_deref(), Some("saludo"));
        assert!(matches!(marked(&Fault::Lost.text(Locale::Es)), CallbackKind::Nothing(_)));
    }

    #[test]
    fn what_cannot_fail_and_is_marked_failed_is_red() {
        let told = |changes: serde_json::Value| {
            let mut body = json!({ "event": "message_updated", "id": 7, "account": { "id": 3 }, "inbox": { "id": 14 },
                "message_type": "outgoing", "content": "x", "content_attributes": { "external_error": "500 Internal Server Error" },
                "conversation": { "id": 482, "messages": [{ "id": 7, "status": "failed" }] } });
            body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            of(&body)
        };
        let echo = json!({ "content_attributes": { "external_echo": true, "external_error": "timed out" } });
        for red in
            [json!({ "message_type": "incoming" }), json!({ "private": true }), json!({ "source_id": "wamid.1" }), echo]
        {
            assert!(matches!(told(red.clone()), CallbackKind::Red(change) if change.message == MessageId(7)), "{red}");
        }
        // A corrected status comes back, too.
        let mended = json!({ "conversation": { "id": 482, "messages": [{ "id": 7, "status": "sent" }] } });
        for nothing in [json!({}), json!({ "event": "message_created" }), json!({ "content_attributes": {} }), mended] {
            let mut incoming = nothing.clone();
            if nothing != json!({}) {
                incoming["message_type"] = json!("incoming");
            }
            assert!(matches!(told(incoming.clone()), CallbackKind::Nothing(_)), "{incoming}");
        }
    }

    #[test]
    fn only_an_agent_who_types_to_the_customer_is_typing() {
        let typing = |user: serde_json::Value, private: serde_json::Value| {
            of(&json!({ "event": "conversation_typing_on", "user": user, "is_private": private,
                "conversation": { "id": 482, "inbox_id": 14 } }))
        };
        let agent = || json!({ "id": 1, "type": "user" });
        let place = CallbackOrigin { account: None, inbox: InboxId(14), conversation: ConversationId(482) };
        assert_eq!(typing(agent(), json!(false)), CallbackKind::Typing(place));
        assert!(matches!(typing(agent(), json!(true)), CallbackKind::Nothing(_)));
        assert!(matches!(typing(agent(), json!(null)), CallbackKind::Nothing(_)));
        assert!(matches!(typing(json!({ "id": 1 }), json!(false)), CallbackKind::Nothing(_)));
    }

    #[test]
    fn only_resolving_is_news_about_a_status() {
        let status = |status: &str| {
            of(&json!({ "event": "conversation_status_changed", "id": 482, "inbox_id": 14, "status": status }))
        };
        assert!(matches!(status("resolved"), CallbackKind::Resolved(_)));
        assert!(matches!(status("open"), CallbackKind::Nothing(_)));
    }
}
