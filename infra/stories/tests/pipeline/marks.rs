//! Bold here is bold there, and what only looks like a mark is none: WhatsApp's marks and Chatwoot's Markdown.

use serde_json::json;
use stories::World;

use crate::fixtures::{ana, ana_wrote};

#[tokio::test]
async fn marks_go_both_ways() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let cases = [
        ("*hoy* _sí_ ~no~ `a*b*`", "**hoy** _sí_ ~~no~~ `a*b*`"),
        ("# hola\n1) uno\n<b>x</b> [y](z)", "\\# hola\n1\\) uno\n\\<b>x\\</b> \\[y\\](z)"),
        ("https://x.mx/a_b_c?d=*e* a_b_c", "https://x.mx/a_b_c?d=*e* a_b_c"),
        ("- uno\n- dos\n\n> cita\n\n```\nc *d*\n```", "- uno\n- dos\n\n> cita\n\n```\nc *d*\n```"),
        ("مرحبا 👩\u{200d}👧 a\u{200b}b", "مرحبا 👩\u{200d}👧 a\u{200b}b"),
    ];
    for (whatsapp, markdown) in cases {
        ana.writes(whatsapp).await.unwrap();
        world.work().await.unwrap();
        assert_eq!(world.agent_reads("Ana").pop().unwrap(), format!("Ana: {markdown}"));
        world.chatwoot.agent("Sofía").replies(conversation, markdown).await;
        world.work().await.unwrap();
        assert_eq!(ana.heard().pop().unwrap(), whatsapp);
    }
    world.chatwoot.agent("Sofía").replies(conversation, "**Precio:** 5\\*3\\\n*ya*").await;
    world.work().await.unwrap();
    assert_eq!(ana.heard().pop().unwrap(), "*Precio:* 5*3\n_ya_");
}

#[tokio::test]
async fn the_longest_text_and_its_nul_arrive_whole() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    let long = "ñ🏍️é\u{200f}".repeat(4_096 / 5);
    ana.writes(&long).await.unwrap();
    ana.writes("a\0b").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), [format!("Ana: {long}"), "Ana: ab".to_owned()]);
}

#[tokio::test]
async fn cards_come_as_words_and_as_one_file() {
    let world = World::start().await.unwrap();
    ana(&world).sends_contacts(&[("Eva; Gil", "+52 1"), ("Luis", "+52 2")]).await.unwrap();
    world.work().await.unwrap();
    assert_eq!(
        world.agent_reads("Ana"),
        ["Ana: 👤 Contacto: Eva; Gil\n+52 1\n\n👤 Contacto: Luis\n+52 2 [contactos.vcf]"]
    );
    let file = world.chatwoot.messages(world.conversation("Ana").unwrap())[0].attachments[0].clone();
    let text = String::from_utf8(file.bytes.to_vec()).unwrap();
    assert_eq!((file.content_type.as_str(), text.matches("BEGIN:VCARD\r\n").count()), ("text/vcard", 2));
    assert!(text.contains("FN:Eva\\; Gil\r\n"));
}

#[tokio::test]
async fn in_a_group_each_line_names_its_speaker_whatever_it_is() {
    let world = World::start().await.unwrap();
    let item = |name: Option<&str>, wamid: &str, members: &serde_json::Value| {
        let mut item = json!({"from": "5215555550123", "id": wamid, "timestamp": "1795190400", "group_id": "Y2FwaQ"});
        item.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let contact = json!({"profile": {"name": name}, "wa_id": "5215555550123"});
        crate::fixtures::body("messages", &json!({"contacts": [contact], "messages": [item]}))
    };
    let list = json!({"type": "text", "text": {"body": "- una\n- dos"}});
    let place = json!({"type": "location", "location": {"latitude": 1.5, "longitude": 2.5}});
    crate::fixtures::post(&world, &item(Some("*Ana*"), "wamid.1", &list)).await;
    crate::fixtures::post(&world, &item(None, "wamid.2", &place)).await;
    world.work().await.unwrap();
    assert_eq!(
        world.agent_reads("Grupo de WhatsApp"),
        [
            "Grupo de WhatsApp: \\*Ana\\*:\n- una\n- dos",
            "Grupo de WhatsApp: +5215555550123:\n📍 Ubicación\nhttps://maps.google.com/?q=1.5,2.5",
        ]
    );
    // The group is not called after who speaks in it.
    assert_eq!(world.chatwoot.contacts()[0].name, "Grupo de WhatsApp");
}
