//! The same by HTTP: for the runner's page, and for tests that have nothing else. All paths are relative.

mod signup;

use std::{collections::HashMap, sync::atomic::Ordering};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State as Shared},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use simulator_wire::Fault;

use crate::{Customer, Meta, Number, Rules, Statuses, TokenFacts, files, person};

impl Meta {
    /// Routes that move the customers and switch the faults; they can be nested anywhere. Refusals say why in `error`.
    pub fn control(&self) -> Router {
        Router::new()
            .route("/customers", get(customers).post(meet))
            .route("/customers/{wa_id}/chat", get(chat))
            .route("/customers/{wa_id}/text", post(text))
            .route("/customers/{wa_id}/message", post(message))
            .route("/customers/{wa_id}/file", post(file).layer(DefaultBodyLimit::disable()))
            .route("/customers/{wa_id}/tap", post(tap))
            .route("/customers/{wa_id}/read", post(read))
            .route("/customers/{wa_id}/marketing", post(marketing))
            .route("/templates", get(templates).put(set_templates).post(add_template))
            .route("/templates/status", post(set_template_status))
            .route("/files/{id}", get(serve))
            .route("/faults", get(faults).post(add_fault).delete(clear_faults))
            .route("/network", post(network))
            .route("/redeliver", post(redeliver))
            .route("/webhook", post(webhook))
            .route("/settings", post(set))
            .route("/numbers", post(add_number))
            .route("/tokens", post(set_token))
            .route("/subscriptions", get(subscriptions).post(tick))
            .merge(signup::router())
            .with_state(self.clone())
    }

    /// The customer in a path: by phone in any spelling, else by user id.
    fn known(&self, id: &str) -> Option<Customer> {
        let state = self.world.state();
        let by_phone = person::digits(id).and_then(|digits| state.person_by_phone(&digits));
        let user_id = by_phone.or_else(|| state.person(id))?.user_id.clone();
        Some(Customer::of(&self.world, &state, user_id))
    }

