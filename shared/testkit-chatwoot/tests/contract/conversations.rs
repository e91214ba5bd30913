//! Conversations: opened, listed, resolved, labeled.

use serde_json::{Value, json};

use crate::{
    Cast, id,
    suite::{JSON, NOTHING, PAGE, Suite},
};

pub(crate) async fn opens(suite: &mut Suite, cast: &mut Cast) {
    let body = |contact: i64| json!({ "inbox_id": suite.inbox, "contact_id": contact, "source_id": cast.source });
    let (own, foreign) = (body(cast.contact), body(cast.other));
    let made = suite.post("/conversations", own.clone(), (200, JSON, "empty_conversation")).await;
    cast.conversation = id(&made);
    suite.is("a new one waits", &made["waiting_since"], &made["created_at"].clone());
    let again = suite.post("/conversations", own, (200, JSON, "empty_conversation")).await;
    suite.is("the same again", &again["id"], &made["id"]);
    let refused = suite.post("/conversations", foreign, (422, JSON, "error")).await;
    suite.is("another's source", &refused["error"], &json!("source_id should be unique"));
    suite.get(&format!("/conversations/{}", cast.conversation), 200, JSON, "empty_conversation").await;
}

pub(crate) async fn asks(suite: &mut Suite, cast: &Cast) {
    let path = format!("/conversations/{}", cast.conversation);
    let whole = suite.get(&path, 200, JSON, "conversation").await;
    suite.is("nobody has seen it", &whole["agent_last_seen_at"], &json!(0));
    suite.get("/conversations/99999999", 404, JSON, "error").await;
    let list = format!("/conversations?status=all&inbox_id={}&source_id={}", suite.inbox, cast.source);
    suite.get(&list, 200, JSON, "conversations").await;

    let toggle = format!("{path}/toggle_status");
    let closed = suite.post(&toggle, json!({ "status": "resolved" }), (200, JSON, "toggled")).await;
    suite.is("resolved", &closed["payload"]["current_status"], &json!("resolved"));
    suite.post(&toggle, json!({ "status": "weird" }), (500, PAGE, "page_error")).await;
    let labels = format!("{path}/labels");
    suite.get(&labels, 200, JSON, "labels").await;
    suite.post(&labels, json!({ "labels": ["conservar"] }), (200, JSON, "labels")).await;
    let custom = json!({ "custom_attributes": { "x": 1 } });
    let set = suite.post(&format!("{path}/custom_attributes"), custom, (200, JSON, "custom_attributes")).await;
    suite.is("attributes", &set["custom_attributes"], &json!({ "x": 1 }));
    let typing = json!({ "typing_status": "on" });
    suite.post(&format!("{path}/toggle_typing_status"), typing, (200, NOTHING, "")).await;
    let unassigned = json!({ "assignee_id": null });
    suite.post(&format!("{path}/assignments"), unassigned, (200, JSON, "null")).await;
    let seen = suite.post(&format!("{path}/update_last_seen"), json!({}), (200, JSON, "conversation")).await;
    suite.is("seen by nobody it is assigned to", &seen["assignee_last_seen_at"], &json!(0));
    suite.is("nothing unread", &seen["unread_count"], &json!(0));

    suite.get(&format!("/contacts/{}/conversations", cast.contact), 200, JSON, "some_conversations").await;
    let condition = json!({ "payload": [
        { "attribute_key": "inbox_id", "filter_operator": "equal_to", "values": [suite.inbox], "query_operator": null },
    ] });
    let found = suite.post("/conversations/filter", condition, (200, JSON, "filtered_conversations")).await;
    suite.is("found some", &Value::Bool(found["meta"]["all_count"] != json!(0)), &Value::Bool(true));
}
