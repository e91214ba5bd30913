//! News of people who never wrote: they become no contact and get no conversation, and each such event has its fate.

use serde_json::{Value, json};
use stories::{CHANNEL, World};

use crate::{
    fixtures::{body, calls, columns, profile, sheet},
    identity::{ANA, AT, NEW, OLD, arrives, from, system},
};

fn preference(value: &str) -> Value {
    let wish = json!({"wa_id": OLD, "user_id": ANA, "category": "marketing_messages", "value": value, "timestamp": AT});
    body("user_preferences", &json!({"contacts": [profile("Ana", OLD)], "user_preferences": [wish]}))
}

fn user_id_update() -> Value {
    let update = json!({"wa_id": OLD, "user_id": {"previous": ANA, "current": "MX.2"}, "timestamp": AT.to_string()});
    body("user_id_update", &json!({"contacts": [profile("Ana", OLD)], "user_id_update": [update]}))
}

fn handover() -> Value {
    let passed = json!({"previous_owner_role": "ai_agent", "new_owner_role": "escalation"});
    body(
        "messaging_handovers",
        &json!({"sender": {"phone_number": OLD}, "type": "control_passed",
        "control_passed": passed, "timestamp": AT.to_string()}),
    )
}

fn changes(of: &str) -> Value {
    let what = match of {
        "number" => json!({"body": "x", "wa_id": NEW, "type": "user_changed_number"}),
        "legacy" => json!({"body": "x", "new_wa_id": NEW, "type": "customer_changed_number"}),
        "user" => json!({"body": "x", "user_id": "MX.2", "previous_user_id": ANA, "type": "user_changed_user_id"}),
        "identity" => json!({"body": "x", "type": "customer_identity_changed"}),
        "unsaid" => json!({"body": "x"}),
        "nothing" => Value::Null,
        _ => json!({"body": "x", "type": "something_new"}),
    };
    system(&json!({"from": OLD, "from_user_id": ANA}), &format!("wamid.{of}"), AT, &what)
}

/// Each kind of news.
fn all() -> Vec<Value> {
    let systems = ["number", "legacy", "user", "identity", "new", "unsaid", "nothing"].map(changes);
    let others = [preference("stop"), preference("resume"), preference("signup"), user_id_update(), handover()];
    systems.into_iter().chain(others).collect()
}

#[tokio::test]
async fn news_of_somebody_who_never_wrote_opens_nothing_and_is_counted() {
    for news in all() {
        let world = World::start().await.unwrap();
        arrives(&world, &news).await;
        assert_eq!((world.chatwoot.contacts().len(), world.chatwoot.conversations().len()), (0, 0), "{news}");
        assert_eq!(calls(&world, "POST", "/"), 0, "{news}");
        assert!(world.dead_letters("inbound").is_empty() && world.queued("inbound") == 0, "{news}");
        let sheet = sheet(&world, CHANNEL).await;
        let fates = [columns(&[("done", 1), ("received", 1)]), columns(&[("received", 1), ("refused_never_wrote", 1)])];
        assert!(fates.contains(&sheet), "{news}: {sheet:?}");
        // Once they write, they are a customer like any other.
        arrives(&world, &from(Some(OLD), Some(ANA), "wamid.1", AT - 1, "hola")).await;
        assert_eq!((world.chatwoot.contacts().len(), world.chatwoot.conversations().len()), (1, 1), "{news}");
    }
}

#[tokio::test]
async fn news_of_a_customer_is_a_grey_line_that_hides_nobodys_words() {
    for news in all() {
        let world = World::start().await.unwrap();
        arrives(&world, &from(Some(OLD), Some(ANA), "wamid.1", AT - 1, "hola")).await;
        arrives(&world, &news).await;
        let conversation = world.chatwoot.conversations()[0].id;
        let shown = world.chatwoot.messages(conversation);
        assert_eq!(shown.len(), 2, "{news}");
        assert_eq!((shown[1].message_type.as_str(), shown[1].private), ("activity", false), "{news}");
        // What the list of conversations shows under the name.
        let last = shown.iter().rev().find(|message| message.message_type != "activity").unwrap();
        assert_eq!(last.content, "hola", "{news}");
        assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 2), ("received", 2)]), "{news}");
    }
}

#[tokio::test]
async fn where_the_conversation_is_gone_news_opens_no_other() {
    let world = World::start().await.unwrap();
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.1", AT - 1, "hola")).await;
    let conversation = world.chatwoot.conversations()[0].id;
    world.chatwoot.agent("Sofía").deletes_conversation(conversation).await;
    arrives(&world, &preference("stop")).await;
    assert_eq!(world.chatwoot.conversations().len(), 0);
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 2), ("received", 2)]));
}

#[tokio::test]
async fn a_note_to_oneself_opens_no_chat_with_the_own_number() {
    let own = "525555550100";
    let world = World::start().await.unwrap();
    let said =
        json!({"from": own, "id": "wamid.1", "timestamp": AT.to_string(), "type": "text", "text": {"body": "llantas"}});
    arrives(&world, &body("messages", &json!({"contacts": [profile("Motos", own)], "messages": [said]}))).await;
    let mut echo = said.clone();
    (echo["id"], echo["to"]) = (json!("wamid.2"), json!("5215555550100"));
    arrives(&world, &body("smb_message_echoes", &json!({"message_echoes": [echo]}))).await;
    // Where only the contact's line tells who it was.
    let mut nameless = said.clone();
    (nameless["id"], nameless["from"]) = (json!("wamid.3"), Value::Null);
    arrives(&world, &body("messages", &json!({"contacts": [profile("Motos", own)], "messages": [nameless]}))).await;
    assert_eq!((world.chatwoot.contacts().len(), world.chatwoot.conversations().len()), (0, 0));
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("received", 3), ("refused_note_to_oneself", 3)]));
    // Where the body does not say which number it is, the channel does.
    let mut numberless = body("messages", &json!({"contacts": [profile("Motos", own)], "messages": [said]}));
    numberless["entry"][0]["changes"][0]["value"]["metadata"] = json!({"phone_number_id": CHANNEL});
    numberless["entry"][0]["changes"][0]["value"]["messages"][0]["id"] = json!("wamid.5");
    arrives(&world, &numberless).await;
    assert_eq!((world.chatwoot.contacts().len(), world.chatwoot.conversations().len()), (0, 0));
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("received", 4), ("refused_note_to_oneself", 4)]));
    // What the business wrote to a customer is an echo under whatever name it comes.
    let mut to_ana = said;
    (to_ana["id"], to_ana["to"]) = (json!("wamid.4"), json!(OLD));
    arrives(&world, &body("messages", &json!({"contacts": [profile("Ana", OLD)], "messages": [to_ana]}))).await;
    assert_eq!(world.agent_reads("Ana"), ["agent: llantas ✓"]);
}
