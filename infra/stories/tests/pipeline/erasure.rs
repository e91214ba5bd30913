//! Forgotten when asked: from whichever door, in every place, once, and for good.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};
use simulator_meta::Customer;
use simulator_wire::Effect;
use stories::World;

use crate::{
    fixtures::{HOUR, MINUTE, always, ana, ana_wrote, answer, berta, goes_by, post_all_again},
    open_chat::{call, file},
};

const DAY: Duration = Duration::from_secs(86_400);

/// The operator asks; the code.
pub(crate) async fn operator_asks(world: &World, word: Value) -> String {
    world.operator(word).await.unwrap()["code"].as_str().unwrap().to_owned()
}

/// What the public page says as JSON.
pub(crate) async fn state(world: &World, code: &str) -> Value {
    let (status, body) =
        call("GET", &world.url(), &format!("/deletion/{code}"), &[("accept", "application/json")], b"").await;
    if status == 200 { serde_json::from_str(&body).unwrap() } else { json!(status) }
}

pub(crate) async fn is_done(world: &World, code: &str) -> bool {
    state(world, code).await == json!({ "state": "done", "days_left": 0 })
}

/// Works until the request is done, for at most twenty minutes.
pub(crate) async fn done(world: &World, code: &str) {
    for _ in 0..600 {
        world.work().await.unwrap();
        if is_done(world, code).await {
            return;
        }
        world.pass(Duration::from_secs(2));
    }
    panic!("it is not done: {} {:?}", state(world, code).await, world.dead_letters("inbound"));
}

/// All items of the table, sorted.
pub(crate) async fn items(world: &World) -> Vec<String> {
    let environment = world.stage.operator();
    let aws = platform::aws::Aws::from_env(environment).unwrap();
    let page = aws.dynamodb.scan().table_name(world.stage.table().unwrap()).send().await.unwrap();
    let mut items: Vec<String> = page
        .items()
        .iter()
        .map(|item| {
            let mut parts: Vec<String> = item.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
            // The key last.
            parts.sort_by_key(|part| (part.starts_with("pk=") || part.starts_with("sk="), part.clone()));
            parts.join(" ")
        })
        .collect();
    items.sort();
    items
}

