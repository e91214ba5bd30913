//! `forward` and `send` killed at each of their awaits, once and twice: after the visibility time-out nothing is lost,
//! nothing doubled, nothing silent.

use std::time::Duration;

use simulator_meta::Customer;
use stories::World;

use crate::open_chat::{UNCONFIRMED, file};

/// Longer than the queue hides what a dead function had taken.
const HIDDEN: Duration = Duration::from_secs(721);

/// How often in a row a task must live to its end before all its moments of death count as seen: how often it is woken
/// differs from run to run.
const LIVES: usize = 6;

const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n the motorcycle";

/// One customer for each moment of death.
fn nth(world: &World, n: usize) -> (Customer, String) {
    let name = format!("Cliente {n}");
    (world.meta.customer(&name, &format!("5215550{n:06}")), name)
}

/// Kills `forward` at its n-th await, `deaths` times; false once there is no such await.
async fn forward_dies(world: &World, n: usize, deaths: usize) -> bool {
    for _ in 0..deaths {
        if !world.forward_killed(n).await.unwrap() {
            return false;
        }
        world.calm().await;
        world.pass(HIDDEN);
    }
    world.work().await.unwrap();
    true
}

/// The same with `send`.
async fn send_dies(world: &World, n: usize, deaths: usize) -> bool {
    for _ in 0..deaths {
        world.calm().await;
        // What died after it had done everything leaves nothing to kill a second time.
        if !world.send_killed(n).await.unwrap() {
            return false;
        }
        world.calm().await;
        world.pass(HIDDEN);
    }
    world.work().await.unwrap();
    true
}

fn all_is_done(world: &World, n: usize) {
    assert_eq!((world.queued("inbound"), world.queued("outbound")), (0, 0), "killed at await {n}");
    assert_eq!(
        (world.dead_letters("inbound"), world.dead_letters("outbound")),
        (vec![], vec![]),
        "killed at await {n}"
    );
}

fn one_contact_with_one_conversation(world: &World, name: &str) {
    let contacts = world.chatwoot.contacts().into_iter().filter(|contact| contact.name == name).count();
    let conversations = world.chatwoot.conversations().into_iter().filter(|row| row.contact_name == name).count();
    assert_eq!((contacts, conversations), (1, 1), "{name}");
}

#[tokio::test]
async fn the_first_message_of_a_customer_is_there_once_wherever_forward_dies() {
    for deaths in [1, 2] {
        let world = World::start().await.unwrap();
        let (mut n, mut lives) = (0, 0);
        while lives < LIVES {
            let (customer, name) = nth(&world, n);
            customer.writes("hola").await.unwrap();
            customer.writes("¿precio?").await.unwrap();
            let died = forward_dies(&world, n, deaths).await;
            assert_eq!(world.agent_reads(&name), [format!("{name}: hola"), format!("{name}: ¿precio?")], "await {n}");
            one_contact_with_one_conversation(&world, &name);
            all_is_done(&world, n);
            lives = if died { 0 } else { lives + 1 };
            n += 1;
        }
        assert!(n > 2 * LIVES, "only {n} moments to die at");
    }
}

#[tokio::test]
async fn a_customers_file_is_there_once_and_whole_wherever_forward_dies() {
    let world = World::start().await.unwrap();
    let (mut n, mut lives) = (0, 0);
    while lives < LIVES {
        let (customer, name) = nth(&world, n);
        customer.writes("hola").await.unwrap();
        world.work().await.unwrap();
        customer.sends_file("image", PICTURE.to_vec(), "image/png", None, Some("mi moto")).await.unwrap();
        let died = forward_dies(&world, n, 1).await;
        let messages = world.chatwoot.messages(world.conversation(&name).unwrap());
        assert_eq!(messages.len(), 2, "await {n}: {:?}", world.agent_reads(&name));
        assert_eq!(messages[1].content, "mi moto", "await {n}");
        assert_eq!(messages[1].attachments.len(), 1, "await {n}");
        assert_eq!(messages[1].attachments[0].bytes, PICTURE, "await {n}");
        all_is_done(&world, n);
        lives = if died { 0 } else { lives + 1 };
        n += 1;
    }
    assert!(n > 2 * LIVES, "only {n} moments to die at");
}

