//! Writes, lists, marks and deletes messages (§3.4).

use std::time::Duration;

use domain::{ConversationId, MessageId, Timestamp};
use reqwest::{Body, Method, multipart};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Chatwoot, ChatwootError, client::found, listing::ListedMessage};

/// The page size of a listing after an id.
const MESSAGES_PER_PAGE: usize = 100;

/// Begins the source id of each note of an import.
pub const HISTORY_SOURCE: &str = "lmotos:history:";

/// Whether a source id is that of a note of an import.
pub(crate) fn is_imported(source: &str) -> bool {
    source.starts_with(HISTORY_SOURCE)
}

/// A message to be written.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own in Chatwoot's API")]
pub struct NewMessage<'a> {
    /// Its text.
    pub content: &'a str,
    /// Whether the customer wrote it.
    pub incoming: bool,
    /// Whether it is a note among agents.
    pub private: bool,
    /// Whether nobody is told of it, assignee and participants included: Chatwoot then takes it for a template.
    pub quiet: bool,
    /// Whether it is a grey system line: not a note, and not shown in the list of conversations.
    pub line: bool,
    /// Our id for it, by which it is found again.
    pub source_id: Option<&'a str>,
    /// Quote and similar attributes.
    pub attributes: Value,
    /// What was picked, if it is a template; cannot be combined with a file.
    pub template: Option<Value>,
    /// A file.
    pub attachment: Option<Attachment>,
}

/// A file on its way into Chatwoot.
#[derive(Debug)]
pub struct Attachment {
    /// Its name.
    pub filename: String,
    /// Its type.
    pub mime_type: String,
    /// Its length in bytes, where it is known.
    pub size: Option<u64>,
    /// Its bytes, streamed.
    pub body: Body,
    /// How long the whole call may take.
    pub limit: Duration,
}

/// A message that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct CreatedMessage {
    /// Its id.
    pub id: MessageId,
    /// Whether Chatwoot names its sender. Once the contact is deleted, a customer's message has no sender, and goes with the
    /// conversation.
    #[serde(default, rename = "sender", deserialize_with = "is_there")]
    pub has_sender: bool,
}

fn is_there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(!Value::deserialize(deserializer)?.is_null())
}

impl Chatwoot {
    /// Writes a message. After an error other than a refusal the message may exist all the same.
    pub async fn create_message(
        &self,
        conversation: ConversationId,
        message: NewMessage<'_>,
    ) -> Result<MessageId, ChatwootError> {
        Ok(self.write_message(conversation, message).await?.id)
    }

    /// The same, and what else Chatwoot answers about it.
    pub async fn write_message(
        &self,
        conversation: ConversationId,
        message: NewMessage<'_>,
    ) -> Result<CreatedMessage, ChatwootError> {
        let kind = match message.incoming {
            _ if message.line => "activity",
            _ if message.quiet => "template",
            true => "incoming",
            false => "outgoing",
        };
        let request = self.request(Method::POST, &["conversations", &conversation.to_string(), "messages"]);
        let request = match message.attachment {
            None => {
                let mut body = json!({ "content": message.content, "message_type": kind, "private": message.private });
                if let Some(source) = message.source_id {
                    body["source_id"] = json!(source);
                }
                if let Some(template) = message.template {
                    body["template_params"] = template;
                }
                if message.attributes.is_object() {
                    body["content_attributes"] = message.attributes;
                }
                request.json(&body)
            }
            Some(file) => {
                // An invalid type must not stop the file.
                let valid = multipart::Part::text("").mime_str(&file.mime_type).is_ok();
                let mime_type = if valid { file.mime_type.as_str() } else { "application/octet-stream" };
                let part = match file.size {
                    Some(size) => multipart::Part::stream_with_length(file.body, size),
                    None => multipart::Part::stream(file.body),
                };
                let part = part.file_name(file.filename).mime_str(mime_type).map_err(ChatwootError::of)?;
                let mut form =
                    multipart::Form::new().text("message_type", kind).text("private", message.private.to_string());
                if !message.content.is_empty() {
                    form = form.text("content", message.content.to_owned());
                }
                if let Some(source) = message.source_id {
                    form = form.text("source_id", source.to_owned());
                }
                if message.attributes.is_object() {
                    form = form.text("content_attributes", message.attributes.to_string());
                }
                request.multipart(form.part("attachments[]", part)).timeout(file.limit)
            }
        };
        self.json(request).await
    }

