//! Errors as AWS words them, so that the SDK's typed errors are what a caller sees.

use axum::{
    body::Body,
    http::{Response, header},
};
use serde_json::json;

/// A refusal of an API call.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    /// 400 for the caller's fault, 500 for ours.
    pub(crate) status: u16,
    /// The full shape name that goes into `__type`.
    shape: &'static str,
    /// SQS's older code of the query protocol; the SDK prefers it where it is sent.
    query: Option<&'static str>,
    /// What went wrong.
    pub(crate) message: String,
}

impl ApiError {
    /// A refusal that only has a shape name.
    pub(crate) fn new(shape: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, shape, query: None, message: message.into() }
    }

    /// A refusal of SQS, with its code of the query protocol.
    pub(crate) fn sqs(shape: &'static str, query: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, shape, query: Some(query), message: message.into() }
    }

    /// Something broke on this side, such as a full disk.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            status: 500,
            shape: "com.amazonaws.sqs#InternalFailure",
            query: Some("InternalFailure"),
            message: message.into(),
        }
    }

    /// The body could not be read as this operation's input.
    pub(crate) fn unreadable(cause: &serde_json::Error) -> Self {
        Self::new("com.amazon.coral.service#SerializationException", cause.to_string())
    }

    /// The target names nothing that is offered here.
    pub(crate) fn unknown_operation(target: &str) -> Self {
        Self::new("com.amazon.coral.service#UnknownOperationException", format!("{target} is not offered here"))
    }

    /// The code that a batch entry carries.
    pub(crate) fn code(&self) -> &'static str {
        self.query.unwrap_or_else(|| self.shape.rsplit('#').next().unwrap_or(self.shape))
    }

    /// As an HTTP response.
    pub(crate) fn response(&self, content_type: &'static str) -> Response<Body> {
        let body = json!({"__type": self.shape, "message": self.message, "Message": self.message});
        let mut response = Response::builder()
            .status(self.status)
            .header(header::CONTENT_TYPE, content_type)
            .header("x-amzn-requestid", request_id());
        if let Some(query) = self.query {
            let fault = if self.status < 500 { "Sender" } else { "Receiver" };
            response = response.header("x-amzn-query-error", format!("{query};{fault}"));
        }
        response.body(Body::from(body.to_string())).unwrap_or_default()
    }
}

/// A fresh request id.
pub(crate) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
