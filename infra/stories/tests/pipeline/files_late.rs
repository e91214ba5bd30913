//! Files that Meta takes and gives up later: the words under them, the quote, and what the agent reads.

use serde_json::json;
use simulator_meta::{Rules, Statuses};
use simulator_wire::Fault;

use crate::{
    fixtures::{always, answer},
    open_chat::{OpenChat, file},
};

const ZIP: (&str, &str, &[u8]) = ("fotos.zip", "application/zip", b"PK\x03\x04");
const DISK: &str = "/active_storage/disk/";

/// Chatwoot gives files to the bridge, and not to Meta, which asks second each time.
fn meta_cannot_fetch(shop: &OpenChat) {
    shop.world.chatwoot.faults().clear();
    shop.world.chatwoot.faults().add(Fault { skip: 1, times: Some(1), ..always("GET", DISK, answer(403)) });
}

#[tokio::test]
async fn the_words_under_a_file_that_fails_late_go_out_once_and_retry_sends_the_file() {
    let shop = OpenChat::open().await;
    meta_cannot_fetch(&shop);
    let message = shop.attaches(Some("todo"), &[ZIP]).await;
    assert_eq!(shop.got(), ["todo"]);
    let mark = shop.mark(message);
    assert!(mark.starts_with("Salieron 1 de 2 partes. No entregado: "), "{mark}");
    assert!(mark.contains("Meta no pudo descargarlo de Chatwoot (respondió 403)") && mark.ends_with("(fotos.zip)"));
    meta_cannot_fetch(&shop);
    shop.retries(message).await;
    assert_eq!(shop.got(), ["todo"]);
    assert_eq!(shop.mark(message), mark);
    shop.world.chatwoot.faults().clear();
    shop.retries(message).await;
    assert_eq!((shop.got(), shop.mark(message).as_str()), (vec!["todo".into(), "fotos.zip".into()], "sent"));
    shop.says("¿Algo más?").await;
    assert_eq!(shop.got().len(), 3);
}

#[tokio::test]
async fn a_file_that_fails_late_is_named_at_once() {
    let shop = OpenChat::open().await;
    meta_cannot_fetch(&shop);
    let message = shop.attaches(None, &[ZIP, ("b.pdf", "application/pdf", b"%PDF-2")]).await;
    assert_eq!(shop.got(), ["b.pdf"]);
    let mark = shop.mark(message);
    assert!(mark.starts_with("Salieron 1 de 2 partes. No entregado: ") && mark.ends_with("(fotos.zip)"), "{mark}");
}

#[tokio::test]
async fn a_status_long_after_the_message_was_done_with_lets_its_words_go_out() {
    let shop = OpenChat::open().await;
    shop.world.meta.set_statuses(Statuses::Manual);
    let mp4 = b"\0\0\0\x14ftypisom\0\0";
    let message = shop.attaches(Some("así suena"), &[("moto.mp4", "video/mp4", mp4)]).await;
    let wamid = shop.last().wamid;
    shop.later(std::time::Duration::from_secs(7200)).await;
    shop.reconciles().await;
    let errors =
        json!([{"code": 131_053, "title": "Media upload error", "error_data": {"details": "Unsupported codec hvc1"}}]);
    shop.ana.status(&wamid, "failed", Some(errors)).await;
    shop.world.work().await.unwrap();
    assert_eq!(shop.got().last().map(String::as_str), Some("así suena"));
    let mark = shop.mark(message);
    assert!(mark.contains("H.264") && !mark.contains("MP4") && mark.ends_with("(moto.mp4)"), "{mark}");
}

#[tokio::test]
async fn a_picture_too_heavy_to_upload_is_called_that_where_meta_cannot_fetch_it() {
    let shop = OpenChat::open().await;
    meta_cannot_fetch(&shop);
    let mut jpg = vec![0; 6 * 1024 * 1024];
    jpg[..3].copy_from_slice(b"\xff\xd8\xff");
    let message = shop.attaches(None, &[("moto.jpg", "image/jpeg", &jpg)]).await;
    let mark = shop.mark(message);
    assert!(mark.contains("la imagen pesa más de 5 MB y Meta no pudo descargarla de Chatwoot"), "{mark}");
    assert!(mark.contains("hazla más pequeña") && !mark.contains("formato"), "{mark}");
}

#[tokio::test]
async fn a_type_that_meta_does_not_fetch_either_ends_in_words_about_the_type() {
    let shop = OpenChat::open().await;
    shop.world.meta.set_rules(Rules { linked_types: true, ..Rules::default() });
    let message = shop.attaches(Some("todo"), &[ZIP]).await;
    assert_eq!(shop.got(), ["todo"]);
    let mark = shop.mark(message);
    assert!(mark.contains("no acepta archivos de este tipo") && mark.contains("PDF"), "{mark}");
}

#[tokio::test]
async fn the_quote_goes_with_what_goes_out_first() {
    let shop = OpenChat::open().await;
    let asked = shop.world.chatwoot.messages(shop.conversation)[0].id;
    let question = shop.ana.phone()[0].wamid.clone();
    let quoted = |shop: &OpenChat| {
        let received = shop.ana.received().into_iter();
        received.map(|bubble| bubble.quoted.as_deref() == Some(&question)).collect::<Vec<_>>()
    };
    let files = vec![
        file("a.png", "image/png", b""),
        file("b.pdf", "application/pdf", b"%PDF-1"),
        file("c.pdf", "application/pdf", b"%PDF-2"),
    ];
    shop.sofia.quotes_with_files(shop.conversation, asked, None, files).await;
    shop.world.work().await.unwrap();
    assert_eq!(quoted(&shop), [true, false]);
    meta_cannot_fetch(&shop);
    let files = vec![file(ZIP.0, ZIP.1, ZIP.2)];
    let message = shop.sofia.quotes_with_files(shop.conversation, asked, Some("todo"), files).await;
    shop.world.work().await.unwrap();
    assert_eq!((quoted(&shop), shop.last().text), (vec![true, false, true], "todo".to_owned()));
    shop.world.chatwoot.faults().clear();
    shop.retries(message).await;
    assert_eq!(quoted(&shop), [true, false, true, false]);
}
