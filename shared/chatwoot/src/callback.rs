//! A callback becomes a hint, or nothing. Its body may be stale, doubled, or late; it only says where to look.

use domain::{AccountId, ConversationId, InboxId, MessageId};
use serde::Deserialize;

use crate::Authentic;

/// The body is not JSON of Chatwoot's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is no callback of Chatwoot's")]
pub struct Unreadable;

/// What a callback means for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing.
    Nothing(&'static str),
    /// There may be something to send in a conversation.
    Look(Look),
    /// The labels of a conversation changed.
    Labels(Labels),
}

/// Whose labels changed. Which they are now, only a look tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The account it came from.
    pub account: AccountId,
    /// The inbox it came from.
    pub inbox: InboxId,
    /// The conversation.
    pub conversation: ConversationId,
}

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
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
    /// Whether the message is a template; the list does not say.
    pub template: bool,
}

#[derive(Deserialize)]
struct Body {
    event: Option<String>,
    id: Option<i64>,
    account: Option<Named>,
    inbox: Option<Named>,
    message_type: Option<String>,
    #[serde(default)]
    private: Option<bool>,
    source_id: Option<String>,
    #[serde(default)]
    content_attributes: Option<serde_json::Value>,
    #[serde(default)]
    additional_attributes: Option<serde_json::Value>,
    conversation: Option<Conversation>,
    #[serde(default)]
    inbox_id: Option<i64>,
    #[serde(default)]
    changed_attributes: Option<serde_json::Value>,
    #[serde(default)]
    messages: Option<serde_json::Value>,
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

/// Reads what a callback means (§2.5). Only the root tells about the message; the one inside the conversation may be another.
pub fn read(body: Authentic<'_>) -> Result<Meaning, Unreadable> {
    let body: Body = serde_json::from_slice(body.bytes()).map_err(|_| Unreadable)?;
    let changed = match body.event.as_deref() {
        Some("message_created") => false,
        Some("message_updated") => true,
        Some("conversation_updated") => return Ok(labels(&body)),
        Some(_) => return Ok(Meaning::Nothing("another event")),
        None => return Err(Unreadable),
    };
    let (Some(message), Some(account), Some(conversation)) = (body.id, body.account, body.conversation) else {
        return Err(Unreadable);
    };
    let attribute = |name: &str| body.content_attributes.as_ref().and_then(|a| a.get(name)).filter(|v| !v.is_null());
    if !matches!(body.message_type.as_deref(), Some("outgoing" | "template")) {
        return Ok(Meaning::Nothing("not an agent's"));
    }
    if body.private.unwrap_or_default() {
        return Ok(Meaning::Nothing("a note"));
    }
    if body.source_id.is_some_and(|id| !id.is_empty()) || attribute("external_echo").is_some_and(|echo| echo != false) {
        return Ok(Meaning::Nothing("written by an API"));
    }
    if attribute("deleted").is_some_and(|deleted| deleted == true) {
        return Ok(Meaning::Nothing("deleted"));
    }
    if changed {
        // Our own marks come back: a failure still has its error, ticks still have their status. A Retry has neither.
        let status = conversation.messages.iter().flatten().find(|last| last.id == Some(message));
        let status = status.and_then(|last| last.status.as_deref());
        if attribute("external_error").is_some() || matches!(status, Some("delivered" | "read" | "failed")) {
            return Ok(Meaning::Nothing("our own mark"));
        }
    }
    let Some(inbox) = body.inbox.map(|inbox| inbox.id).or(conversation.inbox_id) else { return Err(Unreadable) };
    Ok(Meaning::Look(Look {
        account: AccountId(account.id),
        inbox: InboxId(inbox),
        conversation: ConversationId(conversation.id),
        message: MessageId(message),
        changed,
        template: body
            .additional_attributes
            .as_ref()
            .is_some_and(|a| a.get("template_params").is_some_and(|p| !p.is_null())),
    }))
}

/// The conversation stands at the root; the account only since 4.14.2, and before that in its last message.
fn labels(body: &Body) -> Meaning {
    let changes = body.changed_attributes.as_ref().and_then(serde_json::Value::as_array);
    let is_about_labels = changes.into_iter().flatten().any(|change| change.get("label_list").is_some());
    let inside = || body.messages.as_ref()?.get(0)?.get("account_id")?.as_i64();
    let account = body.account.as_ref().map(|account| account.id).or_else(inside);
    match (body.id, body.inbox_id, account) {
        (Some(conversation), Some(inbox), Some(account)) if is_about_labels => Meaning::Labels(Labels {
            account: AccountId(account),
            inbox: InboxId(inbox),
            conversation: ConversationId(conversation),
        }),
        _ => Meaning::Nothing("another event"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CallbackSecret;

    const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/chatwoot");

    fn meaning(body: &[u8]) -> Result<Meaning, Unreadable> {
        read(CallbackSecret::new("s".into()).verify_path("s", body).unwrap())
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
                Meaning::Look(look) => {
                    assert!(expected, "{name}: {look:?}");
                    let conversation = ConversationId(if name.starts_with("12") { 483 } else { 482 });
                    assert_eq!(
                        (look.account, look.inbox, look.conversation),
                        (AccountId(3), InboxId(14), conversation)
                    );
                    assert_eq!(
                        (look.template, look.changed),
                        (matches!(&name[..2], "11" | "16"), name.starts_with("16")),
                        "{name}"
                    );
                }
                Meaning::Nothing(why) => assert!(!expected, "{name}: {why}"),
                Meaning::Labels(labels) => {
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
            assert_eq!(meaning(body.as_bytes()), Err(Unreadable), "{body}");
        }
    }
}
