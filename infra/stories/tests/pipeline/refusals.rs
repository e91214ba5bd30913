//! The operator is not left alone: what one side refuses the other has a line with its cause and its page.

use domain::SendFailure;
use serde_json::json;
use simulator_chatwoot::Role;
use stories::{CHANNEL, World};
use texts::Text as _;

use crate::{
    erasure::{operator_asks, state},
    fixtures::{HOUR, MINUTE, always, ana, answer, calls, goes_by},
    logged::log,
    open_chat::{OpenChat, file},
    retention_sweep::wrote_to_another_dealer,
    templates::{body, params, template},
};

const PAGE: &str = "docs/runbook/refusals.md";

/// The bridge's token becomes this one.
pub(crate) fn token(world: &World, token: &str) {
    let name = world.stage.app_secret().unwrap();
    let secret = json!({
        "app_id": "100000000000001", "app_secret": "app-secret-of-the-stories", "verify_token": "verify-token-of-the-stories",
        "chatwoot_token": token, "subject_key": "subject-key-of-the-stories",
    });
    world.stage.aws.put_secret(name, &secret.to_string());
}

#[tokio::test]
async fn an_erasure_that_lacks_a_right_says_which_and_goes_on_once_it_has_it() {
    for (given, cause) in [
        (Some(Role::Agent), "the token's user is no administrator of the account"),
        (Some(Role::Bot), "chatwoot_token is no user's token"),
        (None, "chatwoot_token is no user's token"),
    ] {
        let world = World::start().await.unwrap();
        ana(&world).writes("hola").await.unwrap();
        world.work().await.unwrap();
        let poor = given.map_or_else(|| "nobody's".to_owned(), |role| world.chatwoot.token("Diego", role));
        token(&world, &poor);
        world.pass(10 * MINUTE);
        let log = log();
        let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
        goes_by(&world, 3 * MINUTE, MINUTE).await;
        let text = log.text();
        assert!(text.contains(cause) && text.contains(PAGE), "{text}");
        assert!(!text.contains("at work on it"), "{text}");
        assert_ne!(state(&world, &code).await["state"], "done");
        token(&world, "token-of-the-administrator");
        goes_by(&world, HOUR, 5 * MINUTE).await;
        assert_eq!(state(&world, &code).await["state"], "done");
    }
}

#[tokio::test]
async fn a_refused_token_is_looked_up_once_for_all_accounts_and_refusals() {
    let world = World::start().await.unwrap();
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    wrote_to_another_dealer(&world).await;
    token(&world, &world.chatwoot.token("Diego", Role::Agent));
    world.pass(10 * MINUTE);
    let log = log();
    operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    goes_by(&world, 20 * MINUTE, MINUTE).await;
    assert_eq!(calls(&world, "GET", "/profile"), 1);
    let text = log.text();
    for cause in ["the token's user is no administrator of the account", "the token's user is no member of the account"]
    {
        assert_eq!(text.matches(cause).count(), 1, "{text}");
    }
    // Another token is another question.
    token(&world, "nobody's");
    goes_by(&world, 20 * MINUTE, MINUTE).await;
    assert_eq!(calls(&world, "GET", "/profile"), 2);
}

#[tokio::test]
async fn what_is_forbidden_starts_a_look_at_what_the_token_lacks() {
    for (role, cause) in [
        (Role::Agent, "the token's user is no administrator of the account"),
        (Role::Administrator, "the token is an administrator's: what stands before Chatwoot forbids it"),
    ] {
        let world = World::start().await.unwrap();
        token(&world, &world.chatwoot.token("Diego", role));
        world.pass(10 * MINUTE);
        let log = log();
        world.chatwoot.faults().add(always("POST", "/contacts", answer(403)));
        ana(&world).writes("hola").await.unwrap();
        goes_by(&world, 10 * MINUTE, MINUTE).await;
        let text = log.text();
        assert!(text.contains(cause) && text.contains(PAGE), "{text}");
        assert_eq!(calls(&world, "GET", "/profile"), 1);
        world.chatwoot.faults().clear();
        goes_by(&world, HOUR, 5 * MINUTE).await;
        assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
    }
}

#[tokio::test]
async fn files_of_another_origin_send_the_agent_to_the_operator_and_not_back_to_the_clip() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.call_itself("https://chat.lmotos.example");
    let log = log();
    let message = shop.sofia.sends_files(shop.conversation, None, vec![file("a.jpg", "image/jpeg", &[7; 900])]).await;
    shop.world.work().await.unwrap();
    let rows = shop.world.chatwoot.messages(shop.conversation);
    let row = rows.iter().find(|row| row.id == message).unwrap();
    let why = row.external_error.clone().unwrap();
    assert_eq!((row.status.as_str(), why), ("failed", SendFailure::FileElsewhere.text(texts::Locale::Es)));
    let text = log.text();
    assert!(text.contains("FRONTEND_URL") && text.contains(PAGE), "{text}");
}

