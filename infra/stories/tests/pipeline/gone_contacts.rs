//! A contact that somebody deleted in Chatwoot is erased, and nothing that was still on its way goes with it, whoever notices it and
//! whichever of `forward` and `erasure` is faster.

use std::time::Duration;

use domain::Clock as _;
use serde_json::json;
use simulator_meta::Customer;
use simulator_wire::Fault;
use stories::{COEXISTENCE_CHANNEL, World};

use crate::{
    erasure::{done, items, operator_asks},
    erasure_doors::code_in,
    fixtures::{HOUR, MINUTE, always, ana, ana_wrote, answer, body, calls, goes_by, post, profile, text},
};

const SECOND: Duration = Duration::from_secs(1);

/// Who is in whose conversation.
fn contact_of(world: &World, conversation: i64) -> i64 {
    world.chatwoot.conversations().into_iter().find(|one| one.id == conversation).unwrap().contact_id
}

/// Ana has written, and an agent deletes her contact.
async fn ana_is_deleted(world: &World) -> (Customer, i64) {
    let (ana, conversation) = ana_wrote(world).await;
    world.pass(MINUTE);
    world.chatwoot.agent("Sofía").deletes_contact(contact_of(world, conversation)).await;
    (ana, conversation)
}

/// What agents read of Ana, and that nothing of hers is anywhere else: not in a queue, and not under who she was.
async fn starts_clean(world: &World, lines: &[&str]) {
    assert_eq!(world.agent_reads("Ana"), lines, "{:?}", world.dead_letters("inbound"));
    assert_eq!((world.queued("inbound"), world.dead_letters("inbound")), (0, vec![]));
    let ids: Vec<Option<String>> = world.chatwoot.contacts().into_iter().map(|contact| contact.identifier).collect();
    let [Some(id)] = &ids[..] else { panic!("{ids:?}") };
    let customers: Vec<String> =
        items(world).await.into_iter().filter(|item| item.contains("customer=S(\"") && !item.contains(id)).collect();
    assert!(customers.is_empty(), "{customers:?}");
}

#[tokio::test]
async fn what_wakes_an_erasure_comes_in_clean_whichever_function_is_faster() {
    for erasure_first in [false, true] {
        let world = World::start().await.unwrap();
        let (ana, _) = ana_is_deleted(&world).await;
        ana.writes("¿sigue en venta?").await.unwrap();
        ana.writes("la azul").await.unwrap();
        world.calm().await;
        world.forward_once().await.unwrap();
        // What comes while nobody has looked yet, and once somebody has.
        world.pass(SECOND);
        ana.sends_file("image", b"png".to_vec(), "image/png", None, Some("esta")).await.unwrap();
        world.calm().await;
        for _ in 0..60 {
            if erasure_first {
                while world.erase_once().await.unwrap() {}
                world.forward_once().await.unwrap();
            } else {
                while world.forward_once().await.unwrap() {}
                world.erase_once().await.unwrap();
            }
            world.pass(SECOND);
        }
        goes_by(&world, 5 * MINUTE, 5 * SECOND).await;
        let lines = ["Ana: ¿sigue en venta?", "Ana: la azul", "Ana: esta [image.png]"];
        starts_clean(&world, &lines).await;
    }
}

#[tokio::test]
async fn an_erasure_that_begins_before_forward_has_barred_anybody_spares_what_woke_it() {
    // `forward` dies at every moment, and `erasure` goes through before it comes back.
    for awaits in 1.. {
        let world = World::start().await.unwrap();
        let (ana, _) = ana_is_deleted(&world).await;
        ana.sends_file("image", b"png".to_vec(), "image/png", None, Some("esta")).await.unwrap();
        world.calm().await;
        let killed = world.forward_killed(awaits * 7).await.unwrap();
        for _ in 0..30 {
            while world.erase_once().await.unwrap() {}
            world.pass(SECOND);
        }
        goes_by(&world, 40 * MINUTE, MINUTE).await;
        starts_clean(&world, &["Ana: esta [image.png]"]).await;
        if !killed {
            assert!(awaits > 5, "{awaits}");
            return;
        }
    }
}

#[tokio::test]
async fn an_older_message_that_comes_last_spares_no_file_of_what_stood() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let older = world.clock.now().as_secs() + 30;
    world.pass(MINUTE);
    ana.sends_file("image", b"png".to_vec(), "image/png", None, Some("mi ine")).await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.meta.media_held(), 1);
    world.chatwoot.agent("Sofía").deletes_contact(contact_of(&world, conversation)).await;
    world.pass(MINUTE);
    // It was sent before the file, and comes after.
    let message = text("5215555550123", "wamid.older", older, "¿aceptan visa?");
    let members = json!({"contacts": [profile("Ana", "5215555550123")], "messages": [message]});
    assert_eq!(post(&world, &body("messages", &members)).await, 200);
    // So does one with a file, which is newer than what stood.
    ana.sends_file("image", b"png".to_vec(), "image/png", None, Some("esta")).await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, 10 * MINUTE, 5 * SECOND).await;
    starts_clean(&world, &["Ana: ¿aceptan visa?", "Ana: esta [image.png]"]).await;
    assert_eq!(world.meta.media_held(), 1, "the file of what stood is gone, that of the new life is there");
    let receipts: Vec<String> =
        items(&world).await.into_iter().filter(|item| item.contains("sk=S(\"receipt\")")).collect();
    let [receipt] = &receipts[..] else { panic!("{receipts:?}") };
    assert!(receipt.contains("meta_media"), "{receipt}");
}

