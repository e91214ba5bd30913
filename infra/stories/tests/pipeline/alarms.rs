//! Each alarm of the template is seen to fire, from the trouble it is for, and quiet days are quiet.

use std::time::Duration;

use serde_json::json;
use simulator_meta::Outcome;
use simulator_wire::{Effect, Fault};
use stories::{CALLBACK_SECRET, CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::{
    account::{account, event, happens},
    erasure::operator_asks,
    fixtures::{HOUR, MINUTE, always, ana, ana_wrote, answer},
    open_chat::{OpenChat, post},
    refusals::token,
    signup_owner::{NUMBER, Owner},
    watch::Watch,
};

const DAY: Duration = Duration::from_secs(86_400);
const AT: i64 = 1_795_190_400;

#[test]
fn each_alarm_of_the_template_has_a_story_here() {
    let told = include_str!("alarms.rs");
    for alarm in local::reference::alarms().unwrap() {
        // One story stands for the alarms of a kind.
        let kind = ["ErrorsAlarm", "DeadLettersAlarm"].into_iter().find(|kind| alarm.id.ends_with(kind));
        let kind = kind.filter(|_| alarm.id != "ServerErrorsAlarm");
        let word = kind.map_or_else(|| format!("\"{}\"", alarm.id), |kind| format!("{kind}\""));
        assert!(told.contains(&word), "{}: {}", alarm.id, alarm.description);
    }
}

#[tokio::test]
async fn an_ordinary_hour_is_quiet() {
    let shop = OpenChat::open().await;
    let watch = Watch::over(&shop.world).await;
    for n in 0..6 {
        shop.ana.writes(&n.to_string()).await.unwrap();
        shop.says(&n.to_string()).await;
        watch.works(10 * MINUTE).await;
    }
    assert_eq!(watch.fired(), [""; 0]);
}

#[tokio::test]
async fn what_nothing_takes_out_of_its_queue_gets_too_old() {
    let shop = OpenChat::open().await;
    let watch = Watch::over(&shop.world).await;
    shop.ana.writes("¿hola?").await.unwrap();
    shop.sofia.replies(shop.conversation, "hola").await;
    shop.world.calm().await;
    watch.passes(15 * MINUTE, MINUTE);
    assert!(!watch.fired().iter().any(|id| id.contains("Age")), "{:?}", watch.fired());
    watch.passes(2 * MINUTE, MINUTE);
    let fired = watch.fired();
    for id in ["InboundAgeAlarm", "OutboundAgeAlarm"] {
        assert!(fired.iter().any(|fired| fired == id), "{fired:?}");
    }
}

#[tokio::test]
async fn an_erasure_that_nothing_works_on_gets_too_old() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let watch = Watch::over(&world).await;
    operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    watch.passes(23 * HOUR, 30 * MINUTE);
    assert!(!watch.on().contains("ErasuresAgeAlarm"));
    watch.passes(2 * HOUR, 5 * MINUTE);
    assert!(watch.on().contains("ErasuresAgeAlarm"), "{:?}", watch.on());
}

#[tokio::test]
async fn an_import_of_a_phones_past_that_does_not_end_is_told_after_a_day() {
    let world = World::start().await.unwrap();
    let watch = Watch::over(&world).await;
    let message = json!({"from": "5215555550123", "id": "wamid.a", "timestamp": (AT - 100).to_string(), "type": "text",
        "text": {"body": "hola"}, "history_context": {"status": "READ"}});
    let chunk = json!({"history": [{"metadata": {"phase": 0, "chunk_order": 1, "progress": 40},
        "threads": [{"id": "5215555550123", "messages": [message]}]}]});
    let mut body = crate::fixtures::body("history", &chunk);
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!(COEXISTENCE_CHANNEL);
    assert_eq!(watch.posts(body.to_string().as_bytes()).await, 200);
    // After half a day it is written though not all has come, unless Chatwoot takes nothing.
    world.chatwoot.faults().add(always("POST", "", answer(503)));
    let hours = async |hours: u32| {
        for _ in 0..2 * hours {
            world.work().await.unwrap();
            watch.reconciles().await;
            watch.passes(30 * MINUTE, 10 * MINUTE);
        }
    };
    hours(23).await;
    assert!(!watch.on().contains("HistoryAlarm"), "{:?}", watch.on());
    hours(3).await;
    assert!(watch.on().contains("HistoryAlarm"), "{:?}", watch.on());
}

