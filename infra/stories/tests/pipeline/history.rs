//! The phone app's past: what agents find of it, once, in order and without being told.

use std::time::Duration;

use domain::{Clock as _, Timestamp};
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
async fn nothing_older_than_what_is_kept_is_written_and_what_is_odd_is_counted() {
    let world = World::start().await.unwrap();
    let odd = [
        theirs(ANA, "wamid.old", NOW - 400 * DAY, "viejísimo"),
        theirs(ANA, "wamid.new", NOW - 20 * DAY, "reciente"),
        json!({"id": "lost", "timestamp": (NOW - 20 * DAY).to_string(), "type": "text", "text": {"body": "¿de quién?"}}),
        json!({"from": ANA, "id": "wamid.like", "timestamp": NOW.to_string(), "type": "reaction",
            "reaction": {"message_id": "wamid.elsewhere", "emoji": "👍"}}),
        json!({"from": ANA, "id": "wamid.untimed", "type": "text", "text": {"body": "sin fecha"}}),
    ];
    posted(&world, &[chunk(0, 1, 100, &[thread(ANA, &odd)])]).await;
    imported(&world).await;
    let all = notes(&world, &format!("+{ANA}")).join("\n");
    assert!(all.contains("reciente") && all.contains("sin hora **Cliente:** sin fecha"), "{all}");
    assert!(!all.contains("viejísimo") && !all.contains("de quién"), "{all}");
    let counts = progress(&world).await.counts;
    let refused: Vec<(&str, i64)> = counts.refused.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    assert_eq!(refused, [("about_another_message", 1), ("no_side", 1), ("past_retention", 1)]);
    assert_eq!((counts.received, counts.written), (5, 2));
}

#[tokio::test]
async fn a_shop_that_shares_nothing_is_no_dead_letter() {
    let world = World::start().await.unwrap();
    let errors = json!([{"code": 2_593_109, "title": "x"}]);
    let declined = crate::fixtures::body("history", &json!({"history": [{"errors": errors}]}));
    let beside = crate::fixtures::body("history", &json!({"errors": errors}));
    let bare = json!({"messaging_product": "whatsapp", "history": [{"errors": errors}],
        "metadata": {"display_phone_number": OWN, "phone_number_id": CHANNEL}});
    posted(&world, &[declined, beside, bare, chunk(1, 4, 62, &[])]).await;
    assert_eq!((world.dead_letters("inbound").len(), world.dead_letters("history").len()), (0, 0));
    let progress = progress(&world).await;
    assert_eq!(progress.declined.map(|(code, _)| code), Some(2_593_109));
    assert_eq!(progress.transfer.progress, 62);
}

/// A file of the past, as Meta tells of it after its chunk or before.
fn file(world: &World, id: &str, at: i64, bytes: usize) -> Value {
    let media = world.meta.holds_file(CHANNEL, vec![b'f'; bytes], "image/jpeg");
    let image = json!({"id": media, "mime_type": "image/jpeg", "caption": "mi moto"});
    let message = json!({"from": ANA, "id": id, "timestamp": at.to_string(), "type": "image", "image": image});
    crate::fixtures::body("history", &json!({"messages": [message]}))
}

