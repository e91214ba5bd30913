//! A message deleted for everyone is deleted in Chatwoot, too: once, with its files and edits, whatever came first.

use domain::{AccountId, Author, ConversationId, CustomerId, HashKey, MessageId, Wamid};
use serde_json::json;
use store::{Claim, Claims, ItemLedger, MessageLink, MessageLinks, Revocations};
use stories::{CHANNEL, World};

use crate::fixtures::{
    HOUR, MINUTE, always, ana, ana_wrote, answer, body, calls, counted, patience, post, post_all_again, profile, table,
    text,
};
use crate::open_chat::file;

const DELETED: &str = "Este mensaje se ha eliminado";
const PDF: &str = "application/pdf";

fn revoke(wamid: &str, original: &str) -> serde_json::Value {
    let item = json!({
        "from": "5215555550123", "id": wamid, "timestamp": "1795190400", "type": "revoke",
        "revoke": {"original_message_id": original},
    });
    body("messages", &json!({"contacts": [profile("Ana", "5215555550123")], "messages": [item]}))
}

#[tokio::test]
async fn a_deletion_takes_words_files_and_edits_with_it_once() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    let picture = ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, Some("mi ine")).await.unwrap();
    let item = json!({"type": "edit", "edit": {"original_message_id": picture,
        "message": {"type": "image", "image": {"id": "1", "caption": "mi INE"}}}});
    ana.sends(item).await.unwrap();
    world.work().await.unwrap();
    // The caption is new, the picture is not.
    assert_eq!(world.agent_reads("Ana"), ["Ana: mi ine [image.jpg]", "Ana: ✏️ Editado\nmi INE"]);
    ana.revokes(&picture).await.unwrap();
    world.work().await.unwrap();
    world.pass(10 * MINUTE);
    post_all_again(&world).await;
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), [format!("Ana: {DELETED}"), format!("Ana: {DELETED}")]);
    assert_eq!(calls(&world, "DELETE", "/messages/"), 2);
    assert_eq!((counted(&world, "done").await, counted(&world, "duplicate").await), (3, 3));
}

#[tokio::test]
async fn a_deletion_that_comes_first_ends_in_the_same_line() {
    let world = World::start().await.unwrap();
    let contacts = json!([profile("Ana", "5215555550123")]);
    post(&world, &revoke("wamid.2", "wamid.1")).await;
    world.work().await.unwrap();
    // Of a message nobody knows nothing is shown.
    assert!(world.chatwoot.conversations().is_empty());
    assert_eq!(counted(&world, "done").await, 1);
    let late = text("5215555550123", "wamid.1", 1_795_190_399, "mi tarjeta es 4111");
    post(&world, &body("messages", &json!({"contacts": contacts, "messages": [late]}))).await;
    world.work().await.unwrap();
    let edit = json!({"from": "5215555550123", "id": "wamid.3", "timestamp": "1795190401", "type": "edit",
        "edit": {"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "4112"}}}});
    post(&world, &body("messages", &json!({"contacts": contacts, "messages": [edit]}))).await;
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), [format!("Ana: {DELETED}"), format!("Ana: {DELETED}")]);
    assert_eq!(counted(&world, "done").await, 3);
}

#[tokio::test]
async fn what_is_gone_from_chatwoot_is_deleted_enough_and_an_outage_is_waited_out() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let second = ana.writes("dos").await.unwrap();
    world.work().await.unwrap();
    world.chatwoot.faults().add(always("DELETE", "/messages/", answer(502)));
    ana.revokes(&second).await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: dos"]);
    world.chatwoot.faults().clear();
    world.later(MINUTE).await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola".to_owned(), format!("Ana: {DELETED}")]);
    let third = ana.writes("tres").await.unwrap();
    world.work().await.unwrap();
    world.chatwoot.agent("Sofía").deletes_conversation(conversation).await;
    ana.revokes(&third).await.unwrap();
    patience(&world).await;
    assert_eq!((world.queued("inbound"), world.dead_letters("inbound")), (0, vec![]));
    assert_eq!(counted(&world, "done").await, 5);
}