#[tokio::test]
async fn an_outage_of_chatwoot_is_told_though_the_queue_does_not_count_what_it_gives_back() {
    let shop = OpenChat::open().await;
    let watch = Watch::over(&shop.world).await;
    shop.world.chatwoot.faults().add(always("POST", "", answer(503)));
    shop.ana.writes("¿hola?").await.unwrap();
    watch.works(12 * MINUTE).await;
    assert!(!watch.fired().contains(&"LateAlarm".to_owned()), "{:?}", watch.fired());
    watch.works(20 * MINUTE).await;
    assert!(watch.fired().contains(&"LateAlarm".to_owned()), "{:?}", watch.fired());
    assert!(!watch.fired().contains(&"InboundAgeAlarm".to_owned()), "what is received again and again has no age");
    shop.world.chatwoot.faults().clear();
    watch.works(HOUR).await;
    assert_eq!(watch.on(), [""; 0].map(str::to_owned).into(), "and it is over by itself");
}

#[tokio::test]
async fn a_dead_letter_is_told() {
    let world = World::start().await.unwrap();
    let watch = Watch::over(&world).await;
    assert_eq!(watch.posts(b"{").await, 200);
    watch.works(MINUTE).await;
    assert_eq!(watch.fired(), ["InboundDeadLettersAlarm"]);
    watch.works(HOUR).await;
    assert!(watch.on().contains("InboundDeadLettersAlarm"), "as long as it lies there");
}

#[tokio::test]
async fn a_function_that_ends_with_an_error_is_told() {
    let world = World::start().await.unwrap();
    let watch = Watch::over(&world).await;
    world.stage.aws.faults().add(always("POST", "DynamoDB", answer(500)));
    watch.reconciles().await;
    world.stage.aws.faults().clear();
    watch.passes(MINUTE, MINUTE);
    assert_eq!(watch.fired(), ["ReconcileErrorsAlarm"]);
}

#[tokio::test]
async fn an_account_without_places_is_told_whichever_function_waits() {
    let world = World::start().await.unwrap();
    let watch = Watch::over(&world).await;
    watch.throttled("send");
    watch.passes(MINUTE, MINUTE);
    assert_eq!(watch.fired(), ["ThrottlesAlarm"]);
}

#[tokio::test]
async fn a_front_door_that_fails_is_told() {
    let world = World::start().await.unwrap();
    let watch = Watch::over(&world).await;
    world.stage.aws.faults().add(always("POST", "SendMessage", answer(500)));
    assert_eq!(watch.posts(crate::fixtures::body("field_of_the_future", &json!({})).to_string().as_bytes()).await, 500);
    world.stage.aws.faults().clear();
    watch.passes(MINUTE, MINUTE);
    assert_eq!(watch.fired(), ["ServerErrorsAlarm"]);
}

#[tokio::test]
async fn a_slow_webhook_is_told_once_it_stays_slow() {
    let world = World::start().await.unwrap();
    let watch = Watch::over(&world).await;
    for round in 0..3 {
        world
            .stage
            .aws
            .faults()
            .add(Fault { times: Some(1), ..always("POST", "SendMessage", Effect::Late { millis: 1_500 }) });
        let body = crate::fixtures::text("5215555550123", &format!("wamid.{round}"), AT, "hola");
        let body = crate::fixtures::body("messages", &json!({ "messages": [body] }));
        assert_eq!(watch.posts(body.to_string().as_bytes()).await, 200);
        assert_eq!(watch.fired().contains(&"WebhookSlowAlarm".to_owned()), round > 1, "{round}");
        watch.works(5 * MINUTE).await;
    }
}

