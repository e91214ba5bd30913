//! The phone app's past: what agents find of it, once, in order and without being told.

mod erased;
mod files;
mod large;
mod silent;
mod told;

use domain::Clock as _;
use serde_json::{Value, json};
use stories::{CHANNEL, World};

use crate::fixtures::{HOUR, MINUTE, always, ana, answer, goes_by, post, table};

/// When every story begins.
const NOW: i64 = 1_795_190_400;
const DAY: i64 = 86_400;
const ANA: &str = "5215555550123";
const BERTA: &str = "5215555550124";
const OWN: &str = "525555550100";

/// What a customer wrote.
fn theirs(who: &str, id: &str, at: i64, body: &str) -> Value {
    json!({"from": who, "id": id, "timestamp": at.to_string(), "type": "text", "text": {"body": body},
        "history_context": {"status": "READ"}})
}

/// What the shop wrote, without `to`, as in Meta's own sample.
fn ours(id: &str, at: i64, body: &str) -> Value {
    json!({"from": OWN, "id": id, "timestamp": at.to_string(), "type": "text", "text": {"body": body},
        "history_context": {"status": "delivered"}})
}

fn thread(who: &str, messages: &[Value]) -> Value {
    json!({"id": who, "context": {"wa_id": who}, "messages": messages})
}

/// A body with one chunk.
fn chunk(phase: i64, order: i64, progress: i64, threads: &[Value]) -> Value {
    let metadata = json!({"phase": phase, "chunk_order": order, "progress": progress});
    crate::fixtures::body("history", &json!({"history": [{"metadata": metadata, "threads": threads}]}))
}

async fn posted(world: &World, bodies: &[Value]) {
    for body in bodies {
        assert_eq!(post(world, body).await, 200);
        world.work().await.unwrap();
    }
}

/// Enough time for the gate to open and for every slice to have its turn.
async fn imported(world: &World) {
    goes_by(world, 10 * MINUTE, MINUTE).await;
}

/// The notes in a contact's conversation.
fn notes(world: &World, contact: &str) -> Vec<String> {
    let Some(conversation) = world.chatwoot.conversation_of(contact) else { return Vec::new() };
    let all = world.chatwoot.messages(conversation).into_iter();
    all.filter(|message| message.private).map(|message| message.content).collect()
}

fn status(world: &World, conversation: i64) -> String {
    let all = world.chatwoot.conversations().into_iter();
    all.filter(|view| view.id == conversation).map(|view| view.status).collect()
}

async fn progress(world: &World) -> store::ImportProgress {
    let imports = store::Imports::new(table(world));
    imports.progress(&domain::PhoneNumberId::new(CHANNEL)).await.unwrap().unwrap_or_default()
}

fn times(text: &str, word: &str) -> usize {
    text.matches(word).count()
}

