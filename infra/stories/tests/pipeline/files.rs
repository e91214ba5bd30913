//! Agents' files: each arrives as the best kind WhatsApp has for it, with its name, or comes back with a reason.

use std::time::Duration;

use simulator_chatwoot::FileMode;
use simulator_meta::Bubble;

use crate::{
    fixtures::{always, answer},
    open_chat::{OpenChat, file, refuses},
};

const MINUTE: Duration = Duration::from_secs(60);
const MIB: usize = 1024 * 1024;

/// A second of speech, 44.1 kHz mono.
const SPEECH: &[u8] = include_bytes!("../../media/speech.mp3");

/// As the dashboard names its recordings.
const RECORDING: &str = "3fa91c0e4b7d.mp3";

/// A callback with one.
const RECORDED: &str = include_str!("../../../../events/chatwoot/07_audio_attachment.json");

impl OpenChat {
    /// Sofía sends a file; what Ana gets.
    async fn sends(&self, name: &str, mime: &str, bytes: &[u8]) -> Bubble {
        let message = self.sofia.sends_files(self.conversation, None, vec![file(name, mime, bytes)]).await;
        self.world.work().await.unwrap();
        assert_eq!(self.mark(message), "sent", "{name}");
        self.world.pass(MINUTE);
        let got = self.ana.phone().pop().unwrap();
        assert!(got.from_business, "{name} did not arrive");
        got
    }
}

fn opus(channels: u8) -> Vec<u8> {
    let mut head = b"OggS".to_vec();
    head.resize(28, 0);
    head.extend(b"OpusHead\x01");
    head.push(channels);
    head.resize(900, 7);
    head
}

#[tokio::test]
async fn kinds_and_sizes_whatsapp_does_not_show_go_as_documents_with_their_names() {
    let shop = OpenChat::open().await;
    for (name, mime, size, as_type) in [
        ("moto.gif", "image/gif", 900, "image/gif"),
        ("moto.heic", "image/heic", 900, "image/heic"),
        ("moto.webp", "image/webp", 900, "image/webp"),
        ("moto.bmp", "image/bmp", 900, "image/bmp"),
        ("nota.wav", "audio/wav", 900, "audio/wav"),
        ("nota.webm", "audio/webm", 900, "audio/webm"),
        ("paseo.mov", "video/quicktime", 900, "video/quicktime"),
        ("paseo.webm", "video/webm", 900, "video/webm"),
        ("grande.png", "image/png", 5 * MIB + 1, "image/png"),
        ("largo.mp4", "video/mp4", 16 * MIB + 1, "video/mp4"),
        ("todo.zip", "application/zip", 900, "application/zip"),
        ("moto.stl", "application/octet-stream", 900, "application/octet-stream"),
    ] {
        let bytes = vec![7; size];
        let got = shop.sends(name, mime, &bytes).await;
        assert_eq!((got.kind.as_str(), got.filename.as_deref()), ("document", Some(name)));
        assert_eq!(got.mime.as_deref(), Some(as_type), "{name}");
        assert!(got.bytes.as_deref() == Some(&bytes[..]), "{name}: other bytes");
    }
    for (name, mime, size, kind) in [
        ("foto.jpg", "image/jpeg", 5 * MIB, "image"),
        ("foto.jpg", "image/jpg", 900, "image"),
        ("paseo.mp4", "video/mp4", 900, "video"),
        ("nota.m4a", "audio/x-m4a", 900, "audio"),
        ("nota.mp3", "audio/mp3", 900, "audio"),
    ] {
        assert_eq!(shop.sends(name, mime, &vec![7; size]).await.kind, kind, "{name}");
    }
}

#[tokio::test]
async fn words_go_under_a_picture_that_became_a_document_too() {
    let shop = OpenChat::open().await;
    let picture = file("moto.gif", "image/gif", b"GIF89a");
    shop.sofia.sends_files(shop.conversation, Some("mira"), vec![picture]).await;
    shop.world.work().await.unwrap();
    let got = shop.ana.phone().pop().unwrap();
    assert_eq!((got.kind.as_str(), got.text.as_str()), ("document", "mira"));
}

