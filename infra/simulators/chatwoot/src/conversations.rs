//! `…/conversations`.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State as Handed,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use domain::Timestamp;
use serde_json::{Value, json};

use crate::{
    Language,
    auth::{AnyCaller, Caller},
    calendar::float_secs,
    conversation_rules::{Opening, Taken},
    errors::{Answer, Refusal},
    event::EventSubject,
    filters::{Condition, all_fit, page},
    messages::draft,
    params::Params,
    rows::{Attributes, Conversation, ConversationStatus, MessageType, Role, SenderRef},
    shared::Shared,
    state::State,
    wire::Person,
};

const PAGE: usize = 25;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/conversations", get(list).post(create))
        .route("/conversations/filter", post(filter))
        .route("/conversations/{conversation}", get(show).patch(update).delete(destroy))
        .route("/conversations/{conversation}/toggle_status", post(toggle_status))
        .route("/conversations/{conversation}/toggle_priority", post(update_any))
        .route("/conversations/{conversation}/custom_attributes", post(custom_attributes))
        .route("/conversations/{conversation}/labels", get(labels).post(set_labels))
        .route("/conversations/{conversation}/assignments", post(assignments))
        .route("/conversations/{conversation}/participants", get(participants))
        .route("/conversations/{conversation}/toggle_typing_status", post(typing))
        .route("/conversations/{conversation}/update_last_seen", post(seen))
        .route(
            "/conversations/{conversation}/draft_messages",
            get(draft_of).patch(set_draft).put(set_draft).delete(drop_draft),
        )
        .route("/conversations/{conversation}/mute", post(mute))
        .route("/conversations/{conversation}/unmute", post(unmute))
}

fn secs(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_secs)
}

impl State {
    /// A conversation as the API gives it: the source id is only inside its messages. Without its contact it breaks.
    pub(crate) fn conversation_json(&self, row: &Conversation) -> Result<Value, Refusal> {
        let contact = self.contacts.get(&row.contact_id).ok_or_else(Refusal::broken)?;
        let channel = self.inboxes.get(&row.inbox_id).map(|inbox| &inbox.channel_type);
        let last = self.thread(row.id).next_back().map(|message| self.message_data(message, row, false));
        let last_said = self.thread(row.id).rev().find(|message| message.message_type != MessageType::Activity);
        let mut meta =
            json!({ "sender": self.contact_json(contact, false), "channel": channel, "hmac_verified": false });
        if let Some(assignee) = self.assignee_person(row).map(Person::answered) {
            meta["assignee"] = json!(assignee);
            meta["assignee_type"] = json!(self.assignee_type(row));
        }
        Ok(json!({
            "meta": meta,
            "id": row.id,
            "messages": last.into_iter().collect::<Vec<_>>(),
            "account_id": self.account_id,
            "uuid": row.uuid,
            "additional_attributes": row.additional_attributes,
            "agent_last_seen_at": secs(row.agent_last_seen_at),
            "assignee_last_seen_at": secs(row.assignee_last_seen_at),
            "can_reply": self.can_reply(row),
            "contact_last_seen_at": secs(row.contact_last_seen_at),
            "custom_attributes": row.custom_attributes,
            "inbox_id": row.inbox_id,
            "labels": row.labels,
            "muted": contact.blocked,
            "snoozed_until": row.snoozed_until.map(Timestamp::as_secs),
            "status": row.status.name(),
            "created_at": row.created_at.as_secs(),
            "updated_at": float_secs(row.updated_at),
            "timestamp": row.last_activity_at.as_secs(),
            "first_reply_created_at": secs(row.first_reply_created_at),
            "unread_count": self.unread(row),
            "last_non_activity_message": last_said.map(|message| self.message_data(message, row, false)),
            "last_activity_at": row.last_activity_at.as_secs(),
            "priority": row.priority,
            "waiting_since": secs(row.waiting_since),
            "sla_policy_id": null,
        }))
    }
}

