//! A side that does not answer is left alone but for one try, and one that asks for time gets it; then all goes out in order.

use std::time::Duration;

use domain::Clock as _;
use simulator_wire::Effect;
use store::{Side, Silences};
use stories::World;

use crate::{
    fixtures::{MINUTE, berta, calls, goes_by, once, patience, table},
    open_chat::OpenChat,
};

const SECOND: Duration = Duration::from_secs(1);

/// Whether the operator reads that a side rests.
async fn rests(world: &World, side: Side) -> bool {
    Silences::new(table(world)).since(side).await.unwrap().is_some()
}

fn asks_to_wait(status: u16, value: &str, body: &str) -> Effect {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let date = header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let headers = vec![header("retry-after", value), date, header("content-type", "application/json")];
    Effect::AnswerWith { status, headers, body: body.to_owned() }
}

#[tokio::test]
async fn a_silent_chatwoot_is_tried_by_one_message_and_gets_all_in_order_once_it_is_back() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    world.chatwoot.server().refuse().await;
    shop.ana.writes("uno").await.unwrap();
    world.work().await.unwrap();
    goes_by(world, 3 * MINUTE, 10 * SECOND).await;
    assert!(rests(world, Side::Chatwoot).await && !rests(world, Side::Meta).await);
    // Ten customers write within a second: nothing of theirs is lost, and nobody hammers.
    let others: Vec<_> =
        (0..10).map(|n| world.meta.customer(&format!("Cliente {n}"), &format!("52155555601{n:02}"))).collect();
    for (n, other) in others.iter().enumerate() {
        other.writes(&format!("a{n}")).await.unwrap();
        other.writes(&format!("b{n}")).await.unwrap();
    }
    shop.ana.writes("dos").await.unwrap();
    world.work().await.unwrap();
    world.chatwoot.server().accept().unwrap();
    patience(world).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: uno", "Ana: dos"]);
    for n in 0..10 {
        let name = format!("Cliente {n}");
        assert_eq!(world.agent_reads(&name), [format!("{name}: a{n}"), format!("{name}: b{n}")]);
    }
    assert!(!rests(world, Side::Chatwoot).await, "it is over");
    assert_eq!(world.dead_letters("inbound"), []);
}

#[tokio::test]
async fn of_many_that_wait_for_a_silent_side_one_in_ten_seconds_calls() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    let hangs_up = || crate::fixtures::always("", "", Effect::DropBefore);
    world.chatwoot.faults().add(simulator_wire::Fault { method: None, ..hangs_up() });
    shop.ana.writes("uno").await.unwrap();
    world.work().await.unwrap();
    goes_by(world, 2 * MINUTE, 10 * SECOND).await;
    assert!(rests(world, Side::Chatwoot).await);
    for n in 0..10 {
        world.meta.customer(&format!("Cliente {n}"), &format!("52155555601{n:02}")).writes("hola").await.unwrap();
    }
    // A file's stream cannot be repeated; of calls that were cut off it is unknown how many there were.
    world.chatwoot.server().calls().record();
    world.work().await.unwrap();
    assert!(world.chatwoot.server().calls().take().len() <= 1, "each of them called");
    world.pass(20 * SECOND);
    world.work().await.unwrap();
    assert!(world.chatwoot.server().calls().take().len() <= 2);
    world.chatwoot.faults().clear();
    patience(world).await;
    for n in 0..10 {
        assert_eq!(world.agent_reads(&format!("Cliente {n}")).len(), 1, "{n}");
    }
}

#[tokio::test]
async fn a_silent_graph_is_not_called_and_answers_go_out_once_and_in_order() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    let berta = berta(world);
    berta.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let other = world.conversation("Berta").unwrap();
    world.meta.server().refuse().await;
    shop.says("uno").await;
    goes_by(world, 3 * MINUTE, 10 * SECOND).await;
    assert!(rests(world, Side::Meta).await && !rests(world, Side::Chatwoot).await);
    for text in ["dos", "tres"] {
        shop.says(text).await;
        shop.sofia.replies(other, text).await;
        world.work().await.unwrap();
    }
    shop.meta_is_back();
    goes_by(world, 20 * MINUTE, MINUTE).await;
    assert_eq!(shop.ana.heard(), ["uno", "dos", "tres"]);
    assert_eq!(berta.heard(), ["dos", "tres"]);
    assert!(!rests(world, Side::Meta).await);
}

#[tokio::test]
async fn the_time_that_a_side_asks_for_is_kept_in_seconds_and_as_a_date() {
    for (value, seconds) in [("40", 40), ("Sun, 06 Nov 1994 08:50:17 GMT", 40), ("86400", 900)] {
        let shop = OpenChat::open().await;
        let world = &shop.world;
        // Chatwoot, to a customer's message.
        world.chatwoot.faults().add(once("POST", "/messages", asks_to_wait(429, value, "Retry later")));
        shop.ana.writes("¿sigue ahí?").await.unwrap();
        world.work().await.unwrap();
        let before = calls(world, "POST", "/messages");
        goes_by(world, Duration::from_secs(seconds).saturating_sub(SECOND), 10 * SECOND).await;
        assert_eq!(calls(world, "POST", "/messages"), before, "{value}");
        world.later(2 * SECOND).await.unwrap();
        assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: ¿sigue ahí?"], "{value}");
        // Meta, to an agent's.
        let refusal = r#"{"error":{"message":"(#130429) Rate limit hit","code":130429}}"#;
        shop.meta_will(asks_to_wait(429, value, refusal), 1);
        shop.says("Sí").await;
        let told = world.clock.now();
        while shop.ana.heard().is_empty() {
            assert!(world.clock.now().since(told) < Duration::from_secs(2_000), "{value}");
            world.later(5 * SECOND).await.unwrap();
        }
        // The agent is told after five minutes, at the latest; then the call is tried as well.
        let waited = world.clock.now().since(told);
        assert!(waited >= Duration::from_secs(seconds.min(300)), "{value}: {waited:?}");
    }
}
