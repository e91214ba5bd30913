//! Lambda's Runtime API, 2018-06-01, for all functions on one port: `/<function>/<environment>/2018-06-01/…`.

use std::sync::{Arc, OnceLock};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::environments::{Environments, Failure, Functions};

/// The largest answer of a function.
const LARGEST_ANSWER: usize = 6 * 1024 * 1024;

/// The functions, once they are known.
pub(crate) type Known = Arc<OnceLock<Functions>>;

/// The API of `functions`.
pub(crate) fn router(functions: Known) -> Router {
    Router::new()
        .route("/{function}/{environment}/2018-06-01/runtime/invocation/next", get(next))
        .route("/{function}/{environment}/2018-06-01/runtime/invocation/{request_id}/response", post(response))
        .route("/{function}/{environment}/2018-06-01/runtime/invocation/{request_id}/error", post(error))
        .route("/{function}/{environment}/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::max(LARGEST_ANSWER))
        .with_state(functions)
}

async fn next(State(functions): State<Known>, Path((function, environment)): Path<(String, u64)>) -> Response {
    let Some(function) = find(&functions, &function) else { return forbidden("unknown function") };
    // A process that is about to be killed hears nothing any more.
    let Some(invocation) = function.next(environment).await else { return std::future::pending().await };
    let answer = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &invocation.request_id)
        .header("lambda-runtime-deadline-ms", invocation.deadline.as_millis())
        .header("lambda-runtime-invoked-function-arn", function.arn())
        .header(
            "lambda-runtime-trace-id",
            format!("Root=1-{:08x}-{:024x};Sampled=0", invocation.deadline.as_secs(), environment),
        )
        .body(Body::from(invocation.payload));
    answer.unwrap_or_else(|error| forbidden(&error.to_string()))
}

async fn response(
    State(functions): State<Known>,
    Path((function, environment, request_id)): Path<(String, u64, String)>,
    body: Bytes,
) -> Response {
    answered(&functions, &function, environment, &request_id, Ok(body))
}

async fn error(
    State(functions): State<Known>,
    Path((function, environment, request_id)): Path<(String, u64, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answered(&functions, &function, environment, &request_id, Err(Failure::Function(words(&headers, &body))))
}

async fn init_error(Path((function, environment)): Path<(String, u64)>, headers: HeaderMap, body: Bytes) -> Response {
    // The process ends by itself after this, which is what counts.
    tracing::error!(function, environment, why = words(&headers, &body), "the function could not start");
    accepted()
}

fn find<'a>(functions: &'a Known, name: &str) -> Option<&'a Arc<Environments>> {
    functions.get()?.get(name)
}

fn answered(
    functions: &Known,
    function: &str,
    environment: u64,
    request_id: &str,
    outcome: Result<Bytes, Failure>,
) -> Response {
    let known = find(functions, function).is_some_and(|function| function.answered(environment, request_id, outcome));
    if known {
        return accepted();
    }
    let refusal = json!({ "errorMessage": "Invalid request ID", "errorType": "InvalidRequestID" });
    (StatusCode::BAD_REQUEST, Json(refusal)).into_response()
}

/// What went wrong, in the function's own words; they carry nothing personal. The name of its error's type says nothing to people.
fn words(headers: &HeaderMap, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = body["errorMessage"].as_str().map(str::trim).filter(|said| !said.is_empty());
    let of_header = headers.get("lambda-runtime-function-error-type").and_then(|value| value.to_str().ok());
    said.or(of_header.filter(|name| !name.contains("::"))).unwrap_or("it did not say why").to_owned()
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response()
}

fn forbidden(why: &str) -> Response {
    (StatusCode::FORBIDDEN, Json(json!({ "errorMessage": why, "errorType": "Forbidden" }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_words_and_never_by_the_name_of_a_type() {
        let mut headers = HeaderMap::new();
        headers.insert("lambda-runtime-function-error-type", "app::error::BridgeError".parse().unwrap());
        let body = br#"{"errorType":"app::error::BridgeError","errorMessage":"no connection to Chatwoot"}"#;
        assert_eq!(words(&headers, body), "no connection to Chatwoot");
        for body in [&b"{}"[..], b"nonsense", br#"{"errorType":"alloc::boxed::Box","errorMessage":" "}"#] {
            assert_eq!(words(&headers, body), "it did not say why");
        }
    }
}