#[tokio::test]
async fn what_is_too_large_or_empty_never_reaches_meta() {
    let shop = OpenChat::open().await;
    // A fault that is never met shows that nobody called.
    shop.meta_will_at("/media", refuses(500, 1), 1);
    for (bytes, words) in
        [(vec![0; 100 * MIB + 1], "pesa más de 100 MB"), (Vec::new(), "el archivo está vacío (0 bytes)")]
    {
        let files = vec![file("todo.zip", "application/zip", &bytes)];
        let message = shop.sofia.sends_files(shop.conversation, None, files).await;
        shop.world.work().await.unwrap();
        assert!(shop.mark(message).contains(words), "{}", shop.mark(message));
    }
    assert_eq!(shop.world.meta.faults().list().len(), 1);
    assert!(shop.ana.heard().is_empty());
}

#[tokio::test]
async fn a_recording_of_the_dashboard_arrives_as_a_voice_note() {
    let shop = OpenChat::open().await;
    let callback: serde_json::Value = serde_json::from_str(RECORDED).unwrap();
    let file = &callback["attachments"][0];
    let url = file["data_url"].as_str().unwrap().split('?').next().unwrap();
    let name = url.rsplit('/').next().unwrap();
    for (name, mime) in [(name, file["content_type"].as_str().unwrap()), (RECORDING, "audio/mp3")] {
        let got = shop.sends(name, mime, SPEECH).await;
        assert_eq!((got.kind.as_str(), got.mime.as_deref()), ("voice", Some("audio/ogg")), "{name}");
        let note = got.bytes.unwrap();
        assert!(note.starts_with(b"OggS") && note.len() < SPEECH.len(), "{} bytes", note.len());
    }
    // An mp3 that somebody attached stays one, and so does a recording that cannot be read.
    for (name, bytes) in [("nota.mp3", SPEECH), (RECORDING, &b"no mp3 at all"[..])] {
        let got = shop.sends(name, "audio/mpeg", bytes).await;
        assert_eq!((got.kind.as_str(), got.mime.as_deref()), ("audio", Some("audio/mpeg")), "{name}");
        assert!(got.bytes.as_deref() == Some(bytes), "{name}: other bytes");
    }
}

#[tokio::test]
async fn a_voice_note_meta_does_not_take_goes_as_the_recording_it_was() {
    for (code, refused, kind, as_type) in
        [(100, 1, "audio", "audio/mpeg"), (131_053, 1, "audio", "audio/mpeg"), (100, 2, "document", "audio/mpeg")]
    {
        let shop = OpenChat::open().await;
        shop.meta_will_at("/media", refuses(400, code), refused);
        let got = shop.sends(RECORDING, "audio/mpeg", SPEECH).await;
        assert_eq!((got.kind.as_str(), got.mime.as_deref()), (kind, Some(as_type)), "{code}");
        assert!(got.bytes.as_deref() == Some(SPEECH), "{code}: other bytes");
    }
    // So does one that cannot be made a note at all.
    let shop = OpenChat::open().await;
    shop.meta_will_at("/media", refuses(400, 131_053), 1);
    assert_eq!(shop.sends(RECORDING, "audio/mpeg", b"no mp3 at all").await.kind, "document");
}

#[tokio::test]
async fn a_voice_file_is_a_voice_note_if_whatsapp_can_play_it() {
    let shop = OpenChat::open().await;
    assert_eq!(shop.sends("nota.ogg", "audio/ogg", &opus(1)).await.kind, "voice");
    assert_eq!(shop.sends("nota.ogg", "audio/ogg", &opus(2)).await.kind, "document");
    assert_eq!(shop.sends("nota.ogg", "audio/ogg", b"OggS\0\x02\x01vorbis").await.kind, "document");
    assert!(shop.world.chatwoot.messages(shop.conversation).iter().all(|message| message.status != "failed"));
}

