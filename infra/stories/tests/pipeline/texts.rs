//! What an agent writes, as text: marks, line ends, links, length. And that notes stay among agents.

use serde_json::json;

use crate::open_chat::OpenChat;

impl OpenChat {
    fn sent(&self) -> Vec<serde_json::Value> {
        self.world.meta.requests().into_iter().map(|request| request.body).collect()
    }
}

#[tokio::test]
async fn a_long_text_arrives_in_order_and_quotes_once() {
    let shop = OpenChat::open().await;
    let asked = shop.world.chatwoot.messages(shop.conversation)[0].id;
    let line = |n: usize| format!("Línea {n}: **la moto número {n} está lista** y _se entrega_ mañana 🇲🇽.");
    let text = (0..200).map(line).collect::<Vec<_>>().join("\n\n");
    let message = shop.sofia.quotes(shop.conversation, asked, &text).await;
    shop.world.work().await.unwrap();

    let heard = shop.ana.heard();
    assert!(heard.len() > 2 && heard.iter().all(|part| part.encode_utf16().count() <= 4096), "{}", heard.len());
    let lines: Vec<_> = heard.iter().flat_map(|part| part.split("\n\n")).collect();
    let meant: Vec<_> = (0..200).map(line).map(|line| line.replace("**", "*")).collect();
    assert_eq!(lines, meant);
    let quotes: Vec<_> = shop.sent().iter().map(|body| body.get("context").is_some()).collect();
    assert_eq!(quotes, [vec![true], vec![false; heard.len() - 1]].concat());
    assert_eq!(shop.mark(message), "sent");
}

#[tokio::test]
async fn one_paragraph_longer_than_a_message_stays_bold_in_every_part() {
    let shop = OpenChat::open().await;
    let text = format!("**{}**", "oferta especial ".repeat(500).trim());
    shop.says(&text).await;
    let heard = shop.ana.heard();
    assert_eq!(heard.len(), 2);
    let inside = |part: &String| part.strip_prefix('*').and_then(|part| part.strip_suffix('*')).map(str::to_owned);
    let inside: Option<Vec<_>> = heard.iter().map(inside).collect();
    assert_eq!(inside.unwrap().join(" "), "oferta especial ".repeat(500).trim());
}

#[tokio::test]
async fn what_the_composer_escapes_and_breaks_arrives_as_it_was_typed() {
    let shop = OpenChat::open().await;
    shop.says("Hola\\\nson 5\\*3, modelo RX\\_150\\\n").await;
    shop.says("**Precio:** [la ficha](https://lmotos.mx/_f_)").await;
    shop.says("www.lmotos.mx").await;
    assert_eq!(
        shop.ana.heard(),
        ["Hola\nson 5*3, modelo RX_150", "*Precio:* la ficha (https://lmotos.mx/_f_)", "www.lmotos.mx"]
    );
    let previews: Vec<_> = shop.sent().iter().map(|body| body["text"]["preview_url"].clone()).collect();
    assert_eq!(previews, [json!(false), json!(true), json!(false)], "Meta previews addresses with a scheme");
}

#[tokio::test]
async fn what_is_no_style_of_whatsapps_arrives_to_the_byte() {
    let shop = OpenChat::open().await;
    let typed = [
        "    $25,000\n   -$3,000",
        "\tTotal",
        "```Total: 500\nIVA: 80\n```",
        "```hola\nmundo```",
        ">>> OFERTA <<<",
        "Código\n#\n12",
        "# 12345 #",
        "##",
        "*",
        "    # 250Z\n    | roja",
        "*``*",
        "1) a\n+ b\n* c",
        "- uno\n\n  más",
    ];
    for text in typed {
        shop.says(text).await;
    }
    shop.says("\n \n  Hola\n ").await;
    shop.says("Cita [lunes](9:30)").await;
    let meant = [&typed[..], &["  Hola", "Cita lunes (9:30)"]].concat();
    assert_eq!(shop.ana.heard(), meant);
}

#[tokio::test]
async fn notes_stay_among_agents_whatever_they_look_like() {
    let shop = OpenChat::open().await;
    for note in ["descuento 10 %", "/estado", "/nada", "**ojo** https://lmotos.mx", &"largo ".repeat(1500)] {
        shop.sofia.notes(shop.conversation, note).await;
        shop.world.work().await.unwrap();
    }
    shop.reconciles().await;
    assert!(shop.ana.heard().is_empty() && shop.world.meta.requests().is_empty());
}
