//! The ways of an agent's file to Meta, which takes nineteen types and fetches the rest itself; and what becomes of an answer one
//! of whose files cannot be had.

use std::time::Duration;

use serde_json::json;
use simulator_meta::Bubble;
use simulator_wire::{Effect, Fault};

use crate::{
    fixtures::{always, answer},
    open_chat::{OpenChat, file, refuses},
};

const MINUTE: Duration = Duration::from_secs(60);

impl OpenChat {
    /// Sofía sends files with words; the message.
    pub(crate) async fn attaches(&self, words: Option<&str>, files: &[(&str, &str, &[u8])]) -> i64 {
        let files = files.iter().map(|(name, mime, bytes)| file(name, mime, bytes)).collect();
        let message = self.sofia.sends_files(self.conversation, words, files).await;
        self.world.work().await.unwrap();
        self.world.pass(MINUTE);
        message
    }

    pub(crate) fn last(&self) -> Bubble {
        self.ana.phone().pop().unwrap()
    }

    /// What Ana got of the business: names of files, else words.
    pub(crate) fn got(&self) -> Vec<String> {
        self.ana.received().into_iter().map(|bubble| bubble.filename.unwrap_or(bubble.text)).collect()
    }

    /// The request of the last message.
    fn asked(&self) -> serde_json::Value {
        self.world.meta.requests().pop().unwrap().body
    }
}

#[tokio::test]
async fn a_text_of_any_kind_is_uploaded_as_a_plain_one_under_its_own_name() {
    let shop = OpenChat::open().await;
    for (name, mime) in [
        ("factura.xml", "text/xml"),
        ("factura.xml", "application/xml"),
        ("lista.csv", "text/csv"),
        ("datos.json", "application/json"),
        ("notas.log", "application/octet-stream"),
        ("notas.ini", ""),
    ] {
        let message = shop.attaches(Some("aquí"), &[(name, mime, b"<?xml version=\"1.0\"?>\n")]).await;
        assert_eq!(shop.mark(message), "sent", "{name}");
        let got = shop.last();
        assert_eq!((got.kind.as_str(), got.mime.as_deref()), ("document", Some("text/plain")), "{name}");
        assert_eq!((got.filename.as_deref(), got.text.as_str()), (Some(name), "aquí"));
        assert!(shop.asked()["document"]["id"].is_string(), "{name} was not uploaded");
    }
}

#[tokio::test]
async fn what_cannot_be_uploaded_is_fetched_by_meta_from_where_it_lies_for_minutes() {
    let shop = OpenChat::open().await;
    let zip = b"PK\x03\x04 and more";
    let message = shop.attaches(Some("todo"), &[("fotos.zip", "application/zip", zip)]).await;
    assert_eq!(shop.mark(message), "sent");
    let got = shop.last();
    assert_eq!((got.filename.as_deref(), got.text.as_str()), (Some("fotos.zip"), "todo"));
    assert!(got.bytes.as_deref() == Some(&zip[..]));
    let link = shop.asked()["document"]["link"].as_str().unwrap().to_owned();
    // Not the address that works for ever.
    assert!(link.contains("/disk/") && !link.contains("/redirect/"), "{link}");
    // Nor is what Meta fetches uploaded.
    assert_eq!(shop.world.meta.media_held(), 0);
}

#[tokio::test]
async fn a_file_is_sent_as_what_it_is_whatever_it_is_called() {
    let shop = OpenChat::open().await;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02";
    for (name, mime, bytes, kind, as_type, shown) in [
        ("foto.jpg", "image/jpeg", &png[..], "image", "image/png", None),
        ("IMG_1.jpg", "image/jpeg", b"\0\0\0\x18ftypheic\0\0", "document", "image/jpeg", Some("IMG_1.heic")),
        ("contrato", "application/octet-stream", b"%PDF-1.7", "document", "application/pdf", Some("contrato.pdf")),
        ("reporte.2026", "application/pdf", b"%PDF-1.7", "document", "application/pdf", Some("reporte.2026.pdf")),
        ("clip.mp4", "video/mp4", b"\0\0\0\x14ftypqt  \0", "document", "video/mp4", Some("clip.mov")),
        ("factura.pdf", "application/pdf", b"PK\x03\x04..", "document", "application/pdf", Some("factura.zip")),
    ] {
        let message = shop.attaches(None, &[(name, mime, bytes)]).await;
        assert_eq!(shop.mark(message), "sent", "{name}");
        let got = shop.last();
        // What Meta fetches has the type that Chatwoot gives it.
        assert_eq!((got.kind.as_str(), got.mime.as_deref()), (kind, Some(as_type)), "{name}");
        assert_eq!(got.filename.as_deref(), shown, "{name}");
    }
}

