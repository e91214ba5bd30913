//! Stories about who is told: by new conversations, assignments, messages, notes and mentions.

use serde_json::json;
use simulator_chatwoot::{Chatwoot, Role};

use crate::support::{INBOX, Rig};

/// User and kind of what was told since the last look.
struct Bell {
    chatwoot: Chatwoot,
    seen: usize,
}

impl Bell {
    fn new(rig: &Rig) -> Self {
        Self { chatwoot: rig.chatwoot.clone(), seen: rig.chatwoot.notifications().len() }
    }

    fn rings(&mut self) -> Vec<(String, &'static str)> {
        let all = self.chatwoot.notifications();
        let new = all[self.seen..].iter().map(|one| (one.user.clone(), one.kind)).collect();
        self.seen = all.len();
        new
    }
}

fn told(user: &str, kind: &'static str) -> (String, &'static str) {
    (user.to_owned(), kind)
}

const ASSIGNED: &str = "assigned_conversation_new_message";
const TAKES_PART: &str = "participating_conversation_new_message";

#[tokio::test]
async fn a_new_conversation_is_told_to_its_inbox_unless_it_is_pending() {
    let mut rig = Rig::start().await;
    let (_sofia, _luz) = (rig.chatwoot.agent("Sofía"), rig.chatwoot.agent("Luz"));
    let mut bell = Bell::new(&rig);
    let ana = rig.contact("Ana", "ana").await;
    let body = |status: &str| json!({ "inbox_id": INBOX, "contact_id": ana, "source_id": "ana", "status": status });
    let everybody = ["Puente WhatsApp", "Sofía", "Luz"].map(|name| told(name, "conversation_creation"));
    for status in ["open", "resolved"] {
        rig.made("/conversations", body(status)).await;
        assert_eq!(bell.rings(), everybody, "{status}");
    }
    let quiet = rig.made("/conversations", body("pending")).await["id"].as_i64().unwrap();
    rig.message(quiet, json!({ "content": "nota", "private": true })).await;
    for status in ["resolved", "open", "pending", "open"] {
        rig.made(&format!("/conversations/{quiet}/toggle_status"), json!({ "status": status })).await;
    }
    assert_eq!(bell.rings(), [], "an administrator may do all that");
    assert_eq!(rig.chatwoot.resolutions(quiet), 1);
    rig.made(&format!("/conversations/{quiet}/toggle_status"), json!({ "status": "pending" })).await;
    rig.token = rig.chatwoot.token("Bot", Role::Bot);
    rig.made(&format!("/conversations/{quiet}/toggle_status"), json!({ "status": "open" })).await;
    assert_eq!(bell.rings(), everybody, "a bot hands over");
}

#[tokio::test]
async fn messages_and_notes_are_told_to_the_assignee_and_to_those_who_take_part() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let (sofia, luz) = (rig.chatwoot.agent("Sofía"), rig.chatwoot.agent("Luz"));
    let mut bell = Bell::new(&rig);
    rig.incoming(conversation, "hola", "wamid.1").await;
    rig.message(conversation, json!({ "content": "nota", "private": true })).await;
    assert_eq!(bell.rings(), [], "it is nobody's");
    sofia.takes(conversation).await;
    assert_eq!(bell.rings(), [], "she did it herself");
    rig.incoming(conversation, "¿hola?", "wamid.2").await;
    rig.message(conversation, json!({ "content": "nota", "private": true })).await;
    rig.message(conversation, json!({ "content": "eco", "content_attributes": { "external_echo": true } })).await;
    assert_eq!(bell.rings(), [told("Sofía", ASSIGNED), told("Sofía", ASSIGNED), told("Sofía", ASSIGNED)]);
    rig.message(conversation, json!({ "content": "línea", "message_type": "activity" })).await;
    rig.message(conversation, json!({ "content": "plantilla", "message_type": "template" })).await;
    sofia.replies(conversation, "dígame").await;
    assert_eq!(bell.rings(), [], "neither lines nor templates, nor what she wrote");
    luz.takes(conversation).await;
    rig.incoming(conversation, "gracias", "wamid.3").await;
    assert_eq!(bell.rings(), [told("Luz", ASSIGNED), told("Sofía", TAKES_PART)]);
    rig.made(&format!("/conversations/{conversation}/assignments"), json!({ "assignee_id": null })).await;
    rig.incoming(conversation, "¿siguen?", "wamid.4").await;
    assert_eq!(bell.rings(), [told("Sofía", TAKES_PART), told("Luz", TAKES_PART)], "they still take part");
    rig.chatwoot.agent("Mara").blocks(rig.chatwoot.contacts()[0].id).await;
    rig.incoming(conversation, "¡oigan!", "wamid.5").await;
    assert_eq!(bell.rings(), [], "she is blocked");
}

#[tokio::test]
async fn a_note_that_mentions_an_agent_makes_them_take_part() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    let (sofia, _luz) = (rig.chatwoot.agent("Sofía"), rig.chatwoot.agent("Luz"));
    let mut bell = Bell::new(&rig);
    let agents = rig.get("/agents").await.json();
    let luz = agents.as_array().unwrap().iter().find(|agent| agent["name"] == "Luz").unwrap()["id"].as_i64().unwrap();
    let mention = format!("[@Luz](mention://user/{luz}/Luz) y [@nadie](mention://user/9999/nadie)");
    sofia.replies(conversation, &mention).await;
    assert_eq!(bell.rings(), [], "only notes mention");
    sofia.notes(conversation, &mention).await;
    assert_eq!(bell.rings(), [told("Luz", "conversation_mention")]);
    rig.incoming(conversation, "hola", "wamid.1").await;
    assert_eq!(bell.rings(), [told("Luz", TAKES_PART)]);
}
