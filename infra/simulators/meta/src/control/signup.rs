//! Signups by HTTP: what may happen in the dialog and after it, and what is known of numbers, launches and tokens.

use axum::{
    Json, Router,
    extract::State as Shared,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{refusal, told};
use crate::{AccountUpdate, Choice, Meta, Past, SignupRules, prospect, prospect::Prospect};

/// The routes, below those of the control page.
pub(super) fn router() -> Router<Meta> {
    Router::new()
        .route("/signup", get(show))
        .route("/signup/settings", post(set))
        .route("/signup/prospects", post(add_prospect))
        .route("/signup/dialog", post(dialog))
        .route("/signup/past", post(set_past))
        .route("/signup/updates", post(update))
        .route("/signup/tokens/end", post(end_tokens))
        .route("/signup/hide", post(hide))
        .route("/signup/move", post(move_number))
        .route("/signup/pin", post(set_pin))
        .route("/signup/callbacks", post(set_callbacks))
        .route("/signup/deauthorize", post(deauthorize))
        .route("/signup/deletion", post(delete))
}

async fn show(Shared(meta): Shared<Meta>) -> Json<Value> {
    let subscribed = meta.subscribed_accounts();
    let mut state = meta.world.state();
    let (numbers, withdrawn) = (state.numbers.clone(), state.withdrawn.clone());
    let numbers: Vec<_> = numbers
        .iter()
        .map(|number| {
            let line = state.line(&number.phone_number_id);
            json!({
                "phone_number_id": number.phone_number_id, "waba_id": number.waba_id,
                "display_phone_number": number.display_phone_number, "coexistence": number.coexistence,
                "joined_at": line.joined_at.map(|at| at.as_secs()), "verification": line.verification,
                "registered": line.registered, "pin": line.pin, "asked": line.asked,
                "sent_code": line.sent_code.as_ref().map(|sent| &sent.code),
                "withdrawn": withdrawn.contains(&number.phone_number_id),
            })
        })
        .collect();
    let accounts = state.signup.accounts.iter().map(|(id, account)| {
        json!({"waba_id": id, "name": account.name, "owner": account.owner, "person": account.person,
            "subscribed": subscribed.contains(id)})
    });
    let tokens = state.signup.issued.iter().map(|token| {
        let grant = state.signup.grants.get(token);
        json!({"accounts": grant.map(|grant| &grant.accounts), "issued_at": grant.map(|grant| grant.issued_at.as_secs()),
            "ended": state.signup.ended.get(token), "expires_at": state.subscriptions.facts(token).expires_at})
    });
    Json(json!({
        "settings": state.signup.rules, "accounts": accounts.collect::<Vec<_>>(), "numbers": numbers,
        "launches": state.signup.launches, "tokens": tokens.collect::<Vec<_>>(),
    }))
}

async fn set(Shared(meta): Shared<Meta>, Json(rules): Json<SignupRules>) -> StatusCode {
    meta.set_signup(rules);
    StatusCode::NO_CONTENT
}

async fn add_prospect(Shared(meta): Shared<Meta>, Json(prospect): Json<Prospect>) -> StatusCode {
    meta.add_prospect(prospect);
    StatusCode::NO_CONTENT
}

async fn dialog(Shared(meta): Shared<Meta>, Json(choice): Json<Choice>) -> Response {
    match meta.dialog(choice).await {
        Ok(done) => Json(done).into_response(),
        Err(error) => refusal(StatusCode::NOT_FOUND, &format!("{error:#}")),
    }
}

#[derive(Deserialize)]
struct OfNumber<T> {
    phone_number_id: String,
    #[serde(flatten)]
    content: T,
}

async fn set_past(Shared(meta): Shared<Meta>, Json(mut past): Json<Value>) -> Response {
    let number = past.as_object_mut().and_then(|members| members.remove("phone_number_id"));
    let Some(number) = number.as_ref().and_then(Value::as_str) else {
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, "whose past is not said");
    };
    match serde_json::from_value::<Past>(past) {
        Ok(past) => {
            meta.set_past(number, past);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => refusal(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}

#[derive(Deserialize)]
struct Update {
    waba_id: String,
    event: AccountUpdate,
}

async fn update(Shared(meta): Shared<Meta>, Json(update): Json<Update>) -> Response {
    told(meta.account_update(&update.waba_id, update.event).await)
}

#[derive(Deserialize)]
struct Ended {
    waba_id: String,
    subcode: u32,
}

async fn end_tokens(Shared(meta): Shared<Meta>, Json(ended): Json<Ended>) -> StatusCode {
    meta.end_tokens(&ended.waba_id, ended.subcode);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Hidden {
    hidden: bool,
}

async fn hide(Shared(meta): Shared<Meta>, Json(of): Json<OfNumber<Hidden>>) -> StatusCode {
    meta.hide_number(&of.phone_number_id, of.content.hidden);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Moved {
    from: String,
    to: String,
}

async fn move_number(Shared(meta): Shared<Meta>, Json(moved): Json<Moved>) -> StatusCode {
    meta.move_number(&moved.from, &moved.to);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Pin {
    pin: Option<String>,
}

async fn set_pin(Shared(meta): Shared<Meta>, Json(of): Json<OfNumber<Pin>>) -> StatusCode {
    meta.set_pin(&of.phone_number_id, of.content.pin.as_deref());
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Callbacks {
    #[serde(default)]
    deauthorize: Option<String>,
    #[serde(default)]
    deletion: Option<String>,
}

async fn set_callbacks(Shared(meta): Shared<Meta>, Json(callbacks): Json<Callbacks>) -> StatusCode {
    meta.set_callbacks(callbacks.deauthorize.as_deref(), callbacks.deletion.as_deref());
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct Who {
    #[serde(default = "somebody")]
    user_id: String,
}

fn somebody() -> String {
    prospect::PERSON.into()
}

async fn deauthorize(Shared(meta): Shared<Meta>, Json(who): Json<Who>) -> Response {
    answered(meta.deauthorize(&who.user_id).await)
}

async fn delete(Shared(meta): Shared<Meta>, Json(who): Json<Who>) -> Response {
    answered(meta.asks_deletion(&who.user_id).await)
}

/// What the callback answered.
fn answered(result: anyhow::Result<(u16, Value)>) -> Response {
    match result {
        Ok((status, body)) => Json(json!({"status": status, "body": body})).into_response(),
        Err(error) => refusal(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    }
}
