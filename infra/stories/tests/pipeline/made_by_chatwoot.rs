//! Every kind of message that Chatwoot can make, by its name: it goes the whole way to the phone, or is refused in words, or is
//! meant for nobody outside. A kind that is not named here fails these stories.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulator_chatwoot::{CONTENT_TYPES, MessageView, Role, Rule, RuleAction};
use stories::ACCOUNT;

use crate::open_chat::{OpenChat, call};

/// What becomes of a kind.
#[derive(Clone, Copy, Debug, PartialEq)]
enum OnThePhone {
    /// The phone shows this; `{survey}` stands for the survey's page.
    Shown(&'static str),
    /// The message is red, with these words in it.
    Red(&'static str),
}

/// What a message of each content type holds here, beside its words, and what becomes of it.
fn content(kind: &str) -> (Value, OnThePhone) {
    use OnThePhone::{Red, Shown};
    let items = |items: Value| json!({ "items": items });
    match kind {
        // Plain words, whatever widget of the web chat they were meant for.
        "text" | "input_text" | "input_textarea" | "input_email" | "incoming_email" | "sticker" | "voice_call" => {
            (json!({}), Shown("¿Va?"))
        }
        "input_select" => (items(json!([{ "title": "Sí", "value": "1" }])), Shown("¿Va?\n[Sí]")),
        "cards" => {
            let action = json!([{ "type": "postback", "text": "La quiero", "payload": "rx" }]);
            (items(json!([{ "title": "RX", "actions": action }])), Shown("¿Va?\n\n*RX*\n• La quiero"))
        }
        "form" => (items(json!([{ "name": "n", "label": "Correo", "type": "email" }])), Shown("¿Va?\n• Correo")),
        "article" => {
            let page = json!([{ "title": "Garantía", "description": "Dos años", "link": "https://m.example/g" }]);
            (items(page), Shown("¿Va?\n\n*Garantía*\nDos años\nhttps://m.example/g"))
        }
        "input_csat" => (json!({ "display_type": "emoji" }), Shown("¿Va? {survey}")),
        "integrations" => (json!({ "type": "dyte", "data": { "meeting_id": "x" } }), Red("videollamada")),
        other => panic!("{other} is not in this list: say what becomes of it"),
    }
}

/// Who can write it: by an agent's token, a bot's, or in the name of a campaign.
#[derive(Clone, Copy, Debug)]
enum Writer {
    Agent,
    Bot,
    Campaign,
}

impl OpenChat {
    async fn writes_as(&self, writer: Writer, kind: &str, attributes: &Value, private: bool) -> MessageView {
        let (name, role) = match writer {
            Writer::Bot => ("Autómata", Role::Bot),
            Writer::Agent | Writer::Campaign => ("Sofía", Role::Agent),
        };
        let token = self.world.chatwoot.token(name, role);
        let mut body = json!({ "content": "¿Va?", "message_type": "outgoing", "content_type": kind,
            "content_attributes": attributes, "private": private });
        if matches!(writer, Writer::Campaign) {
            body["campaign_id"] = json!(7);
        }
        let path = format!("/api/v1/accounts/{ACCOUNT}/conversations/{}/messages", self.conversation);
        let headers = [("api_access_token", token.as_str()), ("content-type", "application/json")];
        let (status, answer) =
            call("POST", &self.world.chatwoot.url(), &path, &headers, body.to_string().as_bytes()).await;
        assert_eq!(status, 200, "{writer:?} {kind}: {answer}");
        self.world.work().await.unwrap();
        self.later(std::time::Duration::from_secs(90)).await;
        let id = serde_json::from_str::<Value>(&answer).unwrap()["id"].as_i64().unwrap();
        self.message(id)
    }
}

#[tokio::test]
async fn each_content_type_of_each_writer_is_shown_or_refused_in_words() {
    for kind in CONTENT_TYPES {
        let (attributes, fate) = content(kind);
        let shop = OpenChat::open().await;
        let mut heard = 0;
        for writer in [Writer::Agent, Writer::Bot, Writer::Campaign] {
            let row = shop.reads_chatwoot(&format!("/conversations/{}", shop.conversation)).await;
            let survey = format!("{}/survey/responses/{}", shop.world.chatwoot.url(), row["uuid"].as_str().unwrap());
            let message = shop.writes_as(writer, kind, &attributes, false).await;
            match fate {
                OnThePhone::Shown(text) => {
                    heard += 1;
                    let expected = text.replace("{survey}", &survey);
                    assert_eq!(shop.ana.heard().pop(), Some(expected), "{writer:?} {kind}");
                    assert_eq!(message.status, "sent", "{writer:?} {kind}");
                }
                OnThePhone::Red(words) => {
                    let mark = shop.mark(message.id);
                    assert!(mark.starts_with("No entregado: ") && mark.contains(words), "{writer:?} {kind}: {mark}");
                }
            }
            // As a note it is for agents, whatever it holds.
            shop.writes_as(writer, kind, &attributes, true).await;
            assert_eq!(shop.ana.received().len(), heard, "a note of {writer:?}: {kind}");
        }
    }
}

/// Which of Chatwoot's ways to make a message this one came by, as its row tells it.
fn way(message: &MessageView) -> &'static str {
    let by_rule = message.content_attributes.contains_key("automation_rule_id");
    let campaign = message.additional_attributes.contains_key("campaign_id");
    let template = message.additional_attributes.contains_key("template_params");
    let ours = message.source_id.is_some();
    match (message.message_type.as_str(), message.private, message.sender.as_deref()) {
        ("incoming", false, Some(_)) => "customer",
        ("activity", false, _) => "line",
        ("template", false, None) if message.content_type == "input_csat" => "survey",
        ("template", false, None) => "greeting",
        ("outgoing", private, None) if by_rule => {
            if private {
                "rule's note"
            } else {
                "rule"
            }
        }
        ("outgoing", true, _) if ours => "bridge's note",
        ("outgoing", true, Some("Autómata")) => "bot's note",
        ("outgoing", true, Some(_)) => "note or macro",
        ("outgoing", false, Some(_)) if campaign => "campaign",
        ("outgoing", false, Some(_)) if template => "template",
        ("outgoing", false, Some("Autómata")) => "bot",
        ("outgoing", false, Some(_)) if message.content_attributes.contains_key("external_echo") => "echo",
        ("outgoing", false, Some(_)) => "agent",
        other => panic!("{other:?} is no way that this list names: {message:?}"),
    }
}

/// Each way, and what the phone shows of it.
const WAYS: [(&str, Option<&str>); 14] = [
    ("customer", None),
    ("line", None),
    ("note or macro", None),
    ("bot's note", None),
    ("rule's note", None),
    ("bridge's note", None),
    ("echo", None),
    ("agent", Some("de Sofía")),
    ("bot", Some("¿Va?")),
    ("campaign", Some("¿Va?")),
    ("rule", Some("de la regla")),
    ("template", Some("Su ficha")),
    ("greeting", Some("¡Bienvenida!")),
    ("survey", Some("¿Qué tal?")),
];

#[tokio::test]
async fn each_way_of_making_a_message_is_named_and_only_what_is_for_the_customer_reaches_her() {
    let shop = OpenChat::open().await;
    let offer = crate::templates::template("ficha", "UTILITY", &json!([crate::templates::body("Su ficha")]));
    shop.offers(vec![offer]).await;
    shop.surveys(Some("¿Qué tal?")).await;
    greets(&shop).await;
    // A second customer, whose first message is greeted.
    let berta = crate::fixtures::berta(&shop.world);
    berta.writes("buenas").await.unwrap();
    shop.world.work().await.unwrap();
    let hers = shop.world.conversation("Berta").unwrap();
    shop.sofia.replies(hers, "de Sofía").await;
    shop.sofia.runs_macro(hers, &["revisado", "/estado"]).await;
    shop.world.work().await.unwrap();
    let at = |actions| Rule { contains: "regla".to_owned(), message_type: Some("incoming".to_owned()), actions };
    let says = RuleAction::SendMessage("de la regla".to_owned());
    shop.world.chatwoot.add_rule(at(vec![says, RuleAction::AddPrivateNote("nota de la regla".to_owned())]));
    berta.writes("la regla").await.unwrap();
    shop.world.work().await.unwrap();
    shop.world.chatwoot.clear_automation();
    let hers = OpenChat { conversation: hers, ana: berta, ..shop };
    for (writer, private) in [(Writer::Bot, false), (Writer::Bot, true), (Writer::Campaign, false)] {
        hers.writes_as(writer, "text", &json!({}), private).await;
    }
    hers.picks("ficha", &json!({}), "Su ficha").await;
    let members = json!({"type": "text", "text": {"body": "desde el celular"}, "to": "5215555550124"});
    crate::fixtures::post(&hers.world, &crate::echoes::echo("smb_message_echoes", "wamid.e1", &members)).await;
    hers.world.work().await.unwrap();
    hers.sofia.resolves(hers.conversation).await;
    hers.world.work().await.unwrap();

    let standing = hers.world.chatwoot.messages(hers.conversation);
    let seen: BTreeSet<&str> = standing.iter().map(way).collect();
    assert_eq!(seen, WAYS.iter().map(|(name, _)| *name).collect(), "{standing:#?}");
    let heard = hers.ana.heard();
    let shown = standing.iter().filter(|message| WAYS.iter().any(|(name, on)| *name == way(message) && on.is_some()));
    assert_eq!(heard.len(), shown.count(), "{heard:?}");
    for (name, text) in WAYS {
        if let Some(text) = text {
            assert!(heard.iter().any(|line| line.starts_with(text)), "{name}: {heard:?}");
        }
    }
}

/// The inbox greets whoever writes first.
pub(crate) async fn greets(shop: &OpenChat) {
    let token = shop.world.chatwoot.token("Admin", Role::Administrator);
    let headers = [("api_access_token", token.as_str()), ("content-type", "application/json")];
    let path = format!("/api/v1/accounts/{ACCOUNT}/inboxes/14");
    let body = json!({ "greeting_enabled": true, "greeting_message": "¡Bienvenida!" }).to_string();
    let (status, answer) = call("PATCH", &shop.world.chatwoot.url(), &path, &headers, body.as_bytes()).await;
    assert_eq!(status, 200, "{answer}");
}
