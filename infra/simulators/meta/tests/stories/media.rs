//! Files, both ways.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use simulator_meta::Statuses;

use crate::stage::{ANA, CLOUD_NUMBER, CLOUD_TOKEN, NUMBER, Stage, TOKEN, answer, code};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn upload(stage: &Stage, bytes: Vec<u8>, mime: &str, name: &str) -> anyhow::Result<(u16, Value)> {
    let file = Part::bytes(bytes).file_name(name.to_owned()).mime_str(mime)?;
    let form = Form::new().text("messaging_product", "whatsapp").text("type", mime.to_owned()).part("file", file);
    answer(stage.http.post(stage.graph(&format!("{NUMBER}/media"))).bearer_auth(TOKEN).multipart(form)).await
}

async fn uploaded(stage: &Stage, bytes: Vec<u8>, mime: &str, name: &str) -> anyhow::Result<String> {
    let (status, answer) = upload(stage, bytes, mime, name).await?;
    anyhow::ensure!(status == 200, "{answer}");
    Ok(answer["id"].as_str().unwrap_or_default().into())
}

async fn describe(stage: &Stage, id: &str) -> anyhow::Result<(u16, Value)> {
    answer(stage.http.get(stage.graph(id)).bearer_auth(TOKEN)).await
}

#[tokio::test]
async fn a_customers_photo_is_downloaded_in_two_steps_and_its_address_expires() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let ana = stage.meta.customer("Ana", ANA);
    let photo: Vec<u8> = (0..200_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    ana.sends_file("image", photo.clone(), "image/jpeg", None, Some("mi moto")).await?;
    let image = &stage.values()?[0]["messages"][0]["image"];
    assert_eq!(image["caption"], "mi moto");
    let id = image["id"].as_str().unwrap();

    let (_, described) = describe(&stage, id).await?;
    assert_eq!((&described["file_size"], &described["mime_type"]), (&json!(200_000), &json!("image/jpeg")));
    assert_eq!(described["sha256"].as_str().map(str::len), Some(64));
    let url = described["url"].as_str().unwrap();
    for url in [url, image["url"].as_str().unwrap()] {
        let response = stage.http.get(url).bearer_auth(TOKEN).send().await?;
        assert_eq!(response.headers()["content-length"], "200000");
        assert_eq!(response.headers()["content-type"], "image/jpeg");
        assert_eq!(response.bytes().await?, photo);
    }
    assert_eq!(stage.http.get(url).send().await?.status(), 404);
    assert_eq!(stage.http.get(url).bearer_auth("other").send().await?.status(), 404);
    assert_eq!(stage.http.get(url.replace("ext=", "ext=9")).bearer_auth(TOKEN).send().await?.status(), 404);
    stage.pass(Duration::from_secs(300));
    assert_eq!(stage.http.get(url).bearer_auth(TOKEN).send().await?.status(), 404);
    let again = describe(&stage, id).await?.1;
    assert_eq!(stage.http.get(again["url"].as_str().unwrap()).bearer_auth(TOKEN).send().await?.status(), 200);
    stage.pass(DAY * 7);
    assert_eq!(describe(&stage, id).await?.0, 400);
    assert_eq!(ana.phone()[0].bytes.as_deref(), Some(photo.as_slice()));
    Ok(())
}

#[tokio::test]
async fn an_uploaded_file_arrives_under_its_name() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Automatic).await?;
    let ana = stage.meta.customer("Ana", ANA);
    ana.writes("¿y la cotización?").await?;
    let id = uploaded(&stage, b"%PDF-1.7".to_vec(), "application/pdf", "cotización.pdf").await?;
    let document = json!({"id": id, "filename": "Cotización 250Z.pdf", "caption": "Aquí está"});
    let body = json!({"messaging_product": "whatsapp", "to": ANA, "type": "document", "document": document});
    assert_eq!(stage.send(body.clone()).await?.0, 200);
    let bubble = ana.phone().pop().unwrap();
    assert_eq!((bubble.kind.as_str(), bubble.text.as_str()), ("document", "Aquí está"));
    assert_eq!(bubble.filename.as_deref(), Some("Cotización 250Z.pdf"));
    assert_eq!(bubble.bytes.as_deref(), Some(b"%PDF-1.7".as_slice()));

    let url = stage.graph(&format!("{CLOUD_NUMBER}/messages"));
    let elsewhere = answer(stage.http.post(url).bearer_auth(CLOUD_TOKEN).json(&body)).await?;
    assert_eq!(code(&elsewhere.1), 100, "a file belongs to the number it was uploaded for");
    stage.pass(DAY * 30);
    ana.writes("¿otra vez?").await?;
    assert_eq!(code(&stage.send(body).await?.1), 100, "uploads live 30 days");
    Ok(())
}

