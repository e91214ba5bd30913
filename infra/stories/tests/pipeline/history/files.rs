//! The files of a phone's past: as notes, whoever they are said to be of, late or never.

use serde_json::{Value, json};
use stories::{CHANNEL, World};

use super::{ANA, DAY, HOUR, MINUTE, NOW, OWN, chunk, goes_by, imported, notes, posted, status, theirs, thread};

/// A file of the past, as Meta tells of it after its chunk or before.
pub(super) fn file(world: &World, id: &str, at: i64, bytes: usize) -> Value {
    let media = world.meta.holds_file(CHANNEL, vec![b'f'; bytes], "image/jpeg");
    let image = json!({"id": media, "mime_type": "image/jpeg", "caption": "mi moto"});
    let message = json!({"from": ANA, "id": id, "timestamp": at.to_string(), "type": "image", "image": image});
    crate::fixtures::body("history", &json!({"messages": [message]}))
}

/// What the shop's phone shows in place of a picture.
pub(super) fn picture(id: &str, at: i64) -> Value {
    json!({"from": OWN, "id": id, "timestamp": at.to_string(), "type": "media_placeholder",
        "history_context": {"status": "read"}})
}

#[tokio::test]
async fn the_files_of_the_past_come_as_notes_whoever_the_webhook_says_sent_them() {
    let world = World::start().await.unwrap();
    let messages = [
        picture("wamid.p1", NOW - 2 * DAY),
        picture("wamid.p2", NOW - DAY),
        picture("wamid.p3", NOW - HOUR.as_secs().cast_signed()),
        theirs(ANA, "wamid.a1", NOW - 100 * DAY, "hola"),
    ];
    // The first one before its chunk, as the customer's; it comes twice. The last one is too large.
    let first = file(&world, "wamid.p1", NOW - 2 * DAY, 2_000);
    posted(&world, std::slice::from_ref(&first)).await;
    posted(&world, &[chunk(0, 1, 100, &[thread(ANA, &messages)]), first]).await;
    let large = file(&world, "wamid.p3", NOW - HOUR.as_secs().cast_signed(), (20 << 20) + 1);
    posted(&world, &[file(&world, "wamid.p2", NOW - DAY, 1_000), large]).await;
    imported(&world).await;
    for _ in 0..4 {
        goes_by(&world, 10 * MINUTE, MINUTE).await;
        world.reconcile().await.unwrap();
        world.work().await.unwrap();
    }
    let conversation = world.conversation(&format!("+{ANA}")).unwrap();
    let all = world.chatwoot.messages(conversation);
    let files: Vec<_> = all.iter().filter(|message| !message.attachments.is_empty()).collect();
    assert_eq!(files.len(), 2, "{all:#?}");
    for file in &files {
        assert!(file.private, "nobody is told: {file:?}");
        assert!(file.content.contains("Historial de WhatsApp") && file.content.ends_with("Tienda"), "{}", file.content);
    }
    let stays = notes(&world, &format!("+{ANA}")).into_iter().filter(|note| note.contains("quedó en el celular"));
    assert_eq!(stays.count(), 1, "the one that is too large: {all:#?}");
    assert_eq!(status(&world, conversation), "resolved");
    let balance = world.reconcile().await.unwrap();
    assert_eq!((balance.difference, balance.waiting), (0, 0));

    // Nothing of them is left at Meta or here once she is erased.
    let code = crate::erasure::operator_asks(&world, json!({ "phone": ANA })).await;
    crate::erasure::done(&world, &code).await;
    assert_eq!(world.meta.media_held(), 0);
    assert!(world.chatwoot.conversations().is_empty());
}

#[tokio::test]
async fn a_file_whose_message_never_comes_stays_on_the_phone() {
    let world = World::start().await.unwrap();
    posted(&world, &[file(&world, "wamid.nobody", NOW - DAY, 10)]).await;
    goes_by(&world, 25 * HOUR, HOUR).await;
    assert_eq!((world.queued("history"), world.dead_letters("history").len()), (0, 0));
    assert!(world.chatwoot.contacts().is_empty());
    let balance = world.reconcile().await.unwrap();
    assert_eq!((balance.difference, balance.waiting), (0, 0));
}
