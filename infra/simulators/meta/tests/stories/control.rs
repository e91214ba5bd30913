//! The same by HTTP, as the runner's page does it.

use axum::Router;
use serde_json::{Value, json};
use simulator_meta::Statuses;
use simulator_wire::{Faults, Server};

use crate::stage::{ANA, Stage, WABA, answer};

struct Page {
    stage: Stage,
    server: Server,
}

impl Page {
    async fn open() -> anyhow::Result<Self> {
        let stage = Stage::open(Statuses::Automatic).await?;
        let router = Router::new().nest("/_local/meta", stage.meta.control());
        let server = Server::start(([127, 0, 0, 1], 0).into(), router, Faults::default()).await?;
        Ok(Self { stage, server })
    }

    fn at(&self, path: &str) -> String {
        format!("{}/_local/meta{path}", self.server.url())
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<(u16, Value)> {
        answer(self.stage.http.post(self.at(path)).json(&body)).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(answer(self.stage.http.get(self.at(path))).await?.1)
    }
}

#[tokio::test]
async fn a_visitor_plays_a_customer() -> anyhow::Result<()> {
    let page = Page::open().await?;
    assert_eq!(page.post("/customers", json!({"name": "Ana", "wa_id": "+52 1 55 5555 0123"})).await?.0, 200);
    assert_eq!(page.get("/customers").await?[0]["wa_id"], ANA);
    let (_, written) = page.post(&format!("/customers/{ANA}/text"), json!({"text": "hola"})).await?;
    let wamid = page.stage.sent(ANA, "buen día").await?;
    let quote = json!({"text": "¿precio?", "quote": wamid});
    assert_eq!(page.post(&format!("/customers/{ANA}/text"), quote).await?.0, 200);
    page.stage.meta.settled().await;
    assert_eq!(page.post(&format!("/customers/{ANA}/read"), Value::Null).await?.0, 204);
    let chat = page.get(&format!("/customers/{ANA}/chat")).await?;
    assert_eq!(chat[0]["wamid"], written["wamid"]);
    assert_eq!((&chat[1]["from_business"], &chat[1]["status"]), (&json!(true), &json!("read")));
    assert_eq!(chat[2]["quoted"], json!(wamid));
    assert_eq!(page.post("/customers/5215550000000/text", json!({"text": "x"})).await?.0, 404);
    page.stage.answer_webhooks(503);
    assert_eq!(page.post(&format!("/customers/{ANA}/text"), json!({"text": "x"})).await?.0, 502);
    page.stage.answer_webhooks(200);
    assert_eq!(page.post("/redeliver", Value::Null).await?.0, 204);
    Ok(())
}

#[tokio::test]
async fn a_file_from_the_page_is_sent_and_served_without_harm() -> anyhow::Result<()> {
    let page = Page::open().await?;
    page.stage.meta.customer("Ana", ANA);
    let send = |query: &str, bytes: Vec<u8>| {
        let url = page.at(&format!("/customers/{ANA}/file?{query}"));
        answer(page.stage.http.post(url).body(bytes))
    };
    assert_eq!(send("name=foto.jpg&mime=image/jpeg&caption=mi%20moto", vec![7; 3_000_000]).await?.0, 200);
    assert_eq!(send("name=malo.html&mime=text/html", b"<script>".to_vec()).await?.0, 200);
    let chat = page.get(&format!("/customers/{ANA}/chat")).await?;
    assert_eq!((&chat[0]["kind"], &chat[0]["text"]), (&json!("image"), &json!("mi moto")));
    let photo = page.stage.http.get(page.at(chat[0]["file_url"].as_str().unwrap())).send().await?;
    assert_eq!(photo.headers()["content-type"], "image/jpeg");
    assert_eq!(photo.bytes().await?.len(), 3_000_000);
    let html = page.stage.http.get(page.at(chat[1]["file_url"].as_str().unwrap())).send().await?;
    assert_eq!(html.headers()["content-disposition"], "attachment; filename=\"malo.html\"");
    assert_eq!(html.headers()["content-type"], "application/octet-stream");
    Ok(())
}

#[tokio::test]
async fn faults_and_the_network_are_switched_from_the_page() -> anyhow::Result<()> {
    let page = Page::open().await?;
    let fault = json!({"path": "/messages", "times": 1, "effect": "answer", "status": 502, "body": "<html>"});
    assert_eq!(page.post("/faults", fault).await?.0, 204);
    assert_eq!(page.get("/faults").await?[0]["status"], 502);
    assert_eq!(page.stage.send_text(ANA, "x").await?.0, 502);
    assert_eq!(page.stage.send_text(ANA, "x").await?.0, 200);
    assert_eq!(page.stage.http.delete(page.at("/faults")).send().await?.status(), 204);

    page.post("/network", json!({"up": false})).await?;
    assert!(page.stage.send_text(ANA, "x").await.is_err());
    assert_eq!(page.post("/network", json!({"up": true})).await?.0, 204);
    assert_eq!(page.stage.send_text(ANA, "x").await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn templates_are_set_and_decided_about_from_the_page() -> anyhow::Result<()> {
    let page = Page::open().await?;
    let template = |name: &str| {
        json!({"name": name, "language": "es_MX", "status": "APPROVED", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Hola"}]})
    };
    let put = page.stage.http.put(page.at("/templates")).json(&json!({"templates": [template("uno")]}));
    assert_eq!(answer(put).await?.0, 204);
    assert_eq!(page.post("/templates", json!({"waba_id": WABA, "template": template("dos")})).await?.0, 204);
    let pause = json!({"name": "dos", "language": "es_MX", "event": "PAUSED"});
    assert_eq!(page.post("/templates/status", pause).await?.0, 204);
    let listed = page.get("/templates").await?;
    assert_eq!((&listed[WABA][0]["status"], &listed[WABA][1]["status"]), (&json!("APPROVED"), &json!("PAUSED")));
    assert_eq!(page.stage.values()?[0]["event"], "PAUSED");
    let unknown = json!({"name": "tres", "language": "es_MX", "event": "PAUSED"});
    assert_eq!(page.post("/templates/status", unknown).await?.0, 404);

    page.stage.meta.customer("Ana", ANA);
    assert_eq!(page.post(&format!("/customers/{ANA}/marketing"), json!({"wanted": false})).await?.0, 204);
    assert_eq!(page.stage.values()?[1]["user_preferences"][0]["value"], "stop");
    Ok(())
}
