//! What an agent writes, as the customer gets it; and what never goes out, and in which words the agent hears of it.

use std::time::Duration;

use simulator_chatwoot::Limits;
use simulator_wire::Effect;
use stories::COEXISTENCE_CHANNEL;

use crate::{
    fixtures::goes_by,
    open_chat::{OpenChat, file, refuses},
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn every_kind_of_file_arrives_whole_with_its_name_and_type() {
    let cases = [
        ("moto.png", "image/png", "image", false),
        ("moto.jpg", "image/jpeg", "image", false),
        ("paseo.mp4", "video/mp4", "video", false),
        ("nota.ogg", "audio/ogg", "document", true),
        ("nota.mp3", "audio/mpeg", "audio", false),
        ("cotización Ñ 2026 (1)+2.pdf", "application/pdf", "document", true),
        ("precios.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "document", true),
        ("notas.txt", "text/plain", "document", true),
    ];
    let shop = OpenChat::open().await;
    for (name, mime, kind, named) in cases {
        let bytes: Vec<u8> = name.bytes().cycle().take(70_000).collect();
        let message = shop.sofia.sends_files(shop.conversation, None, vec![file(name, mime, &bytes)]).await;
        shop.world.work().await.unwrap();
        let got = shop.ana.phone().pop().unwrap();
        assert_eq!(shop.mark(message), "sent", "{name}");
        assert_eq!((got.kind.as_str(), got.mime.as_deref()), (kind, Some(mime)), "{name}");
        assert!(got.bytes.as_deref() == Some(&bytes[..]), "{name}: other bytes");
        assert_eq!(got.filename.as_deref(), named.then_some(name));
        shop.world.pass(MINUTE);
    }
}

#[tokio::test]
async fn all_files_of_a_message_go_out_in_order_and_the_words_once() {
    let shop = OpenChat::open().await;
    let names = ["a.png", "b.pdf", "c.mp3", "d.mp4"];
    let mimes = ["image/png", "application/pdf", "audio/mpeg", "video/mp4"];
    let files = names.iter().zip(mimes).map(|(name, mime)| file(name, mime, name.as_bytes())).collect();
    shop.sofia.sends_files(shop.conversation, Some("Todo"), files).await;
    shop.says("Eso es todo").await;
    let got: Vec<(String, String)> = shop.ana.received().into_iter().map(|b| (b.kind, b.text)).collect();
    let got: Vec<(&str, &str)> = got.iter().map(|(kind, text)| (kind.as_str(), text.as_str())).collect();
    assert_eq!(got, [("image", "Todo"), ("document", ""), ("audio", ""), ("video", ""), ("text", "Eso es todo")]);
}

#[tokio::test]
async fn a_quote_of_either_side_points_to_the_quoted_message() {
    let shop = OpenChat::open().await;
    let question = shop.world.chatwoot.messages(shop.conversation)[0].id;
    let first = shop.says("Buenas").await;
    shop.sofia.quotes(shop.conversation, question, "Hola, Ana").await;
    shop.sofia.quotes(shop.conversation, first, "como decía").await;
    let other = shop.world.chatwoot.agent("Beto").quotes(shop.conversation, first, "y yo también").await;
    shop.world.work().await.unwrap();
    shop.sofia.quotes(shop.conversation, other, "gracias").await;
    shop.world.work().await.unwrap();
    let phone = shop.ana.phone();
    let quoted: Vec<Option<usize>> =
        phone.iter().map(|b| b.quoted.as_ref().and_then(|id| phone.iter().position(|o| o.wamid == *id))).collect();
    assert_eq!(quoted, [None, None, Some(0), Some(1), Some(1), Some(4)]);
}

#[tokio::test]
async fn a_long_text_arrives_in_parts_without_losing_a_word() {
    let shop = OpenChat::open().await;
    let text = (0..2_000).map(|n| format!("palabra{n}")).collect::<Vec<_>>().join(" ");
    let message = shop.says(&text).await;
    let heard = shop.ana.heard();
    assert!(heard.len() > 3 && heard.iter().all(|part| part.chars().count() <= 4_096), "{}", heard.len());
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(heard.iter().flat_map(|part| words(part)).collect::<Vec<_>>(), words(&text));
    assert_eq!(shop.mark(message), "sent");
}

#[tokio::test]
async fn notes_echoes_and_lines_of_the_system_never_go_out() {
    let shop = OpenChat::open().await;
    shop.sofia.notes(shop.conversation, "cliente difícil").await;
    shop.sofia.resolves(shop.conversation).await;
    shop.sofia.reopens(shop.conversation).await;
    let workshop = shop.ana.at(COEXISTENCE_CHANNEL);
    workshop.writes("¿mi moto?").await.unwrap();
    shop.world.meta.echo(&workshop, "lista mañana").await.unwrap();
    shop.world.work().await.unwrap();
    shop.reconciles().await;
    shop.later(Duration::from_secs(3600)).await;
    shop.reconciles().await;
    assert!(shop.world.meta.requests().is_empty());
    assert!(shop.world.agent_reads("Ana").iter().any(|line| line.contains("lista mañana")), "the echo is in Chatwoot");
}

#[tokio::test]
async fn the_window_closes_a_day_after_the_customers_own_time_to_the_second() {
    let shop = OpenChat::open().await;
    shop.world.pass(DAY.saturating_sub(SECOND));
    let open = shop.says("todavía").await;
    shop.world.pass(SECOND);
    let closed = shop.says("tarde").await;
    assert_eq!(shop.ana.heard(), ["todavía"]);
    assert_eq!(shop.mark(open), "sent");
    assert_eq!(shop.mark(closed), "No entregado: pasaron más de 24 h desde su último mensaje; usa una plantilla.");
    assert_eq!(shop.world.meta.requests().len(), 1, "Meta is not even asked");
}

#[tokio::test]
async fn a_quote_behind_a_message_that_waits_is_not_forgotten() {
    let shop = OpenChat::open().await;
    let question = shop.world.chatwoot.messages(shop.conversation)[0].id;
    shop.meta_will(refuses(503, 131_016), 2);
    shop.sofia.replies(shop.conversation, "uno").await;
    shop.sofia.quotes(shop.conversation, question, "dos").await;
    shop.world.work().await.unwrap();
    assert!(shop.ana.heard().is_empty());
    goes_by(&shop.world, 2 * MINUTE, 10 * SECOND).await;
    let sent: Vec<_> = shop.world.meta.requests().into_iter().filter(|request| request.status == 200).collect();
    let quoted: Vec<bool> = sent.iter().map(|request| request.body["context"].is_object()).collect();
    assert_eq!((shop.ana.heard(), quoted), (vec!["uno".to_owned(), "dos".to_owned()], vec![false, true]));
}

#[tokio::test]
async fn a_quote_that_was_seen_too_late_is_there_when_the_agent_retries() {
    let shop = OpenChat::open().await;
    let question = shop.world.chatwoot.messages(shop.conversation)[0].id;
    shop.world.chatwoot.callbacks().lose(1);
    let message = shop.sofia.quotes(shop.conversation, question, "sí").await;
    shop.later(70 * MINUTE).await;
    shop.reconciles().await;
    assert!(shop.mark(message).starts_with("No entregado"), "{}", shop.mark(message));
    shop.retries(message).await;
    let sent = shop.world.meta.requests().pop().unwrap();
    assert_eq!((shop.ana.heard(), sent.body["context"].is_object()), (vec!["sí".to_owned()], true));
}

#[tokio::test]
async fn to_somebody_who_never_wrote_nothing_is_sent() {
    let shop = OpenChat::open().await;
    let beto = shop.world.meta.customer("Beto", "5215555550199").at(COEXISTENCE_CHANNEL);
    shop.world.meta.echo(&beto, "su moto está lista").await.unwrap();
    shop.world.work().await.unwrap();
    let conversation = shop.world.conversation("Beto").unwrap();
    shop.sofia.replies(conversation, "¿viene hoy?").await;
    shop.world.work().await.unwrap();
    let message = shop.world.chatwoot.messages(conversation).pop().unwrap();
    let words = message.external_error.unwrap_or_default();
    assert!(words.starts_with("No entregado: esta persona aún no ha escrito por WhatsApp"), "{words}");
    assert!(shop.world.meta.requests().is_empty());
}

/// An agent begins a conversation by hand; the mark on its first message.
async fn begins(shop: &OpenChat, contact: i64, inbox: i64, text: &str) -> String {
    let (conversation, message) = shop.sofia.starts_conversation(contact, inbox, text).await;
    shop.world.work().await.unwrap();
    let message = shop.world.chatwoot.messages(conversation).into_iter().find(|m| m.id == message).unwrap();
    message.external_error.unwrap_or(message.status)
}

#[tokio::test]
async fn a_conversation_an_agent_began_is_resolved_by_our_id() {
    let shop = OpenChat::open().await;
    shop.sofia.resolves(shop.conversation).await;
    let contact = shop.world.chatwoot.contacts()[0].id;
    assert_eq!(begins(&shop, contact, 14, "¿Sigue buscando?").await, "sent");
    assert_eq!(shop.ana.heard(), ["¿Sigue buscando?"]);

    // In the workshop's inbox Chatwoot makes up a source id; the contact's identifier is ours, and she never wrote there.
    let words = begins(&shop, contact, 15, "Su moto está lista").await;
    assert!(words.starts_with("No entregado: esta persona aún no ha escrito por WhatsApp"), "{words}");
    shop.ana.at(COEXISTENCE_CHANNEL).writes("¿y mi moto?").await.unwrap();
    shop.world.work().await.unwrap();
    assert_eq!(begins(&shop, contact, 15, "Lista").await, "sent");
    assert_eq!(shop.ana.at(COEXISTENCE_CHANNEL).heard(), ["Lista"]);
}

#[tokio::test]
async fn a_conversation_an_agent_began_is_resolved_by_the_phone_and_else_refused_in_words() {
    let shop = OpenChat::open().await;
    shop.sofia.deletes_contact(shop.world.chatwoot.contacts()[0].id).await;
    let entered = shop.sofia.adds_contact("Ana otra vez", Some("+5215555550123")).await;
    assert_eq!(begins(&shop, entered, 14, "¿Sigue buscando?").await, "sent");
    assert_eq!(shop.ana.heard(), ["¿Sigue buscando?"]);

    let unknown = "No entregado: no se sabe a qué WhatsApp pertenece esta conversación";
    let stranger = shop.sofia.adds_contact("Nadie", Some("+5215555550777")).await;
    let words = begins(&shop, stranger, 14, "hola").await;
    assert!(words.starts_with("No entregado: esta persona aún no ha escrito por WhatsApp"), "{words}");
    let nameless = shop.sofia.adds_contact("Nada", None).await;
    assert!(begins(&shop, nameless, 14, "hola").await.starts_with(unknown));
    assert_eq!(shop.world.meta.requests().len(), 1);
}

#[tokio::test]
async fn an_edited_phone_number_leads_nowhere_else() {
    let shop = OpenChat::open().await;
    let beto = shop.world.meta.customer("Beto", "5215555550199");
    shop.sofia.changes_phone(shop.world.chatwoot.contacts()[0].id, Some("+5215555550199")).await;
    shop.says("para Ana").await;
    assert_eq!((shop.ana.heard(), beto.heard()), (vec!["para Ana".to_owned()], vec![]));
}

#[tokio::test]
async fn what_the_bridge_sees_more_than_an_hour_late_waits_for_the_agents_word() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.callbacks().lose(2);
    let early = shop.says("a tiempo").await;
    shop.world.pass(59 * MINUTE);
    shop.reconciles().await;
    assert_eq!((shop.ana.heard(), shop.mark(early).as_str()), (vec!["a tiempo".to_owned()], "sent"));

    let late = shop.says("muy tarde").await;
    shop.world.pass(61 * MINUTE);
    shop.reconciles().await;
    assert_eq!(shop.ana.heard(), ["a tiempo"]);
    assert!(shop.mark(late).contains("con más de una hora de retraso"), "{}", shop.mark(late));
    shop.retries(late).await;
    assert_eq!(shop.ana.heard(), ["a tiempo", "muy tarde"]);
    assert_eq!(shop.mark(late), "sent");
}

#[tokio::test]
async fn what_is_deleted_before_it_was_sent_is_not_sent() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.callbacks().hold();
    let message = shop.sofia.replies(shop.conversation, "perdón, otro chat").await;
    shop.sofia.deletes(shop.conversation, message).await;
    shop.world.chatwoot.callbacks().release();
    shop.world.work().await.unwrap();

    shop.world.meta.server().refuse().await;
    let waiting = shop.says("también otro").await;
    shop.sofia.deletes(shop.conversation, waiting).await;
    shop.meta_is_back();
    shop.says("esto sí").await;
    for _ in 0..5 {
        shop.later(MINUTE).await;
    }
    assert_eq!(shop.ana.heard(), ["esto sí"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_or_that_meta_does_not_take_is_refused_in_words() {
    let shop = OpenChat::open().await;
    let heavy = vec![0; 101 * 1024 * 1024];
    let sends = async |name: &str, mime: &str, bytes: &[u8]| {
        let picture = file(name, mime, bytes);
        let message = shop.sofia.sends_files(shop.conversation, None, vec![picture]).await;
        shop.world.work().await.unwrap();
        for _ in 0..12 {
            shop.later(2 * MINUTE).await;
        }
        shop.mark(message)
    };
    assert!(sends("moto.zip", "application/zip", &heavy).await.contains("pesa más de 100 MB"));
    assert!(sends("vacio.pdf", "application/pdf", b"").await.contains("el archivo está vacío"));
    shop.world.chatwoot.serve_files(simulator_chatwoot::FileMode::Missing);
    assert!(sends("moto.pdf", "application/pdf", b"%PDF").await.contains("no se pudo leer el archivo en Chatwoot"));
    assert!(shop.ana.heard().is_empty());
}

#[tokio::test]
async fn while_chatwoots_own_limit_stops_marks_nothing_is_sent_twice() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.limit(Limits { messages_per_conversation_and_minute: 2, ..Limits::default() });
    shop.meta_will(Effect::DropBefore, 1);
    let message = shop.says("Buenas").await;
    for _ in 0..5 {
        shop.later(MINUTE).await;
    }
    assert!(shop.mark(message).starts_with(crate::open_chat::UNCONFIRMED), "{}", shop.mark(message));
    assert!(shop.ana.heard().is_empty());
}
