//! Refusals as Chatwoot words them: the shape depends on who refuses, the text on the language of the installation.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// The language of the installation's texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// As the sales team has it: who calls by token reads English from the framework, and Spanish from Chatwoot's own rules.
    #[default]
    Spanish,
    /// As the source has it.
    English,
    /// Harder than any Chatwoot: not one sentence is English, so that nobody gets away with matching one.
    Translated,
}

impl Language {
    /// A sentence that Chatwoot itself translates.
    pub(crate) fn say<'a>(self, spanish: &'a str, english: &'a str) -> &'a str {
        match self {
            Self::Spanish | Self::Translated => spanish,
            Self::English => english,
        }
    }

    /// A sentence of the framework, or one that stands in the source in English.
    pub(crate) fn framework<'a>(self, spanish: &'a str, english: &'a str) -> &'a str {
        match self {
            Self::Translated => spanish,
            Self::Spanish | Self::English => english,
        }
    }
}

/// An answer that says no.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Json(Value),
    /// From the page for errors, which says so by its letters.
    Page(Value),
    Text(&'static str),
    Empty,
}

/// What a handler gives back.
pub(crate) type Answer = Result<Response, Refusal>;

impl Refusal {
    fn json(status: StatusCode, body: Value) -> Self {
        Self { status, body: Body::Json(body) }
    }

    pub(crate) fn no_token(language: Language) -> Self {
        let text = language.framework(
            "Tienes que iniciar sesión o registrarte para poder continuar.",
            "You need to sign in or sign up before continuing.",
        );
        Self::json(StatusCode::UNAUTHORIZED, json!({ "errors": [text] }))
    }

    pub(crate) fn bad_token(language: Language) -> Self {
        Self::unauthorized(language.framework("Token de acceso inválido", "Invalid Access Token"))
    }

    pub(crate) fn not_for_bots(language: Language) -> Self {
        Self::unauthorized(language.framework(
            "El acceso a este recurso no está autorizado para bots",
            "Access to this endpoint is not authorized for bots",
        ))
    }

    pub(crate) fn policy(language: Language) -> Self {
        Self::unauthorized(
            language
                .framework("No está autorizado para realizar esta acción", "You are not authorized to do this action"),
        )
    }

    fn unauthorized(text: &str) -> Self {
        Self::json(StatusCode::UNAUTHORIZED, json!({ "error": text }))
    }

    pub(crate) fn not_found(language: Language) -> Self {
        let text = language.framework("No se pudo encontrar el recurso", "Resource could not be found");
        Self::json(StatusCode::NOT_FOUND, json!({ "error": text }))
    }

    /// 404 without a body, as `head :not_found` gives it.
    pub(crate) fn empty_not_found() -> Self {
        Self { status: StatusCode::NOT_FOUND, body: Body::Empty }
    }

    fn page(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        Self { status, body: Body::Page(json!({ "status": status.as_u16(), "error": reason })) }
    }

    pub(crate) fn no_route() -> Self {
        Self::page(StatusCode::NOT_FOUND)
    }

    /// A model's validation: the text is translated, the attributes are not.
    pub(crate) fn invalid(text: &str, attributes: &[&str]) -> Self {
        Self::json(StatusCode::UNPROCESSABLE_ENTITY, json!({ "message": text, "attributes": attributes }))
    }

    /// Anything that goes wrong while a message is created, and some others.
    pub(crate) fn unprocessable(text: &str) -> Self {
        Self::json(StatusCode::UNPROCESSABLE_ENTITY, json!({ "error": text }))
    }

    pub(crate) fn missing(language: Language, parameter: &str) -> Self {
        let text =
            language.framework("falta el parámetro o el valor está vacío", "param is missing or the value is empty");
        Self::unprocessable(&format!("{text}: {parameter}"))
    }

    pub(crate) fn not_an_api_inbox(language: Language) -> Self {
        let text = language.framework(
            "La actualización del estado del mensaje solo está permitida para bandejas de entrada de API",
            "Message status update is only allowed for API inboxes",
        );
        Self::json(StatusCode::FORBIDDEN, json!({ "error": text }))
    }

    pub(crate) fn broken() -> Self {
        Self::page(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn malformed() -> Self {
        Self::page(StatusCode::BAD_REQUEST)
    }

    pub(crate) fn throttled() -> Self {
        Self { status: StatusCode::TOO_MANY_REQUESTS, body: Body::Text("Retry later\n") }
    }

    /// For people who act in the dashboard: the reason in a line.
    pub(crate) fn describe(&self) -> String {
        match &self.body {
            Body::Json(body) | Body::Page(body) => format!("{} {body}", self.status),
            Body::Text(text) => format!("{} {}", self.status, text.trim()),
            Body::Empty => self.status.to_string(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self.body {
            Body::Json(body) => (self.status, axum::Json(body)).into_response(),
            Body::Page(body) => {
                let kind = [(header::CONTENT_TYPE, "application/json; charset=UTF-8")];
                (self.status, kind, body.to_string()).into_response()
            }
            Body::Text(text) => (self.status, [(header::CONTENT_TYPE, "text/plain")], text).into_response(),
            Body::Empty => self.status.into_response(),
        }
    }
}
