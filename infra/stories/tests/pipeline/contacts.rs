//! What agents do to contacts and conversations in Chatwoot costs nobody a message, and what they typed stays.

use serde_json::json;
use stories::World;

use crate::{
    fixtures::{HOUR, MINUTE, always, ana_wrote, answer, goes_by},
    identity::{ANA, AT, NEW, OLD, answers, arrives, conversations, from, system},
};

#[tokio::test]
async fn contacts_that_an_agent_merged_renamed_or_blocked_keep_their_messages() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let sofia = world.chatwoot.agent("Sofía");
    let old = sofia.adds_contact("Ana de la agenda", None).await;
    let ours = world.chatwoot.contacts()[0].id;
    sofia.merges(old, ours).await;
    sofia.renames(old, "Ana (250Z roja)").await;
    world.work().await.unwrap();
    ana.writes("¿sigue ahí?").await.unwrap();
    world.work().await.unwrap();
    let messages = || world.chatwoot.messages(conversation).into_iter().map(|m| m.content).collect::<Vec<_>>();
    assert_eq!(messages(), ["hola", "¿sigue ahí?"]);
    assert_eq!(world.chatwoot.contacts()[0].name, "Ana (250Z roja)");
    answers(&world, conversation, "Sí").await;
    assert_eq!(ana.heard(), ["Sí"]);
    // Blocked: nothing is lost, and nobody is disturbed by it.
    sofia.blocks(old).await;
    sofia.resolves(conversation).await;
    ana.writes("¿hola?").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(messages().last().unwrap(), "¿hola?");
    assert_eq!(world.chatwoot.conversations().len(), 1);
    assert_eq!(world.chatwoot.conversations()[0].status, "resolved");
    // The merged contact's conversation is gone: the next one stands with the contact that was kept.
    sofia.deletes_conversation(conversation).await;
    ana.writes("otra vez").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, MINUTE, MINUTE / 4).await;
    assert_eq!(world.chatwoot.conversations().len(), 1);
    assert_eq!(world.chatwoot.conversations()[0].contact_id, old);
}

#[tokio::test]
async fn two_customers_in_one_merged_contact_stay_two_recipients() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let berta = crate::fixtures::berta(&world);
    berta.writes("buenas").await.unwrap();
    world.work().await.unwrap();
    let contacts = world.chatwoot.contacts();
    let sofia = world.chatwoot.agent("Sofía");
    sofia.merges(contacts[0].id, contacts[1].id).await;
    world.work().await.unwrap();
    for row in world.chatwoot.conversations() {
        answers(&world, row.id, &format!("a la {}", row.id)).await;
    }
    let rows = world.chatwoot.conversations();
    assert_eq!(ana.heard(), [format!("a la {}", rows[0].id)]);
    assert_eq!(berta.heard(), [format!("a la {}", rows[1].id)]);
}

#[tokio::test]
async fn a_resolved_conversation_is_reopened_where_the_inbox_is_locked_and_followed_by_a_new_one_where_it_is_not() {
    let world = World::start().await.unwrap();
    let (ana, first) = ana_wrote(&world).await;
    let sofia = world.chatwoot.agent("Sofía");
    sofia.resolves(first).await;
    ana.writes("una cosa más").await.unwrap();
    world.work().await.unwrap();
    let status = |at: usize| world.chatwoot.conversations()[at].status.clone();
    assert_eq!((world.chatwoot.conversations().len(), status(0)), (1, "open".to_owned()));
    // The administrator unlocks the inbox; the bridge looks every five minutes.
    world.chatwoot.lock_to_single_conversation(14, false);
    world.pass(5 * MINUTE);
    ana.writes("sigue abierta").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.chatwoot.conversations().len(), 1);
    sofia.resolves(first).await;
    ana.writes("meses después").await.unwrap();
    ana.writes("¿hay alguien?").await.unwrap();
    world.work().await.unwrap();
    let rows = world.chatwoot.conversations();
    assert_eq!((rows.len(), status(0), status(1)), (2, "resolved".to_owned(), "open".to_owned()));
    assert_eq!(world.agent_reads("Ana"), ["Ana: meses después", "Ana: ¿hay alguien?"]);
    // An answer in either goes to her.
    for row in rows {
        answers(&world, row.id, &row.id.to_string()).await;
    }
    assert_eq!(ana.heard().len(), 2);
    // An agent reopens the first: the newest is still where she writes.
    sofia.reopens(first).await;
    ana.writes("aquí").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana").last().unwrap(), "Ana: aquí");
    assert_eq!(world.chatwoot.conversations().len(), 2);
}

#[tokio::test]
async fn a_number_that_shows_later_or_changes_reaches_the_contact_that_was_kept() {
    let world = World::start().await.unwrap();
    arrives(&world, &from(None, Some(ANA), "wamid.1", AT, "uno")).await;
    let sofia = world.chatwoot.agent("Sofía");
    let kept = sofia.adds_contact("Ana de la agenda", None).await;
    sofia.merges(kept, world.chatwoot.contacts()[0].id).await;
    let phone = || world.chatwoot.contacts()[0].phone_number.clone();
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.2", AT + 1, "dos")).await;
    assert_eq!((world.chatwoot.contacts()[0].id, phone().as_deref()), (kept, Some("+5215555550123")));
    let changed = json!({"body": "changed", "wa_id": NEW, "type": "user_changed_number"});
    let announcement = |wamid: &str| system(&json!({"from": OLD}), wamid, AT + 2, &changed);
    // A Chatwoot that takes no change holds up nobody.
    world.chatwoot.faults().add(always("PUT", "/contacts/", answer(500)));
    arrives(&world, &announcement("wamid.s")).await;
    arrives(&world, &from(Some(NEW), None, "wamid.3", AT + 3, "tres")).await;
    goes_by(&world, HOUR, 5 * MINUTE).await;
    assert_eq!(
        (conversations(&world), world.queued("inbound")),
        (vec![["uno", "dos", "tres"].map(str::to_owned).to_vec()], 0)
    );
    world.chatwoot.faults().clear();
    arrives(&world, &announcement("wamid.t")).await;
    assert_eq!(phone().as_deref(), Some("+5215555550199"));
    // What an agent put there stays.
    sofia.changes_phone(kept, Some("+5215555550777")).await;
    let back = json!({"body": "changed", "wa_id": OLD, "type": "user_changed_number"});
    arrives(&world, &system(&json!({"from": NEW}), "wamid.u", AT + 4, &back)).await;
    assert_eq!(phone().as_deref(), Some("+5215555550777"));
}

#[tokio::test]
async fn a_reaction_stays_where_its_message_stands_when_that_is_resolved() {
    let world = World::start().await.unwrap();
    world.chatwoot.lock_to_single_conversation(14, false);
    let (ana, first) = ana_wrote(&world).await;
    answers(&world, first, "su moto está lista").await;
    let sent = world.meta.requests().pop().unwrap().wamid.unwrap();
    world.chatwoot.agent("Sofía").resolves(first).await;
    ana.reacts(&sent, "👍").await.unwrap();
    ana.reacts(&sent, "").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.chatwoot.conversations().len(), 1);
    let seen = world.chatwoot.messages(first);
    let reply = seen.iter().find(|message| message.content == "su moto está lista").map(|message| message.id);
    let quotes: Vec<_> = seen[seen.len() - 2..].iter().map(|message| message.in_reply_to).collect();
    assert_eq!(quotes, [reply, reply]);
}
