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

#[tokio::test]
async fn the_phone_is_told_the_parts_of_a_message() -> anyhow::Result<()> {
    let page = Page::open().await?;
    let ana = page.stage.meta.customer("Ana", ANA);
    ana.writes("hola").await?;
    ana.sends_location(19.4, -99.1, Some("Taller")).await?;
    ana.sends_contacts(&[("Berta", "+525555550199")]).await?;
    let message =
        |kind: &str, object: Value| json!({"messaging_product": "whatsapp", "to": ANA, "type": kind, kind: object});
    let reply = |id: &str| json!({"type": "reply", "reply": {"id": id, "title": id}});
    let buttons = json!({"type": "button", "header": {"type": "text", "text": "Apartado"}, "body": {"text": "¿Va?"},
        "footer": {"text": "LMotos"}, "action": {"buttons": [reply("Sí"), reply("No")]}});
    let list = json!({"type": "list", "body": {"text": "¿Cuál?"}, "action": {"button": "Ver", "sections": [
        {"title": "Rojas", "rows": [{"id": "1", "title": "250Z", "description": "nueva"}, {"id": "2", "title": "110"}]},
        {"title": "Azules", "rows": [{"id": "3", "title": "150"}]}]}});
    page.stage.meta.set_templates(WABA, vec![json!({"name": "oferta", "language": "es", "status": "APPROVED",
        "category": "MARKETING", "components": [{"type": "HEADER", "format": "TEXT", "text": "Hola {{1}}"},
        {"type": "BODY", "text": "La *250Z*"}, {"type": "FOOTER", "text": "BAJA"}, {"type": "BUTTONS", "buttons": [
        {"type": "URL", "text": "Ver", "url": "https://lmotos.example"},
        {"type": "PHONE_NUMBER", "text": "Llamar", "phone_number": "+525555550100"}, {"type": "QUICK_REPLY", "text": "Ya no"}]}]})]);
    let template = json!({"name": "oferta", "language": {"code": "es"},
        "components": [{"type": "header", "parameters": [{"type": "text", "text": "Ana"}]}]});
    for message in [message("interactive", buttons), message("interactive", list), message("template", template)] {
        let (status, answer) = page.stage.send(message).await?;
        assert_eq!(status, 200, "{answer}");
    }
    let chat = page.get(&format!("/customers/{ANA}/chat")).await?;
    let layout = |at: usize| chat[at]["layout"].clone();
    assert_eq!(layout(0), json!({}));
    assert_eq!(
        (&layout(1)["location"]["latitude"], &layout(1)["location"]["name"]),
        (&json!("19.4"), &json!("Taller"))
    );
    assert_eq!(layout(2)["contacts"][0], json!({"name": "Berta", "phones": ["+525555550199"], "organization": null}));
    let button = |kind: &str, title: &str| json!({"kind": kind, "title": title});
    assert_eq!(
        layout(3),
        json!({"header": "Apartado", "body": "¿Va?", "footer": "LMotos",
        "buttons": [button("reply", "Sí"), button("reply", "No")]})
    );
    assert_eq!(layout(4)["list"], "Ver");
    assert_eq!(
        layout(4)["buttons"],
        json!([
        {"kind": "row", "title": "250Z", "description": "nueva", "section": "Rojas"}, button("row", "110"),
        {"kind": "row", "title": "150", "section": "Azules"}])
    );
    assert_eq!(
        layout(5),
        json!({"header": "Hola Ana", "body": "La *250Z*", "footer": "BAJA", "buttons": [
        {"kind": "url", "title": "Ver", "value": "https://lmotos.example"},
        {"kind": "phone_number", "title": "Llamar", "value": "+525555550100"}, button("reply", "Ya no")]})
    );
    Ok(())
}

#[tokio::test]
async fn a_picture_that_meta_fetched_from_an_address_is_shown() -> anyhow::Result<()> {
    let page = Page::open().await?;
    page.stage.meta.customer("Ana", ANA);
    let picture = || async { ([("content-type", "image/png")], b"\x89PNG\r\n\x1a\nmoto".to_vec()) };
    let router = Router::new().route("/foto.png", axum::routing::get(picture));
    let elsewhere = Server::start(([127, 0, 0, 1], 0).into(), router, Faults::default()).await?;
    page.stage.meta.set_templates(WABA, vec![json!({"name": "catalogo", "language": "es", "status": "APPROVED",
        "category": "MARKETING", "components": [{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Mire"}]})]);
    let link = format!("{}/foto.png", elsewhere.url());
    let header = json!({"type": "header", "parameters": [{"type": "image", "image": {"link": link}}]});
    let template = json!({"name": "catalogo", "language": {"code": "es"}, "components": [header]});
    let body = json!({"messaging_product": "whatsapp", "to": ANA, "type": "template", "template": template});
    assert_eq!(page.stage.send(body).await?.0, 200);
    let shown = page.get(&format!("/customers/{ANA}/chat")).await?[0].clone();
    assert_eq!((&shown["layout"]["body"], &shown["mime"]), (&json!("Mire"), &json!("image/png")));
    let file = page.stage.http.get(page.at(shown["file_url"].as_str().unwrap())).send().await?;
    assert_eq!((file.status().as_u16(), file.bytes().await?.ends_with(b"moto")), (200, true));
    assert_eq!(page.stage.http.get(page.at("/files/wamid.none")).send().await?.status(), 404);
    Ok(())
}