#[tokio::test]
async fn signatures_that_are_refused_again_and_again_are_told() {
    let shop = OpenChat::open().await;
    let watch = Watch::over(&shop.world).await;
    let forged = async |path: &str, header: &str| {
        let headers = [(header, "sha256=00"), ("x-chatwoot-timestamp", "1"), ("content-type", "application/json")];
        assert_eq!(post(&shop.world.url(), path, &headers, b"{}").await, 401);
    };
    forged("/webhooks/meta", "x-hub-signature-256").await;
    forged("/webhooks/meta", "x-hub-signature-256").await;
    watch.passes(MINUTE, MINUTE);
    assert_eq!(watch.fired(), [""; 0], "one may try");
    forged(&format!("/callbacks/chatwoot/{CHANNEL}"), "x-chatwoot-signature").await;
    watch.passes(MINUTE, MINUTE);
    assert_eq!(watch.fired(), ["SignaturesAlarm"]);
}

#[tokio::test]
async fn a_token_that_a_side_refuses_is_told() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let watch = Watch::over(&world).await;
    token(&world, "nobody's");
    watch.works(12 * MINUTE).await;
    assert!(watch.fired().contains(&"TokenRefusedAlarm".to_owned()), "Chatwoot's: {:?}", watch.fired());
    token(&world, "token-of-the-administrator");
    watch.works(HOUR).await;
    assert!(watch.on().is_empty(), "{:?}", watch.on());
    channel_secret(&world, &json!({ "access_token": "not-of-this-number" }));
    watch.works(12 * MINUTE).await;
    assert!(watch.on().contains("TokenRefusedAlarm"), "Graph's: {:?}", watch.on());
}

/// The channel's secret becomes the usual one with these members.
fn channel_secret(world: &World, members: &serde_json::Value) {
    let mut secret = json!({ "access_token": format!("token-of-{CHANNEL}"), "callback_secret": CALLBACK_SECRET });
    for (name, member) in members.as_object().unwrap() {
        secret[name] = member.clone();
    }
    world.stage.aws.put_secret(&world.stage.channel_secret(CHANNEL).unwrap(), &secret.to_string());
}

#[tokio::test]
async fn a_token_that_ends_is_told_15_days_before_and_again_7() {
    let world = World::start().await.unwrap();
    let watch = Watch::over(&world).await;
    for (days, told, soon) in [(0, false, false), (20, false, false), (14, true, false), (6, true, true)] {
        let end = if days == 0 { 0 } else { AT + days * 86_400 };
        channel_secret(&world, &json!({ "access_token_expires_at": end }));
        watch.works(12 * MINUTE).await;
        let fired = watch.fired();
        assert_eq!(fired.contains(&"TokenEndingAlarm".to_owned()), told, "{days}: {fired:?}");
        assert_eq!(fired.contains(&"TokenEndingSoonAlarm".to_owned()), soon, "{days}: {fired:?}");
    }
}

#[tokio::test]
async fn a_number_whose_connection_stands_still_is_told_after_two_hours() {
    let world = World::start().await.unwrap();
    let watch = Watch::over(&world).await;
    let owner = Owner::new(&world).await;
    owner.opens().await;
    // Two numbers, and nobody says which.
    assert_eq!(owner.signs_up(Outcome::FinishSeveral).await.1["need"], "choice");
    let rounds = async |minutes: u32| {
        for _ in 0..minutes / 5 {
            watch.passes(5 * MINUTE, MINUTE);
            world.signup_round().await.unwrap();
        }
        watch.passes(MINUTE, MINUTE);
    };
    rounds(110).await;
    assert!(!watch.on().contains("SignupStandingAlarm"), "{:?}", watch.on());
    rounds(20).await;
    assert!(watch.on().contains("SignupStandingAlarm"), "{:?}", watch.on());
    owner.posts(&json!({ "choose": NUMBER })).await;
    rounds(15).await;
    assert!(!watch.on().contains("SignupStandingAlarm"), "{:?}", watch.on());
}

#[tokio::test]
async fn who_connects_a_number_of_another_account_is_told() {
    let world = World::start().await.unwrap();
    let watch = Watch::over(&world).await;
    let (ours, theirs) =
        (Owner::new(&world).await, Owner::with(&world, |signup| signup.account = domain::AccountId(8)).await);
    for owner in [&ours, &theirs] {
        owner.opens().await;
        owner.signs_up(Outcome::FinishCoexistence).await;
    }
    watch.passes(MINUTE, MINUTE);
    assert!(watch.fired().contains(&"SignupConflictAlarm".to_owned()), "{:?}", watch.fired());
}

