//! Calls: one line for each, when it is over. And the customer's wish about marketing.

use domain::{AccountId, HashKey, Identity, UserId, WaId};
use serde_json::{Value, json};
use store::{CustomerStore, Profiles};
use stories::World;

use crate::{
    fixtures::{HOUR, ana, ana_wrote, body, counted, post, profile, table},
    identity::{arrives, from},
};

fn call(id: &str, ours: bool, members: &Value) -> Value {
    let (from, to) = if ours { ("525555550100", "5215555550123") } else { ("5215555550123", "525555550100") };
    let direction = if ours { "BUSINESS_INITIATED" } else { "USER_INITIATED" };
    let mut call = json!({"id": id, "from": from, "to": to, "direction": direction, "timestamp": "1795190400"});
    call.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body("calls", &json!({"contacts": [profile("Ana", "5215555550123")], "calls": [call]}))
}

fn state(id: &str, state: &str) -> Value {
    let item =
        json!({"id": id, "type": "call", "status": state, "timestamp": "1795190400", "recipient_id": "5215555550123"});
    body("calls", &json!({"contacts": [profile("Ana", "5215555550123")], "statuses": [item]}))
}

#[tokio::test]
async fn each_call_is_one_line_when_it_is_over() {
    let world = World::start().await.unwrap();
    let ended =
        |status: &str, duration: Option<i64>| json!({"event": "terminate", "status": status, "duration": duration});
    let bodies = [
        call("wacid.1", false, &json!({"event": "connect"})),
        call("wacid.1", false, &ended("COMPLETED", Some(85))),
        call("wacid.2", false, &json!({"event": "connect"})),
        call("wacid.2", false, &ended("FAILED", None)),
        state("wacid.3", "RINGING"),
        state("wacid.3", "ACCEPTED"),
        call("wacid.3", true, &ended("COMPLETED", Some(5))),
        state("wacid.4", "RINGING"),
        state("wacid.4", "REJECTED"),
        call("wacid.4", true, &ended("FAILED", None)),
    ];
    for body in &bodies {
        assert_eq!(post(&world, body).await, 200);
    }
    world.work().await.unwrap();
    assert_eq!(
        world.agent_reads("Ana"),
        [
            "Ana: 📞 Llamada del cliente contestada (1 min 25 s)",
            "Ana: 📞 Llamada perdida: el cliente llamó por WhatsApp y nadie contestó",
            "agent: 📞 El cliente contestó la llamada (5 s) ✓",
            "agent: 📞 El cliente rechazó la llamada ✓",
        ]
    );
    // The second end of a call is a repeat of the first; the queue itself knows it by its item.
    assert_eq!(counted(&world, "done").await, 9);
    assert!(world.meta.requests().is_empty());
}

#[tokio::test]
async fn a_call_that_rings_opens_the_window_and_writes_nothing() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    world.pass(25 * HOUR);
    let at = (1_795_190_400 + 25 * 3600).to_string();
    post(&world, &call("wacid.1", false, &json!({"event": "connect", "timestamp": at}))).await;
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
    // Meta's double knows nothing of calls, so what it says to the answer is not the point.
    world.chatwoot.agent("Sofía").replies(conversation, "¿me llamó?").await;
    world.work().await.unwrap();
    assert_eq!(world.meta.requests().len(), 1);
}

#[tokio::test]
async fn the_wish_about_marketing_is_kept_and_a_late_repeat_does_not_undo_it() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    world.pass(25 * HOUR);
    let wish = |value: &str, at: i64| {
        let item = json!({"wa_id": "5215555550123", "user_id": ana(&world).user_id(), "category": "marketing_messages",
            "value": value, "detail": "…", "timestamp": at});
        body("user_preferences", &json!({"contacts": [profile("Ana", "5215555550123")], "user_preferences": [item]}))
    };
    let customers = CustomerStore::new(table(&world), HashKey::new("subject-key-of-the-stories".into()));
    let profiles = Profiles::new(table(&world), HashKey::new("subject-key-of-the-stories".into()));
    let user = Identity { user_id: Some(UserId::new(ana(&world).user_id())), ..Identity::default() };
    for (value, at, opt_out) in [("stop", 20, true), ("resume", 10, true), ("resume", 30, false), ("signup", 40, false)]
    {
        assert_eq!(post(&world, &wish(value, 1_795_190_400 + at)).await, 200);
        world.work().await.unwrap();
        let customer = customers.find(AccountId(3), &user).await.unwrap().unwrap();
        assert_eq!(profiles.wants_no_marketing(&customer).await.unwrap(), opt_out, "{value} at {at}");
    }
    let read = world.agent_reads("Ana");
    assert_eq!(read[1], "system: 🔕 El cliente pidió no recibir marketing");
    assert_eq!(read.len(), 5);
    // A wish opens no window, neither ours nor the one Chatwoot counts by itself.
    world.chatwoot.agent("Sofía").replies(world.conversation("Ana").unwrap(), "oferta").await;
    world.work().await.unwrap();
    assert!(world.meta.requests().is_empty());
}

#[tokio::test]
async fn a_wish_outlives_that_two_customers_turn_out_to_be_one() {
    let world = World::start().await.unwrap();
    let phone = "5215555550123";
    arrives(&world, &from(Some(phone), None, "wamid.0", 1_795_190_399, "buenas")).await;
    let stop = json!({"wa_id": phone, "category": "marketing_messages", "value": "stop", "detail": "…",
        "timestamp": 1_795_190_400});
    post(&world, &body("user_preferences", &json!({"user_preferences": [stop]}))).await;
    world.work().await.unwrap();
    // A message shows by phone and user id that the two are one; the user id's customer is who stays.
    let user = ana(&world).user_id();
    arrives(&world, &from(None, Some(&user), "wamid.1", 1_795_190_401, "hola")).await;
    arrives(&world, &from(Some(phone), Some(&user), "wamid.2", 1_795_190_402, "soy yo")).await;
    let key = || HashKey::new("subject-key-of-the-stories".into());
    let known = Identity { phone: Some(WaId::new(phone)), ..Identity::default() };
    let customer = CustomerStore::new(table(&world), key()).find(AccountId(3), &known).await.unwrap().unwrap();
    assert!(Profiles::new(table(&world), key()).wants_no_marketing(&customer).await.unwrap());
}