#[tokio::test]
async fn a_file_is_deleted_once() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let id = uploaded(&stage, vec![1; 10], "image/png", "foto.png").await?;
    assert_eq!(stage.meta.media_held(), 1);
    let delete = || stage.http.delete(stage.graph(&id)).bearer_auth(TOKEN);
    assert_eq!(answer(delete()).await?, (200, json!({"success": true})));
    let (status, refused) = answer(delete()).await?;
    assert_eq!((status, code(&refused)), (400, 100));
    assert_eq!(stage.meta.media_held(), 0);
    Ok(())
}

#[tokio::test]
async fn types_and_sizes_are_checked_at_the_door_and_codecs_later() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Automatic).await?;
    stage.meta.customer("Ana", ANA).writes("hola").await?;
    let megabytes = |count: usize| vec![0; count * 1024 * 1024];
    assert_eq!(code(&upload(&stage, vec![1], "audio/webm", "nota.webm").await?.1), 100);
    assert_eq!(code(&upload(&stage, megabytes(6), "image/png", "foto.png").await?.1), 131_053);
    assert_eq!(upload(&stage, megabytes(6), "application/pdf", "lista.pdf").await?.0, 200);
    for (mime, name) in [("application/octet-stream", "x.bin"), ("application/zip", "x.zip"), ("text/csv", "x.csv")] {
        let (_, refused) = upload(&stage, vec![1], mime, name).await?;
        let said = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(code(&refused) == 100 && said.ends_with(&format!("Received file of type '{mime}'.")), "{said}");
    }
    assert_eq!(code(&upload(&stage, b"\x89PNG\r\n\x1a\n".to_vec(), "image/jpeg", "foto.jpg").await?.1), 100);
    let form = Form::new().text("messaging_product", "whatsapp").text("type", "image/png");
    let url = stage.graph(&format!("{NUMBER}/media"));
    assert_eq!(code(&answer(stage.http.post(url).bearer_auth(TOKEN).multipart(form)).await?.1), 100);

    let vorbis = uploaded(&stage, b"OggS....\x01vorbis".to_vec(), "audio/ogg", "nota.ogg").await?;
    let body = json!({"messaging_product": "whatsapp", "to": ANA, "type": "audio", "audio": {"id": vorbis}});
    assert_eq!(stage.send(body).await?.0, 200);
    let pdf = uploaded(&stage, vec![1], "application/pdf", "x.pdf").await?;
    let body = json!({"messaging_product": "whatsapp", "to": ANA, "type": "image", "image": {"id": pdf}});
    assert_eq!(stage.send(body).await?.0, 200);
    assert_eq!(stage.statuses().await?, ["failed 131053", "failed 131053"]);
    Ok(())
}

#[tokio::test]
async fn a_document_behind_an_address_may_be_of_any_type_and_what_cannot_be_fetched_fails_later() -> anyhow::Result<()>
{
    let stage = Stage::open(Statuses::Automatic).await?;
    let ana = stage.meta.customer("Ana", ANA);
    ana.sends_file("document", b"PK\x03\x04".to_vec(), "application/zip", Some("x.zip"), None).await?;
    let url = stage.values()?[0]["messages"][0]["document"]["url"].as_str().unwrap_or_default().to_owned();
    let send = |kind: &str, url: &str| {
        stage.send(json!({"messaging_product": "whatsapp", "to": ANA, "type": kind, kind: {"link": url}}))
    };
    // A file's server of Meta's own wants a token, which nobody gives along with an address.
    assert_eq!(send("document", &url).await?.0, 200);
    assert_eq!(stage.statuses().await?, ["failed 131053"]);
    let page = stage.graph("nowhere");
    assert_eq!(send("document", &page).await?.0, 200);
    assert_eq!(stage.statuses().await?.last().map(String::as_str), Some("failed 131053"));
    Ok(())
}
