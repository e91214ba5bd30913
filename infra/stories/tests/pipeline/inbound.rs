//! What customers send, as the agent gets it: quotes, files, people without a phone, groups, echoes, repeats.

use serde_json::json;
use simulator_chatwoot::MessageView;
use simulator_wire::{Effect, Fault};
use stories::{CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::fixtures::{
    HOUR, MINUTE, always, ana, ana_wrote, berta, body, columns, counted, goes_by, patience, post, profile, source_ids,
    text,
};

/// Messages of a customer's newest conversation.
fn messages(world: &World, name: &str) -> Vec<MessageView> {
    world.chatwoot.messages(world.conversation(name).unwrap())
}

#[tokio::test]
async fn a_quote_points_to_the_very_message_on_both_sides() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    let first = ana.writes("¿precio de la 250Z?").await.unwrap();
    ana.writes("¿y de la 150?").await.unwrap();
    ana.replies_to(&first, "la roja").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    let seen = messages(&world, "Ana");
    assert_eq!(seen[2].in_reply_to, Some(seen[0].id));
    assert_eq!(world.agent_reads("Ana")[2], "Ana: la roja");
    // The agent quotes her, she quotes the agent.
    world.chatwoot.agent("Sofía").quotes(conversation, seen[1].id, "32,000").await;
    world.work().await.unwrap();
    let answer = ana.phone().pop().unwrap();
    assert_eq!(answer.quoted, seen[1].source_id);
    ana.replies_to(&answer.wamid, "va").await.unwrap();
    world.work().await.unwrap();
    let seen = messages(&world, "Ana");
    assert_eq!(seen[4].in_reply_to, Some(seen[3].id));
}

#[tokio::test]
async fn a_quote_of_something_chatwoot_never_saw_says_so() {
    let world = World::start().await.unwrap();
    let mut quoting = text("5215555550123", "wamid.2", 1_795_190_400, "sí, ese");
    quoting["context"] = json!({"from": "525555550100", "id": "wamid.before-the-bridge"});
    post(&world, &body("messages", &json!({"contacts": [profile("Ana", "5215555550123")], "messages": [quoting]})))
        .await;
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: ↩️ Responde a un mensaje anterior\nsí, ese"]);
}

#[tokio::test]
async fn a_reaction_and_an_edit_point_to_their_message() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    let first = ana.writes("maniana").await.unwrap();
    ana.edits(&first, "mañana").await.unwrap();
    ana.reacts(&first, "👍").await.unwrap();
    ana.reacts(&first, "").await.unwrap();
    world.work().await.unwrap();
    let seen = messages(&world, "Ana");
    let texts: Vec<_> = seen.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(texts, ["maniana", "✏️ Editado\nmañana", "Reaccionó con 👍", "Quitó su reacción"]);
    assert!(seen[1..].iter().all(|message| message.in_reply_to == Some(seen[0].id)));
}

#[tokio::test]
async fn files_arrive_byte_for_byte_with_name_and_type() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    let bytes = |n: usize| (0..n).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap()).collect::<Vec<_>>();
    let files = [
        ("image", 300_001, "image/jpeg", None, Some("frente"), "image.jpg"),
        ("video", 2_500_000, "video/mp4", None, None, "video.mp4"),
        ("voice", 40_000, "audio/ogg; codecs=opus", None, None, "audio.ogg"),
        ("audio", 70_000, "audio/mpeg", None, None, "audio.mp3"),
        ("sticker", 9_000, "image/webp", None, None, "sticker.webp"),
        (
            "document",
            1,
            "application/pdf",
            Some("recibo de nómina (oct).pdf"),
            Some("mi recibo"),
            "recibo de nómina (oct).pdf",
        ),
        ("document", 12, "text/plain", Some("../../etc/passwd"), None, "passwd.txt"),
        ("document", 12, "application/x-unheard-of", None, None, "document.bin"),
    ];
    for (kind, size, mime, name, caption, _) in files {
        ana.sends_file(kind, bytes(size), mime, name, caption).await.unwrap();
    }
    world.work().await.unwrap();
    let seen = messages(&world, "Ana");
    assert_eq!(seen.len(), files.len());
    for (message, (kind, size, mime, _, caption, name)) in seen.iter().zip(files) {
        assert_eq!(message.content, caption.unwrap_or_default(), "{kind}");
        let [file] = &message.attachments[..] else { panic!("{kind} came with {} files", message.attachments.len()) };
        assert_eq!(file.filename, name);
        assert_eq!(file.content_type.split(';').next(), mime.split(';').next(), "{kind}");
        assert!(file.bytes == bytes(size), "{kind} is not what was sent");
    }
}

