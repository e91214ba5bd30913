//! Each outside call of `send` with each fault: at most once at Meta, never silent. And Meta refused for hours.

use std::time::Duration;

use simulator_wire::{Effect, Fault};

use crate::{
    fixtures::{always, goes_by},
    open_chat::{OpenChat, UNCONFIRMED, at, file, proxy_page, refuses},
    templates::{follow_up, params},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What can happen to any call, hanging apart.
fn faults() -> Vec<Effect> {
    let mut all = vec![Effect::DropBefore, Effect::DropAfter];
    all.extend([404, 429, 502, 503].map(proxy_page));
    all.extend([400, 401, 403, 404, 408, 422, 429, 500, 504].map(json));
    all.push(Effect::AnswerAfter { status: 504, content_type: "text/html".to_owned(), body: "<html>".to_owned() });
    all.push(Effect::Answer {
        status: 200,
        content_type: "text/html".to_owned(),
        body: "<html>Hola</html>".to_owned(),
    });
    all
}

/// A body of JSON that is nobody's envelope.
fn json(status: u16) -> Effect {
    Effect::Answer { status, content_type: "application/json".to_owned(), body: "{\"message\":\"no\"}".to_owned() }
}

fn every(method: &str, path: &str, effect: &Effect, times: u32) -> Fault {
    Fault { method: Some(method.to_owned()), ..at(path, effect.clone(), Some(times)) }
}

impl OpenChat {
    /// Lets time pass minute by minute, with its rounds of `reconcile`.
    async fn waits(&self, minutes: u32) {
        for minute in 1..=minutes {
            self.later(MINUTE).await;
            if minute % 5 == 0 {
                self.reconciles().await;
            }
        }
    }
}

#[tokio::test]
async fn whatever_chatwoot_does_while_its_list_is_read_the_message_goes_out_once() {
    for effect in faults() {
        let shop = OpenChat::open().await;
        let path = format!("/conversations/{}/messages", shop.conversation);
        shop.world.chatwoot.faults().add(every("GET", &path, &effect, 2));
        let message = shop.says("Buenas").await;
        shop.waits(10).await;
        assert_eq!(shop.ana.heard(), ["Buenas"], "{effect:?}");
        assert_eq!(shop.mark(message), "sent", "{effect:?}");
        assert!(shop.world.dead_letters("outbound").is_empty(), "{effect:?}");
    }
}

#[tokio::test]
async fn whatever_chatwoot_does_while_a_conversation_is_met_the_message_goes_out_once() {
    for effect in faults() {
        let shop = OpenChat::open().await;
        shop.sofia.deletes_contact(shop.world.chatwoot.contacts()[0].id).await;
        let contact = shop.sofia.adds_contact("Ana", Some("+5215555550123")).await;
        shop.world.chatwoot.faults().add(every("GET", "/conversations/", &effect, 1));
        shop.sofia.starts_conversation(contact, 14, "¿Sigue buscando?").await;
        shop.world.work().await.unwrap();
        shop.waits(5).await;
        assert_eq!(shop.ana.heard(), ["¿Sigue buscando?"], "{effect:?}");
        assert!(shop.world.dead_letters("outbound").is_empty(), "{effect:?}");
    }
}

#[tokio::test]
async fn whatever_chatwoot_does_while_a_file_is_read_it_goes_out_whole_and_once_or_fails_in_words() {
    for path in ["/rails/active_storage/blobs", "/rails/active_storage/disk"] {
        // A page that says it is the file cannot be told from the file.
        for effect in faults().into_iter().filter(|effect| !matches!(effect, Effect::Answer { status: 200, .. })) {
            let shop = OpenChat::open().await;
            shop.world.chatwoot.faults().add(every("GET", path, &effect, 1));
            let files = vec![file("a.pdf", "application/pdf", b"%PDF")];
            let message = shop.sofia.sends_files(shop.conversation, None, files).await;
            shop.world.work().await.unwrap();
            shop.waits(5).await;
            let got: Vec<_> = shop.ana.received().into_iter().map(|bubble| bubble.bytes.unwrap()).collect();
            match shop.mark(message).as_str() {
                "sent" => assert_eq!(got, [&b"%PDF"[..]], "{path} {effect:?}"),
                words => {
                    assert!(words.starts_with("No entregado: no se pudo leer el archivo"), "{path} {effect:?} {words}");
                    assert!(got.is_empty(), "{path} {effect:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn whatever_meta_does_with_an_upload_the_file_goes_out_once() {
    for effect in faults() {
        let shop = OpenChat::open().await;
        shop.meta_will_at("/media", effect.clone(), 2);
        let files = vec![file("a.png", "image/png", b"png")];
        let message = shop.sofia.sends_files(shop.conversation, Some("mira"), files).await;
        shop.world.work().await.unwrap();
        shop.waits(5).await;
        assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["mira".to_owned()], "sent"), "{effect:?}");
    }
}

#[tokio::test]
async fn uploads_that_fail_for_an_hour_hold_up_nothing_behind_them() {
    let shop = OpenChat::open().await;
    shop.meta_will_at("/media", refuses(500, 131_000), 10_000);
    let files = vec![file("a.png", "image/png", b"png")];
    let message = shop.sofia.sends_files(shop.conversation, None, files).await;
    let text = shop.says("¿La ve?").await;
    goes_by(&shop.world, 50 * MINUTE, 2 * MINUTE).await;
    assert!(shop.ana.heard().is_empty() && shop.mark(message) == "sent", "{}", shop.mark(message));
    goes_by(&shop.world, 30 * MINUTE, 2 * MINUTE).await;
    assert_eq!((shop.ana.heard(), shop.mark(text).as_str()), (vec!["¿La ve?".to_owned()], "sent"));
    assert!(shop.mark(message).starts_with("No entregado: el archivo tardó"), "{}", shop.mark(message));
}

#[tokio::test]
async fn a_file_waits_as_long_as_a_text_while_meta_answers_nothing() {
    for effect in [Effect::DropBefore, refuses(503, 131_000)] {
        let shop = OpenChat::open().await;
        for method in ["GET", "POST"] {
            shop.world.meta.faults().add(always(method, "/", effect.clone()));
        }
        let files = vec![file("a.png", "image/png", b"png")];
        let picture = shop.sofia.sends_files(shop.conversation, None, files).await;
        let text = shop.says("¿La ve?").await;
        goes_by(&shop.world, 3 * 60 * MINUTE, 5 * MINUTE).await;
        assert_eq!((shop.mark(picture), shop.notes().len()), ("sent".to_owned(), 1), "{effect:?}");
        shop.world.meta.faults().clear();
        goes_by(&shop.world, 30 * MINUTE, 5 * MINUTE).await;
        assert_eq!((shop.mark(picture).as_str(), shop.mark(text).as_str()), ("sent", "sent"), "{effect:?}");
        assert_eq!(shop.ana.received().len(), 2, "{effect:?}");
        assert_eq!(shop.ana.heard().last().map(String::as_str), Some("¿La ve?"), "in order");
    }
}

#[tokio::test]
async fn a_file_too_large_for_a_proxy_before_meta_goes_by_its_address_at_once() {
    let shop = OpenChat::open().await;
    shop.meta_will_at("/media", proxy_page(413), 10_000);
    let files = vec![file("a.png", "image/png", b"png")];
    let message = shop.sofia.sends_files(shop.conversation, None, files).await;
    shop.world.work().await.unwrap();
    let got: Vec<_> = shop.ana.received().into_iter().map(|bubble| bubble.bytes.unwrap()).collect();
    assert_eq!((got.len(), &got[0][..], shop.mark(message).as_str()), (1, &b"png"[..], "sent"));
}

#[tokio::test]
async fn whatever_meta_does_with_a_send_it_happens_at_most_once_and_never_silently() {
    for effect in faults() {
        let shop = OpenChat::open().await;
        shop.meta_will(effect.clone(), 1);
        let message = shop.says("Buenas").await;
        shop.waits(5).await;
        let done = matches!(effect, Effect::DropAfter | Effect::AnswerAfter { .. });
        assert_eq!(shop.ana.heard().len(), usize::from(done), "{effect:?}");
        assert!(shop.mark(message).starts_with(UNCONFIRMED), "{effect:?}: {}", shop.mark(message));
        shop.says("¿Le llegó?").await;
        assert_eq!(shop.ana.heard().last().unwrap(), "¿Le llegó?", "{effect:?}: what follows is not held up");
    }
}

#[tokio::test]
async fn whatever_meta_says_in_its_own_envelope_is_believed() {
    let passing = [(500, 131_000), (500, 131_016), (400, 131_056), (429, 130_429), (503, 2), (400, 4), (400, 80_007)];
    for (status, code) in passing {
        let shop = OpenChat::open().await;
        shop.meta_will(refuses(status, code), 3);
        let message = shop.says("Buenas").await;
        shop.waits(4).await;
        assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"), "{code}");
        assert!(shop.notes().is_empty(), "{code}");
    }
    for (status, code) in
        [(400, 131_047), (400, 131_026), (401, 190), (403, 10), (400, 368), (400, 100), (500, 131_045)]
    {
        let shop = OpenChat::open().await;
        // The token is looked up anew once, so twice.
        shop.meta_will(refuses(status, code), 2);
        let message = shop.says("Buenas").await;
        assert!(shop.mark(message).starts_with("No entregado: "), "{code}: {}", shop.mark(message));
        shop.world.meta.faults().clear();
        shop.waits(5).await;
        assert!(shop.ana.heard().is_empty(), "{code}: not sent again by itself");
    }
}

#[tokio::test]
async fn a_new_token_of_meta_needs_no_deploy() {
    let shop = OpenChat::open().await;
    shop.meta_will(refuses(401, 190), 1);
    let message = shop.says("Buenas").await;
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"));
}

#[tokio::test]
async fn whatever_chatwoot_does_while_a_message_is_marked_the_agent_sees_it_in_the_end() {
    for effect in faults() {
        let shop = OpenChat::open().await;
        shop.world.chatwoot.faults().add(every("PATCH", "/messages/", &effect, 2));
        shop.meta_will(Effect::DropBefore, 1);
        let message = shop.says("Buenas").await;
        shop.waits(10).await;
        assert!(shop.mark(message).starts_with(UNCONFIRMED), "{effect:?}: {}", shop.mark(message));
        assert!(shop.ana.heard().is_empty(), "{effect:?}");
    }
}

/// Loses `send`'s n-th call to AWS as often as the SDK tries it.
async fn aws_is_lost_at(skip: u32, effect: Effect) {
    let shop = OpenChat::open().await;
    shop.sofia.replies(shop.conversation, "Buenas").await;
    shop.world.calm().await;
    shop.world.stage.aws.faults().add(Fault { method: None, skip, ..at("/", effect.clone(), Some(3)) });
    shop.world.send_once().await.unwrap();
    shop.world.stage.aws.faults().clear();
    shop.later(Duration::from_secs(721)).await;
    let message = shop.world.chatwoot.messages(shop.conversation)[1].id;
    match shop.mark(message).as_str() {
        "sent" => assert_eq!(shop.ana.heard(), ["Buenas"], "call {skip}, {effect:?}"),
        words => {
            assert!(words.starts_with(UNCONFIRMED), "call {skip}, {effect:?}: {words}");
            assert!(shop.ana.heard().len() <= 1, "call {skip}, {effect:?}");
        }
    }
}

#[tokio::test]
async fn a_call_to_aws_that_is_lost_never_sends_twice_and_never_silently() {
    let effects = [Effect::DropAfter, proxy_page(500)];
    let cases = (0..14).flat_map(|skip| effects.clone().map(|effect| aws_is_lost_at(skip, effect)));
    futures_util::future::join_all(cases).await;
}

/// Loses `send`'s n-th call to AWS, as often as the SDK tries it, in a conversation that an agent began with somebody unknown.
async fn aws_is_lost_at_the_beginning(skip: u32, effect: Effect) {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    let caro = shop.world.meta.customer("Caro", "5215555550166");
    let contact = shop.sofia.adds_contact("Carolina", Some("+525555550166")).await;
    let (conversation, _) = shop.sofia.starts_conversation(contact, 14, "Hola, Caro").await;
    let picked = serde_json::json!({ "body": { "1": "Caro", "2": "RX 150" } });
    let content = "Hola Caro, ¿pudiste ver la cotización de la RX 150?";
    shop.sofia.picks_template(conversation, params("seguimiento", &picked), content).await;
    shop.world.calm().await;
    shop.world.stage.aws.faults().add(Fault { method: None, skip, ..at("/", effect.clone(), Some(3)) });
    shop.world.send_once().await.unwrap();
    shop.world.stage.aws.faults().clear();
    shop.later(Duration::from_secs(721)).await;
    let messages = shop.world.chatwoot.messages(conversation);
    let words = messages[1].external_error.clone().unwrap_or_default();
    match caro.heard().as_slice() {
        [heard] => {
            assert_eq!((heard.as_str(), words.starts_with("No entregado")), (content, false), "call {skip} {effect:?}");
        }
        heard => {
            assert!(heard.is_empty() && words.starts_with(UNCONFIRMED), "call {skip} {effect:?}: {heard:?} {words}");
        }
    }
    // What they answer comes into the conversation the agent began.
    caro.writes("sí, gracias").await.unwrap();
    shop.world.work().await.unwrap();
    let last = shop.world.chatwoot.messages(conversation).pop().unwrap();
    assert_eq!(last.content, "sí, gracias", "call {skip} {effect:?}");
}

#[tokio::test]
async fn a_conversation_an_agent_begins_is_whole_wherever_aws_is_lost() {
    let effects = [Effect::DropAfter, proxy_page(500)];
    let cases = (0..18).flat_map(|skip| effects.clone().map(|effect| aws_is_lost_at_the_beginning(skip, effect)));
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn while_meta_is_out_of_reach_the_agent_gets_one_note_after_five_minutes_and_messages_go_out_when_it_is_back() {
    let shop = OpenChat::open().await;
    shop.world.meta.server().refuse().await;
    let first = shop.says("uno").await;
    for _ in 0..4 {
        shop.later(MINUTE).await;
    }
    assert!(shop.notes().is_empty(), "not before five minutes");
    shop.later(MINUTE + Duration::from_secs(1)).await;
    assert_eq!(shop.notes().len(), 1, "after five minutes");
    assert!(shop.notes()[0].starts_with("WhatsApp no acepta mensajes en este momento."));
    let second = shop.says("dos").await;
    shop.waits(180).await;
    assert_eq!(shop.notes().len(), 1, "one note, whatever it takes");
    assert_eq!((shop.mark(first).as_str(), shop.mark(second).as_str()), ("sent", "sent"), "nothing is wrong with them");

    shop.meta_is_back();
    shop.waits(16).await;
    assert_eq!(shop.ana.heard(), ["uno", "dos"]);
    assert_eq!(shop.notes()[1..], ["Ya se puede enviar otra vez por WhatsApp: lo que esperaba está saliendo."]);
    assert!(shop.world.dead_letters("outbound").is_empty());

    shop.world.meta.server().refuse().await;
    shop.says("tres").await;
    shop.waits(10).await;
    assert_eq!(shop.notes().len(), 3, "the next outage is news again");
}

#[tokio::test]
async fn one_customers_trouble_holds_up_no_other() {
    let shop = OpenChat::open().await;
    let beto = shop.world.meta.customer("Beto", "5215555550199");
    beto.writes("buenas").await.unwrap();
    shop.world.work().await.unwrap();
    // Ana's conversation cannot be read; Beto's can.
    let path = format!("/conversations/{}/messages", shop.conversation);
    shop.world.chatwoot.faults().add(Fault { times: None, ..every("GET", &path, &proxy_page(502), 1) });
    shop.says("para Ana").await;
    shop.sofia.replies(shop.world.conversation("Beto").unwrap(), "para Beto").await;
    shop.world.work().await.unwrap();
    assert_eq!((shop.ana.heard(), beto.heard()), (vec![], vec!["para Beto".to_owned()]));
    shop.world.chatwoot.faults().clear();
    shop.waits(2).await;
    assert_eq!(shop.ana.heard(), ["para Ana"]);
}

#[tokio::test]
async fn a_window_that_closes_while_meta_is_out_of_reach_is_said_in_words() {
    let shop = OpenChat::open().await;
    shop.world.pass(23 * HOUR);
    shop.world.meta.server().refuse().await;
    let message = shop.says("Buenas").await;
    shop.waits(59).await;
    assert_eq!(shop.mark(message), "sent", "it still waits");
    shop.waits(16).await;
    assert_eq!(shop.mark(message), "No entregado: pasaron más de 24 h desde su último mensaje; usa una plantilla.");
    shop.meta_is_back();
    shop.waits(30).await;
    assert!(shop.ana.heard().is_empty());
}

#[tokio::test]
async fn after_a_day_of_trying_the_agent_decides() {
    let shop = OpenChat::open().await;
    shop.world.meta.server().refuse().await;
    let message = shop.says("Buenas").await;
    for hour in 1..=25 {
        if hour % 8 == 0 {
            shop.ana.writes("¿hola?").await.unwrap();
        }
        for _ in 0..4 {
            shop.later(15 * MINUTE).await;
        }
        let waits = shop.mark(message) == "sent";
        assert!(waits || hour >= 24, "given up after {hour} h: {}", shop.mark(message));
    }
    assert_eq!(shop.mark(message), "No entregado: WhatsApp no estuvo disponible a tiempo; pulsa Reintentar.");
    shop.meta_is_back();
    shop.waits(30).await;
    assert!(shop.ana.heard().is_empty(), "not by itself");
    shop.retries(message).await;
    assert_eq!(shop.ana.heard(), ["Buenas"]);
}

#[tokio::test]
async fn a_send_that_hangs_is_unconfirmed_and_never_repeated() {
    let shop = OpenChat::open().await;
    shop.meta_will(Effect::HangAfter, 1);
    let message = shop.says("Buenas").await;
    shop.waits(10).await;
    assert_eq!(shop.ana.heard(), ["Buenas"]);
    assert!(shop.mark(message).starts_with(UNCONFIRMED), "{}", shop.mark(message));
}

#[tokio::test]
async fn that_it_is_over_is_told_once_even_if_chatwoot_loses_the_answer() {
    let shop = OpenChat::open().await;
    shop.world.meta.server().refuse().await;
    shop.says("uno").await;
    shop.waits(6).await;
    assert_eq!(shop.notes().len(), 1);
    shop.meta_is_back();
    // The note is written, and nobody hears of it; then the next answer goes out.
    let notes = format!("/conversations/{}/messages", shop.conversation);
    shop.world.chatwoot.faults().add(every("POST", &notes, &Effect::DropAfter, 1));
    shop.waits(6).await;
    assert_eq!(shop.ana.heard(), ["uno"]);
    shop.says("dos").await;
    assert_eq!((shop.ana.heard().len(), shop.notes().len()), (2, 2), "{:?}", shop.notes());
}
