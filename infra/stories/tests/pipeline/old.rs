//! Webhooks that come long after: nobody remembers whether they were handled, so they are refused and counted.

use std::time::Duration;

use domain::Clock as _;
use serde_json::{Value, json};
use simulator_wire::Call;
use stories::{CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::{
    erasure::{done, operator_asks},
    fixtures::{HOUR, MINUTE, ana_wrote, body, columns, counted, post, profile, sheet, text, total},
    open_chat::OpenChat,
};

const DAY: Duration = Duration::from_secs(86_400);

/// What both sides have: messages that are shown, deletions, and letters that were set aside.
fn seen(world: &World) -> (Vec<(String, bool)>, usize) {
    let conversations = world.chatwoot.conversations().into_iter();
    let messages = conversations.flat_map(|one| world.chatwoot.messages(one.id));
    (messages.map(|one| (one.content, one.deleted)).collect(), world.dead_letters("inbound").len())
}

fn wrote(wamid: &str, members: &Value) -> Value {
    let mut message = json!({"from": "5215555550123", "id": wamid, "type": "text", "text": {"body": wamid}});
    message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body("messages", &json!({"contacts": [profile("Ana", "5215555550123")], "messages": [message]}))
}

#[tokio::test]
async fn whatever_was_captured_is_not_shown_again_after_any_time() {
    let shop = OpenChat::open().await;
    let (world, ana) = (&shop.world, &shop.ana);
    let now = world.clock.now().as_secs();
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    let edited = ana.writes("uno").await.unwrap();
    ana.edits(&edited, "dos").await.unwrap();
    let revoked = ana.writes("perdón").await.unwrap();
    ana.revokes(&revoked).await.unwrap();
    world.meta.echo(&ana.at(COEXISTENCE_CHANNEL), "desde el teléfono").await.unwrap();
    shop.says("Buenas").await;
    ana.reads_all().await;
    world.work().await.unwrap();
    let dated = |field: &str, members: Value| {
        let mut dated = body(field, &members);
        dated["entry"][0]["time"] = json!(now);
        dated
    };
    let call = json!({"id": "wacid.1", "from": "5215555550123", "to": "525555550100", "event": "terminate",
        "direction": "USER_INITIATED", "timestamp": now.to_string(), "status": "COMPLETED", "duration": 12});
    let preference = json!({"wa_id": "5215555550123", "value": "stop", "category": "marketing_messages",
        "timestamp": now});
    for event in [
        dated("account_update", json!({"event": "ACCOUNT_RESTRICTION"})),
        dated("field_of_the_future", json!({"event": "x"})),
        body("calls", &json!({"contacts": [profile("Ana", "5215555550123")], "calls": [call]})),
        body(
            "user_preferences",
            &json!({"contacts": [profile("Ana", "5215555550123")], "user_preferences": [preference]}),
        ),
    ] {
        assert_eq!(post(world, &event).await, 200);
        world.work().await.unwrap();
    }
    let before = seen(world);
    let captured = world.meta.deliveries();
    for wait in [DAY, 13 * DAY, 2 * DAY, 30 * DAY] {
        world.pass(wait);
        for delivery in &captured {
            assert_eq!(world.meta.post(&delivery.body).await.unwrap(), 200);
        }
        world.work().await.unwrap();
        world.reconcile().await.unwrap();
        world.work().await.unwrap();
        let after = seen(world);
        // What was set aside is tried again while it is remembered.
        assert_eq!(after.0, before.0, "{wait:?} later");
    }
    let day = sheet(world, CHANNEL).await;
    let received = day.iter().find(|(name, _)| name == "received").unwrap().1;
    assert!(received > 10);
    assert_eq!(day, columns(&[("received", received), ("refused_too_old", received)]));
    assert_eq!(sheet(world, COEXISTENCE_CHANNEL).await, columns(&[("received", 1), ("refused_too_old", 1)]));
    assert_eq!(total(world).await["waiting"], 0);
}

#[tokio::test]
async fn a_clock_ahead_of_ours_opens_no_gap_between_the_memory_and_the_refusal() {
    for ahead in [-3_600, 1, 1_800, 86_000] {
        let world = World::start().await.unwrap();
        let at = world.clock.now().as_secs() + ahead;
        for spelled in [json!(at.to_string()), json!(at), json!(at * 1_000), json!((at * 1_000).to_string())] {
            let wamid = format!("wamid.{spelled}");
            assert_eq!(post(&world, &wrote(&wamid, &json!({ "timestamp": spelled }))).await, 200);
        }
        world.work().await.unwrap();
        assert_eq!(world.agent_reads("Ana").len(), 4, "{ahead}");
        let captured = world.meta.deliveries();
        world.pass(14 * DAY + 23 * HOUR);
        for _ in 0..20 {
            world.pass(119 * MINUTE);
            for delivery in &captured {
                assert_eq!(world.meta.post(&delivery.body).await.unwrap(), 200);
            }
            world.work().await.unwrap();
            assert_eq!(world.agent_reads("Ana").len(), 4, "{ahead}");
        }
    }
}

#[tokio::test]
async fn what_is_young_enough_is_shown_however_late_it_comes() {
    let world = World::start().await.unwrap();
    let now = world.clock.now().as_secs();
    let late = |days: i64, seconds: i64| now - days * 86_400 - seconds;
    for (wamid, at) in [("w8", late(8, 0)), ("w14", late(14, 3_600)), ("w15", late(15, 0)), ("w16", late(15, 1))] {
        assert_eq!(post(&world, &wrote(wamid, &json!({ "timestamp": at.to_string() }))).await, 200);
    }
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: w8", "Ana: w14", "Ana: w15"]);
    assert_eq!(counted(&world, "refused_too_old").await, 1);
}

#[tokio::test]
async fn each_item_of_a_body_has_its_own_age() {
    let world = World::start().await.unwrap();
    let now = world.clock.now().as_secs();
    let message = |wamid: &str, at: i64| text("5215555550123", wamid, at, wamid);
    let (old, young) = (message("viejo", now - 40 * 86_400), message("nuevo", now - 60));
    let contacts = json!([profile("Ana", "5215555550123")]);
    post(&world, &body("messages", &json!({"contacts": contacts, "messages": [old, young]}))).await;
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: nuevo"]);
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 1), ("received", 2), ("refused_too_old", 1)]));
}