#[tokio::test]
async fn what_meta_refuses_as_what_it_is_goes_by_its_address_once() {
    let shop = OpenChat::open().await;
    shop.meta_will_at("/media", refuses(400, 100), 1);
    let message = shop.attaches(None, &[("lista.pdf", "application/pdf", b"%PDF-1.7")]).await;
    assert_eq!(shop.mark(message), "sent");
    let got = shop.last();
    assert_eq!((got.kind.as_str(), got.filename.as_deref()), ("document", Some("lista.pdf")));
    assert!(got.bytes.as_deref() == Some(&b"%PDF-1.7"[..]));
}

#[tokio::test]
async fn an_address_that_does_not_work_for_meta_ends_in_words() {
    let shop = OpenChat::open().await;
    // The bridge reads it, and Meta does not.
    shop.world.chatwoot.faults().add(Fault { skip: 1, ..always("GET", "/active_storage/disk/", answer(403)) });
    let message = shop.attaches(None, &[("fotos.zip", "application/zip", b"PK\x03\x04")]).await;
    assert!(shop.mark(message).starts_with("No entregado: "), "{}", shop.mark(message));
    assert!(shop.ana.received().is_empty());
}

#[tokio::test]
async fn one_file_that_cannot_be_had_is_named_and_stops_neither_the_words_nor_the_others() {
    let shop = OpenChat::open().await;
    let files: [(&str, &str, &[u8]); 4] = [
        ("a.png", "image/png", b""),
        ("b.pdf", "application/pdf", b"%PDF-1"),
        ("c.zip", "application/zip", b""),
        ("d.pdf", "application/pdf", b"%PDF-2"),
    ];
    let message = shop.attaches(Some("Lo que pidió"), &files).await;
    assert_eq!(shop.got(), ["Lo que pidió", "b.pdf", "d.pdf"]);
    let mark = shop.mark(message);
    assert!(mark.starts_with("Salieron 3 de 5 partes. No entregado: el archivo está vacío"), "{mark}");
    assert!(mark.ends_with(" (a.png, c.zip)"), "{mark}");
    // What follows goes on, and nothing is said again.
    shop.says("¿Algo más?").await;
    assert_eq!(shop.got().len(), 4);
    assert_eq!(shop.mark(message), mark);
    shop.retries(message).await;
    assert_eq!((shop.got().len(), shop.mark(message)), (4, mark));
}

/// Meta's own envelope, with what it tells of it.
fn refuses_so(code: i64, details: &str) -> Effect {
    let body = json!({ "error": { "message": format!("(#{code}) {details}"), "type": "OAuthException", "code": code,
        "error_data": { "messaging_product": "whatsapp", "details": details } } });
    Effect::Answer { status: 400, content_type: "application/json".to_owned(), body: body.to_string() }
}

#[tokio::test]
async fn a_file_meta_refuses_at_once_is_named_and_stops_neither_the_words_nor_the_others() {
    for (code, details, words) in [
        (100, "Param document['link'] is not a valid URI.", "no acepta archivos de este tipo"),
        (131_009, "Unsupported Image mime type image/jpg", "el tipo del archivo (mime_type)"),
        (131_008, "Required parameter is missing: filename", "falta el nombre del archivo (filename)"),
        (131_051, "Message type is not currently supported.", "no admite este tipo de mensaje"),
        (131_053, "Unsupported Video mime type", "no acepta archivos de este tipo"),
    ] {
        let shop = OpenChat::open().await;
        shop.meta_will(refuses_so(code, details), 1);
        let files: [(&str, &str, &[u8]); 2] =
            [("a.zip", "application/zip", b"PK\x03\x04"), ("b.pdf", "application/pdf", b"%PDF-2")];
        let message = shop.attaches(Some("Lo que pidió"), &files).await;
        assert_eq!(shop.got(), ["Lo que pidió", "b.pdf"], "{code}");
        let mark = shop.mark(message);
        assert!(mark.starts_with("Salieron 2 de 3 partes. No entregado: "), "{code}: {mark}");
        assert!(mark.contains(words) && mark.ends_with(" (a.zip)"), "{code}: {mark}");
        shop.retries(message).await;
        assert_eq!((shop.got().len(), shop.mark(message).as_str()), (3, "sent"), "{code}");
    }
    // What is wrong with the recipient or the number is wrong with everything.
    for (code, details) in [(100, "The parameter to is required."), (131_026, "Message undeliverable"), (131_031, "x")]
    {
        let shop = OpenChat::open().await;
        shop.meta_will(refuses_so(code, details), 1);
        let files: [(&str, &str, &[u8]); 2] =
            [("a.pdf", "application/pdf", b"%PDF-1"), ("b.pdf", "application/pdf", b"%PDF-2")];
        shop.attaches(Some("Lo que pidió"), &files).await;
        assert!(shop.got().is_empty(), "{code}: {:?}", shop.got());
    }
}

