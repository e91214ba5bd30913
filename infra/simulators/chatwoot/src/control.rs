//! The same by HTTP, for the runner's page and for tests of another process: look, write, break things.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use simulator_wire::Fault;

use crate::{
    Agent, Chatwoot, Duplicate, FileMode, Language,
    agent::Writing,
    errors::{Answer, Refusal},
    rows::ConversationStatus,
};

/// Who acts when it is done from the page.
const AGENT: &str = "Sofía Ledesma";

impl Chatwoot {
    /// Routes to look at it and to act in it, all relative.
    pub fn control(&self) -> Router {
        Router::new()
            .route("/conversations", get(conversations))
            .route("/conversations/{id}/messages", get(messages))
            .route("/conversations/{id}/reply", post(reply))
            .route("/conversations/{id}/file", post(file))
            .route("/conversations/{id}/messages/{message}/retry", post(retry))
            .route("/conversations/{id}/messages/{message}", delete(remove))
            .route("/conversations/{id}/resolve", post(resolve))
            .route("/conversations/{id}/typing", post(typing))
            .route("/files/{id}", get(download))
            .route("/faults", get(faults).post(add_fault).delete(clear_faults))
            .route("/network", post(network))
            .route("/rules", post(add_rule).delete(clear_rules))
            .route("/robots", post(add_robot))
            .route("/callbacks", get(callbacks).post(set_callbacks))
            .route("/settings", post(set))
            .route("/token", post(new_token))
            .route("/inboxes/{id}/secret", post(new_secret))
            .route("/inboxes/{id}/attributes", get(attributes).put(set_attributes))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self.clone())
    }

    fn someone(&self) -> Agent {
        self.agent(AGENT)
    }
}

/// The last active first.
async fn conversations(State(chatwoot): State<Chatwoot>) -> Response {
    let mut rows = chatwoot.conversations();
    rows.sort_by_key(|row| std::cmp::Reverse((row.last_activity_at, row.id)));
    Json(rows).into_response()
}

async fn messages(State(chatwoot): State<Chatwoot>, Path(id): Path<i64>) -> Answer {
    let state = chatwoot.shared().lock();
    state.conversation(id)?;
    let rows: Vec<_> = state.message_views(id).iter().map(with_urls).collect();
    Ok(Json(rows).into_response())
}

fn with_urls(message: &crate::MessageView) -> Value {
    let mut row = json!(message);
    for attachment in row["attachments"].as_array_mut().into_iter().flatten() {
        attachment["url"] = json!(format!("/files/{}", attachment["id"]));
    }
    row
}

#[derive(Deserialize)]
struct Reply {
    text: String,
    #[serde(default)]
    quote: Option<i64>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    template_params: Option<Value>,
    /// Of `input_select`, `cards`, `form`, `article`.
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    items: Value,
}

async fn reply(State(chatwoot): State<Chatwoot>, Path(id): Path<i64>, Json(reply): Json<Reply>) -> Answer {
    let writing = Writing {
        text: Some(reply.text),
        private: reply.private,
        quote: reply.quote,
        template: reply.template_params,
        rich: reply.content_type.map(|content_type| (content_type, reply.items)),
        files: Vec::new(),
    };
    written(chatwoot.someone().write(id, writing))
}

fn written(message: Result<i64, Refusal>) -> Answer {
    Ok(Json(json!({ "id": message? })).into_response())
}

#[derive(Deserialize)]
struct FileQuery {
    name: String,
    mime: String,
    #[serde(default)]
    text: Option<String>,
}

async fn file(
    State(chatwoot): State<Chatwoot>,
    Path(id): Path<i64>,
    Query(query): Query<FileQuery>,
    body: Bytes,
) -> Answer {
    let files = vec![(query.name, query.mime, body.to_vec())];
    let text = query.text.filter(|text| !text.is_empty());
    written(chatwoot.someone().write(id, Writing { text, files, ..Writing::default() }))
}

