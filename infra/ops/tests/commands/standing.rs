//! How the bridge stands, what waits, and a round made by hand.

use std::time::Duration;

use serde_json::{Value, json};
use stories::World;

use crate::support::{ops, says, words};

fn rows<'v>(list: &'v Value, what: &str) -> Vec<&'v Value> {
    list.as_array().unwrap().iter().filter(|row| row["what"] == what).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_at_rest_has_nothing_to_tell() {
    let world = World::start_now().await.unwrap();
    let status = says(&world, 0, &["status"], "");
    assert_eq!(status["erasures"], json!({"open": 0, "breached": 0}));
    assert!(status["sides"].as_array().unwrap().iter().all(|side| side["silent_since"].is_null()), "{status}");
    assert!(status["queues"].as_array().unwrap().iter().all(|queue| queue["waiting"] == 0), "{status}");
    assert_eq!(says(&world, 0, &["stuck"], ""), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_says_why_since_when_and_where_to_read() {
    let world = World::start_now().await.unwrap();
    let ana = world.meta.customer("Ana", "5215555550123");
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    says(&world, 0, &["channel", "pause", stories::CHANNEL, "--outgoing"], "");
    world.pass(Duration::from_secs(61));
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.agent("Sofía").replies(conversation, "¿en qué puedo ayudarle?").await;
    ana.writes("¿siguen ahí?").await.unwrap();
    world.work().await.unwrap();

    let status = says(&world, 4, &["status"], "");
    let number = status["numbers"].as_array().unwrap().iter().find(|one| one["phone_number_id"] == stories::CHANNEL);
    assert_eq!(number.unwrap()["held"], "paused by the operator");
    let stuck = says(&world, 0, &["stuck"], "");
    let number = rows(&stuck, "number");
    assert_eq!((number.len(), &number[0]["page"]), (1, &json!("docs/runbook/channel-down.md")), "{stuck}");
    assert!(!stuck.to_string().contains("5550123"), "no person is named: {stuck}");
    let table = words(&ops(&world, &["stuck"], ""));
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");

    says(&world, 0, &["channel", "resume", stories::CHANNEL], "");
    world.pass(Duration::from_secs(61));
    world.work().await.unwrap();
    assert_eq!(says(&world, 0, &["stuck"], ""), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_made_by_hand_finds_what_no_callback_told() {
    let world = World::start_now().await.unwrap();
    world.meta.customer("Ana", "5215555550123").writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.callbacks().lose(1);
    world.chatwoot.agent("Sofía").replies(conversation, "¿en qué puedo ayudarle?").await;
    world.work().await.unwrap();
    let balance = says(&world, 0, &["reconcile"], "");
    assert_eq!((&balance["waiting"], &balance["difference"]), (&json!(0), &json!(0)), "{balance}");
    assert_eq!(world.queued("outbound"), 1, "a sync request");
}
