//! Codes, tokens, accounts: what a signup leaves at Meta.

use std::time::Duration;

use serde_json::{Value, json};
use simulator_meta::{
    Choice, Offer, Outcome, SignupRules, Statuses, TokenKind,
    prospect::{ACCOUNT, BUSINESS, NUMBER, PERSON, Prospect, SECOND_ACCOUNT, SECOND_NUMBER, SYSTEM_USER},
};

use crate::stage::{NOW, SECRET, Stage, answer, code};

pub(crate) const APP: &str = "100000000000001";

/// A stage whose app has its id.
pub(crate) async fn opened() -> anyhow::Result<Stage> {
    let stage = Stage::open(Statuses::Automatic).await?;
    stage.meta.set_app_id(APP);
    Ok(stage)
}

pub(crate) async fn exchange(stage: &Stage, given: &str, more: &str) -> anyhow::Result<(u16, Value)> {
    let path = format!("oauth/access_token?client_id={APP}&client_secret={SECRET}&code={given}{more}");
    answer(stage.http.get(stage.graph(&path))).await
}

/// Signs the known dealer up; the token.
pub(crate) async fn token(stage: &Stage, outcome: Outcome) -> anyhow::Result<String> {
    let given = stage.meta.signs_up(outcome).await?.code.unwrap();
    let (status, answered) = exchange(stage, &given, "").await?;
    assert_eq!((status, &answered["token_type"]), (200, &json!("bearer")), "{answered}");
    Ok(answered["access_token"].as_str().unwrap().to_owned())
}

pub(crate) async fn get(stage: &Stage, token: &str, path: &str) -> anyhow::Result<(u16, Value)> {
    answer(stage.http.get(stage.graph(path)).bearer_auth(token)).await
}

pub(crate) async fn post(stage: &Stage, token: &str, path: &str, body: Value) -> anyhow::Result<(u16, Value)> {
    answer(stage.http.post(stage.graph(path)).bearer_auth(token).json(&body)).await
}

pub(crate) async fn debug(stage: &Stage, token: &str) -> anyhow::Result<Value> {
    let (status, answered) =
        get(stage, &format!("{APP}|{SECRET}"), &format!("debug_token?input_token={token}")).await?;
    assert_eq!(status, 200, "{answered}");
    Ok(answered["data"].clone())
}

pub(crate) fn subcode(answered: &Value) -> u64 {
    answered["error"]["error_subcode"].as_u64().unwrap_or_default()
}

#[tokio::test]
async fn a_code_gives_one_token_within_half_a_minute() -> anyhow::Result<()> {
    let stage = opened().await?;
    let sign_up = || async { Ok::<_, anyhow::Error>(stage.meta.signs_up(Outcome::CodeOnly).await?.code.unwrap()) };
    let first = sign_up().await?;
    stage.pass(Duration::from_secs(30));
    let (status, answered) = exchange(&stage, &first, "").await?;
    assert_eq!(status, 200);
    assert!(answered.get("expires_in").is_none(), "it lives for ever");
    let (status, again) = exchange(&stage, &first, "").await?;
    assert_eq!((status, code(&again), subcode(&again)), (400, 100, 36_009));

    let late = sign_up().await?;
    stage.pass(Duration::from_secs(31));
    assert_eq!(subcode(&exchange(&stage, &late, "").await?.1), 36_007);
    let redirected = exchange(&stage, &sign_up().await?, "&redirect_uri=https://x.example/").await?.1;
    assert_eq!(subcode(&redirected), 36_008);
    assert_eq!(exchange(&stage, "invented", "").await?.0, 400);

    let wrong = format!("oauth/access_token?client_id={APP}&client_secret=no&code={}", sign_up().await?);
    assert_eq!(code(&answer(stage.http.get(stage.graph(&wrong))).await?.1), 1);
    let other = format!("oauth/access_token?client_id=7&client_secret={SECRET}&code={}", sign_up().await?);
    assert_eq!(code(&answer(stage.http.get(stage.graph(&other))).await?.1), 101);
    Ok(())
}

