//! A number is connected by its owner: both ways, each outcome of the dialog, two browsers, a crash after each await.

use std::time::Duration;

use domain::{channel::Mode, signup::SignupStep};
use serde_json::{Value, json};
use simulator_meta::{Outcome, SignupRules};
use simulator_wire::Effect;
use stories::{CHANNEL, World};

use crate::{
    erasure::items,
    fixtures::{HOUR, MINUTE, always, answer, once},
    logged::log,
    signup_owner::{NUMBER, Owner, channel, inboxes_made, link, steps},
};

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Everything that was stored or logged and must not hold a token or a code.
async fn keeps_silent(world: &World, log: &str, more: &[&str]) {
    let mut all = items(world).await.join("\n");
    all.push_str(log);
    for token in world.meta.issued_tokens() {
        assert!(!all.contains(&token), "a token is in a row or a log");
    }
    for secret in more.iter().chain(&["app-secret-of-the-stories", "link-key-of-the-stories"]) {
        assert!(!all.contains(secret), "{secret} is in a row or a log");
    }
}

#[tokio::test]
async fn a_number_that_stays_on_its_phone_is_connected_and_its_past_asked_for_once() {
    let log = log();
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    let (status, head, page) = owner.opens().await;
    assert_eq!(status, 200);
    for header in ["same-origin-allow-popups", "strict-origin\r", "no-store", "noindex", "script-src 'nonce-"] {
        assert!(format!("{head}\r").contains(header), "{header}: {head}");
    }
    assert!(page.contains("<html lang=\"es\">") && !page.contains("app-secret"), "{page}");
    let done = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    let code = done.code.clone().unwrap();
    let (status, told) = owner.posts(&Owner::body(&done)).await;
    assert_eq!((status, &told["state"], &told["mode"]), (200, &json!("done"), &json!("coexistence")), "{told}");
    assert_eq!(told["number"], "•••• 0177");
    assert_eq!(
        steps(&told),
        [
            "token done",
            "assets done",
            "inbox done",
            "channel done",
            "subscribed done",
            "register skipped",
            "contacts done",
            "history done"
        ]
    );
    assert_eq!(world.meta.syncs(NUMBER).len(), 2);
    assert_eq!(world.meta.pin(NUMBER), None, "it is never registered");
    let bound = channel(&world, NUMBER).await.unwrap();
    assert_eq!((bound.mode, bound.account.0, inboxes_made(&world)), (Mode::Coexistence, 3, 1));
    assert_eq!(world.chatwoot.inbox_attributes(bound.inbox.0)["agent_reply_time_window"], 24);

    // It is in service, both ways.
    let ana = world.meta.customer("Ana", "5215555550123").at(NUMBER);
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.agent("Sofía").replies(conversation, "¡Hola!").await;
    world.work().await.unwrap();
    assert_eq!(ana.heard(), ["¡Hola!"]);

    // The link shows how far it is, and takes no other code.
    let again = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    let (status, told) = owner.posts(&Owner::body(&again)).await;
    assert_eq!((status, &told["state"]), (409, &json!("done")), "{told}");
    assert_eq!(owner.asks().await["state"], "done");
    keeps_silent(&world, &log.text(), &[&code, &owner.link]).await;
    assert!(!items(&world).await.join("\n").contains("10221000000000001"), "nor who did it");
}

#[tokio::test]
async fn a_new_number_is_checked_registered_with_a_pin_of_ours_and_sends() {
    let world = World::start().await.unwrap();
    let owner = Owner::with(&world, |signup| signup.asked = Mode::Cloud).await;
    owner.opens().await;
    let (_, told) = owner.signs_up(Outcome::FinishUnverified).await;
    assert_eq!((&told["state"], &told["need"]), (&json!("needs"), &json!("verification")), "{told}");
    let (_, told) = owner.posts(&json!({ "verification": "SMS" })).await;
    assert_eq!((&told["need"], &told["sent"]), (&json!("verification"), &json!(true)), "{told}");
    let first = world.meta.sent_code(NUMBER).unwrap();
    // At most one a minute.
    owner.posts(&json!({ "verification": "VOICE" })).await;
    assert_eq!(world.meta.sent_code(NUMBER).unwrap(), first);
    let (_, told) = owner.posts(&json!({ "verification_code": "000000" })).await;
    assert_eq!((&told["state"], &told["reason"]), (&json!("needs"), &json!("wrong_code")), "{told}");
    let (_, told) = owner.posts(&json!({ "verification_code": format!(" {first} ") })).await;
    assert_eq!(told["state"], "done", "{told}");
    assert!(steps(&told).contains(&"register done".to_owned()) && steps(&told).contains(&"history skipped".to_owned()));
    let pin = world.meta.pin(NUMBER).unwrap();
    assert!(pin.len() == 6 && world.meta.syncs(NUMBER).is_empty());
    assert_eq!(channel(&world, NUMBER).await.unwrap().mode, Mode::Cloud);
    assert!(!items(&world).await.join("\n").contains(&format!("\"{pin}\"")), "the PIN is in the secret alone");
}

