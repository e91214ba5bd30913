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
}

/// The lists by which retention and erasure find their way.
pub(crate) async fn filtered(suite: &mut Suite, cast: &Cast) {
    let condition = |key: &str, operator: &str, value: Value, and: Option<&str>| json!({ "attribute_key": key, "filter_operator": operator, "values": [value], "query_operator": and });
    let inbox = suite.inbox;
    for (more, first, second) in [
        (None, true, true),
        (Some(("last_activity_at", "is_less_than", json!("2099-01-01"))), true, true),
        (Some(("last_activity_at", "is_less_than", json!("2020-01-01"))), false, false),
        (Some(("labels", "equal_to", json!("conservar"))), true, false),
    ] {
        let what = format!("the conversations by {more:?}");
        let mut payload = vec![condition("inbox_id", "equal_to", json!(inbox), more.is_some().then_some("AND"))];
        payload.extend(more.map(|(key, operator, value)| condition(key, operator, value, None)));
        let body = json!({ "payload": payload });
        let found = suite.post("/conversations/filter?page=1", body, (200, JSON, "filtered_conversations")).await;
        let has = |id: i64| found["payload"].as_array().into_iter().flatten().any(|row| row["id"] == id);
        suite.is(&what, &json!([has(cast.conversation), has(cast.second)]), &json!([first, second]));
    }
    let active =
        format!("/conversations?status=all&assignee_type=all&inbox_id={inbox}&sort_by=last_activity_at_desc&page=1");
    let listed = suite.get(&active, 200, JSON, "conversations").await;
    suite.is("the last active comes first", &listed["data"]["payload"][0]["id"], &json!(cast.second));
}