#[tokio::test]
async fn a_code_of_a_full_page_wants_its_address_back() -> anyhow::Result<()> {
    let stage = opened().await?;
    let home = "https://signup.example.org/signup/return";
    let choice = Choice { redirect_uri: Some(home.into()), ..Choice::default() };
    let given = stage.meta.dialog(choice).await?.code.unwrap();
    assert_eq!(subcode(&exchange(&stage, &given, "").await?.1), 36_008);
    assert_eq!(subcode(&exchange(&stage, &given, &format!("&redirect_uri={home}/")).await?.1), 36_008);
    // As a form, too.
    let form = format!("client_id={APP}&client_secret={SECRET}&code={given}&redirect_uri={home}");
    let url = format!("{}/oauth/access_token", stage.meta.url());
    let request = stage.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
    assert_eq!(answer(request).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn a_token_sees_the_accounts_of_its_signup_and_no_others() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = token(&stage, Outcome::FinishCoexistence).await?;
    let told = debug(&stage, &own).await?;
    assert_eq!((&told["is_valid"], &told["app_id"], &told["expires_at"]), (&json!(true), &json!(APP), &json!(0)));
    assert_eq!((&told["type"], &told["user_id"]), (&json!("SYSTEM_USER"), &json!(SYSTEM_USER)));
    assert_eq!(told["granular_scopes"][0]["target_ids"], json!([ACCOUNT]));

    let path = format!("{ACCOUNT}?fields=id,name,owner_business_info,currency,timezone_id");
    let account = json!({"id": ACCOUNT, "name": "LMotos Centro", "currency": "MXN", "timezone_id": "94",
        "owner_business_info": {"name": "Motos del Centro SA de CV", "id": BUSINESS}});
    assert_eq!(get(&stage, &own, &path).await?, (200, account));
    let path = format!("{ACCOUNT}/phone_numbers?fields=id,status,code_verification_status,is_on_biz_app");
    let listed = get(&stage, &own, &path).await?.1;
    let number =
        json!({"id": NUMBER, "status": "CONNECTED", "code_verification_status": "VERIFIED", "is_on_biz_app": true});
    assert_eq!(listed["data"], json!([number]));
    for foreign in [SECOND_ACCOUNT, SECOND_NUMBER, "104857600123456"] {
        let (status, refused) = get(&stage, &own, foreign).await?;
        assert_eq!((status, code(&refused), subcode(&refused)), (400, 100, 33), "{foreign}");
    }
    stage.meta.hide_number(NUMBER, true);
    assert_eq!(get(&stage, &own, &path).await?, (200, json!({"data": []})));
    assert_eq!(get(&stage, &own, NUMBER).await?.0, 400);
    Ok(())
}

#[tokio::test]
async fn a_number_is_listed_minutes_later_and_a_field_may_be_refused() -> anyhow::Result<()> {
    let stage = opened().await?;
    let refused_fields = vec!["is_on_biz_app".to_owned()];
    stage.meta.set_signup(SignupRules { appears_after: 120, refused_fields, ..SignupRules::default() });
    let own = token(&stage, Outcome::FinishCloud).await?;
    let list = format!("{ACCOUNT}/phone_numbers");
    assert_eq!(get(&stage, &own, &list).await?, (200, json!({"data": []})));
    stage.pass(Duration::from_secs(120));
    assert_eq!(get(&stage, &own, &list).await?.1["data"][0]["id"], NUMBER);
    assert_eq!(code(&get(&stage, &own, &format!("{list}?fields=id,is_on_biz_app")).await?.1), 100);
    let number = get(&stage, &own, &format!("{NUMBER}?fields=status,platform_type,health_status")).await?.1;
    assert_eq!((&number["status"], &number["platform_type"]), (&json!("PENDING"), &json!("NOT_APPLICABLE")));
    assert_eq!(number["health_status"]["can_send_message"], "BLOCKED");
    Ok(())
}

#[tokio::test]
async fn several_accounts_come_with_one_token_and_an_account_without_number_is_empty() -> anyhow::Result<()> {
    let stage = opened().await?;
    let several = stage.meta.signs_up(Outcome::FinishSeveral).await?;
    assert_eq!(several.events[0]["data"]["waba_ids"], json!([ACCOUNT, SECOND_ACCOUNT]));
    let own = exchange(&stage, &several.code.unwrap(), "").await?.1["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get(&stage, &own, SECOND_NUMBER).await?.0, 200);

    let prospect = Prospect {
        waba_id: "1".into(),
        account_name: "Otra".into(),
        business_id: "2".into(),
        business_name: "Otra SA".into(),
        phone_number_id: "3".into(),
        display_phone_number: "525555550155".into(),
        verified_name: "Otra".into(),
        pin: None,
        person: PERSON.into(),
    };
    stage.meta.add_prospect(prospect);
    let number = Some("3".to_owned());
    let done = stage.meta.dialog(Choice { outcome: Outcome::FinishOnlyWaba, number, ..Choice::default() }).await?;
    assert_eq!(done.phone_number_id, None);
    let own = exchange(&stage, &done.code.unwrap(), "").await?.1["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get(&stage, &own, "1/phone_numbers").await?, (200, json!({"data": []})));
    Ok(())
}

#[tokio::test]
async fn a_token_of_60_days_ends_and_says_so() -> anyhow::Result<()> {
    let stage = opened().await?;
    let lives = 60 * 86_400;
    stage.meta.set_signup(SignupRules {
        token_lives: Some(lives),
        token_kind: TokenKind::User,
        granular: false,
        coexistence: Offer::Always,
        ..SignupRules::default()
    });
    let given = stage.meta.signs_up(Outcome::FinishCoexistence).await?.code.unwrap();
    let answered = exchange(&stage, &given, "").await?.1;
    assert_eq!(answered["expires_in"], lives);
    let own = answered["access_token"].as_str().unwrap();
    let told = debug(&stage, own).await?;
    assert_eq!((told["expires_at"].as_i64(), told["issued_at"].as_i64()), (Some(NOW + 5_184_000), Some(NOW)));
    assert_eq!((&told["type"], &told["user_id"]), (&json!("USER"), &json!(PERSON)));
    assert!(told.get("granular_scopes").is_none());
    stage.pass(Duration::from_secs(lives));
    let (status, refused) = get(&stage, own, NUMBER).await?;
    assert_eq!((status, code(&refused), subcode(&refused)), (401, 190, 463));
    assert_eq!(debug(&stage, own).await?["is_valid"], false);
    Ok(())
}

#[tokio::test]
async fn a_signup_is_announced_unless_meta_forgets() -> anyhow::Result<()> {
    let stage = opened().await?;
    let done = stage.meta.signs_up(Outcome::Nothing).await?;
    assert_eq!((done.code, done.events.len()), (None, 0));
    let info = json!({"waba_id": ACCOUNT, "owner_business_id": BUSINESS});
    assert_eq!(stage.values()?, [json!({"event": "PARTNER_ADDED", "waba_info": info})]);
    stage.meta.set_signup(SignupRules { announces: false, ..SignupRules::default() });
    stage.meta.signs_up(Outcome::Nothing).await?;
    stage.meta.signs_up(Outcome::Cancel).await?;
    assert_eq!(stage.values()?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn webhooks_come_of_accounts_that_are_subscribed_to_and_of_ticked_fields() -> anyhow::Result<()> {
    let stage = opened().await?;
    let own = token(&stage, Outcome::FinishCoexistence).await?;
    let ana = stage.meta.customer("Ana", crate::stage::ANA).at(NUMBER);
    let before = stage.posts().len();
    ana.writes("¿hay alguien?").await?;
    assert_eq!(stage.posts().len(), before, "nobody is subscribed");

    let path = format!("{ACCOUNT}/subscribed_apps");
    assert_eq!(get(&stage, &own, &path).await?.1, json!({"data": []}));
    assert_eq!(post(&stage, &own, &path, Value::Null).await?, (200, json!({"success": true})));
    assert_eq!(get(&stage, &own, &path).await?.1["data"][0]["whatsapp_business_api_data"]["id"], APP);
    ana.writes("hola").await?;
    assert_eq!(stage.posts().len(), before + 1);
    stage.meta.tick(&["account_update"]);
    ana.writes("¿hola?").await?;
    assert_eq!(stage.posts().len(), before + 1, "the field is not ticked");
    let deleted = answer(stage.http.delete(stage.graph(&path)).bearer_auth(&own)).await?;
    assert_eq!(deleted, (200, json!({"success": true})));
    assert!(!stage.meta.subscribed_accounts().contains(ACCOUNT));
    Ok(())
}

#[tokio::test]
async fn an_account_may_have_an_address_of_its_own_and_the_app_another() -> anyhow::Result<()> {
    use axum::{Router, extract::Query, routing::get as route};
    let stage = opened().await?;
    let challenge = |Query(query): Query<std::collections::HashMap<String, String>>| async move {
        if query["hub.verify_token"] == "right" { query["hub.challenge"].clone() } else { String::new() }
    };
    let router = Router::new().route("/own", route(challenge).post(|| async {}));
    let own_server =
        simulator_wire::Server::start(([127, 0, 0, 1], 0).into(), router, simulator_wire::Faults::default()).await?;
    let own = token(&stage, Outcome::FinishCoexistence).await?;
    let path = format!("{ACCOUNT}/subscribed_apps");
    let address = format!("{}/own", own_server.url());
    let with = |token: &str| json!({"override_callback_uri": address, "verify_token": token});
    assert_eq!(code(&post(&stage, &own, &path, with("right")).await?.1), 100, "not before the subscription");
    post(&stage, &own, &path, Value::Null).await?;
    assert_eq!(code(&post(&stage, &own, &path, with("wrong")).await?.1), 2200);
    assert_eq!(post(&stage, &own, &path, with("right")).await?.0, 200);
    let before = stage.posts().len();
    stage.meta.customer("Ana", crate::stage::ANA).at(NUMBER).writes("hola").await?;
    assert_eq!(stage.posts().len(), before, "it went to the other address");
    assert_eq!(get(&stage, &own, &path).await?.1["data"][0]["override_callback_uri"], address);

    let app = format!("{APP}|{SECRET}");
    let all = json!({"object": "whatsapp_business_account", "callback_url": address, "verify_token": "right",
        "fields": "messages,account_update"});
    assert_eq!(post(&stage, &app, &format!("{APP}/subscriptions"), all).await?.0, 200);
    let set = get(&stage, &app, &format!("{APP}/subscriptions")).await?.1;
    assert_eq!(
        (&set["data"][0]["callback_url"], set["data"][0]["fields"].as_array().map(Vec::len)),
        (&json!(address), Some(2))
    );
    Ok(())
}