/// A value as one text, whatever order its map happens to have.
fn plain(value: &AttributeValue) -> String {
    match value {
        AttributeValue::M(members) => {
            let sorted: BTreeMap<&String, String> = members.iter().map(|(name, value)| (name, plain(value))).collect();
            format!("{sorted:?}")
        }
        AttributeValue::L(list) => format!("{:?}", list.iter().map(plain).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

/// Both have written, been answered and sent a file.
pub(crate) async fn two_customers(world: &World) -> (Customer, Customer) {
    let (ana, berta) = (ana(world), berta(world));
    acquaint(world, &ana, "Ana").await;
    acquaint(world, &berta, "Berta").await;
    (ana, berta)
}

async fn acquaint(world: &World, customer: &Customer, name: &str) {
    customer.writes("hola").await.unwrap();
    customer.sends_file("image", b"png".to_vec(), "image/png", None, Some("mi ine")).await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation(name).unwrap();
    let agent = world.chatwoot.agent("Sofía");
    agent.replies(conversation, "buenas").await;
    agent.sends_files(conversation, None, vec![file("a.pdf", "application/pdf", b"pdf")]).await;
    world.work().await.unwrap();
    for bubble in customer.received() {
        customer.status(&bubble.wamid, "read", None).await;
    }
    world.work().await.unwrap();
}

/// The key of an item, which stands at its end.
fn key(item: &str) -> &str {
    &item[item.find(" pk=").unwrap()..]
}

#[tokio::test]
async fn a_person_is_gone_from_every_place_and_the_other_untouched_to_the_byte() {
    let world = World::start().await.unwrap();
    let nobodys = items(&world).await;
    let (ana, berta) = (ana(&world), berta(&world));
    acquaint(&world, &berta, "Berta").await;
    // While nobody else has done anything, whatever is there is hers or the channel's.
    let hers: Vec<String> = items(&world).await.iter().map(|item| key(item).to_owned()).collect();
    assert!(hers.len() > nobodys.len() + 15, "{}", hers.len());
    acquaint(&world, &ana, "Ana").await;
    let before = items(&world).await;
    let berta_before = (world.agent_reads("Berta"), world.chatwoot.contacts().len());
    let code = operator_asks(&world, json!({ "phone": "+52 1 55 5555 0123" })).await;
    assert_eq!(state(&world, &code).await, json!({ "state": "received", "days_left": 30 }));
    done(&world, &code).await;

    assert!(world.conversation("Ana").is_err());
    assert_eq!((world.agent_reads("Berta"), world.chatwoot.contacts().len() + 1), berta_before);
    let after = items(&world).await;
    let erased: Vec<&String> = before.iter().filter(|item| !after.contains(item)).collect();
    let added: Vec<&String> = after.iter().filter(|item| !before.contains(item)).collect();
    assert!(erased.len() >= 13, "{}", erased.len());
    let touched: Vec<_> = erased.iter().filter(|item| hers.iter().any(|hers| hers == key(item))).collect();
    assert!(touched.is_empty(), "{touched:?}");
    let counters: Vec<_> = erased.iter().filter(|item| item.contains("counter#")).collect();
    assert!(counters.is_empty(), "{counters:?}");
    for item in added {
        let own = ["erasure#", "request#", "tombstone#", "claim#"];
        assert!(own.iter().any(|prefix| item.contains(&format!("pk=S(\"{prefix}"))), "{item}");
        assert!(!item.contains("5550123") && !item.contains("MX."), "{item}");
    }
    assert_eq!(world.meta.contact_book_deletions(), [ana.user_id()]);
}

#[tokio::test]
async fn whatever_is_delivered_again_stays_away_and_what_is_newer_starts_clean() {
    let world = World::start().await.unwrap();
    let (ana, _) = two_customers(&world).await;
    let code = operator_asks(&world, json!({ "phone": "525555550123" })).await;
    done(&world, &code).await;
    let before = (items(&world).await, world.chatwoot.contacts().len(), world.meta.requests().len());
    post_all_again(&world).await;
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(world.conversation("Ana").is_err());
    assert_eq!(world.chatwoot.contacts().len(), before.1);
    let key = |item: &String| item.split_once(" pk=").map(|(_, key)| key.to_owned()).unwrap_or(item.clone());
    let known: Vec<String> = before.0.iter().map(key).collect();
    for new in items(&world).await.iter().map(key).filter(|new| !known.contains(new)) {
        assert!(["claim#", "counter#", "dropped", "round#", "watch#"].iter().any(|own| new.contains(own)), "{new}");
    }
    // Claims do not live for ever; tombstones live longer than Meta repeats.
    world.pass(16 * DAY);
    post_all_again(&world).await;
    world.work().await.unwrap();
    assert!(world.conversation("Ana").is_err());
    assert_eq!(world.dead_letters("inbound"), vec![]);

    ana.writes("hola otra vez").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola otra vez"]);
}

#[tokio::test]
async fn twice_asked_is_once_and_nobody_learns_who_is_a_customer() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    assert_eq!(operator_asks(&world, json!({ "phone": "52 55 5555 0123" })).await, code);
    assert_eq!(operator_asks(&world, json!({ "user_id": ana.user_id() })).await, code);
    let stranger = operator_asks(&world, json!({ "phone": "+5215599999999" })).await;
    assert_eq!(state(&world, &stranger).await, state(&world, &code).await);
    done(&world, &code).await;
    done(&world, &stranger).await;
    assert_eq!(operator_asks(&world, json!({ "phone": "+5215555550123" })).await, code);
    assert_eq!(operator_asks(&world, json!({ "phone": "+5215599999999" })).await, stranger);
    // Somebody who came back is somebody new.
    ana.writes("hola").await.unwrap();
    world.later(MINUTE).await.unwrap();
    let again = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    assert_ne!(again, code);
    done(&world, &again).await;
    assert!(world.conversation("Ana").is_err());
    for word in [json!({}), json!({ "phone": "12" }), json!({ "user_id": "" }), json!({ "phone": 5 }), json!([])] {
        assert!(world.operator(word.clone()).await.is_err(), "{word}");
    }
}

#[tokio::test]
async fn what_waits_while_chatwoot_is_down_is_dropped_and_the_erasure_waits_for_29_days() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.server().refuse().await;
    ana.writes("mi clave es 123").await.unwrap();
    world.later(MINUTE).await.unwrap();
    let code = operator_asks(&world, json!({ "user_id": ana.user_id() })).await;
    goes_by(&world, 2 * HOUR, 15 * MINUTE).await;
    assert_eq!(world.queued("inbound"), 0, "what waited is gone, and the mark behind it");
    assert_eq!(state(&world, &code).await, json!({ "state": "waiting", "days_left": 30 }));
    for _ in 0..28 {
        world.later(DAY).await.unwrap();
        let _ = world.retention().await;
        world.work().await.unwrap();
    }
    let waiting = state(&world, &code).await;
    assert_eq!(waiting["state"], "waiting");
    world.chatwoot.server().accept().unwrap();
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(is_done(&world, &code).await, "{}", state(&world, &code).await);
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    assert_eq!(receipt["receipt"]["breached_at"], json!(null));
    assert_eq!(
        receipt["receipt"]["places"][0],
        json!({ "place": "inbound_queue", "found": 1, "erased": 1,
        "verified_at": receipt["receipt"]["places"][0]["verified_at"],
        "method": receipt["receipt"]["places"][0]["method"], "verification": receipt["receipt"]["places"][0]["verification"] })
    );
}

#[tokio::test]
async fn after_31_days_it_is_a_breach_that_the_receipt_tells() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    world.chatwoot.faults().add(always("DELETE", "/", answer(503)));
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    world.work().await.unwrap();
    // In one move: what waited in the queue is not there any more.
    world.pass(31 * DAY);
    let report = world.retention().await.unwrap();
    assert_eq!((report.open, report.breached), (1, 1));
    world.work().await.unwrap();
    assert_eq!(state(&world, &code).await, json!({ "state": "failed", "days_left": 0 }));
    assert!(world.operator(json!({ "receipt": code })).await.is_err());
    world.chatwoot.faults().clear();
    goes_by(&world, 3 * HOUR, 15 * MINUTE).await;
    assert!(is_done(&world, &code).await);
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    assert!(receipt["receipt"]["breached_at"].is_number());
}

