//! What an administrator sets up: the inbox's templates and window, attributes that agents see, labels.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    id,
    suite::{JSON, NOTHING, Suite},
};

pub(crate) async fn asks(suite: &mut Suite) {
    templates_and_window(suite).await;
    attributes(suite).await;
    labels(suite).await;
}

/// An inbox's attributes are replaced as a whole, so the old ones are put back.
async fn templates_and_window(suite: &mut Suite) {
    let path = format!("/inboxes/{}", suite.inbox);
    let before = suite.get(&path, 200, JSON, "inbox").await["additional_attributes"].clone();
    let given = json!({
        "message_templates": [{
            "id": "1", "name": "moto_lista", "status": "APPROVED", "category": "UTILITY", "language": "es_MX",
            "parameter_format": "POSITIONAL",
            "components": [{ "type": "BODY", "text": "Hola {{1}}, su {{2}} ya está lista." }],
        }],
        "agent_reply_time_window": 24,
        "agent_reply_time_window_message": "Pasaron 24 horas.",
    });
    for attributes in [&given, &before] {
        let body = json!({ "channel": { "additional_attributes": attributes } });
        let changed = suite.call(Method::PATCH, &path, body, (200, JSON, "inbox")).await;
        suite.is("templates and window", &changed["additional_attributes"], attributes);
    }
}

async fn attributes(suite: &mut Suite) {
    let (path, key) = ("/custom_attribute_definitions", format!("contract_{}", suite.mark));
    let mut ids = Vec::new();
    for (number, model, kind, kind_name) in
        [(0, "conversation_attribute", 0, "text"), (1, "contact_attribute", 4, "link")]
    {
        let body = json!({ "custom_attribute_definition": {
            "attribute_key": key, "attribute_display_name": "Contrato", "attribute_display_type": kind,
            "attribute_model": number,
        } });
        let made = suite.post(path, body.clone(), (200, JSON, "definition")).await;
        let got = json!([made["attribute_key"], made["attribute_model"], made["attribute_display_type"]]);
        suite.is("an attribute", &got, &json!([key, model, kind_name]));
        suite.post(path, body, (422, JSON, "invalid")).await;
        ids.push(id(&made));
    }
    let all = suite.get(path, 200, JSON, "definitions").await;
    let ours = all.as_array().into_iter().flatten().filter(|row| row["attribute_key"] == key.as_str()).count();
    suite.is("attributes of both models are listed", &json!(ours), &json!(2));
    for id in ids {
        suite.call(Method::DELETE, &format!("{path}/{id}"), Value::Null, (204, "", "")).await;
    }
}

async fn labels(suite: &mut Suite) {
    let title = format!("contrato-{}", suite.mark);
    let body = json!({ "label": {
        "title": title.to_uppercase(), "description": "Contrato", "color": "#1f93ff", "show_on_sidebar": true,
    } });
    let made = suite.post("/labels", body.clone(), (200, JSON, "label")).await;
    suite.is("a label is written small", &made["title"], &json!(title));
    suite.post("/labels", body, (422, JSON, "invalid")).await;
    let all = suite.get("/labels", 200, JSON, "account_labels").await;
    let has = all["payload"].as_array().into_iter().flatten().any(|row| row["title"] == title.as_str());
    suite.is("the label is listed", &Value::Bool(has), &Value::Bool(true));
    suite.call(Method::DELETE, &format!("/labels/{}", id(&made)), Value::Null, (200, NOTHING, "")).await;
}
