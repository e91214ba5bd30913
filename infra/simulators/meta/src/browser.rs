//! What a browser loads of Meta: the SDK, and the dialog with a button for each outcome.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Query, State as Shared},
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::{
    graph, prospect,
    signup::{ALL, Choice, Joins, Offer, Outcome, SignedUp, forgery},
    world::World,
};

/// The feature type that asks for a number which stays on its phone.
const COEXISTENCE: &str = "whatsapp_business_app_onboarding";

/// The steps at which somebody can give up.
const STEPS: [&str; 6] = [
    "PHONE_NUMBER_VERIFICATION",
    "BUSINESS_ACCOUNT_SELECTION",
    "WABA_PHONE_PROFILE_PICKER",
    "WHATSAPP_BUSINESS_PROFILE_SETUP",
    "PHONE_NUMBER_SETUP",
    "PERMISSIONS",
];

/// Routes beside those of the Graph API; Meta has them under other names.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/sdk.js", get(sdk))
        .route("/{version}/sdk.js", get(sdk))
        .route("/dialog", get(open).post(close))
        .route("/dialog/oauth", get(open))
        .route("/{version}/dialog/oauth", get(open))
        .route("/dialog/forged", get(forged))
        .with_state(world)
}

async fn sdk() -> Response {
    ([("content-type", "application/x-javascript; charset=utf-8")], include_str!("browser/sdk.js")).into_response()
}

