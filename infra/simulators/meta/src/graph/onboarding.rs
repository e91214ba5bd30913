//! What a number is set up with: accounts and their numbers, subscriptions of the app.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{Path, Query, State as Shared},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{error::GraphError, objects, ok, params::Params, success};
use crate::{Number, TokenFacts, world::World};

/// The permission that reading and changing an account needs.
const MANAGEMENT: &str = "whatsapp_business_management";
/// How many entries a page has, if it is not said.
const PAGE: usize = 25;

type Asked = (Shared<Arc<World>>, Path<(String, String)>, HeaderMap);

/// The numbers of an account that the token sees, if it may manage it.
fn account(world: &World, headers: &HeaderMap, method: &str, waba: &str) -> Result<Vec<Number>, GraphError> {
    let access = super::access(world, headers)?;
    allowed(&access.facts)?;
    if !access.accounts.iter().any(|own| own == waba) {
        return Err(GraphError::not_visible(method, waba));
    }
    Ok(access.numbers.into_iter().filter(|number| number.waba_id == waba).collect())
}

/// A number that the token sees and may manage.
pub(super) fn managed(world: &World, headers: &HeaderMap, method: &str, id: &str) -> Result<Number, GraphError> {
    let access = super::access(world, headers)?;
    let own = access.numbers.into_iter().find(|number| number.phone_number_id == id);
    let own = own.ok_or_else(|| GraphError::not_visible(method, id))?;
    allowed(&access.facts).map(|()| own)
}

pub(super) fn allowed(facts: &TokenFacts) -> Result<(), GraphError> {
    if facts.scopes.iter().any(|scope| scope == MANAGEMENT) {
        return Ok(());
    }
    Err(GraphError::new(403, 200, format!("(#200) You do not have the necessary permissions required: {MANAGEMENT}")))
}

/// What `GET /{waba}` answers.
pub(super) fn describe_account(world: &World, waba: &str, query: &HashMap<String, String>) -> Value {
    let account = world.state().account(waba);
    let mut all = json!({"name": account.name, "timezone_id": "94", "currency": "MXN",
        "message_template_namespace": "5b9e4fd8_5e0f_4a4e_9f0b_2f6c1f6a7d10"});
    if let Some((id, name)) = account.owner {
        all["owner_business_info"] = json!({"name": name, "id": id});
    }
    let asked = query.get("fields").map_or("name,timezone_id,currency,message_template_namespace", String::as_str);
    objects::chosen(waba, &all, asked)
}

