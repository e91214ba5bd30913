//! Stories about messages: quotes, Liquid, limits, statuses, pages.

use serde_json::{Value, json};
use simulator_chatwoot::Limits;

use crate::support::{INBOX, Rig};

#[tokio::test]
async fn a_quote_is_completed_from_either_half_and_nulled_if_it_leads_nowhere() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let elsewhere = rig.conversation("Luz").await;
    let asked = rig.incoming(conversation, "¿precio?", "wamid.1").await;
    let agents = rig.chatwoot.agent("Sofía").quotes(conversation, asked, "dos").await;
    let quote =
        |attributes: Value| json!({ "content": "sí", "message_type": "incoming", "content_attributes": attributes });

    let by_id = rig.message(conversation, quote(json!({ "in_reply_to": asked }))).await;
    let by_source = rig.message(conversation, quote(json!({ "in_reply_to_external_id": "wamid.1" }))).await;
    let both = json!({ "in_reply_to": asked, "in_reply_to_external_id": "wamid.1" });
    assert_eq!((&by_id["content_attributes"], &by_source["content_attributes"]), (&both, &both));
    let agents_own = rig.message(conversation, quote(json!({ "in_reply_to": agents }))).await;
    let half = json!({ "in_reply_to": agents, "in_reply_to_external_id": null });
    assert_eq!(agents_own["content_attributes"], half);
    let neither = json!({ "in_reply_to": null, "in_reply_to_external_id": null });
    let lost = rig.message(conversation, quote(json!({ "in_reply_to_external_id": "wamid.0", "x": 1 }))).await;
    assert_eq!(
        (&lost["content_attributes"]["in_reply_to"], &lost["content_attributes"]["x"]),
        (&Value::Null, &json!(1))
    );
    let foreign = rig.message(elsewhere, quote(json!({ "in_reply_to": asked }))).await;
    assert_eq!(foreign["content_attributes"], neither, "a quote stays inside its conversation");
}

#[tokio::test]
async fn outgoing_text_is_rendered_as_liquid_and_incoming_is_not() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("ana pérez").await;
    let text = "Hola {{contact.name}} {{nada}}";
    let sent = rig.message(conversation, json!({ "content": text, "source_id": "wamid.1" })).await;
    assert_eq!(sent["content"], "Hola Ana Pérez ");
    let received = rig.message(conversation, json!({ "content": text, "message_type": "incoming" })).await;
    assert_eq!(received["content"], text);
}

#[tokio::test]
async fn more_than_two_hundred_a_minute_stop_every_save_in_that_conversation() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let other = rig.conversation("Luz").await;
    let path = format!("/conversations/{conversation}/messages");
    let mut last = 0;
    for number in 0..200 {
        last = rig.incoming(conversation, "x", &format!("wamid.{number}")).await;
    }
    let refused = rig.post(&path, json!({ "content": "x" })).await;
    let expected = json!({ "error": "Validation failed: Demasiados mensajes" });
    assert_eq!((refused.status, refused.json()), (422, expected));
    let patched = rig.status(conversation, last, json!({ "status": "read" })).await;
    assert_eq!((patched.status, patched.json()["attributes"].clone()), (422, json!(["base"])));
    assert_eq!(rig.delete(&format!("{path}/{last}")).await.status, 422);
    rig.incoming(other, "x", "wamid.x").await;
    rig.advance(61);
    rig.incoming(conversation, "x", "wamid.200").await;
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_and_leaves_nothing() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let path = format!("/conversations/{conversation}/messages");
    rig.message(conversation, json!({ "content": "ñ".repeat(150_000) })).await;
    for body in [
        json!({ "content": "x".repeat(150_001) }),
        json!({ "content": "a\u{0}b" }),
        json!({ "content": "x", "message_type": "loud" }),
        json!({ "content": "x", "template_params": { "language": "es" } }),
        json!({ "content": "x", "attachments": ["no-such-blob"] }),
    ] {
        let refused = rig.post(&path, body).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert!(refused.json()["error"].is_string());
    }
    assert_eq!(rig.chatwoot.messages(conversation).len(), 1);
}

#[tokio::test]
async fn statuses_go_where_chatwoot_lets_them() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let message = rig.chatwoot.agent("Sofía").replies(conversation, "hola").await;
    let set = async |status: &str| {
        let reply = rig.status(conversation, message, json!({ "status": status, "external_error": "por qué" })).await;
        assert_eq!(reply.status, 200);
        let row = rig.chatwoot.messages(conversation).remove(0);
        (row.status, row.external_error)
    };
    assert_eq!(set("read").await, ("read".to_owned(), None));
    assert_eq!(set("delivered").await.0, "read", "refused, and still 200");
    assert_eq!(set("seen").await.0, "read", "unknown, and still 200");
    assert_eq!(set("sent").await.0, "sent", "taken by the version that was run");
    assert_eq!(set("failed").await, ("failed".to_owned(), Some("por qué".to_owned())));
    assert_eq!(set("delivered").await, ("delivered".to_owned(), None), "the error goes with the failure");
}