/// What the shop's phone shows in place of a picture.
fn picture(id: &str, at: i64) -> Value {
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

#[tokio::test]
async fn whoever_is_erased_does_not_come_back_with_the_past() {
    let world = World::start().await.unwrap();
    let hers = thread(ANA, &[theirs(ANA, "wamid.a", NOW - 20 * DAY, "secreto")]);
    let others = thread(BERTA, &[theirs(BERTA, "wamid.b", NOW - 20 * DAY, "hola")]);
    // During the import: the slice is registered and waits.
    posted(&world, &[chunk(0, 1, 100, &[hers.clone(), others])]).await;
    let code = crate::erasure::operator_asks(&world, json!({ "phone": ANA })).await;
    imported(&world).await;
    crate::erasure::done(&world, &code).await;
    assert_eq!(notes(&world, &format!("+{BERTA}")).len(), 1);
    // After it, and when the shop signs up again within the time that messages are kept.
    for wait in [Duration::ZERO, 100 * 24 * HOUR] {
        world.pass(wait);
        posted(&world, &[chunk(0, 2, 100, std::slice::from_ref(&hers))]).await;
        imported(&world).await;
        let contacts: Vec<String> = world.chatwoot.contacts().into_iter().map(|contact| contact.name).collect();
        assert!(contacts.iter().all(|name| !name.contains(ANA)), "{contacts:?}");
    }
    let rows = store::Imports::new(table(&world));
    let person =
        crate::fixtures::key().alias(domain::keyed_hash::AliasKind::Phone, &domain::WaId::new(ANA).canonical());
    let number = domain::PhoneNumberId::new(CHANNEL);
    assert_eq!(rows.waiting(&number, &person).await.unwrap(), []);
    assert_eq!(rows.of_person(&number, &person).await.unwrap(), None);
}

#[tokio::test]
async fn who_is_erased_after_the_import_leaves_nothing_of_it() {
    let world = World::start().await.unwrap();
    posted(&world, &[chunk(0, 1, 100, &[thread(ANA, &[theirs(ANA, "wamid.a", NOW - 20 * DAY, "secreto")])])]).await;
    imported(&world).await;
    assert_eq!(notes(&world, &format!("+{ANA}")).len(), 1);
    let code = crate::erasure::operator_asks(&world, json!({ "phone": ANA })).await;
    crate::erasure::done(&world, &code).await;
    assert_eq!(world.chatwoot.contacts().len(), 0);
    let person =
        crate::fixtures::key().alias(domain::keyed_hash::AliasKind::Phone, &domain::WaId::new(ANA).canonical());
    let past =
        store::Imports::new(table(&world)).of_person(&domain::PhoneNumberId::new(CHANNEL), &person).await.unwrap();
    assert_eq!(past, None);
}

#[tokio::test]
async fn the_contact_book_names_those_who_have_a_contact_and_nobody_else() {
    let world = World::start().await.unwrap();
    let entry = |phone: &str, name: &str, at: i64| {
        json!({"type": "contact", "action": "add",
        "contact": {"full_name": name, "first_name": name, "phone_number": phone}, "metadata": {"timestamp": at.to_string()}})
    };
    let book = crate::fixtures::body(
        "smb_app_state_sync",
        &json!({"state_sync": [
        entry(ANA, "Ana Vento", NOW - 60), entry("5215555550199", "Nunca Escribió", NOW - 60)]}),
    );
    posted(&world, &[book, chunk(0, 1, 100, &[thread(ANA, &[theirs(ANA, "wamid.a", NOW - 20 * DAY, "hola")])])]).await;
    goes_by(&world, HOUR, 10 * MINUTE).await;
    let names = || -> Vec<String> { world.chatwoot.contacts().into_iter().map(|contact| contact.name).collect() };
    assert_eq!(names(), ["Ana Vento"]);
    // An edit counts, an older one does not, and a profile's name does not undo it.
    let edit = |name: &str, at: i64| {
        crate::fixtures::body("smb_app_state_sync", &json!({"state_sync": [entry(ANA, name, at)]}))
    };
    posted(&world, &[edit("Ana Quiroga", NOW + 60), edit("Ana Vieja", NOW - 90)]).await;
    assert_eq!(names(), ["Ana Quiroga"]);
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(names(), ["Ana Quiroga"]);
    assert_eq!((world.queued("history"), world.dead_letters("history").len()), (0, 0));
    assert_eq!(world.reconcile().await.unwrap().difference, 0);
}

#[tokio::test]
async fn an_import_is_slower_than_chatwoot_bears() {
    let world = World::start().await.unwrap();
    let threads: Vec<Value> = (0..40)
        .map(|chat| {
            let who = format!("52155555{chat:05}");
            let messages: Vec<Value> = (0..90)
                .map(|n| {
                    theirs(
                        &who,
                        &format!("wamid.{chat}.{n}"),
                        NOW - 30 * DAY + n * 600,
                        &format!("mensaje {n} del chat {chat}."),
                    )
                })
                .collect();
            thread(&who, &messages)
        })
        .collect();
    let chunks: Vec<Value> =
        threads.chunks(8).zip(1..).map(|(some, order)| chunk(0, order, 20 * order, some)).collect();
    for at in [3, 0, 4, 2, 1, 3] {
        assert_eq!(post(&world, &chunks[at]).await, 200);
    }
    world.work().await.unwrap();
    world.pass(2 * MINUTE);
    let began: Timestamp = world.clock.now();
    goes_by(&world, HOUR, MINUTE).await;
    let counts = progress(&world).await.counts;
    assert_eq!((counts.received, counts.written, counts.waiting()), (3_600, 3_600, 0), "{counts:?}");
    let mut requests = world.chatwoot.requests();
    requests.retain(|request| request.at >= began);
    let within =
        |from: usize| requests[from..].iter().take_while(|one| one.at.since(requests[from].at) < MINUTE).count();
    let (most, from) = (0..requests.len()).map(|from| (within(from), from)).max().unwrap_or_default();
    let crowd = || requests[from..from + most].iter().map(|request| format!("{} {}", request.method, request.path));
    assert!(most <= 150, "{most} requests in a minute: {:#?}", crowd().take(40).collect::<Vec<_>>());
    for chat in [0, 17, 39] {
        let all = notes(&world, &format!("+52155555{chat:05}")).join("\n");
        for n in [0, 1, 44, 89] {
            assert_eq!(times(&all, &format!("mensaje {n} del chat {chat}.")), 1, "{n} of {chat}");
        }
    }
}

#[tokio::test]
async fn agents_read_how_far_the_import_is_and_what_is_not_there() {
    let world = World::start().await.unwrap();
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    let sofia = world.chatwoot.agent("Sofía");
    let asks = async |note: &str| {
        sofia.notes(conversation, note).await;
        world.work().await.unwrap();
        notes(&world, "Ana").pop().unwrap()
    };
    let said = [theirs(ANA, "wamid.old", NOW - 400 * DAY, "viejo"), theirs(ANA, "wamid.new", NOW - 40 * DAY, "nuevo")];
    posted(&world, &[chunk(1, 1, 55, &[thread(ANA, &said)])]).await;
    let state = asks("/estado").await;
    assert!(state.contains("**Historial del celular**: WhatsApp lo está enviando (55 %)"), "{state}");
    goes_by(&world, 2 * HOUR, 10 * MINUTE).await;
    let past = asks("/historial").await;
    for words in [
        "copiado.",
        "1 mensajes, del 11 oct 2026 al 11 oct 2026",
        "más antiguo de lo que se conserva: 1",
        "Los archivos que WhatsApp envía",
    ] {
        assert!(past.contains(words), "{words}: {past}");
    }
    assert!(!asks("/estado").await.contains("Historial del celular"));
}

#[tokio::test]
async fn what_the_simulated_phone_tells_reads_as_a_conversation() {
    let world = World::start().await.unwrap();
    let past = simulator_meta::Past::sample(OWN, world.clock.now());
    let chunks = past.history.iter().map(|chunk| json!({ "history": [chunk] }));
    let bodies: Vec<_> = chunks.map(|members| crate::fixtures::body("history", &members)).collect();
    posted(&world, &bodies).await;
    imported(&world).await;
    let all = notes(&world, &format!("+{ANA}"));
    assert_eq!(all.len(), 1, "{all:#?}");
    assert!(all[0].contains("**Cliente:** Buenas, ¿precio de la FT150?"), "{}", all[0]);
    assert!(all[0].contains("**Tienda:** $24,999 de contado"), "{}", all[0]);
    assert!(notes(&world, "+5215555550188")[0].contains("**Tienda:** Ya llegó su refacción"));
}