/// `GET /{waba}/phone_numbers`, paged by `limit` and `after`.
pub(super) async fn phone_numbers(
    Shared(world): Shared<Arc<World>>,
    Path((version, waba)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let listed = super::version(&version).and_then(|()| account(&world, &headers, "GET", &waba)).and_then(|numbers| {
        let number = |key: &str| query.get(key).and_then(|value| value.parse::<usize>().ok());
        let (from, limit) = (number("after").unwrap_or(0), number("limit").unwrap_or(PAGE).max(1));
        let page = numbers.iter().skip(from).take(limit);
        let page: Vec<_> =
            page.map(|number| objects::describe(&world, number, query.get("fields"))).collect::<Result<_, _>>()?;
        if page.is_empty() {
            return Ok(json!({"data": []}));
        }
        let until = from + page.len();
        let mut paging = json!({"cursors": {"before": from.to_string(), "after": until.to_string()}});
        if until < numbers.len() {
            let base = world.base_url.get().map_or("", String::as_str);
            let fields = query.get("fields").map(|fields| format!("&fields={fields}")).unwrap_or_default();
            let path = format!("{base}/{version}/{waba}/phone_numbers");
            paging["next"] = format!("{path}?limit={limit}&after={until}{fields}").into();
        }
        Ok(json!({"data": page, "paging": paging}))
    });
    listed.map_or_else(GraphError::into_response, ok)
}

/// `GET /{waba}/subscribed_apps`.
pub(super) async fn subscribed_apps((Shared(world), Path((version, waba)), headers): Asked) -> Response {
    let asked = super::version(&version).and_then(|()| account(&world, &headers, "GET", &waba));
    if let Err(error) = asked {
        return error.into_response();
    }
    let id = world.state().subscriptions.app_id.clone().unwrap_or_default();
    let feeds = world.postman.feeds();
    let mut app = json!({"whatsapp_business_api_data": {
        "id": id, "link": format!("https://www.facebook.com/games/?app_id={id}"), "name": "LMotos"}});
    if let Some(own) = feeds.overrides.get(&waba) {
        app["override_callback_uri"] = own.clone().into();
    }
    let data: Vec<Value> = feeds.accounts.contains(&waba).then_some(app).into_iter().collect();
    ok(json!({ "data": data }))
}

/// `POST /{waba}/subscribed_apps`; with an address of its own for this account's webhooks, once the app is subscribed.
pub(super) async fn subscribe((Shared(world), Path((version, waba)), headers): Asked, params: Params) -> Response {
    if let Err(error) = super::version(&version).and_then(|()| account(&world, &headers, "POST", &waba)) {
        return error.into_response();
    }
    let Some(own) = params.get("override_callback_uri") else {
        world.postman.feeds().subscribe(&waba);
        return success();
    };
    if !world.postman.feeds().accounts.contains(&waba) {
        let message = "(#100) Before override the current callback uri, your app must be subscribed to receive messages for \
                       WhatsApp Business Account";
        return GraphError::new(400, 100, message).into_response();
    }
    let verified = match params.required("verify_token") {
        Ok(token) => verify(&world, own, token).await,
        Err(error) => Err(error),
    };
    if let Err(error) = verified {
        return error.into_response();
    }
    world.postman.feeds().overrides.insert(waba, own.to_owned());
    success()
}

/// `DELETE /{waba}/subscribed_apps`.
pub(super) async fn unsubscribe((Shared(world), Path((version, waba)), headers): Asked) -> Response {
    if let Err(error) = super::version(&version).and_then(|()| account(&world, &headers, "DELETE", &waba)) {
        return error.into_response();
    }
    world.postman.feeds().forget(&waba);
    success()
}

/// Asks an address whether it wants webhooks, as Meta does before it posts any.
async fn verify(world: &World, url: &str, token: &str) -> Result<(), GraphError> {
    let refused = || GraphError::new(400, 2200, "(#2200) Callback verification failed");
    let challenge = uuid::Uuid::new_v4().as_u128().to_string();
    let mut address = reqwest::Url::parse(url).map_err(|_| refused())?;
    let asked = [("hub.mode", "subscribe"), ("hub.challenge", &challenge), ("hub.verify_token", token)];
    address.query_pairs_mut().extend_pairs(asked);
    let answer = world.fetcher.get(address).timeout(crate::postman::MAX_WAIT).send().await.map_err(|_| refused())?;
    let status = answer.status().as_u16();
    let body = answer.text().await.map_err(|_| refused())?;
    if status == 200 && body.trim_matches('"') == challenge { Ok(()) } else { Err(refused()) }
}

/// `GET /{app}/subscriptions`: which fields are ticked. Only the app itself may ask.
pub(super) async fn subscriptions(
    Shared(world): Shared<Arc<World>>,
    Path((version, id)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = super::version(&version).and_then(|()| own_app(&world, &headers, &query, "GET", &id)) {
        return error.into_response();
    }
    let fields = world.postman.feeds().fields.clone();
    let Some(url) = world.postman.webhook().filter(|_| !fields.is_empty()) else { return ok(json!({"data": []})) };
    let fields: Vec<_> = fields.iter().map(|name| json!({"name": name, "version": version})).collect();
    let ours = json!({"object": "whatsapp_business_account", "callback_url": url, "active": true, "fields": fields});
    ok(json!({ "data": [ours] }))
}

/// `POST /{app}/subscriptions`: the address and all the fields, in the place of those before.
pub(super) async fn set_subscriptions(
    Shared(world): Shared<Arc<World>>,
    Path((version, id)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    let set = async {
        super::version(&version)?;
        own_app(&world, &headers, &query, "POST", &id)?;
        if params.required("object")? != "whatsapp_business_account" {
            return Err(GraphError::parameter("The object has no such webhooks here."));
        }
        let (url, token) = (params.required("callback_url")?, params.required("verify_token")?);
        let fields = params.required("fields")?;
        verify(&world, url, token).await?;
        world.postman.set_webhook(url);
        // A list as text, or as JSON.
        let names = fields.split(',').map(|name| name.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
        world.postman.feeds().fields = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Ok(())
    };
    set.await.map_or_else(GraphError::into_response, |()| success())
}

fn own_app(
    world: &World,
    headers: &HeaderMap,
    query: &HashMap<String, String>,
    method: &str,
    id: &str,
) -> Result<(), GraphError> {
    let app = super::oauth::app(world, headers, query)?;
    if app == id { Ok(()) } else { Err(GraphError::not_visible(method, id)) }
}
