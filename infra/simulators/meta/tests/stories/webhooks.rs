//! What Meta posts: bytes, signatures, order, repeats.

use std::time::Duration;

use serde_json::json;
use simulator_meta::Statuses;

use crate::stage::{ANA, NOW, NUMBER, Stage, WABA};

#[tokio::test]
async fn a_text_is_posted_as_meta_writes_it_and_signed_over_those_bytes() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let ana = stage.meta.customer("Ana Ñáñez", ANA);
    let wamid = ana.writes("¿Sí? 🏍 http://x/y").await?;
    let (headers, body) = stage.posts().remove(0);
    assert!(body.is_ascii());
    let text = std::str::from_utf8(&body)?;
    assert!(text.contains(r#""body":"\u00bfS\u00ed? \ud83c\udfcd http:\/\/x\/y""#), "{text}");
    assert_eq!(headers["x-hub-signature-256"], stage.meta.sign(&body).as_str());
    stage.meta.set_app_secret("another");
    assert_ne!(headers["x-hub-signature-256"], stage.meta.sign(&body).as_str());

    let body: serde_json::Value = serde_json::from_slice(&body)?;
    assert_eq!(body["entry"][0]["id"], WABA);
    let value = &body["entry"][0]["changes"][0]["value"];
    assert_eq!(value["metadata"], json!({"display_phone_number": "525555550100", "phone_number_id": NUMBER}));
    assert_eq!(value["contacts"], json!([{"profile": {"name": "Ana Ñáñez"}, "wa_id": ANA, "user_id": ana.user_id()}]));
    let message = json!({
        "from": ANA, "from_user_id": ana.user_id(), "id": wamid, "timestamp": NOW.to_string(), "type": "text",
        "text": {"body": "¿Sí? 🏍 http://x/y"},
    });
    assert_eq!(value["messages"], json!([message]));
    Ok(())
}

#[tokio::test]
async fn what_was_not_answered_200_is_posted_again_with_the_same_bytes() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let ana = stage.meta.customer("Ana", ANA);
    ana.writes("uno").await?;
    stage.answer_webhooks(500);
    assert!(ana.writes("dos").await.is_err());
    assert!(ana.writes("tres").await.is_err());
    assert!(stage.meta.redeliver().await.is_err());
    stage.pass(Duration::from_secs(60));
    stage.answer_webhooks(200);
    stage.meta.redeliver().await?;
    stage.meta.redeliver().await?;

    let bodies: Vec<_> = stage.posts().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies.len(), 1 + 2 + 2 + 2);
    assert_eq!(bodies[5..], bodies[1..3]);
    let second = &stage.meta.deliveries()[1];
    let statuses: Vec<_> = second.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), Some(500), Some(200)]);
    assert_eq!(second.attempts[2].at.as_secs(), NOW + 60);
    let texts: Vec<_> = ana.phone().into_iter().map(|bubble| bubble.text).collect();
    assert_eq!(texts, ["uno", "dos", "tres"]);
    Ok(())
}

#[tokio::test]
async fn webhooks_of_a_number_keep_their_order() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Automatic).await?;
    let ana = stage.meta.customer("Ana", ANA);
    ana.writes("hola").await?;
    for text in ["a", "b", "c"] {
        stage.sent(ANA, text).await?;
    }
    assert_eq!(stage.statuses().await?, ["sent", "delivered"].repeat(3));
    Ok(())
}

#[tokio::test]
async fn a_test_says_which_status_comes_and_in_which_order() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let ana = stage.meta.customer("Ana", ANA);
    ana.writes("hola").await?;
    let wamid = stage.sent(ANA, "buen día").await?;
    assert!(stage.statuses().await?.is_empty());
    ana.reads(&wamid).await;
    ana.status(&wamid, "sent", None).await;
    ana.status(&wamid, "delivered", None).await;
    assert_eq!(stage.statuses().await?, ["read", "sent", "delivered"]);
    assert_eq!(ana.phone()[1].status, "read");
    let priced: Vec<_> = stage.values()?[1..].iter().map(|v| v["statuses"][0]["pricing"].is_object()).collect();
    assert_eq!(priced, [true, true, false], "sent, and one of delivered and read");

    let lost = stage.sent(ANA, "no llega").await?;
    ana.status(&lost, "failed", Some(json!([{"code": 131_026, "title": "Message undeliverable"}]))).await;
    assert_eq!(stage.statuses().await?.last().map(String::as_str), Some("failed 131026"));
    assert_eq!(ana.heard(), ["buen día"]);
    Ok(())
}