#[tokio::test]
async fn a_number_that_is_down_is_told_as_long_as_it_is_and_what_waits_for_it_after_an_hour() {
    let shop = OpenChat::open().await;
    let watch = Watch::over(&shop.world).await;
    happens(&shop.world, &account(AT + 600, "ACCOUNT_OFFBOARDED")).await;
    shop.says("uno").await;
    watch.works(MINUTE).await;
    assert_eq!(watch.fired(), ["ChannelDownAlarm"]);
    watch.works(50 * MINUTE).await;
    assert_eq!(watch.fired(), ["ChannelDownAlarm"]);
    watch.works(20 * MINUTE).await;
    assert!(watch.on().contains("ChannelDownAlarm") && watch.on().contains("HeldLongAlarm"), "{:?}", watch.on());
    happens(&shop.world, &account(AT + 9_000, "ACCOUNT_RECONNECTED")).await;
    watch.works(HOUR).await;
    assert!(watch.on().is_empty(), "{:?}", watch.on());
}

#[tokio::test]
async fn a_send_that_stays_unconfirmed_is_told_and_one_that_a_status_settles_is_not() {
    for settled in [true, false] {
        let shop = OpenChat::open().await;
        shop.world.meta.set_statuses(simulator_meta::Statuses::Manual);
        let watch = Watch::over(&shop.world).await;
        shop.meta_will(Effect::DropAfter, 1);
        shop.says("¿llegó?").await;
        watch.works(5 * MINUTE).await;
        if settled {
            let sent = shop.world.meta.requests().into_iter().rfind(|request| request.wamid.is_some()).unwrap();
            let reference = sent.body["biz_opaque_callback_data"].as_str().unwrap();
            let status = crate::fixtures::status(sent.wamid.as_deref().unwrap(), "delivered", Some(reference));
            assert_eq!(crate::fixtures::post(&shop.world, &status).await, 200);
        }
        watch.works(9 * MINUTE).await;
        assert_eq!(watch.fired(), [""; 0], "not yet");
        watch.works(6 * MINUTE).await;
        let expected: &[&str] = if settled { &[] } else { &["UncertainAlarm"] };
        assert_eq!(watch.fired(), expected);
    }
}

#[tokio::test]
async fn a_quality_or_a_limit_that_falls_is_told_and_one_that_rises_is_not() {
    for (field, value, told) in [
        ("phone_number_quality_update", json!({ "event": "DOWNGRADE", "current_limit": "TIER_250" }), true),
        (
            "phone_number_quality_update",
            json!({ "event": "X", "old_limit": "TIER_10K", "current_limit": "TIER_1K" }),
            true,
        ),
        (
            "phone_number_quality_update",
            json!({ "event": "X", "old_limit": "TIER_1K", "current_limit": "TIER_UNLIMITED" }),
            false,
        ),
        (
            "message_template_quality_update",
            json!({ "previous_quality_score": "GREEN", "new_quality_score": "YELLOW" }),
            true,
        ),
        (
            "message_template_quality_update",
            json!({ "previous_quality_score": "RED", "new_quality_score": "GREEN" }),
            false,
        ),
        (
            "message_template_quality_update",
            json!({ "previous_quality_score": "UNKNOWN", "new_quality_score": "YELLOW" }),
            false,
        ),
    ] {
        let world = World::start().await.unwrap();
        let watch = Watch::over(&world).await;
        happens(&world, &event("109876543210987", AT, field, &value)).await;
        watch.works(MINUTE).await;
        let expected: &[&str] = if told { &["AccountTroubleAlarm"] } else { &[] };
        assert_eq!(watch.fired(), expected, "{value}");
    }
}

#[tokio::test]
async fn a_rule_that_keeps_the_bridge_busy_is_told() {
    let shop = OpenChat::open().await;
    let watch = Watch::over(&shop.world).await;
    shop.loops().await;
    watch.works(MINUTE).await;
    assert_eq!(watch.fired(), ["BrakedAlarm"]);
}

