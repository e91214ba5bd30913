//! What was told meanwhile: one shape for each kind of callback.

use serde_json::Value;

use crate::suite::Suite;

/// A kind, its shape, and what tells one.
type Kind = (&'static str, &'static str, fn(&Value) -> bool);

const KINDS: [Kind; 15] = [
    ("a customer's message", "told_message", |body| is(body, "message_created", "incoming")),
    ("an outgoing message", "told_message", |body| is(body, "message_created", "outgoing") && body["private"] == false),
    ("a private note", "told_message", |body| is(body, "message_created", "outgoing") && body["private"] == true),
    ("a message with a file", "told_message", |body| {
        is(body, "message_created", "incoming") && body["attachments"].is_array()
    }),
    ("a message that changed", "told_message", |body| is(body, "message_updated", "outgoing")),
    ("a message that turned red", "told_message", |body| body["content_attributes"]["external_error"] == "x"),
    ("a customer's message that was red", "told_message", |body| is(body, "message_updated", "incoming")),
    ("a picked template", "told_template", |body| body["additional_attributes"]["template_params"].is_object()),
    ("choices", "told_message", |body| {
        body["content_type"] == "input_select" && body["content_attributes"]["items"].is_array()
    }),
    ("the greeting", "told_message", |body| is(body, "message_created", "template") && body["content_type"] == "text"),
    ("a greeting that changed", "told_message", |body| is(body, "message_updated", "template")),
    ("the survey with its link", "told_message", |body| {
        let content = body["content"].as_str().unwrap_or_default();
        is(body, "message_created", "template") && content.contains("/survey/responses/")
    }),
    ("a new conversation", "told_opening", |body| body["event"] == "conversation_created"),
    ("a new status", "told_status", |body| body["event"] == "conversation_status_changed"),
    ("typing", "told_typing", |body| body["event"] == "conversation_typing_on"),
];

fn is(body: &Value, event: &str, kind: &str) -> bool {
    body["event"] == event && body["message_type"] == kind
}

/// Compares every callback with its shape; each kind must have come. Without a receiver there is nothing to compare.
pub(crate) fn compared(suite: &mut Suite) {
    let Some(told) = suite.told() else { return };
    for (what, shape, tells) in KINDS {
        let mut some = false;
        for body in told.iter().filter(|body| tells(body)) {
            suite.compare(what, shape, body);
            some = true;
        }
        if !some {
            suite.missing(what);
        }
    }
    // A callback is written where nobody is logged in.
    for body in told.iter().filter(|body| is(body, "message_created", "outgoing")) {
        let sender = &body["conversation"]["messages"][0]["sender"];
        suite.is("who is there in a callback", &sender["availability_status"], &Value::Null);
    }
    for body in told.iter().filter(|body| body["event"] == "conversation_updated") {
        suite.compare("a changed conversation", "told_update", body);
        let first = body["changed_attributes"][0]["updated_at"].is_object();
        suite.is("the time of the change comes first", &Value::Bool(first), &Value::Bool(true));
    }
}
