//! Chatwoot's Application API, as far as the bridge calls it (§3). Nothing is repeated here; what may have happened is for
//! the caller to find out.

use std::time::Duration;

use domain::{AccountId, ContactId, ConversationId, CustomerId, InboxId, MessageId, Timestamp};
use reqwest::{Body, Client, Method, RequestBuilder, Response, header::HeaderValue, multipart};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use crate::{ChatwootError, files, listing::Listed};

/// How long a call may take in all.
const CALL: Duration = Duration::from_secs(10);

/// The page size of a listing after an id (§3.4).
const PAGE: usize = 100;

/// One account of a Chatwoot installation.
#[derive(Clone, Debug)]
pub struct Chatwoot {
    client: Client,
    guarded: Client,
    base: Url,
    account: AccountId,
    token: HeaderValue,
}

/// A contact.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// Ours, if we gave it one.
    #[serde(default)]
    pub identifier: Option<String>,
    /// Its phone, with `+`.
    #[serde(default)]
    pub phone_number: Option<String>,
}

/// A contact to be made.
#[derive(Clone, Debug)]
pub struct NewContact<'a> {
    /// What agents call it.
    pub name: &'a str,
    /// Its phone, with `+`.
    pub phone_number: Option<&'a str>,
    /// Our id of it.
    pub customer: &'a CustomerId,
    /// What helps agents to find people without a visible number.
    pub custom_attributes: Value,
}

/// A message to be written.
#[derive(Debug, Default)]
pub struct NewMessage<'a> {
    /// Its text.
    pub content: &'a str,
    /// Whether the customer wrote it.
    pub incoming: bool,
    /// Whether it is a note among agents.
    pub private: bool,
    /// Our id of it, by which it is found again.
    pub source_id: Option<&'a str>,
    /// Quote and the like.
    pub attributes: Value,
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

/// Whom a conversation is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The inbox it is in.
    pub inbox: Option<InboxId>,
    /// The id under which the contact stands in the inbox; ours, where we made it.
    pub source_id: Option<String>,
    /// The contact.
    pub contact: Option<Contact>,
}

impl Chatwoot {
    /// `base` without path; `guarded` resolves names by [`files::PublicOnly`].
    pub fn new(client: Client, guarded: Client, base: Url, account: AccountId, token: &SecretString) -> Self {
        let mut value = HeaderValue::from_str(token.expose_secret()).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        Self { client, guarded, base, account, token: value }
    }

    /// The contact that stands in an inbox under our id.
    pub async fn contact_of_source(
        &self,
        inbox: InboxId,
        source: &CustomerId,
    ) -> Result<Option<Contact>, ChatwootError> {
        let body = json!({ "inbox_id": inbox, "source_id": source });
        found(self.json(self.request(Method::POST, &["contact_inboxes", "filter"]).json(&body)).await)
    }