#[tokio::test]
async fn a_name_stays_as_it_was_unless_it_could_harm() {
    let shop = OpenChat::open().await;
    let long = format!("{}.pdf", "cotización ".repeat(20));
    for (name, kept) in [
        ("cotización Ñandú 🏍️ (1)+2 & 100%.pdf", "cotización Ñandú 🏍️ (1)+2 & 100-.pdf"),
        ("../../etc/passwd.pdf", "-..-etc-passwd.pdf"),
        ("factura\u{202e}fdp.exe.pdf", "facturafdp.exe.pdf"),
        ("a\u{2066}b\u{200f}.pdf", "ab.pdf"),
    ] {
        let got = shop.sends(name, "application/pdf", b"%PDF").await;
        assert_eq!(got.filename.as_deref(), Some(kept), "{name}");
    }
    let got = shop.sends(&long, "application/pdf", b"%PDF").await.filename.unwrap();
    assert!(
        got.len() <= 200 && got.starts_with("cotización cotización") && got.rsplit_once('.').unwrap().1 == "pdf",
        "{got}"
    );
    // Meta judges by the ending; the picture is what its bytes say.
    assert_eq!(shop.sends("foto.jpg", "image/png", b"png").await.kind, "image");
}

#[tokio::test]
async fn a_card_of_people_is_one_to_tap_on() {
    let shop = OpenChat::open().await;
    let card = |name: &str| format!("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{name}\r\nTEL:+52 1 55\r\nEND:VCARD\r\n");
    let got = shop.sends("Eva.vcf", "text/vcard", card("Eva Muñoz").as_bytes()).await;
    assert_eq!((got.kind.as_str(), got.text.as_str()), ("contacts", "Eva Muñoz +52 1 55"));
    let two = card("Eva") + &card("Luis");
    assert_eq!(shop.sends("dos.vcf", "text/x-vcard", two.as_bytes()).await.text, "Eva +52 1 55\nLuis +52 1 55");
    // Too many, or none: the file itself.
    for (name, text) in [("todos.vcf", card("Eva").repeat(6)), ("nada.vcf", "hola".to_owned())] {
        let got = shop.sends(name, "text/vcard", text.as_bytes()).await;
        assert_eq!((got.kind.as_str(), got.filename.as_deref()), ("document", Some(name)));
    }
    // Words are not lost: they go first.
    let files = vec![file("Eva.vcf", "text/vcard", card("Eva").as_bytes())];
    shop.sofia.sends_files(shop.conversation, Some("Ella te atiende"), files).await;
    shop.world.work().await.unwrap();
    let heard = shop.ana.heard();
    assert_eq!(heard[heard.len() - 2..], ["Ella te atiende", "Eva +52 1 55"]);
}

#[tokio::test]
async fn a_file_that_is_announced_is_waited_for_a_quarter_of_an_hour_and_what_follows_stays_behind_it() {
    for in_time in [true, false] {
        let shop = OpenChat::open().await;
        shop.world.chatwoot.serve_files(FileMode::Missing);
        let files = vec![file("moto.png", "image/png", b"png"), file("moto.pdf", "application/pdf", b"%PDF")];
        let message = shop.sofia.sends_files(shop.conversation, Some("mira"), files).await;
        shop.says("¿qué le parece?").await;
        for _ in 0..14 {
            shop.later(MINUTE).await;
        }
        assert_eq!((shop.ana.heard().len(), shop.mark(message).as_str()), (0, "sent"));
        let notes = shop.notes();
        assert!(notes.len() == 1 && notes[0].starts_with("Chatwoot todavía no entrega el archivo"), "{notes:?}");
        if in_time {
            shop.world.chatwoot.serve_files(FileMode::Normal);
        }
        shop.later(MINUTE).await;
        if in_time {
            assert_eq!(
                (shop.ana.heard(), shop.mark(message).as_str()),
                (vec!["mira".into(), String::new(), "¿qué le parece?".into()], "sent")
            );
            let notes = shop.notes();
            assert!(notes.len() == 2 && notes[1].starts_with("El archivo que faltaba ya salió"), "{notes:?}");
            continue;
        }
        assert!(shop.mark(message).contains("no se pudo leer el archivo en Chatwoot"), "{}", shop.mark(message));
        // The words do not wait for a file that does not come.
        assert_eq!((shop.ana.heard(), shop.notes().len()), (vec!["mira".to_owned(), "¿qué le parece?".to_owned()], 1));
        // Attached again, or there by now: Retry sends what is missing, and the words once.
        shop.world.chatwoot.serve_files(FileMode::Normal);
        shop.retries(message).await;
        let heard = shop.ana.heard();
        assert_eq!((heard.len(), shop.mark(message).as_str()), (4, "sent"));
        assert_eq!(heard.iter().filter(|text| *text == "mira").count(), 1);
    }
}