#[tokio::test]
async fn what_says_no_time_that_can_be_is_shown() {
    let world = World::start().await.unwrap();
    let odd = [
        json!(null),
        json!(""),
        json!("0"),
        json!(0),
        json!("soon"),
        json!(-5),
        json!(1),
        json!("12345"),
        json!(true),
        json!({}),
        json!([1]),
        json!("99999999999"),
        json!(9.9e14),
    ];
    for (at, timestamp) in odd.iter().enumerate() {
        assert_eq!(post(&world, &wrote(&format!("w{at}"), &json!({ "timestamp": timestamp }))).await, 200);
    }
    assert_eq!(post(&world, &wrote("none", &json!({}))).await, 200);
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana").len(), odd.len() + 1);
    assert_eq!(counted(&world, "refused_too_old").await, 0);
}

/// Something of a field that nobody knows, about so many people.
fn unheard_of(chats: usize, messages: usize) -> Value {
    let mut event = history(chats, messages);
    event["entry"][0]["changes"][0]["field"] = json!("unheard_of");
    event
}

/// A phone app's history: so many chats with so many messages each.
fn history(chats: usize, messages: usize) -> Value {
    let threads: Vec<Value> = (0..chats)
        .map(|chat| {
            let phone = format!("52155555{chat:05}");
            let message = |n: usize| text(&phone, &format!("wamid.h{chat}.{n}"), 1_700_000_000, "hola");
            json!({"id": phone, "messages": (0..messages).map(message).collect::<Vec<_>>()})
        })
        .collect();
    body("history", &json!({"history": [{"metadata": {"phase": 0, "chunk_order": 1}, "threads": threads}]}))
}

/// What was read of the table.
fn reads(calls: &[Call]) -> Vec<&str> {
    let reads = ["BatchGetItem", "Query", "GetItem", "TransactGetItems"];
    let is_read = |call: &&Call| reads.iter().any(|read| call.target.ends_with(&format!(".{read}")));
    calls.iter().filter(is_read).map(|call| call.target.as_str()).collect()
}

#[tokio::test]
async fn what_nobody_can_read_looks_nobody_up_but_those_who_were_erased() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    // Nobody of it was erased: one read for five hundred messages.
    world.stage.aws.calls().record_bodies();
    assert_eq!(post(&world, &unheard_of(20, 25)).await, 200);
    world.work().await.unwrap();
    let calls = world.stage.aws.calls().take();
    assert!(reads(&calls).len() <= 1, "{:?}", reads(&calls));
    assert_eq!(world.dead_letters("inbound").len(), 1);
    // One of it was: she is looked up, and nobody else; what is said of her does not get in.
    let mut event = unheard_of(20, 25);
    let hers =
        json!({"id": "5215555550123", "messages": [text("5215555550123", "wamid.hers", 1_700_000_000, "secreto")]});
    event["entry"][0]["changes"][0]["value"]["history"][0]["threads"].as_array_mut().unwrap().push(hers);
    world.stage.aws.calls().record_bodies();
    assert_eq!(post(&world, &event).await, 200);
    world.work().await.unwrap();
    let calls = world.stage.aws.calls().take();
    assert!(reads(&calls).len() <= 3, "{:?}", reads(&calls));
    let letters = world.dead_letters("inbound");
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|(_, body)| !body.contains("5215555550123") && !body.contains("secreto")));
    // Tombstones end, and so does what tells of them.
    world.pass(36 * DAY);
    assert_eq!(post(&world, &event).await, 200);
    world.work().await.unwrap();
    assert!(world.dead_letters("inbound").iter().any(|(_, body)| body.contains("5215555550123")));
}

#[tokio::test]
async fn the_phone_app_s_past_is_old_by_nature_and_looks_nobody_up() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    let mut event = history(20, 25);
    event["entry"][0]["time"] = json!(1_700_000_000);
    world.stage.aws.calls().record_bodies();
    assert_eq!(post(&world, &event).await, 200);
    let calls = world.stage.aws.calls().take();
    assert!(reads(&calls).is_empty(), "{:?}", reads(&calls));
    let batches = calls.iter().filter(|call| call.target.ends_with(".SendMessageBatch")).count();
    assert_eq!(
        (batches, world.queued("history"), world.queued("inbound")),
        (2, 20, 0),
        "one letter a chat, ten a batch"
    );
    assert_eq!(counted(&world, "refused_too_old").await, 0);
    assert_eq!(world.dead_letters("inbound").len(), 0);
}