async fn create(Handed(shared): Handed<Arc<Shared>>, AnyCaller(caller): AnyCaller, mut params: Params) -> Answer {
    let mut state = shared.lock();
    let language = state.language;
    let status = match params.present("status") {
        Some(name) => Some(ConversationStatus::parse(&name).ok_or_else(Refusal::broken)?),
        None => None,
    };
    let contact_inbox = contact_inbox(&mut state, &params)?;
    let opening = Opening {
        status,
        assignee_id: params.int("assignee_id"),
        additional_attributes: params.object("additional_attributes").unwrap_or_default(),
        custom_attributes: params.object("custom_attributes").unwrap_or_default(),
    };
    check_lengths(language, "additional_attributes", &opening.additional_attributes)?;
    check_lengths(language, "custom_attributes", &opening.custom_attributes)?;
    let inbox = state.contact_inboxes.get(&contact_inbox).map_or(0, |row| row.inbox_id);
    if !caller.sees(&state, inbox) {
        return Err(Refusal::policy(language));
    }
    let known = state.conversations.keys().next_back().copied();
    let id = state.open_conversation(contact_inbox, opening)?;
    // What an inbox locked to a single conversation gives back takes nothing more from the request.
    let new = known.is_none_or(|known| id > known);
    if let Some(message) = params.object("message").filter(|_| new) {
        let mut inner = Params { values: message, files: std::mem::take(&mut params.files) };
        let draft = draft(&mut state, &caller, id, &mut inner)?;
        state.create_message(id, draft)?;
    }
    Ok(Json(state.conversation_json(state.conversation(id)?)?).into_response())
}

/// The texts among a conversation's attributes are shorter than 1,500 characters.
fn check_lengths(language: Language, name: &str, attributes: &Attributes) -> Result<(), Refusal> {
    let too_long = |value: &Value| value.as_str().is_some_and(|text| text.chars().count() >= 1500);
    if !attributes.values().any(too_long) {
        return Ok(());
    }
    Err(Refusal::invalid(language.framework("Un atributo es demasiado largo", "An attribute is too long"), &[name]))
}

fn contact_inbox(state: &mut State, params: &Params) -> Result<i64, Refusal> {
    let language = state.language;
    let source = params.present("source_id");
    let (Some(inbox), Some(contact)) = (params.int("inbox_id"), params.int("contact_id")) else {
        // By source id alone, over all inboxes.
        let row = state.contact_inboxes.values().find(|row| source.as_ref() == Some(&row.source_id));
        return row.map(|row| row.id).ok_or_else(|| Refusal::not_found(language));
    };
    state.inbox(inbox)?;
    state.contact(contact)?;
    state.contact_inbox_for(contact, inbox, source).map_err(|Taken| {
        Refusal::unprocessable(language.framework("source_id debe ser único", "source_id should be unique"))
    })
}

/// Open ones by default, the last active first. `assignee_type` and the finer filters are ignored.
async fn list(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    let state = shared.lock();
    let status = match params.present("status").as_deref() {
        Some("all") => None,
        Some(name) => Some(ConversationStatus::parse(name).ok_or_else(Refusal::broken)?),
        None => Some(ConversationStatus::Open),
    };
    let (inbox, source) = (params.int("inbox_id"), params.present("source_id"));
    let found = state
        .conversations
        .values()
        .filter(|row| status.is_none_or(|status| row.status == status))
        .filter(|row| inbox.is_none_or(|inbox| row.inbox_id == inbox))
        .filter(|row| source.is_none() || state.source_id(row) == source)
        .collect();
    let (meta, payload) = listed(&state, &caller, found, &params)?;
    Ok(Json(json!({ "data": { "meta": meta, "payload": payload } })).into_response())
}

async fn filter(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    let state = shared.lock();
    let keys = ["status", "inbox_id", "assignee_id", "labels", "created_at", "last_activity_at", "display_id"];
    let conditions = Condition::read(&params, state.language, &keys, |_| false)?;
    let now = state.now();
    let fits = |row: &Conversation, condition: &Condition| match condition.key.as_str() {
        "created_at" => condition.fits_time(row.created_at, now),
        "last_activity_at" => condition.fits_time(row.last_activity_at, now),
        "inbox_id" => condition.fits(Some(&row.inbox_id.to_string())),
        "display_id" => condition.fits(Some(&row.id.to_string())),
        "assignee_id" => condition.fits(row.assignee_id.map(|id| id.to_string()).as_deref()),
        "labels" if row.labels.is_empty() => condition.fits(None),
        "labels" => row.labels.iter().any(|label| condition.fits(Some(label))),
        _ => condition.fits(Some("all")) || condition.fits(Some(row.status.name())),
    };
    let found =
        state.conversations.values().filter(|row| all_fit(&conditions, |condition| fits(row, condition))).collect();
    let (mut meta, payload) = listed(&state, &caller, found, &params)?;
    // Told by the plain list alone.
    if let Some(meta) = meta.as_object_mut() {
        meta.remove("assigned_count");
    }
    Ok(Json(json!({ "meta": meta, "payload": payload })).into_response())
}