    /// The account that is meant: the first number's, unless another is named.
    fn account(&self, waba_id: Option<String>) -> String {
        let first = || self.world.state().numbers.first().map(|number| number.waba_id.clone());
        waba_id.or_else(first).unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Newcomer {
    name: String,
    wa_id: String,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    #[serde(default)]
    quote: Option<String>,
}

#[derive(Deserialize)]
struct Network {
    up: bool,
}

async fn customers(Shared(meta): Shared<Meta>) -> Response {
    let people = meta.world.state().people.clone();
    let list = people.iter().map(|person| {
        let typing = meta.known(&person.user_id).is_some_and(|customer| customer.sees_typing());
        json!({"name": person.name, "wa_id": person.wa_id, "user_id": person.user_id, "username": person.username,
            "typing": typing})
    });
    Json(list.collect::<Vec<_>>()).into_response()
}

async fn meet(Shared(meta): Shared<Meta>, Json(newcomer): Json<Newcomer>) -> Response {
    let Some(digits) = person::digits(&newcomer.wa_id) else {
        return refusal(StatusCode::BAD_REQUEST, "this is no phone number");
    };
    let customer = meta.customer(&newcomer.name, &digits);
    Json(json!({"name": newcomer.name, "wa_id": customer.wa_id(), "user_id": customer.user_id()})).into_response()
}

async fn chat(Shared(meta): Shared<Meta>, Path(id): Path<String>) -> Response {
    let Some(customer) = meta.known(&id) else { return stranger() };
    let phone = customer.phone();
    let bubbles = phone.iter().map(|bubble| {
        // A file that Meta fetched from an address has no id of its own.
        let file = bubble.media_id.clone().or_else(|| bubble.bytes.as_ref().map(|_| in_path(&bubble.wamid)));
        json!({
            "from_business": bubble.from_business, "kind": bubble.kind, "text": bubble.text, "status": bubble.status,
            "filename": bubble.filename, "mime": bubble.mime, "wamid": bubble.wamid, "quoted": bubble.quoted,
            "at": bubble.at.as_secs(), "options": bubble.options.iter().map(|option| &option.title).collect::<Vec<_>>(),
            "file_url": file.map(|id| format!("/files/{id}")), "layout": bubble.layout,
        })
    });
    Json(bubbles.collect::<Vec<_>>()).into_response()
}

/// An id of Meta's as one segment of a path.
fn in_path(id: &str) -> String {
    id.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

async fn text(Shared(meta): Shared<Meta>, Path(id): Path<String>, Json(body): Json<Text>) -> Response {
    let Some(customer) = meta.known(&id) else { return stranger() };
    sent(match &body.quote {
        Some(wamid) => customer.replies_to(wamid, &body.text).await,
        None => customer.writes(&body.text).await,
    })
}

/// A message of any type, as Meta writes it: `type` and the object named like it.
async fn message(Shared(meta): Shared<Meta>, Path(id): Path<String>, Json(message): Json<Value>) -> Response {
    let Some(customer) = meta.known(&id) else { return stranger() };
    sent(customer.sends(message).await)
}

/// What is tapped under which message.
#[derive(Deserialize)]
struct Tap {
    wamid: String,
    title: String,
}

async fn tap(Shared(meta): Shared<Meta>, Path(id): Path<String>, Json(tap): Json<Tap>) -> Response {
    let Some(customer) = meta.known(&id) else { return stranger() };
    sent(customer.taps(&tap.wamid, &tap.title).await)
}

async fn file(
    Shared(meta): Shared<Meta>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(customer) = meta.known(&id) else { return stranger() };
    let given = |key: &str| query.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let header = headers.get("content-type").and_then(|value| value.to_str().ok());
    let mime = given("mime").or(header).unwrap_or("application/octet-stream");
    let kind = given("kind").unwrap_or_else(|| kind_of(mime));
    let caption = given("caption").filter(|_| matches!(kind, "image" | "video" | "document"));
    sent(customer.sends_file(kind, body.to_vec(), mime, given("name"), caption).await)
}

/// What a phone would send a file as.
fn kind_of(mime: &str) -> &'static str {
    match mime.split(';').next().unwrap_or_default().trim() {
        "image/jpeg" | "image/png" => "image",
        "image/webp" => "sticker",
        "video/mp4" | "video/3gpp" => "video",
        "audio/ogg" => "voice",
        mime if mime.starts_with("audio/") => "audio",
        _ => "document",
    }
}

async fn read(Shared(meta): Shared<Meta>, Path(id): Path<String>) -> Response {
    let Some(customer) = meta.known(&id) else { return stranger() };
    customer.reads_all().await;
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
struct Marketing {
    wanted: bool,
}

async fn marketing(Shared(meta): Shared<Meta>, Path(id): Path<String>, Json(marketing): Json<Marketing>) -> Response {
    let Some(customer) = meta.known(&id) else { return stranger() };
    told(if marketing.wanted { customer.resumes_marketing().await } else { customer.stops_marketing().await })
}

async fn templates(Shared(meta): Shared<Meta>) -> Response {
    Json(meta.world.state().templates.clone()).into_response()
}

/// Without `waba_id` it is the account of the first number.
#[derive(Deserialize)]
struct Given<T> {
    #[serde(default)]
    waba_id: Option<String>,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
struct Templates {
    templates: Vec<Value>,
}

async fn set_templates(Shared(meta): Shared<Meta>, Json(given): Json<Given<Templates>>) -> StatusCode {
    meta.set_templates(&meta.account(given.waba_id), given.content.templates);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Template {
    template: Value,
}

async fn add_template(Shared(meta): Shared<Meta>, Json(given): Json<Given<Template>>) -> StatusCode {
    meta.add_template(&meta.account(given.waba_id), given.content.template);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Decision {
    name: String,
    language: String,
    event: String,
}

async fn set_template_status(Shared(meta): Shared<Meta>, Json(given): Json<Given<Decision>>) -> Response {
    let account = meta.account(given.waba_id);
    let Decision { name, language, event } = given.content;
    if meta.world.state().template(&account, &name, &language).is_none() {
        return refusal(StatusCode::NOT_FOUND, "the account has no such template");
    }
    told(meta.set_template_status(&account, &name, &language, &event).await)
}

async fn serve(Shared(meta): Shared<Meta>, Path(id): Path<String>) -> Response {
    let state = meta.world.state();
    if let Some(media) = state.media.get(&id) {
        return files::answer(&media.bytes, &media.mime, media.filename.as_deref());
    }
    let bubble = state.message(&id).map(|message| &message.bubble);
    match bubble.and_then(|bubble| Some((bubble, bubble.bytes.as_ref()?, bubble.mime.as_deref()?))) {
        Some((bubble, bytes, mime)) => files::answer(bytes, mime, bubble.filename.as_deref()),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn faults(Shared(meta): Shared<Meta>) -> Json<Vec<Fault>> {
    Json(meta.faults().list())
}

async fn add_fault(Shared(meta): Shared<Meta>, Json(fault): Json<Fault>) -> StatusCode {
    meta.faults().add(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(Shared(meta): Shared<Meta>) -> StatusCode {
    meta.faults().clear();
    StatusCode::NO_CONTENT
}

async fn network(Shared(meta): Shared<Meta>, Json(network): Json<Network>) -> Response {
    let was_down = meta.down.swap(!network.up, Ordering::SeqCst);
    if !network.up {
        meta.server().refuse().await;
    }
    if !network.up || !was_down {
        return StatusCode::NO_CONTENT.into_response();
    }
    if meta.server().accept().is_ok() {
        return StatusCode::NO_CONTENT.into_response();
    }
    refusal(StatusCode::SERVICE_UNAVAILABLE, "the port was taken meanwhile")
}

/// What is left out stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switches {
    #[serde(default)]
    rules: Option<Rules>,
    #[serde(default)]
    statuses: Option<Statuses>,
}

async fn set(Shared(meta): Shared<Meta>, Json(switches): Json<Switches>) -> StatusCode {
    if let Some(rules) = switches.rules {
        meta.set_rules(rules);
    }
    if let Some(statuses) = switches.statuses {
        meta.set_statuses(statuses);
    }
    StatusCode::NO_CONTENT
}

async fn add_number(Shared(meta): Shared<Meta>, Json(number): Json<Number>) -> StatusCode {
    meta.add_number(number);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Token {
    token: String,
    #[serde(flatten)]
    facts: TokenFacts,
}

async fn set_token(Shared(meta): Shared<Meta>, Json(Token { token, facts }): Json<Token>) -> StatusCode {
    meta.set_token_facts(&token, facts);
    StatusCode::NO_CONTENT
}

async fn subscriptions(Shared(meta): Shared<Meta>) -> Json<Value> {
    let fields = meta.world.postman.feeds().fields.clone();
    Json(json!({"accounts": meta.subscribed_accounts(), "fields": fields}))
}

#[derive(Deserialize)]
struct Ticked {
    fields: Vec<String>,
}

async fn tick(Shared(meta): Shared<Meta>, Json(ticked): Json<Ticked>) -> StatusCode {
    meta.tick(&ticked.fields.iter().map(String::as_str).collect::<Vec<_>>());
    StatusCode::NO_CONTENT
}

async fn redeliver(Shared(meta): Shared<Meta>) -> Response {
    told(meta.redeliver().await)
}

/// Any body, signed and posted once; answers what the webhook answered.
async fn webhook(Shared(meta): Shared<Meta>, body: Bytes) -> Response {
    match meta.post(&body).await {
        Ok(status) => Json(json!({"status": status})).into_response(),
        Err(error) => refusal(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    }
}

/// The message exists either way; where the webhook was refused, 502 says so and `redeliver` makes it good.
fn sent(result: anyhow::Result<String>) -> Response {
    match result {
        Ok(wamid) => Json(json!({"wamid": wamid})).into_response(),
        Err(error) => refusal(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    }
}

/// The same of what is no message.
fn told(result: anyhow::Result<()>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refusal(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    }
}

fn stranger() -> Response {
    refusal(StatusCode::NOT_FOUND, "nobody here has this number")
}

fn refusal(status: StatusCode, error: &str) -> Response {
    let body: Value = json!({"error": error});
    (status, Json(body)).into_response()
}
