//! What the shop writes on its phone, or Meta's automation in its name: shown as ours, followed, never sent again.

use domain::{Channel, channel::EchoForm};
use serde_json::{Value, json};
use simulator_chatwoot::{Robot, Rule, RuleAction};
use store::Channels;
use stories::{CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::{
    fixtures::{HOUR, MINUTE, ana, ana_wrote, body, goes_by, post, post_all_again, profile, table},
    open_chat::OpenChat,
};

pub(crate) fn echo(field: &str, wamid: &str, members: &Value) -> Value {
    let mut item = json!({"from": "525555550100", "to": "5215555550123", "id": wamid, "timestamp": "1795190400"});
    item.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body(field, &json!({"contacts": [profile("Ana", "5215555550123")], "message_echoes": [item]}))
}

#[tokio::test]
async fn an_echo_comes_with_its_file_its_quote_and_its_changes() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let hola = world.chatwoot.messages(conversation)[0].clone();
    // A file that is at Meta: she sent it herself.
    ana(&world).sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    let sent: Value = serde_json::from_slice(&world.meta.deliveries().pop().unwrap().body).unwrap();
    let mut image = sent.pointer("/entry/0/changes/0/value/messages/0/image").unwrap().clone();
    image["caption"] = json!("así {{quedó}} {% if %}");
    let quote = json!({"id": hola.source_id});
    let edited = json!({"original_message_id": "wamid.e1", "message": {"type": "image", "image": {"id": "1", "caption": "*lista*"}}});
    for (wamid, members) in [
        ("wamid.e1", json!({"type": "image", "image": image, "context": quote})),
        ("wamid.e2", json!({"type": "edit", "edit": edited})),
        ("wamid.e3", json!({"type": "reaction", "reaction": {"message_id": hola.source_id, "emoji": "👍"}})),
    ] {
        post(&world, &echo("smb_message_echoes", wamid, &members)).await;
        world.work().await.unwrap();
    }
    let seen = world.chatwoot.messages(conversation);
    let texts: Vec<_> = seen[2..].iter().map(|message| message.content.replace('\u{200b}', "|")).collect();
    assert_eq!(texts, ["así {|{quedó}} {|% if %}", "✏️ Editado\n**lista**", "Reaccionó con 👍"]);
    assert_eq!(seen[2].attachments[0].bytes.as_ref(), b"a picture");
    let quotes: Vec<_> = seen[2..].iter().map(|message| message.in_reply_to).collect();
    assert_eq!(quotes, [Some(seen[0].id), Some(seen[2].id), Some(seen[0].id)]);
    for message in &seen[2..] {
        assert_eq!(
            (message.message_type.as_str(), &message.content_attributes["external_echo"]),
            ("outgoing", &json!(true))
        );
    }
    let revoke = json!({"type": "revoke", "revoke": {"original_message_id": "wamid.e1"}});
    post(&world, &echo("smb_message_echoes", "wamid.e4", &revoke)).await;
    world.work().await.unwrap();
    post_all_again(&world).await;
    world.work().await.unwrap();
    world.reconcile().await.unwrap();
    world.work().await.unwrap();
    let seen = world.chatwoot.messages(conversation);
    assert_eq!(seen.iter().map(|message| message.deleted).collect::<Vec<_>>(), [false, false, true, true, false]);
    assert!(seen[2].attachments.is_empty());
    assert!(world.meta.requests().is_empty());
}

#[tokio::test]
async fn what_metas_automation_writes_is_an_echo_too() {
    let world = World::start().await.unwrap();
    let members =
        json!({"type": "text", "text": {"body": "Soy un asistente"}, "message_creation_type": "created_by_1p_bot"});
    assert_eq!(post(&world, &echo("message_echoes", "wamid.b1", &members)).await, 200);
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["agent: Soy un asistente ✓"]);
    assert!(world.meta.requests().is_empty());
}

/// Stands above what was written there.
const PHONE: &str = "📱 Desde el celular de la tienda\n";

/// From now on agents see what is written on the phone of this channel in that form.
async fn shows_echoes(world: &World, form: EchoForm) {
    let channels = Channels::new(table(world));
    let number = domain::PhoneNumberId::new(CHANNEL);
    let known = channels.look_again(&number).await.unwrap().unwrap();
    channels.put(&Channel { echoes: form, ..(*known).clone() }).await.unwrap();
    // A function remembers its channels for a minute.
    world.pass(2 * MINUTE);
}

