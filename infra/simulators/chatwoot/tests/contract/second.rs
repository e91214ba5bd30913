//! A second conversation, in which Chatwoot itself speaks and agents pick: greeting, survey, template, choices, a grey line.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Cast, id,
    suite::{JSON, NOTHING, Suite},
};

pub(crate) async fn asks(suite: &mut Suite, cast: &mut Cast) {
    let own = json!({ "inbox_id": suite.inbox, "contact_id": cast.other, "source_id": format!("srb{}", suite.mark) });
    cast.second = id(&suite.post("/conversations", own, (200, JSON, "empty_conversation")).await);
    let path = format!("/conversations/{}", cast.second);
    let messages = format!("{path}/messages");
    let inbox = format!("/inboxes/{}", suite.inbox);

    // As it was before, afterwards: an inbox of others may greet and ask by itself.
    let settings = suite.get(&inbox, 200, JSON, "inbox").await;
    let before = json!({
        "greeting_enabled": settings["greeting_enabled"], "greeting_message": settings["greeting_message"],
        "csat_survey_enabled": settings["csat_survey_enabled"],
    });
    let speaking = json!({ "greeting_enabled": true, "greeting_message": "¡Hola!", "csat_survey_enabled": true });
    suite.call(Method::PATCH, &inbox, speaking, (200, JSON, "inbox")).await;
    suite.post(&messages, json!({ "content": "buenas", "message_type": "incoming" }), (200, JSON, "message")).await;
    greeted(suite, &messages).await;
    picked(suite, &messages).await;
    let resolved = json!({ "status": "resolved" });
    suite.post(&format!("{path}/toggle_status"), resolved, (200, JSON, "toggled")).await;
    suite.settle().await;
    suite.call(Method::PATCH, &inbox, before, (200, JSON, "inbox")).await;
    surveyed(suite, &messages).await;
    cleared(suite, &path).await;
}

/// A message of Chatwoot's own is marked like any other.
async fn greeted(suite: &mut Suite, messages: &str) {
    let all = suite.get(messages, 200, JSON, "messages").await;
    let own = all["payload"].as_array().into_iter().flatten().find(|row| row["message_type"] == 3).cloned();
    let greeting = own.unwrap_or_default();
    suite.is("the greeting", &greeting["content"], &json!("¡Hola!"));
    let one = format!("{messages}/{}", id(&greeting));
    let marked = suite.call(Method::PATCH, &one, json!({ "status": "delivered" }), (200, JSON, "message")).await;
    suite.is("the greeting's mark", &marked["status"], &json!("delivered"));
}

async fn picked(suite: &mut Suite, messages: &str) {
    let template = json!({
        "name": "moto_lista", "category": "UTILITY", "language": "es_MX", "namespace": "",
        "processed_params": { "body": { "1": "Juan", "2": "DM200" } },
    });
    let body = json!({ "content": "Hola Juan, su DM200 ya está lista.", "template_params": template });
    let made = suite.post(messages, body, (200, JSON, "message")).await;
    suite.is("a picked template is text", &made["content_type"], &json!("text"));
    let items = json!([{ "title": "Sí", "value": "si" }, { "title": "No", "value": "no" }]);
    let body = json!({ "content": "Elija", "content_type": "input_select", "content_attributes": { "items": items } });
    let made = suite.post(messages, body, (200, JSON, "message")).await;
    suite.is(
        "choices",
        &json!([made["content_type"], made["content_attributes"]["items"]]),
        &json!(["input_select", items]),
    );
    let body = json!({ "content": "borrado", "message_type": "activity" });
    let made = suite.post(messages, body, (200, JSON, "message")).await;
    suite.is("a grey line", &made["message_type"], &json!(2));
}

/// Its link is for callbacks alone.
async fn surveyed(suite: &mut Suite, messages: &str) {
    let all = suite.get(messages, 200, JSON, "messages").await;
    let own = all["payload"].as_array().into_iter().flatten().find(|row| row["content_type"] == "input_csat").cloned();
    let survey = own.unwrap_or_default();
    let linked = survey["content"].as_str().is_none_or(|words| words.contains("/survey/"));
    suite.is("the survey is listed without its link", &Value::Bool(linked), &Value::Bool(false));
}

/// What an erasure does before it deletes.
async fn cleared(suite: &mut Suite, path: &str) {
    suite.call(Method::DELETE, &format!("{path}/draft_messages"), Value::Null, (200, NOTHING, "")).await;
    let nowhere = "/conversations/99999999/draft_messages";
    suite.call(Method::DELETE, nowhere, Value::Null, (404, JSON, "error")).await;
    let attributes = format!("{path}/custom_attributes");
    for given in [json!({ "x": 1 }), json!({})] {
        let body = json!({ "custom_attributes": given });
        let set = suite.post(&attributes, body, (200, JSON, "custom_attributes")).await;
        suite.is("attributes are replaced", &set["custom_attributes"], &given);
    }
}
