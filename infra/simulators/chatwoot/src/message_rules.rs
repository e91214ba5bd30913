//! What happens to a message: created, patched, deleted, retried; and what that does to its conversation.

use serde_json::{Value, json};

use crate::{
    conversation_rules::stamp,
    errors::Refusal,
    liquid::{self, capitalize},
    rich,
    rows::{Attributes, Conversation, ConversationStatus, Message, MessageStatus, MessageType, SenderRef},
    state::State,
};

/// A message to be created.
#[derive(Debug)]
pub(crate) struct Draft {
    pub content: Option<String>,
    pub message_type: MessageType,
    pub private: bool,
    pub source_id: Option<String>,
    pub content_type: String,
    pub content_attributes: Attributes,
    pub additional_attributes: Attributes,
    pub sender: SenderRef,
    /// Signed ids of blobs, with the content type their part declared.
    pub blobs: Vec<(String, Option<String>)>,
}

impl Draft {
    pub(crate) fn outgoing(sender: SenderRef, content: Option<String>) -> Self {
        Self {
            content,
            message_type: MessageType::Outgoing,
            private: false,
            source_id: None,
            content_type: "text".to_owned(),
            content_attributes: Attributes::new(),
            additional_attributes: Attributes::new(),
            sender,
            blobs: Vec::new(),
        }
    }

    fn human(&self) -> bool {
        self.message_type == MessageType::Outgoing
            && !self.private
            && (matches!(self.sender, SenderRef::User(_))
                && !self.content_attributes.contains_key("automation_rule_id")
                || self.content_attributes.get("external_echo") == Some(&Value::Bool(true)))
    }
}

impl State {
    /// Creates a message and everything that follows from it.
    pub(crate) fn create_message(&mut self, conversation: i64, mut draft: Draft) -> Result<i64, Refusal> {
        let row = self.conversation(conversation)?.clone();
        self.check_draft(&row, &draft)?;
        self.resolve_quote(conversation, &mut draft.content_attributes);
        if matches!(draft.message_type, MessageType::Outgoing | MessageType::Template) {
            draft.content = draft.content.map(|text| self.render(&text, &row, draft.sender));
        }
        let human = draft.human();
        let mut attachments = Vec::new();
        for (blob, declared) in draft.blobs {
            let attachment = self.attach(blob, declared.as_deref());
            attachments.push(
                attachment.ok_or_else(|| Refusal::unprocessable("ActiveSupport::MessageVerifier::InvalidSignature"))?,
            );
        }
        let now = self.now();
        let message = Message {
            id: self.next_id("message"),
            conversation_id: conversation,
            inbox_id: row.inbox_id,
            content: draft.content,
            message_type: draft.message_type,
            private: draft.private,
            status: MessageStatus::Sent,
            source_id: draft.source_id,
            content_type: draft.content_type,
            content_attributes: draft.content_attributes,
            additional_attributes: draft.additional_attributes,
            sender: draft.sender,
            attachments,
            created_at: now,
            updated_at: now,
        };
        let (id, kind, private) = (message.id, message.message_type, message.private);
        self.threads.entry(conversation).or_default().push(id);
        if kind != MessageType::Activity {
            self.tell_message("message_created", &message);
        }
        self.messages.insert(id, message.clone());
        self.notify_of(&message);
        self.conversation_mut(conversation)?.last_activity_at = now;
        match kind {
            MessageType::Incoming if !private => self.after_incoming(&row)?,
            MessageType::Outgoing if human => self.after_reply(&row)?,
            _ => {}
        }
        self.react(id);
        Ok(id)
    }

    fn check_draft(&self, conversation: &Conversation, draft: &Draft) -> Result<(), Refusal> {
        let language = self.language;
        if draft.message_type == MessageType::Incoming && !self.inbox(conversation.inbox_id)?.is_api() {
            return Err(Refusal::unprocessable(language.framework(
                "Los mensajes entrantes solo están permitidos en bandejas de entrada de API",
                "Incoming messages are only allowed in Api inboxes",
            )));
        }
        let validation = language.framework("La validación falló", "Validation failed");
        let text = draft.content.as_deref().unwrap_or_default();
        if text.contains('\0') {
            return Err(Refusal::unprocessable("string contains null byte"));
        }
        let most = self.limits.content_characters;
        if text.chars().count() > most {
            let (spanish, english) = (
                format!("El contenido es demasiado largo ({most} caracteres máximo)"),
                format!("Content is too long (maximum is {most} characters)"),
            );
            let reason = language.framework(&spanish, &english);
            return Err(Refusal::unprocessable(&format!("{validation}: {reason}")));
        }
        if let Some(params) = draft.additional_attributes.get("template_params")
            && !template_params_are_valid(params)
        {
            let reason = if params.get("name").is_none() {
                language.framework("El nombre es obligatorio", "Name is required")
            } else {
                language.framework("Los parámetros de la plantilla no son válidos", "Template params are invalid")
            };
            return Err(Refusal::unprocessable(&format!("{validation}: {reason}")));
        }
        if let Err(reason) = rich::check(&draft.content_type, draft.content_attributes.get("items")) {
            return Err(Refusal::unprocessable(&format!("{validation}: {reason}")));
        }
        if self.flooded(conversation.id) {
            return Err(Refusal::unprocessable(&format!("{validation}: {}", self.flood_text())));
        }
        Ok(())
    }

