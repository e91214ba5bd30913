//! `…/inboxes` and who belongs to them.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json, Router,
    extract::State as Handed,
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    auth::Caller,
    errors::{Answer, Refusal},
    params::Params,
    rows::{Attributes, InboxRow, Role, User},
    shared::Shared,
    state::State,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/inboxes", get(list).post(create))
        .route("/inboxes/{inbox}", get(show).patch(update).put(update))
        .route("/inboxes/{inbox}/reset_secret", post(reset_secret))
        .route("/agents", get(agents))
        .route("/inbox_members/{inbox}", get(show_members))
        .route("/inbox_members", post(add_members).patch(replace_members).delete(remove_members))
}

/// Settings of an inbox that are kept as they come.
pub(crate) const FIELDS: [&str; 12] = [
    "greeting_enabled",
    "greeting_message",
    "enable_email_collect",
    "csat_survey_enabled",
    "enable_auto_assignment",
    "working_hours_enabled",
    "out_of_office_message",
    "timezone",
    "allow_messages_after_resolved",
    "sender_name_type",
    "business_name",
    "csat_config",
];

/// An inbox as the API gives it; its secrets are for administrators.
fn inbox_json(inbox: &InboxRow, caller: &Caller) -> Value {
    let api = inbox.is_api();
    let mut body = json!({
        "id": inbox.id,
        "avatar_url": "",
        "channel_id": inbox.channel_id,
        "name": inbox.name,
        "channel_type": inbox.channel_type,
        "working_hours": (0..7).map(hours_of_day).collect::<Vec<_>>(),
        "auto_assignment_config": {},
        "callback_webhook_url": null,
        "lock_to_single_conversation": inbox.lock_to_single_conversation,
        "hmac_mandatory": inbox.hmac_mandatory,
        "webhook_url": api.then_some(&inbox.webhook_url),
        "inbox_identifier": inbox.identifier,
        "additional_attributes": inbox.additional_attributes,
        "provider": null,
    });
    for field in FOREIGN {
        body[field] = Value::Null;
    }
    for field in FIELDS {
        body[field] = inbox.fields.get(field).cloned().unwrap_or(Value::Null);
    }
    if caller.is_administrator() {
        body["hmac_token"] = json!(inbox.hmac_token);
        if !inbox.secret.is_empty() {
            body["secret"] = json!(inbox.secret);
        }
    }
    body
}

/// What other kinds of inboxes have, and an API inbox gives as null.
const FOREIGN: [&str; 11] = [
    "allowed_domains",
    "widget_color",
    "website_url",
    "welcome_title",
    "welcome_tagline",
    "web_widget_script",
    "website_token",
    "selected_feature_flags",
    "reply_time",
    "messaging_service_sid",
    "phone_number",
];

/// As a new inbox has them: nine to five from Monday to Friday.
fn hours_of_day(day: u8) -> Value {
    let open = (1..=5).contains(&day);
    json!({
        "day_of_week": day,
        "closed_all_day": !open,
        "open_hour": open.then_some(9),
        "open_minutes": open.then_some(0),
        "close_hour": open.then_some(17),
        "close_minutes": open.then_some(0),
        "open_all_day": false,
    })
}

/// The settings of an inbox that has just been made.
fn first_settings() -> Attributes {
    let settings = json!({
        "greeting_enabled": false,
        "enable_email_collect": true,
        "csat_survey_enabled": false,
        "enable_auto_assignment": true,
        "working_hours_enabled": false,
        "timezone": "UTC",
        "allow_messages_after_resolved": true,
        "sender_name_type": "friendly",
        "csat_config": {},
    });
    settings.as_object().cloned().unwrap_or_default()
}

