//! An erasure and what is on its way: queues, dead letters, what comes while it is underway.

use std::time::Duration;

use serde_json::{Value, json};
use stories::World;

use crate::{
    erasure::{done, is_done, operator_asks, state},
    fixtures::{HOUR, MINUTE, always, ana, ana_wrote, answer, berta, body, goes_by, post, profile, text},
};

const ANA: &str = "5215555550123";

const DAY: Duration = Duration::from_secs(86_400);

/// Ana speaks in a group.
fn in_a_group(wamid: &str, words: &str) -> Value {
    let mut message = text(ANA, wamid, 1_795_190_400, words);
    message["group_id"] = json!("Y2FwaV9ncm91cDoxNzA1NTU1MDEyMzk6MTIwMzYzN");
    body("messages", &json!({ "contacts": [profile("Ana", ANA)], "messages": [message] }))
}

/// How often what waits on its way in was received.
fn receives(world: &World) -> u64 {
    let dump = world.stage.aws.dump_queues();
    let queues = dump["queues"].as_array().unwrap().iter();
    let inbound = queues.filter(|queue| queue["name"].as_str().unwrap().ends_with("inbound.fifo"));
    let letters = inbound.flat_map(|queue| queue["in_flight"].as_array().unwrap());
    letters.map(|letter| letter["receive_count"].as_u64().unwrap()).max().unwrap_or_default()
}

/// What the phone app's contact book says of somebody: no task of ours yet, and so a dead letter.
fn synced(phone: &str, note: &str) -> Value {
    let contact = json!({ "full_name": "Alguien", "phone_number": phone, "note": note });
    body("unheard_of", &json!({ "state_sync": [{ "type": "contact", "contact": contact }] }))
}

fn dead(world: &World) -> Vec<String> {
    world.dead_letters("inbound").into_iter().map(|(_, body)| body).collect()
}

#[tokio::test]
async fn dead_letters_behind_others_and_cut_ones_are_found_and_the_others_stay() {
    let world = World::start().await.unwrap();
    // All of a number are in one group, of which a queue shows ten.
    for at in 0..12 {
        post(&world, &synced(&format!("52155555502{at:02}"), "")).await;
    }
    // Two letters in two pieces each: who it is about stands in the last one only.
    let long = "x".repeat(800 * 1024);
    for phone in [ANA, "5215555550124"] {
        post(&world, &body("new_field", &json!({ "padding": long, "who": phone }))).await;
    }
    post(&world, &synced(ANA, "")).await;
    for at in 12..24 {
        post(&world, &synced(&format!("52155555502{at:02}"), "")).await;
    }
    world.work().await.unwrap();
    let before = dead(&world);
    assert_eq!(before.len(), 12 + 4 + 1 + 12);
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    done(&world, &code).await;

    let after = dead(&world);
    assert!(after.iter().all(|letter| !letter.contains(ANA)));
    let mut others: Vec<&String> = before.iter().filter(|letter| letter.contains("52155555502")).collect();
    let mut kept: Vec<&String> = after.iter().filter(|letter| letter.contains("52155555502")).collect();
    others.sort();
    kept.sort();
    assert!(others == kept && kept.len() == 24, "the letters of others are what they were: {}", kept.len());
    assert_eq!(after.len(), 24 + 2, "and so is the other cut letter");
    assert!(after.iter().any(|letter| letter.contains("5215555550124")));
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    let place = receipt["receipt"]["places"].as_array().unwrap().iter().find(|place| place["place"] == "dead_letters");
    assert_eq!(place.unwrap()["found"], 2);
}

