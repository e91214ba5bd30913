//! What bots and automations send beside words: buttons and lists where WhatsApp has them, text where it has not, and the
//! customer's tap as the agent reads it.

use serde_json::{Value, json};
use simulator_wire::Effect;

use crate::open_chat::{OpenChat, refuses};

fn choices(titles: &[&str]) -> Value {
    titles.iter().enumerate().map(|(at, title)| json!({ "title": title, "value": format!("v{at}") })).collect()
}

impl OpenChat {
    /// A bot sends this, and the bridge works.
    async fn bot_sends(&self, text: &str, content_type: &str, items: Value) -> i64 {
        let text = Some(text).filter(|text| !text.is_empty());
        let message = self.sofia.sends_rich(self.conversation, text, content_type, items).await;
        self.world.work().await.unwrap();
        message
    }

    /// Ana taps on the last message, and the bridge works.
    async fn ana_taps(&self, title: &str) -> simulator_chatwoot::MessageView {
        let wamid = self.ana.phone().pop().unwrap().wamid;
        self.ana.taps(&wamid, title).await.unwrap();
        self.world.work().await.unwrap();
        self.world.chatwoot.messages(self.conversation).pop().unwrap()
    }
}

#[tokio::test]
async fn up_to_three_short_choices_are_buttons_and_a_tap_quotes_the_question() {
    let shop = OpenChat::open().await;
    let question = shop.bot_sends("¿Cómo **paga**?", "input_select", choices(&["Contado", "Crédito", "No sé"])).await;
    let got = shop.ana.phone().pop().unwrap();
    assert_eq!((got.kind.as_str(), got.options.len(), got.options[0].in_list), ("interactive", 3, false));
    assert_eq!(got.text, "¿Cómo *paga*?\n[Contado]\n[Crédito]\n[No sé]");
    assert_eq!(shop.mark(question), "sent");

    let answer = shop.ana_taps("Crédito").await;
    assert_eq!(answer.content, "Eligió: Crédito");
    assert_eq!((answer.message_type.as_str(), answer.in_reply_to), ("incoming", Some(question)));
}

