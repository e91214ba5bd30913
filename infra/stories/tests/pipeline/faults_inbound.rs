//! On the way in, each call to the outside fails before, during and after its work, in each way a call can fail. Whatever
//! it is: nothing is lost, nothing doubled, nothing out of order, and nobody else waits.

use std::time::Duration;

use simulator_chatwoot::Limits;
use simulator_wire::{Effect, Fault};
use stories::World;

use crate::fixtures::{
    HOUR, MINUTE, always, ana, ana_wrote, answer, berta, body, counted, goes_by, once, patience, post, post_all_again,
    profile, rounds, source_ids, text,
};

/// Every way a call goes wrong. What hangs is in a story of its own: it costs real time.
fn ways() -> Vec<Effect> {
    let after = |status| Effect::AnswerAfter { status, content_type: "text/html".to_owned(), body: String::new() };
    let expired = r#"{"error":{"message":"Session has expired","type":"OAuthException","code":190}}"#;
    vec![
        Effect::DropBefore,
        Effect::DropAfter,
        answer(500),
        answer(429),
        answer(502),
        answer(401),
        after(502),
        after(500),
        Effect::Answer { status: 200, content_type: "text/html".to_owned(), body: "<html>login</html>".to_owned() },
        Effect::Answer { status: 401, content_type: "application/json".to_owned(), body: expired.to_owned() },
    ]
}

/// Where a call goes wrong: of a customer's first contact, or in a conversation that is there.
struct Place {
    method: &'static str,
    path: &'static str,
    skip: u32,
    at_meta: bool,
    first_contact: bool,
}

const fn chatwoot(method: &'static str, path: &'static str, skip: u32) -> Place {
    Place { method, path, skip, at_meta: false, first_contact: true }
}

const fn meta(path: &'static str) -> Place {
    Place { method: "GET", path, skip: 0, at_meta: true, first_contact: false }
}

/// A customer writes, sends a picture and writes again, and one call fails; then the same with the next way of failing.
async fn whatever_goes_wrong(place: &Place) {
    let world = World::start().await.unwrap();
    let berta = berta(&world);
    berta.writes("hola").await.unwrap();
    world.work().await.unwrap();
    for (at, effect) in ways().into_iter().enumerate() {
        let name = format!("Ana {at}");
        let ana = world.meta.customer(&name, &format!("52155555502{at:02}"));
        let mut expected = Vec::new();
        if !place.first_contact {
            ana.writes("hola").await.unwrap();
            world.work().await.unwrap();
            expected.push(format!("{name}: hola"));
        }
        let path = match world.chatwoot.conversation_of(&name) {
            Some(conversation) => place.path.replace("{}", &conversation.to_string()),
            None => place.path.to_owned(),
        };
        let fault = Fault { skip: place.skip, ..once(place.method, &path, effect.clone()) };
        let faults = if place.at_meta { world.meta.faults() } else { world.chatwoot.faults() };
        faults.add(fault);
        ana.writes("uno").await.unwrap();
        ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, Some("dos")).await.unwrap();
        ana.writes("tres").await.unwrap();
        world.work().await.unwrap();
        assert!(faults.list().is_empty(), "the call never came");
        berta.writes(&format!("b{at}")).await.unwrap();
        world.work().await.unwrap();
        assert_eq!(world.agent_reads("Berta").pop().unwrap(), format!("Berta: b{at}"), "{effect:?}");
        goes_by(&world, 10 * MINUTE, MINUTE).await;
        expected.extend(["uno", "dos [image.jpg]", "tres"].map(|text| format!("{name}: {text}")));
        assert_eq!(world.agent_reads(&name), expected, "{effect:?}");
    }
    let people = ways().len() + 1;
    assert_eq!((world.chatwoot.contacts().len(), world.chatwoot.conversations().len()), (people, people));
    assert_eq!(world.dead_letters("inbound"), []);
    world.pass(HOUR);
    let before = source_ids(&world).len();
    post_all_again(&world).await;
    world.work().await.unwrap();
    assert_eq!(source_ids(&world).len(), before);
}

#[tokio::test]
async fn looking_for_the_contact_in_the_inbox_fails() {
    whatever_goes_wrong(&chatwoot("POST", "/contact_inboxes/filter", 0)).await;
}

#[tokio::test]
async fn looking_for_the_contact_by_our_id_or_phone_fails() {
    whatever_goes_wrong(&chatwoot("POST", "/contacts/filter", 0)).await;
    whatever_goes_wrong(&chatwoot("POST", "/contacts/filter", 1)).await;
}