#[tokio::test]
async fn only_api_inboxes_take_incoming_messages_and_statuses() {
    let rig = Rig::start().await;
    let widget = json!({ "name": "Web", "channel": { "type": "web_widget" } });
    let inbox = rig.made("/inboxes", widget).await["id"].as_i64().unwrap();
    let contact = rig.contact("Ana", "abc").await;
    let opened = rig.made("/conversations", json!({ "inbox_id": inbox, "contact_id": contact })).await;
    let conversation = opened["id"].as_i64().unwrap();
    let path = format!("/conversations/{conversation}/messages");
    assert_eq!(rig.post(&path, json!({ "content": "x", "message_type": "incoming" })).await.status, 422);
    let message = rig.message(conversation, json!({ "content": "x" })).await["id"].as_i64().unwrap();
    assert_eq!(rig.status(conversation, message, json!({ "status": "read" })).await.status, 403);
}

#[tokio::test]
async fn pages_go_by_message_ids() {
    let rig = Rig::start().await;
    rig.chatwoot.limit(Limits { messages_per_conversation_and_minute: 10_000, ..Limits::default() });
    let conversation = rig.conversation("Ana").await;
    let mut ids = Vec::new();
    for number in 0..130 {
        ids.push(rig.incoming(conversation, "x", &format!("wamid.{number}")).await);
    }
    let page = async |query: String| -> Vec<i64> {
        let body = rig.get(&format!("/conversations/{conversation}/messages{query}")).await.json();
        body["payload"].as_array().unwrap().iter().map(|message| message["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(page(String::new()).await, ids[110..]);
    assert_eq!(page(format!("?before={}", ids[110])).await, ids[90..110]);
    assert_eq!(page(format!("?after={}", ids[9])).await, ids[10..110], "at most 100, the one named excepted");
    assert_eq!(page(format!("?after={}&before={}", ids[5], ids[129])).await, ids[5..129], "the one named included");

    rig.chatwoot.agent("Sofía").notes(conversation, "nota").await;
    assert_eq!(page(format!("?after={}&filter_internal_messages=1", ids[127])).await, ids[128..]);
}

#[tokio::test]
async fn a_template_shows_its_parameters_in_the_callback_and_as_the_last_of_its_conversation() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let params = json!({ "name": "seguimiento", "language": "es_AR", "processed_params": { "body": { "1": "Ana" } } });
    rig.chatwoot.agent("Sofía").picks_template(conversation, params.clone(), "Hola Ana").await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.about_messages()[0].body["additional_attributes"]["template_params"], params);
    let listed = rig.get(&format!("/conversations/{conversation}/messages")).await.json();
    assert_eq!(listed["payload"][0]["content"], "Hola Ana");
    assert!(listed["payload"][0].get("additional_attributes").is_none());
    let shown = rig.get(&format!("/conversations/{conversation}")).await.json();
    for last in [&shown["messages"][0], &shown["last_non_activity_message"]] {
        assert_eq!(last["additional_attributes"]["template_params"], params);
    }
    rig.incoming(conversation, "¿cuándo?", "wamid.1").await;
    let shown = rig.get(&format!("/conversations/{conversation}")).await.json();
    assert_eq!(shown["messages"][0]["additional_attributes"], json!({}), "a later message hides them");
}

#[tokio::test]
async fn the_greeting_of_the_inbox_answers_the_first_message() {
    let rig = Rig::start().await;
    let greeting = json!({ "greeting_enabled": true, "greeting_message": "¡Hola!" });
    assert_eq!(rig.patch(&format!("/inboxes/{INBOX}"), greeting).await.status, 200);
    let conversation = rig.conversation("Ana").await;
    rig.incoming(conversation, "hola", "wamid.1").await;
    rig.incoming(conversation, "¿hay alguien?", "wamid.2").await;
    rig.chatwoot.settled().await;
    let told = rig.receiver.about_messages();
    let greeted: Vec<_> = told.iter().filter(|callback| callback.body["message_type"] == "template").collect();
    assert_eq!(greeted.len(), 1);
    assert_eq!((&greeted[0].body["content"], &greeted[0].body["sender"]), (&json!("¡Hola!"), &Value::Null));
}

#[tokio::test]
async fn a_hard_break_loses_its_backslash_on_the_way_out_only() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    rig.chatwoot.agent("Sofía").replies(conversation, "uno\\\ndos\n\n").await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.about_messages()[0].body["content"], "uno\ndos");
    let listed = rig.get(&format!("/conversations/{conversation}/messages")).await.json();
    assert_eq!(listed["payload"][0]["content"], "uno\\\ndos\n\n");
}