#[tokio::test]
async fn a_letter_an_erasure_puts_in_again_is_kept_no_longer_for_it() {
    let world = World::start().await.unwrap();
    // More than a queue shows of a group, so that they have to be put in again; and one that tells of three people.
    for at in 0..12 {
        post(&world, &synced(&format!("52155555502{at:02}"), "")).await;
    }
    let three =
        json!({ "object": "?", "of": [{ "from": ANA }, { "from": "5215555550124" }, { "from": "5215555550299" }] });
    assert_eq!(world.meta.post(three.to_string().as_bytes()).await.unwrap(), 200);
    world.work().await.unwrap();
    // Each erasure puts in again what it keeps, and cuts one of the three out.
    for (days, phone) in [(6, ANA), (6, "5215555550124")] {
        world.pass(days * DAY);
        let code = operator_asks(&world, json!({ "phone": phone })).await;
        done(&world, &code).await;
        assert!(dead(&world).iter().all(|letter| !letter.contains(phone)));
    }
    world.pass(47 * HOUR);
    world.retention().await.unwrap();
    world.work().await.unwrap();
    let kept = dead(&world);
    assert_eq!(kept.len(), 12 + 1, "{kept:?}");
    assert!(kept.iter().any(|letter| letter.contains("5215555550299")));
    world.pass(HOUR);
    world.retention().await.unwrap();
    world.work().await.unwrap();
    assert_eq!(dead(&world), Vec::<String>::new());
}

#[tokio::test]
async fn what_the_person_writes_while_an_erasure_is_stuck_waits_and_is_not_given_up() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.faults().add(always("DELETE", "/", answer(503)));
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    world.later(MINUTE).await.unwrap();
    ana.writes("ya no, mejor coticen").await.unwrap();
    goes_by(&world, HOUR, 5 * Duration::from_secs(1)).await;
    assert!((2..20).contains(&receives(&world)), "SQS gives up after a thousand: {}", receives(&world));
    world.chatwoot.faults().clear();
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(is_done(&world, &code).await);
    assert_eq!(world.agent_reads("Ana"), ["Ana: ya no, mejor coticen"]);
    assert_eq!(dead(&world).len(), 0);
}

#[tokio::test]
async fn what_would_grow_too_old_for_its_queue_is_set_aside_with_a_reason() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.faults().add(always("DELETE", "/", answer(503)));
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    world.later(MINUTE).await.unwrap();
    ana.writes("¿siguen ahí?").await.unwrap();
    goes_by(&world, 13 * DAY, 6 * HOUR).await;
    let letters = world.dead_letters("inbound");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].0, "erasure_takes_too_long");
    assert!(letters[0].1.contains("¿siguen ahí?"));
    assert_eq!(world.queued("inbound"), 0);
    assert!(!is_done(&world, &code).await);
}

#[tokio::test]
async fn what_waits_for_meta_alone_holds_nobody_up() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    ana.sends_file("image", b"png".to_vec(), "image/png", None, None).await.unwrap();
    world.work().await.unwrap();
    world.meta.faults().add(always("DELETE", "/", answer(503)));
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    goes_by(&world, 5 * MINUTE, 10 * Duration::from_secs(1)).await;
    ana.writes("hola de nuevo").await.unwrap();
    world.work().await.unwrap();
    assert!(!is_done(&world, &code).await, "{}", state(&world, &code).await);
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola de nuevo"]);
    world.meta.faults().clear();
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(is_done(&world, &code).await);
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola de nuevo"]);
}

#[tokio::test]
async fn an_id_that_was_only_learnt_from_what_was_dropped_is_free_again_afterwards() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    // Nobody knows more of her than her phone; what waits has her user id, too.
    ana.writes("espera").await.unwrap();
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    assert!(world.erase_once().await.unwrap());
    done(&world, &code).await;
    assert!(world.chatwoot.contacts().is_empty());
    world.pass(MINUTE);
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
    world.later(MINUTE).await.unwrap();
    let again = operator_asks(&world, json!({ "phone": ANA })).await;
    assert_ne!(again, code);
}