#[tokio::test]
async fn as_a_note_an_echo_is_for_agents_alone_with_its_file_and_its_changes() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    shows_echoes(&world, EchoForm::Note).await;
    let words = json!({"type": "text", "text": {"body": "te espero *mañana*"}});
    let photo = json!({"type": "image", "image": {"id": "900100200", "mime_type": "image/jpeg", "caption": "así"}});
    let edited =
        json!({"original_message_id": "wamid.e1", "message": {"type": "text", "text": {"body": "te espero hoy"}}});
    for (wamid, members) in
        [("wamid.e1", words), ("wamid.e2", photo), ("wamid.e3", json!({"type": "edit", "edit": edited}))]
    {
        post(&world, &echo("smb_message_echoes", wamid, &members)).await;
        world.work().await.unwrap();
    }
    let standing: Vec<_> = world.chatwoot.messages(conversation).into_iter().skip(1).collect();
    assert!(standing.iter().all(|message| message.private), "{standing:?}");
    assert!(standing.iter().all(|message| !message.content_attributes.contains_key("external_echo")));
    assert_eq!(standing[0].content, format!("{PHONE}te espero **mañana**"));
    assert!(standing[1].content.starts_with(&format!("{PHONE}así")), "{}", standing[1].content);
    assert!(
        standing.iter().any(|one| one.content.ends_with("te espero hoy") && one.in_reply_to == Some(standing[0].id))
    );
    // Taken back on the phone, it is taken back here.
    let revoke = json!({"type": "revoke", "revoke": {"original_message_id": "wamid.e1"}});
    post(&world, &echo("smb_message_echoes", "wamid.e4", &revoke)).await;
    world.work().await.unwrap();
    assert!(world.chatwoot.messages(conversation)[1].deleted);
    assert!(world.meta.requests().is_empty(), "nothing is sent again");
    // What stands on the phone and what the bridge sends are told apart as before.
    shows_echoes(&world, EchoForm::Message).await;
    let more = json!({"type": "text", "text": {"body": "otra"}});
    post(&world, &echo("smb_message_echoes", "wamid.e5", &more)).await;
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana").pop().unwrap(), "agent: otra ✓");
}

#[tokio::test]
async fn an_echo_wakes_no_greeting_no_rule_for_customers_words_no_bot_of_theirs_and_no_command() {
    for form in [EchoForm::Message, EchoForm::Note] {
        let shop = OpenChat::open().await;
        let world = &shop.world;
        shows_echoes(world, form).await;
        crate::made_by_chatwoot::greets(&shop).await;
        let actions = vec![RuleAction::SendMessage("automático".to_owned()), RuleAction::AddLabel("vip".to_owned())];
        let incoming = Some("incoming".to_owned());
        world.chatwoot.add_rule(Rule { contains: String::new(), message_type: incoming, actions });
        let (name, says) = ("Autómata".to_owned(), "Soy un bot".to_owned());
        world.chatwoot.add_robot(Robot {
            name,
            says,
            private: false,
            as_user: false,
            on_updates: false,
            customers_only: true,
        });
        for (at, text) in ["hola", "BORRAR MIS DATOS", "sí borrar", "/plantilla precios", "/estado"].iter().enumerate()
        {
            let members = json!({"type": "text", "text": {"body": text}});
            post(world, &echo("smb_message_echoes", &format!("wamid.e{at}"), &members)).await;
            world.work().await.unwrap();
        }
        // The first word of a chat comes from the phone, too.
        let to_zoe = json!({"type": "text", "text": {"body": "buenas"}, "to": "5215555550199"});
        post(world, &echo("smb_message_echoes", "wamid.z", &to_zoe)).await;
        goes_by(world, 30 * MINUTE, 5 * MINUTE).await;
        world.reconcile().await.unwrap();
        world.work().await.unwrap();
        assert!(world.meta.requests().is_empty(), "{form:?}: {:?}", world.agent_reads("Ana"));
        let all = world.chatwoot.conversations();
        assert!(all.iter().all(|one| one.labels.is_empty()), "{form:?}");
        let lines: Vec<_> = all.iter().flat_map(|one| world.chatwoot.messages(one.id)).collect();
        let ours = |text: &str| text.contains("automático") || text.contains("bot") || text.contains("Bienvenida");
        assert!(!lines.iter().any(|line| ours(&line.content)), "{form:?}");
        assert!(
            !lines.iter().any(|line| line.content.contains("24 h") || line.content.contains("Ventana")),
            "{form:?}"
        );
        // A customer wakes them as ever.
        shop.ana.writes("¿hola?").await.unwrap();
        world.work().await.unwrap();
        assert!(shop.ana.heard().contains(&"automático".to_owned()), "{form:?}");
    }
}

#[tokio::test]
async fn an_echo_of_what_the_bridge_sent_itself_never_stands_beside_it() {
    let world = World::start().await.unwrap();
    let ana = ana(&world).at(COEXISTENCE_CHANNEL);
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    let (mut awaits, mut lives, mut echoed) = (0, 0, 0);
    while lives < 3 {
        let words = format!("respuesta {awaits}");
        let id = world.chatwoot.agent("Sofía").replies(conversation, &words).await;
        world.calm().await;
        let killed = world.send_killed(awaits).await.unwrap();
        if let Some(sent) = ana.phone().into_iter().rev().find(|bubble| bubble.text == words) {
            // Meta tells of it before it answered, or after.
            let members = json!({"type": "text", "text": {"body": words}});
            let mut echo = echo("smb_message_echoes", &sent.wamid, &members);
            echo["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!(COEXISTENCE_CHANNEL);
            post(&world, &echo).await;
            assert!(world.forward_once().await.unwrap());
            ana.status(&sent.wamid, "delivered", None).await;
            echoed += 1;
        }
        world.work().await.unwrap();
        goes_by(&world, HOUR / 2, 5 * MINUTE).await;
        let standing = world.chatwoot.messages(conversation);
        let standing: Vec<_> = standing.iter().filter(|message| message.content == words).map(|m| m.id).collect();
        assert_eq!(standing, [id], "killed at await {awaits}");
        lives = if killed { 0 } else { lives + 1 };
        awaits += 1;
    }
    assert!(echoed > 5, "only {echoed} were sent");
}