    /// Writes a grey system line, which leaves the customer's last words in the list of conversations; a Chatwoot that
    /// accepts no such lines gets a note.
    pub async fn write_line<'n>(
        &self,
        conversation: ConversationId,
        line: impl Fn() -> NewMessage<'n>,
    ) -> Result<CreatedMessage, ChatwootError> {
        match self.write_message(conversation, NewMessage { line: true, ..line() }).await {
            Err(ChatwootError::Refused(_)) => {
                let note = NewMessage { line: false, private: true, ..line() };
                self.write_message(conversation, note).await
            }
            made => made,
        }
    }

    /// Writes a note of which nobody is told; a Chatwoot that does not accept it so gets an ordinary one.
    pub async fn write_quietly<'n>(
        &self,
        conversation: ConversationId,
        note: impl Fn() -> NewMessage<'n>,
    ) -> Result<MessageId, ChatwootError> {
        match self.create_message(conversation, NewMessage { quiet: true, private: true, ..note() }).await {
            Err(ChatwootError::Refused(_)) => {
                self.create_message(conversation, NewMessage { private: true, ..note() }).await
            }
            made => made,
        }
    }

    /// The messages of a conversation after `after`, oldest first; without it, the newest of them back to `since`.
    pub async fn messages(
        &self,
        conversation: ConversationId,
        after: Option<MessageId>,
        since: Timestamp,
    ) -> Result<Vec<ListedMessage>, ChatwootError> {
        let mut all = match after {
            Some(after) => self.newer(conversation, after).await?,
            None => self.back_to(conversation, since).await?,
        };
        all.retain(|message| after.is_none_or(|after| message.id > after));
        all.sort_by_key(|message| message.id);
        all.dedup_by_key(|message| message.id);
        Ok(all)
    }

    /// The messages before one, the oldest first, page by page until there are enough, or the given number of pages was read.
    pub async fn before(
        &self,
        conversation: ConversationId,
        message: MessageId,
        pages: usize,
        enough: impl Fn(&[ListedMessage]) -> bool,
    ) -> Result<Vec<ListedMessage>, ChatwootError> {
        let mut all: Vec<ListedMessage> = Vec::new();
        let mut before = message;
        for _ in 0..pages {
            let (page, _) = self.listed_page(conversation, "before", Some(before)).await?;
            let oldest = page.iter().map(|listed| listed.id).min().filter(|oldest| *oldest < before);
            all.extend(page.into_iter().filter(|listed| listed.id < message));
            match oldest {
                Some(oldest) if !enough(&all) => before = oldest,
                _ => break,
            }
        }
        all.sort_by_key(|listed| listed.id);
        all.dedup_by_key(|listed| listed.id);
        Ok(all)
    }

    async fn newer(
        &self,
        conversation: ConversationId,
        mut after: MessageId,
    ) -> Result<Vec<ListedMessage>, ChatwootError> {
        let mut all = Vec::new();
        loop {
            let (page, length) = self.listed_page(conversation, "after", Some(after)).await?;
            let full = length >= MESSAGES_PER_PAGE;
            let newest = page.iter().map(|message| message.id).max();
            all.extend(page);
            match newest {
                Some(newest) if full && newest > after => after = newest,
                _ => return Ok(all),
            }
        }
    }

    async fn back_to(
        &self,
        conversation: ConversationId,
        since: Timestamp,
    ) -> Result<Vec<ListedMessage>, ChatwootError> {
        let mut all: Vec<ListedMessage> = Vec::new();
        let mut before = None;
        loop {
            let (page, _) = self.listed_page(conversation, "before", before).await?;
            let oldest = page.iter().map(|message| message.id).min();
            let reached = page.iter().filter_map(ListedMessage::created_at).any(|at| at < since);
            all.extend(page);
            match oldest {
                Some(oldest) if !reached && before.is_none_or(|before| oldest < before) => before = Some(oldest),
                _ => return Ok(all),
            }
        }
    }

    /// One page, and how many messages Chatwoot put on it.
    async fn listed_page(
        &self,
        conversation: ConversationId,
        side: &str,
        id: Option<MessageId>,
    ) -> Result<(Vec<ListedMessage>, usize), ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Vec<Value>,
        }
        let mut url = self.url(&["conversations", &conversation.to_string(), "messages"]);
        if let Some(id) = id {
            url.query_pairs_mut().append_pair(side, &id.to_string());
        }
        let answer: Answer = self.json(self.get(url)).await?;
        let length = answer.payload.len();
        let readable: Vec<ListedMessage> =
            answer.payload.into_iter().filter_map(|message| serde_json::from_value(message).ok()).collect();
        if readable.len() < length {
            tracing::error!(unreadable = length - readable.len(), "Chatwoot lists messages without an id");
        }
        Ok((readable, length))
    }

    /// Marks a message `sent`, `delivered`, `read`, or `failed` with a text for the agent. Chatwoot answers with the message
    /// even if it did not accept the status (§3.4), so the status that the message now has is returned.
    pub async fn mark(
        &self,
        conversation: ConversationId,
        message: MessageId,
        status: &str,
        error: Option<&str>,
    ) -> Result<Option<String>, ChatwootError> {
        #[derive(Deserialize)]
        struct Marked {
            #[serde(default)]
            status: Option<String>,
        }
        let path = ["conversations", &conversation.to_string(), "messages", &message.to_string()];
        let mut body = json!({ "status": status });
        if let Some(error) = error {
            body["external_error"] = json!(error);
        }
        let marked: Marked = self.json(self.request(Method::PATCH, &path).json(&body)).await?;
        Ok(marked.status)
    }

    /// Does what the Retry button does: the message is shown as sent again, and its error goes.
    pub async fn retry(&self, conversation: ConversationId, message: MessageId) -> Result<(), ChatwootError> {
        let path = ["conversations", &conversation.to_string(), "messages", &message.to_string(), "retry"];
        self.json(self.request(Method::POST, &path)).await.map(|_: Value| ())
    }

    /// Deletes a message: its text and files are removed, a line that says so stays. One that is gone already counts as
    /// deleted.
    pub async fn delete_message(&self, conversation: ConversationId, message: MessageId) -> Result<(), ChatwootError> {
        let path = ["conversations", &conversation.to_string(), "messages", &message.to_string()];
        found(self.json::<Value>(self.request(Method::DELETE, &path)).await).map(|_| ())
    }
}
