//! What Meta's answers and statuses tell of whom was written to.

use domain::{AccountId, Identity, UserId, WaId};
use serde_json::json;
use simulator_wire::Effect;
use store::CustomerStore;
use stories::{ACCOUNT, World};

use crate::{
    fixtures::{HOUR, MINUTE, body, goes_by, key, post, table},
    identity::{ANA, AT, NEW, OLD, answers, arrives, conversations, from},
    open_chat::at,
};

#[tokio::test]
async fn what_meta_reports_about_a_recipient_is_remembered() {
    let world = World::start().await.unwrap();
    // Known by phone alone; the status of the answer names the user id.
    arrives(&world, &from(Some(OLD), None, "wamid.1", AT, "hola")).await;
    let conversation = world.chatwoot.conversations()[0].id;
    answers(&world, conversation, "sí").await;
    let sent = world.meta.requests().pop().unwrap().wamid.unwrap();
    let status = json!({"id": sent, "status": "delivered", "timestamp": (AT + 1).to_string(), "recipient_id": OLD,
        "recipient_user_id": ANA});
    arrives(&world, &body("messages", &json!({"statuses": [status]}))).await;
    arrives(&world, &from(None, Some(ANA), "wamid.2", AT + 2, "¿y bien?")).await;
    assert_eq!(conversations(&world), [["hola", "sí", "¿y bien?"]]);
    // A status of something we never sent proves nothing.
    let status = json!({"id": "wamid.foreign", "status": "read", "timestamp": (AT + 3).to_string(),
        "recipient_id": NEW, "recipient_user_id": ANA});
    arrives(&world, &body("messages", &json!({"statuses": [status]}))).await;
    arrives(&world, &from(Some(NEW), None, "wamid.3", AT + 4, "soy otro")).await;
    assert_eq!(conversations(&world).len(), 2);
}

#[tokio::test]
async fn what_a_status_says_of_a_recipient_is_not_lost_while_chatwoot_is_down() {
    let world = World::start().await.unwrap();
    arrives(&world, &from(Some(OLD), None, "wamid.1", AT, "hola")).await;
    answers(&world, world.chatwoot.conversations()[0].id, "sí").await;
    let sent = world.meta.requests().pop().unwrap().wamid.unwrap();
    let status = json!({"id": sent, "status": "delivered", "timestamp": (AT + 1).to_string(), "recipient_id": OLD,
        "recipient_user_id": ANA});
    world.chatwoot.server().refuse().await;
    arrives(&world, &body("messages", &json!({"statuses": [status]}))).await;
    assert_eq!(world.queued("inbound"), 1);
    world.chatwoot.server().accept().unwrap();
    goes_by(&world, HOUR, 5 * MINUTE).await;
    arrives(&world, &from(None, Some(ANA), "wamid.2", AT + 2, "¿y bien?")).await;
    assert_eq!(conversations(&world), [["hola", "sí", "¿y bien?"]]);
}

#[tokio::test]
async fn the_user_id_in_meta_s_answer_is_theirs_from_then_on() {
    let world = World::start().await.unwrap();
    post(&world, &from(Some(OLD), None, "wamid.1", AT, "hola")).await;
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    let answer = json!({
        "messaging_product": "whatsapp",
        "contacts": [{ "input": OLD, "wa_id": OLD, "user_id": ANA }],
        "messages": [{ "id": "wamid.2" }],
    });
    let effect = Effect::Answer { status: 200, content_type: "application/json".to_owned(), body: answer.to_string() };
    world.meta.faults().add(at("/messages", effect, Some(1)));
    answers(&world, conversation, "¿en qué le ayudo?").await;
    let customers = CustomerStore::new(table(&world), key());
    let by_phone = Identity { phone: Some(WaId::new(OLD)), ..Identity::default() };
    let by_id = Identity { user_id: Some(UserId::new(ANA)), ..Identity::default() };
    let known = customers.find(AccountId(ACCOUNT), &by_phone).await.unwrap();
    assert!(known.is_some());
    assert_eq!(customers.find(AccountId(ACCOUNT), &by_id).await.unwrap(), known);
}
