//! What merging and deleting leave behind.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Cast,
    suite::{JSON, NOTHING, Suite},
};

pub(crate) async fn asks(suite: &mut Suite, cast: &Cast) {
    let second = format!("/conversations/{}", cast.second);
    suite.call(Method::DELETE, &second, Value::Null, (200, NOTHING, "")).await;
    suite.settle().await;
    suite.get(&second, 404, JSON, "error").await;

    let pair = |mergee: i64| json!({ "base_contact_id": cast.contact, "mergee_contact_id": mergee });
    suite.post("/actions/contact_merge", pair(cast.other), (200, JSON, "active_contact")).await;
    suite.post("/actions/contact_merge", pair(cast.contact), (200, JSON, "active_contact")).await;
    suite.get(&format!("/contacts/{}", cast.other), 404, JSON, "error").await;

    let contact = format!("/contacts/{}", cast.contact);
    let conversation = format!("/conversations/{}", cast.conversation);
    suite.call(Method::DELETE, &contact, Value::Null, (200, NOTHING, "")).await;
    suite.settle().await;
    let source = json!({ "inbox_id": suite.inbox, "source_id": cast.source });
    suite.post("/contact_inboxes/filter", source, (404, NOTHING, "")).await;
    suite.get(&conversation, 404, JSON, "error").await;
    suite.call(Method::DELETE, &contact, Value::Null, (404, JSON, "error")).await;
    suite.call(Method::DELETE, &conversation, Value::Null, (404, JSON, "error")).await;
    let list = format!("/conversations?status=all&inbox_id={}&source_id={}", suite.inbox, cast.source);
    suite.get(&list, 200, JSON, "no_conversations").await;
}