#[tokio::test]
async fn no_erasure_is_done_while_a_status_or_a_command_waits() {
    for (method, queue) in [("PATCH", "inbound"), ("GET", "outbound")] {
        let world = World::start().await.unwrap();
        let (ana, conversation) = ana_wrote(&world).await;
        let agent = world.chatwoot.agent("Sofía");
        agent.replies(conversation, "buenas").await;
        world.work().await.unwrap();
        world.chatwoot.faults().add(always(method, "/messages", answer(503)));
        if method == "PATCH" {
            ana.status(&ana.phone().pop().unwrap().wamid, "read", None).await;
        } else {
            agent.notes(conversation, "/ayuda").await;
        }
        goes_by(&world, 10 * MINUTE, MINUTE / 2).await;
        assert!(world.queued(queue) > 0, "{queue}");
        world.chatwoot.faults().clear();
        let code = operator_asks(&world, json!({ "phone": ANA })).await;
        for _ in 0..200 {
            world.later(5 * Duration::from_secs(1)).await.unwrap();
            if is_done(&world, &code).await {
                break;
            }
        }
        assert!(is_done(&world, &code).await, "{queue}: {}", state(&world, &code).await);
        assert_eq!((world.queued("inbound"), world.queued("outbound")), (0, 0), "{queue}");
    }
}

#[tokio::test]
async fn in_a_group_somebody_erased_is_not_heard_again_and_the_others_are() {
    let world = World::start().await.unwrap();
    berta(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    world.chatwoot.faults().add(always("POST", "/messages", answer(503)));
    post(&world, &in_a_group("wamid.g1", "¿a qué hora?")).await;
    world.work().await.unwrap();
    let mut unknown = in_a_group("wamid.g2", "mi dirección");
    unknown["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!("999");
    post(&world, &unknown).await;
    world.work().await.unwrap();
    assert_eq!(dead(&world).len(), 1);
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    done(&world, &code).await;
    world.chatwoot.faults().clear();
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert_eq!(dead(&world).len(), 0);
    post(&world, &in_a_group("wamid.g1", "¿a qué hora?")).await;
    let mut other = in_a_group("wamid.g3", "a las 7");
    let value = &mut other["entry"][0]["changes"][0]["value"];
    value["contacts"] = json!([profile("Berta", "5215555550124")]);
    value["messages"][0]["from"] = json!("5215555550124");
    post(&world, &other).await;
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert_eq!(world.agent_reads("Grupo de WhatsApp"), ["Grupo de WhatsApp: Berta: a las 7"]);
}

#[tokio::test]
async fn what_nobody_could_read_does_not_come_back_past_the_barrier() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let broken = format!("{{\"object\":\"whatsapp\",\"entry\":[{{\"from\":\"{ANA}\",\"text\":\"secreto\"");
    let long = "secreto ".repeat(150_000);
    let large = body("messages", &json!({ "messages": [text(ANA, "wamid.L", 1_795_190_400, &long)] }));
    let about = |who: &str| {
        let thread = json!({ "id": who, "messages": [{ "from": who, "text": { "body": long } }] });
        body("unheard_of", &json!({ "history": [{ "threads": [thread, { "id": "5215555550124" }] }] }))
    };
    let again = async || {
        assert_eq!(world.meta.post(broken.as_bytes()).await.unwrap(), 200);
        for large in [&large, &about(ANA)] {
            assert_eq!(post(&world, large).await, 200);
        }
        world.work().await.unwrap();
    };
    again().await;
    assert!(dead(&world).len() >= 5, "{}", dead(&world).len());
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    done(&world, &code).await;
    let rest = dead(&world).len();
    assert_eq!(rest, 1, "what the chunk says of somebody else");
    again().await;
    let letters = dead(&world);
    assert_eq!(letters.len(), rest + 1);
    assert!(letters.iter().all(|letter| !letter.contains("secreto") && !letter.contains(ANA)), "{letters:?}");
    // What it says of others is not lost with it.
    let both = json!({ "object": "?", "of": [{ "from": ANA, "text": "secreto" }, { "from": "5215555550124", "text": "hola" }] });
    assert_eq!(world.meta.post(both.to_string().as_bytes()).await.unwrap(), 200);
    world.work().await.unwrap();
    let last = dead(&world).pop().unwrap();
    assert!(last.contains("hola") && !last.contains("secreto"), "{last}");
    let rest = rest + 1;
    // A newer one, of whatever length, is a letter like any other.
    world.pass(MINUTE);
    ana.writes(&"x".repeat(1_200_000)).await.unwrap();
    world.work().await.unwrap();
    assert_eq!(dead(&world).len(), rest + 1 + 2);
}
