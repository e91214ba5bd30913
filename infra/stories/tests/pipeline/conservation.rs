//! Whatever a body holds and whatever fails meanwhile: the balance sheet adds up at every moment, everything has a fate in
//! the end, and an odd item never costs its neighbors theirs.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};
use simulator_wire::{Effect, Fault};
use stories::{CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::fixtures::{HOUR, MINUTE, always, answer, post, profile, text, total};

/// One thing in a body. Items of one number are numbered, so that a repeat is a repeat.
#[derive(Clone, Debug)]
enum Item {
    /// A customer's words.
    Words { customer: u8, number: u8, channel: u8 },
    /// A file Meta does not have.
    File { customer: u8, number: u8 },
    /// A status of a message, known or not.
    Status { number: u8, word: u8 },
    /// Something in the list of messages that is none.
    OddMessage(u8),
    /// Something in the list of statuses that is none.
    OddStatus(u8),
    /// Something in the list of entries that is none.
    OddEntry(u8),
    /// A field that is about the account.
    Account(u8),
    /// A field nobody knows.
    Unknown(u8),
}

#[derive(Clone, Copy, Debug)]
enum Disturbance {
    None,
    ChatwootIsDown,
    ChatwootHangsUp,
    MetaIsDown,
    TheTableStutters,
    ForwardDies,
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        6 => (0..4u8, 0..40u8, 0..3u8).prop_map(|(customer, number, channel)| Item::Words { customer, number, channel }),
        1 => (0..4u8, 40..44u8).prop_map(|(customer, number)| Item::File { customer, number }),
        3 => (0..40u8, 0..4u8).prop_map(|(number, word)| Item::Status { number, word }),
        1 => (0..6u8).prop_map(Item::OddMessage),
        1 => (0..4u8).prop_map(Item::OddStatus),
        1 => (0..4u8).prop_map(Item::OddEntry),
        1 => (0..3u8).prop_map(Item::Account),
        1 => (0..3u8).prop_map(Item::Unknown),
    ]
}

fn disturbance() -> impl Strategy<Value = Disturbance> {
    prop_oneof![
        Just(Disturbance::None),
        Just(Disturbance::ChatwootIsDown),
        Just(Disturbance::ChatwootHangsUp),
        Just(Disturbance::MetaIsDown),
        Just(Disturbance::TheTableStutters),
        Just(Disturbance::ForwardDies),
    ]
}

const CHANNELS: [&str; 3] = [CHANNEL, COEXISTENCE_CHANNEL, "999000999"];

impl Item {
    fn entry(&self) -> Value {
        let phone = |customer: u8| format!("52155555507{customer:02}");
        let name = |customer: u8| format!("Cliente {customer}");
        let messages = |channel: u8, customer: u8, message: Value| {
            let contacts = [profile(&name(customer), &phone(customer))];
            change("messages", channel, &json!({"contacts": contacts, "messages": [message]}))
        };
        let odd = |n: u8| match n {
            0 => json!(null),
            1 => json!("words"),
            2 => json!(7),
            3 => json!([1, {}]),
            4 => json!({"type": "text"}),
            _ => json!({}),
        };
        match self {
            Self::Words { customer, number, channel } => {
                let words = format!("{channel}.{customer}.{number}");
                messages(*channel, *customer, text(&phone(*customer), &wamid(&words), 1_795_190_400, &words))
            }
            Self::File { customer, number } => {
                let id = wamid(&format!("0.{customer}.{number}"));
                let image = json!({"id": "900100200", "mime_type": "image/jpeg", "caption": format!("f{number}")});
                let message = json!({"from": phone(*customer), "id": id, "timestamp": "1795190400", "type": "image", "image": image});
                messages(0, *customer, message)
            }
            Self::Status { number, word } => {
                let word = ["sent", "delivered", "read", "failed"][usize::from(*word)];
                // Of a customer's own message, of which nothing may be known yet, or never.
                let id = wamid(&format!("0.{}.{number}", number % 5));
                let status = json!({"id": id, "status": word, "timestamp": "1795190400", "recipient_id": phone(0)});
                change("messages", 0, &json!({"statuses": [status]}))
            }
            Self::OddMessage(n) => change("messages", 0, &json!({"messages": [odd(*n)]})),
            Self::OddStatus(n) => change("messages", 0, &json!({"statuses": [odd(*n)]})),
            Self::OddEntry(n) => odd(*n),
            Self::Account(n) => change("account_update", 0, &json!({"event": n})),
            Self::Unknown(n) => change("field_of_the_future", 1, &json!({"event": n})),
        }
    }
}

fn wamid(words: &str) -> String {
    format!("wamid.{words}")
}

fn change(field: &str, channel: u8, members: &Value) -> Value {
    let mut body = crate::fixtures::body(field, members);
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!(CHANNELS[usize::from(channel)]);
    body["entry"][0].take()
}

/// All items in one body; neighbors in the same list of the same number come together where `together` says so.
fn body(items: &[Item], together: bool) -> Value {
    let mut entries: Vec<Value> = Vec::new();
    for entry in items.iter().map(Item::entry) {
        let list = ["messages", "statuses"].into_iter().find(|list| {
            let pointer = format!("/changes/0/value/{list}");
            let numbers = |entry: &Value| entry.pointer("/changes/0/value/metadata/phone_number_id").cloned();
            together
                && entry.pointer(&pointer).is_some()
                && entries
                    .last()
                    .is_some_and(|last| last.pointer(&pointer).is_some() && numbers(last) == numbers(&entry))
        });
        let (Some(list), Some(last)) = (list, entries.last_mut()) else {
            entries.push(entry);
            continue;
        };
        for member in [list, "contacts"] {
            let value = &entry["changes"][0]["value"];
            let more = value.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
            let into = &mut last["changes"][0]["value"][member];
            match into.as_array_mut() {
                Some(into) => into.extend(more),
                None => *into = json!(more),
            }
        }
    }
    json!({"object": "whatsapp_business_account", "entry": entries})
}

