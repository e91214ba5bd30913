//! Stories about callbacks: once, signed, late-built, and what happens when they fail.

use std::time::Duration;

use crate::support::{INBOX, Rig, SECRET, START};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use simulator_chatwoot::Duplicate;
use simulator_wire::{Effect, Fault};

fn signed(secret: &str, timestamp: &str, raw: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{timestamp}.{raw}").as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Every key of a compact JSON text, in order.
fn keys(raw: &str) -> Vec<&str> {
    let (mut keys, mut start, mut escaped) = (Vec::new(), None, false);
    for (at, letter) in raw.char_indices() {
        match (letter, start) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            ('"', None) => start = Some(at + 1),
            ('"', Some(from)) => {
                if raw[at + 1..].starts_with(':') {
                    keys.push(&raw[from..at]);
                }
                start = None;
            }
            _ => {}
        }
    }
    keys
}

#[tokio::test]
async fn a_reply_comes_in_the_exact_shape_and_order_of_the_sample() {
    let rig = Rig::start().await;
    let contact = rig.contact("Lucía Fernández", "5491155501234").await;
    let attributes = json!({
        "additional_attributes": { "city": "Rosario", "country": "Argentina", "country_code": "AR" },
        "custom_attributes": { "modelo_interes": "Zanella RX 150" },
    });
    assert_eq!(rig.patch(&format!("/contacts/{contact}"), attributes).await.status, 200);
    let body = json!({ "inbox_id": INBOX, "contact_id": contact, "source_id": "5491155501234" });
    let conversation = rig.made("/conversations", body).await["id"].as_i64().unwrap();
    let agent = rig.chatwoot.agent("Sofía Ledesma");
    agent.reopens(conversation).await;
    rig.quiet().await;

    let text = "Precio < 3.000.000 & cuotas > 6 — ¿avanzamos? 🤝\u{2028}";
    let message = agent.replies(conversation, text).await;
    rig.chatwoot.settled().await;

    let told = rig.receiver.about_messages();
    assert_eq!(told.len(), 1);
    let sample = include_str!("wire_format.json");
    assert_eq!(keys(&told[0].raw), keys(sample.trim()));
    assert!(told[0].raw.contains(r"Precio \u003c 3.000.000 \u0026 cuotas \u003e 6 — ¿avanzamos? 🤝\u2028"));
    let body = &told[0].body;
    assert_eq!(body["content"], text);
    assert_eq!(body["id"], message);
    assert_eq!(body["message_type"], "outgoing");
    assert_eq!(body["created_at"], "2026-11-20T14:00:00.412Z");
    assert_eq!(body["sender"]["type"], "user");
    assert_eq!(body["conversation"]["messages"][0]["message_type"], 1);
    assert_eq!(body["conversation"]["contact_inbox"]["source_id"], "5491155501234");
    assert_eq!(body["conversation"]["meta"]["assignee_type"], "User");
    assert_eq!(body["conversation"]["updated_at"], 1_795_183_200.412);
    assert!(body.get("status").is_none() && body.get("attachments").is_none());
}

#[tokio::test]
async fn it_is_signed_over_timestamp_and_raw_body_and_a_new_secret_counts_at_once() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let agent = rig.chatwoot.agent("Sofía");
    agent.notes(conversation, "uno").await;
    rig.chatwoot.settled().await;
    let rotated = rig.chatwoot.reset_secret(INBOX).unwrap();
    rig.advance(7);
    agent.notes(conversation, "dos").await;
    rig.chatwoot.settled().await;

    for (callback, secret, at) in rig
        .receiver
        .about_messages()
        .iter()
        .zip([SECRET, &rotated])
        .zip([0, 7])
        .map(|((one, two), three)| (one, two, three))
    {
        let timestamp = callback.header("x-chatwoot-timestamp").unwrap();
        assert_eq!(timestamp, (START.as_secs() + at).to_string());
        assert_eq!(callback.header("x-chatwoot-signature").unwrap(), signed(secret, timestamp, &callback.raw));
        assert_eq!(callback.header("content-type"), Some("application/json"));
        assert_eq!(callback.header("x-chatwoot-delivery").unwrap().len(), 36);
    }
    assert_eq!(rig.receiver.about_messages().len(), 2);
}

#[tokio::test]
async fn older_versions_do_not_sign_and_leave_fields_out() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    rig.chatwoot.callbacks().like_older_versions(true);
    let files = vec![("a.png".to_owned(), "image/png".to_owned(), vec![1, 2, 3])];
    rig.chatwoot.agent("Sofía").sends_files(conversation, None, files).await;
    rig.chatwoot.settled().await;

    let told = &rig.receiver.about_messages()[0];
    assert_eq!(told.header("x-chatwoot-signature"), None);
    assert_eq!(told.header("x-chatwoot-timestamp"), None);
    assert!(told.header("x-chatwoot-delivery").is_some());
    assert!(told.body["conversation"].get("account").is_none());
    assert!(told.body["conversation"]["meta"].get("assignee_type").is_none());
    assert!(told.body["attachments"][0].get("content_type").is_none());
}

