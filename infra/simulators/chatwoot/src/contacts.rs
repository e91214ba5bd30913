//! `…/contacts`, `…/contact_inboxes`, `…/actions/contact_merge`.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State as Handed,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    auth::Caller,
    calendar::iso,
    contact_rules::{apply, attribute},
    conversation_rules::Taken,
    definitions::Model,
    errors::{Answer, Refusal},
    filters::{Condition, all_fit, page},
    inboxes::FIELDS,
    params::Params,
    rows::{Contact, ContactInbox},
    shared::Shared,
    state::State,
};

const PAGE: usize = 15;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/contacts", get(list).post(create))
        .route("/contacts/search", get(search))
        .route("/contacts/filter", post(filter))
        .route("/contacts/{contact}", get(show).put(update).patch(update).delete(destroy))
        .route("/contacts/{contact}/destroy_custom_attributes", post(destroy_custom_attributes))
        .route("/contacts/{contact}/contact_inboxes", post(create_contact_inbox))
        .route("/contacts/{contact}/contactable_inboxes", get(contactable_inboxes))
        .route("/contacts/{contact}/conversations", get(conversations))
        .route("/contacts/{contact}/labels", get(labels).post(set_labels))
        .route("/contact_inboxes/filter", post(find_by_source))
        .route("/actions/contact_merge", post(merge))
}

impl State {
    pub(crate) fn contact_json(&self, contact: &Contact, with_inboxes: bool) -> Value {
        let mut body = json!({
            "additional_attributes": contact.additional_attributes,
            "availability_status": "offline",
            "email": contact.email,
            "id": contact.id,
            "name": contact.name,
            "phone_number": contact.phone_number,
            "blocked": contact.blocked,
            "identifier": contact.identifier,
            "thumbnail": "",
            "custom_attributes": contact.custom_attributes,
            "created_at": contact.created_at.as_secs(),
        });
        // Absent until something happens.
        if let Some(at) = contact.last_activity_at {
            body["last_activity_at"] = at.as_secs().into();
        }
        if with_inboxes {
            let rows = self.contact_inboxes.values().filter(|row| row.contact_id == contact.id);
            body["contact_inboxes"] = rows.map(|row| self.contact_inbox_json(row)).collect();
        }
        body
    }

    fn contact_inbox_json(&self, row: &ContactInbox) -> Value {
        json!({ "source_id": row.source_id, "inbox": self.inboxes.get(&row.inbox_id).map(slim) })
    }
}

fn slim(inbox: &crate::rows::InboxRow) -> Value {
    json!({
        "id": inbox.id,
        "avatar_url": "",
        "channel_id": inbox.channel_id,
        "name": inbox.name,
        "channel_type": inbox.channel_type,
        "provider": null,
    })
}

/// The row as the table has it, which a new contact's inbox comes with.
fn full(inbox: &crate::rows::InboxRow, account: i64) -> Value {
    let mut body = json!({
        "id": inbox.id,
        "channel_id": inbox.channel_id,
        "account_id": account,
        "name": inbox.name,
        "created_at": iso(inbox.created_at),
        "updated_at": iso(inbox.created_at),
        "channel_type": inbox.channel_type,
        "email_address": null,
        "auto_assignment_config": {},
        "lock_to_single_conversation": inbox.lock_to_single_conversation,
        "portal_id": null,
    });
    for field in FIELDS {
        body[field] = inbox.fields.get(field).cloned().unwrap_or_default();
    }
    body
}

async fn create(Handed(shared): Handed<Arc<Shared>>, _: Caller, params: Params) -> Answer {
    let mut state = shared.lock();
    let mut contact = state.blank_contact();
    apply(&mut contact, &params);
    let (inbox, source) = (params.int("inbox_id"), params.present("source_id"));
    if let Some(inbox) = inbox {
        state.inbox(inbox)?;
        let taken =
            state.contact_inboxes.values().any(|row| row.inbox_id == inbox && Some(&row.source_id) == source.as_ref());
        if taken {
            return Err(Refusal::broken());
        }
    }
    let id = state.save_contact(contact)?;
    let mut payload = json!({ "contact": null, "contact_inbox": { "inbox": null, "source_id": null } });
    if let Some(inbox) = inbox {
        let row = state.contact_inbox_for(id, inbox, source).map_err(|Taken| Refusal::broken())?;
        let row = state.contact_inboxes.get(&row).ok_or_else(Refusal::broken)?;
        let full = state.inboxes.get(&inbox).map(|inbox| full(inbox, state.account_id));
        payload["contact_inbox"] = json!({ "inbox": full, "source_id": row.source_id });
    }
    payload["contact"] = state.contact_json(state.contact(id)?, true);
    Ok(Json(json!({ "payload": payload })).into_response())
}

