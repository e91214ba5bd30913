//! Stories about who may do what, and how a refusal looks.

use reqwest::Method;
use serde_json::{Value, json};
use simulator_chatwoot::{Language, Limits, Role};
use simulator_wire::{Effect, Fault};

use crate::support::{BASE, INBOX, Rig};

#[tokio::test]
async fn a_token_is_needed_in_either_spelling_and_ends_when_it_is_reset() {
    let mut rig = Rig::start().await;
    let url = format!("{}/api/v1/profile", rig.chatwoot.url());
    let bare = rig.send(rig.http.get(&url)).await;
    assert_eq!(bare.status, 401);
    assert!(bare.json()["errors"].is_array());
    let hyphen = rig.send(rig.http.get(&url).header("api-access-token", &rig.token)).await;
    assert_eq!(hyphen.json()["role"], "administrator");

    let token = rig.chatwoot.reset_token();
    let stale = rig.get("/inboxes").await;
    assert_eq!((stale.status, stale.json()), (401, json!({ "error": "Invalid Access Token" })));
    rig.token = token;
    assert_eq!(rig.get("/inboxes").await.status, 200);
    let foreign = rig.send(rig.request(Method::GET, "/api/v1/accounts/4/inboxes")).await;
    assert_eq!(foreign.status, 404);
}

#[tokio::test]
async fn agents_and_bots_may_do_less_and_are_told_401() {
    let mut rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let message = rig.incoming(conversation, "hola", "wamid.1").await;
    let contact = rig.chatwoot.contacts()[0].id;

    rig.token = rig.chatwoot.token("Diego", Role::Agent);
    for path in [format!("/contacts/{contact}"), format!("/conversations/{conversation}")] {
        assert_eq!(rig.delete(&path).await.status, 401);
    }
    let inbox = rig.get(&format!("/inboxes/{INBOX}")).await.json();
    assert!(inbox.get("secret").is_none() && inbox.get("hmac_token").is_none());
    assert_eq!(rig.patch(&format!("/inboxes/{INBOX}"), json!({ "name": "x" })).await.status, 401);
    let path = format!("/conversations/{conversation}/toggle_status");
    rig.made(&path, json!({ "status": "resolved" })).await;
    rig.made(&path, json!({ "status": "open" })).await;
    assert_eq!(rig.chatwoot.conversations()[0].assignee.as_deref(), Some("Diego"), "opening takes it on");

    rig.token = rig.chatwoot.token("Robot", Role::Bot);
    assert_eq!(rig.get(&format!("/conversations/{conversation}")).await.status, 200);
    rig.message(conversation, json!({ "content": "soy un bot" })).await;
    for refused in [
        rig.get(&format!("/conversations/{conversation}/messages")).await,
        rig.status(conversation, message, json!({ "status": "read" })).await,
        rig.get(&format!("/contacts/{contact}")).await,
    ] {
        assert_eq!(refused.status, 401);
        assert!(refused.json()["error"].as_str().unwrap().contains("bots"));
    }
}

#[tokio::test]
async fn an_agent_sees_only_the_inboxes_he_belongs_to() {
    let mut rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let agent = rig.chatwoot.token("Diego", Role::Agent);
    let members = json!({ "inbox_id": INBOX, "user_ids": [] });
    assert_eq!(rig.patch("/inbox_members", members).await.status, 200);
    rig.token = agent;
    assert_eq!(rig.get(&format!("/conversations/{conversation}")).await.status, 401);
    assert_eq!(rig.get("/conversations").await.json()["data"]["meta"]["all_count"], 0);
}

#[tokio::test]
async fn refusals_have_the_shape_of_whoever_refuses() {
    let rig = Rig::start().await;
    let unknown = rig.get("/nowhere").await;
    assert_eq!((unknown.status, unknown.json()), (404, json!({ "status": 404, "error": "Not Found" })));
    let gone = rig.get("/conversations/1").await;
    assert_eq!((gone.status, gone.json()), (404, json!({ "error": "Resource could not be found" })));
    let path = format!("{BASE}/contacts");
    let broken = rig.request(Method::POST, &path).header("content-type", "application/json").body("{\"name\":");
    assert_eq!(rig.send(broken).await.status, 400);
    assert!(rig.chatwoot.contacts().is_empty());
    let conversation = rig.conversation("Ana").await;
    let path = format!("/conversations/{conversation}/toggle_status");
    assert_eq!(rig.post(&path, json!({ "status": "closed" })).await.status, 500);
    let url = format!("{}{BASE}{path}", rig.chatwoot.url());
    let page = rig.http.post(url).header("api_access_token", &rig.token).json(&json!({ "status": "closed" }));
    assert!(rig.send(page).await.content_type.starts_with("text/html"), "who does not ask for JSON gets a page");
    rig.chatwoot.speak(Language::Translated);
    assert_eq!(rig.get("/conversations/1").await.json(), json!({ "error": "No se pudo encontrar el recurso" }));
}