impl State {
    /// A new inbox with secrets of its own.
    pub(crate) fn new_inbox(&mut self, name: String, channel_type: &str) -> InboxRow {
        let random = || Uuid::new_v4().simple().to_string();
        InboxRow {
            id: self.inboxes.keys().next_back().map_or(1, |last| last + 1),
            name,
            channel_id: self.next_id("channel"),
            channel_type: channel_type.to_owned(),
            webhook_url: String::new(),
            secret: random(),
            hmac_token: random(),
            identifier: random(),
            hmac_mandatory: false,
            additional_attributes: Attributes::new(),
            lock_to_single_conversation: false,
            fields: first_settings(),
            created_at: self.now(),
            members: self.users.iter().map(|user| user.id).collect(),
        }
    }

    /// A new signing secret, at once: there is no time in which both count.
    pub(crate) fn reset_secret(&mut self, id: i64) -> Result<String, Refusal> {
        let language = self.language;
        let inbox =
            self.inboxes.get_mut(&id).filter(|inbox| inbox.is_api()).ok_or_else(|| Refusal::not_found(language))?;
        inbox.secret = Uuid::new_v4().simple().to_string();
        Ok(inbox.secret.clone())
    }

    fn change_inbox(&mut self, mut inbox: InboxRow, params: &Params) -> Result<i64, Refusal> {
        if let Some(name) = params.present("name") {
            inbox.name = name;
        }
        if let Some(lock) = params.flag("lock_to_single_conversation") {
            inbox.lock_to_single_conversation = lock;
        }
        for field in FIELDS {
            if let Some(value) = params.values.get(field) {
                inbox.fields.insert(field.to_owned(), value.clone());
            }
        }
        let channel = params.object("channel").unwrap_or_default();
        if let Some(url) = channel.get("webhook_url") {
            url.as_str().unwrap_or_default().clone_into(&mut inbox.webhook_url);
        }
        if let Some(mandatory) = channel.get("hmac_mandatory").and_then(Value::as_bool) {
            inbox.hmac_mandatory = mandatory;
        }
        // Replaced as a whole; what is no object is not permitted, and so left as it was.
        if let Some(attributes) = channel.get("additional_attributes").and_then(Value::as_object) {
            inbox.additional_attributes.clone_from(attributes);
        }
        self.check_channel(&inbox)?;
        let id = inbox.id;
        self.inboxes.insert(id, inbox);
        Ok(id)
    }

    fn check_channel(&self, inbox: &InboxRow) -> Result<(), Refusal> {
        if inbox.webhook_url.chars().count() > 2048 {
            let text = self.language.framework(
                "URL del webhook es demasiado largo (2048 caracteres máximo)",
                "Webhook url is too long (maximum is 2048 characters)",
            );
            return Err(Refusal::invalid(text, &["webhook_url"]));
        }
        let window = inbox.additional_attributes.get("agent_reply_time_window");
        let valid = match window {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => {
                text.trim().is_empty() || text.trim().parse().is_ok_and(|hours: i64| hours > 0)
            }
            Some(other) => other.as_i64().is_some_and(|hours| hours > 0),
        };
        if valid {
            return Ok(());
        }
        let text = self.language.framework(
            "La ventana de respuesta del agente debe ser mayor que 0",
            "Agent reply time window agent_reply_time_window must be greater than 0",
        );
        Err(Refusal::invalid(text, &["agent_reply_time_window"]))
    }
}

/// The literal text `null` as a parameter of the request becomes nil; inside of other values it stays.
fn nil_the_nulls(params: &mut Params) {
    let nulls = params.values.values_mut().filter(|value| value.as_str() == Some("null"));
    nulls.for_each(|value| *value = Value::Null);
}

async fn list(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let state = shared.lock();
    let seen = state.inboxes.values().filter(|inbox| caller.sees(&state, inbox.id));
    let payload: Vec<_> = seen.map(|inbox| inbox_json(inbox, &caller)).collect();
    Ok(Json(json!({ "payload": payload })).into_response())
}

async fn show(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let state = shared.lock();
    let inbox = state.inbox(caller.id("inbox")?)?;
    if !caller.sees(&state, inbox.id) {
        return Err(Refusal::policy(state.language));
    }
    Ok(Json(inbox_json(inbox, &caller)).into_response())
}

