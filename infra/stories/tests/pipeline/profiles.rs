//! A contact is called what the customer calls himself, unless an agent knew better.

use serde_json::json;
use stories::World;

use crate::fixtures::{HOUR, MINUTE, always, ana, answer, calls, goes_by, once};

async fn writes_as(world: &World, name: &str) {
    world.meta.customer(name, "5215555550123").writes(name).await.unwrap();
    world.work().await.unwrap();
}

fn name(world: &World) -> String {
    world.chatwoot.contacts()[0].name.clone()
}

#[tokio::test]
async fn a_new_profile_name_reaches_the_contact_and_an_agents_name_stays() {
    let world = World::start().await.unwrap();
    for profile in ["Ana", "Ana María", "Anita 🌸"] {
        writes_as(&world, profile).await;
        assert_eq!(name(&world), profile);
    }
    assert_eq!(calls(&world, "PUT", "/contacts/"), 2);
    world.chatwoot.agent("Sofía").renames(world.chatwoot.contacts()[0].id, "Ana (crédito)").await;
    for profile in ["Ana", "Ana", "Otra Ana"] {
        writes_as(&world, profile).await;
        assert_eq!(name(&world), "Ana (crédito)");
    }
    // What is known needs no look.
    let before = world.chatwoot.requests().len();
    writes_as(&world, "Otra Ana").await;
    assert_eq!(world.chatwoot.requests().len() - before, 1);
}

#[tokio::test]
async fn a_contact_an_agent_made_keeps_its_name_unless_that_is_the_phone() {
    for (made, seen) in [("Doña Ana", "Doña Ana"), ("+5215555550123", "Ana")] {
        let world = World::start().await.unwrap();
        world.chatwoot.agent("Sofía").adds_contact(made, Some("+5215555550123")).await;
        writes_as(&world, "Ana").await;
        assert_eq!((world.chatwoot.contacts().len(), name(&world).as_str()), (1, seen));
    }
}

#[tokio::test]
async fn a_name_that_shows_nothing_is_no_name() {
    for nothing in ["\u{2800}", "\u{3164}", "\u{ffa0}\u{200b}", "\u{ad}", "\u{200e}\u{202e}", "\u{301}\u{308}", " \t"] {
        let world = World::start().await.unwrap();
        writes_as(&world, nothing).await;
        assert_eq!(name(&world), "+5215555550123", "{nothing:?}");
        writes_as(&world, "\u{202e}Ana\u{202c}").await;
        assert_eq!(name(&world), "Ana", "{nothing:?}");
        writes_as(&world, nothing).await;
        assert_eq!(name(&world), "Ana", "{nothing:?}");
    }
}

#[tokio::test]
async fn a_username_stands_among_the_contacts_attributes_and_follows_changes() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let ana = ana.without_phone().with_phone();
    ana.writes("ahora con usuario").await.unwrap();
    world.work().await.unwrap();
    let contact = world.chatwoot.contacts().pop().unwrap();
    let username = ana.username().unwrap();
    assert_eq!(contact.custom_attributes["whatsapp_username"], json!(username.trim_start_matches('@')));
    assert_eq!(contact.custom_attributes["whatsapp_user_id"], json!(ana.user_id()));
}

#[tokio::test]
async fn a_name_chatwoot_does_not_take_holds_up_no_message() {
    let world = World::start().await.unwrap();
    writes_as(&world, "Ana").await;
    world.chatwoot.faults().add(always("PUT", "/contacts/", answer(422)));
    writes_as(&world, "Ana Uno").await;
    assert_eq!((world.agent_reads("Ana").len(), world.queued("inbound")), (2, 0));
    // What only fails for now is tried again, and given up in the end.
    world.chatwoot.faults().clear();
    world.chatwoot.faults().add(always("PUT", "/contacts/", answer(503)));
    writes_as(&world, "Ana Dos").await;
    assert_eq!(world.queued("inbound"), 1);
    goes_by(&world, HOUR, 5 * MINUTE).await;
    assert_eq!((world.agent_reads("Ana").len(), world.queued("inbound")), (3, 0));
    world.chatwoot.faults().clear();
    writes_as(&world, "Ana Tres").await;
    assert_eq!(name(&world), "Ana Tres");
}

#[tokio::test]
async fn wherever_forward_dies_the_name_is_new_and_an_agents_next_one_stays() {
    let world = World::start().await.unwrap();
    let (mut n, mut lives) = (0, 0);
    while lives < 4 {
        let phone = format!("5215550{n:06}");
        let writes = async |name: &str| {
            world.meta.customer(name, &phone).writes("hola").await.unwrap();
        };
        writes("Uno").await;
        world.work().await.unwrap();
        writes("Dos").await;
        let died = world.forward_killed(n).await.unwrap();
        world.calm().await;
        world.later(12 * MINUTE + MINUTE).await.unwrap();
        let contact = || {
            let mut contacts = world.chatwoot.contacts().into_iter();
            contacts.rfind(|c| c.phone_number.as_ref().is_some_and(|p| p.ends_with(&phone))).unwrap()
        };
        assert_eq!(contact().name, "Dos", "await {n}");
        world.chatwoot.agent("Sofía").renames(contact().id, "Don Dos").await;
        writes("Tres").await;
        world.work().await.unwrap();
        assert_eq!(contact().name, "Don Dos", "await {n}");
        lives = if died { 0 } else { lives + 1 };
        n += 1;
    }
    assert!(n > 12, "only {n} moments to die at");
}

#[tokio::test]
async fn an_outage_before_the_message_stood_costs_no_name() {
    let world = World::start().await.unwrap();
    writes_as(&world, "Ana").await;
    world.chatwoot.server().refuse().await;
    writes_as(&world, "Ana María").await;
    assert_eq!(world.queued("inbound"), 1);
    world.pass(HOUR);
    world.chatwoot.server().accept().unwrap();
    // Chatwoot is back, but for one request.
    world.chatwoot.faults().add(once("PUT", "/contacts/", answer(502)));
    world.work().await.unwrap();
    goes_by(&world, HOUR, 5 * MINUTE).await;
    assert_eq!(name(&world), "Ana María");
}
