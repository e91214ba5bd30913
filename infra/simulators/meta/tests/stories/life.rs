//! What happens to a number after its signup.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, Router, extract::State, routing::post as posts};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use simulator_meta::{
    AccountUpdate, Outcome,
    prospect::{ACCOUNT, DISPLAY, NUMBER, PERSON},
};
use simulator_wire::{Faults, Server};

use crate::{
    signup::{debug, get, opened, post, subcode, token},
    stage::{NOW, Stage, code},
};

/// The last body that came.
fn last(stage: &Stage) -> Value {
    serde_json::from_slice(&stage.posts().last().unwrap().1).unwrap()
}

async fn subscribed(stage: &Stage) -> anyhow::Result<String> {
    let own = token(stage, Outcome::FinishCoexistence).await?;
    post(stage, &own, &format!("{ACCOUNT}/subscribed_apps"), Value::Null).await?;
    Ok(own)
}

#[tokio::test]
async fn a_new_phone_interrupts_and_nothing_ends() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = subscribed(&stage).await?;
    stage.meta.account_update(ACCOUNT, AccountUpdate::Offboarded).await?;
    let told = json!([{"value": {"event": "ACCOUNT_OFFBOARDED"}, "field": "account_update"}]);
    assert_eq!(last(&stage)["entry"][0], json!({"id": ACCOUNT, "time": NOW, "changes": told}));
    let number = || get(&stage, &own, "104857600777001?fields=is_on_biz_app,status");
    assert_eq!(number().await?.1["is_on_biz_app"], false);
    stage.meta.account_update(ACCOUNT, AccountUpdate::Reconnected).await?;
    assert_eq!(last(&stage)["entry"][0]["time"], NOW.to_string());
    assert_eq!(number().await?.1, json!({"id": NUMBER, "is_on_biz_app": true, "status": "CONNECTED"}));
    assert!(stage.meta.subscribed_accounts().contains(ACCOUNT));
    Ok(())
}

#[tokio::test]
async fn an_owner_who_leaves_ends_the_token_and_may_come_back() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = subscribed(&stage).await?;
    stage.meta.account_update(ACCOUNT, AccountUpdate::PartnerRemovedOther).await?;
    assert_eq!(get(&stage, &own, NUMBER).await?.0, 200, "it was another partner");
    stage.meta.account_update(ACCOUNT, AccountUpdate::RemovedByOwner).await?;
    let value = json!({"phone_number": DISPLAY, "event": "PARTNER_REMOVED",
        "disconnection_info": {"reason": "ACCOUNT_DISCONNECTED", "initiated_by": "USER"}});
    let entry = last(&stage)["entry"][0].clone();
    assert_eq!((&entry["id"], &entry["changes"][0]["value"]), (&json!(ACCOUNT), &value));
    let (status, refused) = get(&stage, &own, NUMBER).await?;
    assert_eq!((status, code(&refused), subcode(&refused)), (401, 190, 467));
    assert_eq!(debug(&stage, &own).await?["is_valid"], false);
    assert!(!stage.meta.subscribed_accounts().contains(ACCOUNT));

    let again = token(&stage, Outcome::FinishCoexistence).await?;
    assert_eq!(get(&stage, &again, NUMBER).await?.0, 200);
    assert_eq!(get(&stage, &own, NUMBER).await?.0, 401, "the old one stays dead");
    assert!(!stage.meta.subscribed_accounts().contains(ACCOUNT), "to be subscribed to anew");
    Ok(())
}

#[tokio::test]
async fn the_same_phone_comes_back_under_another_id() -> anyhow::Result<()> {
    let stage = opened().await?;
    subscribed(&stage).await?;
    stage.meta.account_update(ACCOUNT, AccountUpdate::RemovedInactive).await?;
    stage.meta.move_number(NUMBER, "104857600777555");
    let done = stage.meta.signs_up(Outcome::FinishCoexistenceWithNumber).await?;
    assert_eq!(done.events[0]["data"]["phone_number_id"], "104857600777555");
    let given = done.code.unwrap();
    let own = crate::signup::exchange(&stage, &given, "").await?.1["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get(&stage, &own, NUMBER).await?.0, 400);
    let moved = get(&stage, &own, "104857600777555?fields=display_phone_number,is_on_biz_app").await?.1;
    assert_eq!((&moved["display_phone_number"], &moved["is_on_biz_app"]), (&json!(DISPLAY), &json!(true)));
    Ok(())
}

#[tokio::test]
async fn an_app_is_installed_and_removed() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = subscribed(&stage).await?;
    stage.meta.account_update(ACCOUNT, AccountUpdate::PartnerAppInstalled).await?;
    assert_eq!(last(&stage)["entry"][0]["changes"][0]["value"]["event"], "PARTNER_APP_INSTALLED");
    stage.meta.account_update(ACCOUNT, AccountUpdate::AppUninstalled).await?;
    let value = last(&stage)["entry"][0]["changes"][0]["value"].clone();
    assert_eq!(value["event"], "PARTNER_APP_UNINSTALLED");
    assert_eq!(value["waba_info"]["partner_app_id"], crate::signup::APP);
    assert_eq!(subcode(&get(&stage, &own, NUMBER).await?.1), 458);
    Ok(())
}

#[tokio::test]
async fn a_token_is_ended_by_itself_and_a_new_one_is_another() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = subscribed(&stage).await?;
    stage.meta.end_tokens(ACCOUNT, 460);
    assert_eq!(subcode(&get(&stage, &own, NUMBER).await?.1), 460);
    let told = debug(&stage, &own).await?;
    assert_eq!((&told["is_valid"], &told["error"]["subcode"]), (&json!(false), &json!(460)));
    let again = token(&stage, Outcome::FinishGrantOnly).await?;
    assert_eq!(get(&stage, &again, NUMBER).await?.0, 200);
    assert_eq!(stage.meta.issued_tokens(), [own, again]);
    Ok(())
}

type Forms = Arc<Mutex<Vec<String>>>;

#[tokio::test]
async fn a_person_removes_the_app_and_asks_to_be_deleted() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = subscribed(&stage).await?;
    let forms = Forms::default();
    let take = |State(forms): State<Forms>, body: String| async move {
        forms.lock().unwrap_or_else(PoisonError::into_inner).push(body);
        Json(json!({"url": "https://x.example/deletion/1", "confirmation_code": "1"}))
    };
    let router = Router::new()
        .route("/deletion/meta", posts(take))
        .route("/deletion/meta/deauthorize", posts(take))
        .with_state(Arc::clone(&forms));
    let ours = Server::start(([127, 0, 0, 1], 0).into(), router, Faults::default()).await?;
    stage.meta.set_webhook(&format!("{}/webhooks/meta", ours.url()));

    let (status, answered) = stage.meta.asks_deletion(PERSON).await?;
    assert_eq!((status, &answered["confirmation_code"]), (200, &json!("1")));
    assert_eq!(get(&stage, &own, NUMBER).await?.0, 200, "the token lives on");
    assert_eq!(stage.meta.deauthorize(PERSON).await?.0, 200);
    assert_eq!(subcode(&get(&stage, &own, NUMBER).await?.1), 458);
    let forms = forms.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (signature, payload) = forms[0].strip_prefix("signed_request=").unwrap().split_once('.').unwrap();
    let told: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    assert_eq!(told, json!({"algorithm": "HMAC-SHA256", "issued_at": NOW, "expires": 0, "user_id": PERSON}));
    let signed = stage.meta.sign(payload.as_bytes());
    assert_eq!(signed, format!("sha256={}", hex::encode(URL_SAFE_NO_PAD.decode(signature)?)));
    Ok(())
}
