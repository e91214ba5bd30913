//! What a number is set up with: tokens, accounts and their numbers, subscriptions of the app.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Path, Query, State as Shared},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{error::GraphError, ok, success};
use crate::{Number, subscriptions::TokenFacts, world::World};

/// The permission that reading and changing an account needs.
const MANAGEMENT: &str = "whatsapp_business_management";

type Asked = (Shared<Arc<World>>, Path<(String, String)>, HeaderMap);

/// `GET /debug_token`: what a token is good for. Only the app itself may ask.
pub(super) async fn debug_token(
    Shared(world): Shared<Arc<World>>,
    Path(version): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let app = super::version(&version).and_then(|()| app(&world, &headers, &query));
    let app = match app {
        Ok(app) => app,
        Err(error) => return error.into_response(),
    };
    let Some(token) = query.get("input_token").filter(|token| !token.is_empty()) else {
        return GraphError::new(400, 100, "(#100) The parameter input_token is required").into_response();
    };
    let state = world.state();
    let mut numbers = state.numbers.iter().filter(|number| number.access_token == *token).peekable();
    let withdrawn = numbers.peek().is_some_and(|number| state.withdrawn.contains(&number.phone_number_id));
    let facts = state.subscriptions.facts(token);
    let now = world.now().as_secs();
    if numbers.peek().is_none() || withdrawn || facts.expires_at.is_some_and(|end| end <= now) {
        let message = "The session has been invalidated because the user changed the password.";
        let error = json!({"code": 190, "subcode": 460, "message": message});
        return ok(json!({"data": {"app_id": app, "is_valid": false, "error": error, "scopes": []}}));
    }
    let mut accounts: Vec<_> = numbers.map(|number| number.waba_id.clone()).collect();
    accounts.dedup();
    let mut data = json!({
        "app_id": facts.app_id.clone().unwrap_or(app), "type": "SYSTEM_USER", "application": "LMotos",
        "data_access_expires_at": 0, "expires_at": facts.expires_at.unwrap_or(0), "is_valid": true, "issued_at": now,
        "scopes": facts.scopes, "user_id": "122100000000000001",
    });
    if facts.granular {
        let granular = facts.scopes.iter().filter(|scope| scope.starts_with("whatsapp_"));
        data["granular_scopes"] = granular.map(|scope| json!({"scope": scope, "target_ids": accounts})).collect();
    }
    ok(json!({ "data": data }))
}

/// The app whose own token this is, `id|secret`, in the header or as `access_token`.
fn app(world: &World, headers: &HeaderMap, query: &HashMap<String, String>) -> Result<String, GraphError> {
    let token = super::bearer(headers).or_else(|| query.get("access_token").map(String::as_str)).unwrap_or_default();
    let (id, secret) = token.split_once('|').ok_or_else(GraphError::token)?;
    let own = world.state().subscriptions.app_id.clone();
    if !world.postman.is_app_secret(secret) || own.is_some_and(|own| own != id) {
        return Err(GraphError::new(400, 1, "Error validating client secret."));
    }
    Ok(id.to_owned())
}

/// The numbers of an account that the token sees, if it may manage it.
fn account(world: &World, headers: &HeaderMap, method: &str, waba: &str) -> Result<Vec<Number>, GraphError> {
    let own = super::authorized(world, headers)?;
    let facts = world.state().subscriptions.facts(super::bearer(headers).unwrap_or_default());
    allowed(&facts)?;
    let numbers: Vec<_> = own.into_iter().filter(|number| number.waba_id == waba).collect();
    if numbers.is_empty() { Err(GraphError::not_visible(method, waba)) } else { Ok(numbers) }
}

pub(super) fn allowed(facts: &TokenFacts) -> Result<(), GraphError> {
    if facts.scopes.iter().any(|scope| scope == MANAGEMENT) {
        return Ok(());
    }
    Err(GraphError::new(403, 200, format!("(#200) You do not have the necessary permissions required: {MANAGEMENT}")))
}

/// `GET /{waba}/phone_numbers`.
pub(super) async fn phone_numbers(
    Shared(world): Shared<Arc<World>>,
    Path((version, waba)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let numbers = super::version(&version).and_then(|()| account(&world, &headers, "GET", &waba));
    match numbers {
        Ok(numbers) => {
            let shown = |number: &Number| super::objects::describe(number, None, query.get("fields"));
            let data: Vec<_> = numbers.iter().map(shown).collect();
            ok(json!({"data": data, "paging": {"cursors": {"before": "QVFI", "after": "QVFI"}}}))
        }
        Err(error) => error.into_response(),
    }
}

/// `GET /{waba}/subscribed_apps`.
pub(super) async fn subscribed_apps((Shared(world), Path((version, waba)), headers): Asked) -> Response {
    let asked = super::version(&version).and_then(|()| account(&world, &headers, "GET", &waba));
    if let Err(error) = asked {
        return error.into_response();
    }
    let state = world.state();
    let id = state.subscriptions.app_id.clone().unwrap_or_default();
    let app = json!({"whatsapp_business_api_data": {
        "id": id, "link": format!("https://www.facebook.com/games/?app_id={id}"), "name": "LMotos"}});
    let data: Vec<Value> = state.subscriptions.accounts.contains(&waba).then_some(app).into_iter().collect();
    ok(json!({ "data": data }))
}

/// `POST /{waba}/subscribed_apps`.
pub(super) async fn subscribe((Shared(world), Path((version, waba)), headers): Asked) -> Response {
    changed(&world, &version, &headers, "POST", &waba, true)
}

/// `DELETE /{waba}/subscribed_apps`.
pub(super) async fn unsubscribe((Shared(world), Path((version, waba)), headers): Asked) -> Response {
    changed(&world, &version, &headers, "DELETE", &waba, false)
}

fn changed(world: &World, version: &str, headers: &HeaderMap, method: &str, waba: &str, on: bool) -> Response {
    if let Err(error) = super::version(version).and_then(|()| account(world, headers, method, waba)) {
        return error.into_response();
    }
    let accounts = &mut world.state().subscriptions.accounts;
    if on {
        accounts.insert(waba.to_owned())
    } else {
        accounts.remove(waba)
    };
    success()
}

/// `GET /{app}/subscriptions`: which fields are ticked. Only the app itself may ask.
pub(super) async fn subscriptions(
    Shared(world): Shared<Arc<World>>,
    Path((version, id)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    match super::version(&version).and_then(|()| app(&world, &headers, &query)) {
        Err(error) => return error.into_response(),
        Ok(app) if app != id => return GraphError::not_visible("GET", &id).into_response(),
        Ok(_) => {}
    }
    let fields = world.state().subscriptions.fields.clone();
    let Some(url) = world.postman.webhook().filter(|_| !fields.is_empty()) else { return ok(json!({"data": []})) };
    let fields: Vec<_> = fields.iter().map(|name| json!({"name": name, "version": version})).collect();
    let ours = json!({"object": "whatsapp_business_account", "callback_url": url, "active": true, "fields": fields});
    ok(json!({ "data": [ours] }))
}