    fn flood_text(&self) -> &'static str {
        self.language.say("Demasiados mensajes", "Too many messages")
    }

    fn flooded(&self, conversation: i64) -> bool {
        let since = self.now() - std::time::Duration::from_secs(60);
        let most = self.limits.messages_per_conversation_and_minute;
        self.thread(conversation).rev().take_while(|message| message.created_at >= since).take(most).count() >= most
    }

    /// Fills in the other half of a quote; if the quoted message is not in the conversation, both halves become null.
    fn resolve_quote(&self, conversation: i64, attributes: &mut Attributes) {
        let given =
            |key: &str| attributes.get(key).filter(|value| !value.is_null() && value.as_str() != Some("")).cloned();
        let (by_id, by_source) = (given("in_reply_to"), given("in_reply_to_external_id"));
        let quoted = match (&by_id, &by_source) {
            (None, None) => return,
            (Some(id), _) => {
                let id = id.as_i64().or_else(|| id.as_str()?.parse().ok());
                self.thread(conversation).find(|message| Some(message.id) == id)
            }
            (None, Some(source)) => {
                self.thread(conversation).find(|message| message.source_id.as_deref() == source.as_str())
            }
        };
        let (id, source) = quoted.map(|message| (message.id, message.source_id.clone())).unzip();
        attributes.insert("in_reply_to".to_owned(), json!(id));
        attributes.insert("in_reply_to_external_id".to_owned(), json!(source.flatten()));
    }

    fn render(&self, text: &str, conversation: &Conversation, sender: SenderRef) -> String {
        let mut values = liquid::Values::new();
        let mut set = |key: &str, value: String| values.insert(key.to_owned(), value);
        if let Some(contact) = self.contacts.get(&conversation.contact_id) {
            let words: Vec<_> = contact.name.split_whitespace().map(capitalize).collect();
            set("contact.name", words.join(" "));
            set("contact.first_name", words.first().cloned().unwrap_or_default());
            set("contact.last_name", words.get(1..).and_then(<[_]>::last).cloned().unwrap_or_default());
            set("contact.email", contact.email.clone().unwrap_or_default());
            set("contact.phone_number", contact.phone_number.clone().unwrap_or_default());
            for (key, value) in &contact.custom_attributes {
                set(&format!("contact.custom_attribute.{key}"), plain(value));
            }
        }
        for (key, value) in &conversation.custom_attributes {
            set(&format!("conversation.custom_attribute.{key}"), plain(value));
        }
        set("conversation.display_id", conversation.id.to_string());
        set("inbox.name", self.inboxes.get(&conversation.inbox_id).map(|inbox| inbox.name.clone()).unwrap_or_default());
        set("account.name", self.account_name.clone());
        if let SenderRef::User(id) = sender
            && let Some(user) = self.user(id)
        {
            let words: Vec<_> = user.name.split_whitespace().map(capitalize).collect();
            set("agent.name", words.join(" "));
            set("agent.first_name", words.first().cloned().unwrap_or_default());
            set("agent.email", user.email.clone());
        }
        liquid::render(text, &values)
    }

    fn after_incoming(&mut self, before: &Conversation) -> Result<(), Refusal> {
        let blocked = self.contacts.get(&before.contact_id).is_some_and(|contact| contact.blocked);
        if matches!(before.status, ConversationStatus::Resolved | ConversationStatus::Snoozed) && !blocked {
            self.set_status(before.id, ConversationStatus::Open, None)?;
        }
        let now = self.now();
        if before.waiting_since.is_none() {
            self.conversation_mut(before.id)?.waiting_since = Some(now);
            self.tell_change(before.id, "waiting_since", Value::Null, stamp(Some(now)));
        }
        self.touch_contact(before.contact_id);
        self.greet(before)
    }

    fn touch_contact(&mut self, id: i64) {
        let now = self.now();
        if let Some(contact) = self.contacts.get_mut(&id) {
            contact.last_activity_at = Some(now);
        }
    }

    /// The greeting of the inbox answers the first message of a conversation.
    fn greet(&mut self, conversation: &Conversation) -> Result<(), Refusal> {
        let inbox = self.inbox(conversation.inbox_id)?;
        let greeting = inbox.fields.get("greeting_message").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !inbox.flag("greeting_enabled") || greeting.is_empty() || self.thread(conversation.id).count() != 1 {
            return Ok(());
        }
        let draft = Draft { message_type: MessageType::Template, ..Draft::outgoing(SenderRef::Nobody, Some(greeting)) };
        self.create_message(conversation.id, draft).map(drop)
    }

    fn after_reply(&mut self, before: &Conversation) -> Result<(), Refusal> {
        let now = self.now();
        let row = self.conversation_mut(before.id)?;
        row.waiting_since = None;
        if row.first_reply_created_at.is_none() {
            row.first_reply_created_at = Some(now);
            self.tell_change(before.id, "first_reply_created_at", Value::Null, stamp(Some(now)));
        }
        if before.waiting_since.is_some() {
            self.tell_change(before.id, "waiting_since", stamp(before.waiting_since), Value::Null);
        }
        Ok(())
    }

    /// Changes a message, tells it if anything is different, and refuses if the conversation is flooded.
    fn save_message(&mut self, id: i64, change: impl FnOnce(&mut Message)) -> Result<(), Refusal> {
        let language = self.language;
        let before = self.messages.get(&id).ok_or_else(|| Refusal::not_found(language))?;
        let mut after = before.clone();
        change(&mut after);
        let same = before.content == after.content
            && before.status == after.status
            && before.content_type == after.content_type
            && before.content_attributes == after.content_attributes
            && before.attachments.len() == after.attachments.len();
        if same {
            return Ok(());
        }
        if self.flooded(after.conversation_id) {
            return Err(Refusal::invalid(self.flood_text(), &["base"]));
        }
        after.updated_at = self.now();
        if after.message_type != MessageType::Activity {
            self.tell_message("message_updated", &after);
        }
        self.messages.insert(id, after.clone());
        self.answer(&after, true);
        Ok(())
    }

    /// Chatwoot's own rule: an unknown status and the way back from read to delivered are ignored; everything else is taken.
    pub(crate) fn update_status(&mut self, id: i64, status: &str, external_error: Option<&str>) -> Result<(), Refusal> {
        let Some(status) = MessageStatus::parse(status) else { return Ok(()) };
        let current = self.messages.get(&id).map(|message| message.status);
        if current == Some(MessageStatus::Read) && status == MessageStatus::Delivered {
            return Ok(());
        }
        if self.failed_stays && current == Some(MessageStatus::Failed) && status != MessageStatus::Failed {
            return Ok(());
        }
        let error = external_error.filter(|_| status == MessageStatus::Failed);
        self.save_message(id, |message| {
            message.status = status;
            set_external_error(message, error);
        })
    }

    /// What a visitor submitted stands among the attributes, which Retry of 4.14 empties.
    pub(crate) fn submit_values(&mut self, id: i64, values: Value) -> Result<(), Refusal> {
        self.save_message(id, |message| {
            message.content_attributes.insert("submitted_values".to_owned(), values);
        })
    }

    /// Soft: the row stays, what it said goes.
    pub(crate) fn delete_message(&mut self, id: i64) -> Result<(), Refusal> {
        let text = self.language.say("Este mensaje se ha eliminado", "This message was deleted").to_owned();
        let blobs: Vec<_> = self.messages.get(&id).into_iter().flat_map(|row| row.attachments.clone()).collect();
        self.save_message(id, |message| {
            message.content = Some(text);
            "text".clone_into(&mut message.content_type);
            message.content_attributes = Attributes::from_iter([("deleted".to_owned(), Value::Bool(true))]);
            message.attachments.clear();
        })?;
        for attachment in blobs {
            self.blobs.remove(&attachment.blob);
        }
        Ok(())
    }

    /// 4.15.1: two saves, neither of which sends anything. Later: only a failed message, and only its error goes.
    pub(crate) fn retry_message(&mut self, id: i64) -> Result<(), Refusal> {
        if self.newer_retry {
            let failed = self.messages.get(&id).is_some_and(|message| message.status == MessageStatus::Failed);
            if !failed {
                return Ok(());
            }
            return self.save_message(id, |message| {
                message.status = MessageStatus::Sent;
                message.content_attributes.remove("external_error");
            });
        }
        self.save_message(id, |message| {
            message.status = MessageStatus::Sent;
            set_external_error(message, None);
        })?;
        self.save_message(id, |message| message.content_attributes.clear())
    }
}

/// Clearing leaves a null behind where there was a text, and nothing where there was nothing.
fn set_external_error(message: &mut Message, error: Option<&str>) {
    if error.is_some() || message.content_attributes.contains_key("external_error") {
        message.content_attributes.insert("external_error".to_owned(), json!(error));
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn template_params_are_valid(params: &Value) -> bool {
    let optional =
        |key: &str, valid: fn(&Value) -> bool| params.get(key).is_none_or(|value| value.is_null() || valid(value));
    params.get("name").is_some_and(Value::is_string)
        && ["category", "language", "namespace"].into_iter().all(|key| optional(key, Value::is_string))
        && optional("processed_params", Value::is_object)
}
