//! The business sends: what is accepted, what is refused, and what fails later.

use std::time::Duration;

use serde_json::{Value, json};
use simulator_meta::{Rules, Statuses};
use simulator_wire::{Effect, Fault};

use crate::stage::{ANA, CLOUD_NUMBER, CLOUD_TOKEN, NUMBER, Stage, TOKEN, WABA, answer, code, text_to};

#[tokio::test]
async fn an_answer_reaches_the_phone_and_its_statuses_come_back() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Automatic).await?;
    let ana = stage.meta.customer("Ana", ANA);
    let question = ana.writes("¿Tienen la 250Z?").await?;
    let (status, accepted) = stage
        .send(json!({
            "messaging_product": "whatsapp", "to": "+52 1 55 5555 0123", "type": "text", "text": {"body": "Sí, en rojo"},
            "context": {"message_id": question}, "biz_opaque_callback_data": "msg=7",
        }))
        .await?;
    assert_eq!(status, 200);
    assert_eq!(accepted["contacts"], json!([{"input": "+52 1 55 5555 0123", "wa_id": ANA}]));
    let wamid = accepted["messages"][0]["id"].as_str().unwrap();
    assert_eq!(accepted["messages"], json!([{"id": wamid}]));
    assert!(wamid.starts_with("wamid.HBgNNTIxNTU1NTU1MDEyMxUCABEYE"), "{wamid}");

    let phone = ana.phone();
    assert_eq!(phone[1].text, "Sí, en rojo");
    assert_eq!(phone[1].quoted.as_deref(), Some(question.as_str()));
    assert_eq!(stage.statuses().await?, ["sent", "delivered"]);
    assert_eq!(ana.phone()[1].status, "delivered");
    let sent = &stage.values()?[1]["statuses"][0];
    assert_eq!(sent["biz_opaque_callback_data"], "msg=7");
    assert_eq!(sent["recipient_id"], ANA);
    assert_eq!(sent["recipient_user_id"], ana.user_id());
    assert_eq!(sent["pricing"]["type"], "free_customer_service");
    ana.reads(wamid).await;
    assert_eq!(stage.statuses().await?, ["sent", "delivered", "read"]);
    let request = &stage.meta.requests()[0];
    assert_eq!((request.number.as_str(), request.status, request.wamid.as_deref()), (NUMBER, 200, Some(wamid)));
    Ok(())
}

#[tokio::test]
async fn after_24_hours_of_silence_only_a_template_arrives() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Automatic).await?;
    let ana = stage.meta.customer("Ana", ANA);
    ana.writes("hola").await?;
    stage.pass(Duration::from_secs(24 * 3600 - 1));
    stage.sent(ANA, "todavía").await?;
    stage.pass(Duration::from_secs(1));
    stage.meta.echo(&ana, "desde el teléfono").await?;
    stage.sent(ANA, "tarde").await?;
    assert_eq!(stage.statuses().await?, ["sent", "delivered", "failed 131047"]);
    let values = stage.values()?;
    let failed = values.last().unwrap();
    assert!(failed.get("contacts").is_none());
    assert!(failed["statuses"][0].get("recipient_user_id").is_none());

    let own = json!({"name": "recordatorio", "language": "es_MX", "status": "APPROVED", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Su moto está lista"}]});
    stage.meta.set_templates(WABA, vec![own]);
    let template = json!({"name": "recordatorio", "language": {"code": "es_MX"}});
    let body = json!({"messaging_product": "whatsapp", "to": ANA, "type": "template", "template": template});
    let (status, accepted) = stage.send(body).await?;
    assert_eq!((status, accepted["messages"][0]["message_status"].as_str()), (200, Some("accepted")));
    assert_eq!(ana.heard(), ["todavía", "desde el teléfono", "Su moto está lista"]);

    ana.writes("sigo aquí").await?;
    stage.sent(ANA, "qué bueno").await?;
    assert_eq!(ana.heard().len(), 4);
    stage.pass(Duration::from_secs(48 * 3600));
    stage.meta.set_rules(Rules { window: false, ..Rules::default() });
    stage.sent(ANA, "sin regla").await?;
    assert_eq!(ana.heard().last().map(String::as_str), Some("sin regla"));
    Ok(())
}

#[tokio::test]
async fn a_window_belongs_to_one_number() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Automatic).await?;
    let ana = stage.meta.customer("Ana", ANA);
    ana.at(CLOUD_NUMBER).writes("hola").await?;
    stage.sent(ANA, "del otro número").await?;
    assert_eq!(stage.statuses().await?, ["failed 131047"]);
    assert_eq!(ana.at(CLOUD_NUMBER).phone().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_burst_to_one_person_runs_into_the_pair_rate() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    stage.meta.customer("Ana", ANA).writes("hola").await?;
    stage.meta.set_rules(Rules { throughput: false, ..Rules::default() });
    for _ in 0..45 {
        stage.sent(ANA, "uno más").await?;
    }
    let (status, refused) = stage.send_text(ANA, "demasiado").await?;
    assert_eq!((status, code(&refused)), (400, 131_056));
    stage.pass(Duration::from_secs(6));
    stage.sent(ANA, "ya").await?;
    assert_eq!(code(&stage.send_text(ANA, "otra vez").await?.1), 131_056);
    Ok(())
}