#[tokio::test]
async fn a_status_arrives_wherever_forward_dies() {
    let world = World::start().await.unwrap();
    let (mut n, mut lives) = (0, 0);
    while lives < LIVES {
        let (customer, name) = nth(&world, n);
        customer.writes("hola").await.unwrap();
        world.work().await.unwrap();
        world.chatwoot.agent("Sofía").replies(world.conversation(&name).unwrap(), "Buenas").await;
        world.work().await.unwrap();
        customer.reads_all().await;
        let died = forward_dies(&world, n, 1).await;
        assert_eq!(
            world.agent_reads(&name),
            [format!("{name}: hola"), "agent: Buenas ✓✓ read".to_owned()],
            "await {n}"
        );
        all_is_done(&world, n);
        lives = if died { 0 } else { lives + 1 };
        n += 1;
    }
    assert!(n > 2 * LIVES, "only {n} moments to die at");
}

/// What the agent sees is true, or says in words that nobody knows; and what nobody knows can be settled.
async fn nothing_is_silent(world: &World, customer: &Customer, name: &str, n: usize) {
    let conversation = world.conversation(name).unwrap();
    let written = || world.chatwoot.messages(conversation).into_iter().find(|m| m.message_type == "outgoing").unwrap();
    let message = written();
    let heard = customer.heard().len();
    assert!(heard <= 1, "await {n}: sent {heard} times");
    match message.status.as_str() {
        "sent" => assert_eq!(heard, 1, "await {n}: it looks sent, and is not"),
        "failed" => {
            let words = message.external_error.unwrap_or_default();
            assert!(words.starts_with(UNCONFIRMED), "await {n}: {words}");
            if let Some(bubble) = customer.phone().into_iter().find(|bubble| bubble.from_business) {
                customer.status(&bubble.wamid, "delivered", None).await;
            } else {
                world.pass(Duration::from_secs(1));
                world.chatwoot.agent("Sofía").retries(conversation, message.id).await;
            }
            world.work().await.unwrap();
            assert_ne!(written().status, "failed", "await {n}");
            assert_eq!(customer.heard().len(), 1, "await {n}");
        }
        other => panic!("await {n}: {other}"),
    }
}

#[tokio::test]
async fn an_agents_text_goes_out_once_at_most_and_never_silently_wherever_send_dies() {
    for deaths in [1, 2] {
        let world = World::start().await.unwrap();
        let (mut n, mut lives) = (0, 0);
        while lives < LIVES {
            let (customer, name) = nth(&world, n);
            customer.writes("hola").await.unwrap();
            world.work().await.unwrap();
            world.chatwoot.agent("Sofía").replies(world.conversation(&name).unwrap(), "Buenas").await;
            let died = send_dies(&world, n, deaths).await;
            nothing_is_silent(&world, &customer, &name, n).await;
            all_is_done(&world, n);
            lives = if died { 0 } else { lives + 1 };
            n += 1;
        }
        assert!(n > 2 * LIVES, "only {n} moments to die at");
    }
}

#[tokio::test]
async fn an_agents_file_goes_out_once_at_most_and_never_silently_wherever_send_dies() {
    let world = World::start().await.unwrap();
    let (mut n, mut lives) = (0, 0);
    while lives < LIVES {
        let (customer, name) = nth(&world, n);
        customer.writes("hola").await.unwrap();
        world.work().await.unwrap();
        let conversation = world.conversation(&name).unwrap();
        let picture = file("moto.png", "image/png", PICTURE);
        world.chatwoot.agent("Sofía").sends_files(conversation, Some("mira"), vec![picture]).await;
        let died = send_dies(&world, n, 1).await;
        nothing_is_silent(&world, &customer, &name, n).await;
        let seen = customer.phone().into_iter().find(|bubble| bubble.from_business).unwrap();
        assert_eq!((seen.text.as_str(), seen.bytes.as_deref()), ("mira", Some(PICTURE)), "await {n}");
        all_is_done(&world, n);
        lives = if died { 0 } else { lives + 1 };
        n += 1;
    }
    assert!(n > 2 * LIVES, "only {n} moments to die at");
}

