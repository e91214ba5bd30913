//! AWS is behind itself: counts of a queue, indexes and moves of dead letters come late, and nothing is concluded from one look.

use std::time::Duration;

use domain::Clock as _;
use serde_json::{Value, json};
use testkit::{CHANNEL, World};

use crate::{
    balance::put_back,
    cast::{HOUR, MINUTE, always, ana_wrote, answer, body, columns, goes_by, post, rounds, sheet},
    erasure::{done, is_done, items, operator_asks},
};

const ANA: &str = "5215555550123";

/// Moves the clock to half a minute before midnight.
async fn to_the_end_of_the_day(world: &World) {
    let left = 86_400 - world.clock.now().as_secs().rem_euclid(86_400) - 30;
    world.pass(Duration::from_secs(left.unsigned_abs()));
    world.work().await.unwrap();
}

#[tokio::test]
async fn what_waits_over_midnight_is_not_lost_because_the_queue_counts_late() {
    let world = World::start().await.unwrap();
    world.lag().unwrap();
    let (ana, _) = ana_wrote(&world).await;
    to_the_end_of_the_day(&world).await;
    world.chatwoot.server().refuse().await;
    for n in 0..4 {
        ana.writes(&n.to_string()).await.unwrap();
    }
    // The sheet of yesterday has them, the queue does not count them yet.
    world.pass(MINUTE);
    assert_eq!(world.reconcile().await.unwrap().difference, 0);
    for _ in 0..12 {
        world.later(MINUTE).await.unwrap();
        assert_eq!(world.reconcile().await.unwrap().difference, 0);
    }
    world.chatwoot.server().accept().unwrap();
    rounds(&world, HOUR, 5 * MINUTE).await;
    assert_eq!(world.agent_reads("Ana").len(), 5);
    assert_eq!(world.reconcile().await.unwrap().difference, 0);
}

/// What the person's dead letter says of her.
fn letter() -> Value {
    body("field_of_the_future", &json!({ "of": ANA, "words": "guardado" }))
}

#[tokio::test]
async fn a_receipt_does_not_rest_on_a_count_that_is_late() {
    let world = World::start().await.unwrap();
    world.lag().unwrap();
    ana_wrote(&world).await;
    goes_by(&world, HOUR, 10 * MINUTE).await;
    post(&world, &letter()).await;
    world.work().await.unwrap();
    // Somebody has it in hand, and the queue is still said to be empty.
    let queue = world.stage.aws.queue_names().into_iter().find(|name| name.contains("inbound-dead")).unwrap();
    assert_eq!(world.stage.aws.receive(&queue, 10, Duration::ZERO).await.len(), 1);
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    goes_by(&world, 30 * Duration::from_secs(1), Duration::from_secs(2)).await;
    assert!(!is_done(&world, &code).await);
    done(&world, &code).await;
    assert_eq!(world.dead_letters("inbound"), []);
    assert!(!world.stage.aws.dump_queues().to_string().contains(ANA));
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    let places = receipt["receipt"]["places"].as_array().unwrap();
    let letters = places.iter().find(|place| place["place"] == "dead_letters").unwrap();
    assert_eq!(letters["found"], 1);
}

#[tokio::test]
async fn what_an_index_does_not_show_yet_is_erased_all_the_same() {
    let world = World::start().await.unwrap();
    world.lag().unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let customer = |items: &[String]| {
        let row = items.iter().find_map(|item| item.split("S(\"customer#").nth(1)).unwrap();
        row.split('"').next().unwrap().to_owned()
    };
    let id = customer(&items(&world).await);
    // Just now, and nobody can find by whom.
    for n in 0..3 {
        ana.writes(&n.to_string()).await.unwrap();
    }
    world.chatwoot.agent("Beto").replies(conversation, "sí").await;
    world.work().await.unwrap();
    assert!(items(&world).await.iter().filter(|item| item.contains(&id)).count() > 5);
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    done(&world, &code).await;
    let left: Vec<String> = items(&world).await.into_iter().filter(|item| item.contains(&id)).collect();
    assert_eq!(left, [""; 0]);
    // Who begins anew meanwhile has a clean life.
    ana.writes("buenas").await.unwrap();
    goes_by(&world, HOUR, 5 * MINUTE).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: buenas"]);
}

#[tokio::test]
async fn who_writes_anew_before_the_second_look_loses_nothing() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    goes_by(&world, MINUTE, Duration::from_secs(2)).await;
    assert!(!is_done(&world, &code).await, "it is looked at once more");
    ana.writes("buenas").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: buenas"], "and nobody has to wait for that");
    // What cannot be read of the new life stays.
    world.pass(Duration::from_secs(2));
    let mut anew = letter();
    anew["entry"][0]["time"] = json!(world.clock.now().as_secs());
    post(&world, &anew).await;
    done(&world, &code).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: buenas"]);
    assert_eq!(world.dead_letters("inbound").len(), 1);
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    let places = receipt["receipt"]["places"].as_array().unwrap();
    let letters = places.iter().find(|place| place["place"] == "dead_letters").unwrap();
    assert_eq!(letters["found"], 0);
}

#[tokio::test]
async fn dead_letters_arrive_a_while_after_they_are_put_back_and_are_handled_once() {
    let world = World::start().await.unwrap();
    world.lag().unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.faults().add(always("POST", "/messages", answer(422)));
    ana.writes("uno").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, 2 * HOUR, 5 * MINUTE).await;
    world.chatwoot.faults().clear();
    assert_eq!(world.dead_letters("inbound").len(), 1);
    put_back(&world).await;
    world.work().await.unwrap();
    assert_eq!(world.dead_letters("inbound").len(), 1, "it takes its time");
    rounds(&world, 20 * MINUTE, 5 * MINUTE).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: uno"]);
    let expected = columns(&[("done", 2), ("received", 3), ("refused_refused_by_chatwoot", 1)]);
    assert_eq!(sheet(&world, CHANNEL).await, expected);
}

#[tokio::test]
async fn a_letter_on_its_way_back_is_erased_with_the_rest() {
    let world = World::start().await.unwrap();
    world.lag().unwrap();
    ana_wrote(&world).await;
    post(&world, &letter()).await;
    world.work().await.unwrap();
    goes_by(&world, 10 * MINUTE, MINUTE).await;
    put_back(&world).await;
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    done(&world, &code).await;
    goes_by(&world, HOUR, 5 * MINUTE).await;
    assert!(!world.stage.aws.dump_queues().to_string().contains(ANA));
}