#[tokio::test]
async fn a_number_with_a_pin_of_its_own_asks_for_it_twice_and_no_more() {
    let world = World::start().await.unwrap();
    let owner = Owner::with(&world, |signup| signup.asked = Mode::Cloud).await;
    owner.opens().await;
    world.meta.set_pin(NUMBER, Some("424242"));
    let (_, told) = owner.signs_up(Outcome::FinishCloud).await;
    assert_eq!((&told["need"], &told["tries_left"]), (&json!("pin"), &json!(2)), "{told}");
    for wrong in ["12345", "abcdef"] {
        assert_eq!(owner.posts(&json!({ "pin": wrong })).await.1["tries_left"], 2, "no PIN at all");
    }
    let (_, told) = owner.posts(&json!({ "pin": "111111" })).await;
    assert_eq!((&told["reason"], &told["tries_left"]), (&json!("wrong_pin"), &json!(1)), "{told}");
    let (_, told) = owner.posts(&json!({ "pin": "222222" })).await;
    assert_eq!((&told["state"], &told["reason"]), (&json!("working"), &json!("pin_locked")), "{told}");
    // One drawn, two of the owner's: no PIN is tried again, and none by itself for as long as Meta may have locked the number.
    for _ in 0..20 {
        world.pass(HOUR / 2);
        world.signup_round().await.unwrap();
    }
    assert_eq!((world.meta.wrong_pins(NUMBER), owner.row().await.registrations.len()), (3, 3));
    // Taken away in WhatsApp Manager, it goes on by itself, and not with the PIN that was wrong.
    world.meta.set_pin(NUMBER, None);
    world.pass(3 * HOUR);
    world.signup_round().await.unwrap();
    assert_eq!(owner.asks().await["state"], "done");
    assert_ne!(world.meta.pin(NUMBER).as_deref(), Some("222222"));
}

#[tokio::test]
async fn each_outcome_of_the_dialog_ends_in_service_or_in_words() {
    for (outcome, state, detail) in [
        (Outcome::FinishCoexistence, "done", "coexistence"),
        (Outcome::FinishCoexistenceWithNumber, "done", "coexistence"),
        (Outcome::FinishGenericCoexistence, "done", "coexistence"),
        (Outcome::FinishForeign, "done", "coexistence"),
        (Outcome::FinishUnknown, "done", "coexistence"),
        (Outcome::FinishUnknownPrefix, "done", "coexistence"),
        (Outcome::CodeOnly, "done", "coexistence"),
        (Outcome::FinishSeveral, "needs", "choice"),
        (Outcome::FinishCloud, "needs", "mode"),
        (Outcome::FinishCloudRegistered, "needs", "mode"),
        (Outcome::FinishUnverified, "needs", "mode"),
        (Outcome::FinishGrantOnly, "failed", "grant_only"),
        (Outcome::FinishOboMigration, "needs", "mode"),
        (Outcome::FinishOnlyWaba, "failed", "no_number"),
    ] {
        let world = World::start().await.unwrap();
        let owner = Owner::new(&world).await;
        owner.opens().await;
        let (_, told) = owner.signs_up(outcome).await;
        let found = ["need", "reason", "mode"].iter().find_map(|name| told[*name].as_str());
        assert_eq!((told["state"].as_str(), found), (Some(state), Some(detail)), "{outcome:?}: {told}");
        assert_eq!(world.meta.pin(NUMBER), None, "{outcome:?}: nothing is registered unasked");
        let reason = (outcome == Outcome::FinishOboMigration).then_some("migration");
        assert!(detail != "mode" || told["reason"].as_str() == reason, "{outcome:?}: {told}");
        if detail == "mode" {
            assert_eq!(channel(&world, NUMBER).await, None, "{outcome:?}");
            let (_, told) = owner.posts(&json!({ "accept": true })).await;
            assert!(told["state"] == "done" || told["need"] == "verification", "{outcome:?}: {told}");
        }
    }
}