#[tokio::test]
async fn what_kills_forward_every_time_is_set_aside_and_its_customer_goes_on() {
    let world = World::start().await.unwrap();
    let (customer, name) = nth(&world, 1);
    customer.writes("mata").await.unwrap();
    customer.writes("sigue").await.unwrap();
    for _ in 0..5 {
        // With the claim in hand, and nothing written yet.
        assert!(world.forward_killed(8).await.unwrap());
        world.calm().await;
        world.pass(HIDDEN);
    }
    world.work().await.unwrap();
    assert_eq!(world.agent_reads(&name), [format!("{name}: sigue")]);
    let reasons: Vec<String> = world.dead_letters("inbound").into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["crashes_the_function"]);
    assert_eq!(world.queued("inbound"), 0);
}

#[tokio::test]
async fn what_kills_send_every_time_fails_in_words_and_its_conversation_goes_on() {
    let world = World::start().await.unwrap();
    let (customer, name) = nth(&world, 1);
    customer.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation(&name).unwrap();
    let sofia = world.chatwoot.agent("Sofía");
    let bad = sofia.sends_files(conversation, None, vec![file("moto.png", "image/png", PICTURE)]).await;
    for _ in 0..8 {
        // It dies while the file is on its way, before the call that sends it; at last it lives, since it gives the message up.
        world.calm().await;
        if !world.send_killed(24).await.unwrap() {
            break;
        }
        world.pass(HIDDEN);
    }
    let good = sofia.replies(conversation, "sigue").await;
    world.work().await.unwrap();
    world.later(HIDDEN).await.unwrap();
    let messages = world.chatwoot.messages(conversation);
    assert_eq!(customer.heard(), ["sigue"], "{messages:#?} {}", world.queued("outbound"));
    let stands = |id| messages.iter().find(|message| message.id == id).unwrap();
    assert!(stands(bad).external_error.as_deref().unwrap_or_default().contains("no pudo procesar"), "{messages:?}");
    assert_ne!(stands(good).status, "failed");
}

#[tokio::test]
async fn what_is_given_up_with_its_call_in_hand_is_unconfirmed_and_not_failed() {
    let mut in_hand = 0;
    for n in (30..90).step_by(3) {
        let world = World::start().await.unwrap();
        let (customer, name) = nth(&world, n);
        customer.writes("hola").await.unwrap();
        world.work().await.unwrap();
        let conversation = world.conversation(&name).unwrap();
        let files = vec![file("moto.png", "image/png", PICTURE)];
        let message = world.chatwoot.agent("Sofía").sends_files(conversation, None, files).await;
        world.calm().await;
        for awaits in [24, 24, 24, n] {
            world.send_killed(awaits).await.unwrap();
            world.pass(HIDDEN);
        }
        let heard = customer.received().len();
        for _ in 0..3 {
            world.later(HIDDEN).await.unwrap();
        }
        let mark = world.chatwoot.messages(conversation).into_iter().find(|one| one.id == message).unwrap();
        assert_eq!(customer.received().len(), heard, "{n}: nothing is sent by itself again");
        let words = mark.external_error.unwrap_or_default();
        assert!(heard == 0 || mark.status != "failed" || words.starts_with(UNCONFIRMED), "{n}: {words}");
        in_hand += usize::from(words.starts_with(UNCONFIRMED));
    }
    assert!(in_hand > 0, "none died in its call");
}