#[tokio::test]
async fn up_to_ten_are_a_list_and_a_row_is_read_like_a_button() {
    let shop = OpenChat::open().await;
    let titles: Vec<String> = (1..=10).map(|n| format!("Modelo número {n:02} con {n:02}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let question = shop.bot_sends("", "input_select", choices(&titles)).await;
    let got = shop.ana.phone().pop().unwrap();
    assert_eq!((got.kind.as_str(), got.options.len(), got.options[0].in_list), ("interactive", 10, true));
    assert!(got.text.starts_with("Elige una opción:\n[Ver opciones]\n- Modelo"), "{}", got.text);
    let answer = shop.ana_taps(titles[9]).await;
    assert_eq!((answer.content, answer.in_reply_to), (format!("Eligió: {}", titles[9]), Some(question)));
}

#[tokio::test]
async fn what_fits_neither_is_numbered_and_loses_no_word() {
    let shop = OpenChat::open().await;
    let eleven: Vec<String> = (1..=11).map(|n| format!("Modelo {n}")).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    let long = "Motocicleta deportiva de 250 cc";
    let question = "¿Cuál le interesa? ".repeat(70);
    for (text, titles) in
        [("¿Cuál?", &eleven[..]), ("¿Cuál?", &[long]), ("¿Cuál?", &["Roja", "Roja"]), (&question, &["Roja"])]
    {
        let message = shop.bot_sends(text, "input_select", choices(titles)).await;
        let got = shop.ana.phone().pop().unwrap();
        let lines: Vec<String> = titles.iter().enumerate().map(|(at, title)| format!("{}. {title}", at + 1)).collect();
        assert_eq!((got.kind.as_str(), got.text), ("text", format!("{}\n{}", text.trim(), lines.join("\n"))));
        assert_eq!(shop.mark(message), "sent");
    }
}

#[tokio::test]
async fn the_choices_of_a_flow_builder_are_taken_whatever_they_are() {
    let shop = OpenChat::open().await;
    let odd = json!([{ "title": " Sí\n claro ", "value": " x " }, { "title": "No", "value": "y".repeat(300) }, { "value": "z" }]);
    let message = shop.bot_sends("¿Va?", "input_select", odd).await;
    assert_eq!(shop.ana.heard(), ["¿Va?\n[Sí claro]\n[No]"]);
    assert_eq!(shop.mark(message), "sent");
    assert_eq!(shop.ana_taps("No").await.content, "Eligió: No");
}

#[tokio::test]
async fn cards_forms_and_articles_are_readable_text() {
    let shop = OpenChat::open().await;
    let card = json!([{ "title": "RX150", "description": "La azul", "media_url": "https://motos.example/rx.png",
        "actions": [{ "type": "link", "text": "Ver", "uri": "https://motos.example/rx" },
                    { "type": "postback", "text": "La quiero", "payload": "rx" }] }]);
    shop.bot_sends("Mira:", "cards", card).await;
    let form = json!([{ "name": "correo", "label": "Tu correo", "type": "email" },
        { "name": "pago", "label": "Pago", "type": "select", "options": [{ "label": "Contado", "value": "1" }] }]);
    shop.bot_sends("Tus datos", "form", form).await;
    let article = json!([{ "title": "Garantía", "description": "Dos años", "link": "https://motos.example/g" }]);
    shop.bot_sends("", "article", article).await;
    assert_eq!(
        shop.ana.heard(),
        [
            "Mira:\n\n*RX150*\nLa azul\nhttps://motos.example/rx.png\nVer: https://motos.example/rx\n• La quiero",
            "Tus datos\n• Tu correo\n• Pago (Contado)",
            "*Garantía*\nDos años\nhttps://motos.example/g",
        ]
    );
    assert!(shop.ana.received().iter().all(|bubble| bubble.kind == "text"));
}

#[tokio::test]
async fn a_bots_token_asks_as_an_agent_does() {
    let shop = OpenChat::open().await;
    let body = json!({ "content": "¿Va?", "message_type": "outgoing", "content_type": "input_select",
        "content_attributes": { "items": [{ "title": "Sí", "value": "si" }] } });
    let path = format!("/conversations/{}/messages", shop.conversation);
    assert_eq!(shop.calls_chatwoot(&path, &body).await, 200);
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.heard(), ["¿Va?\n[Sí]"]);
    // Chatwoot itself refuses what it does not know.
    let body = json!({ "content_type": "input_select", "content_attributes": { "items": [{ "name": "Sí" }] } });
    assert_eq!(shop.calls_chatwoot(&path, &body).await, 422);
}

#[tokio::test]
async fn buttons_fail_in_words_wait_and_are_retried_as_any_part() {
    let shop = OpenChat::open().await;
    for newer in [true, false] {
        shop.world.chatwoot.retry_like_newer_versions(newer);
        shop.meta_will(refuses(400, 131_009), 1);
        let refused = shop.bot_sends("¿Va?", "input_select", choices(&["Sí"])).await;
        assert!(shop.mark(refused).starts_with("No entregado"), "{}", shop.mark(refused));
        shop.retries(refused).await;
        // Up to 4.15 Retry takes the choices off the message.
        let expected = if newer { "sent" } else { "No entregado: al reintentar, Chatwoot quitó las opciones" };
        assert!(shop.mark(refused).starts_with(expected), "{}", shop.mark(refused));
        assert_eq!(shop.ana.heard(), ["¿Va?\n[Sí]"]);
    }

    shop.meta_will(Effect::HangBefore, 1);
    let unsure = shop.bot_sends("¿Y hoy?", "input_select", choices(&["Sí"])).await;
    assert!(shop.mark(unsure).starts_with(crate::open_chat::UNCONFIRMED), "{}", shop.mark(unsure));
    assert_eq!(shop.ana.heard().len(), 1);
}

#[tokio::test]
async fn a_link_with_coordinates_alone_is_a_place_and_a_customers_place_can_be_passed_on() {
    let shop = OpenChat::open().await;
    shop.says("geo:19.432608,-99.133209").await;
    shop.ana.sends_location(20.5, -100.25, Some("Taller *Salas*")).await.unwrap();
    shop.world.work().await.unwrap();
    let read = shop.world.chatwoot.messages(shop.conversation).pop().unwrap().content;
    shop.says(&read).await;
    shop.says("Estamos en https://maps.google.com/?q=19.4,-99.1").await;
    let phone: Vec<(String, String)> = shop.ana.received().into_iter().map(|b| (b.kind, b.text)).collect();
    let phone: Vec<(&str, &str)> = phone.iter().map(|(kind, text)| (kind.as_str(), text.as_str())).collect();
    assert_eq!(
        phone,
        [
            ("location", "19.432608,-99.133209"),
            ("location", "20.5,-100.25 · Taller *Salas*"),
            ("text", "Estamos en https://maps.google.com/?q=19.4,-99.1"),
        ]
    );
}

#[tokio::test]
async fn a_place_with_a_very_long_name_is_read_and_passed_on_whole_or_refused_by_its_member() {
    let shop = OpenChat::open().await;
    let name = "Refaccionaría «La Güera» 🏍️ de Álvaro Obregón, ".repeat(8) + "local 7";
    assert!(name.chars().count() > 255 && name.len() > 400);
    shop.ana.sends_location(20.5, -100.25, Some(&name)).await.unwrap();
    shop.world.work().await.unwrap();
    let read = shop.world.chatwoot.messages(shop.conversation).pop().unwrap().content;
    assert_eq!(read, format!("📍 Ubicación\n{name}\nhttps://maps.google.com/?q=20.5,-100.25"));
    let passed = shop.says(&read).await;
    let got = shop.ana.phone().pop().unwrap();
    assert_eq!((got.kind.as_str(), got.text), ("location", format!("20.5,-100.25 · {name}")));
    assert_eq!(shop.mark(passed), "sent");
    // Meta names no limit. If it has one, the agent reads what was too long.
    let details = "Param location['name'] is too long";
    let refusal = json!({ "error": { "code": 131_009, "message": "(#131009) Parameter value is not valid",
        "error_data": { "messaging_product": "whatsapp", "details": details } } });
    let answer = Effect::Answer { status: 400, content_type: "application/json".to_owned(), body: refusal.to_string() };
    shop.meta_will(answer, 1);
    let refused = shop.says(&read).await;
    let mark = shop.mark(refused);
    assert!(mark.starts_with("No entregado: ") && mark.contains("(location.name)"), "{mark}");
}
