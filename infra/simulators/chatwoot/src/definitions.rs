//! `…/custom_attribute_definitions` and `…/labels`: what an account shows of attributes, and which labels it offers.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State as Handed,
    http::StatusCode,
    response::IntoResponse,
    routing::{delete, get},
};
use domain::Timestamp;
use serde_json::{Value, json};

use crate::{
    auth::Caller,
    calendar::iso,
    errors::{Answer, Refusal},
    params::Params,
    rows::Attributes,
    shared::Shared,
    state::State,
};

/// What an attribute belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    Conversation,
    Contact,
}

/// An attribute that agents see.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    id: i64,
    pub key: String,
    pub model: Model,
    pub name: String,
    description: Option<String>,
    display_type: &'static str,
    created_at: Timestamp,
}

/// A label that agents can pick.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    id: i64,
    pub title: String,
    description: Option<String>,
    color: String,
    show_on_sidebar: Option<bool>,
}

const TYPES: [&str; 8] = ["text", "number", "currency", "percent", "link", "date", "list", "checkbox"];

/// Keys that Chatwoot keeps for itself.
const STANDARD: [&str; 11] = [
    "name",
    "email",
    "phone_number",
    "identifier",
    "country_code",
    "city",
    "company_name",
    "created_at",
    "last_activity_at",
    "referer",
    "blocked",
];

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/custom_attribute_definitions", get(definitions).post(define))
        .route("/custom_attribute_definitions/{definition}", delete(undefine))
        .route("/labels", get(labels).post(create_label))
        .route("/labels/{label}", delete(delete_label))
}

impl Model {
    /// A number or a name, as the framework takes either.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "0" | "conversation_attribute" => Some(Self::Conversation),
            "1" | "contact_attribute" => Some(Self::Contact),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Conversation => "conversation_attribute",
            Self::Contact => "contact_attribute",
        }
    }
}

impl Definition {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "attribute_display_name": self.name,
            "attribute_display_type": self.display_type,
            "attribute_description": self.description,
            "attribute_key": self.key,
            "regex_pattern": null,
            "regex_cue": null,
            "attribute_values": [],
            "attribute_model": self.model.name(),
            "default_value": null,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.created_at),
        })
    }
}

impl Label {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "color": self.color,
            "show_on_sidebar": self.show_on_sidebar,
        })
    }
}

/// The parameters below a name, or beside it: the framework wraps what comes bare.
fn below(params: &Params, name: &str) -> Result<Params, Refusal> {
    let values: Attributes = params.object(name).unwrap_or_else(|| params.values.clone());
    if values.is_empty() {
        return Err(Refusal::malformed());
    }
    Ok(Params { values, files: Vec::new() })
}

async fn definitions(Handed(shared): Handed<Arc<Shared>>, _: Caller, params: Params) -> Answer {
    let state = shared.lock();
    let wanted = params.present("attribute_model").and_then(|model| Model::parse(&model));
    let rows = state.definitions.values().filter(|row| wanted.is_none_or(|model| row.model == model));
    Ok(Json(rows.map(Definition::json).collect::<Vec<_>>()).into_response())
}

/// Any member of the account may; a pair of key and model is there once.
async fn define(Handed(shared): Handed<Arc<Shared>>, _: Caller, params: Params) -> Answer {
    let mut state = shared.lock();
    let params = below(&params, "custom_attribute_definition")?;
    let row = read_definition(&mut state, &params)?;
    let body = row.json();
    state.definitions.insert(row.id, row);
    Ok(Json(body).into_response())
}

async fn undefine(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let id = caller.id("definition")?;
    let mut state = shared.lock();
    let language = state.language;
    state.definitions.remove(&id).ok_or_else(|| Refusal::not_found(language))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn read_definition(state: &mut State, params: &Params) -> Result<Definition, Refusal> {
    let language = state.language;
    let blank = language.framework("no puede estar en blanco", "can't be blank");
    let missing = |name: &str, english: &str| Refusal::invalid(&format!("{english} {blank}"), &[name]);
    let key = params.present("attribute_key").ok_or_else(|| missing("attribute_key", "Attribute key"))?;
    let key = key.trim().to_owned();
    let name = params
        .present("attribute_display_name")
        .ok_or_else(|| missing("attribute_display_name", "Attribute display name"))?;
    let model = match params.present("attribute_model") {
        Some(model) => Model::parse(&model).ok_or_else(Refusal::broken)?,
        None => Model::Conversation,
    };
    let display_type = match params.present("attribute_display_type") {
        Some(kind) => kind
            .parse::<usize>()
            .ok()
            .and_then(|number| TYPES.get(number))
            .or_else(|| TYPES.iter().find(|name| **name == kind))
            .ok_or_else(Refusal::broken)?,
        None => TYPES[0],
    };
    if state.definitions.values().any(|row| row.key == key && row.model == model) {
        let taken = language.framework("ya está en uso", "has already been taken");
        return Err(Refusal::invalid(&format!("Attribute key {taken}"), &["attribute_key"]));
    }
    if model == Model::Contact && STANDARD.contains(&key.as_str()) {
        let reason = language.say("La clave ya la usa un campo estándar", "The provided key is not allowed");
        return Err(Refusal::invalid(&format!("Attribute key {reason}"), &["attribute_key"]));
    }
    let description = params.text("attribute_description");
    let (id, created_at) = (state.next_id("definition"), state.now());
    Ok(Definition { id, key, model, name: name.trim().to_owned(), description, display_type, created_at })
}

async fn labels(Handed(shared): Handed<Arc<Shared>>, _: Caller) -> Answer {
    let state = shared.lock();
    let rows: Vec<_> = state.labels.values().map(Label::json).collect();
    Ok(Json(json!({ "payload": rows })).into_response())
}

/// For administrators; a title is written in small letters and there once.
async fn create_label(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    caller.administrator()?;
    let mut state = shared.lock();
    let params = below(&params, "label")?;
    let title = params.present("title").unwrap_or_default().to_lowercase();
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
    if title.is_empty() || !title.chars().all(fits) {
        let reason = state.language.framework("no es válido", "is invalid");
        return Err(Refusal::invalid(&format!("Title {reason}"), &["title"]));
    }
    if state.labels.values().any(|row| row.title == title) {
        let reason = state.language.framework("ya está en uso", "has already been taken");
        return Err(Refusal::invalid(&format!("Title {reason}"), &["title"]));
    }
    let row = Label {
        id: state.next_id("label"),
        title,
        description: params.text("description"),
        color: params.present("color").unwrap_or_else(|| "#1f93ff".to_owned()),
        show_on_sidebar: params.flag("show_on_sidebar"),
    };
    let body = row.json();
    state.labels.insert(row.id, row);
    Ok(Json(body).into_response())
}

async fn delete_label(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    caller.administrator()?;
    let id = caller.id("label")?;
    let mut state = shared.lock();
    let language = state.language;
    state.labels.remove(&id).ok_or_else(|| Refusal::not_found(language))?;
    Ok(StatusCode::OK.into_response())
}