#[tokio::test]
async fn an_echo_wakes_an_erasure_and_is_not_erased_by_it() {
    let world = World::start().await.unwrap();
    let ana = ana(&world).at(COEXISTENCE_CHANNEL);
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    world.pass(MINUTE);
    world.chatwoot.agent("Sofía").deletes_contact(contact_of(&world, conversation)).await;
    world.meta.echo(&ana, "Ya llegó su moto").await.unwrap();
    goes_by(&world, 5 * MINUTE, 5 * SECOND).await;
    let conversations = world.chatwoot.conversations();
    let [only] = &conversations[..] else { panic!("{conversations:?}") };
    assert!(only.id != conversation);
    let said: Vec<String> = world.chatwoot.messages(only.id).into_iter().map(|message| message.content).collect();
    assert_eq!(said, ["Ya llegó su moto"]);
}

#[tokio::test]
async fn what_waited_for_chatwoot_on_two_numbers_survives_the_deletion_that_came_meanwhile() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let workshop = ana.at(COEXISTENCE_CHANNEL);
    workshop.writes("taller").await.unwrap();
    world.later(MINUTE).await.unwrap();
    world.chatwoot.faults().add(Fault { method: None, ..always("", "/api/v1", answer(503)) });
    workshop.writes("¿está lista?").await.unwrap();
    world.later(MINUTE).await.unwrap();
    ana.writes("¿y la azul?").await.unwrap();
    world.later(MINUTE).await.unwrap();
    world.chatwoot.agent("Sofía").deletes_contact(contact_of(&world, conversation)).await;
    world.pass(HOUR);
    world.chatwoot.faults().clear();
    goes_by(&world, HOUR, MINUTE).await;
    let mut said: Vec<String> = world
        .chatwoot
        .conversations()
        .into_iter()
        .flat_map(|one| world.chatwoot.messages(one.id))
        .map(|message| message.content)
        .collect();
    said.sort();
    assert_eq!(said, ["¿está lista?", "¿y la azul?"]);
}

#[tokio::test]
async fn a_message_that_is_on_its_way_while_the_daily_run_notices_is_not_erased() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_is_deleted(&world).await;
    ana.writes("sigo aquí").await.unwrap();
    world.calm().await;
    world.pass(MINUTE);
    assert_eq!(world.retention().await.unwrap().gone, 1);
    for _ in 0..30 {
        while world.erase_once().await.unwrap() {}
        world.pass(SECOND);
    }
    goes_by(&world, 5 * MINUTE, 5 * SECOND).await;
    starts_clean(&world, &["Ana: sigo aquí"]).await;
}

#[tokio::test]
async fn rows_that_wait_for_chatwoot_s_own_job_hold_up_nobody_even_if_it_never_comes() {
    for delay in [2 * MINUTE, 365 * 24 * HOUR] {
        let world = World::start().await.unwrap();
        world.chatwoot.delay_deletions(delay);
        let (ana, _) = ana_is_deleted(&world).await;
        ana.writes("¿sigue en venta?").await.unwrap();
        world.work().await.unwrap();
        // What Chatwoot took into the conversation that goes is not taken for delivered.
        ana.writes("la azul").await.unwrap();
        world.work().await.unwrap();
        world.chatwoot.delay_deletions(Duration::ZERO);
        goes_by(&world, 20 * MINUTE, 10 * SECOND).await;
        assert_eq!(world.agent_reads("Ana"), ["Ana: ¿sigue en venta?", "Ana: la azul"], "{delay:?}");
        assert_eq!((world.queued("inbound"), world.queued("erasure"), world.dead_letters("inbound").len()), (0, 0, 0));
    }
}