/// Contacts that can be told apart by something; the others are in no list.
fn resolved(state: &State) -> Vec<&Contact> {
    let known = |contact: &&Contact| {
        let all = [&contact.email, &contact.phone_number, &contact.identifier];
        all.into_iter().flatten().any(|text| !text.is_empty())
    };
    state.contacts.values().filter(known).collect()
}

fn listed(state: &State, found: Vec<&Contact>, params: &Params) -> Value {
    let with_inboxes = params.flag("include_contact_inboxes").unwrap_or(true);
    let total = found.len();
    let (rows, number, more) = page(found, params, PAGE);
    let payload: Vec<_> = rows.into_iter().map(|contact| state.contact_json(contact, with_inboxes)).collect();
    let count = if params.has("q") { payload.len() } else { total };
    json!({ "meta": { "count": count, "current_page": number, "has_more": more }, "payload": payload })
}

async fn list(Handed(shared): Handed<Arc<Shared>>, _: Caller, params: Params) -> Answer {
    let state = shared.lock();
    Ok(Json(listed(&state, resolved(&state), &params)).into_response())
}

async fn search(Handed(shared): Handed<Arc<Shared>>, _: Caller, params: Params) -> Answer {
    let mut state = shared.lock();
    let (limit, now) = (state.limits.searches_per_minute, state.now());
    if !state.throttles.admit("search", limit, Duration::from_secs(60), now) {
        return Err(Refusal::throttled());
    }
    let Some(wanted) = params.present("q") else {
        let meta = json!({ "count": null, "current_page": 1, "has_more": null });
        return Ok(Json(json!({ "meta": meta, "payload": [] })).into_response());
    };
    let (wanted, exact) = (wanted.trim().to_lowercase(), wanted.trim().to_owned());
    let holds = |text: &Option<String>| text.as_ref().is_some_and(|text| text.to_lowercase().contains(&wanted));
    let found = resolved(&state)
        .into_iter()
        .filter(|contact| {
            contact.name.to_lowercase().contains(&wanted)
                || holds(&contact.email)
                || holds(&contact.phone_number)
                || contact.identifier.as_ref().is_some_and(|identifier| identifier.contains(&exact))
        })
        .collect();
    Ok(Json(listed(&state, found, &params)).into_response())
}

/// What contacts can be filtered by, in the order in which a refusal names it.
const FILTER_KEYS: [&str; 11] = [
    "name",
    "phone_number",
    "email",
    "identifier",
    "country_code",
    "city",
    "company_name",
    "labels",
    "created_at",
    "last_activity_at",
    "blocked",
];

async fn filter(Handed(shared): Handed<Arc<Shared>>, _: Caller, params: Params) -> Answer {
    let state = shared.lock();
    let own = |key: &str| state.definitions.values().any(|row| row.model == Model::Contact && row.key == key);
    let conditions = Condition::read(&params, state.language, &FILTER_KEYS, own)?;
    let conditions: Vec<_> = conditions.into_iter().map(Condition::of_contacts).collect();
    let found = resolved(&state)
        .into_iter()
        .filter(|contact| {
            all_fit(&conditions, |condition| condition.fits(attribute(contact, &condition.key).as_deref()))
        })
        .collect();
    let mut body = listed(&state, found, &params);
    // Whether more follows is told by the other two lists alone.
    if let Some(meta) = body["meta"].as_object_mut() {
        meta.remove("has_more");
    }
    Ok(Json(body).into_response())
}

async fn show(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let state = shared.lock();
    let contact = state.contact(caller.id("contact")?)?;
    Ok(Json(json!({ "payload": state.contact_json(contact, true) })).into_response())
}

async fn update(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    let mut state = shared.lock();
    let mut contact = state.contact(caller.id("contact")?)?.clone();
    apply(&mut contact, &params);
    let id = state.save_contact(contact)?;
    Ok(Json(json!({ "payload": state.contact_json(state.contact(id)?, true) })).into_response())
}

