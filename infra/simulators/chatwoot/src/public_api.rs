//! What is outside of an account: health, the profile of a token, and the client API of an inbox.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State as Handed},
    response::IntoResponse,
    routing::{get, patch, post},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    auth::Caller,
    calendar::iso,
    contact_rules::apply,
    conversation_rules::Taken,
    errors::{Answer, Refusal},
    params::Params,
    rows::{InboxRow, Role},
    shared::Shared,
    state::State,
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/health", get(|| async { Json(json!({ "status": "woot" })) }))
        .route("/api", get(version))
        .route("/app/login", get(log_in_page))
        .route("/api/v1/profile", get(profile))
        .route("/public/api/v1/inboxes/{identifier}", get(inbox))
        .route("/public/api/v1/inboxes/{identifier}/contacts", post(create_contact))
        .route(
            "/public/api/v1/inboxes/{identifier}/contacts/{source}/conversations/{conversation}/messages/{message}",
            patch(submit).put(submit),
        )
}

/// The version that was run and recorded, and that this simulator answers like: the one that is tested and supported.
pub const VERSION: &str = "4.14.2";

async fn version(Handed(shared): Handed<Arc<Shared>>) -> Json<Value> {
    // `2026-11-20 14:00:00`, in UTC.
    let state = shared.lock();
    let now = iso(state.now()).replace('T', " ").chars().take(19).collect::<String>();
    Json(json!({ "version": state.version, "timestamp": now, "queue_services": "ok", "data_services": "ok" }))
}

/// The dashboard itself, as far as it tells where it believes to be.
async fn log_in_page(Handed(shared): Handed<Arc<Shared>>) -> axum::response::Html<String> {
    let url = shared.lock().base_url.clone();
    axum::response::Html(format!(
        "<!DOCTYPE html>\n<html><head><title>Chatwoot</title><script>\n  window.chatwootConfig = {{\n    hostURL: '{url}',\n    \
         signupEnabled: 'false',\n  }}\n</script></head><body><div id=\"app\"></div></body></html>\n"
    ))
}

async fn profile(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Json<Value> {
    let state = shared.lock();
    let role = if caller.user.role == Role::Administrator { "administrator" } else { "agent" };
    let account = json!({
        "id": state.account_id,
        "name": state.account_name,
        "status": "active",
        "onboarding_step": null,
        "active_at": null,
        "role": role,
        "permissions": [role],
        "availability": "online",
        "availability_status": "offline",
        "auto_offline": true,
    });
    Json(json!({
        "id": caller.user.id,
        "name": caller.user.name,
        "available_name": caller.user.name,
        "avatar_url": "",
        "confirmed": true,
        "display_name": null,
        "message_signature": null,
        "email": caller.user.email,
        "inviter_id": null,
        "provider": "email",
        "pubsub_token": caller.user.token.chars().rev().collect::<String>(),
        "ui_settings": {},
        "uid": caller.user.email,
        "access_token": caller.user.token,
        "account_id": state.account_id,
        "role": role,
        "type": null,
        "accounts": [account],
    }))
}

fn by_identifier<'a>(state: &'a State, identifier: &str) -> Result<&'a InboxRow, Refusal> {
    let found = state.inboxes.values().find(|inbox| inbox.identifier == identifier);
    found.ok_or_else(|| Refusal::not_found(state.language))
}

async fn inbox(Handed(shared): Handed<Arc<Shared>>, Path(identifier): Path<String>) -> Answer {
    let state = shared.lock();
    let inbox = by_identifier(&state, &identifier)?;
    let body = json!({ "identifier": inbox.identifier, "identity_validation_enabled": inbox.hmac_mandatory, "name": inbox.name });
    Ok(Json(body).into_response())
}

/// Unlike the API of the account it takes up a contact that it knows.
async fn create_contact(Handed(shared): Handed<Arc<Shared>>, Path(identifier): Path<String>, params: Params) -> Answer {
    let mut state = shared.lock();
    let inbox = by_identifier(&state, &identifier)?.clone();
    let (hash, who) = (params.present("identifier_hash"), params.present("identifier").unwrap_or_default());
    if (inbox.hmac_mandatory || hash.is_some()) && hash.as_deref() != Some(&identity_hash(&inbox.hmac_token, &who)) {
        return Err(Refusal::broken());
    }
    let source = params.present("source_id");
    let by_source =
        state.contact_inboxes.values().find(|row| row.inbox_id == inbox.id && Some(&row.source_id) == source.as_ref());
    let known = by_source.map(|row| row.contact_id).or_else(|| {
        let same = |one: &Option<String>, key: &str| one.is_some() && *one == params.present(key);
        let mut contacts = state.contacts.values();
        let found = contacts.find(|contact| {
            same(&contact.identifier, "identifier")
                || same(&contact.email, "email")
                || same(&contact.phone_number, "phone_number")
        });
        found.map(|contact| contact.id)
    });
    let contact = if let Some(id) = known {
        id
    } else {
        let mut contact = state.blank_contact();
        apply(&mut contact, &params);
        state.save_contact(contact)?
    };
    let row = state.contact_inbox_for(contact, inbox.id, source).map_err(|Taken| Refusal::broken())?;
    let contact = state.contact(contact)?;
    let row = state.contact_inboxes.get(&row).ok_or_else(Refusal::broken)?;
    let body = json!({
        "source_id": row.source_id,
        "pubsub_token": row.pubsub_token,
        "id": contact.id,
        "name": contact.name,
        "email": contact.email,
        "phone_number": contact.phone_number,
    });
    Ok(Json(body).into_response())
}

/// A visitor submits what a message asked for. Whatever the message is, the values are kept with it.
async fn submit(
    Handed(shared): Handed<Arc<Shared>>,
    Path((identifier, source, conversation, message)): Path<(String, String, i64, i64)>,
    params: Params,
) -> Answer {
    let mut state = shared.lock();
    let inbox = by_identifier(&state, &identifier)?.id;
    let mut rows = state.contact_inboxes.values();
    let row = rows.find(|row| row.inbox_id == inbox && row.source_id == source).map(|row| row.id);
    let theirs = row.is_some() && state.conversation(conversation)?.contact_inbox_id == row.unwrap_or_default();
    if !theirs {
        return Err(Refusal::not_found(state.language));
    }
    let id = state.message(conversation, message)?.id;
    let mut values = params.values.get("submitted_values").cloned().unwrap_or_default();
    for value in values.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        value.retain(|key, _| matches!(key.as_str(), "name" | "title" | "value"));
    }
    state.submit_values(id, values)?;
    Ok(Json(state.message_json(state.message(conversation, id)?)).into_response())
}

fn identity_hash(token: &str, identifier: &str) -> String {
    sign(token, identifier.as_bytes())
}

/// Hex of HMAC-SHA256.
pub(crate) fn sign(key: &str, message: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}