#[tokio::test]
async fn an_upload_refused_for_any_reason_of_its_own_goes_by_its_address() {
    for code in [131_008, 131_009, 131_051, 131_052, 131_053, 131_999] {
        let shop = OpenChat::open().await;
        shop.meta_will_at("/media", refuses(400, code), 1);
        let message = shop.attaches(None, &[("lista.pdf", "application/pdf", b"%PDF-1.7")]).await;
        assert_eq!((shop.mark(message).as_str(), shop.got()), ("sent", vec!["lista.pdf".to_owned()]), "{code}");
        assert!(shop.asked()["document"]["link"].is_string(), "{code}");
    }
    // An account that may not send has no other way.
    let shop = OpenChat::open().await;
    shop.meta_will_at("/media", refuses(403, 200), 9);
    let message = shop.attaches(None, &[("lista.pdf", "application/pdf", b"%PDF-1.7")]).await;
    assert!(shop.mark(message).contains("perdió el permiso") && shop.got().is_empty(), "{}", shop.mark(message));
}

#[tokio::test]
async fn an_ending_says_more_than_the_type_a_computer_calls_everything_by() {
    const EXCEL: &str = "application/vnd.ms-excel";
    const WORD: &str = "application/msword";
    let shop = OpenChat::open().await;
    let (zip, text) = (&b"PK\x03\x04 and more"[..], &b"modelo;precio\r\n"[..]);
    for (name, mime, bytes) in [
        ("lista.csv", EXCEL, text),
        ("precios.xlsx", EXCEL, zip),
        ("contrato.docx", WORD, zip),
        ("contrato.docx", "application/zip", zip),
        ("precios.xlsx", "application/x-zip-compressed", zip),
        ("precios.xlsx", "application/octet-stream", zip),
        ("lista.csv", "application/octet-stream", text),
        ("contrato.rtf", WORD, b"{\\rtf1\\ansi hola}"),
        ("hoja.ods", "application/octet-stream", zip),
        ("fotos.zip", "application/octet-stream", zip),
    ] {
        let message = shop.attaches(None, &[(name, mime, bytes)]).await;
        let got = shop.last();
        assert_eq!((shop.mark(message).as_str(), got.filename.as_deref()), ("sent", Some(name)), "{mime}");
        let uploaded = !matches!(name, "contrato.rtf" | "hoja.ods" | "fotos.zip");
        assert_eq!(shop.asked()["document"]["id"].is_string(), uploaded, "{name} {mime}");
    }
    // The bytes say more than either.
    let old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0";
    for (name, mime, shown) in [("lista.csv", EXCEL, "lista.xls"), ("contrato.docx", WORD, "contrato.doc")] {
        shop.attaches(None, &[(name, mime, old)]).await;
        assert_eq!(shop.last().filename.as_deref(), Some(shown));
    }
}

#[tokio::test]
async fn a_file_that_is_waited_for_holds_back_none_of_its_message() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.faults().add(always("GET", "b.pdf", answer(404)));
    let files: [(&str, &str, &[u8]); 3] = [
        ("a.pdf", "application/pdf", b"%PDF-1"),
        ("b.pdf", "application/pdf", b"%PDF-2"),
        ("c.pdf", "application/pdf", b"%PDF-3"),
    ];
    let message = shop.attaches(None, &files).await;
    assert_eq!(shop.got(), ["a.pdf", "c.pdf"]);
    assert_eq!(shop.mark(message), "sent", "it may still come");
    shop.sofia.replies(shop.conversation, "¿le llegaron?").await;
    for _ in 0..20 {
        shop.later(MINUTE).await;
    }
    assert_eq!(
        shop.got(),
        ["a.pdf", "c.pdf", "¿le llegaron?"],
        "what was written behind it is not sent before it is settled"
    );
    let mark = shop.mark(message);
    assert!(mark.starts_with("Salieron 2 de 3 partes. No entregado: no se pudo leer"), "{mark}");
    assert!(mark.ends_with(" (b.pdf)"), "{mark}");
    shop.world.chatwoot.faults().clear();
    shop.retries(message).await;
    assert_eq!(
        (shop.got(), shop.mark(message).as_str()),
        (["a.pdf", "c.pdf", "¿le llegaron?", "b.pdf"].map(str::to_owned).to_vec(), "sent")
    );
}

#[tokio::test]
async fn too_little_time_for_a_file_puts_it_back_for_a_while_and_then_it_goes_out() {
    let shop = OpenChat::open().await;
    let files = vec![file("moto.pdf", "application/pdf", &[b'%'; 20_000_000])];
    let message = shop.sofia.sends_files(shop.conversation, None, files).await;
    let world = &shop.world;
    world.calm().await;
    // So large a file may need more than a minute, at first sight.
    assert!(world.send_within(MINUTE).await.unwrap());
    assert!(!world.send_once().await.unwrap(), "it comes again at once");
    assert!(shop.got().is_empty());
    world.pass(Duration::from_secs(6));
    // It is tried with what there is, however often it would be the same.
    assert!(world.send_within(MINUTE).await.unwrap());
    assert_eq!((shop.got(), shop.mark(message).as_str()), (vec!["moto.pdf".to_owned()], "sent"));
}