fn listed(
    state: &State,
    caller: &Caller,
    mut found: Vec<&Conversation>,
    params: &Params,
) -> Result<(Value, Vec<Value>), Refusal> {
    found.retain(|row| caller.sees(state, row.inbox_id));
    found.sort_by_key(|row| std::cmp::Reverse((row.last_activity_at, row.id)));
    let count = |wanted: &dyn Fn(&&&Conversation) -> bool| found.iter().filter(wanted).count();
    let meta = json!({
        "mine_count": count(&|row| row.assignee_id == Some(caller.user.id)),
        "assigned_count": count(&|row| row.assignee_id.is_some()),
        "unassigned_count": count(&|row| row.assignee_id.is_none()),
        "all_count": found.len(),
    });
    let (rows, ..) = page(found, params, PAGE);
    let payload = rows.into_iter().map(|row| state.conversation_json(row)).collect::<Result<_, _>>()?;
    Ok((meta, payload))
}

async fn show(Handed(shared): Handed<Arc<Shared>>, AnyCaller(caller): AnyCaller) -> Answer {
    let state = shared.lock();
    let id = caller.conversation(&state)?;
    Ok(Json(state.conversation_json(state.conversation(id)?)?).into_response())
}

async fn update(handed: Handed<Arc<Shared>>, caller: AnyCaller, params: Params) -> Answer {
    update_any(handed, caller, params).await
}

/// The priority is all that can be changed.
async fn update_any(Handed(shared): Handed<Arc<Shared>>, AnyCaller(caller): AnyCaller, params: Params) -> Answer {
    let mut state = shared.lock();
    let id = caller.conversation(&state)?;
    let row = state.conversation_mut(id)?;
    let priority = params.present("priority");
    let before = std::mem::replace(&mut row.priority, priority.clone());
    if before != priority {
        state.tell_change(id, "priority", json!(before), json!(priority));
    }
    Ok(Json(state.conversation_json(state.conversation(id)?)?).into_response())
}

async fn destroy(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    caller.administrator()?;
    let mut state = shared.lock();
    let id = caller.conversation(&state)?;
    state.delete_conversation(id)?;
    Ok(StatusCode::OK.into_response())
}

async fn toggle_status(Handed(shared): Handed<Arc<Shared>>, AnyCaller(caller): AnyCaller, params: Params) -> Answer {
    let mut state = shared.lock();
    let id = caller.conversation(&state)?;
    let status = match params.present("status") {
        Some(name) => ConversationStatus::parse(&name).ok_or_else(Refusal::broken)?,
        None if state.conversation(id)?.status == ConversationStatus::Open => ConversationStatus::Resolved,
        None => ConversationStatus::Open,
    };
    let until = params.int("snoozed_until").map(Timestamp::from_secs);
    state.conversation_mut(id)?.snoozed_until = until.filter(|_| status == ConversationStatus::Snoozed);
    let before = state.conversation(id)?.status;
    state.set_status(id, status, Some(caller.user.id))?;
    if (before, status, caller.user.role) == (ConversationStatus::Pending, ConversationStatus::Open, Role::Bot) {
        state.notify_members(id);
    }
    if status == ConversationStatus::Open && caller.user.role == Role::Agent {
        state.assign(id, Some(caller.user.id), Some(caller.user.id))?;
    }
    let row = state.conversation(id)?;
    let payload = json!({
        "success": true,
        "conversation_id": id,
        "current_status": row.status.name(),
        "snoozed_until": row.snoozed_until.map(Timestamp::as_secs),
    });
    Ok(Json(json!({ "payload": payload })).into_response())
}

async fn custom_attributes(
    Handed(shared): Handed<Arc<Shared>>,
    AnyCaller(caller): AnyCaller,
    params: Params,
) -> Answer {
    let mut state = shared.lock();
    let id = caller.conversation(&state)?;
    let attributes = params.object("custom_attributes").unwrap_or_default();
    check_lengths(state.language, "custom_attributes", &attributes)?;
    state.set_custom_attributes(id, attributes)?;
    Ok(Json(json!({ "custom_attributes": state.conversation(id)?.custom_attributes })).into_response())
}