#[tokio::test]
async fn a_coexistence_number_sends_20_a_second_and_a_cloud_number_80() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let url = stage.graph(&format!("{CLOUD_NUMBER}/messages"));
    for (limit, coexistence) in [(20, true), (80, false)] {
        let mut accepted = 0;
        let refused = loop {
            let body = text_to(&format!("52155555{accepted:05}"), "hola");
            let (status, answer) = if coexistence {
                stage.send(body).await?
            } else {
                answer(stage.http.post(&url).bearer_auth(CLOUD_TOKEN).json(&body)).await?
            };
            if status != 200 {
                break answer;
            }
            accepted += 1;
        };
        assert_eq!((accepted, code(&refused)), (limit, 130_429));
    }
    stage.pass(Duration::from_secs(1));
    stage.sent(ANA, "de nuevo").await?;
    Ok(())
}

#[tokio::test]
async fn what_meta_does_not_take_is_refused_with_its_code() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    stage.meta.customer("Ana", ANA).writes("hola").await?;
    let with = |extra: Value| {
        let mut body = json!({"messaging_product": "whatsapp", "to": ANA});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let buttons = |count: usize| {
        let reply = |i| json!({"type": "reply", "reply": {"title": format!("Sí {i}"), "id": i}});
        let buttons: Vec<_> = (0..count).map(|i| reply(i.to_string())).collect();
        json!({"type": "button", "body": {"text": "¿?"}, "action": {"buttons": buttons}})
    };
    let refused = [
        (with(json!({"type": "text", "text": {"body": "x".repeat(4097)}})), 100),
        (with(json!({"type": "text", "text": {"body": ""}})), 131_008),
        (with(json!({"type": "text", "text": {"body": "x", "previewurl": true}})), 100),
        (with(json!({"type": "text"})), 131_008),
        (with(json!({"type": "hologram", "hologram": {}})), 100),
        (with(json!({"type": "image", "image": {"id": "12345"}})), 100),
        (with(json!({"type": "image", "image": {"link": "https://x/y.jpg", "caption": "x".repeat(1025)}})), 100),
        (with(json!({"type": "audio", "audio": {"link": "https://x/y.ogg", "caption": "x"}})), 100),
        (with(json!({"type": "location", "location": {"latitude": 91, "longitude": 0}})), 100),
        (with(json!({"type": "contacts", "contacts": [{"phones": []}]})), 131_008),
        (with(json!({"type": "interactive", "interactive": buttons(4)})), 131_009),
        (with(json!({"type": "interactive", "interactive": {"type": "button", "action": {}}})), 131_008),
        (with(json!({"type": "template", "template": {"name": "x"}})), 131_008),
        (with(json!({"type": "text", "text": {"body": "x"}, "biz_opaque_callback_data": "x".repeat(513)})), 100),
        (json!({"to": ANA, "type": "text", "text": {"body": "x"}}), 100),
        (json!({"messaging_product": "whatsapp", "type": "text", "text": {"body": "x"}}), 100),
        (text_to("MX.24518830917745120033", "un id en to"), 131_009),
        (text_to("+52 55 5555 0100", "a mí mismo"), 131_021),
        (json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.nope"}), 131_009),
    ];
    let count = refused.len();
    for (body, expected) in refused {
        let (status, answer) = stage.send(body.clone()).await?;
        assert_eq!((status, code(&answer)), (400, expected), "{body}\n{answer}");
    }
    let taken = [
        with(json!({"type": "text", "text": {"body": "ñ".repeat(4096), "preview_url": false}})),
        with(json!({"type": "interactive", "interactive": buttons(3)})),
        with(json!({"type": "location", "location": {"latitude": 19.4, "longitude": -99.1, "name": "LMotos"}})),
        with(json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Taller"}, "phones": []}]})),
    ];
    for body in taken {
        assert_eq!(stage.send(body.clone()).await?.0, 200, "{body}");
    }
    let calls = [stage.meta.requests(), stage.meta.marks()].concat();
    assert_eq!(calls.iter().filter(|request| request.status == 400).count(), count);
    Ok(())
}

#[tokio::test]
async fn a_token_opens_its_own_numbers_only() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let url = stage.graph(&format!("{NUMBER}/messages"));
    let post = |token: &str| stage.http.post(&url).bearer_auth(token).json(&text_to(ANA, "x"));
    let (status, refused) = answer(post("expired")).await?;
    assert_eq!((status, code(&refused)), (401, 190));
    assert!(refused["error"]["fbtrace_id"].is_string());
    let (status, refused) = answer(post(CLOUD_TOKEN)).await?;
    assert_eq!((status, code(&refused), &refused["error"]["error_subcode"]), (400, 100, &json!(33)));
    stage.meta.set_access_token(NUMBER, "renewed");
    assert_eq!(answer(post(TOKEN)).await?.0, 401);
    assert_eq!(answer(post("renewed")).await?.0, 200);
    let (status, refused) = answer(stage.http.get(format!("{}/nowhere", stage.meta.url()))).await?;
    assert_eq!((status, code(&refused)), (400, 2500));
    Ok(())
}

#[tokio::test]
async fn somebody_without_whatsapp_or_without_a_phone() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Automatic).await?;
    stage.sent("5215550000000", "¿hay alguien?").await?;
    assert_eq!(stage.statuses().await?, ["failed 131026"]);

    let lucia = stage.meta.customer("Lucía", ANA).without_phone();
    lucia.writes("hola").await?;
    let value = stage.values()?.pop().unwrap();
    assert!(value["messages"][0].get("from").is_none() && value["contacts"][0].get("wa_id").is_none());
    assert_eq!(value["contacts"][0]["profile"]["username"], lucia.username().unwrap());
    assert!(!stage.posts().last().unwrap().1.windows(ANA.len()).any(|window| window == ANA.as_bytes()));
    let mut body = text_to("", "hola, Lucía");
    body["recipient"] = lucia.user_id().into();
    let (_, accepted) = stage.send(body).await?;
    assert_eq!(accepted["contacts"], json!([{"input": lucia.user_id(), "user_id": lucia.user_id()}]));
    assert_eq!(lucia.heard(), ["hola, Lucía"]);
    stage.meta.settled().await;
    let delivered = stage.values()?.pop().unwrap();
    assert_eq!(delivered["statuses"][0]["recipient_user_id"], lucia.user_id());
    assert!(delivered["statuses"][0].get("recipient_id").is_none());
    Ok(())
}