#[tokio::test]
async fn replies_reactions_edits_and_deletions() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let ana = stage.meta.customer("Ana", ANA);
    let first = ana.writes("la 250").await?;
    let offer = stage.sent(ANA, "¿Roja o negra?").await?;
    ana.replies_to(&offer, "roja").await?;
    ana.reacts(&offer, "👍").await?;
    ana.edits(&first, "la 300").await?;
    let slip = ana.writes("perdón").await?;
    ana.revokes(&slip).await?;
    ana.sends_location(19.4, -99.1, Some("Taller")).await?;
    ana.sends_contacts(&[("Luis", "+52 55 5555 0170")]).await?;
    let shown: Vec<_> = ana.phone().into_iter().map(|bubble| (bubble.kind, bubble.text)).collect();
    let expected = [
        ("text", "la 300"),
        ("text", "¿Roja o negra?"),
        ("text", "roja"),
        ("reaction", "👍"),
        ("location", "19.4,-99.1 · Taller"),
        ("contacts", "Luis +52 55 5555 0170"),
    ];
    assert_eq!(shown, expected.map(|(kind, text)| (kind.to_owned(), text.to_owned())));
    let reply = &stage.values()?[1]["messages"][0];
    assert_eq!(reply["context"], json!({"id": offer, "from": "525555550100"}));
    Ok(())
}

#[tokio::test]
async fn the_shop_answers_from_the_phone_app() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let ana = stage.meta.customer("Ana", ANA);
    let wamid = stage.meta.echo(&ana, "Se la aparto").await?;
    let body: serde_json::Value = serde_json::from_slice(&stage.posts()[0].1)?;
    let change = &body["entry"][0]["changes"][0];
    assert_eq!(change["field"], "smb_message_echoes");
    let echo = &change["value"]["message_echoes"][0];
    assert_eq!((&echo["from"], &echo["to"], &echo["id"]), (&json!("525555550100"), &json!(ANA), &json!(wamid)));
    assert_eq!(ana.heard(), ["Se la aparto"]);
    ana.reads_all().await;
    assert_eq!(ana.phone()[0].status, "read");
    assert!(stage.statuses().await?.is_empty(), "the API reports statuses of its own messages only");
    assert!(stage.meta.echo(&ana.at(crate::stage::CLOUD_NUMBER), "no puede ser").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_body_posted_by_hand_teaches_the_double_who_wrote() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Automatic).await?;
    let message = json!({
        "from": ANA, "from_user_id": "MX.24518830917745120033", "id": "wamid.X", "timestamp": NOW.to_string(),
        "type": "text", "text": {"body": "hola"},
    });
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": [{"field": "messages",
        "value": {"messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "525555550100", "phone_number_id": NUMBER},
            "contacts": [{"profile": {"name": "María"}, "wa_id": ANA, "user_id": "MX.24518830917745120033"}],
            "messages": [message]}}]}]});
    let raw = format!(" {body:#} ");
    assert_eq!(stage.meta.post(raw.as_bytes()).await?, 200);
    assert_eq!(stage.meta.post(raw.as_bytes()).await?, 200);
    assert_eq!(stage.posts()[1].1, raw.as_bytes());
    let maria = stage.meta.customer("María", ANA);
    assert_eq!(maria.user_id(), "MX.24518830917745120033");
    assert_eq!(maria.phone().len(), 1);
    stage.sent(ANA, "hola, María").await?;
    assert_eq!(stage.statuses().await?, ["sent", "delivered"]);

    let heir = stage.meta.person("Otra", Some(ANA), "MX.77410029385561120487");
    assert_eq!((heir.wa_id().as_deref(), maria.wa_id()), (Some(ANA), None));
    stage.sent(ANA, "¿María?").await?;
    assert_eq!(stage.statuses().await?.last().map(String::as_str), Some("failed 131047"), "her window was hers");
    Ok(())
}
