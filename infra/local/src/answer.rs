//! What API Gateway makes of a function's answer, or of its failure.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    environments::{Failure, Outcome},
    intrinsics::plain,
};

/// The response to the caller.
pub(crate) fn from_outcome(outcome: &Outcome) -> Response<Body> {
    match outcome {
        Ok(payload) => {
            from_payload(payload).unwrap_or_else(|| message(StatusCode::BAD_GATEWAY, "Internal Server Error"))
        }
        Err(Failure::Function(_) | Failure::Exited) => {
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
        Err(Failure::NotStarted | Failure::Stopping) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        Err(Failure::TimedOut) => message(StatusCode::GATEWAY_TIMEOUT, "Endpoint request timed out"),
    }
}

/// An answer of API Gateway's own.
pub(crate) fn message(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(json!({ "message": text }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A refusal without a word.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn from_payload(payload: &[u8]) -> Option<Response<Body>> {
    let answer: Value = serde_json::from_slice(payload).ok()?;
    let Some(status) = answer.get("statusCode") else {
        // Anything without a status is the body itself.
        let mut response = message(StatusCode::OK, "");
        *response.body_mut() = Body::from(payload.to_vec());
        return Some(response);
    };
    let status = StatusCode::from_u16(u16::try_from(status.as_u64()?).ok()?).ok()?;
    let text = answer["body"].as_str().unwrap_or_default();
    let body =
        if answer["isBase64Encoded"].as_bool().unwrap_or(false) { STANDARD.decode(text).ok()? } else { text.into() };

    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let none = Map::new();
    for (name, value) in answer["headers"].as_object().unwrap_or(&none) {
        headers.insert(name.parse::<HeaderName>().ok()?, HeaderValue::from_str(&plain(value)).ok()?);
    }
    for (name, values) in answer["multiValueHeaders"].as_object().unwrap_or(&none) {
        let name = name.parse::<HeaderName>().ok()?;
        if !headers.contains_key(&name) {
            for value in values.as_array().into_iter().flatten() {
                headers.append(&name, HeaderValue::from_str(&plain(value)).ok()?);
            }
        }
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        headers.append(header::SET_COOKIE, HeaderValue::from_str(cookie.as_str()?).ok()?);
    }
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain;charset=UTF-8"));
    // The server counts the body itself.
    headers.remove(header::CONTENT_LENGTH);
    Some(response)
}

#[cfg(test)]
mod tests {
    use axum::body::{Bytes, to_bytes};

    use super::*;

    async fn seen(outcome: Outcome) -> (u16, axum::http::HeaderMap, Bytes) {
        let (parts, body) = from_outcome(&outcome).into_parts();
        (parts.status.as_u16(), parts.headers, to_bytes(body, usize::MAX).await.unwrap())
    }

    fn answered(answer: Value) -> Bytes {
        answer.to_string().into()
    }

    #[tokio::test]
    async fn status_headers_cookies_and_bytes_reach_the_caller() {
        let (status, headers, body) = seen(Ok(answered(json!({
            "statusCode": 201, "headers": { "X-One": "1", "content-length": 99 }, "cookies": ["a=1", "b=2"],
            "body": "/wA=", "isBase64Encoded": true,
        }))))
        .await;
        assert_eq!((status, &body[..]), (201, &[0xff_u8, 0x00][..]));
        assert_eq!(headers["x-one"], "1");
        assert!(!headers.contains_key("content-length"));
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
    }

    #[tokio::test]
    async fn an_answer_without_a_status_is_the_body() {
        let (status, headers, body) = seen(Ok(answered(json!({ "ok": true })))).await;
        assert_eq!((status, &body[..]), (200, &b"{\"ok\":true}"[..]));
        assert_eq!(headers["content-type"], "application/json");
    }

    #[tokio::test]
    async fn failures_say_what_went_wrong_and_nothing_of_the_inside() {
        for (outcome, expected) in [
            (Ok(answered(json!({ "statusCode": "many" }))), 502),
            (Err(Failure::Function("secret".into())), 500),
            (Err(Failure::Exited), 500),
            (Err(Failure::NotStarted), 503),
            (Err(Failure::TimedOut), 504),
        ] {
            let (status, _, body) = seen(outcome).await;
            assert_eq!(status, expected);
            assert!(!String::from_utf8_lossy(&body).contains("secret"));
        }
    }
}
