//! Stories about files: in by form, out by redirect, and everything that goes wrong with them.

use std::time::Duration;

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::json;
use simulator_chatwoot::FileMode;

use crate::support::{BASE, Reply, Rig};

fn part(name: &str, mime: &str, bytes: &[u8]) -> Part {
    Part::bytes(bytes.to_vec()).file_name(name.to_owned()).mime_str(mime).unwrap()
}

async fn fetch(rig: &Rig, url: &str) -> Reply {
    rig.send(rig.http.get(url)).await
}

#[tokio::test]
async fn a_form_brings_files_and_json_in_a_string() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let asked = rig.incoming(conversation, "¿foto?", "wamid.1").await;
    let form = Form::new()
        .text("content", "mira")
        .text("message_type", "incoming")
        .text("source_id", "wamid.2")
        .text("content_attributes", json!({ "in_reply_to_external_id": "wamid.1" }).to_string())
        .part("attachments[]", part("frente ñ.png", "image/png", b"png"))
        .part("attachments[]", part("voz.ogg", "audio/ogg", b"OggS............OpusHead"))
        .part("attachments[]", part("foto.heic", "image/heic", b"heic"));
    let made = rig.form(conversation, form).await;
    assert_eq!(made.status, 200, "{}", made.text);
    let body = made.json();
    assert_eq!(body["content_attributes"]["in_reply_to"], asked);
    let attachments = body["attachments"].as_array().unwrap();
    let kinds: Vec<_> = attachments.iter().map(|one| one["file_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["image", "audio", "file"]);
    assert_eq!(attachments[1]["content_type"], "audio/opus", "detected from the bytes");
    assert_eq!((&attachments[0]["extension"], &attachments[0]["file_size"]), (&json!("png"), &json!(3)));
    let url = attachments[0]["data_url"].as_str().unwrap();
    assert!(url.starts_with(&rig.chatwoot.url()) && url.ends_with("/frente%20%C3%B1.png"), "{url}");

    rig.chatwoot.settled().await;
    let told = rig.receiver.about_messages().pop().unwrap().body;
    assert_eq!(told["attachments"], body["attachments"]);
    let row = &rig.chatwoot.messages(conversation)[1];
    assert_eq!((row.attachments[0].filename.as_str(), &row.attachments[0].bytes[..]), ("frente ñ.png", &b"png"[..]));
}

#[tokio::test]
async fn a_form_cut_short_creates_nothing() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let path = format!("{BASE}/conversations/{conversation}/messages");
    let cut = "--b\r\ncontent-disposition: form-data; name=\"content\"\r\n\r\nhola\r\n\
               --b\r\ncontent-disposition: form-data; name=\"attachments[]\"; filename=\"a.png\"\r\n\r\nhalf of";
    let request = rig.request(Method::POST, &path).header("content-type", "multipart/form-data; boundary=b").body(cut);
    assert_eq!(rig.send(request).await.status, 400);
    assert!(rig.chatwoot.messages(conversation).is_empty());
}

#[tokio::test]
async fn the_url_of_a_file_lasts_but_the_one_behind_it_ends_after_five_minutes() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let files = vec![("cotización.pdf".to_owned(), "application/pdf".to_owned(), b"%PDF".to_vec())];
    let message = rig.chatwoot.agent("Sofía").sends_files(conversation, Some("adjunto"), files).await;
    rig.chatwoot.settled().await;
    let url = rig.receiver.about_messages()[0].body["attachments"][0]["data_url"].as_str().unwrap().to_owned();

    let first = fetch(&rig, &url).await;
    assert_eq!(first.status, 302);
    let behind = first.location.unwrap();
    assert!(behind.starts_with(&format!("{}/rails/active_storage/disk/", rig.chatwoot.url())), "{behind}");
    let bytes = fetch(&rig, &behind).await;
    assert_eq!((bytes.status, bytes.text.as_str(), bytes.content_type.as_str()), (200, "%PDF", "application/pdf"));
    rig.advance(300);
    assert_eq!(fetch(&rig, &behind).await.status, 404);
    let again = fetch(&rig, &url).await.location.unwrap();
    assert_eq!(fetch(&rig, &again).await.status, 200);

    rig.chatwoot.agent("Sofía").deletes(conversation, message).await;
    rig.chatwoot.settled().await;
    assert_eq!(fetch(&rig, &url).await.status, 404, "the file goes with the message");
    let told = rig.receiver.about_messages().pop().unwrap().body;
    assert_eq!((&told["content"], told.get("attachments")), (&json!("Este mensaje se ha eliminado"), None));
    let row = &rig.chatwoot.messages(conversation)[0];
    assert!(row.deleted && row.attachments.is_empty());
}

#[tokio::test]
async fn files_can_be_missing_slow_too_short_or_expired() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let files = vec![("a.png".to_owned(), "image/png".to_owned(), b"12345678".to_vec())];
    rig.chatwoot.agent("Sofía").sends_files(conversation, None, files).await;
    let listed = rig.get(&format!("/conversations/{conversation}/messages")).await.json();
    let url = listed["payload"][0]["attachments"][0]["data_url"].as_str().unwrap().to_owned();

    rig.chatwoot.serve_files(FileMode::Missing);
    assert_eq!(fetch(&rig, &url).await.status, 404);
    rig.chatwoot.serve_files(FileMode::Expired);
    let behind = fetch(&rig, &url).await.location.unwrap();
    assert_eq!(fetch(&rig, &behind).await.status, 404);
    rig.chatwoot.serve_files(FileMode::WrongLength);
    let behind = fetch(&rig, &url).await.location.unwrap();
    let response = rig.http.get(&behind).send().await.unwrap();
    assert_eq!(response.content_length(), Some(18));
    assert!(response.bytes().await.is_err());
    rig.chatwoot.serve_files(FileMode::Slow(Duration::from_millis(20)));
    assert_eq!(fetch(&rig, &behind).await.text, "12345678");
    rig.chatwoot.serve_files(FileMode::NoAddress);
    let listed = rig.get(&format!("/conversations/{conversation}/messages")).await.json();
    assert_eq!(listed["payload"][0]["attachments"][0]["data_url"], "");
}

#[tokio::test]
async fn a_big_file_goes_ahead_and_is_named_by_its_signed_id() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let form = Form::new().part("attachment", part("video.mp4", "video/mp4", b"mp4"));
    let request = rig.request(Method::POST, &format!("{BASE}/upload")).multipart(form);
    let uploaded = rig.send(request).await.json();
    let body = json!({ "message_type": "incoming", "attachments": [uploaded["blob_id"]] });
    let made = rig.message(conversation, body).await;
    assert_eq!((&made["content"], &made["attachments"][0]["file_type"]), (&json!(null), &json!("video")));
    assert_eq!(rig.chatwoot.messages(conversation)[0].attachments[0].bytes, "mp4");
}