#[tokio::test]
async fn somebody_without_a_phone_is_a_customer_like_any_other() {
    let world = World::start().await.unwrap();
    let lucia = world.meta.customer("Lucía", "5215555550177").without_phone();
    lucia.writes("¿hacen envíos?").await.unwrap();
    lucia.writes("a Puebla").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Lucía"), ["Lucía: ¿hacen envíos?", "Lucía: a Puebla"]);
    let contact = world.chatwoot.contacts().pop().unwrap();
    assert_eq!(contact.phone_number, None);
    assert_eq!(contact.custom_attributes["whatsapp_user_id"], json!(lucia.user_id()));
    assert!(lucia.username().unwrap().ends_with(contact.custom_attributes["whatsapp_username"].as_str().unwrap()));
    world.chatwoot.agent("Sofía").replies(world.conversation("Lucía").unwrap(), "Sí").await;
    world.work().await.unwrap();
    assert_eq!(lucia.heard(), ["Sí"]);
}

#[tokio::test]
async fn an_echo_from_the_shops_phone_is_shown_as_ours_and_is_never_sent() {
    let world = World::start().await.unwrap();
    let ana = ana(&world).at(COEXISTENCE_CHANNEL);
    ana.writes("hola").await.unwrap();
    world.meta.echo(&ana, "le atiendo desde el taller {{contact.name}}").await.unwrap();
    world.work().await.unwrap();
    world.reconcile().await.unwrap();
    world.work().await.unwrap();
    let read: Vec<_> = world.agent_reads("Ana").into_iter().map(|line| line.replace('\u{200b}', "")).collect();
    assert_eq!(read, ["Ana: hola", "agent: le atiendo desde el taller {{contact.name}} ✓"]);
    assert!(world.meta.requests().is_empty());
    // It opens no window.
    world.pass(23 * HOUR);
    world.meta.echo(&ana, "¿sigue interesada?").await.unwrap();
    world.work().await.unwrap();
    world.pass(2 * HOUR);
    world.chatwoot.agent("Sofía").replies(world.conversation("Ana").unwrap(), "¿hola?").await;
    world.work().await.unwrap();
    assert!(world.meta.requests().is_empty());
}

#[tokio::test]
async fn a_group_is_one_conversation_in_which_each_line_names_its_speaker() {
    let world = World::start().await.unwrap();
    let speaks = |from: &str, name: &str, wamid: &str, words: &str| {
        let mut message = text(from, wamid, 1_795_190_400, words);
        message["group_id"] = json!("Y2FwaV9ncm91cDoxNzA1NTU1MDEyMzk6MTIwMzYzN");
        body("messages", &json!({"contacts": [profile(name, from)], "messages": [message]}))
    };
    post(&world, &speaks("5215555550123", "Ana", "wamid.g1", "¿a qué hora?")).await;
    post(&world, &speaks("5215555550124", "Berta", "wamid.g2", "a las 7")).await;
    berta(&world).writes("y yo aparte").await.unwrap();
    world.work().await.unwrap();
    let group = "Grupo de WhatsApp";
    assert_eq!(world.agent_reads(group), [format!("{group}: Ana: ¿a qué hora?"), format!("{group}: Berta: a las 7")]);
    assert_eq!(world.agent_reads("Berta"), ["Berta: y yo aparte"]);
}

