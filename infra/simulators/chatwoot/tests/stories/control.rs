//! Stories of the runner's page: everything a person does there, by HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use simulator_wire::{Faults, Server};

use crate::support::{Reply, Rig, local};

struct Page<'a> {
    rig: &'a Rig,
    server: Server,
}

impl Page<'_> {
    async fn call(&self, method: Method, path: &str, body: Value) -> Reply {
        let url = format!("{}/chatwoot{path}", self.server.url());
        self.rig.send(self.rig.http.request(method, url).json(&body)).await
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, Value::Null).await.json()
    }
}

#[tokio::test]
async fn a_person_answers_from_the_page() {
    let rig = Rig::start().await;
    let router = axum::Router::new().nest("/chatwoot", rig.chatwoot.control());
    let page = Page { rig: &rig, server: Server::start(local(), router, Faults::default()).await.unwrap() };
    let id = rig.conversation("Ana").await;
    let asked = rig.incoming(id, "¿precio?", "wamid.1").await;

    assert_eq!(page.get("/conversations").await[0]["contact_name"], "Ana");
    let reply = json!({ "text": "2.350.000", "quote": asked });
    let message = page.call(Method::POST, &format!("/conversations/{id}/reply"), reply).await.json()["id"].clone();
    let note = json!({ "text": "regatea", "private": true });
    assert_eq!(page.call(Method::POST, &format!("/conversations/{id}/reply"), note).await.status, 200);
    let url =
        format!("{}/chatwoot/conversations/{id}/file?name=a%20b.pdf&mime=application/pdf&text=va", page.server.url());
    assert_eq!(rig.send(rig.http.post(url).body("%PDF")).await.status, 200);

    let rows = page.get(&format!("/conversations/{id}/messages")).await;
    assert_eq!((&rows[1]["in_reply_to"], &rows[2]["private"]), (&json!(asked), &json!(true)));
    assert_eq!(rows[3]["attachments"][0]["filename"], "a b.pdf");
    let file = rows[3]["attachments"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(page.call(Method::GET, &file, Value::Null).await.text, "%PDF");

    rig.status(id, message.as_i64().unwrap(), json!({ "status": "failed", "external_error": "no salió" })).await;
    let path = format!("/conversations/{id}/messages/{message}");
    assert_eq!(page.call(Method::POST, &format!("{path}/retry"), Value::Null).await.status, 204);
    assert_eq!(rig.chatwoot.messages(id)[1].status, "sent");
    assert_eq!(page.call(Method::DELETE, &path, Value::Null).await.status, 204);
    assert!(rig.chatwoot.messages(id)[1].deleted);
    assert_eq!(page.call(Method::POST, &format!("/conversations/{id}/resolve"), Value::Null).await.status, 204);
    assert_eq!(rig.chatwoot.conversations()[0].status, "resolved");
    assert_eq!(page.call(Method::POST, "/conversations/1/reply", json!({ "text": "x" })).await.status, 404);
}

#[tokio::test]
async fn a_person_breaks_things_from_the_page() {
    let rig = Rig::start().await;
    let router = axum::Router::new().nest("/chatwoot", rig.chatwoot.control());
    let page = Page { rig: &rig, server: Server::start(local(), router, Faults::default()).await.unwrap() };
    let id = rig.conversation("Ana").await;

    let fault = json!({ "path": "/inboxes", "times": 1, "effect": "answer", "status": 502 });
    assert_eq!(page.call(Method::POST, "/faults", fault).await.status, 204);
    assert_eq!(page.get("/faults").await.as_array().unwrap().len(), 1);
    assert_eq!((rig.get("/inboxes").await.status, rig.get("/inboxes").await.status), (502, 200));
    assert_eq!(page.call(Method::DELETE, "/faults", Value::Null).await.status, 204);

    for up in [false, true, true] {
        assert_eq!(page.call(Method::POST, "/network", json!({ "up": up })).await.status, 204);
        let url = format!("{}/health", rig.chatwoot.url());
        assert_eq!(crate::support::client().get(url).send().await.is_ok(), up);
    }

    rig.quiet().await;
    page.call(Method::POST, "/callbacks", json!({ "hold": true, "lose": 1 })).await;
    let agent = rig.chatwoot.agent("Sofía");
    agent.notes(id, "se pierde").await;
    agent.notes(id, "llega").await;
    assert_eq!(page.get("/callbacks").await["waiting"], 2);
    page.call(Method::POST, "/callbacks", json!({ "hold": false })).await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.about_messages().len(), 1);
    page.call(Method::POST, "/callbacks", json!({ "duplicate": 1 })).await;
    agent.notes(id, "dos veces").await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.about_messages().len(), 3);
}

#[tokio::test]
async fn everything_that_can_go_wrong_is_switched_on_by_http() {
    let rig = Rig::start().await;
    let router = axum::Router::new().nest("/chatwoot", rig.chatwoot.control());
    let page = Page { rig: &rig, server: Server::start(local(), router, Faults::default()).await.unwrap() };
    let set = json!({ "language": "english", "files": "missing", "deletions_take_seconds": 60, "racing_contacts": 1,
        "newer_retry": true });
    assert_eq!(page.call(Method::POST, "/settings", set).await.status, 204);
    assert_eq!(page.call(Method::POST, "/settings", json!({ "langage": "english" })).await.status, 422);
    let callbacks = json!({ "shuffle": 7, "retries": true, "older": true, "duplicate": 1, "same_delivery": true });
    assert_eq!(page.call(Method::POST, "/callbacks", callbacks).await.status, 204);

    let id = rig.conversation("Ana").await;
    let gone = rig.get("/conversations/999999").await;
    assert_eq!((gone.status, &gone.json()["error"]), (404, &json!("Resource could not be found")));
    let slow = json!({ "path": "/messages", "effect": "slow", "millis": 1 });
    assert_eq!(page.call(Method::POST, "/faults", slow).await.status, 204);
    assert!(rig.incoming(id, "hola", "wamid.1").await > 0);

    let token = page.call(Method::POST, "/token", Value::Null).await.json()["token"].clone();
    assert!(token.as_str().is_some_and(|token| token.len() == 32));
    assert_eq!(rig.get("/conversations").await.status, 401, "the old one is refused");
    let secret = page.call(Method::POST, "/inboxes/14/secret", Value::Null).await.json()["secret"].clone();
    assert!(secret.is_string());
    assert_eq!(page.call(Method::POST, "/inboxes/999/secret", Value::Null).await.status, 404);
}
