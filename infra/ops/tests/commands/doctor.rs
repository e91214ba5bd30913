//! The doctor: what is well, what is not and what to do, and a message that is followed through.

use std::time::Duration;

use domain::{Clock as _, SystemClock};
use serde_json::{Value, json};
use simulator_chatwoot::Role;
use simulator_meta::{Statuses, TokenFacts};
use simulator_wire::{Effect, Fault};
use stories::{CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::support::{ops, says, start, words};

const PHONE: &str = "5215555550123";

/// A world whose schedules have run.
async fn world() -> World {
    let world = World::start_now().await.unwrap();
    world.meta.set_app_id("100000000000001");
    world.reconcile().await.unwrap();
    world.retention().await.unwrap();
    world
}

fn examined(world: &World, code: i32, more: &[&str]) -> Vec<Value> {
    let api = world.url();
    says(world, code, &[&["doctor", "--api-url", &api], more].concat(), "").as_array().unwrap().clone()
}

/// What it says of a check: levels and words.
fn of<'f>(findings: &'f [Value], check: &str) -> Vec<(&'f str, &'f str)> {
    let of = findings.iter().filter(|finding| finding["check"] == check);
    of.map(|finding| (finding["level"].as_str().unwrap(), finding["words"].as_str().unwrap())).collect()
}

