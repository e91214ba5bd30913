//! The one HTTP endpoint: which service a call is for stands in its `X-Amz-Target`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Method, Request, Response, StatusCode, header},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    access::Access,
    dynamo::Dynamo,
    error::{ApiError, request_id},
    secrets::Secrets,
    sqs::Sqs,
};

const JSON_1_0: &str = "application/x-amz-json-1.0";
const JSON_1_1: &str = "application/x-amz-json-1.1";

/// DynamoDB takes 16 MB; a full SQS batch grows when its bodies are escaped.
const LONGEST_BODY: usize = 32 << 20;

/// The services.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) sqs: Sqs,
    pub(crate) dynamo: Dynamo,
    pub(crate) secrets: Secrets,
    pub(crate) access: Access,
}

/// Serves the services.
pub(crate) fn router(services: Arc<Services>) -> Router {
    Router::new().fallback(dispatch).with_state(services)
}

async fn dispatch(State(services): State<Arc<Services>>, request: Request<Body>) -> Response<Body> {
    if request.method() != Method::POST {
        return Response::new(Body::from("healthy\n"));
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LONGEST_BODY).await else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    if let Some((service, operation)) = target.split_once('.')
        && let Err(refused) = services.access.check(&parts.headers, service, operation, &body)
    {
        return refused.response(JSON_1_0);
    }
    match target.split_once('.') {
        Some(("AmazonSQS", operation)) => answer(services.sqs.call(operation, &body).await, JSON_1_0),
        Some(("secretsmanager", operation)) => answer(services.secrets.call(operation, &body), JSON_1_1),
        Some(("DynamoDB_20120810" | "DynamoDBStreams_20120810", operation)) => {
            let operation = operation.to_owned();
            services.dynamo.call(&operation, parts, body).await
        }
        _ => ApiError::unknown_operation(target).response(JSON_1_0),
    }
}

fn answer(outcome: Result<Value, ApiError>, content_type: &'static str) -> Response<Body> {
    match outcome {
        Ok(value) => Response::builder()
            .header(header::CONTENT_TYPE, content_type)
            .header("x-amzn-requestid", request_id())
            .body(Body::from(value.to_string()))
            .unwrap_or_default(),
        Err(error) => error.response(content_type),
    }
}

/// Reads the input of a call.
pub(crate) fn input<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|cause| ApiError::unreadable(&cause))
}