#[tokio::test]
async fn a_line_cut_after_the_work_leaves_the_sender_guessing_and_the_status_tells() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Automatic).await?;
    let ana = stage.meta.customer("Ana", ANA);
    ana.writes("hola").await?;
    let fault = |effect| Fault { method: None, path: "/messages".into(), skip: 0, times: Some(1), effect };
    stage.meta.faults().add(fault(Effect::DropAfter));
    assert!(stage.send_text(ANA, "¿llegó?").await.is_err());
    assert_eq!(ana.heard(), ["¿llegó?"]);
    assert_eq!(stage.statuses().await?, ["sent", "delivered"]);
    stage.meta.faults().add(fault(Effect::DropBefore));
    assert!(stage.send_text(ANA, "esto no").await.is_err());
    assert_eq!(ana.heard(), ["¿llegó?"]);
    Ok(())
}

#[tokio::test]
async fn the_business_reads_and_earlier_messages_count_as_read() -> anyhow::Result<()> {
    let stage = Stage::open(Statuses::Manual).await?;
    let ana = stage.meta.customer("Ana", ANA);
    ana.writes("uno").await?;
    let second = ana.writes("dos").await?;
    ana.writes("tres").await?;
    let typing = json!({"type": "text"});
    let read =
        json!({"messaging_product": "whatsapp", "status": "read", "message_id": second, "typing_indicator": typing});
    assert_eq!(stage.send(read).await?, (200, json!({"success": true})));
    let seen: Vec<_> = ana.phone().into_iter().map(|bubble| bubble.status).collect();
    assert_eq!(seen, ["read", "read", "sent"]);
    assert!(ana.sees_typing());
    stage.send_text(ANA, "ya").await?;
    assert!(!ana.sees_typing());
    Ok(())
}