#[tokio::test]
async fn what_the_shop_wrote_is_not_lost_while_rows_wait_for_chatwoot_s_own_job() {
    for delay in [2 * MINUTE, 365 * 24 * HOUR] {
        let world = World::start().await.unwrap();
        let ana = ana(&world).at(COEXISTENCE_CHANNEL);
        ana.writes("hola").await.unwrap();
        world.work().await.unwrap();
        let conversation = world.conversation("Ana").unwrap();
        // Nothing tells beside the echo.
        let party = calls(&world, "GET", &format!("/conversations/{conversation}"));
        world.meta.echo(&ana, "Buenas").await.unwrap();
        world.work().await.unwrap();
        assert!(calls(&world, "GET", &format!("/conversations/{conversation}")) <= party + 2);
        world.pass(MINUTE);
        world.chatwoot.delay_deletions(delay);
        world.chatwoot.agent("Sofía").deletes_contact(contact_of(&world, conversation)).await;
        world.meta.echo(&ana, "Ya llegó su moto").await.unwrap();
        world.work().await.unwrap();
        world.chatwoot.delay_deletions(Duration::ZERO);
        goes_by(&world, 20 * MINUTE, 10 * SECOND).await;
        let conversations = world.chatwoot.conversations();
        let [only] = &conversations[..] else { panic!("{conversations:?}") };
        let said: Vec<String> = world.chatwoot.messages(only.id).into_iter().map(|message| message.content).collect();
        assert_eq!((only.id != conversation, said), (true, vec!["Ya llegó su moto".to_owned()]), "{delay:?}");
        assert_eq!((world.queued("inbound"), world.queued("erasure"), world.dead_letters("inbound").len()), (0, 0, 0));
    }
}

#[tokio::test]
async fn a_merged_contact_is_not_taken_for_a_deleted_one() {
    let world = World::start().await.unwrap();
    let agent = world.chatwoot.agent("Sofía");
    // An agent began, so that no id of ours leads to the conversation.
    let begun = agent.adds_contact("Ana", Some("+5215555550123")).await;
    let (conversation, _) = agent.starts_conversation(begun, 14, "Buenas").await;
    world.work().await.unwrap();
    let other = agent.adds_contact("Ana María", None).await;
    agent.merges(other, begun).await;
    assert_eq!(world.retention().await.unwrap().gone, 0);
    let ana = ana(&world);
    ana.writes("hola").await.unwrap();
    goes_by(&world, MINUTE, 5 * SECOND).await;
    assert!(world.chatwoot.messages(conversation).iter().any(|message| message.content == "hola"));
}

#[tokio::test]
async fn what_a_customer_writes_after_confirming_is_newer_even_in_the_same_second() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    ana.writes("BORRAR MIS DATOS").await.unwrap();
    world.later(MINUTE).await.unwrap();
    let code = code_in(&ana.heard().pop().unwrap());
    ana.writes("SÍ BORRAR").await.unwrap();
    ana.writes("otra pregunta").await.unwrap();
    world.calm().await;
    world.pass(MINUTE);
    ana.writes("¿hola?").await.unwrap();
    world.pass(10 * MINUTE);
    done(&world, &code).await;
    goes_by(&world, 5 * MINUTE, 5 * SECOND).await;
    starts_clean(&world, &["Ana: otra pregunta", "Ana: ¿hola?"]).await;
}

#[tokio::test]
async fn a_confirmation_whose_work_died_goes_with_what_it_confirmed() {
    for awaits in 1.. {
        let world = World::start().await.unwrap();
        let (ana, _) = ana_wrote(&world).await;
        ana.writes("BORRAR MIS DATOS").await.unwrap();
        world.later(MINUTE).await.unwrap();
        let code = code_in(&ana.heard().pop().unwrap());
        ana.writes("SÍ BORRAR").await.unwrap();
        world.calm().await;
        let killed = world.forward_killed(awaits * 9).await.unwrap();
        goes_by(&world, 40 * MINUTE, MINUTE).await;
        done(&world, &code).await;
        goes_by(&world, 2 * MINUTE, 20 * SECOND).await;
        assert!(world.conversation("Ana").is_err(), "{awaits}: {:?}", world.agent_reads("Ana"));
        if !killed {
            return;
        }
    }
}

#[tokio::test]
async fn a_label_s_request_that_a_message_hastens_spares_the_message() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let agent = world.chatwoot.agent("Sofía");
    agent.labels(conversation, &["borrar-datos"]).await;
    world.later(MINUTE).await.unwrap();
    agent.deletes_contact(contact_of(&world, conversation)).await;
    ana.writes("sigo aquí").await.unwrap();
    goes_by(&world, 5 * MINUTE, 5 * SECOND).await;
    starts_clean(&world, &["Ana: sigo aquí"]).await;
}

#[tokio::test]
async fn a_draft_and_a_conversation_s_attributes_go_before_the_conversation() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let agent = world.chatwoot.agent("Sofía");
    agent.drafts(conversation, "Ana, su dirección es Roble 7").await;
    agent.fills_in(conversation, "direccion", json!("Roble 7")).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    assert!(world.chatwoot.drafts().is_empty());
    let audits = world.chatwoot.audits();
    assert!(audits.len() >= 2 && audits.iter().all(|row| *row == json!({})), "{audits:?}");
    assert_eq!(calls(&world, "DELETE", "draft_messages"), 1);
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    assert!(receipt["receipt"]["outside"].to_string().contains("draft"), "{receipt}");
}
