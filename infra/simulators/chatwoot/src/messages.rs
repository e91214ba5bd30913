//! `…/conversations/{id}/messages`: create, list, patch, delete, retry.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State as Handed,
    response::{IntoResponse, Response},
    routing::{get, patch, post},
};
use serde_json::{Map, Value, json};

use crate::{
    attachments::FileMode,
    auth::{AnyCaller, Caller},
    errors::{Answer, Refusal},
    message_rules::Draft,
    params::{Params, Upload},
    rows::{Attributes, Message, MessageType, Role, SenderRef},
    shared::Shared,
    state::State,
    wire::Person,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/conversations/{conversation}/messages", get(list).post(create))
        .route("/conversations/{conversation}/messages/{message}", patch(update).put(update).delete(destroy))
        .route("/conversations/{conversation}/messages/{message}/retry", post(retry))
        .route("/search/messages", get(search))
}

impl State {
    /// A message as the API gives it: without `additional_attributes`, so without the parameters of its template.
    pub(crate) fn message_json(&self, message: &Message) -> Value {
        let mut body = json!({
            "id": message.id,
            "content": message.content,
            "inbox_id": message.inbox_id,
            "conversation_id": message.conversation_id,
            "message_type": message.message_type.number(),
            "content_type": message.content_type,
            "status": message.status.name(),
            "content_attributes": message.content_attributes,
            "created_at": message.created_at.as_secs(),
            "private": message.private,
            "source_id": message.source_id,
        });
        if let Some(sender) = self.person(message.sender).map(Person::answered) {
            body["sender"] = json!(sender);
        }
        if !message.attachments.is_empty() {
            body["attachments"] = json!(self.attachments_data(message, false));
        }
        body
    }

    fn answer_with(&self, conversation: i64, message: i64) -> Answer {
        Ok(Json(self.message_json(self.message(conversation, message)?)).into_response())
    }
}

/// A draft from the parameters of a request; `inner` values may be JSON in a string, as a form has to write them.
pub(crate) fn draft(
    state: &mut State,
    caller: &Caller,
    conversation: i64,
    params: &mut Params,
) -> Result<Draft, Refusal> {
    let kind = params.present("message_type").unwrap_or_else(|| "outgoing".to_owned());
    let message_type = MessageType::parse(&kind)
        .ok_or_else(|| Refusal::unprocessable(&format!("'{kind}' is not a valid message_type")))?;
    let sender = match message_type {
        MessageType::Outgoing if params.text("sender_type").as_deref() == Some("AgentBot") => params
            .int("sender_id")
            .filter(|id| state.user(*id).is_some_and(|user| user.role == Role::Bot))
            .map_or(SenderRef::User(caller.user.id), SenderRef::Bot),
        MessageType::Outgoing if caller.user.role == Role::Bot => SenderRef::Bot(caller.user.id),
        MessageType::Outgoing => SenderRef::User(caller.user.id),
        _ => SenderRef::Contact(state.conversation(conversation)?.contact_id),
    };
    let mut content_attributes = object_or_json(params, "content_attributes");
    for key in ["external_created_at", "in_reply_to"] {
        if let Some(value) = params.values.get(key) {
            content_attributes.entry(key).or_insert_with(|| value.clone());
        }
    }
    let mut additional_attributes = Attributes::new();
    for key in ["template_params", "campaign_id"] {
        if let Some(value) = params.values.get(key).filter(|value| !value.is_null()) {
            additional_attributes.insert(key.to_owned(), value.clone());
        }
    }
    let mut blobs: Vec<_> = params.strings("attachments").into_iter().flatten().map(|signed| (signed, None)).collect();
    blobs.extend(std::mem::take(&mut params.files).into_iter().map(|file| stored(state, file)));
    Ok(Draft {
        content: params.text("content"),
        message_type,
        private: params.flag("private").unwrap_or(false),
        source_id: params.present("source_id"),
        content_type: params.present("content_type").unwrap_or_else(|| "text".to_owned()),
        content_attributes,
        additional_attributes,
        sender,
        blobs,
    })
}

/// Keeps a file; gives back what a draft needs of it.
pub(crate) fn stored(state: &mut State, file: Upload) -> (String, Option<String>) {
    let declared = Some(file.content_type.clone());
    (state.store_blob(file), declared)
}