#[tokio::test]
async fn the_past_is_there_once_in_order_and_nobody_is_told() {
    let world = World::start().await.unwrap();
    let newest = chunk(
        0,
        1,
        40,
        &[thread(ANA, &[theirs(ANA, "wamid.a3", NOW - 100, "tres"), ours("wamid.a4", NOW - 90, "cuatro")])],
    );
    let middle = chunk(
        1,
        1,
        80,
        &[
            thread(ANA, &[theirs(ANA, "wamid.a2", NOW - 60 * DAY, "dos")]),
            thread(BERTA, &[ours("wamid.b1", NOW - 50 * DAY, "su refacción")]),
        ],
    );
    let oldest = chunk(2, 1, 100, &[thread(ANA, &[theirs(ANA, "wamid.a1", NOW - 120 * DAY, "uno")])]);
    // Shuffled, and twice; then the same messages in other chunks.
    posted(&world, &[oldest.clone(), newest.clone(), middle.clone(), newest.clone(), oldest]).await;
    assert_eq!(world.chatwoot.contacts().len(), 0, "nothing before it is likely to be all");
    imported(&world).await;
    let reshuffled = chunk(
        1,
        2,
        100,
        &[thread(
            ANA,
            &[
                theirs(ANA, "wamid.a1", NOW - 120 * DAY, "uno"),
                theirs(ANA, "wamid.a2", NOW - 60 * DAY, "dos"),
                ours("wamid.a4", NOW - 90, "cuatro"),
            ],
        )],
    );
    posted(&world, &[reshuffled, middle]).await;
    imported(&world).await;

    let all = notes(&world, &format!("+{ANA}"));
    assert_eq!(all.len(), 3, "{all:#?}");
    for (note, words) in all.iter().zip(["uno", "dos", "tres"]) {
        assert!(note.contains(&format!("**Cliente:** {words}")), "{note}");
    }
    assert!(all[2].contains("**Tienda:** cuatro ✓✓"), "{}", all[2]);
    assert_eq!(notes(&world, &format!("+{BERTA}")).len(), 1);
    for contact in [ANA, BERTA] {
        let conversation = world.conversation(&format!("+{contact}")).unwrap();
        assert_eq!(status(&world, conversation), "resolved");
        assert!(
            world
                .chatwoot
                .messages(conversation)
                .iter()
                .all(|message| message.private || message.message_type == "activity")
        );
    }
    assert_eq!((world.dead_letters("inbound").len(), world.dead_letters("history").len()), (0, 0));
    assert_eq!(world.queued("history"), 0);
    let counts = progress(&world).await.counts;
    assert_eq!((counts.written, counts.duplicate, counts.waiting()), (5, 3, 0), "{counts:?}");
    let balance = world.reconcile().await.unwrap();
    assert_eq!((balance.difference, balance.waiting), (0, 0));
}

#[tokio::test]
async fn a_message_is_live_or_in_the_past_and_never_both() {
    let world = World::start().await.unwrap();
    // Before: she wrote live.
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    let live = world.chatwoot.messages(conversation)[0].source_id.clone().unwrap();
    let past = chunk(
        0,
        1,
        100,
        &[thread(
            ANA,
            &[
                theirs(ANA, &live, NOW, "hola"),
                theirs(ANA, "wamid.before", NOW - 10 * DAY, "antes"),
                theirs(ANA, "wamid.later", NOW - 60, "luego"),
            ],
        )],
    );
    posted(&world, &[past]).await;
    imported(&world).await;
    // After: the same message comes live, too.
    let late = crate::fixtures::body(
        "messages",
        &json!({"contacts": [crate::fixtures::profile("Ana", ANA)],
        "messages": [crate::fixtures::text(ANA, "wamid.later", NOW - 60, "luego")]}),
    );
    posted(&world, &[late]).await;
    let shown: Vec<String> = world.chatwoot.messages(conversation).into_iter().map(|message| message.content).collect();
    let all = shown.join("\n");
    assert_eq!((times(&all, "hola"), times(&all, "antes"), times(&all, "luego")), (1, 1, 1), "{shown:#?}");
    assert_eq!(status(&world, conversation), "open", "it is left as it is");
    assert_eq!(world.reconcile().await.unwrap().difference, 0);
}

#[tokio::test]
async fn who_writes_during_the_import_is_seen_at_once() {
    let world = World::start().await.unwrap();
    let long = "x".repeat(3_000);
    let many: Vec<Value> =
        (0..40).map(|n| theirs(ANA, &format!("wamid.{n}"), NOW - 20 * DAY + n * 60, &long)).collect();
    posted(&world, &[chunk(1, 1, 60, &[thread(ANA, &many[..20])]), chunk(0, 1, 60, &[thread(ANA, &many[20..])])]).await;
    world.pass(HOUR + MINUTE);
    // The first slice is written, and the second one is not.
    world.chatwoot.faults().add(simulator_wire::Fault { skip: 12, ..always("POST", "/messages", answer(503)) });
    world.import_once().await.unwrap();
    world.chatwoot.faults().clear();
    let name = format!("+{ANA}");
    let conversation = world.conversation(&name).unwrap();
    assert_eq!(status(&world, conversation), "pending");
    ana(&world).writes("¿siguen ahí?").await.unwrap();
    world.calm().await;
    world.forward_once().await.unwrap();
    assert_eq!(status(&world, conversation), "open");
    imported(&world).await;
    assert_eq!(status(&world, conversation), "open");
    assert_eq!(times(&notes(&world, "Ana").join("\n"), "**Cliente:**"), 40);
}