#[tokio::test]
async fn chatwoot_may_fail_at_each_step_and_it_is_never_done_by_half() {
    for (method, path) in [
        ("DELETE", "/conversations/"),
        ("DELETE", "/contacts/"),
        ("GET", "/conversations/"),
        ("GET", "/contacts/"),
        ("POST", "/contacts/filter"),
        ("POST", "/contact_inboxes/filter"),
    ] {
        for effect in [answer(500), answer(429), answer(401), Effect::DropBefore, Effect::DropAfter] {
            let world = World::start().await.unwrap();
            ana_wrote(&world).await;
            world.chatwoot.delay_deletions(Duration::from_secs(90));
            // What is done though nobody hears of it is found to be done.
            let done_all_the_same = method == "DELETE" && matches!(effect, Effect::DropAfter);
            world.chatwoot.faults().add(always(method, path, effect));
            let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
            goes_by(&world, 10 * MINUTE, MINUTE).await;
            if !done_all_the_same {
                assert!(!is_done(&world, &code).await, "{method} {path}");
            }
            world.chatwoot.faults().clear();
            goes_by(&world, HOUR, 5 * MINUTE).await;
            assert!(is_done(&world, &code).await, "{method} {path}: {}", state(&world, &code).await);
            assert_eq!((world.chatwoot.contacts().len(), world.chatwoot.conversations().len()), (0, 0));
        }
    }
}

#[tokio::test]
async fn it_goes_on_wherever_the_function_dies() {
    let (mut n, mut lives) = (0, 0);
    while lives < 2 {
        let world = World::start().await.unwrap();
        two_customers(&world).await;
        let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
        let died = world.erase_killed(n).await.unwrap();
        goes_by(&world, HOUR, 6 * MINUTE).await;
        assert!(is_done(&world, &code).await, "await {n}: {}", state(&world, &code).await);
        assert!(world.conversation("Ana").is_err() && world.conversation("Berta").is_ok(), "await {n}");
        let left: Vec<String> = items(&world).await.into_iter().filter(|item| item.contains("5550123")).collect();
        assert!(left.is_empty(), "await {n}: {left:?}");
        lives = if died { 0 } else { lives + 1 };
        n += 7;
    }
    assert!(n > 70, "only {n} moments to die at");
}

#[tokio::test]
async fn dead_letters_of_the_person_go_and_those_of_others_stay() {
    let world = World::start().await.unwrap();
    let contacts = |name: &str, phone: &str| json!({"profile": {"name": name}, "wa_id": phone});
    let thread =
        |phone: &str| json!({"id": phone, "messages": [{"from": phone, "id": "x", "text": {"body": "secreto"}}]});
    let history = crate::fixtures::body(
        "unheard_of",
        &json!({"contacts": [contacts("Ana", "5215555550123")],
            "history": [{"metadata": {"phase": 0}, "threads": [thread("5215555550123"), thread("5215555550124")]}]}),
    );
    crate::fixtures::post(&world, &history).await;
    for phone in ["5215555550123", "5215555550124"] {
        let sync = json!({"state_sync": [{"type": "contact", "contact": {"full_name": "Ana", "phone_number": phone}}]});
        crate::fixtures::post(&world, &crate::fixtures::body("as_new", &sync)).await;
    }
    world.work().await.unwrap();
    let before = world.dead_letters("inbound");
    assert_eq!(before.len(), 3);
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    let after: Vec<String> = world.dead_letters("inbound").into_iter().map(|(_, body)| body).collect();
    assert!(after.iter().all(|body| !body.contains("5215555550123")), "{after:?}");
    assert!(after.iter().filter(|body| body.contains("5215555550124")).count() == 2, "{after:?}");
    // The same bodies once more: what is said of others is kept, of her nothing.
    world.pass(16 * DAY);
    post_all_again(&world).await;
    crate::fixtures::post(&world, &history).await;
    world.work().await.unwrap();
    let again: Vec<String> = world.dead_letters("inbound").into_iter().map(|(_, body)| body).collect();
    assert!(again.iter().all(|body| !body.contains("5215555550123")), "{again:?}");
    assert!(again.iter().any(|body| body.contains("5215555550124")));
}

#[tokio::test]
async fn an_agent_who_writes_to_somebody_erased_is_told_so_in_words() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    let agent = world.chatwoot.agent("Sofía");
    let contact = agent.adds_contact("Ana", Some("+5215555550123")).await;
    agent.starts_conversation(contact, 14, "hola Ana").await;
    world.work().await.unwrap();
    let read = world.agent_reads("Ana");
    assert!(read[0].contains("esta persona pidió borrar sus datos"), "{read:?}");
    assert!(world.meta.requests().is_empty());
}