/// What keeps a file from being read.
#[derive(Clone, Copy)]
enum Kept {
    /// The storage answers so.
    By(u16),
    /// So does Chatwoot itself.
    ByChatwoot(u16),
    As(FileMode),
}

/// Sofía sends a file that is kept back; after five minutes she has heard of it, once.
async fn kept_back(kept: Kept) -> (OpenChat, i64) {
    let shop = OpenChat::open().await;
    let chatwoot = &shop.world.chatwoot;
    match kept {
        Kept::By(status) => chatwoot.faults().add(always("GET", "/active_storage/disk/", answer(status))),
        Kept::ByChatwoot(status) => chatwoot.faults().add(always("GET", "/active_storage/blobs/", answer(status))),
        Kept::As(mode) => chatwoot.serve_files(mode),
    }
    let files = vec![file("moto.pdf", "application/pdf", b"%PDF")];
    let message = shop.sofia.sends_files(shop.conversation, None, files).await;
    shop.world.work().await.unwrap();
    shop.later(4 * MINUTE).await;
    assert!(shop.notes().is_empty());
    for _ in 0..2 {
        shop.later(MINUTE).await;
    }
    let notes = shop.notes();
    assert!(notes.len() == 1 && notes[0].starts_with("Chatwoot todavía no entrega el archivo"), "{notes:?}");
    assert_eq!(shop.mark(message), "sent");
    (shop, message)
}

#[tokio::test]
async fn however_a_file_is_kept_back_the_agent_hears_of_it_after_five_minutes_and_it_goes_out_late() {
    for kept in [
        Kept::By(403),
        Kept::ByChatwoot(401),
        Kept::As(FileMode::NoAddress),
        Kept::As(FileMode::Expired),
        Kept::As(FileMode::WrongLength),
        Kept::By(503),
    ] {
        let (shop, message) = Box::pin(kept_back(kept)).await;
        shop.world.chatwoot.faults().clear();
        shop.world.chatwoot.serve_files(FileMode::Normal);
        shop.later(8 * MINUTE).await;
        assert_eq!((shop.ana.heard().len(), shop.mark(message).as_str(), shop.notes().len()), (1, "sent", 2));
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_holds_others_up_for_a_quarter_of_an_hour_and_a_sick_storage_for_one() {
    for (kept, minutes) in [(Kept::By(403), 9), (Kept::As(FileMode::NoAddress), 9), (Kept::By(503), 54)] {
        let (shop, message) = Box::pin(kept_back(kept)).await;
        shop.later((minutes - 1) * MINUTE).await;
        assert_eq!(shop.mark(message), "sent");
        shop.later(MINUTE).await;
        shop.later(15 * MINUTE).await;
        assert!(shop.mark(message).contains("no se pudo leer el archivo en Chatwoot"), "{}", shop.mark(message));
        assert_eq!((shop.ana.heard().len(), shop.notes().len()), (0, 1));
    }
}

#[tokio::test]
async fn a_slow_storage_only_takes_longer() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.serve_files(FileMode::Slow(Duration::from_millis(50)));
    let got = shop.sends("moto.pdf", "application/pdf", b"%PDF-1.7 y lo que sigue").await;
    assert!(got.bytes.as_deref() == Some(&b"%PDF-1.7 y lo que sigue"[..]));
    assert!(shop.notes().is_empty());
}
