//! Numbers: into service, paused, out of it; what both sides refuse; killed in the middle.

use std::{process::Output, time::Duration};

use domain::{Clock as _, SystemClock};
use serde_json::{Value, json};
use simulator_chatwoot::Role;
use simulator_meta::{Number, TokenFacts};
use simulator_wire::{Effect, Fault};
use stories::{CHANNEL, World};

use crate::support::{binary, complaint, ops, says, start, words};

const NUMBER: &str = "104857600777001";
const WABA: &str = "109876543777002";
const TOKEN: &str = "EAAFtokenOfTheNewNumber";

/// A world in which the business has one number more.
async fn world() -> World {
    let world = World::start_now().await.unwrap();
    world.meta.add_number(Number {
        phone_number_id: NUMBER.to_owned(),
        waba_id: WABA.to_owned(),
        display_phone_number: "525555550177".to_owned(),
        access_token: TOKEN.to_owned(),
        coexistence: true,
    });
    world.meta.set_app_id("100000000000001");
    world
}

fn add<'a>(api: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["channel", "add", NUMBER, "--api-url", api], more].concat()
}

/// How many inboxes were made.
fn made(world: &World) -> usize {
    let requests = world.chatwoot.requests();
    let made = requests.iter().filter(|call| call.method == "POST" && call.path.ends_with("/inboxes"));
    made.filter(|call| call.status == 200).count()
}

fn put_chatwoot_token(world: &World, token: &str) {
    let secret = json!({ "app_id": "100000000000001", "app_secret": "app-secret-of-the-stories",
        "verify_token": "verify-token-of-the-stories", "subject_key": "subject-key-of-the-stories", "chatwoot_token": token });
    world.stage.aws.put_secret(world.stage.app_secret().unwrap(), &secret.to_string());
}