fn begins(world: &World, disturbance: Disturbance) {
    match disturbance {
        Disturbance::None | Disturbance::ForwardDies => {}
        Disturbance::ChatwootIsDown => world.chatwoot.faults().add(always("POST", "", answer(503))),
        Disturbance::ChatwootHangsUp => {
            let often = Fault { times: Some(5), skip: 2, ..always("POST", "", Effect::DropAfter) };
            world.chatwoot.faults().add(often);
        }
        Disturbance::MetaIsDown => world.meta.faults().add(always("GET", "", answer(500))),
        Disturbance::TheTableStutters => {
            // For good, so that the SDK's own tries do not help.
            let faults = world.stage.aws.faults();
            faults.add(Fault { times: Some(4), skip: 9, ..always("POST", "", Effect::DropAfter) });
            faults.add(Fault { times: Some(4), skip: 30, ..always("POST", "", Effect::DropBefore) });
        }
    }
}

/// Everything that was said, and how often an agent reads it.
fn read(world: &World) -> BTreeMap<String, usize> {
    let mut read = BTreeMap::new();
    for conversation in world.chatwoot.conversations() {
        for message in world.chatwoot.messages(conversation.id) {
            *read.entry(message.content.lines().next().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    read
}

async fn everything_is_accounted_for(bodies: Vec<(Vec<Item>, bool, Disturbance)>) {
    let world = World::start().await.unwrap();
    let mut received = 0;
    let mut said = BTreeMap::new();
    for (items, together, disturbance) in &bodies {
        begins(&world, *disturbance);
        let body = body(items, *together);
        while post(&world, &body).await != 200 {
            world.pass(MINUTE);
        }
        received += i64::try_from(items.len()).unwrap();
        for item in items {
            match item {
                Item::Words { customer, number, channel: channel @ 0..2 } => {
                    said.insert(format!("{channel}.{customer}.{number}"), 1);
                }
                Item::File { customer, number } => {
                    said.insert(format!("f{number} {customer}"), 1);
                }
                _ => {}
            }
        }
        // A table that stutters cannot be read either.
        let stutters = matches!(disturbance, Disturbance::TheTableStutters);
        if !stutters {
            total(&world).await;
        }
        if matches!(disturbance, Disturbance::ForwardDies) {
            // An error is that nothing is due: what waits from the body before may be put off.
            let _ = world.forward_killed(items.len() * 3).await;
            world.calm().await;
        }
        world.work().await.unwrap();
        if !stutters {
            total(&world).await;
        }
        world.later(5 * MINUTE).await.unwrap();
        world.chatwoot.faults().clear();
        world.meta.faults().clear();
        world.stage.aws.faults().clear();
        total(&world).await;
    }
    for _ in 0..8 {
        world.later(13 * MINUTE).await.unwrap();
        world.reconcile().await.unwrap();
        total(&world).await;
    }
    world.later(25 * HOUR).await.unwrap();
    world.reconcile().await.unwrap();
    world.later(Duration::from_secs(400)).await.unwrap();
    let sheet = total(&world).await;
    let at_the_table = bodies.iter().any(|(_, _, disturbance)| matches!(disturbance, Disturbance::TheTableStutters));
    // A lost answer of the queue's makes Meta come again with what is there already.
    assert!(sheet["received"] == received || (at_the_table && sheet["received"] > received), "{sheet:?} {received}");
    assert_eq!((sheet["waiting"], world.queued("inbound")), (0, 0));
    // Who dies between the letter and its count writes another.
    let dies = bodies.iter().any(|(_, _, disturbance)| matches!(disturbance, Disturbance::ForwardDies));
    let letters = i64::try_from(world.dead_letters("inbound").len()).unwrap();
    assert!(sheet["refused"] >= letters || at_the_table || dies, "{sheet:?} {letters}");
    let mut read = read(&world);
    let files: usize = read.iter().filter(|(line, _)| line.starts_with('f')).map(|(_, count)| count).sum();
    assert_eq!(files, said.keys().filter(|line| line.starts_with('f')).count());
    read.retain(|line, _| !line.starts_with('f'));
    said.retain(|line, _| !line.starts_with('f'));
    assert_eq!(read, said);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_sheet_always_balances_and_one_bad_item_never_stops_another(
        bodies in prop::collection::vec((prop::collection::vec(item(), 0..=50), any::<bool>(), disturbance()), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(everything_is_accounted_for(bodies));
    }
}

/// An item and its repeat in one body, both handled by one who dies before the queue hears of it: both come again, and again.
#[tokio::test]
async fn an_item_and_its_repeat_are_counted_once_each_however_often_they_come() {
    use Item::{File, OddEntry, OddMessage, OddStatus, Status, Words};
    let words = |customer, number, channel| Words { customer, number, channel };
    let file = |customer, number| File { customer, number };
    let status = |number, word| Status { number, word };
    let dies = vec![
        file(1, 42),
        OddEntry(2),
        file(1, 42),
        words(2, 26, 2),
        OddMessage(2),
        file(1, 43),
        words(1, 36, 2),
        status(4, 2),
        file(2, 43),
        OddStatus(3),
        words(1, 21, 1),
        status(8, 3),
        file(2, 40),
        words(3, 0, 1),
        words(0, 18, 0),
    ];
    let bodies = vec![(vec![file(1, 40)], false, Disturbance::MetaIsDown), (dies, false, Disturbance::ForwardDies)];
    Box::pin(everything_is_accounted_for(bodies)).await;
}