async fn labels(Handed(shared): Handed<Arc<Shared>>, AnyCaller(caller): AnyCaller) -> Answer {
    let state = shared.lock();
    let id = caller.conversation(&state)?;
    Ok(Json(json!({ "payload": state.conversation(id)?.labels })).into_response())
}

async fn set_labels(Handed(shared): Handed<Arc<Shared>>, AnyCaller(caller): AnyCaller, params: Params) -> Answer {
    let mut state = shared.lock();
    let id = caller.conversation(&state)?;
    state.set_labels(id, params.strings("labels").unwrap_or_default(), caller.user.id)?;
    Ok(Json(json!({ "payload": state.conversation(id)?.labels })).into_response())
}

async fn assignments(Handed(shared): Handed<Arc<Shared>>, AnyCaller(caller): AnyCaller, params: Params) -> Answer {
    let mut state = shared.lock();
    let id = caller.conversation(&state)?;
    let assignee = params.int("assignee_id").filter(|user| state.user(*user).is_some());
    state.assign(id, assignee, Some(caller.user.id))?;
    Ok(Json(state.assignee_person(state.conversation(id)?).map(Person::answered)).into_response())
}

async fn participants(Handed(shared): Handed<Arc<Shared>>, AnyCaller(caller): AnyCaller) -> Answer {
    let state = shared.lock();
    let id = caller.conversation(&state)?;
    let all = state.conversation(id)?.participants.iter();
    let people: Vec<_> = all.filter_map(|user| state.person(SenderRef::User(*user))).map(Person::answered).collect();
    Ok(Json(people).into_response())
}

async fn typing(Handed(shared): Handed<Arc<Shared>>, AnyCaller(caller): AnyCaller, params: Params) -> Answer {
    let state = shared.lock();
    let id = caller.conversation(&state)?;
    let on = params.text("typing_status").as_deref() == Some("on");
    let user =
        if caller.user.role == Role::Bot { SenderRef::Bot(caller.user.id) } else { SenderRef::User(caller.user.id) };
    state.tell_typing(id, user, on, params.flag("is_private").unwrap_or(false));
    Ok(StatusCode::OK.into_response())
}

impl State {
    /// `conversation_typing_on` or `_off`.
    pub(crate) fn tell_typing(&self, id: i64, user: SenderRef, on: bool, private: bool) {
        let Some(inbox) = self.conversations.get(&id).map(|row| row.inbox_id) else { return };
        let name = if on { "conversation_typing_on" } else { "conversation_typing_off" };
        self.callbacks.push(crate::event::Event::new(name, inbox, id, EventSubject::Typing { user, private }));
    }
}

async fn seen(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let mut state = shared.lock();
    let id = caller.conversation(&state)?;
    let now = state.now();
    let row = state.conversation_mut(id)?;
    row.agent_last_seen_at = Some(now);
    if row.assignee_id == Some(caller.user.id) {
        row.assignee_last_seen_at = Some(now);
    }
    Ok(Json(state.conversation_json(state.conversation(id)?)?).into_response())
}

async fn draft_of(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let state = shared.lock();
    let id = caller.conversation(&state)?;
    Ok(Json(match state.drafts.get(&id) {
        Some(text) => json!({ "has_draft": true, "message": text }),
        None => json!({ "has_draft": false }),
    })
    .into_response())
}

async fn set_draft(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    let mut state = shared.lock();
    let id = caller.conversation(&state)?;
    let draft = params.object("draft_message").unwrap_or_default();
    let text = draft.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    state.drafts.insert(id, text);
    Ok(StatusCode::OK.into_response())
}

async fn drop_draft(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let mut state = shared.lock();
    let id = caller.conversation(&state)?;
    state.drafts.remove(&id);
    Ok(StatusCode::OK.into_response())
}

async fn mute(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    set_blocked(&shared, &caller, true)
}

async fn unmute(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    set_blocked(&shared, &caller, false)
}

fn set_blocked(shared: &Shared, caller: &Caller, blocked: bool) -> Answer {
    let mut state = shared.lock();
    let id = caller.conversation(&state)?;
    let contact = state.conversation(id)?.contact_id;
    if let Some(contact) = state.contacts.get_mut(&contact) {
        contact.blocked = blocked;
    }
    if blocked {
        state.set_status(id, ConversationStatus::Resolved, Some(caller.user.id))?;
    }
    Ok(StatusCode::OK.into_response())
}