async fn create(Handed(shared): Handed<Arc<Shared>>, caller: Caller, mut params: Params) -> Answer {
    caller.administrator()?;
    nil_the_nulls(&mut params);
    let mut state = shared.lock();
    let name = params.present("name").ok_or_else(|| Refusal::missing(state.language, "name"))?;
    let channel = params.object("channel").unwrap_or_default();
    let channel_type = match channel.get("type").and_then(Value::as_str) {
        Some("api") => "Channel::Api",
        Some("web_widget") => "Channel::WebWidget",
        _ => return Err(Refusal::missing(state.language, "channel")),
    };
    let mut inbox = state.new_inbox(name, channel_type);
    // Whoever makes it belongs to it only if they are added, as everybody else.
    inbox.members.clear();
    let id = state.change_inbox(inbox, &params)?;
    Ok(Json(inbox_json(state.inbox(id)?, &caller)).into_response())
}

async fn update(Handed(shared): Handed<Arc<Shared>>, caller: Caller, mut params: Params) -> Answer {
    caller.administrator()?;
    nil_the_nulls(&mut params);
    let mut state = shared.lock();
    let inbox = state.inbox(caller.id("inbox")?)?.clone();
    let id = state.change_inbox(inbox, &params)?;
    Ok(Json(inbox_json(state.inbox(id)?, &caller)).into_response())
}

async fn reset_secret(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    caller.administrator()?;
    let mut state = shared.lock();
    let id = caller.id("inbox")?;
    state.reset_secret(id)?;
    Ok(Json(inbox_json(state.inbox(id)?, &caller)).into_response())
}

/// Everybody in the account.
async fn agents(Handed(shared): Handed<Arc<Shared>>, _caller: Caller) -> Answer {
    let state = shared.lock();
    let people = state.users.iter().filter(|user| user.role != Role::Bot);
    let list: Vec<_> = people.map(|user| agent_json(&state, user)).collect();
    Ok(Json(list).into_response())
}

fn agent_json(state: &State, user: &User) -> Value {
    let role = if user.role == Role::Administrator { "administrator" } else { "agent" };
    json!({ "id": user.id, "account_id": state.account_id, "availability_status": "offline", "auto_offline": true,
        "confirmed": true, "email": user.email, "provider": "email", "available_name": user.name, "name": user.name,
        "role": role, "thumbnail": "", "custom_role_id": null })
}

async fn show_members(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let state = shared.lock();
    let inbox = state.inbox(caller.id("inbox")?)?;
    let members = state.users.iter().filter(|user| inbox.members.contains(&user.id));
    let payload: Vec<_> = members.map(|user| agent_json(&state, user)).collect();
    Ok(Json(json!({ "payload": payload })).into_response())
}

async fn add_members(shared: Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    members(shared, &caller, &params, BTreeSet::extend)
}

async fn replace_members(shared: Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    members(shared, &caller, &params, |members, given| *members = given)
}

async fn remove_members(shared: Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    members(shared, &caller, &params, |members, given| members.retain(|user| !given.contains(user)))
}

fn members(
    Handed(shared): Handed<Arc<Shared>>,
    caller: &Caller,
    params: &Params,
    change: impl FnOnce(&mut BTreeSet<i64>, BTreeSet<i64>),
) -> Answer {
    caller.administrator()?;
    let mut state = shared.lock();
    let language = state.language;
    let given = params.values.get("user_ids").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64);
    let id = params.int("inbox_id").unwrap_or(0);
    let inbox = state.inboxes.get_mut(&id).ok_or_else(|| Refusal::not_found(language))?;
    change(&mut inbox.members, given.collect());
    let members = inbox.members.clone();
    let payload: Vec<_> = state
        .users
        .iter()
        .filter(|user| members.contains(&user.id))
        .map(|user| json!({ "id": user.id, "name": user.name, "email": user.email }))
        .collect();
    Ok(Json(json!({ "payload": payload })).into_response())
}
