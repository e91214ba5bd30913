//! Builds the answers: pages that load nothing but Meta's script, and states.

use lambda_http::{
    Body, Response,
    http::{HeaderValue, StatusCode},
};
use serde_json::{Value, json};

use crate::dialog::Dialog;

/// What the page is allowed beside its own script, in general.
const NOTHING: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page of words alone.
pub(crate) fn page(status: StatusCode, page: String) -> Response<Body> {
    html(status, page, NOTHING)
}

/// The page with its script, which that nonce admits.
pub(crate) fn page_with_script(page: String, nonce: &str, dialog: &Dialog) -> Response<Body> {
    let (scripts, talks) = (dialog.script_sources(), dialog.sources());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}' {scripts}; connect-src 'self' {talks} https://graph.facebook.com; \
         frame-src {talks}; img-src 'self' data: {talks}; style-src 'unsafe-inline'; base-uri 'none'; \
         form-action 'self' https://www.facebook.com; frame-ancestors 'none'"
    );
    html(StatusCode::OK, page, &policy)
}

/// A state by itself.
pub(crate) fn state(status: StatusCode, word: &str) -> Response<Body> {
    let body = if status == StatusCode::UNAUTHORIZED { Value::Null } else { json!({ "state": word }) };
    told(status, &body)
}

/// A document.
pub(crate) fn told(status: StatusCode, body: &Value) -> Response<Body> {
    let body = if body.is_null() { Body::Empty } else { Body::Text(body.to_string()) };
    with(status, "application/json", body, NOTHING)
}

/// Sends the browser on.
pub(crate) fn to(address: &str) -> Response<Body> {
    let mut response = with(StatusCode::SEE_OTHER, "text/plain", Body::Empty, NOTHING);
    if let Ok(value) = HeaderValue::from_str(address) {
        response.headers_mut().insert("location", value);
    }
    response
}

fn html(status: StatusCode, page: String, policy: &str) -> Response<Body> {
    with(status, "text/html; charset=utf-8", Body::Text(page), policy)
}

fn with(status: StatusCode, content_type: &str, body: Body, policy: &str) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = [
        ("content-type", content_type),
        // Meta's script wants to know whose page it is on, and must not see the link.
        ("referrer-policy", "strict-origin"),
        ("x-robots-tag", "noindex, nofollow"),
        ("x-content-type-options", "nosniff"),
        // `same-origin` would cut the dialog off from the page, and nothing would arrive.
        ("cross-origin-opener-policy", "same-origin-allow-popups"),
        ("vary", "accept-language, cookie"),
        ("content-security-policy", policy),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