#[tokio::test]
async fn a_number_nobody_knows_is_set_aside_and_counted() {
    let world = World::start().await.unwrap();
    let mut stray = body("messages", &json!({"messages": [text("5215555550123", "wamid.1", 1_795_190_400, "hola")]}));
    stray["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!("999");
    assert_eq!(post(&world, &stray).await, 200);
    world.work().await.unwrap();
    assert!(world.chatwoot.contacts().is_empty());
    assert_eq!(world.dead_letters("inbound")[0].0, "unknown_channel");
    let expected = columns(&[("received", 1), ("refused_unknown_channel", 1)]);
    assert_eq!(crate::fixtures::sheet(&world, "999").await, expected);
}

#[tokio::test]
async fn a_signed_body_that_cannot_be_read_is_set_aside_whole_and_answered_200() {
    let world = World::start().await.unwrap();
    for unreadable in [&b"not json"[..], b"", b"[]", b"{}", b"\xff\xfe", br#"{"object":"whatsapp_business_account"}"#] {
        let before = world.dead_letters("inbound").len();
        assert_eq!(world.meta.post(unreadable).await.unwrap(), 200);
        let letters = world.dead_letters("inbound");
        assert_eq!(letters.len(), before + 1, "{unreadable:?}");
        assert_eq!(letters[before].0, "unreadable_body");
    }
    assert_eq!(world.dead_letters("inbound")[0].1, "not json");
}

#[tokio::test]
async fn one_odd_item_never_sinks_its_neighbors() {
    let world = World::start().await.unwrap();
    let good = |wamid: &str, words: &str| text("5215555550123", wamid, 1_795_190_400, words);
    let odd = [json!(null), json!("text"), json!(7), json!({"type": "text"}), json!([1])];
    let mut messages = vec![good("wamid.1", "uno")];
    messages.extend(odd.iter().cloned());
    messages
        .push(json!({"from": "5215555550123", "id": "wamid.h", "timestamp": "x", "type": "hologram", "hologram": {}}));
    messages.push(good("wamid.2", "dos"));
    let all = body("messages", &json!({"contacts": [profile("Ana", "5215555550123"), null, 3], "messages": messages}));
    assert_eq!(post(&world, &all).await, 200);
    world.work().await.unwrap();
    let hologram = "Ana: ⚠️ El cliente envió un mensaje que WhatsApp no muestra aquí. Míralo en el teléfono (hologram)";
    assert_eq!(world.agent_reads("Ana"), ["Ana: uno", hologram, "Ana: dos"]);
    assert_eq!(counted(&world, "done").await, 3);
    assert_eq!(counted(&world, "refused_unreadable_item").await, i64::try_from(odd.len()).unwrap());
}

#[tokio::test]
async fn a_repeat_in_whatever_shape_and_order_changes_nothing() {
    let world = World::start().await.unwrap();
    let contacts = json!([profile("Ana", "5215555550123")]);
    let one = text("5215555550123", "wamid.1", 1_795_190_400, "uno");
    let two = text("5215555550123", "wamid.2", 1_795_190_401, "dos");
    let three = text("5215555550123", "wamid.3", 1_795_190_402, "tres");
    let shape = |messages: serde_json::Value| body("messages", &json!({"contacts": contacts, "messages": messages}));
    post(&world, &shape(json!([one, two]))).await;
    post(&world, &shape(json!([two, three]))).await;
    world.work().await.unwrap();
    let expected = ["Ana: uno", "Ana: dos", "Ana: tres"];
    assert_eq!(world.agent_reads("Ana"), expected);
    for pause in [MINUTE, 10 * MINUTE, 7 * 24 * HOUR] {
        world.pass(pause);
        for repeat in [json!([three, one]), json!([two]), json!([one, one, two, three])] {
            assert_eq!(post(&world, &shape(repeat)).await, 200);
        }
        let mut two_entries = shape(json!([three]));
        two_entries["entry"].as_array_mut().unwrap().push(shape(json!([two]))["entry"][0].clone());
        post(&world, &two_entries).await;
        world.work().await.unwrap();
        assert_eq!(world.agent_reads("Ana"), expected);
    }
    assert_eq!(source_ids(&world).len(), 3);
}

#[tokio::test]
async fn one_person_on_two_numbers_of_the_business_has_two_conversations_and_one_contact() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    ana.writes("ventas").await.unwrap();
    ana.at(COEXISTENCE_CHANNEL).writes("taller").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.chatwoot.contacts().len(), 1);
    let inboxes: Vec<_> =
        world.chatwoot.conversations().into_iter().map(|conversation| conversation.inbox_id).collect();
    assert_eq!(inboxes, [14, 15]);
    for conversation in world.chatwoot.conversations() {
        world.chatwoot.agent("Sofía").replies(conversation.id, &conversation.inbox_id.to_string()).await;
    }
    world.work().await.unwrap();
    assert_eq!((ana.at(CHANNEL).heard(), ana.at(COEXISTENCE_CHANNEL).heard()), (vec!["14".into()], vec!["15".into()]));
}

#[tokio::test]
async fn an_agent_deletes_conversation_or_contact_and_the_next_message_makes_another() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let admin = world.chatwoot.agent("Sofía");
    admin.deletes_conversation(conversation).await;
    ana.writes("¿me leyeron?").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, MINUTE, MINUTE / 4).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: ¿me leyeron?"]);
    assert_ne!(world.conversation("Ana").unwrap(), conversation);
    admin.deletes_contact(world.chatwoot.contacts()[0].id).await;
    ana.writes("¿y ahora?").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, MINUTE, MINUTE / 4).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: ¿y ahora?"]);
    assert_eq!(world.dead_letters("inbound"), []);
}

