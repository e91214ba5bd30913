//! The dialog as a browser loads it, without one.

use serde_json::{Value, json};
use simulator_meta::{Offer, Outcome, SignupRules, prospect::ACCOUNT};

use crate::signup::{APP, exchange, opened};
use crate::stage::Stage;

/// How a window of the SDK's asks.
fn launch(extras: &Value) -> String {
    let extras = extras.to_string().replace('"', "%22");
    format!(
        "/dialog?client_id={APP}&config_id=200000000000042&response_type=code&override_default_response_type=true&cb=f1\
         &origin=https://shop.example&extras={extras}"
    )
}

async fn page(stage: &Stage, path: &str) -> anyhow::Result<String> {
    Ok(stage.http.get(format!("{}{path}", stage.meta.url())).send().await?.text().await?)
}

async fn pressed(stage: &Stage, form: &str) -> anyhow::Result<reqwest::Response> {
    let request = stage.http.post(format!("{}/dialog", stage.meta.url()));
    Ok(request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned()).send().await?)
}

/// What the last page of a window says to the one that opened it.
async fn result(stage: &Stage, form: &str) -> anyhow::Result<Value> {
    let html = pressed(stage, form).await?.text().await?;
    let json = html.split(r#"id="result">"#).nth(1).and_then(|rest| rest.split("</script>").next());
    Ok(serde_json::from_str(json.unwrap_or_else(|| panic!("{html}")))?)
}

fn asks() -> Value {
    json!({"setup": {}, "featureType": "whatsapp_business_app_onboarding", "sessionInfoVersion": "3"})
}

#[tokio::test]
async fn each_button_ends_the_dialog_in_its_way() -> anyhow::Result<()> {
    let stage = opened().await?;
    let html = page(&stage, &launch(&asks())).await?;
    let buttons: Vec<_> = html.split(r#"name="outcome" value=""#).skip(1).map(|rest| rest.split('"').next()).collect();
    assert_eq!(buttons.len(), 25);
    assert!(!html.contains("disabled"));
    for outcome in buttons.into_iter().flatten() {
        let told = result(&stage, &format!("launch=0&outcome={outcome}&number=&step=PERMISSIONS&shape=text")).await?;
        let event = told["event"]["event"].as_str();
        let code = told["answer"].as_str().is_some_and(|answer| answer.contains("&code=AQ"));
        let expected = match outcome {
            "finish_coexistence" | "finish_coexistence_with_number" | "finish_foreign" | "forged_then_finish" => {
                (Some("FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING"), true)
            }
            "finish_generic_coexistence"
            | "finish_cloud"
            | "finish_cloud_registered"
            | "finish_unverified"
            | "finish_several" => (Some("FINISH"), true),
            "finish_only_waba" => (Some("FINISH_ONLY_WABA"), true),
            "finish_grant_only" => (Some("FINISH_GRANT_ONLY_API_ACCESS"), true),
            "finish_obo_migration" => (Some("FINISH_OBO_MIGRATION"), true),
            "finish_unknown" => (Some("SOMETHING_META_ADDED_LATER"), true),
            "finish_unknown_prefix" => (Some("FINISH_SOMETHING_META_ADDED_LATER"), true),
            "code_only" => (None, true),
            "event_only" => (Some("FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING"), false),
            "cancel" | "cancel_with_session" | "cancel_reported" => (Some("CANCEL"), false),
            "cancel_onboarding" => (Some("CANCEL_WHATSAPP_BUSINESS_APP_ONBOARDING"), false),
            "error_onboarding" => (Some("ERROR_WHATSAPP_BUSINESS_APP_ONBOARDING"), false),
            "error" => (Some("ERROR"), false),
            "nothing" | "forged" | "closed" => (None, false),
            other => panic!("{other}"),
        };
        assert_eq!((event, code), expected, "{outcome}");
        assert_eq!(told["forger"].is_string(), outcome.starts_with("forged"), "{outcome}");
        if matches!(outcome, "cancel" | "cancel_with_session" | "cancel_onboarding") {
            assert_eq!(told["event"]["data"]["current_step"], "PERMISSIONS");
        }
    }
    Ok(())
}

#[tokio::test]
async fn whoever_asks_wrongly_is_offered_a_new_number_only() -> anyhow::Result<()> {
    let stage = opened().await?;
    assert!(page(&stage, &launch(&json!({"setup": {}}))).await?.contains(r#"id="finish_coexistence" disabled"#));
    assert!(
        !page(&stage, &launch(&json!({"feature_type": "whatsapp_business_app_onboarding"})))
            .await?
            .contains("disabled")
    );
    stage.meta.set_signup(SignupRules { coexistence: Offer::Never, ..SignupRules::default() });
    assert!(page(&stage, &launch(&asks())).await?.contains("disabled"));
    let configs = Some(vec!["7".to_owned()]);
    stage.meta.set_signup(SignupRules { configs, ..SignupRules::default() });
    assert!(!page(&stage, &launch(&asks())).await?.contains("<button"), "no such configuration");
    stage.meta.set_signup(SignupRules::default());
    assert!(!page(&stage, &launch(&asks()).replace(APP, "7")).await?.contains("<button"), "no such app");
    Ok(())
}

#[tokio::test]
async fn a_launch_without_the_right_options_gets_a_token_and_no_code() -> anyhow::Result<()> {
    let stage = opened().await?;
    page(
        &stage,
        &launch(&asks()).replace("override_default_response_type=true", "override_default_response_type=false"),
    )
    .await?;
    let told = result(&stage, "launch=0&outcome=finish_coexistence").await?;
    let answer = told["answer"].as_str().unwrap();
    assert!(answer.contains("&access_token=EAA") && !answer.contains("&code="), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_full_page_goes_back_where_it_came_from() -> anyhow::Result<()> {
    let stage = opened().await?;
    let home = "https://shop.example/signup/return";
    let path = |home: &str| {
        format!("/v25.0/dialog/oauth?client_id={APP}&config_id=1&response_type=code&state=s%26t&redirect_uri={home}")
    };
    let html = page(&stage, &path(home)).await?;
    assert!(html.contains(r#"id="finish_coexistence" disabled"#), "extras are no parameter here");
    let answer = pressed(&stage, "launch=0&outcome=finish_cloud").await?;
    assert_eq!(answer.status(), 303);
    let url = reqwest::Url::parse(answer.headers()["location"].to_str()?)?;
    let query: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["state"], "s&t");
    assert_eq!(exchange(&stage, &query["code"], &format!("&redirect_uri={home}")).await?.0, 200);
    let refused = pressed(&stage, "launch=0&outcome=cancel").await?;
    assert!(refused.headers()["location"].to_str()?.contains("?error=access_denied&"));

    let redirect_uris = Some(vec![home.to_owned()]);
    stage.meta.set_signup(SignupRules { redirect_uris, ..SignupRules::default() });
    assert!(!page(&stage, &path("https://shop.example/other")).await?.contains("<button"));
    Ok(())
}

#[tokio::test]
async fn the_same_is_driven_by_http() -> anyhow::Result<()> {
    use crate::stage::answer;
    use axum::Router;
    use simulator_wire::{Faults, Server};
    let stage = opened().await?;
    let server =
        Server::start(([127, 0, 0, 1], 0).into(), Router::new().merge(stage.meta.control()), Faults::default()).await?;
    let post = |path: &str, body: Value| answer(stage.http.post(format!("{}/signup{path}", server.url())).json(&body));
    let past = json!({"phone_number_id": "104857600777001", "declined": "bare"});
    for (path, body) in [
        ("/settings", json!({"token_lives": 60, "coexistence": "always"})),
        ("/past", past),
        ("/hide", json!({"phone_number_id": "1", "hidden": true})),
        ("/pin", json!({"phone_number_id": "104857600777001", "pin": "123456"})),
        ("/callbacks", json!({"deletion": "http://127.0.0.1:1/"})),
        ("/move", json!({"from": "104857600777001", "to": "104857600777555"})),
    ] {
        assert_eq!(post(path, body).await?.0, 204, "{path}");
    }
    let (status, done) = post("/dialog", json!({"outcome": Outcome::FinishCoexistenceWithNumber})).await?;
    assert_eq!((status, &done["phone_number_id"]), (200, &json!("104857600777555")));
    assert_eq!(done["events"][0]["data"]["waba_id"], ACCOUNT);
    assert_eq!(exchange(&stage, done["code"].as_str().unwrap(), "").await?.1["expires_in"], 60);
    assert_eq!(post("/dialog", json!({"number": "7"})).await?.0, 404);
    assert_eq!(post("/updates", json!({"waba_id": ACCOUNT, "event": "offboarded"})).await?.0, 204);
    assert_eq!(post("/tokens/end", json!({"waba_id": ACCOUNT, "subcode": 467})).await?.0, 204);
    assert_eq!(post("/deletion", json!({})).await?.0, 502, "nobody listens there");
    let shown = answer(stage.http.get(format!("{}/signup", server.url()))).await?.1;
    assert_eq!((&shown["tokens"][0]["ended"], &shown["settings"]["token_lives"]), (&json!(467), &json!(60)));
    let number = shown["numbers"].as_array().unwrap().iter().find(|number| number["waba_id"] == ACCOUNT).unwrap();
    assert_eq!((&number["coexistence"], &number["pin"]), (&json!(true), &json!("123456")));
    Ok(())
}