#[tokio::test]
async fn making_the_contact_fails() {
    whatever_goes_wrong(&chatwoot("POST", "/contacts", 2)).await;
}

#[tokio::test]
async fn listing_the_conversations_fails() {
    whatever_goes_wrong(&chatwoot("GET", "/conversations", 0)).await;
}

#[tokio::test]
async fn opening_the_conversation_fails() {
    whatever_goes_wrong(&chatwoot("POST", "/conversations", 0)).await;
}

#[tokio::test]
async fn writing_a_text_fails() {
    whatever_goes_wrong(&Place { first_contact: false, ..chatwoot("POST", "/conversations/{}/messages", 0) }).await;
}

#[tokio::test]
async fn writing_the_file_fails() {
    whatever_goes_wrong(&Place { first_contact: false, ..chatwoot("POST", "/conversations/{}/messages", 1) }).await;
}

#[tokio::test]
async fn looking_whether_it_was_written_fails_too() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    for effect in ways() {
        let before = world.agent_reads("Ana").len();
        world.chatwoot.faults().add(once("POST", "/messages", Effect::DropAfter));
        world.chatwoot.faults().add(once("GET", "/messages", effect.clone()));
        ana.writes("¿sigue ahí?").await.unwrap();
        world.work().await.unwrap();
        goes_by(&world, 10 * MINUTE, MINUTE).await;
        assert_eq!(world.agent_reads("Ana").len(), before + 1, "{effect:?}");
        assert!(world.chatwoot.faults().list().is_empty());
    }
}

#[tokio::test]
async fn asking_meta_where_the_file_is_fails() {
    whatever_goes_wrong(&meta("/v25.0/")).await;
}

#[tokio::test]
async fn fetching_the_file_fails() {
    whatever_goes_wrong(&meta("/media/")).await;
}

#[tokio::test]
async fn chatwoot_is_down_for_two_days() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let berta = berta(&world);
    world.chatwoot.server().refuse().await;
    for n in 0..4 {
        ana.writes(&format!("a{n}")).await.unwrap();
        ana.sends_file("image", vec![n; 3000], "image/jpeg", None, None).await.unwrap();
        berta.writes(&format!("b{n}")).await.unwrap();
        world.work().await.unwrap();
        goes_by(&world, 12 * HOUR, 20 * MINUTE).await;
    }
    assert_eq!(world.dead_letters("inbound"), []);
    world.chatwoot.server().accept().unwrap();
    patience(&world).await;
    let both = (0..4).flat_map(|n| [format!("Ana: a{n}"), "Ana:  [image.jpg]".to_owned()]);
    let expected: Vec<_> = std::iter::once("Ana: hola".to_owned()).chain(both).collect();
    assert_eq!(world.agent_reads("Ana"), expected);
    assert_eq!(world.agent_reads("Berta"), (0..4).map(|n| format!("Berta: b{n}")).collect::<Vec<_>>());
    assert_eq!((world.dead_letters("inbound").len(), world.queued("inbound")), (0, 0));
    assert_eq!(counted(&world, "duplicate").await, 0);
}

#[tokio::test]
async fn after_a_long_outage_a_refusal_that_passes_costs_nothing() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.server().refuse().await;
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, Some("mi moto")).await.unwrap();
    ana.writes("¿la ve?").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, 8 * HOUR, 20 * MINUTE).await;
    // Chatwoot comes back, and has its limit of messages a minute: refusals that are over in a minute.
    world.chatwoot.server().accept().unwrap();
    world.chatwoot.faults().add(Fault { times: Some(2), ..always("POST", "/messages", answer(422)) });
    patience(&world).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: mi moto [image.jpg]", "Ana: ¿la ve?"]);
    assert_eq!(world.dead_letters("inbound"), []);
}

#[tokio::test]
async fn what_chatwoot_refuses_for_good_is_set_aside_with_a_reason_and_counted() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.faults().add(always("POST", "/messages", answer(422)));
    ana.writes("esto no").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, 2 * HOUR, 5 * MINUTE).await;
    world.chatwoot.faults().clear();
    ana.writes("esto sí").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: esto sí"]);
    let letters = world.dead_letters("inbound");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].0, "refused_by_chatwoot");
    assert!(letters[0].1.contains("esto no"));
    assert_eq!(counted(&world, "refused_refused_by_chatwoot").await, 1);
}

