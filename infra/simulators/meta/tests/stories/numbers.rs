//! A number comes into service, and its phone is asked for its past.

use std::time::Duration;

use serde_json::{Value, json};
use simulator_meta::{
    Declined, Outcome, Past,
    prospect::{ACCOUNT, DISPLAY, NUMBER},
    refusal,
};
use simulator_wire::Fault;

use crate::{
    signup::{get, opened, post, token},
    stage::{ANA, Stage, code, text_to},
};

const HOUR: u64 = 3600;

async fn register(stage: &Stage, token: &str, pin: &str) -> anyhow::Result<(u16, u64)> {
    let body = json!({"messaging_product": "whatsapp", "pin": pin});
    let (status, answered) = post(stage, token, &format!("{NUMBER}/register"), body).await?;
    Ok((status, code(&answered)))
}

async fn ask_code(stage: &Stage, token: &str) -> anyhow::Result<(u16, u64)> {
    let body = json!({"code_method": "SMS", "language": "es_MX"});
    let (status, answered) = post(stage, token, &format!("{NUMBER}/request_code"), body).await?;
    Ok((status, code(&answered)))
}

async fn verify(stage: &Stage, token: &str, given: &str) -> anyhow::Result<(u16, u64)> {
    let (status, answered) = post(stage, token, &format!("{NUMBER}/verify_code"), json!({ "code": given })).await?;
    Ok((status, code(&answered)))
}

async fn sync(stage: &Stage, token: &str, kind: &str) -> anyhow::Result<(u16, Value)> {
    let body = json!({"messaging_product": "whatsapp", "sync_type": kind});
    post(stage, token, &format!("{NUMBER}/smb_app_data"), body).await
}

#[tokio::test]
async fn an_unverified_number_is_verified_then_registered_then_sends() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = token(&stage, Outcome::FinishUnverified).await?;
    assert_eq!(register(&stage, &own, "480213").await?, (400, 133_006));
    assert_eq!(verify(&stage, &own, "000000").await?, (400, 136_025));
    assert_eq!(ask_code(&stage, &own).await?, (200, 0));
    let old = stage.meta.sent_code(NUMBER).unwrap();
    stage.pass(Duration::from_secs(HOUR));
    assert_eq!(verify(&stage, &own, &old).await?, (400, 136_025), "it is old");
    assert_eq!(ask_code(&stage, &own).await?, (200, 0));
    assert_eq!(verify(&stage, &own, &stage.meta.sent_code(NUMBER).unwrap()).await?, (200, 0));
    assert_eq!(ask_code(&stage, &own).await?, (400, 136_024));

    let text = || post(&stage, &own, "104857600777001/messages", text_to(ANA, "hola"));
    assert_eq!(code(&text().await?.1), 133_010);
    assert_eq!(register(&stage, &own, "abc").await?, (400, 100));
    assert_eq!(register(&stage, &own, "480213").await?, (200, 0));
    assert_eq!(stage.meta.pin(NUMBER).as_deref(), Some("480213"));
    let number = get(&stage, &own, &format!("{NUMBER}?fields=status,is_on_biz_app,is_pin_enabled")).await?.1;
    assert_eq!(number, json!({"id": NUMBER, "status": "CONNECTED", "is_on_biz_app": false, "is_pin_enabled": true}));
    assert_eq!(text().await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_pin_is_guessed_a_few_times_and_then_locked() -> anyhow::Result<()> {
    let stage = opened().await?;
    stage.meta.set_pin(NUMBER, Some("111111"));
    let own = token(&stage, Outcome::FinishCloud).await?;
    for _ in 0..5 {
        assert_eq!(register(&stage, &own, "222222").await?, (400, 133_005));
    }
    assert_eq!(register(&stage, &own, "111111").await?, (400, 133_008));
    stage.pass(Duration::from_secs(12 * HOUR));
    assert_eq!(register(&stage, &own, "111111").await?, (200, 0));
    Ok(())
}

#[tokio::test]
async fn ten_attempts_in_72_hours_and_a_number_just_left_waits() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = token(&stage, Outcome::FinishCloud).await?;
    for _ in 0..10 {
        assert_eq!(register(&stage, &own, "480213").await?, (200, 0));
    }
    assert_eq!(register(&stage, &own, "480213").await?, (400, 133_016));
    stage.pass(Duration::from_secs(72 * HOUR));
    let left = post(&stage, &own, &format!("{NUMBER}/deregister"), Value::Null).await?;
    assert_eq!(left, (200, json!({"success": true})));
    assert_eq!(register(&stage, &own, "480213").await?, (400, 133_015));
    stage.pass(Duration::from_secs(300));
    assert_eq!(register(&stage, &own, "480213").await?, (200, 0));
    Ok(())
}

