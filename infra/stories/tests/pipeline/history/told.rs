//! What agents are told of an import, and what is counted and not written.

use domain::Clock as _;
use serde_json::json;
use stories::{CHANNEL, World};

use super::{ANA, DAY, HOUR, MINUTE, NOW, OWN, ana, chunk, goes_by, imported, notes, posted, progress, theirs, thread};

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