#[tokio::test]
async fn what_the_bridge_writes_comes_back_to_it() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    rig.incoming(conversation, "hola", "wamid.1").await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.events(), ["message_created"], "a new conversation waits already");
    let created = &rig.receiver.got()[0].body;
    assert_eq!((&created["message_type"], &created["source_id"]), (&json!("incoming"), &json!("wamid.1")));
    assert_eq!(created["sender"]["identifier"], "source-of-Ana");
    assert!(created["sender"].get("type").is_none());
    rig.chatwoot.agent("Sofía").replies(conversation, "diga").await;
    rig.chatwoot.settled().await;
    rig.receiver.clear();
    let message = rig.incoming(conversation, "¿precio?", "wamid.2").await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.events(), ["message_created", "conversation_updated"]);
    let changed = &rig.receiver.got()[1];
    assert!(changed.body["changed_attributes"][0]["updated_at"]["previous_value"].is_string());
    assert_eq!(changed.body["changed_attributes"][1]["waiting_since"]["previous_value"], json!(null));
    assert!(changed.raw.contains(r#"{"waiting_since":{"previous_value":null,"current_value":"#));

    rig.receiver.clear();
    assert_eq!(rig.status(conversation, message, json!({ "status": "delivered" })).await.status, 200);
    assert_eq!(rig.status(conversation, message, json!({ "status": "delivered" })).await.status, 200);
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.events(), ["message_updated"], "saving nothing tells nothing");
    assert_eq!(rig.receiver.got()[0].body["conversation"]["messages"][0]["status"], "delivered");
}

#[tokio::test]
async fn a_callback_that_is_refused_marks_even_the_customers_own_message_failed() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    rig.receiver.will_answer(&[500, 500]);
    let message = rig.incoming(conversation, "hola", "wamid.1").await;
    rig.chatwoot.settled().await;

    let row = &rig.chatwoot.messages(conversation)[0];
    assert_eq!((row.id, row.status.as_str()), (message, "failed"));
    assert_eq!(row.external_error.as_deref(), Some("500 Internal Server Error"));
    // The mark is told too; told in vain, it changes nothing any more and ends there.
    assert_eq!(rig.receiver.events(), ["message_created", "message_updated"]);
    let log = rig.chatwoot.callbacks().log();
    let of_message: Vec<_> = log.iter().filter(|post| post.message == Some(message)).map(|post| post.status).collect();
    assert_eq!(of_message, [Some(500), Some(500)]);
}

#[tokio::test]
async fn nobody_listening_and_nobody_answering_are_failures_too() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let agent = rig.chatwoot.agent("Sofía");
    rig.chatwoot.callbacks().set_timeout(Duration::from_millis(50));
    let hang = Fault { method: None, path: String::new(), skip: 0, times: None, effect: Effect::HangAfter };
    rig.receiving_faults.add(hang);
    agent.replies(conversation, "uno").await;
    rig.chatwoot.settled().await;
    let error = rig.chatwoot.messages(conversation)[0].external_error.clone().unwrap();
    assert!(error.starts_with("Net::ReadTimeout"), "{error}");
    assert!(rig.receiver.about_messages().len() == 2, "heard and repeated by nobody: created, then the mark");

    rig.receiving_faults.clear();
    rig.chatwoot.set_callback_url(INBOX, "http://127.0.0.1:9/callbacks");
    agent.replies(conversation, "dos").await;
    rig.chatwoot.settled().await;
    let error = rig.chatwoot.messages(conversation)[1].external_error.clone().unwrap();
    assert!(error.starts_with("Failed to open TCP connection to 127.0.0.1:9"), "{error}");
}