#[tokio::test]
async fn a_number_on_a_phone_is_not_registered_and_not_taken_out() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = token(&stage, Outcome::FinishCoexistence).await?;
    assert_eq!(register(&stage, &own, "480213").await?, (400, 100));
    assert_eq!(code(&post(&stage, &own, &format!("{NUMBER}/deregister"), Value::Null).await?.1), 100);
    assert_eq!(sync(&stage, &own, "history").await?.0, 200);
    let cloud = opened().await?;
    let own = token(&cloud, Outcome::FinishCloudRegistered).await?;
    assert_eq!(code(&sync(&cloud, &own, "history").await?.1), 100);
    Ok(())
}

#[tokio::test]
async fn a_phone_tells_its_past_once() -> anyhow::Result<()> {
    let stage = opened().await?;
    stage.meta.set_past(NUMBER, Past::sample(DISPLAY, domain::Timestamp::from_secs(crate::stage::NOW)));
    let own = token(&stage, Outcome::FinishCoexistence).await?;
    post(&stage, &own, &format!("{ACCOUNT}/subscribed_apps"), Value::Null).await?;
    let (status, asked) = sync(&stage, &own, "smb_app_state_sync").await?;
    assert_eq!((status, &asked["messaging_product"]), (200, &json!("whatsapp")));
    assert!(asked["request_id"].is_string());
    assert_eq!(sync(&stage, &own, "history").await?.0, 200);
    assert_eq!(code(&sync(&stage, &own, "history").await?.1), 2_593_107);
    stage.meta.settled().await;
    let values = stage.values()?;
    assert_eq!(values[1]["state_sync"].as_array().map(Vec::len), Some(2));
    assert_eq!(values[2]["history"][0]["metadata"]["phase"], 0);
    assert_eq!((values.len(), &values[3]["history"][0]["metadata"]["progress"]), (4, &json!(100)));
    assert_eq!(stage.meta.syncs(NUMBER).len(), 2);

    // Only somebody who signs up again can ask again, and not later than a day after.
    let again = token(&stage, Outcome::FinishCoexistence).await?;
    stage.pass(Duration::from_secs(24 * HOUR));
    assert_eq!(sync(&stage, &again, "history").await?.0, 200);
    stage.pass(Duration::from_secs(1));
    assert_eq!(code(&sync(&stage, &again, "smb_app_state_sync").await?.1), 2_593_108);
    Ok(())
}

#[tokio::test]
async fn a_history_that_is_not_shared_says_so_in_either_form() -> anyhow::Result<()> {
    for (declined, at) in [(Declined::Enveloped, "/entry/0/changes/0/value"), (Declined::Bare, "")] {
        let stage = opened().await?;
        stage.meta.set_past(NUMBER, Past { declined: Some(declined), ..Past::default() });
        let own = token(&stage, Outcome::FinishCoexistence).await?;
        post(&stage, &own, &format!("{ACCOUNT}/subscribed_apps"), Value::Null).await?;
        sync(&stage, &own, "history").await?;
        stage.meta.settled().await;
        let body: Value = serde_json::from_slice(&stage.posts().last().unwrap().1)?;
        let value = body.pointer(at).unwrap();
        assert_eq!(value["history"][0]["errors"][0]["code"], 2_593_109);
        assert_eq!(value["metadata"]["phone_number_id"], NUMBER);
    }
    Ok(())
}

#[tokio::test]
async fn what_nobody_is_subscribed_to_is_lost() -> anyhow::Result<()> {
    let stage = opened().await?;
    stage.meta.set_past(NUMBER, Past::sample(DISPLAY, domain::Timestamp::from_secs(crate::stage::NOW)));
    let own = token(&stage, Outcome::FinishCoexistence).await?;
    assert_eq!(sync(&stage, &own, "history").await?.0, 200);
    post(&stage, &own, &format!("{ACCOUNT}/subscribed_apps"), Value::Null).await?;
    assert_eq!(code(&sync(&stage, &own, "history").await?.1), 2_593_107);
    stage.meta.settled().await;
    assert_eq!(stage.values()?.len(), 1, "the signup alone");
    Ok(())
}

#[tokio::test]
async fn a_refusal_of_any_code_is_made_by_a_fault() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = token(&stage, Outcome::FinishCoexistence).await?;
    let fault = |effect| Fault { method: None, path: "/smb_app_data".into(), skip: 0, times: Some(1), effect };
    stage.meta.faults().add(fault(refusal(503, 2, None)));
    let (status, refused) = sync(&stage, &own, "history").await?;
    assert_eq!((status, code(&refused)), (503, 2));
    stage.meta.faults().add(fault(simulator_wire::Effect::DropAfter));
    assert!(sync(&stage, &own, "history").await.is_err());
    assert_eq!(code(&sync(&stage, &own, "history").await?.1), 2_593_107, "it was taken all the same");
    Ok(())
}
