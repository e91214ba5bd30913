//! A role allows what its function's code does and nothing more: what no life of a dealer needs is too much.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulator_meta::Outcome;
use simulator_wire::Effect;
use stories::World;

use crate::{
    erasure::{done, operator_asks},
    fixtures::{HOUR, MINUTE, answer, berta, body, goes_by, once, post, rounds},
    open_chat::{OpenChat, refuses},
    signup_owner::Owner,
};

/// What is needed where this life does not come: function, action, the end of the resource, and when.
const ELSEWHERE: [(&str, &str, &str, &str); 22] = [
    ("webhook", "dynamodb:BatchGetItem", "-bridge", "it puts something unreadable of an erased person aside"),
    ("webhook", "dynamodb:GetItem", "-bridge", "the same"),
    ("webhook", "sqs:SendMessage", "-history-dead-letters.fifo", "a history that cannot be read"),
    ("forward", "dynamodb:Query", "/index/customer", "two customers turn out to be one"),
    ("forward", "sqs:SendMessage", "-erasure.fifo", "a customer asks to be erased"),
    ("forward", "sqs:SendMessage", "-outbound.fifo", "a number is back"),
    ("history", "dynamodb:ConditionCheckItem", "-bridge", "two customers turn out to be one"),
    ("history", "dynamodb:Query", "/index/customer", "the same"),
    ("history", "sqs:SendMessage", "-history-dead-letters.fifo", "a slice that crashes it"),
    ("send", "dynamodb:ConditionCheckItem", "-bridge", "Meta's answer shows that two customers are one"),
    ("send", "sqs:SendMessage", "-outbound-dead-letters.fifo", "a task that cannot be read"),
    ("send", "sqs:SendMessage", "-outbound.fifo", "a template by its name is a message of its own"),
    ("reconcile", "dynamodb:DeleteItem", "-bridge", "a status whose message is erased"),
    ("reconcile", "dynamodb:Query", "/index/activity", "Chatwoot does not tell which conversations were active"),
    ("reconcile", "sqs:SendMessage", "-inbound.fifo", "a file is asked for again"),
    ("erasure", "sqs:ChangeMessageVisibility", "-dead-letters.fifo", "letters of others are shown again"),
    ("erasure", "sqs:SendMessage", "-dead-letters.fifo", "what a letter says of others is put back"),
    ("retention", "dynamodb:Query", "/index/customer", "a contact was deleted in Chatwoot"),
    ("ledger", "dynamodb:DeleteItem", "-ledger", "a request was withdrawn"),
    ("signup", "secretsmanager:DeleteSecret", "/channel/*", "a number comes back under another id"),
    ("signup", "secretsmanager:RestoreSecret", "/channel/*", "and once more under the first"),
    ("signup", "secretsmanager:RestoreSecret", "/signup/*", "a link is used again whose token was dropped"),
];

/// What Lambda does with the role of a function that has a queue.
const OF_LAMBDA: [&str; 3] = ["sqs:ReceiveMessage", "sqs:GetQueueAttributes", "sqs:DeleteMessage"];

fn all(of: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of.as_array().map_or_else(|| vec![text(of)], |several| several.iter().map(text).collect())
}

/// What a role allows, each action on each resource; the log apart.
fn granted(world: &World, function: &str) -> BTreeSet<(String, String)> {
    let statements = world.stage.statements(function).unwrap().iter();
    let pairs = statements.flat_map(|one| {
        let resources = all(&one["Resource"]);
        all(&one["Action"])
            .into_iter()
            .flat_map(move |action| resources.clone().into_iter().map(move |resource| (action.clone(), resource)))
    });
    // On an index there is nothing to do but to query it.
    let counts = |(action, on): &(String, String)| {
        !action.starts_with("logs:") && (!on.contains("/index/") || action == "dynamodb:Query")
    };
    pairs.filter(counts).collect()
}

fn covers(pattern: &str, resource: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == resource, |start| resource.starts_with(start))
}