fn fails<'f>(findings: &'f [Value], check: &str, part: &str) -> &'f Value {
    let found = findings.iter().find(|finding| {
        finding["check"] == check && finding["level"] != "ok" && finding["words"].as_str().unwrap().contains(part)
    });
    let found = found.unwrap_or_else(|| panic!("{check}: {part} is not among {findings:#?}"));
    assert!(found["next"].is_string() && found["page"].as_str().unwrap().starts_with("docs/"), "{found}");
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(found["page"].as_str().unwrap());
    assert!(page.is_file(), "{found}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_well_is_said_to_be_well() {
    let world = world().await;
    let findings = examined(&world, 0, &[]);
    for check in [
        "app secret",
        "table",
        "time to live",
        "clock",
        "Chatwoot",
        "Chatwoot's token",
        "FRONTEND_URL",
        "reconcile",
        "retention",
        "queue history",
        "queue history-dead-letters",
    ] {
        assert_eq!(
            of(&findings, check).iter().map(|(level, _)| *level).collect::<Vec<_>>(),
            ["ok"],
            "{check}: {findings:#?}"
        );
    }
    for check in
        ["queue inbound", "queue erasure-dead-letters", "webhook at Meta", "webhook fields", "number 525555550100"]
    {
        assert!(of(&findings, check).iter().all(|(level, _)| *level == "ok"), "{check}: {findings:#?}");
    }
    assert!(findings.iter().all(|finding| finding["level"] != "fail"), "{findings:#?}");
    // No CloudFormation, CloudWatch and Lambda stand behind the embedded AWS: that is told, and is no failure.
    fails(&findings, "alarms", "monitoring");
    let text = words(&ops(&world, &["doctor", "--api-url", &world.url()], ""));
    assert!(text.contains("ok    Chatwoot: version 4.14.2, tested"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80 || !line.trim().contains(' ')), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_the_next_step_and_its_page() {
    let world = world().await;
    world.meta.tick(&["account_update"]);
    world.meta.set_webhook("https://elsewhere.example/webhooks/meta");
    let soon = SystemClock.now().as_secs() + 5 * 86_400;
    let facts = |number: &str, facts| world.meta.set_token_facts(&format!("token-of-{number}"), facts);
    facts(CHANNEL, TokenFacts { expires_at: Some(soon), ..TokenFacts::default() });
    facts(COEXISTENCE_CHANNEL, TokenFacts { scopes: vec![], ..TokenFacts::default() });
    world.chatwoot.say_version("4.12.1");
    world.chatwoot.call_itself("https://chat.lmotos.example");
    world.chatwoot.set_callback_url(14, "https://elsewhere.example/");
    let findings = examined(&world, 4, &[]);
    fails(&findings, "webhook at Meta", "elsewhere.example");
    fails(&findings, "webhook fields", "messages");
    fails(&findings, "number 525555550100", "ends in 4 days");
    fails(&findings, "number 525555550100", "inbox 14 posts elsewhere");
    fails(&findings, "number 525555550101", "lacks whatsapp_business_management");
    fails(&findings, "Chatwoot", "does not sign");
    fails(&findings, "FRONTEND_URL", "chat.lmotos.example");
    assert!(!findings.iter().any(|finding| finding.to_string().contains("token-of-")), "{findings:#?}");

    let page =
        Effect::Answer { status: 200, content_type: "text/html".to_owned(), body: "<html>Log in</html>".to_owned() };
    world.chatwoot.faults().add(Fault { method: None, path: "/api".to_owned(), skip: 0, times: None, effect: page });
    fails(&examined(&world, 4, &[]), "Chatwoot", "what answered is not Chatwoot's API");
    world.chatwoot.faults().clear();
    let agent = world.chatwoot.token("Sofía Ledesma", Role::Agent);
    let secret = json!({ "app_id": "100000000000001", "app_secret": "app-secret-of-the-stories", "verify_token": "v",
        "subject_key": "subject-key-of-the-stories", "chatwoot_token": agent });
    world.stage.aws.put_secret(world.stage.app_secret().unwrap(), &secret.to_string());
    fails(&examined(&world, 4, &[]), "Chatwoot's token", "no administrator");
    world.meta.set_access(CHANNEL, false);
    fails(&examined(&world, 4, &[]), "number 525555550100", "does not accept its token");
    world.stage.aws.put_secret(world.stage.app_secret().unwrap(), r#"{"app_id":"1"}"#);
    let findings = examined(&world, 4, &[]);
    fails(&findings, "app secret", "lacks app_secret, verify_token");
    fails(&findings, "settings", "secret");
    assert_eq!(ops(&world, &["doctor", "--stack", "another"], "").status.code(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_looked_at_is_a_finding_and_ends_nothing() {
    let world = world().await;
    let phone = world.meta.customer("Operadora", PHONE);
    phone.writes("prueba").await.unwrap();
    world.work().await.unwrap();
    let denied = |path: &str| Fault {
        method: None,
        path: path.to_owned(),
        skip: 0,
        times: None,
        effect: Effect::Answer {
            status: 400,
            content_type: "application/x-amz-json-1.0".to_owned(),
            body: r#"{"__type":"AccessDeniedException","message":"not authorized"}"#.to_owned(),
        },
    };
    world.stage.aws.faults().add(denied("GetQueueAttributes"));
    let findings = examined(&world, 4, &[]);
    fails(&findings, "queue inbound", "does not tell its attributes");
    assert_eq!(of(&findings, "reconcile")[0].0, "ok", "{findings:#?}");
    world.stage.aws.faults().clear();
    let away = Effect::Answer {
        status: 403,
        content_type: "application/json".to_owned(),
        body: r#"{"error":"no"}"#.to_owned(),
    };
    world.chatwoot.faults().add(Fault {
        method: Some("POST".to_owned()),
        path: "/messages".to_owned(),
        skip: 0,
        times: None,
        effect: away,
    });
    fails(&examined(&world, 4, &["--probe", PHONE, "--from", CHANNEL]), "probe", "cannot be looked at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_stands_still_is_noticed() {
    // The channels are that old, and nothing has run since.
    let world = World::start_at(SystemClock.now() - Duration::from_secs(2 * 86_400)).await.unwrap();
    world.meta.set_app_id("100000000000001");
    let findings = examined(&world, 4, &[]);
    fails(&findings, "reconcile", "hours ago");
    fails(&findings, "retention", "no whole run is on record");
    world.pass(Duration::from_secs(2 * 86_400));
    world.reconcile().await.unwrap();
    world.retention().await.unwrap();
    let findings = examined(&world, 0, &[]);
    assert_eq!((of(&findings, "reconcile")[0].0, of(&findings, "retention")[0].0), ("ok", "ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_followed_until_the_phone_has_it() {
    let world = world().await;
    world.meta.set_statuses(Statuses::Automatic);
    let refused = examined(&world, 4, &["--probe", PHONE, "--from", CHANNEL]);
    fails(&refused, "probe", "has not written");
    let phone = world.meta.customer("Operadora", PHONE);
    phone.writes("prueba").await.unwrap();
    world.work().await.unwrap();
    fails(&examined(&world, 4, &["--probe", PHONE]), "probe", "several numbers");

    let api = world.url();
    let mut process =
        start(&world, &["doctor", "--api-url", &api, "--probe", "+52 1 55 5555 0123", "--from", CHANNEL], "");
    let ended = loop {
        world.work().await.unwrap();
        if let Some(ended) = process.try_wait().unwrap() {
            break ended;
        }
    };
    assert!(ended.success(), "{ended}");
    assert_eq!(phone.heard(), ["Prueba del operador: si la lees, los mensajes llegan."]);
}