#[tokio::test]
async fn of_several_numbers_the_person_says_which() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let (_, told) = owner.signs_up(Outcome::FinishSeveral).await;
    let of = told["of"].as_array().unwrap();
    assert_eq!(of.len(), 2, "{told}");
    assert!(of.iter().all(|one| one["ending"].as_str().unwrap().starts_with("••••")), "no number in full: {told}");
    // One that was not offered is none.
    assert_eq!(owner.posts(&json!({ "choose": CHANNEL })).await.1["need"], "choice");
    let (_, told) = owner.posts(&json!({ "choose": "104857600777099" })).await;
    assert_eq!((&told["state"], &told["number"]), (&json!("done"), &json!("•••• 0199")), "{told}");
    assert!(channel(&world, NUMBER).await.is_none());
}

#[tokio::test]
async fn an_account_that_nobody_names_is_found_by_what_meta_tells() {
    let world = World::start().await.unwrap();
    world.meta.set_signup(SignupRules { granular: false, ..SignupRules::default() });
    let owner = Owner::new(&world).await;
    owner.opens().await;
    // A first code binds the browser, so that `PARTNER_ADDED` has one signup that it may be about.
    assert_eq!(owner.posts(&json!({ "code": "AQnothing" })).await.0, 422);
    let done = world.meta.signs_up(Outcome::CodeOnly).await.unwrap();
    world.work().await.unwrap();
    let (_, told) = owner.posts(&Owner::body(&done)).await;
    assert_eq!(told["state"], "done", "{told}");
}

#[tokio::test]
async fn an_account_that_is_named_later_is_taken_then() {
    let world = World::start().await.unwrap();
    world.meta.set_signup(SignupRules { granular: false, announces: false, ..SignupRules::default() });
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let done = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    let (status, told) = owner.posts(&json!({ "code": done.code })).await;
    assert_eq!((status, &told["reason"]), (202, &json!("no_account")), "{told}");
    let mut event = Owner::body(&done);
    event["code"] = Value::Null;
    assert_eq!(owner.posts(&event).await.1["state"], "done");
}

#[tokio::test]
async fn what_does_not_come_from_the_page_is_refused() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let code = json!({ "code": "AQsomething" });
    assert_eq!(owner.posts_from("https://evil.example", &code).await.0, 403);
    assert_eq!(owner.posts_from("null", &code).await.0, 403);
    let mut other = code.clone();
    other["nonce"] = json!("another");
    assert_eq!(owner.posts(&other).await.0, 403);
    let without = owner.elsewhere();
    assert_eq!(without.posts(&code).await.0, 403, "no cookie");
    let mut forged = code.clone();
    forged["t"] = json!(format!("{}A", owner.link));
    assert_eq!(owner.posts(&forged).await, (401, Value::Null));
    assert_eq!(owner.row().await.codes, 0);
    for text in ["", "[]", "{}", "{\"t\":1}"] {
        let headers = [("content-type", "application/json"), ("origin", "x")];
        let (status, _) = crate::open_chat::call("POST", &world.url(), "/signup", &headers, text.as_bytes()).await;
        assert_eq!(status, 400, "{text}");
    }
}