#[tokio::test]
async fn hundreds_of_messages_of_many_people_at_once_come_in_order_through_a_bad_day() {
    let world = World::start().await.unwrap();
    let ways = [Effect::DropBefore, Effect::DropAfter, crate::fixtures::answer(502), crate::fixtures::answer(429)];
    for (at, effect) in ways.into_iter().cycle().take(24).enumerate() {
        let (path, skip) = if at % 3 == 0 { ("/contacts", at) } else { ("/messages", at * 9) };
        let skip = u32::try_from(skip).unwrap();
        world.chatwoot.faults().add(Fault { skip, times: Some(1), ..always("POST", path, effect) });
    }
    let person = |who: usize| (format!("P{who}"), format!("52155555503{who:02}"));
    for batch in 0..5 {
        // Forty-eight a body, everybody in turn.
        let message = |n: usize| {
            let (who, at) = (n % 12, batch * 48 + n);
            text(&person(who).1, &format!("wamid.{at}"), 1_795_190_400, &format!("{at}"))
        };
        let messages: Vec<_> = (0..48).map(message).collect();
        let contacts: Vec<_> = (0..12).map(|who| profile(&person(who).0, &person(who).1)).collect();
        assert_eq!(post(&world, &body("messages", &json!({"contacts": contacts, "messages": messages}))).await, 200);
    }
    world.work().await.unwrap();
    patience(&world).await;
    assert!(world.chatwoot.faults().list().is_empty());
    let mut all = 0;
    for who in 0..12 {
        let read: Vec<usize> =
            messages(&world, &format!("P{who}")).iter().map(|m| m.content.parse().unwrap()).collect();
        assert!(read.is_sorted_by(|one, next| one < next), "{read:?}");
        all += read.len();
    }
    assert_eq!((all, world.chatwoot.contacts().len(), world.chatwoot.conversations().len()), (240, 12, 12));
}

#[tokio::test]
async fn a_message_in_which_there_is_nothing_to_see_says_so() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    for text in [" ", "\n\n", "\u{200b}\u{200d}", "\u{3164}", "."] {
        ana.writes(text).await.unwrap();
    }
    world.work().await.unwrap();
    let blank = "Ana: (mensaje en blanco)";
    assert_eq!(world.agent_reads("Ana"), [blank, blank, blank, blank, "Ana: ."]);
}

#[tokio::test]
async fn what_was_typed_is_read_even_where_its_message_has_an_odd_shape() {
    let world = World::start().await.unwrap();
    let odd = [
        json!({"type": "video", "video": {"caption": "mi *ruta*"}}),
        json!({"type": "hologram", "text": {"body": "¿me ven?"}}),
        json!({"type": "edit", "edit": {"message": {"type": "text", "text": {"body": "la azul"}}}}),
        json!({"type": "location", "location": {"name": "Taller", "address": "Av. 5"}}),
        json!({"type": "video", "video": {"id": "123", "caption": "pesa"}, "errors": [{"code": 131_052}]}),
    ];
    for message in odd {
        ana(&world).sends(message).await.unwrap();
    }
    world.work().await.unwrap();
    let unreadable =
        |what: &str| format!("⚠️ El cliente envió {what} que WhatsApp no muestra aquí. Míralo en el teléfono");
    let read = world.agent_reads("Ana");
    let begins = [
        format!("Ana: mi **ruta**\n{}", unreadable("un video")),
        "Ana: ¿me ven?".to_owned(),
        format!("Ana: la azul\n{}", unreadable("una edición")),
        format!("Ana: Taller\nAv. 5\n{}", unreadable("una ubicación")),
        "Ana: pesa\n⚠️ El cliente envió un video que no se pudo descargar".to_owned(),
    ];
    assert_eq!(read.len(), begins.len());
    for (line, begin) in read.iter().zip(begins) {
        assert!(line.starts_with(&begin), "{line:?} is not {begin:?}");
    }
    // Nothing is promised that cannot come.
    assert!(read.iter().all(|line| !line.contains("se sigue intentando")), "{read:?}");
}

#[tokio::test]
async fn a_reaction_to_what_is_not_here_says_so() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    ana.reacts("wamid.elsewhere", "👍").await.unwrap();
    world.work().await.unwrap();
    let read = world.agent_reads("Ana");
    assert_eq!(read[1], "Ana: ↩️ Sobre un mensaje que no está en esta conversación\nReaccionó con 👍");
}