#[tokio::test]
async fn what_the_ledger_misses_is_told() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let watch = Watch::over(&world).await;
    ana.writes("se pierde").await.unwrap();
    world.calm().await;
    crate::balance::purge_inbound(&world).await;
    // What waits is missed on the day after.
    world.pass(DAY);
    watch.retains().await;
    watch.works(30 * MINUTE).await;
    assert!(watch.on().contains("DifferenceAlarm"), "{:?}", watch.on());
}

#[tokio::test]
async fn files_that_stay_missing_are_told_after_an_hour() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let watch = Watch::over(&world).await;
    world.meta.faults().add(always("GET", "", answer(503)));
    ana(&world).sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    watch.works(40 * MINUTE).await;
    assert!(!watch.fired().contains(&"FilesMissingAlarm".to_owned()), "{:?}", watch.fired());
    watch.works(65 * MINUTE).await;
    assert!(watch.on().contains("FilesMissingAlarm"), "{:?}", watch.on());
}

#[tokio::test]
async fn the_clock_of_an_erasure_is_told_on_the_days_of_warning_and_from_the_breach_on() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let watch = Watch::over(&world).await;
    world.chatwoot.faults().add(always("DELETE", "", answer(503)));
    world.chatwoot.faults().add(always("GET", "/contacts", answer(503)));
    operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    watch.passes(2 * MINUTE, MINUTE);
    for day in 1..=31 {
        world.pass(23 * HOUR + 59 * MINUTE);
        world.work().await.unwrap();
        watch.retains().await;
        watch.passes(MINUTE, MINUTE);
        let on = watch.on();
        assert_eq!(on.contains("ErasureWarningAlarm"), [7, 20, 27].contains(&day), "day {day}: {on:?}");
        assert_eq!(on.contains("ErasureBreachAlarm"), day >= 30, "day {day}: {on:?}");
    }
}

#[tokio::test]
async fn what_could_not_be_judged_is_overdue_and_told() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let watch = Watch::over(&world).await;
    world.chatwoot.faults().add(always("GET", "", answer(503)));
    watch.retains().await;
    watch.passes(MINUTE, MINUTE);
    assert_eq!(watch.fired(), ["OverdueAlarm"]);
}

#[tokio::test]
async fn rounds_that_do_not_run_or_do_not_succeed_are_told() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let watch = Watch::over(&world).await;
    watch.passes(10 * MINUTE, MINUTE);
    assert_eq!(watch.fired(), [""; 0]);
    watch.passes(20 * MINUTE, MINUTE);
    assert_eq!(watch.fired(), ["ReconcileSilentAlarm"], "no round ran");
    watch.works(10 * MINUTE).await;
    assert!(watch.on().is_empty(), "{:?}", watch.on());
    // Rounds run, and Chatwoot keeps each from its work.
    world.chatwoot.faults().add(always("GET", "/conversations", answer(503)));
    watch.works(30 * MINUTE).await;
    assert!(watch.on().contains("ReconcileSilentAlarm"), "{:?}", watch.on());
}

#[tokio::test]
async fn a_daily_run_that_is_missing_or_does_not_succeed_is_told_the_day_after() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let watch = Watch::over(&world).await;
    watch.passes(25 * HOUR, 30 * MINUTE);
    assert!(!watch.on().contains("RetentionSilentAlarm"), "it may be an hour late");
    watch.passes(4 * HOUR, 30 * MINUTE);
    assert!(watch.on().contains("RetentionSilentAlarm"), "{:?}", watch.on());
    assert!(watch.on().contains("LedgerSilentAlarm"), "{:?}", watch.on());
    watch.retains().await;
    watch.copies().await;
    watch.passes(MINUTE, MINUTE);
    assert!(!watch.on().contains("RetentionSilentAlarm"), "{:?}", watch.on());
    assert!(!watch.on().contains("LedgerSilentAlarm"), "{:?}", watch.on());
    world.chatwoot.faults().add(always("GET", "", answer(503)));
    for _ in 0..2 {
        watch.passes(24 * HOUR, 30 * MINUTE);
        watch.retains().await;
    }
    assert!(watch.on().contains("RetentionSilentAlarm"), "{:?}", watch.on());
}