#[tokio::test]
async fn what_the_shop_deletes_on_its_phone_is_deleted_unless_more_of_it_stands() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let agent = world.chatwoot.agent("Sofía");
    agent.replies(conversation, "32,000").await;
    agent.sends_files(conversation, None, vec![file("a.pdf", PDF, b"a"), file("b.pdf", PDF, b"b")]).await;
    world.work().await.unwrap();
    let sent: Vec<_> = ana(&world).received();
    for (at, bubble) in [&sent[0], &sent[2]].into_iter().enumerate() {
        let item = json!({"from": "525555550100", "to": "5215555550123", "id": format!("wamid.r{at}"), "timestamp": "1795190400",
            "type": "revoke", "revoke": {"original_message_id": bubble.wamid}});
        post(&world, &body("smb_message_echoes", &json!({"message_echoes": [item]}))).await;
    }
    world.work().await.unwrap();
    let read = world.agent_reads("Ana");
    assert_eq!(read[1], format!("agent: {DELETED} ✓"));
    assert_eq!(read[2], "agent:  [a.pdf] [b.pdf] ✓");
    assert_eq!(read[3], "note: 🗑️ Se eliminó en el teléfono una parte de este mensaje");
    assert_eq!((read.len(), world.meta.requests().len()), (4, 3));
    assert_eq!(world.conversation("Ana").unwrap(), conversation);
    assert_eq!(counted(&world, "done").await, 3, "{CHANNEL}");
}

#[tokio::test]
async fn a_deletion_is_followed_wherever_forward_dies() {
    let world = World::start().await.unwrap();
    let (mut n, mut lives) = (0, 0);
    while lives < 4 {
        let name = format!("Cliente {n}");
        let customer = world.meta.customer(&name, &format!("5215550{n:06}"));
        let first = customer.writes("mi clave es 123").await.unwrap();
        world.work().await.unwrap();
        customer.edits(&first, "mi clave es 124").await.unwrap();
        customer.revokes(&first).await.unwrap();
        let died = world.forward_killed(n).await.unwrap();
        world.calm().await;
        world.later(13 * MINUTE).await.unwrap();
        let read = world.agent_reads(&name);
        assert_eq!(read, [format!("{name}: {DELETED}"), format!("{name}: {DELETED}")], "await {n}");
        assert_eq!((world.queued("inbound"), world.dead_letters("inbound")), (0, vec![]), "await {n}");
        lives = if died { 0 } else { lives + 1 };
        n += 1;
    }
    assert!(n > 12, "only {n} moments to die at");
}

#[tokio::test]
async fn a_deletion_that_overtakes_a_half_written_message_is_followed_all_the_same() {
    let world = World::start().await.unwrap();
    let (mut n, mut lives) = (0, 0);
    while lives < 4 {
        let name = format!("Cliente {n}");
        let phone = format!("5215550{n:06}");
        let original = world.meta.customer(&name, &phone).writes("mi clave es 123").await.unwrap();
        let died = world.forward_killed(n).await.unwrap();
        // Without a user id it stands in another line of the queue, and need not wait.
        let item = json!({"from": phone, "id": format!("wamid.r{n}"), "timestamp": "1795190400", "type": "revoke",
            "revoke": {"original_message_id": original}});
        post(&world, &body("messages", &json!({"messages": [item]}))).await;
        world.work().await.unwrap();
        world.calm().await;
        world.later(13 * MINUTE).await.unwrap();
        assert_eq!(world.agent_reads(&name), [format!("{name}: {DELETED}")], "await {n}");
        assert_eq!((world.queued("inbound"), world.dead_letters("inbound")), (0, vec![]), "await {n}");
        lives = if died { 0 } else { lives + 1 };
        n += 1;
    }
    assert!(n > 20, "only {n} moments to die at");
}

#[tokio::test]
async fn the_write_that_closes_a_message_sees_a_deletion_that_came_in_between() {
    let world = World::start().await.unwrap();
    let key = HashKey::new("subject-key-of-the-stories".into());
    let (links, traces) = (MessageLinks::new(table(&world), key.clone()), Revocations::new(table(&world), key.clone()));
    let (claims, counters) = (Claims::new(table(&world)), ItemLedger::new(table(&world)));
    let (wamid, item) = (Wamid::new("wamid.1"), key.item(["1"]));
    let link = MessageLink {
        wamid: wamid.clone(),
        customer: CustomerId::mint(),
        account: AccountId(3),
        conversation: ConversationId(1),
        message: MessageId(1),
        author: Author::Customer,
        part: None,
        sent_at: None,
        imported: false,
        early: None,
    };
    let Claim::Won(held) = claims.take(&item, "task").await.unwrap() else { panic!() };
    let close = async || links.close_unless_revoked(&link, &counters, &traces, CHANNEL, &held, None).await.unwrap();
    traces.revoke(&wamid, None).await.unwrap();
    assert!(!close().await);
    assert_eq!((links.get(&wamid).await.unwrap(), counted(&world, "done").await), (None, 0));
    // Longer than Meta may repeat the message it is not remembered.
    world.pass(16 * 24 * HOUR);
    assert!(close().await);
    assert_eq!(counted(&world, "done").await, 1);
}
