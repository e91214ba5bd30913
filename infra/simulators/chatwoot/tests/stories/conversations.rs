//! Stories about conversations: opened, listed, locked, reopened.

use std::time::Duration;

use serde_json::json;

use crate::support::{INBOX, Rig};

#[tokio::test]
async fn creating_takes_own_source_ids_only_and_makes_a_new_one_every_time() {
    let rig = Rig::start().await;
    let ana = rig.contact("Ana", "ana").await;
    let luz = rig.contact("Luz", "luz").await;
    let body = json!({ "inbox_id": INBOX, "contact_id": ana, "source_id": "ana" });
    let first = rig.made("/conversations", body.clone()).await;
    let second = rig.made("/conversations", body).await;
    assert_ne!(first["id"], second["id"], "nothing makes it idempotent");
    let foreign = rig.post("/conversations", json!({ "inbox_id": INBOX, "contact_id": luz, "source_id": "ana" })).await;
    assert_eq!((foreign.status, foreign.json()), (422, json!({ "error": "source_id should be unique" })));
    rig.made("/conversations", json!({ "inbox_id": INBOX, "contact_id": luz })).await;
    let source_ids = &rig.chatwoot.contacts()[1].source_ids;
    assert_eq!((source_ids.len(), source_ids[1].1.len()), (2, 36), "without a source id there is a new random one");
    let alone = rig.made("/conversations", json!({ "source_id": "luz" })).await;
    assert_eq!(alone["meta"]["sender"]["id"], luz);
}

#[tokio::test]
async fn a_locked_inbox_gives_back_the_last_conversation_as_it_is() {
    let rig = Rig::with(true).await;
    let conversation = rig.conversation("Ana").await;
    rig.chatwoot.agent("Sofía").resolves(conversation).await;
    let contact = rig.chatwoot.contacts()[0].id;
    let body = json!({
        "inbox_id": INBOX, "contact_id": contact, "source_id": "source-of-Ana", "status": "open",
        "message": { "content": "hola" },
    });
    let again = rig.made("/conversations", body).await;
    assert_eq!((&again["id"], &again["status"]), (&json!(conversation), &json!("resolved")));
    let spoken = rig.chatwoot.messages(conversation).iter().filter(|row| row.message_type != "activity").count();
    assert_eq!(spoken, 0);
}

#[tokio::test]
async fn the_list_shows_open_ones_the_last_active_first_with_the_source_id_only_in_messages() {
    let rig = Rig::start().await;
    let mut all = Vec::new();
    for number in 0..27 {
        all.push(rig.conversation(&format!("C{number}")).await);
        rig.advance(60);
    }
    rig.incoming(all[3], "hola", "wamid.3").await;
    rig.chatwoot.agent("Sofía").resolves(all[5]).await;

    let page = rig.get("/conversations").await.json()["data"].clone();
    assert_eq!((page["payload"].as_array().unwrap().len(), &page["meta"]["all_count"]), (25, &json!(26)));
    assert_eq!(page["payload"][0]["id"], all[3]);
    let first = &page["payload"][0];
    assert!(first.get("contact_inbox").is_none());
    assert_eq!(first["messages"][0]["conversation"]["contact_inbox"]["source_id"], "source-of-C3");
    assert!(page["payload"][1]["messages"].as_array().unwrap().is_empty());
    let rest = rig.get("/conversations?page=2&assignee_type=me").await.json();
    assert_eq!(rest["data"]["payload"].as_array().unwrap().len(), 1);
    let resolved = rig.get("/conversations?status=resolved&inbox_id=14").await.json();
    assert_eq!(resolved["data"]["payload"][0]["id"], all[5]);
    assert_eq!(rig.get("/conversations?inbox_id=15&status=all").await.json()["data"]["meta"]["all_count"], 0);
    let by_source = rig.get("/conversations?status=all&source_id=source-of-C5").await.json();
    assert_eq!(
        (&by_source["data"]["meta"]["all_count"], &by_source["data"]["payload"][0]["id"]),
        (&json!(1), &json!(all[5]))
    );
    assert_eq!(rig.get("/conversations?status=closed").await.status, 500);

    rig.advance(3 * 86_400);
    let old = json!({ "payload": [
        { "attribute_key": "last_activity_at", "filter_operator": "days_before", "values": ["2"], "query_operator": "AND" },
        { "attribute_key": "status", "filter_operator": "equal_to", "values": ["resolved"] },
    ] });
    let found = rig.made("/conversations/filter", old).await;
    assert_eq!((&found["meta"]["all_count"], &found["payload"][0]["id"]), (&json!(1), &json!(all[5])));
}