async fn destroy(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    caller.administrator()?;
    shared.lock().delete_contact(caller.id("contact")?)?;
    Ok(StatusCode::OK.into_response())
}

async fn destroy_custom_attributes(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    let mut state = shared.lock();
    let mut contact = state.contact(caller.id("contact")?)?.clone();
    for key in params.strings("custom_attributes").unwrap_or_default() {
        contact.custom_attributes.remove(&key);
    }
    let id = state.save_contact(contact)?;
    Ok(Json(json!({ "payload": state.contact_json(state.contact(id)?, true) })).into_response())
}

async fn create_contact_inbox(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    let mut state = shared.lock();
    let contact = state.contact(caller.id("contact")?)?.id;
    let inbox = params.int("inbox_id").ok_or_else(|| Refusal::not_found(state.language))?;
    state.inbox(inbox)?;
    let row =
        state.contact_inbox_for(contact, inbox, params.present("source_id")).map_err(|Taken| Refusal::broken())?;
    Ok(Json(state.contact_inboxes.get(&row).map(|row| state.contact_inbox_json(row))).into_response())
}

async fn contactable_inboxes(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let state = shared.lock();
    let contact = state.contact(caller.id("contact")?)?.id;
    // Every API inbox there is; where the contact was never in one, with an id made up for this answer.
    let inboxes = state.inboxes.values().filter(|inbox| inbox.is_api());
    let payload: Vec<_> = inboxes
        .map(|inbox| {
            let mut rows = state.contact_inboxes.values();
            let known = rows.find(|row| row.contact_id == contact && row.inbox_id == inbox.id);
            let source = known.map_or_else(|| Uuid::new_v4().to_string(), |row| row.source_id.clone());
            json!({ "inbox": slim(inbox), "source_id": source })
        })
        .collect();
    Ok(Json(json!({ "payload": payload })).into_response())
}

async fn conversations(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let state = shared.lock();
    let contact = state.contact(caller.id("contact")?)?.id;
    let mut theirs: Vec<_> = state
        .conversations
        .values()
        .filter(|row| row.contact_id == contact && caller.sees(&state, row.inbox_id))
        .collect();
    theirs.sort_by_key(|row| std::cmp::Reverse((row.last_activity_at, row.id)));
    theirs.truncate(20);
    let payload = theirs.into_iter().map(|row| state.conversation_json(row)).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(json!({ "payload": payload })).into_response())
}

async fn labels(Handed(shared): Handed<Arc<Shared>>, caller: Caller) -> Answer {
    let state = shared.lock();
    Ok(Json(json!({ "payload": state.contact(caller.id("contact")?)?.labels })).into_response())
}

async fn set_labels(Handed(shared): Handed<Arc<Shared>>, caller: Caller, params: Params) -> Answer {
    let mut state = shared.lock();
    let mut contact = state.contact(caller.id("contact")?)?.clone();
    contact.labels = params.strings("labels").unwrap_or_default();
    let labels = contact.labels.clone();
    state.save_contact(contact)?;
    Ok(Json(json!({ "payload": labels })).into_response())
}

/// The exact look-up. Nothing found is a 404 without a body; a row whose contact is being deleted breaks it.
async fn find_by_source(Handed(shared): Handed<Arc<Shared>>, _: Caller, params: Params) -> Answer {
    let state = shared.lock();
    let inbox = state.inbox(params.int("inbox_id").unwrap_or(0))?.id;
    let source = params.text("source_id");
    let row =
        state.contact_inboxes.values().find(|row| row.inbox_id == inbox && Some(&row.source_id) == source.as_ref());
    let row = row.ok_or_else(Refusal::empty_not_found)?;
    let contact = state.contacts.get(&row.contact_id).ok_or_else(Refusal::broken)?;
    Ok(Json(state.contact_json(contact, true)).into_response())
}

async fn merge(Handed(shared): Handed<Arc<Shared>>, _: Caller, params: Params) -> Answer {
    let mut state = shared.lock();
    let id = |key: &str| params.int(key).ok_or_else(|| Refusal::not_found(state.language));
    let (base, mergee) = (id("base_contact_id")?, id("mergee_contact_id")?);
    state.merge_contacts(base, mergee)?;
    Ok(Json(state.contact_json(state.contact(base)?, false)).into_response())
}
