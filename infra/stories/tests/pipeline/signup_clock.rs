//! A signup by the clock: a code of half a minute, a link of three days, a past that Meta gives for a day.

use std::time::Duration;

use domain::signup::{OnceOnly, Spent};
use serde_json::json;
use simulator_meta::{Outcome, SignupRules};
use stories::World;

use crate::{
    fixtures::{HOUR, MINUTE, always, answer},
    signup_owner::{NUMBER, Owner, channel, signups},
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_code_of_31_seconds_is_too_old_and_the_link_takes_another() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let done = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    world.pass(31 * SECOND);
    let (status, told) = owner.posts(&Owner::body(&done)).await;
    assert_eq!((status, told), (422, json!({ "state": "failed", "reason": "code" })));
    assert_eq!(channel(&world, NUMBER).await, None);
    assert_eq!(owner.signs_up(Outcome::FinishCoexistence).await.1["state"], "done");
}

#[tokio::test]
async fn a_link_is_over_after_72_hours_and_a_used_one_shows_how_far_it_is_for_a_week() {
    let world = World::start().await.unwrap();
    let (used, unused) = (Owner::new(&world).await, Owner::new(&world).await);
    used.opens().await;
    assert_eq!(used.signs_up(Outcome::FinishCoexistence).await.1["state"], "done");
    world.pass((72 * HOUR).checked_sub(SECOND).unwrap());
    assert_eq!(unused.opens().await.0, 200);
    world.pass(2 * SECOND);
    let (status, _, page) = unused.opens().await;
    assert!(status == 410 && page.contains("El enlace venció"), "{page}");
    let (status, told) = unused.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!((status, told), (410, json!({ "state": "expired" })));
    assert_eq!(used.asks().await["state"], "done");
    world.pass(7 * 24 * HOUR);
    assert_eq!(used.opens().await.0, 410);
}

#[tokio::test]
async fn a_link_takes_five_codes_and_no_more() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    for n in 0..5 {
        assert_eq!(owner.posts(&json!({ "code": format!("AQwrong{n}") })).await.0, 422, "{n}");
    }
    let (status, told) = owner.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!((status, told), (409, json!({ "state": "codes" })));
    let (status, _, page) = owner.opens().await;
    assert!(status == 409 && page.contains("demasiadas veces"), "{page}");
}

#[tokio::test]
async fn a_past_that_waited_for_23_hours_and_three_quarters_is_not_asked_for() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    world.chatwoot.faults().add(always("GET", "", answer(503)));
    owner.signs_up(Outcome::FinishCoexistence).await;
    world.pass((24 * HOUR).checked_sub(15 * MINUTE).unwrap());
    world.chatwoot.faults().clear();
    world.signup_round().await.unwrap();
    let told = owner.asks().await;
    assert_eq!((&told["state"], &told["history"]["state"]), (&json!("done"), &json!("too_late")), "{told}");
    assert!(world.meta.syncs(NUMBER).is_empty());
    let row = owner.row().await;
    assert!(matches!(row.history, OnceOnly::Spent { why: Spent::TooLate, .. }), "{row:?}");
}

#[tokio::test]
async fn fields_that_are_not_ticked_hold_the_past_back_until_they_are() {
    let world = World::start().await.unwrap();
    world.meta.tick(&["messages", "account_update"]);
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let (_, told) = owner.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!((&told["state"], &told["reason"]), (&json!("working"), &json!("fields")), "{told}");
    assert!(channel(&world, NUMBER).await.is_some(), "the number is in service meanwhile");
    world.meta.tick(&["messages", "account_update", "history", "smb_app_state_sync", "smb_message_echoes"]);
    world.pass(10 * MINUTE);
    world.signup_round().await.unwrap();
    assert_eq!((owner.asks().await["state"].as_str(), world.meta.syncs(NUMBER).len()), (Some("done"), 2));
}

#[tokio::test]
async fn a_number_that_meta_shows_late_is_waited_for() {
    let world = World::start().await.unwrap();
    world.meta.set_signup(SignupRules { appears_after: 120, ..SignupRules::default() });
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let (status, told) = owner.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!((status, &told["reason"]), (202, &json!("no_number")), "{told}");
    assert_eq!(owner.waits(10 * MINUTE).await["state"], "done");
}

#[tokio::test]
async fn an_account_without_a_number_is_told_after_a_quarter_of_an_hour() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    // The dialog itself does not say so.
    let mut body = Owner::body(&world.meta.signs_up(Outcome::FinishOnlyWaba).await.unwrap());
    body["event"] = json!("FINISH");
    assert_eq!(owner.posts(&body).await.1["state"], "working");
    let told = owner.waits(HOUR).await;
    assert_eq!((&told["state"], &told["reason"]), (&json!("failed"), &json!("no_number")), "{told}");
    assert_eq!(owner.signs_up(Outcome::FinishCoexistence).await.1["state"], "done", "the link is good still");
}

#[tokio::test]
async fn a_signup_that_nobody_goes_on_with_is_counted_as_standing() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    owner.signs_up(Outcome::FinishSeveral).await;
    world.pass((2 * HOUR).checked_sub(MINUTE).unwrap());
    assert_eq!(world.signup_round().await.unwrap().standing, 0);
    world.pass(2 * MINUTE);
    assert_eq!(world.signup_round().await.unwrap().standing, 1);
    assert_eq!(signups(&world).all().await.unwrap().len(), 1);
}