#[tokio::test]
async fn an_incoming_message_reopens_unless_the_contact_is_blocked() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let (agent, contact) = (rig.chatwoot.agent("Sofía"), rig.chatwoot.contacts()[0].id);
    agent.resolves(conversation).await;
    rig.quiet().await;
    rig.incoming(conversation, "otra cosa", "wamid.1").await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.chatwoot.conversations()[0].status, "open");
    let told = ["message_created", "conversation_status_changed", "conversation_updated", "conversation_updated"];
    assert_eq!(rig.receiver.events(), told);

    agent.blocks(contact).await;
    agent.resolves(conversation).await;
    rig.incoming(conversation, "¿hola?", "wamid.2").await;
    assert_eq!(rig.chatwoot.conversations()[0].status, "resolved");
    let body = json!({ "inbox_id": INBOX, "contact_id": contact, "source_id": "source-of-Ana" });
    assert_eq!(rig.made("/conversations", body).await["status"], "resolved");
}

#[tokio::test]
async fn attributes_and_labels_are_replaced() {
    let rig = Rig::start().await;
    let path = format!("/conversations/{}", rig.conversation("Ana").await);
    rig.made(&format!("{path}/custom_attributes"), json!({ "custom_attributes": { "a": 1 } })).await;
    let now = rig.made(&format!("{path}/custom_attributes"), json!({ "custom_attributes": { "b": 2 } })).await;
    assert_eq!(now, json!({ "custom_attributes": { "b": 2 } }));
    rig.made(&format!("{path}/labels"), json!({ "labels": ["x", "y"] })).await;
    rig.made(&format!("{path}/labels"), json!({ "labels": ["borrar-datos"] })).await;
    assert_eq!(rig.get(&format!("{path}/labels")).await.json(), json!({ "payload": ["borrar-datos"] }));
    assert_eq!(rig.chatwoot.conversations()[0].labels, ["borrar-datos"]);
}

#[tokio::test]
async fn the_dashboard_locks_when_the_window_of_the_inbox_is_over() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let path = format!("/conversations/{conversation}");
    assert_eq!(rig.get(&path).await.json()["can_reply"], true, "no window is set");
    let window = json!({ "channel": { "additional_attributes": { "agent_reply_time_window": "24" } } });
    assert_eq!(rig.patch(&format!("/inboxes/{INBOX}"), window).await.status, 200);
    assert_eq!(rig.get(&path).await.json()["can_reply"], false, "nobody has written yet");
    rig.incoming(conversation, "hola", "wamid.1").await;
    assert_eq!(rig.get(&path).await.json()["can_reply"], true);
    rig.advance(86_400);
    assert_eq!(rig.get(&path).await.json()["can_reply"], false);
    rig.chatwoot.agent("Sofía").replies(conversation, "tarde").await;
    assert_eq!(rig.chatwoot.messages(conversation).len(), 2, "the server itself does not check");
}

#[tokio::test]
async fn deleting_a_conversation_is_asynchronous_too() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    rig.chatwoot.delay_deletions(Duration::from_secs(10));
    let path = format!("/conversations/{conversation}");
    assert_eq!(rig.delete(&path).await.status, 200);
    assert_eq!(rig.get(&path).await.status, 200);
    rig.advance(10);
    assert_eq!(rig.get(&path).await.status, 404);
    assert_eq!(rig.post(&format!("{path}/messages"), json!({ "content": "?" })).await.status, 404);
    assert_eq!(rig.chatwoot.contacts().len(), 1);
}

#[tokio::test]
async fn an_agent_starts_a_conversation_under_a_source_id_nobody_issued() {
    let rig = Rig::start().await;
    let agent = rig.chatwoot.agent("Sofía");
    let contact = agent.adds_contact("Ana", Some("+5215512345678")).await;
    let (conversation, message) = agent.starts_conversation(contact, INBOX, "Buenas").await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.events()[..2], ["conversation_created", "message_created"]);
    let told = &rig.receiver.got()[1].body;
    assert_eq!((&told["id"], &told["conversation"]["id"]), (&json!(message), &json!(conversation)));
    assert_eq!(told["conversation"]["contact_inbox"]["source_id"].as_str().unwrap().len(), 36);
    assert_eq!(told["conversation"]["meta"]["sender"]["phone_number"], "+5215512345678");
    assert_eq!(rig.chatwoot.conversation_of("Ana"), Some(conversation));
}