    /// The contact with that value of an attribute, `identifier` or `phone_number`.
    pub async fn contact_with(&self, attribute: &str, value: &str) -> Result<Option<Contact>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Vec<Contact>,
        }
        let body = json!({ "payload": [{
            "attribute_key": attribute, "filter_operator": "equal_to", "values": [value], "query_operator": null,
        }] });
        let answer: Option<Answer> =
            found(self.json(self.request(Method::POST, &["contacts", "filter"]).json(&body)).await)?;
        let same = |contact: &Contact| match attribute {
            "identifier" => contact.identifier.as_deref() == Some(value),
            _ => contact.phone_number.as_deref() == Some(value),
        };
        Ok(answer.and_then(|answer| answer.payload.into_iter().find(same)))
    }

    /// Makes a contact that stands in an inbox under our id.
    pub async fn create_contact(&self, inbox: InboxId, new: &NewContact<'_>) -> Result<ContactId, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            contact: Contact,
        }
        let mut body = json!({
            "name": new.name, "identifier": new.customer, "inbox_id": inbox, "source_id": new.customer,
            "custom_attributes": new.custom_attributes,
        });
        if let Some(phone) = new.phone_number {
            body["phone_number"] = json!(phone);
        }
        let answer: Answer = self.json(self.request(Method::POST, &["contacts"]).json(&body)).await?;
        Ok(answer.payload.contact.id)
    }

    /// Lets a contact stand in an inbox under our id, too.
    pub async fn attach(&self, contact: ContactId, inbox: InboxId, source: &CustomerId) -> Result<(), ChatwootError> {
        let body = json!({ "inbox_id": inbox, "source_id": source });
        let path = ["contacts", &contact.to_string(), "contact_inboxes"];
        self.json(self.request(Method::POST, &path).json(&body)).await.map(|_: Value| ())
    }

    /// Gives a contact our id, by which it is found again after a merge.
    pub async fn identify(&self, contact: ContactId, customer: &CustomerId) -> Result<(), ChatwootError> {
        let request = self.request(Method::PUT, &["contacts", &contact.to_string()]);
        self.json(request.json(&json!({ "identifier": customer }))).await.map(|_: Value| ())
    }

    /// The newest conversation that stands in an inbox under our id.
    pub async fn conversation_of_source(
        &self,
        inbox: InboxId,
        source: &CustomerId,
        contact: ContactId,
    ) -> Result<Option<ConversationId>, ChatwootError> {
        let query = [("inbox_id", inbox.to_string()), ("status", "all".to_owned()), ("source_id", source.to_string())];
        let listed = self.conversations(&query).await?;
        let ours = listed.into_iter().filter(|c| c.inbox_id.is_none_or(|id| id == inbox));
        // A version that does not know the filter lists everybody's.
        Ok(ours.filter(|c| c.contact() == Some(contact)).map(|c| c.id).max())
    }

    /// Opens a conversation.
    pub async fn create_conversation(
        &self,
        inbox: InboxId,
        contact: ContactId,
        source: &CustomerId,
    ) -> Result<ConversationId, ChatwootError> {
        let body = json!({ "inbox_id": inbox, "contact_id": contact, "source_id": source, "status": "open" });
        let made: ConversationRow = self.json(self.request(Method::POST, &["conversations"]).json(&body)).await?;
        Ok(made.id)
    }

    /// Whom a conversation is with; nothing if it is gone.
    pub async fn party(&self, conversation: ConversationId) -> Result<Option<Party>, ChatwootError> {
        let request = self.request(Method::GET, &["conversations", &conversation.to_string()]);
        let row: Option<ConversationRow> = found(self.json(request).await)?;
        Ok(row.map(|row| Party {
            inbox: row.inbox_id,
            source_id: row.source_id(),
            contact: row.meta.and_then(|meta| meta.sender),
        }))
    }

    /// One page of an inbox's conversations, the most recently active first, with when something last happened in each.
    pub async fn active(
        &self,
        inbox: InboxId,
        page: u32,
    ) -> Result<Vec<(ConversationId, Option<Timestamp>)>, ChatwootError> {
        let query = [
            ("inbox_id", inbox.to_string()),
            ("status", "all".to_owned()),
            ("assignee_type", "all".to_owned()),
            ("sort_by", "last_activity_at_desc".to_owned()),
            ("page", page.to_string()),
        ];
        let listed = self.conversations(&query).await?;
        let ours = listed.into_iter().filter(|c| c.inbox_id.is_none_or(|id| id == inbox));
        Ok(ours
            .map(|c| (c.id, c.last_activity_at.as_ref().and_then(Value::as_i64).map(Timestamp::from_secs)))
            .collect())
    }

    async fn conversations(&self, query: &[(&str, String)]) -> Result<Vec<ConversationRow>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            payload: Vec<ConversationRow>,
        }
        let mut url = self.url(&["conversations"]);
        url.query_pairs_mut().extend_pairs(query);
        let answer: Answer = self.json(self.authorized(self.client.get(url))).await?;
        Ok(answer.data.payload)
    }

    /// Writes a message. After an error other than a refusal it may be there all the same.
    pub async fn create_message(
        &self,
        conversation: ConversationId,
        message: NewMessage<'_>,
    ) -> Result<MessageId, ChatwootError> {
        #[derive(Deserialize)]
        struct Made {
            id: MessageId,
        }
        let kind = if message.incoming { "incoming" } else { "outgoing" };
        let request = self.request(Method::POST, &["conversations", &conversation.to_string(), "messages"]);
        let request = match message.attachment {
            None => {
                let mut body = json!({ "content": message.content, "message_type": kind, "private": message.private });
                if let Some(source) = message.source_id {
                    body["source_id"] = json!(source);
                }
                if message.attributes.is_object() {
                    body["content_attributes"] = message.attributes;
                }
                request.json(&body)
            }
            Some(file) => {
                // A type nobody can write must not stop the file.
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
        let made: Made = self.json(request).await?;
        Ok(made.id)
    }

    /// The messages of a conversation after `after`, oldest first; without it, the newest of them back to `since`.
    pub async fn messages(
        &self,
        conversation: ConversationId,
        after: Option<MessageId>,
        since: Timestamp,
    ) -> Result<Vec<Listed>, ChatwootError> {
        let mut all = match after {
            Some(after) => self.newer(conversation, after).await?,
            None => self.back_to(conversation, since).await?,
        };
        all.retain(|message| after.is_none_or(|after| message.id > after));
        all.sort_by_key(|message| message.id);
        all.dedup_by_key(|message| message.id);
        Ok(all)
    }

    async fn newer(&self, conversation: ConversationId, mut after: MessageId) -> Result<Vec<Listed>, ChatwootError> {
        let mut all = Vec::new();
        loop {
            let (page, length) = self.page(conversation, "after", Some(after)).await?;
            let full = length >= PAGE;
            let newest = page.iter().map(|message| message.id).max();
            all.extend(page);
            match newest {
                Some(newest) if full && newest > after => after = newest,
                _ => return Ok(all),
            }
        }
    }

    async fn back_to(&self, conversation: ConversationId, since: Timestamp) -> Result<Vec<Listed>, ChatwootError> {
        let mut all: Vec<Listed> = Vec::new();
        let mut before = None;
        loop {
            let (page, _) = self.page(conversation, "before", before).await?;
            let oldest = page.iter().map(|message| message.id).min();
            let reached = page.iter().filter_map(Listed::created_at).any(|at| at < since);
            all.extend(page);
            match oldest {
                Some(oldest) if !reached && before.is_none_or(|before| oldest < before) => before = Some(oldest),
                _ => return Ok(all),
            }
        }
    }

    /// One page, and how many messages Chatwoot put on it.
    async fn page(
        &self,
        conversation: ConversationId,
        side: &str,
        id: Option<MessageId>,
    ) -> Result<(Vec<Listed>, usize), ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Vec<Value>,
        }
        let mut url = self.url(&["conversations", &conversation.to_string(), "messages"]);
        if let Some(id) = id {
            url.query_pairs_mut().append_pair(side, &id.to_string());
        }
        let answer: Answer = self.json(self.authorized(self.client.get(url))).await?;
        let length = answer.payload.len();
        let readable: Vec<Listed> =
            answer.payload.into_iter().filter_map(|message| serde_json::from_value(message).ok()).collect();
        if readable.len() < length {
            tracing::error!(unreadable = length - readable.len(), "Chatwoot lists messages without an id");
        }
        Ok((readable, length))
    }

    /// Marks a message `sent`, `delivered`, `read`, or `failed` with the words for the agent. Chatwoot answers with the message
    /// even if it did not take the mark (§3.4), so the status that now stands comes back.
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

    /// Opens an agent's file; it needs no token.
    pub async fn file(&self, url: &str, limit: Duration) -> Result<Response, ChatwootError> {
        files::open(&self.client, &self.guarded, &self.base, url, limit).await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.authorized(self.client.request(method, self.url(path)))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        request
            .header("api_access_token", self.token.clone())
            .header(reqwest::header::ACCEPT, "application/json")
            .timeout(CALL)
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ChatwootError> {
        let response = request.send().await.map_err(ChatwootError::of)?;
        let status = response.status();
        if !status.is_success() {
            return Err(ChatwootError::status(status));
        }
        let body = response.bytes().await.map_err(ChatwootError::of)?;
        serde_json::from_slice(&body).map_err(|_| ChatwootError::NoAnswer(None))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        let account = self.account.to_string();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1", "accounts", &account]).extend(path);
        }
        url
    }
}