#[tokio::test]
async fn an_import_killed_at_any_moment_goes_on_and_writes_nothing_twice() {
    let world = World::start().await.unwrap();
    let mut killed = 0;
    for n in 0..20_i64 {
        let who = format!("52155557{n:05}");
        let said = |m: i64| {
            theirs(
                &who,
                &format!("wamid.{n}.{m}"),
                world.clock.now().as_secs() - 9 * DAY + m,
                &format!("m{m}! {}", "x".repeat(3_000)),
            )
        };
        posted(&world, &[chunk(0, n + 1, 100, &[thread(&who, &(0..6).map(said).collect::<Vec<_>>())])]).await;
        world.pass(2 * MINUTE);
        killed += usize::from(world.import_killed(usize::try_from(n * 9 + 2).unwrap()).await.unwrap());
        goes_by(&world, 26 * MINUTE, 13 * MINUTE).await;
        let all = notes(&world, &format!("+{who}")).join("\n");
        for m in 0..6 {
            assert_eq!(times(&all, &format!("m{m}!")), 1, "m{m} of {n}: {all}");
        }
        assert_eq!(status(&world, world.conversation(&format!("+{who}")).unwrap()), "resolved", "{n}");
    }
    assert!(killed > 9, "{killed}");
    assert_eq!(world.dead_letters("history").len(), 0);
    let counts = progress(&world).await.counts;
    assert_eq!((counts.received, counts.written, counts.waiting()), (120, 120, 0), "{counts:?}");
    assert_eq!(world.reconcile().await.unwrap().difference, 0);
}

#[tokio::test]
async fn nothing_is_written_while_older_messages_stand_in_the_queue_unseen() {
    let world = World::start().await.unwrap();
    let newest = chunk(0, 1, 100, &[thread(ANA, &[theirs(ANA, "wamid.new", NOW - 60, "nuevo")])]);
    posted(&world, &[newest]).await;
    // The function is away for minutes, with more than one batch in its queue.
    let crowd = (0..14).map(|n| {
        let who = format!("5215555559{n:03}");
        thread(&who, &[theirs(&who, &format!("wamid.c{n}"), NOW - 9 * DAY, "otro")])
    });
    assert_eq!(post(&world, &chunk(0, 2, 100, &crowd.collect::<Vec<_>>())).await, 200);
    let oldest = chunk(2, 1, 100, &[thread(ANA, &[theirs(ANA, "wamid.old", NOW - 90 * DAY, "viejo")])]);
    assert_eq!(post(&world, &oldest).await, 200);
    world.pass(3 * MINUTE);
    world.work().await.unwrap();
    imported(&world).await;
    let all = notes(&world, &format!("+{ANA}"));
    assert_eq!(all.len(), 2, "{all:#?}");
    assert!(all[0].contains("viejo") && all[1].contains("nuevo"), "{all:#?}");
}

#[tokio::test]
async fn a_last_slice_of_repeats_closes_the_conversation_all_the_same() {
    let world = World::start().await.unwrap();
    let (older, newer) = (theirs(ANA, "wamid.1", NOW - 9 * DAY, "uno"), theirs(ANA, "wamid.2", NOW - 8 * DAY, "dos"));
    let whole = chunk(0, 1, 100, &[thread(ANA, &[older, newer.clone()])]);
    let again = chunk(0, 2, 100, &[thread(ANA, &[newer])]);
    posted(&world, &[whole, again]).await;
    imported(&world).await;
    assert_eq!(notes(&world, &format!("+{ANA}")).len(), 1);
    assert_eq!(status(&world, world.conversation(&format!("+{ANA}")).unwrap()), "resolved");
}