#[tokio::test]
async fn one_file_of_another_origin_is_named_and_stops_neither_the_words_nor_the_others() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.name_elsewhere("a.pdf", "https://old.lmotos.example");
    let files: [(&str, &str, &[u8]); 2] =
        [("a.pdf", "application/pdf", b"%PDF-1"), ("b.pdf", "application/pdf", b"%PDF-2")];
    let log = log();
    let message = shop.attaches(Some("Lo que pidió"), &files).await;
    assert_eq!(shop.got(), ["Lo que pidió", "b.pdf"]);
    let mark = shop.mark(message);
    assert!(mark.starts_with("Salieron 2 de 3 partes. ") && mark.ends_with("pulsa Reintentar. (a.pdf)"), "{mark}");
    assert!(log.text().contains(PAGE), "{}", log.text());
    shop.says("¿Algo más?").await;
    assert_eq!(shop.got().len(), 3);
}

#[tokio::test]
async fn a_file_above_a_template_that_has_another_origin_is_refused_in_words_and_not_left_to_meta() {
    let shop = OpenChat::open().await;
    let header = json!({ "type": "HEADER", "format": "IMAGE", "example": { "header_handle": ["h"] } });
    shop.offers(vec![template("foto", "UTILITY", &json!([header, body("Hola {{1}}")]))]).await;
    let processed = json!({ "body": { "1": "Ana" }, "header": { "media_type": "image",
        "media_url": "https://chat.lmotos.example/rails/active_storage/blobs/redirect/abc/moto.png" } });
    let log = log();
    let message = shop.sofia.picks_template(shop.conversation, params("foto", &processed), "Hola Ana").await;
    shop.world.work().await.unwrap();
    assert_eq!(shop.mark(message), SendFailure::FileElsewhere.text(texts::Locale::Es));
    assert!(shop.sent_templates().is_empty());
    let text = log.text();
    assert!(text.contains("FRONTEND_URL") && text.contains(PAGE), "{text}");
}

#[tokio::test]
async fn a_survey_whose_link_would_lead_nowhere_is_refused_in_words() {
    let shop = OpenChat::open().await;
    shop.surveys(None).await;
    shop.world.chatwoot.call_itself("https://chat.lmotos.example");
    // By this the bridge knows.
    shop.attaches(None, &[("a.pdf", "application/pdf", b"%PDF-1")]).await;
    let log = log();
    shop.world.chatwoot.callbacks().lose(1);
    shop.sofia.resolves(shop.conversation).await;
    goes_by(&shop.world, 10 * MINUTE, 5 * MINUTE).await;
    shop.reconciles().await;
    let survey =
        shop.world.chatwoot.messages(shop.conversation).into_iter().find(|one| one.content_type == "input_csat");
    assert_eq!(shop.mark(survey.unwrap().id), SendFailure::LinkElsewhere.text(texts::Locale::Es));
    assert!(shop.ana.heard().is_empty(), "{:?}", shop.ana.heard());
    assert!(log.text().contains("survey link cannot be made") && log.text().contains(PAGE), "{}", log.text());
}

#[tokio::test]
async fn a_callback_under_a_wrong_secret_leaves_a_line() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.reset_secret(14).unwrap();
    let log = log();
    shop.sofia.replies(shop.conversation, "hola").await;
    shop.world.work().await.unwrap();
    let text = log.text();
    assert!(text.contains("a callback is refused") && text.contains(PAGE) && text.contains(CHANNEL), "{text}");
}

#[tokio::test]
async fn agents_see_what_the_bridge_fills_in_and_find_its_labels() {
    let world = World::start().await.unwrap();
    for _ in 0..2 {
        world.reconcile().await.unwrap();
        world.pass(2 * HOUR);
    }
    let shown = world.chatwoot.shown_attributes();
    for key in ["whatsapp_username", "whatsapp_user_id", "ctwa_clid", "source_id", "source_type", "source_url"] {
        assert_eq!(shown.iter().filter(|(of, _)| of == key).count(), 1, "{shown:?}");
    }
    assert!(shown.contains(&("whatsapp_username".to_owned(), "Usuario de WhatsApp".to_owned())), "{shown:?}");
    assert_eq!(world.chatwoot.labels(), ["borrar-datos", "conservar"]);
    // What stands is not asked for again, and made once.
    let made = world.chatwoot.requests().into_iter().filter(|call| call.method == "POST" && call.status == 200);
    let made = made.filter(|call| call.path.ends_with("/labels") || call.path.ends_with("_definitions")).count();
    assert_eq!(made, 8);
}
