//! Builds the answers that have a body.

use lambda_http::{Body, Response, http::HeaderValue};
use serde_json::Value;

/// Gives a JSON document.
pub(crate) fn json(value: &Value) -> Response<Body> {
    with("application/json", value.to_string())
}

/// Gives a page that must not be indexed or framed, and that loads nothing.
pub(crate) fn html(page: String) -> Response<Body> {
    with("text/html; charset=utf-8", page)
}

fn with(content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(body));
    let headers = [
        ("content-type", content_type),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow"),
        ("x-content-type-options", "nosniff"),
        ("vary", "accept, accept-language"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