#[tokio::test]
async fn a_link_without_an_item_is_none_and_one_that_was_taken_back_is_over() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    let (status, _, page) = owner.opens().await;
    assert_eq!(status, 200, "{page}");
    let mut row = owner.row().await;
    row.revoked = true;
    assert!(crate::signup_owner::signups(&world).save(&mut row).await.unwrap());
    let (status, _, page) = owner.opens().await;
    assert!(status == 410 && page.contains("El enlace se retiró"), "{page}");
    // The key alone makes no link.
    let alone = domain::Signup::new(
        domain::SignupId::mint(),
        domain::AccountId(3),
        Mode::Coexistence,
        world.url(),
        domain::Clock::now(&world.clock),
    );
    let text = signup::Link::to(&alone).sign(&"link-key-of-the-stories".into());
    let (status, _) = crate::open_chat::call("GET", &world.url(), &format!("/signup?t={text}"), &[], b"").await;
    assert_eq!(status, 410);
    let (status, _) = crate::open_chat::call("GET", &world.url(), "/signup?t=x.y", &[], b"").await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn of_two_browsers_the_first_with_a_code_has_the_link() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    let other = owner.elsewhere();
    // Opening it binds nothing: mail scanners open links.
    assert_eq!((owner.opens().await.0, other.opens().await.0), (200, 200));
    let (first, second) = (
        world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap(),
        world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap(),
    );
    let (one, two) = (Owner::body(&first), Owner::body(&second));
    let (one, two) = futures_util::future::join(owner.posts(&one), other.posts(&two)).await;
    let mut both = [one.0, two.0];
    both.sort_unstable();
    assert_eq!(both, [200, 409], "{one:?} {two:?}");
    assert_eq!((inboxes_made(&world), world.meta.syncs(NUMBER).len()), (1, 2));
    let late = owner.elsewhere();
    assert_eq!(late.opens().await.0, 409);
}

#[tokio::test]
async fn a_double_click_makes_everything_once() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let done = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    let body = Owner::body(&done);
    let (one, two) = futures_util::future::join(owner.posts(&body), owner.posts(&body)).await;
    assert!([one.0, two.0].contains(&200), "{one:?} {two:?}");
    world.pass(MINUTE);
    assert_eq!(owner.waits(TEN_MINUTES).await["state"], "done");
    assert_eq!((inboxes_made(&world), world.meta.syncs(NUMBER).len(), owner.row().await.codes), (1, 2, 1));
}

#[tokio::test]
async fn a_number_of_another_account_is_left_alone() {
    let world = World::start().await.unwrap();
    let first = Owner::new(&world).await;
    first.opens().await;
    assert_eq!(first.signs_up(Outcome::FinishCoexistence).await.1["state"], "done");
    let before = channel(&world, NUMBER).await;
    let foreign = Owner::with(&world, |signup| signup.account = domain::AccountId(8)).await;
    foreign.opens().await;
    let (status, told) = foreign.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!((status, &told["state"], &told["reason"]), (409, &json!("failed"), &json!("elsewhere")), "{told}");
    assert_eq!((channel(&world, NUMBER).await, inboxes_made(&world)), (before, 1));
    assert_eq!(foreign.row().await.step, SignupStep::Open, "another number can be chosen");
}

#[tokio::test]
async fn chatwoot_down_for_hours_loses_nothing_though_the_laptop_is_closed() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    for method in ["GET", "POST"] {
        world.chatwoot.faults().add(always(method, "", answer(503)));
    }
    let (status, told) = owner.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!((status, &told["state"], &told["reason"]), (202, &json!("working"), &json!("chatwoot")), "{told}");
    for _ in 0..12 {
        world.pass(HOUR / 2);
        world.signup_round().await.unwrap();
    }
    assert!(world.meta.syncs(NUMBER).is_empty(), "not before what comes of it has a place");
    world.chatwoot.faults().clear();
    world.pass(TEN_MINUTES);
    world.signup_round().await.unwrap();
    assert_eq!((owner.asks().await["state"].as_str(), inboxes_made(&world)), (Some("done"), 1));
    assert_eq!(world.meta.syncs(NUMBER).len(), 2);
}

#[tokio::test]
async fn a_lost_answer_of_the_code_is_told_and_the_link_stays_good() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    world.meta.faults().add(once("GET", "/oauth/access_token", Effect::DropAfter));
    let (status, told) = owner.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!((status, &told["state"], &told["reason"]), (422, &json!("failed"), &json!("code_lost")), "{told}");
    assert_eq!(owner.signs_up(Outcome::FinishCoexistence).await.1["state"], "done");
}