/// The dialog, in a window of the SDK's or as a page of its own.
async fn open(Shared(world): Shared<Arc<World>>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let mut launch = json!(asked);
    launch["extras"] = asked.get("extras").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut state = world.state();
    let rules = state.signup.rules.clone();
    let text = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let among = |all: &Option<Vec<String>>, one: &str| all.as_ref().is_none_or(|all| all.iter().any(|own| own == one));
    let own_app = state.subscriptions.app_id.clone();
    if text("config_id").is_empty() || !among(&rules.configs, text("config_id")) {
        return refused("La configuración no existe.");
    }
    if own_app.is_some_and(|own| own != text("client_id")) {
        return refused("La app no existe.");
    }
    if text("cb").is_empty() && (text("redirect_uri").is_empty() || !among(&rules.redirect_uris, text("redirect_uri")))
    {
        return refused("La dirección de regreso no está entre las válidas.");
    }
    let offered = match rules.coexistence {
        Offer::Always => true,
        Offer::Never => false,
        // Only a window's launch can ask: on a full page, `extras` is no parameter.
        Offer::Asked => {
            let extras = &launch["extras"];
            !text("cb").is_empty() && (extras["featureType"] == COEXISTENCE || extras["feature_type"] == COEXISTENCE)
        }
    };
    let mut numbers = String::new();
    for number in &state.numbers {
        let chosen = if number.phone_number_id == prospect::NUMBER { " selected" } else { "" };
        let name = state.account(&number.waba_id).name;
        let (id, display) = (escape(&number.phone_number_id), escape(&number.display_phone_number));
        let _ = write!(numbers, r#"<option value="{id}"{chosen}>+{display}, {}</option>"#, escape(&name));
    }
    let mut outcomes = String::new();
    for (outcome, words) in ALL {
        let id = outcome.name();
        let off = matches!(outcome.joins(), Joins::OnPhone | Joins::Several) && !offered;
        let off = if off { " disabled" } else { "" };
        let _ = writeln!(
            outcomes,
            r#"<button type="submit" name="outcome" value="{id}" id="{id}"{off}>{}</button>"#,
            escape(words)
        );
    }
    let steps: String = STEPS.iter().map(|step| format!("<option>{step}</option>")).collect();
    let offer = if offered {
        "Se ofrece conectar la app que ya está en un celular."
    } else {
        "No se ofrece conectar la app de un celular: quien lo pidió mal llega al camino de un número nuevo."
    };
    launch["offers_coexistence"] = offered.into();
    state.signup.launches.push(launch);
    let launch = (state.signup.launches.len() - 1).to_string();
    let page = include_str!("browser/dialog.html").replace("{{offer}}", offer).replace("{{launch}}", &launch);
    let page = page.replace("{{numbers}}", &numbers).replace("{{steps}}", &steps).replace("{{outcomes}}", &outcomes);
    Html(page).into_response()
}

/// A button of the dialog.
async fn close(Shared(world): Shared<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let form: HashMap<_, _> = graph::form(&body).into_iter().collect();
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let index = text("launch").parse::<usize>().ok();
    let launch = index.and_then(|index| world.state().signup.launches.get(index).cloned());
    let (Some(launch), Some(outcome)) = (launch, Outcome::named(text("outcome"))) else {
        return refused("El diálogo ya no existe.");
    };
    let of_launch = |name: &str| launch[name].as_str().unwrap_or_default();
    let redirect = Some(of_launch("redirect_uri")).filter(|uri| !uri.is_empty() && of_launch("cb").is_empty());
    let given = |name: &str| form.get(name).filter(|value| !value.is_empty()).cloned();
    let choice =
        Choice { outcome, number: given("number"), step: given("step"), redirect_uri: redirect.map(str::to_owned) };
    let Ok((done, _)) = world.dialog(&choice) else { return refused("El número ya no existe.") };
    if let Some(redirect) = redirect {
        return back(redirect, of_launch("state"), outcome, &done);
    }
    let forger = outcome.is_forged().then(|| format!("{}/dialog/forged", forger(&world, &headers)));
    let cb = of_launch("cb");
    let wants_code = of_launch("response_type") == "code" && of_launch("override_default_response_type") == "true";
    let answer = done.code.as_ref().map(|code| {
        // Whoever does not ask for a code is given a token, which the server cannot exchange.
        let what = if wants_code {
            format!("code={code}")
        } else {
            format!("access_token=EAA{code}&user_id={}", prospect::PERSON)
        };
        format!("cb={cb}&domain=localhost&relation=opener&result=1&{what}")
    });
    let event = done.events.get(usize::from(outcome.is_forged()));
    let result = json!({"cb": cb, "origin": of_launch("origin"), "event": event, "answer": answer, "forger": forger,
        "shape": text("shape"), "order": text("order")});
    Html(include_str!("browser/result.html").replace("{{result}}", &in_script(&result))).into_response()
}

/// What another origin claims: the same server under another name.
async fn forged() -> Response {
    Html(include_str!("browser/forged.html").replace("{{claim}}", &in_script(&forgery()))).into_response()
}

/// Where forged messages come from.
fn forger(world: &World, headers: &HeaderMap) -> String {
    if let Some(own) = world.state().signup.rules.forger.clone() {
        return own;
    }
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    format!("http://{}:{port}", if name == "localhost" { "127.0.0.1" } else { "localhost" })
}

/// Back to the page that asked, with a code or an error. A full page is told no event.
fn back(redirect: &str, state: &str, outcome: Outcome, done: &SignedUp) -> Response {
    if matches!(outcome, Outcome::Closed | Outcome::Nothing | Outcome::EventOnly) {
        return refused("El diálogo se cerró.");
    }
    let Ok(mut url) = reqwest::Url::parse(redirect) else { return refused("La dirección de regreso no se entiende.") };
    match &done.code {
        Some(code) => url.query_pairs_mut().append_pair("code", code),
        None => url.query_pairs_mut().extend_pairs([
            ("error", "access_denied"),
            ("error_code", "200"),
            ("error_description", "Permissions error"),
            ("error_reason", "user_denied"),
        ]),
    };
    if !state.is_empty() {
        url.query_pairs_mut().append_pair("state", state);
    }
    Redirect::to(url.as_str()).into_response()
}

fn refused(reason: &str) -> Response {
    let page = include_str!("browser/refused.html").replace("{{reason}}", &escape(reason));
    (StatusCode::OK, Html(page)).into_response()
}

/// JSON that cannot end the script it stands in.
fn in_script(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