/// A bit of everything that happens to a dealer in a year.
async fn lives(shop: &OpenChat) {
    let world = &shop.world;
    shop.says("¿En qué puedo ayudarle?").await;
    shop.ana.reads_all().await;
    shop.attaches(Some("aquí"), &[("a.pdf", "application/pdf", b"%PDF-1")]).await;
    // A file that is not there yet, words that are taken back, a customer who changes the number.
    world.meta.faults().add(once("GET", "/", Effect::DropBefore));
    shop.ana.sends_file("image", b"png".to_vec(), "image/png", None, None).await.unwrap();
    let words = shop.ana.writes("perdón").await.unwrap();
    world.work().await.unwrap();
    shop.ana.edits(&words, "perdón, sí").await.unwrap();
    shop.ana.revokes(&words).await.unwrap();
    world.work().await.unwrap();
    shop.asks("/estado").await;
    // What both sides do not take now, and what nobody can read.
    world.chatwoot.faults().add(once("POST", "/messages", answer(503)));
    world.meta.faults().add(once("POST", "/messages", refuses(500, 131_000)));
    shop.ana.writes("¿sigue ahí?").await.unwrap();
    shop.says("Sí").await;
    goes_by(world, 10 * MINUTE, MINUTE).await;
    assert_eq!(post(world, &body("field_of_the_future", &json!({ "x": 1 }))).await, 200);
    assert_eq!(world.meta.post(b"[]").await.unwrap(), 200);
    rounds(world, HOUR, 10 * MINUTE).await;
    world.ledger().await.unwrap();
    // A number is connected by its owner and brings its past.
    connects(world).await;
    past(world).await;
    // Two people ask to be forgotten, each in a way of her own.
    let berta = berta(world);
    berta.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let labelled = world.conversation("Berta").unwrap();
    shop.sofia.labels(labelled, &["borrar-datos"]).await;
    world.work().await.unwrap();
    let code = operator_asks(world, json!({ "phone": "5215555550123" })).await;
    done(world, &code).await;
    goes_by(world, 25 * HOUR, 6 * HOUR).await;
    world.retention().await.unwrap();
    world.ledger().await.unwrap();
    goes_by(world, 400 * 24 * HOUR, 100 * 24 * HOUR).await;
    world.retention().await.unwrap();
    world.ledger().await.unwrap();
}

async fn connects(world: &World) {
    let owner = Owner::new(world).await;
    owner.opens().await;
    owner.signs_up(Outcome::FinishCoexistence).await;
    world.signup_round().await.unwrap();
}

async fn past(world: &World) {
    let at = (1_795_190_400 - 100).to_string();
    let message = json!({"from": "5215555550177", "id": "wamid.p1", "timestamp": at, "type": "text",
        "text": {"body": "hace mucho"}, "history_context": {"status": "READ"}});
    let thread = json!({"id": "5215555550177", "context": {"wa_id": "5215555550177"}, "messages": [message]});
    let metadata = json!({"phase": 2, "chunk_order": 1, "progress": 100});
    let chunk = json!({"history": [{"metadata": metadata, "threads": [thread]}]});
    assert_eq!(post(world, &body("history", &chunk)).await, 200);
    goes_by(world, 10 * MINUTE, MINUTE).await;
}

#[tokio::test]
async fn each_permission_of_each_role_is_needed() {
    let shop = OpenChat::open().await;
    lives(&shop).await;
    let mut too_much = Vec::new();
    for function in shop.world.stage.functions() {
        let used = shop.world.stage.aws.used(function);
        for (action, on) in granted(&shop.world, function) {
            let is_used = used.iter().any(|(did, what)| *did == action && covers(&on, what));
            let known =
                ELSEWHERE.iter().any(|(of, may, end, _)| *of == function && *may == action && on.ends_with(end));
            let is_polled = OF_LAMBDA.contains(&action.as_str());
            if !is_used && !known && !is_polled {
                too_much.push(format!("{function}: {action} on {on}"));
            }
        }
    }
    for (function, action, end, _) in ELSEWHERE {
        let is_granted = |(may, on): (String, String)| may == action && on.ends_with(end);
        assert!(granted(&shop.world, function).into_iter().any(is_granted), "{function} may no more: {action} {end}");
    }
    assert!(too_much.is_empty(), "no story needs these:\n{}", too_much.join("\n"));
}
