//! Meta's error envelope.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use simulator_wire::Effect;

/// A refusal in Meta's envelope, as a fault's answer: the HTTP status, the code, and the subcode where there is one.
pub fn refusal(status: u16, code: u32, subcode: Option<u32>) -> Effect {
    let error = GraphError { subcode, ..GraphError::new(status, code, "Refused on purpose") };
    Effect::Answer { status, content_type: "application/json".into(), body: error.body().to_string() }
}

/// An answer in Meta's error envelope.
#[derive(Debug)]
pub(super) struct GraphError {
    pub(super) status: u16,
    code: u32,
    subcode: Option<u32>,
    message: String,
    details: Option<String>,
}

impl GraphError {
    pub(super) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, subcode: None, message: message.into(), details: None }
    }

    fn detailed(code: u32, title: &str, details: impl Into<String>) -> Self {
        Self { details: Some(details.into()), ..Self::new(400, code, format!("(#{code}) {title}")) }
    }

    /// 100: a parameter that Meta does not take.
    pub(super) fn parameter(details: impl Into<String>) -> Self {
        Self::detailed(100, "Invalid parameter", details)
    }

    /// 131008: a parameter that is missing.
    pub(super) fn missing(details: impl Into<String>) -> Self {
        Self::detailed(131_008, "Required parameter is missing", details)
    }

    /// 131009: a parameter with an impossible value.
    pub(super) fn value(details: impl Into<String>) -> Self {
        Self::detailed(131_009, "Parameter value is not valid", details)
    }

    /// 131021: the business writes to itself.
    pub(super) fn own_number() -> Self {
        let details = "Recipient phone number is the same as the sender's.";
        Self::detailed(131_021, "Recipient cannot be sender", details)
    }

    /// 131053: a file Meta does not take.
    pub(super) fn media(details: impl Into<String>) -> Self {
        Self::detailed(131_053, "Media upload error", details)
    }

    /// 131056: too many messages to one person.
    pub(super) fn pair_rate() -> Self {
        let details = "Message failed to send because there were too many messages sent from this phone number to the \
                       same phone number in a short period of time.";
        Self::detailed(131_056, "(Business Account, Consumer Account) pair rate limit hit", details)
    }

    /// 130429: too many messages a second.
    pub(super) fn throughput() -> Self {
        let details = "Message failed to send because there were too many messages sent from this phone number in a \
                       short period of time.";
        Self::detailed(130_429, "Rate limit hit", details)
    }

    /// 132001: the account has no such template in this language, or may not use it.
    pub(super) fn no_template(name: &str, language: &str) -> Self {
        let details = format!("template name ({name}) does not exist in {language}");
        Self { status: 404, ..Self::detailed(132_001, "Template name does not exist in the translation", details) }
    }

    /// 132000: more or fewer parameters than the template has.
    pub(super) fn template_count(place: &str, given: usize, wanted: usize) -> Self {
        let details = format!(
            "{place}: number of localizable_params ({given}) does not match the expected number of params ({wanted})"
        );
        Self::detailed(132_000, "Number of parameters does not match the expected number of params", details)
    }

    /// 132005: too many characters once it is filled in.
    pub(super) fn template_too_long(place: &str, limit: usize) -> Self {
        let details = format!("{place}: the filled text has more than {limit} characters");
        Self::detailed(132_005, "Translated text too long", details)
    }

    /// 132012: a parameter of another kind than the template's.
    pub(super) fn template_format(details: impl Into<String>) -> Self {
        Self::detailed(132_012, "Parameter format does not match format in the created template", details)
    }

    /// 132015: customers have liked the template too little.
    pub(super) fn template_paused(name: &str) -> Self {
        let details = format!("Template ({name}) is paused due to low quality so it cannot be sent.");
        Self::detailed(132_015, "Template is paused", details)
    }

    /// 132016: paused too often.
    pub(super) fn template_disabled(name: &str) -> Self {
        let details = format!("Template ({name}) has been paused too many times and is now permanently disabled.");
        Self::detailed(132_016, "Template is disabled", details)
    }

    /// 132018: a parameter that holds what no parameter may.
    pub(super) fn template_parameter(details: impl Into<String>) -> Self {
        Self::detailed(132_018, "There's an issue with the parameters in your template", details)
    }

    /// 190: the token is not accepted; the subcode says why, where Meta says it.
    pub(super) fn token(subcode: Option<u32>) -> Self {
        let message = match subcode {
            None => "Invalid OAuth access token - Cannot parse access token",
            Some(458) => "Error validating access token: The user has not authorized application.",
            Some(463) => "Error validating access token: Session has expired.",
            Some(_) => "Error validating access token: The session has been invalidated.",
        };
        Self { subcode, ..Self::new(401, 190, message) }
    }

    /// 100 with a subcode: a code that gives no token.
    pub(super) fn coded(subcode: u32, message: &str) -> Self {
        Self { subcode: Some(subcode), ..Self::new(400, 100, message) }
    }

    /// A number that cannot come into service like this.
    pub(super) fn number(code: u32, title: &str, details: &str) -> Self {
        Self::detailed(code, title, details)
    }

    /// 133005: the number has another PIN.
    pub(super) fn wrong_pin() -> Self {
        let details = "The two-step verification PIN does not match.";
        Self { subcode: Some(2_494_034), ..Self::detailed(133_005, "Two step verification PIN mismatch", details) }
    }

    /// 133016: too many registrations and codes.
    pub(super) fn too_many_attempts() -> Self {
        let details = "Too many attempts for this phone number: 10 in 72 hours.";
        Self::detailed(133_016, "Account register deregister rate limit exceeded", details)
    }

    /// 133010: the number is not in service.
    pub(super) fn not_registered() -> Self {
        Self::detailed(133_010, "Phone number not registered", "The phone number is not registered for Cloud API.")
    }

    /// 100 with subcode 33: no such object, or not visible to this token.
    pub(super) fn not_visible(method: &str, id: &str) -> Self {
        let message = format!(
            "Unsupported {} request. Object with ID '{id}' does not exist, cannot be loaded due to missing \
             permissions, or does not support this operation",
            method.to_lowercase()
        );
        Self { subcode: Some(33), ..Self::new(400, 100, message) }
    }
}

impl GraphError {
    fn body(&self) -> Value {
        let mut error = json!({
            "message": self.message, "code": self.code,
            "type": if self.subcode == Some(33) { "GraphMethodException" } else { "OAuthException" },
            "fbtrace_id": format!("A{}", &uuid::Uuid::new_v4().simple().to_string()[..22]),
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = subcode.into();
        }
        if let Some(details) = &self.details {
            error["error_data"] = json!({"messaging_product": "whatsapp", "details": details});
        }
        json!({ "error": error })
    }
}

impl IntoResponse for GraphError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.body())).into_response()
    }
}
