//! The parameters of a call: Graph takes them in the query, in a form, or in a JSON object.

use std::collections::HashMap;

use axum::{
    RequestExt as _,
    body::Bytes,
    extract::{FromRequest, Query, Request},
    response::{IntoResponse as _, Response},
};
use serde_json::Value;

use super::error::GraphError;

/// All parameters of a call, as texts. What stands in the body wins.
#[derive(Debug, Default)]
pub(super) struct Params(HashMap<String, String>);

impl Params {
    /// A parameter that has a value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter without which there is nothing to do.
    pub(super) fn required(&self, name: &str) -> Result<&str, GraphError> {
        self.get(name).ok_or_else(|| GraphError::new(400, 100, format!("(#100) The parameter {name} is required.")))
    }

    /// Refused unless the call says that it is about WhatsApp.
    pub(super) fn about_whatsapp(&self) -> Result<(), GraphError> {
        match self.required("messaging_product")? {
            "whatsapp" => Ok(()),
            _ => Err(GraphError::parameter("Param messaging_product must be one of {WHATSAPP}")),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Response> {
        let Query(mut all): Query<HashMap<String, String>> =
            request.extract_parts().await.map_err(axum::response::IntoResponse::into_response)?;
        let is_json = {
            let kind = request.headers().get("content-type").and_then(|value| value.to_str().ok());
            kind.is_some_and(|kind| kind.starts_with("application/json"))
        };
        let body = Bytes::from_request(request, state).await.map_err(axum::response::IntoResponse::into_response)?;
        if body.is_empty() {
            return Ok(Self(all));
        }
        if !is_json {
            all.extend(form(&body));
            return Ok(Self(all));
        }
        let members = match serde_json::from_slice(&body) {
            Ok(Value::Object(members)) => members,
            Ok(Value::Null) => return Ok(Self(all)),
            _ => return Err(GraphError::parameter("The body is no JSON object.").into_response()),
        };
        all.extend(members.into_iter().map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        }));
        Ok(Self(all))
    }
}

/// The members of a form.
pub(crate) fn form(body: &[u8]) -> Vec<(String, String)> {
    // A query by any other name.
    let url = reqwest::Url::parse("http://form/").ok().map(|mut url| {
        url.set_query(Some(&String::from_utf8_lossy(body)));
        url
    });
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}
