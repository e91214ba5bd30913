//! Builds answers in the shape API Gateway wants.

use lambda_http::{Body, Response, http::StatusCode};
use serde_json::{Value, json};

/// Gives an answer that is only a status.
pub(crate) fn empty(status: u16) -> Response<Body> {
    with(status, None, Body::Empty)
}

/// Gives a JSON document that must not be cached.
pub(crate) fn json(status: u16, value: &Value) -> Response<Body> {
    with(status, Some("application/json"), Body::Text(value.to_string()))
}

/// Gives a page that must not be cached, indexed or framed, and that loads nothing.
pub(crate) fn html(page: String) -> Response<Body> {
    with(200, Some("text/html; charset=utf-8"), Body::Text(page))
}

fn with(status: u16, content_type: Option<&'static str>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    // A code that leads nowhere today may lead somewhere tomorrow.
    response.headers_mut().insert("cache-control", lambda_http::http::HeaderValue::from_static("no-store"));
    let Some(content_type) = content_type else { return response };
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
        response.headers_mut().insert(name, lambda_http::http::HeaderValue::from_static(value));
    }
    response
}

/// Gives the form in which a function that takes other events as well has to answer (payload format 2.0).
pub(crate) fn event(response: Response<Body>) -> Value {
    let headers: serde_json::Map<String, Value> = response
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.into())))
        .collect();
    let body = match response.body() {
        Body::Text(text) => text.as_str(),
        _ => "",
    };
    json!({
        "statusCode": response.status().as_u16(), "headers": headers, "body": body, "isBase64Encoded": false, "cookies": [],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_keeps_an_answer() {
        for response in [empty(404), json(200, &json!({})), html(String::new())] {
            assert_eq!(response.headers()["cache-control"], "no-store", "{}", response.status());
        }
    }
}
