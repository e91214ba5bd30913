//! A customer who tapped an advert: the first message says which, and the conversation keeps it.

use serde_json::{Value, json};
use stories::World;

use crate::fixtures::{HOUR, MINUTE, always, ana, ana_wrote, answer, calls, goes_by};

fn advert(id: &str, click: Option<&str>) -> Value {
    let mut referral = json!({"source_url": "https://fb.me/x_1_", "source_id": id, "source_type": "ad",
        "headline": "Estrena *hoy*", "body": "Desde $1,890", "image_url": "https://scontent.xx/a_b.jpg"});
    if let Some(click) = click {
        referral["ctwa_clid"] = json!(click);
    }
    json!({"type": "text", "text": {"body": "quiero *info*"}, "referral": referral})
}

fn attributes(world: &World) -> Value {
    json!(world.chatwoot.conversations()[0].custom_attributes)
}

#[tokio::test]
async fn the_first_message_shows_the_advert_and_the_conversation_keeps_it_beside_what_agents_filled_in() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    world.chatwoot.agent("Sofía").fills_in(conversation, "modelo", json!("250Z")).await;
    ana.sends(advert("120", Some(&"c".repeat(1_600)))).await.unwrap();
    world.work().await.unwrap();
    let shown = "Ana: quiero **info**\n\n📣 Llegó por un anuncio: **Estrena \\*hoy\\***\nDesde $1,890\nhttps://fb.me/x_1_\n\
                 🖼️ https://scontent.xx/a_b.jpg";
    assert_eq!(world.agent_reads("Ana")[1], shown);
    let message = world.chatwoot.messages(conversation).pop().unwrap();
    assert_eq!(message.content_attributes["referral"]["source_id"], json!("120"));
    let expected = json!({"modelo": "250Z", "source_id": "120", "source_type": "ad", "source_url": "https://fb.me/x_1_",
        "ctwa_clid": "c".repeat(1_499)});
    assert_eq!(attributes(&world), expected);
    // A later advert takes the place of the earlier one, its click included.
    ana.sends(advert("121", None)).await.unwrap();
    world.work().await.unwrap();
    let expected =
        json!({"modelo": "250Z", "source_id": "121", "source_type": "ad", "source_url": "https://fb.me/x_1_"});
    assert_eq!(attributes(&world), expected);
    // The same once more needs no write.
    let before = calls(&world, "POST", "/custom_attributes");
    ana.sends(advert("121", None)).await.unwrap();
    world.work().await.unwrap();
    assert_eq!(calls(&world, "POST", "/custom_attributes"), before);
}

#[tokio::test]
async fn attributes_that_cannot_be_written_hold_up_no_message() {
    for status in [404, 422, 500] {
        let world = World::start().await.unwrap();
        world.chatwoot.faults().add(always("POST", "/custom_attributes", answer(status)));
        ana(&world).sends(advert("120", None)).await.unwrap();
        ana(&world).writes("¿hola?").await.unwrap();
        world.work().await.unwrap();
        goes_by(&world, HOUR, 5 * MINUTE).await;
        assert_eq!((world.agent_reads("Ana").len(), world.queued("inbound")), (2, 0), "{status}");
        assert_eq!(world.dead_letters("inbound"), [], "{status}");
    }
}

#[tokio::test]
async fn an_outage_does_not_cost_the_advert() {
    let world = World::start().await.unwrap();
    world.chatwoot.faults().add(always("POST", "/custom_attributes", answer(502)));
    ana(&world).sends(advert("120", None)).await.unwrap();
    world.work().await.unwrap();
    world.chatwoot.faults().clear();
    world.later(MINUTE).await.unwrap();
    assert_eq!(attributes(&world)["source_id"], json!("120"));
    assert_eq!(world.agent_reads("Ana").len(), 1);
}