#[tokio::test]
async fn where_a_message_was_set_aside_the_agent_sees_a_line() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    // As often as is tried; what is refused is the message, and not everything.
    world.chatwoot.faults().add(Fault { times: Some(12), ..always("POST", "/messages", answer(422)) });
    ana.writes("esto no").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, 2 * HOUR, 5 * MINUTE).await;
    let shown = world.chatwoot.messages(conversation);
    // The list of conversations goes on showing what the customer said.
    let lines: Vec<_> = shown.into_iter().filter(|message| message.message_type == "activity").collect();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].content.contains("no se pudo mostrar"), "{}", lines[0].content);
    assert_eq!((world.dead_letters("inbound").len(), world.chatwoot.faults().list().len()), (1, 0));
}

#[tokio::test]
async fn two_first_messages_wait_for_one_place_and_neither_counts_as_a_crash() {
    let world = World::start().await.unwrap();
    world.chatwoot.faults().add(always("POST", "/contacts", answer(500)));
    // One with the user id and one of the older kind, without: two groups, one customer.
    ana(&world).writes("uno").await.unwrap();
    let old = text("5215555550123", "wamid.old", 1_795_190_400, "dos");
    post(&world, &body("messages", &serde_json::json!({"messages": [old]}))).await;
    world.work().await.unwrap();
    goes_by(&world, MINUTE, Duration::from_secs(1)).await;
    world.chatwoot.faults().clear();
    patience(&world).await;
    let mut read = world.agent_reads("Ana");
    read.sort();
    assert_eq!(read, ["Ana: dos", "Ana: uno"]);
    assert_eq!(world.dead_letters("inbound"), []);
}

#[tokio::test]
async fn metas_token_is_refused_for_hours_and_the_file_still_comes() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.meta.set_access_token(stories::CHANNEL, "a-token-nobody-told-us");
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    ana.writes("¿la ve?").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana").pop().unwrap(), "Ana: ¿la ve?");
    rounds(&world, 3 * HOUR, 10 * MINUTE).await;
    world.meta.set_access_token(stories::CHANNEL, &format!("token-of-{}", stories::CHANNEL));
    rounds(&world, 3 * HOUR, 10 * MINUTE).await;
    assert_eq!(world.agent_reads("Ana").pop().unwrap(), "Ana:  [image.jpg]");
    assert_eq!(world.agent_reads("Ana").len(), 4);
}

#[tokio::test]
async fn chatwoots_token_is_refused_for_hours_and_nothing_is_lost() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.faults().add(always("POST", "", answer(401)));
    ana.writes("¿hay alguien?").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, 20 * HOUR, 15 * MINUTE).await;
    world.chatwoot.faults().clear();
    patience(&world).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: ¿hay alguien?"]);
}

#[tokio::test]
async fn the_webhook_answers_nothing_and_meta_comes_again() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    world.front().refuse().await;
    for n in 0..3 {
        assert!(ana.writes(&format!("a{n}")).await.is_err());
    }
    world.front().accept().unwrap();
    world.pass(6 * HOUR);
    world.meta.redeliver().await.unwrap();
    ana.writes("a3").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: a0", "Ana: a1", "Ana: a2", "Ana: a3"]);
}

#[tokio::test]
async fn three_hundred_messages_in_one_body_pass_chatwoots_limit_in_order() {
    let world = World::start().await.unwrap();
    world.chatwoot.limit(Limits { messages_per_conversation_and_minute: 100, ..Limits::default() });
    let message = |n: i32| text("5215555550123", &format!("wamid.{n:03}"), 1_795_190_400, &format!("{n}"));
    let messages: Vec<_> = (0..300).map(message).collect();
    let contacts = [profile("Ana", "5215555550123")];
    let all = body("messages", &serde_json::json!({"contacts": contacts, "messages": messages}));
    assert_eq!(post(&world, &all).await, 200);
    world.work().await.unwrap();
    goes_by(&world, HOUR, Duration::from_secs(30)).await;
    assert_eq!(world.agent_reads("Ana"), (0..300).map(|n| format!("Ana: {n}")).collect::<Vec<_>>());
    assert_eq!(world.dead_letters("inbound"), []);
}

#[tokio::test]
async fn a_call_that_hangs_is_given_up_and_made_again() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.faults().add(once("POST", "/messages", Effect::HangAfter));
    ana.writes("¿sigue ahí?").await.unwrap();
    world.work().await.unwrap();
    world.later(MINUTE).await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: ¿sigue ahí?"]);
}
