//! Why a message is red: Meta's code, and what it names beside the code.

use serde_json::{Value, json};
use simulator_wire::Effect;
use stories::World;

use crate::fixtures::{ana_wrote, once};

fn error(code: i64, details: &str) -> Value {
    json!([{"code": code, "title": "x", "message": "x", "error_data": {"details": details}}])
}

async fn reason_of(code: i64, details: &str) -> String {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    world.chatwoot.agent("Sofía").replies(conversation, "aquí va").await;
    world.work().await.unwrap();
    let wamid = world.meta.requests().pop().unwrap().wamid.unwrap();
    ana.status(&wamid, "failed", Some(error(code, details))).await;
    world.work().await.unwrap();
    world.chatwoot.messages(conversation).pop().unwrap().external_error.unwrap_or_default()
}

#[tokio::test]
async fn a_link_that_answered_403_is_no_format() {
    let weblink = "Downloading media from weblink failed with http code 403, status message Forbidden";
    let reason = reason_of(131_053, weblink).await;
    assert!(reason.contains("respondió 403") && !reason.contains("formato"), "{reason}");
    // Nor is every number what an address answered.
    for details in ["Unsupported audio", "The image must be 512 x 512 pixels", "Sticker size exceeds 500 KB"] {
        let reason = reason_of(131_053, details).await;
        assert!(reason.contains("formato") && !reason.contains("respondió"), "{reason}");
    }
}

#[tokio::test]
async fn the_parameter_is_named_wherever_meta_names_it() {
    for (code, details, named) in [
        (132_012, "header: Format mismatch, expected IMAGE, received UNKNOWN", "el encabezado (header)"),
        (131_009, "Parameter value is not valid: text.body", "el texto (text.body)"),
        (131_008, "Required parameter is missing: caption", "el texto del archivo (caption)"),
        (100, "Param image['link'] is not a valid URI", "el enlace (image.link)"),
    ] {
        let reason = reason_of(code, details).await;
        assert!(reason.contains(named), "{code}: {reason}");
    }
    // The same in the answer to the call itself.
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let body = json!({"error": {"code": 131_009, "message": "(#131009) Parameter value is not valid",
        "error_data": {"details": "Parameter value is not valid: text.body"}}});
    let refused = Effect::Answer { status: 400, content_type: "application/json".to_owned(), body: body.to_string() };
    world.meta.faults().add(once("POST", "/messages", refused));
    world.chatwoot.agent("Sofía").replies(conversation, "aquí va").await;
    world.work().await.unwrap();
    let reason = world.chatwoot.messages(conversation).pop().unwrap().external_error.unwrap_or_default();
    assert!(reason.contains("no aceptó el texto (text.body)"), "{reason}");
}

#[tokio::test]
async fn a_payment_that_failed_turns_no_message_red() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    world.chatwoot.agent("Sofía").replies(conversation, "su pedido").await;
    world.work().await.unwrap();
    let wamid = world.meta.requests().pop().unwrap().wamid.unwrap();
    for status in ["failed", "captured", "pending"] {
        ana.pays(&wamid, status).await.unwrap();
        world.work().await.unwrap();
        let shown = world.chatwoot.messages(conversation).pop().unwrap();
        assert!(shown.status != "failed" && shown.external_error.is_none(), "{status}: {shown:?}");
    }
    assert_eq!(crate::fixtures::counted(&world, "refused_not_about_a_message").await, 3);
}
