//! What the shop writes on its phone, or Meta's automation in its name: shown as ours, followed, never sent again.

use serde_json::{Value, json};
use stories::{COEXISTENCE_CHANNEL, World};

use crate::fixtures::{HOUR, MINUTE, ana, ana_wrote, body, goes_by, post, post_all_again, profile};

fn echo(field: &str, wamid: &str, members: &Value) -> Value {
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