#[tokio::test]
async fn too_many_requests_are_answered_with_plain_text_until_the_minute_is_over() {
    let rig = Rig::start().await;
    rig.chatwoot.limit(Limits { requests_per_minute: Some(2), ..Limits::default() });
    assert_eq!(rig.get("/inboxes").await.status, 200);
    assert_eq!(rig.get("/inboxes").await.status, 200);
    let refused = rig.get("/inboxes").await;
    assert_eq!(
        (refused.status, refused.text.trim(), refused.content_type.as_str()),
        (429, "Retry later", "text/plain")
    );
    rig.advance(60);
    assert_eq!(rig.get("/inboxes").await.status, 200);
    assert_eq!(rig.chatwoot.requests().iter().map(|call| call.status).collect::<Vec<_>>(), [200, 200, 429, 200]);
}

#[tokio::test]
async fn a_create_can_happen_without_an_answer() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let path = "/messages".to_owned();
    rig.chatwoot.faults().add(Fault { method: None, path, skip: 0, times: Some(1), effect: Effect::DropAfter });
    let path = format!("{BASE}/conversations/{conversation}/messages");
    let body = json!({ "content": "hola", "message_type": "incoming", "source_id": "wamid.1" });
    assert!(rig.request(Method::POST, &path).json(&body).send().await.is_err());
    let listed = rig.get(&format!("/conversations/{conversation}/messages")).await.json();
    assert_eq!(listed["payload"][0]["source_id"], "wamid.1");
}

#[tokio::test]
async fn an_inbox_replaces_its_attributes_whole_and_checks_the_window() {
    let rig = Rig::start().await;
    let path = format!("/inboxes/{INBOX}");
    let set = |attributes: Value| rig.patch(&path, json!({ "channel": { "additional_attributes": attributes } }));
    let templates = json!({ "agent_reply_time_window": 24, "message_templates": [{ "name": "hola" }] });
    assert_eq!(set(templates).await.json()["additional_attributes"]["message_templates"][0]["name"], "hola");
    let now = set(json!({ "agent_reply_time_window": 23 })).await.json();
    assert_eq!(now["additional_attributes"], json!({ "agent_reply_time_window": 23 }));
    assert_eq!(now["secret"], crate::support::SECRET);
    let refused = set(json!({ "agent_reply_time_window": 0 })).await;
    assert_eq!((refused.status, refused.json()["attributes"].clone()), (422, json!(["agent_reply_time_window"])));
    let kept = set(json!("null")).await.json();
    assert_eq!(kept["additional_attributes"], json!({ "agent_reply_time_window": 23 }), "what is no object is ignored");
    let literal = json!({ "greeting_message": "null", "channel": { "additional_attributes": { "x": "null" } } });
    let now = rig.patch(&path, literal).await.json();
    assert_eq!((&now["greeting_message"], &now["additional_attributes"]), (&Value::Null, &json!({ "x": "null" })));
    rig.chatwoot.set_inbox_attributes(INBOX, json!({ "agent_reply_time_window_message": "Use una plantilla" }));
    assert_eq!(rig.get(&path).await.json()["additional_attributes"], rig.chatwoot.inbox_attributes(INBOX));
    let as_agent = rig.http.patch(format!("{}{BASE}{path}", rig.chatwoot.url()));
    let as_agent = as_agent.header("api_access_token", rig.chatwoot.token("Diego", Role::Agent));
    let refused = rig.send(as_agent.json(&json!({ "channel": { "additional_attributes": {} } }))).await;
    assert_eq!(refused.status, 401, "administrators only");
    let reset = rig.post(&format!("{path}/reset_secret"), json!({})).await.json();
    assert_ne!(reset["secret"], crate::support::SECRET);
}

#[tokio::test]
async fn health_version_and_the_public_api_need_no_token() {
    let rig = Rig::start().await;
    let plain = async |path: &str| rig.send(rig.http.get(format!("{}{path}", rig.chatwoot.url()))).await.json();
    assert_eq!(plain("/health").await, json!({ "status": "woot" }));
    assert_eq!(plain("/api").await["version"], simulator_chatwoot::VERSION);
    let identifier =
        rig.get(&format!("/inboxes/{INBOX}")).await.json()["inbox_identifier"].as_str().unwrap().to_owned();
    let public = format!("/public/api/v1/inboxes/{identifier}");
    assert_eq!(plain(&public).await["name"], "WhatsApp Ventas");
    let contact = rig.contact("Ana", "s1").await;
    let body = json!({ "identifier": "s1", "source_id": "s1" });
    let known = rig.send(rig.http.post(format!("{}{public}/contacts", rig.chatwoot.url())).json(&body)).await;
    assert_eq!(known.json()["id"], contact, "it takes up a contact it knows");
}