#[derive(Deserialize)]
struct ConversationRow {
    id: ConversationId,
    #[serde(default)]
    inbox_id: Option<InboxId>,
    #[serde(default)]
    meta: Option<Meta>,
    #[serde(default)]
    messages: Option<Vec<Value>>,
    #[serde(default)]
    last_non_activity_message: Option<Value>,
    #[serde(default)]
    last_activity_at: Option<Value>,
    #[serde(default)]
    contact_inbox: Option<Value>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    sender: Option<Contact>,
}

impl ConversationRow {
    fn contact(&self) -> Option<ContactId> {
        Some(self.meta.as_ref()?.sender.as_ref()?.id)
    }

    /// It stands only inside the messages (§3.3).
    fn source_id(&self) -> Option<String> {
        let inside = self.messages.iter().flatten().chain(&self.last_non_activity_message);
        inside
            .filter_map(|message| message.pointer("/conversation/contact_inbox/source_id"))
            .chain(self.contact_inbox.as_ref().and_then(|row| row.get("source_id")))
            .find_map(|id| id.as_str().map(str::to_owned))
    }
}

/// "Not there" is an answer.
fn found<T>(answer: Result<T, ChatwootError>) -> Result<Option<T>, ChatwootError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ChatwootError::Gone) => Ok(None),
        Err(error) => Err(error),
    }
}