#[tokio::test]
async fn callbacks_get_lost_doubled_held_and_swapped() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let (agent, callbacks) = (rig.chatwoot.agent("Sofía"), rig.chatwoot.callbacks());

    callbacks.lose(1);
    let lost = agent.replies(conversation, "se pierde").await;
    rig.chatwoot.settled().await;
    assert!(rig.receiver.about_messages().is_empty());
    assert!(callbacks.log().iter().any(|post| post.message == Some(lost) && post.lost));
    assert_eq!(rig.chatwoot.messages(conversation)[0].status, "sent", "nobody notices");

    for (kind, same) in [(Duplicate::NewDelivery, false), (Duplicate::SameDelivery, true)] {
        rig.quiet().await;
        callbacks.duplicate(1, kind);
        agent.replies(conversation, "dos veces").await;
        rig.chatwoot.settled().await;
        let told = rig.receiver.about_messages();
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].body["id"], told[1].body["id"]);
        assert_eq!(told[0].header("x-chatwoot-delivery") == told[1].header("x-chatwoot-delivery"), same);
    }

    rig.quiet().await;
    callbacks.hold();
    callbacks.shuffle(7);
    let mut written = Vec::new();
    for text in ["a", "b", "c", "d", "e", "f"] {
        written.push(agent.notes(conversation, text).await);
    }
    rig.chatwoot.settled().await;
    assert_eq!((rig.receiver.got().len(), callbacks.waiting()), (0, 6));
    agent.deletes(conversation, written[5]).await;
    callbacks.release();
    rig.chatwoot.settled().await;
    let created = rig.receiver.got().into_iter().filter(|callback| callback.event() == "message_created");
    let told: Vec<_> = created.map(|callback| (callback.body["id"].as_i64().unwrap(), callback.body)).collect();
    let mut sorted: Vec<_> = told.iter().map(|(id, _)| *id).collect();
    assert_ne!(sorted, written, "swapped");
    sorted.sort_unstable();
    assert_eq!(sorted, written, "but all there");
    let late = &told.iter().find(|(id, _)| *id == written[5]).unwrap().1;
    assert_eq!(late["content_attributes"], json!({ "deleted": true }), "the body is as late as the post");
}

#[tokio::test]
async fn the_announced_change_tries_three_times_with_one_delivery_id() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    rig.chatwoot.callbacks().retry_three_times(true);
    rig.receiver.will_answer(&[503, 429]);
    rig.chatwoot.agent("Sofía").notes(conversation, "nota").await;
    rig.chatwoot.settled().await;
    let told = rig.receiver.about_messages();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|one| one.header("x-chatwoot-delivery") == told[0].header("x-chatwoot-delivery")));
    assert_eq!(rig.chatwoot.messages(conversation)[0].status, "sent");

    rig.quiet().await;
    rig.receiver.will_answer(&[404]);
    rig.chatwoot.agent("Sofía").notes(conversation, "otra").await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.chatwoot.messages(conversation)[1].external_error.as_deref(), Some("404 Not Found"));
}

#[tokio::test]
async fn retry_sends_nothing_but_two_updates() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let agent = rig.chatwoot.agent("Sofía");
    let asked = rig.incoming(conversation, "¿precio?", "wamid.1").await;
    let message = agent.quotes(conversation, asked, "2.350.000").await;
    let failed = json!({ "status": "failed", "external_error": "Sin confirmar" });
    assert_eq!(rig.status(conversation, message, failed.clone()).await.status, 200);
    rig.quiet().await;

    agent.retries(conversation, message).await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.events(), ["message_updated", "message_updated"]);
    let row = &rig.chatwoot.messages(conversation)[1];
    assert_eq!((row.status.as_str(), row.content_attributes.len()), ("sent", 0), "the quote is lost too");

    assert_eq!(rig.status(conversation, message, failed).await.status, 200);
    rig.quiet().await;
    rig.chatwoot.retry_like_newer_versions(true);
    let path = format!("/conversations/{conversation}/messages/{message}/retry");
    assert_eq!(rig.post(&path, json!({})).await.json()["status"], "sent");
    assert_eq!(rig.post(&path, json!({})).await.status, 200);
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.events(), ["message_updated"]);
}

#[tokio::test]
async fn conversations_tell_what_changed_and_activities_tell_nothing() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let agent = rig.chatwoot.agent("Sofía");
    agent.labels(conversation, &["borrar-datos"]).await;
    agent.types(conversation, true).await;
    agent.resolves(conversation).await;
    rig.chatwoot.settled().await;
    assert_eq!(
        rig.receiver.events(),
        ["conversation_updated", "conversation_typing_on", "conversation_status_changed", "conversation_updated"]
    );
    let got = rig.receiver.got();
    let labels = json!({ "label_list": { "previous_value": [], "current_value": ["borrar-datos"] } });
    assert_eq!(got[0].body["changed_attributes"][1], labels);
    assert_eq!(got[1].body["user"]["name"], "Sofía");
    assert!(got[2].raw.ends_with(r#""event":"conversation_status_changed","changed_attributes":null}"#));
    let messages = rig.chatwoot.messages(conversation);
    assert_eq!(messages.last().unwrap().message_type, "activity");
}

#[tokio::test]
async fn what_is_gone_before_its_callback_leaves_is_never_told() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    rig.chatwoot.callbacks().hold();
    let agent = rig.chatwoot.agent("Sofía");
    agent.replies(conversation, "hola").await;
    agent.deletes_conversation(conversation).await;
    rig.chatwoot.callbacks().release();
    rig.chatwoot.settled().await;
    assert!(rig.receiver.got().is_empty());
}