#[tokio::test]
async fn a_lost_answer_to_the_question_for_the_past_is_never_asked_again() {
    let world = World::start().await.unwrap();
    for (path, effect) in [("/smb_app_data", Effect::DropAfter), ("/smb_app_data", answer(503))] {
        let owner = Owner::with(&world, |_| ()).await;
        owner.opens().await;
        world.meta.faults().add(once("POST", path, effect));
        let (_, told) = owner.signs_up(Outcome::FinishCoexistence).await;
        assert_eq!(told["state"], "done", "{told}");
        let row = owner.row().await;
        assert!(matches!(row.contacts, domain::signup::OnceOnly::Spent { .. }), "{row:?}");
    }
}

#[tokio::test]
async fn killed_at_any_await_and_taken_up_by_the_round_everything_is_made_once() {
    let log = log();
    for mode in ["coexistence", "cloud"] {
        let mut at = 1;
        loop {
            let world = World::start().await.unwrap();
            let asked = if mode == "cloud" { Mode::Cloud } else { Mode::Coexistence };
            let owner = Owner::with(&world, |signup| signup.asked = asked).await;
            owner.opens().await;
            let outcome = if mode == "cloud" { Outcome::FinishCloud } else { Outcome::FinishCoexistence };
            world.kill_signup(at);
            let (status, _) = owner.signs_up(outcome).await;
            let died = status == 502;
            // The lease ends, and the round goes on; the page was closed.
            for _ in 0..4 {
                world.pass(5 * MINUTE);
                world.signup_round().await.unwrap();
            }
            let row = owner.row().await;
            if row.step == SignupStep::Open {
                // Nobody knows what became of the code: once more, as the page says.
                let (_, told) = owner.signs_up(outcome).await;
                assert_eq!(told["state"], "done", "{mode} {at}: {told}");
            } else {
                assert_eq!(row.step, SignupStep::Done, "{mode} {at}: {row:?}");
            }
            assert_eq!((inboxes_made(&world), channel(&world, NUMBER).await.is_some()), (1, true), "{mode} {at}");
            keeps_silent(&world, &log.text(), &[]).await;
            if !died {
                break;
            }
            at += if at < 60 { 1 } else { 7 };
        }
        assert!(at > 20, "{mode}: {at} awaits are too few to be all");
    }
}

#[tokio::test]
async fn two_links_to_one_number_make_one_inbox() {
    let world = World::start().await.unwrap();
    let (one, other) = (Owner::new(&world).await, Owner::new(&world).await);
    one.opens().await;
    other.opens().await;
    let (first, second) = (
        world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap(),
        world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap(),
    );
    let (first, second) = (Owner::body(&first), Owner::body(&second));
    futures_util::future::join(one.posts(&first), other.posts(&second)).await;
    for _ in 0..3 {
        world.pass(5 * MINUTE);
        world.signup_round().await.unwrap();
    }
    assert_eq!(
        (one.asks().await["state"].as_str(), other.asks().await["state"].as_str()),
        (Some("done"), Some("done"))
    );
    assert_eq!(inboxes_made(&world), 1);
}

#[tokio::test]
async fn without_a_window_a_new_number_comes_by_the_full_page() {
    let world = World::start().await.unwrap();
    let owner = Owner::with(&world, |signup| signup.asked = Mode::Cloud).await;
    let (_, _, page) = owner.opens().await;
    assert!(page.contains("/dialog/oauth?client_id=100000000000001"), "{page}");
    let choice = simulator_meta::Choice {
        outcome: Outcome::FinishCloudRegistered,
        redirect_uri: Some(format!("{}/signup/return", world.url())),
        ..simulator_meta::Choice::default()
    };
    let done = world.meta.dialog(choice).await.unwrap();
    let (status, head, _) = owner.comes_back(&done.code.unwrap()).await;
    assert_eq!(status, 303, "{head}");
    assert_eq!(owner.asks().await["state"], "done");
    // Another browser's return, or a cancelled one, does nothing.
    let stranger = owner.elsewhere();
    stranger.opens().await;
    assert_eq!(stranger.comes_back("AQother").await.0, 409);
    let (_, text) = link(&world, |_| ()).await;
    assert!(text.len() < 500, "a link fits a message");
}