async fn retry(State(chatwoot): State<Chatwoot>, Path((id, message)): Path<(i64, i64)>) -> Answer {
    chatwoot.someone().retry(id, message)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn remove(State(chatwoot): State<Chatwoot>, Path((id, message)): Path<(i64, i64)>) -> Answer {
    chatwoot.someone().delete(id, message)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
struct Typing {
    #[serde(default)]
    private: bool,
}

async fn typing(State(chatwoot): State<Chatwoot>, Path(id): Path<i64>, Json(typing): Json<Typing>) -> Answer {
    chatwoot.shared().lock().conversation(id)?;
    let agent = chatwoot.someone();
    if typing.private {
        agent.types_a_note(id).await;
    } else {
        agent.types(id, true).await;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn resolve(State(chatwoot): State<Chatwoot>, Path(id): Path<i64>) -> Answer {
    let mut state = chatwoot.shared().lock();
    let user = state.user_named(AGENT, crate::Role::Agent);
    state.set_status(id, ConversationStatus::Resolved, Some(user))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn download(State(chatwoot): State<Chatwoot>, Path(id): Path<i64>) -> Answer {
    let state = chatwoot.shared().lock();
    let mut attachments = state.messages.values().flat_map(|message| &message.attachments);
    let blob = attachments.find(|attachment| attachment.id == id).and_then(|found| state.blobs.get(&found.blob));
    let blob = blob.ok_or_else(Refusal::empty_not_found)?;
    Ok(([(header::CONTENT_TYPE, blob.content_type.clone())], blob.bytes.clone()).into_response())
}

async fn add_rule(State(chatwoot): State<Chatwoot>, Json(rule): Json<crate::Rule>) -> StatusCode {
    chatwoot.add_rule(rule);
    StatusCode::NO_CONTENT
}

async fn add_robot(State(chatwoot): State<Chatwoot>, Json(robot): Json<crate::Robot>) -> StatusCode {
    chatwoot.add_robot(robot);
    StatusCode::NO_CONTENT
}

async fn clear_rules(State(chatwoot): State<Chatwoot>) -> StatusCode {
    chatwoot.clear_automation();
    StatusCode::NO_CONTENT
}

async fn faults(State(chatwoot): State<Chatwoot>) -> Json<Vec<Fault>> {
    Json(chatwoot.faults().list())
}

async fn add_fault(State(chatwoot): State<Chatwoot>, Json(fault): Json<Fault>) -> StatusCode {
    chatwoot.faults().add(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(chatwoot): State<Chatwoot>) -> StatusCode {
    chatwoot.faults().clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Network {
    up: bool,
}

async fn network(State(chatwoot): State<Chatwoot>, Json(network): Json<Network>) -> Response {
    // Closing first makes both ways repeatable.
    chatwoot.server().refuse().await;
    if !network.up {
        return StatusCode::NO_CONTENT.into_response();
    }
    if chatwoot.server().accept().is_ok() {
        return StatusCode::NO_CONTENT.into_response();
    }
    StatusCode::CONFLICT.into_response()
}

#[derive(Deserialize)]
struct Switches {
    #[serde(default)]
    lose: Option<u32>,
    #[serde(default)]
    duplicate: Option<u32>,
    #[serde(default)]
    same_delivery: bool,
    #[serde(default)]
    shuffle: Option<u64>,
    #[serde(default)]
    hold: Option<bool>,
    #[serde(default)]
    retries: Option<bool>,
    #[serde(default)]
    older: Option<bool>,
}

async fn set_callbacks(State(chatwoot): State<Chatwoot>, Json(switches): Json<Switches>) -> StatusCode {
    let callbacks = chatwoot.callbacks();
    if let Some(count) = switches.lose {
        callbacks.lose(count);
    }
    if let Some(count) = switches.duplicate {
        let kind = if switches.same_delivery { Duplicate::SameDelivery } else { Duplicate::NewDelivery };
        callbacks.duplicate(count, kind);
    }
    if let Some(seed) = switches.shuffle {
        callbacks.shuffle(seed);
    }
    if let Some(on) = switches.retries {
        callbacks.retry_three_times(on);
    }
    if let Some(on) = switches.older {
        callbacks.like_older_versions(on);
    }
    match switches.hold {
        Some(true) => callbacks.hold(),
        Some(false) => callbacks.release(),
        None => {}
    }
    StatusCode::NO_CONTENT
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    language: Option<Language>,
    #[serde(default)]
    files: Option<Files>,
    #[serde(default)]
    deletions_take_seconds: Option<u64>,
    #[serde(default)]
    racing_contacts: Option<u32>,
    #[serde(default)]
    newer_retry: Option<bool>,
    #[serde(default)]
    frontend_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Files {
    Normal,
    Missing,
    Slow,
    WrongLength,
    Expired,
    NoAddress,
    Broken,
}

impl From<Files> for FileMode {
    fn from(files: Files) -> Self {
        match files {
            Files::Normal => Self::Normal,
            Files::Missing => Self::Missing,
            Files::Slow => Self::Slow(Duration::from_secs(3)),
            Files::WrongLength => Self::WrongLength,
            Files::Expired => Self::Expired,
            Files::NoAddress => Self::NoAddress,
            Files::Broken => Self::Broken,
        }
    }
}

async fn set(State(chatwoot): State<Chatwoot>, Json(settings): Json<Settings>) -> StatusCode {
    if let Some(language) = settings.language {
        chatwoot.speak(language);
    }
    if let Some(files) = settings.files {
        chatwoot.serve_files(files.into());
    }
    if let Some(seconds) = settings.deletions_take_seconds {
        chatwoot.delay_deletions(Duration::from_secs(seconds));
    }
    if let Some(count) = settings.racing_contacts {
        chatwoot.let_contacts_race(count);
    }
    if let Some(on) = settings.newer_retry {
        chatwoot.retry_like_newer_versions(on);
    }
    if let Some(url) = settings.frontend_url {
        chatwoot.call_itself(&url);
    }
    StatusCode::NO_CONTENT
}

async fn new_token(State(chatwoot): State<Chatwoot>) -> Json<Value> {
    Json(json!({ "token": chatwoot.reset_token() }))
}

async fn new_secret(State(chatwoot): State<Chatwoot>, Path(id): Path<i64>) -> Answer {
    let secret = chatwoot.reset_secret(id).ok_or_else(Refusal::empty_not_found)?;
    Ok(Json(json!({ "secret": secret })).into_response())
}

async fn attributes(State(chatwoot): State<Chatwoot>, Path(id): Path<i64>) -> Answer {
    match chatwoot.inbox_attributes(id) {
        Value::Null => Err(Refusal::empty_not_found()),
        attributes => Ok(Json(attributes).into_response()),
    }
}

async fn set_attributes(State(chatwoot): State<Chatwoot>, Path(id): Path<i64>, Json(given): Json<Value>) -> StatusCode {
    chatwoot.set_inbox_attributes(id, given);
    StatusCode::NO_CONTENT
}

async fn callbacks(State(chatwoot): State<Chatwoot>) -> Json<Value> {
    let callbacks = chatwoot.callbacks();
    Json(json!({ "held": callbacks.held(), "waiting": callbacks.waiting(), "log": callbacks.log() }))
}