fn channels(world: &World) -> Vec<Value> {
    says(world, 0, &["channel", "list"], "").as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_comes_into_service_and_a_repeat_changes_nothing() {
    let world = world().await;
    let api = world.url();
    world.chatwoot.token("Sofía Ledesma", Role::Agent);
    let asks = add(&api, &["--member", "sofía.ledesma@lmotos.example"]);
    let added = says(&world, 0, &asks, TOKEN);
    assert_eq!(
        (&added["waba_id"], &added["account"], &added["mode"], &added["members"], &added["proof"]["holds"]),
        (&json!(WABA), &json!(3), &json!("coexistence"), &json!(1), &json!(true)),
        "{added}"
    );
    assert_eq!(added["changed"], json!(["inbox", "members", "secret", "channel", "subscription"]));
    assert!(world.meta.subscribed_accounts().contains(WABA));

    let customer = world.meta.customer("Ana", "5215555550123").at(NUMBER);
    customer.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.agent("Sofía Ledesma").replies(conversation, "¡Hola!").await;
    world.work().await.unwrap();
    assert_eq!(customer.heard(), ["¡Hola!"]);

    let again = says(&world, 0, &asks, TOKEN);
    assert_eq!((&again["changed"], &again["inbox"], made(&world)), (&json!([]), &added["inbox"], 1));
    assert_eq!(channels(&world).len(), 3);
    let output = ops(&world, &asks, TOKEN);
    let all = format!("{}{}", words(&output), complaint(&output));
    assert!(all.contains("is in service") && !all.contains(TOKEN), "{all}");
    let shown = says(&world, 0, &["channel", "show", NUMBER, "--api-url", &api], "");
    assert_eq!((&shown["number"]["status"], &shown["token"]["valid"]), (&json!("CONNECTED"), &json!(true)));

    // A new token is taken, and the secret that Chatwoot made anew.
    world.meta.set_access_token(NUMBER, "EAAFanother");
    world.chatwoot.reset_secret(added["inbox"].as_i64().unwrap());
    assert_eq!(says(&world, 0, &asks, "EAAFanother")["changed"], json!(["secret"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_token_is_written_down_for_its_alarm() {
    let world = world().await;
    let api = world.url();
    let end = SystemClock.now().as_secs() + 5 * 86_400;
    world.meta.set_token_facts(TOKEN, TokenFacts { expires_at: Some(end), ..TokenFacts::default() });
    assert_eq!(says(&world, 0, &add(&api, &[]), TOKEN)["token"]["expires_at"], json!(end));
    assert_eq!(says(&world, 0, &add(&api, &[]), TOKEN)["changed"], json!([]));
    // One that does not end takes its place.
    world.meta.set_token_facts(TOKEN, TokenFacts::default());
    assert_eq!(says(&world, 0, &add(&api, &[]), TOKEN)["changed"], json!(["secret"]), "the end alone was in it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_to_do_at_meta_is_told() {
    let world = world().await;
    let api = world.url();
    world.meta.tick(&["messages", "account_update"]);
    world.meta.set_webhook("https://elsewhere.example/webhooks/meta");
    world.meta.set_token_facts(TOKEN, TokenFacts { granular: false, ..TokenFacts::default() });
    let refused = ops(&world, &add(&api, &[]), TOKEN);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("--waba"), "{}", complaint(&refused));
    let output = ops(&world, &add(&api, &["--waba", WABA]), TOKEN);
    assert_eq!(output.status.code(), Some(4), "{}", complaint(&output));
    let said = words(&output);
    let door = format!("callback URL {api}/webhooks/meta");
    let of_the_phone = ["smb_message_echoes", "history", "smb_app_state_sync"];
    let told = [&door, "elsewhere.example", "Tick there, too: calls", "Only administrators see"];
    for part in told.into_iter().chain(of_the_phone) {
        assert!(said.contains(part), "{part}: {said}");
    }
    let shown = says(&world, 4, &["channel", "show", NUMBER, "--api-url", &api], "");
    assert!(!shown["wrong"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_says_what_to_do_and_leaves_nothing_half_done() {
    let world = world().await;
    let api = world.url();
    let facts = |facts: TokenFacts| world.meta.set_token_facts(TOKEN, facts);
    let refused = |why: &str, token: &str, more: &[&str], expected: &str| {
        let output: Output = ops(&world, &add(&api, more), token);
        let said = complaint(&output);
        assert_eq!(output.status.code(), Some(1), "{why}: {said}");
        assert!(said.contains(expected) && !said.contains(TOKEN), "{why}: {said}");
        assert_eq!(channels(&world).len(), 2, "{why}");
    };
    refused("no token", "", &[], "standard input");
    refused("two words", "one two", &[], "not the number's token");
    refused("unknown to Meta", "EAAFwrong", &[], "does not accept this token");
    refused("another account", TOKEN, &["--waba", "109876543210987"], "109876543210987");
    facts(TokenFacts { expires_at: Some(1_600_000_000), ..TokenFacts::default() });
    refused("over", TOKEN, &[], "does not accept this token");
    facts(TokenFacts { app_id: Some("42".to_owned()), ..TokenFacts::default() });
    refused("another app's", TOKEN, &[], "another app (42)");
    facts(TokenFacts { scopes: vec!["whatsapp_business_messaging".to_owned()], ..TokenFacts::default() });
    refused("few permissions", TOKEN, &[], "lacks whatsapp_business_management");
    facts(TokenFacts::default());
    world.meta.set_app_id("7");
    refused("another app", TOKEN, &[], "compare app_id and app_secret");
    world.meta.set_app_id("100000000000001");
    let forbidden = r#"{"error":{"code":10,"message":"(#10) no permission","type":"OAuthException"}}"#;
    let fault = |path: &str, status, body: &str| Fault {
        method: None,
        path: path.to_owned(),
        skip: 0,
        times: None,
        effect: Effect::Answer { status, content_type: "text/html".to_owned(), body: body.to_owned() },
    };
    for (path, status, body, expected) in [
        ("/phone_numbers", 403, forbidden, "lacks a permission"),
        ("/debug_token", 502, "<html>Bad gateway</html>", "what answered is not Graph"),
    ] {
        world.meta.faults().add(fault(path, status, body));
        refused(path, TOKEN, &[], expected);
        world.meta.faults().clear();
    }
    for (status, body, expected) in [
        (200, "<html>Log in</html>", "what answered is not Chatwoot's API"),
        (302, "", "it sends elsewhere"),
        (503, "<html>Maintenance</html>", "cannot take the call now"),
    ] {
        world.chatwoot.faults().add(fault("/profile", status, body));
        refused(body, TOKEN, &[], expected);
        world.chatwoot.faults().clear();
    }
    refused("nobody", TOKEN, &["--member", "nobody@example.com"], "nobody@example.com");
    refused("another account", TOKEN, &["--account", "8"], "no member of the account");
    let agent = world.chatwoot.token("Sofía Ledesma", Role::Agent);
    for (token, expected) in [(agent.as_str(), "no administrator"), ("gone", "no user's token")] {
        put_chatwoot_token(&world, token);
        refused(token, TOKEN, &[], expected);
    }
    put_chatwoot_token(&world, "token-of-the-administrator");
    assert_eq!(made(&world), 0);
    says(&world, 0, &add(&api, &[]), TOKEN);
    assert_eq!(made(&world), 1);
    for (arguments, code) in [
        (&["channel", "add", "+52 55 5555 0177"][..], 2),
        (&["channel", "show", "1"], 3),
        (&["channel", "pause", "1"], 3),
        (&["channel", "remove", "1", "--yes"], 3),
    ] {
        assert_eq!(ops(&world, arguments, TOKEN).status.code(), Some(code), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_call_and_run_again_it_makes_one_inbox_and_one_channel() {
    let world = world().await;
    let api = world.url();
    let hang = |skip| Fault { method: None, path: String::new(), skip, times: Some(1), effect: Effect::HangAfter };
    for (side, faults) in
        [("chatwoot", world.chatwoot.faults()), ("meta", world.meta.faults()), ("aws", world.stage.aws.faults())]
    {
        for call in 0.. {
            assert!(call < 60, "{side}: it never ends");
            faults.add(hang(call));
            let mut process = start(&world, &add(&api, &[]), TOKEN);
            let ended = loop {
                if let Some(ended) = process.try_wait().unwrap() {
                    break Some(ended);
                }
                if faults.list().is_empty() {
                    process.kill().unwrap();
                    process.wait().unwrap();
                    break None;
                }
                std::thread::yield_now();
            };
            faults.clear();
            let again = says(&world, 0, &add(&api, &[]), TOKEN);
            assert_eq!((made(&world), channels(&world).len()), (1, 3), "{side}, call {call}: {again}");
            if ended.is_some_and(|ended| ended.success()) {
                break;
            }
        }
        // Each side meets an empty table.
        says(&world, 0, &["channel", "remove", NUMBER, "--yes"], "");
        assert_eq!(channels(&world).len(), 2);
    }
    assert!(!world.meta.subscribed_accounts().contains(WABA));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_number_can_come_back_and_another_of_its_account_goes_on() {
    let world = world().await;
    let api = world.url();
    says(&world, 0, &add(&api, &[]), TOKEN);
    let dry = says(&world, 0, &["channel", "remove", NUMBER], "");
    assert_eq!((&dry["dry_run"], channels(&world).len()), (&json!(true), 3));
    let removed = says(&world, 0, &["channel", "remove", NUMBER, "--yes"], "");
    assert_eq!((&removed["subscription_left"], channels(&world).len()), (&json!(false), 2));
    assert!(!world.meta.subscribed_accounts().contains(WABA));
    assert_eq!(ops(&world, &["channel", "remove", NUMBER, "--yes"], "").status.code(), Some(3));
    let back = says(&world, 0, &add(&api, &[]), TOKEN);
    assert_eq!((made(&world), &back["inbox"]), (1, &removed["inbox"]), "its inbox is found again");

    says(&world, 0, &["channel", "remove", CHANNEL, "--yes"], "");
    assert!(world.meta.subscribed_accounts().contains("109876543210987"), "the other number's webhooks go on");
    // Its owner took the token away before.
    world.meta.set_access(NUMBER, false);
    let output = ops(&world, &["channel", "remove", NUMBER, "--yes"], "");
    assert!(output.status.success() && words(&output).contains("Meta did not end its webhooks"), "{}", words(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_out_is_held_until_it_is_resumed_and_agents_read_why() {
    let world = World::start_now().await.unwrap();
    let customer = world.meta.customer("Ana", "5215555550123");
    customer.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let paused = says(&world, 0, &["channel", "pause", CHANNEL], "");
    assert_eq!(paused["paused"], json!({ "outgoing": true, "incoming": false }));
    world.later(Duration::from_secs(61)).await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.agent("Sofía Ledesma").replies(conversation, "¿Qué moto?").await;
    world.work().await.unwrap();
    customer.writes("¿hay alguien?").await.unwrap();
    world.work().await.unwrap();
    let read = world.agent_reads("Ana").join("\n");
    assert!(read.contains("El operador puso este número en pausa") && read.contains("¿hay alguien?"), "{read}");
    assert_eq!(world.meta.requests().len(), 0, "nothing went out");
    let resumed = says(&world, 0, &["channel", "resume", CHANNEL], "");
    assert_eq!((&resumed["paused"]["outgoing"], &resumed["waiting"]), (&json!(false), &json!(1)));
    world.work().await.unwrap();
    assert_eq!(world.meta.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_is_kept_until_it_is_resumed() {
    let world = World::start_at(SystemClock.now()).await.unwrap();
    let asks = ["channel", "pause", CHANNEL, "--incoming"];
    assert_eq!(says(&world, 0, &asks, "")["paused"], json!({ "outgoing": false, "incoming": true }));
    world.pass(Duration::from_secs(61));
    world.meta.customer("Ana", "5215555550123").writes("hola").await.unwrap();
    for _ in 0..30 {
        world.later(Duration::from_secs(900)).await.unwrap();
    }
    assert!(world.conversation("Ana").is_err());
    says(&world, 0, &["channel", "resume", CHANNEL, "--incoming"], "");
    world.later(Duration::from_secs(1800)).await.unwrap();
    assert!(world.agent_reads("Ana").join("\n").contains("hola"));
    assert!(world.dead_letters("inbound").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_numbers_fits_eighty_letters() {
    let world = World::start_now().await.unwrap();
    let table = words(&ops(&world, &["channel", "list"], ""));
    assert!(table.lines().count() == 3 && table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains(CHANNEL) && table.contains("live"), "{table}");
    let without = binary().args(["channel", "list"]).output().unwrap();
    assert_eq!(without.status.code(), Some(1));
}
