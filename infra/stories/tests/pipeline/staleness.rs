//! AWS is behind itself: counts of a queue, indexes and moves of dead letters come late, and nothing is concluded from one look.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Clock as _, CustomerId};
use serde_json::{Value, json};
use simulator_aws::Lag;
use store::{DataInventory, DataSubject};
use stories::{CHANNEL, World};

use crate::{
    balance::put_back,
    erasure::{done, is_done, items, operator_asks},
    fixtures::{HOUR, MINUTE, always, ana_wrote, answer, body, columns, goes_by, key, post, rounds, sheet, table},
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
async fn a_receipt_does_not_rest_on_a_receive_that_asks_some_servers_alone() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    goes_by(&world, HOUR, 10 * MINUTE).await;
    // From here on the count is that of an hour ago, and every other receive that does not wait finds nothing.
    world.stage.aws.lag(Lag { counts: HOUR, short_polls: true, ..Lag::default() }).unwrap();
    post(&world, &letter()).await;
    world.work().await.unwrap();
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    done(&world, &code).await;
    assert_eq!(world.dead_letters("inbound"), []);
    assert!(!world.stage.aws.dump_queues().to_string().contains(ANA));
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

/// The first item of the table whose key begins so.
async fn item(world: &World, begins: &str) -> HashMap<String, AttributeValue> {
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let page = aws.dynamodb.scan().table_name(world.stage.table().unwrap()).send().await.unwrap();
    page.items().iter().find(|item| item["pk"].as_s().unwrap().starts_with(begins)).unwrap().clone()
}

async fn puts(world: &World, item: HashMap<String, AttributeValue>) {
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let request = aws.dynamodb.put_item().table_name(world.stage.table().unwrap());
    request.set_item(Some(item)).send().await.unwrap();
}

#[tokio::test]
async fn going_back_after_somebody_was_let_in_takes_nothing_of_their_new_life() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let mut late = item(&world, "conversation#").await;
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    goes_by(&world, MINUTE, Duration::from_secs(2)).await;
    assert!(!is_done(&world, &code).await);
    ana.writes("buenas").await.unwrap();
    world.work().await.unwrap();
    let anew = world.conversation("Ana").unwrap();
    assert!(anew != conversation);
    let before = format!("{:?} {:?}", world.chatwoot.contacts(), world.chatwoot.conversations());
    assert!(before.contains(ANA));
    // An index shows an item of the old life now, and it leads further.
    for (name, value) in &mut late {
        match value {
            AttributeValue::S(text) if name == "pk" || name == "sk" => {
                *text = text.replace(&conversation.to_string(), "77");
            }
            AttributeValue::N(number) if name == "conversation" => *number = "77".to_owned(),
            _ => {}
        }
    }
    let old = late["customer"].as_s().unwrap().clone();
    puts(&world, late).await;
    done(&world, &code).await;
    assert!(!items(&world).await.iter().any(|item| item.contains(&old)), "the old life is gone");
    let after = format!("{:?} {:?}", world.chatwoot.contacts(), world.chatwoot.conversations());
    assert_eq!(after, before, "and the new one is as it was");
    ana.writes("¿y la azul?").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.conversation("Ana").unwrap(), anew);
    assert_eq!(world.agent_reads("Ana"), ["Ana: buenas", "Ana: ¿y la azul?"]);
}

#[tokio::test]
async fn a_key_that_an_index_still_shows_under_the_old_customer_is_left_to_the_new_one() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    world.pass(2 * MINUTE);
    let mut alias = item(&world, "alias#").await;
    let old = alias["customer"].as_s().unwrap().clone();
    world.lag().unwrap();
    let belongings = DataInventory::new(table(&world), key());
    let target = DataSubject { customers: [CustomerId::new(old.as_str())].into(), ..DataSubject::default() };
    let stale = belongings.late_keys(&target).await.unwrap();
    alias.insert("customer".to_owned(), AttributeValue::S("the-new-one".to_owned()));
    puts(&world, alias.clone()).await;
    // Between the look and the deletion, and before the look.
    assert_eq!(belongings.late_keys(&target).await.unwrap().len(), stale.len() - 1);
    belongings.delete_late(&stale).await.unwrap();
    assert_eq!(item(&world, "alias#").await, alias);
    assert_eq!(belongings.late_keys(&target).await.unwrap(), []);
    let mut known = target.clone();
    belongings.gather_late(&mut known).await.unwrap();
    assert_eq!(known.aliases, [].into());
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
