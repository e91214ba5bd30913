//! Forms: their answers in order, and their photos and documents like any file.

use serde_json::json;
use simulator_meta::Upload;
use stories::{CHANNEL, World};

use crate::fixtures::{HOUR, MINUTE, always, ana_wrote, answer, columns, post_all_again, rounds, sheet};

fn upload(field: &str, name: &str, mime: &str) -> Upload {
    Upload { field: field.to_owned(), name: name.to_owned(), mime: mime.to_owned(), bytes: name.as_bytes().to_vec() }
}

fn files() -> Vec<Upload> {
    vec![
        upload("fotos", "frente.jpg", "image/jpeg"),
        upload("fotos", "vuelta.jpg", "image/jpeg"),
        upload("cedula", "cedula.pdf", "application/pdf"),
    ]
}

const FORM: &str = "Ana: 📋 Formulario\nnombre: Ana\nfotos: 📎 frente.jpg, 📎 vuelta.jpg\ncedula: 📎 cedula.pdf";

#[tokio::test]
async fn the_files_of_a_form_come_behind_it_in_order_and_once() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    ana.fills_form(&json!({"nombre": "Ana", "flow_token": "t", "nada": null}), files()).await.unwrap();
    ana.writes("listo").await.unwrap();
    world.work().await.unwrap();
    let expected = [
        "Ana: hola",
        FORM,
        "Ana: 📋 fotos [frente.jpg]",
        "Ana: 📋 fotos [vuelta.jpg]",
        "Ana: 📋 cedula [cedula.pdf]",
        "Ana: listo",
    ];
    assert_eq!(world.agent_reads("Ana"), expected);
    let messages = world.chatwoot.messages(conversation);
    assert_eq!(messages[2].attachments[0].bytes.as_ref(), b"frente.jpg");
    assert!(messages[2..5].iter().all(|file| file.in_reply_to == Some(messages[1].id)));
    // Three files and two messages beside the first: each an item of its own.
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 6), ("received", 6)]));
    post_all_again(&world).await;
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), expected);
}

#[tokio::test]
async fn a_file_of_a_form_that_cannot_be_had_comes_later() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    world.meta.faults().add(always("GET", "", answer(500)));
    ana.fills_form(&json!({"nombre": "Ana"}), files()).await.unwrap();
    world.work().await.unwrap();
    let read = world.agent_reads("Ana");
    assert_eq!((read.len(), read[1].as_str()), (5, FORM));
    assert!(read[2..].iter().all(|line| line.contains("se sigue intentando")), "{read:?}");
    world.meta.faults().clear();
    rounds(&world, HOUR, 5 * MINUTE).await;
    let messages = world.chatwoot.messages(conversation);
    let names: Vec<_> =
        messages.iter().flat_map(|message| &message.attachments).map(|file| file.filename.as_str()).collect();
    assert_eq!((messages.len(), names.len()), (8, 3), "{names:?}");
    assert!(messages[5..].iter().all(|file| messages[2..5].iter().any(|line| file.in_reply_to == Some(line.id))));
}

#[tokio::test]
async fn a_form_taken_back_takes_its_files_along() {
    for late in [false, true] {
        let world = World::start().await.unwrap();
        let (ana, conversation) = ana_wrote(&world).await;
        if late {
            world.meta.faults().add(always("GET", "", answer(500)));
        }
        let wamid = ana.fills_form(&json!({"nombre": "Ana"}), files()).await.unwrap();
        world.work().await.unwrap();
        ana.revokes(&wamid).await.unwrap();
        world.work().await.unwrap();
        world.meta.faults().clear();
        rounds(&world, HOUR, 5 * MINUTE).await;
        let messages = world.chatwoot.messages(conversation);
        assert!(messages.iter().all(|message| message.attachments.is_empty()), "{late}");
        assert!(!messages.iter().any(|message| message.content.contains("frente")), "{late}: {messages:?}");
    }
}

#[tokio::test]
async fn a_file_only_the_forms_server_can_open_is_named_as_such() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let locked = json!([{"file_name": "IMG_1.jpg", "media_id": "790aba14-5f4a", "cdn_url": "https://mmg.whatsapp.net/x",
        "encryption_metadata": {}}]);
    ana.fills_form(&json!({"foto": locked}), Vec::new()).await.unwrap();
    world.work().await.unwrap();
    let read = world.agent_reads("Ana");
    assert_eq!(read[1], "Ana: 📋 Formulario\nfoto: 📎 IMG_1.jpg (WhatsApp no lo entrega aquí; pídelo en el chat)");
    assert_eq!(read.len(), 2);
}

#[tokio::test]
async fn answers_in_a_list_are_read_as_well() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let list = json!(["250Z", {"name": "color", "value": "Roja"}, ["sáb", "dom"]]);
    for response in [list.clone(), json!(list.to_string())] {
        let reply = json!({"name": "flow", "body": "Sent", "response_json": response});
        let form = json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": reply}});
        ana.sends(form).await.unwrap();
        world.work().await.unwrap();
        let read = world.agent_reads("Ana").pop().unwrap();
        assert_eq!(read, "Ana: 📋 Formulario\n250Z\ncolor: Roja\nsáb, dom");
    }
}
