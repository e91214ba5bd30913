//! Reading numbers and files by id; templates; the contact book.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Path, Query, State as Shared},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{error::GraphError, media, ok, onboarding};
use crate::{Number, world::World};

/// `GET /{id}`: a number or a file.
pub(super) async fn read(
    Shared(world): Shared<Arc<World>>,
    Path((version, id)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let answer =
        super::version(&version).and_then(|()| super::access(&world, &headers)).and_then(|access| {
            match access.numbers.iter().find(|number| number.phone_number_id == id) {
                Some(number) => describe(&world, number, query.get("fields")).map(ok),
                None if access.accounts.contains(&id) => {
                    onboarding::allowed(&access.facts)?;
                    Ok(ok(onboarding::describe_account(&world, &id, &query)))
                }
                None => media::describe(&world, &access.numbers, &id, &query),
            }
        });
    answer.unwrap_or_else(GraphError::into_response)
}

/// A number's fields: those asked for, or those that Meta tells by itself. Refused if this version does not know one of them.
pub(super) fn describe(world: &World, number: &Number, fields: Option<&String>) -> Result<Value, GraphError> {
    let mut state = world.state();
    let asked = fields.map_or("display_phone_number,verified_name,quality_rating", String::as_str);
    if let Some(field) =
        asked.split(',').map(str::trim).find(|f| state.signup.rules.refused_fields.iter().any(|no| no == f))
    {
        return Err(GraphError::new(400, 100, format!("(#100) Tried accessing nonexisting field ({field})")));
    }
    let serves = state.is_registered(number);
    let status = state.number_status.get(&number.phone_number_id).cloned();
    let quality = state.number_quality.clone().unwrap_or_else(|| if serves { "GREEN" } else { "UNKNOWN" }.to_owned());
    let line = state.line(&number.phone_number_id);
    let level = match (number.coexistence, serves) {
        (true, _) => "STANDARD_COEXISTENCE",
        (_, true) => "STANDARD",
        _ => "NOT_APPLICABLE",
    };
    let can_send = if serves && status.is_none() { "AVAILABLE" } else { "BLOCKED" };
    let all = json!({
        "display_phone_number": number.display_phone_number, "verified_name": line.verified_name,
        "code_verification_status": line.verification, "quality_rating": quality,
        "status": status.as_deref().unwrap_or(if serves { "CONNECTED" } else { "PENDING" }),
        "platform_type": if serves && !line.on_phone_alone { "CLOUD_API" } else { "NOT_APPLICABLE" },
        "is_on_biz_app": line.on_phone_alone || number.coexistence && status.is_none(),
        "name_status": if serves { "APPROVED" } else { "PENDING_REVIEW" }, "is_pin_enabled": line.pin.is_some(),
        "throughput": {"level": level}, "whatsapp_business_manager_messaging_limit": "TIER_1K",
        "health_status": {"can_send_message": can_send, "entities": [
            {"entity_type": "PHONE_NUMBER", "id": number.phone_number_id, "can_send_message": can_send}]},
    });
    Ok(chosen(&number.phone_number_id, &all, asked))
}

/// The id and those members that are asked for, as far as they exist.
pub(super) fn chosen(id: &str, all: &Value, asked: &str) -> Value {
    let mut answer = json!({ "id": id });
    for field in asked.split(',').map(str::trim) {
        if let Some(value) = all.get(field) {
            answer[field] = value.clone();
        }
    }
    answer
}

/// `GET /{waba}/message_templates`, filtered, paged by `limit` and `after`; with `fields`, nothing but these and the id.
pub(super) async fn templates(
    Shared(world): Shared<Arc<World>>,
    Path((version, waba)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let own = super::version(&version).and_then(|()| super::access(&world, &headers)).and_then(|access| {
        onboarding::allowed(&access.facts)?;
        if access.accounts.contains(&waba) { Ok(()) } else { Err(GraphError::not_visible("GET", &waba)) }
    });
    if let Err(error) = own {
        return error.into_response();
    }
    let asked = |key: &str, value: &Value| query.get(key).is_none_or(|asked| value[key] == asked.as_str());
    let all: Vec<_> = world.state().templates.get(&waba).cloned().unwrap_or_default();
    let filters = ["name", "status", "language", "category"];
    let mut matching: Vec<_> =
        all.into_iter().filter(|template| filters.iter().all(|key| asked(key, template))).collect();
    if let Some(fields) = query.get("fields") {
        let asked: Vec<_> = fields.split(',').map(str::trim).collect();
        let members = matching.iter_mut().filter_map(Value::as_object_mut);
        members.for_each(|members| members.retain(|key, _| key == "id" || asked.contains(&key.as_str())));
    }
    let number = |key: &str| query.get(key).and_then(|value| value.parse::<usize>().ok());
    let (from, limit) = (number("after").unwrap_or(0), number("limit").unwrap_or(25));
    let page: Vec<_> = matching.iter().skip(from).take(limit).collect();
    let until = from + page.len();
    let mut paging = json!({"cursors": {"before": from.to_string(), "after": until.to_string()}});
    if until < matching.len() {
        let base = world.base_url.get().map_or("", String::as_str);
        let kept = query.iter().filter(|(key, _)| !matches!(key.as_str(), "after" | "limit"));
        let kept = kept.map(|(key, value)| format!("&{key}={value}")).collect::<Vec<_>>().concat();
        let path = format!("{base}/{version}/{waba}/message_templates");
        paging["next"] = format!("{path}?limit={limit}&after={until}{kept}").into();
    }
    ok(json!({"data": page, "paging": paging}))
}

/// `DELETE /{phone_number_id}/contact_book`: Meta forgets which phone belongs to a user id.
pub(super) async fn forget_contact(
    Shared(world): Shared<Arc<World>>,
    Path((version, object)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let number = super::version(&version).and_then(|()| super::number(&world, &headers, "DELETE", &object));
    let bsuid = query.get("bsuid").filter(|bsuid| !bsuid.is_empty());
    match (number, bsuid) {
        (Err(error), _) => error.into_response(),
        (_, None) => GraphError::missing("Parameter 'bsuid' is mandatory.").into_response(),
        _ if query.get("messaging_product").map(String::as_str) != Some("whatsapp") => {
            GraphError::new(400, 100, "(#100) The parameter messaging_product is required.").into_response()
        }
        (Ok(_), Some(bsuid)) => {
            let mut state = world.state();
            let known = state.person(bsuid).is_some() && !state.contact_book_deletions.contains(bsuid);
            state.contact_book_deletions.push(bsuid.clone());
            ok(json!({"success": true, "deleted": known}))
        }
    }
}