fn object_or_json(params: &Params, key: &str) -> Attributes {
    match params.values.get(key) {
        Some(Value::Object(object)) => object.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Map::new(),
    }
}

async fn create(Handed(shared): Handed<Arc<Shared>>, AnyCaller(caller): AnyCaller, mut params: Params) -> Answer {
    let mut state = shared.lock();
    let conversation = caller.conversation(&state)?;
    if state.file_mode == FileMode::Broken && !params.files.is_empty() {
        return Err(Refusal::broken());
    }
    let draft = draft(&mut state, &caller, conversation, &mut params)?;
    let id = state.create_message(conversation, draft)?;
    let mut body = state.message_json(state.message(conversation, id)?);
    if let Some(echo) = params.values.get("echo_id") {
        body["echo_id"] = echo.clone();
    }
    Ok(Json(body).into_response())
}

/// Pages go by message ids: the newest 20, 20 before, up to 100 after, up to 1000 between.
async fn list(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    let state = shared.lock();
    let conversation = caller.conversation(&state)?;
    let internal = params.present("filter_internal_messages").is_none();
    let shown = |message: &&Message| internal || !message.private && message.message_type != MessageType::Activity;
    let mut page: Vec<&Message> = match (params.int("before"), params.int("after")) {
        (None, None) => state.thread(conversation).filter(shown).rev().take(20).collect(),
        (Some(before), None) => {
            state.thread(conversation).filter(shown).filter(|message| message.id < before).rev().take(20).collect()
        }
        (None, Some(after)) => {
            state.thread(conversation).filter(shown).filter(|message| message.id > after).take(100).collect()
        }
        (Some(before), Some(after)) => state
            .thread(conversation)
            .filter(shown)
            .filter(|message| message.id >= after && message.id < before)
            .take(1000)
            .collect(),
    };
    page.sort_by_key(|message| (message.created_at, message.id));
    let row = state.conversation(conversation)?;
    let payload: Vec<_> = page.into_iter().map(|message| state.message_json(message)).collect();
    let mut meta = json!({
        "labels": row.labels,
        "additional_attributes": row.additional_attributes,
        "contact": state.person(SenderRef::Contact(row.contact_id)),
        "agent_last_seen_at": row.agent_last_seen_at.map(domain::Timestamp::as_secs),
        "assignee_last_seen_at": row.assignee_last_seen_at.map(domain::Timestamp::as_secs),
    });
    if let Some(assignee) = state.assignee_person(row).map(Person::answered) {
        meta["assignee"] = json!(assignee);
    }
    Ok(Json(json!({ "meta": meta, "payload": payload })).into_response())
}

/// The newest messages that hold a text, 15 of them.
async fn search(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    let state = shared.lock();
    let wanted = params.text("q").unwrap_or_default().trim().to_lowercase();
    let holds = |message: &&Message| {
        let text = message.content.as_deref().unwrap_or_default().to_lowercase();
        caller.sees(&state, message.inbox_id) && text.contains(&wanted)
    };
    let found: Vec<_> =
        state.messages.values().rev().filter(holds).take(15).map(|message| state.message_json(message)).collect();
    Ok(Json(json!({ "payload": { "messages": found } })).into_response())
}

async fn update(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    let mut state = shared.lock();
    let conversation = caller.conversation(&state)?;
    let message = state.message(conversation, caller.id("message")?)?;
    let (id, inbox) = (message.id, message.inbox_id);
    if !state.inbox(inbox)?.is_api() {
        return Err(Refusal::not_an_api_inbox(state.language));
    }
    let status = params.text("status").unwrap_or_default();
    state.update_status(id, &status, params.text("external_error").as_deref())?;
    state.answer_with(conversation, id)
}

async fn destroy(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let mut state = shared.lock();
    let conversation = caller.conversation(&state)?;
    let id = state.message(conversation, caller.id("message")?)?.id;
    state.delete_message(id)?;
    state.answer_with(conversation, id)
}

async fn retry(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Result<Response, Refusal> {
    let mut state = shared.lock();
    let conversation = caller.conversation(&state)?;
    let id = state.message(conversation, caller.id("message")?)?.id;
    state.retry_message(id)?;
    state.answer_with(conversation, id)
}
