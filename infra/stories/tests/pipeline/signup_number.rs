//! What a signup does to a number that cannot be undone: its registration, its PIN, the two questions to its phone.

use domain::{
    PhoneNumberId,
    channel::{Mode, ReceiptSettings},
    signup::{OnceOnly, SignupStep},
};
use serde_json::json;
use simulator_meta::{AccountUpdate, Outcome, SignupRules, prospect};
use store::Channels;
use stories::World;

use crate::{
    fixtures::{HOUR, MINUTE, table},
    signup_owner::{NUMBER, Owner, channel},
};

/// A signup of a number on no phone that has come as far as its registration.
async fn cloud(world: &World) -> Owner<'_> {
    let owner = Owner::with(world, |signup| signup.asked = Mode::Cloud).await;
    owner.opens().await;
    owner
}

#[tokio::test]
async fn a_number_that_was_taken_out_just_now_is_registered_after_its_rest() {
    let world = World::start().await.unwrap();
    let owner = cloud(&world).await;
    world.meta.deregistered(NUMBER);
    let (_, told) = owner.signs_up(Outcome::FinishCloud).await;
    assert_eq!(told["reason"], "registration", "{told}");
    assert_eq!(owner.waits(5 * MINUTE).await["state"], "working");
    assert_eq!(world.meta.attempts(NUMBER), 1, "no try is wasted");
    world.pass(2 * MINUTE);
    assert_eq!(owner.waits(MINUTE).await["state"], "done");
}

#[tokio::test]
async fn tries_that_are_three_days_old_do_not_count() {
    let world = World::start().await.unwrap();
    let owner = cloud(&world).await;
    world.meta.deregistered(NUMBER);
    owner.signs_up(Outcome::FinishCloud).await;
    for _ in 0..4 {
        world.pass(7 * MINUTE);
        world.meta.deregistered(NUMBER);
        world.signup_round().await.unwrap();
    }
    world.pass(HOUR);
    world.signup_round().await.unwrap();
    assert_eq!(owner.asks().await["reason"], "too_often");
    assert_eq!(world.meta.attempts(NUMBER), 5);
    world.pass(72 * HOUR);
    world.signup_round().await.unwrap();
    assert_eq!(owner.row().await.step, SignupStep::Done);
}

#[tokio::test]
async fn a_number_that_is_on_a_phone_alone_is_never_registered() {
    let world = World::start().await.unwrap();
    let owner = cloud(&world).await;
    world.meta.set_on_phone_alone(NUMBER, true);
    let (_, told) = owner.signs_up(Outcome::FinishCloud).await;
    assert_eq!((&told["state"], &told["reason"]), (&json!("working"), &json!("meta")), "{told}");
    let told = owner.waits(HOUR).await;
    assert_eq!((&told["state"], &told["reason"]), (&json!("failed"), &json!("on_phone")), "{told}");
    assert_eq!((world.meta.attempts(NUMBER), channel(&world, NUMBER).await), (0, None));
}

#[tokio::test]
async fn a_number_that_comes_onto_a_phone_before_its_registration_is_left_there() {
    let world = World::start().await.unwrap();
    let owner = cloud(&world).await;
    let (_, told) = owner.signs_up(Outcome::FinishUnverified).await;
    assert_eq!(told["need"], "verification", "{told}");
    world.meta.set_on_phone_alone(NUMBER, true);
    world.meta.set_verification(NUMBER, "VERIFIED");
    let mut row = owner.row().await;
    row.need = None;
    assert!(crate::signup_owner::signups(&world).save(&mut row).await.unwrap());
    let told = owner.waits(HOUR).await;
    assert_eq!(told["reason"], "on_phone", "{told}");
    assert_eq!(world.meta.attempts(NUMBER), 0);
}

#[tokio::test]
async fn what_graph_does_not_tell_is_waited_for() {
    let world = World::start().await.unwrap();
    let refused_fields = vec!["is_on_biz_app".to_owned()];
    world.meta.set_signup(SignupRules { refused_fields, ..SignupRules::default() });
    let owner = cloud(&world).await;
    let (_, told) = owner.signs_up(Outcome::FinishCloud).await;
    assert_eq!((&told["state"], &told["reason"]), (&json!("working"), &json!("meta")), "{told}");
    assert_eq!(world.meta.attempts(NUMBER), 0);
    world.meta.set_signup(SignupRules::default());
    assert_eq!(owner.waits(20 * MINUTE).await["state"], "done");
}

#[tokio::test]
async fn a_phone_is_asked_for_its_past_once_whichever_links_its_number_comes_by() {
    let world = World::start().await.unwrap();
    let first = Owner::new(&world).await;
    first.opens().await;
    first.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!(world.meta.sync_calls(NUMBER), 2);
    // An ordinary link, a number that is cut off, a token that ended.
    for case in 0..3 {
        world.pass(HOUR);
        if case == 2 {
            world.meta.end_tokens(prospect::ACCOUNT, 463);
            world.pass(24 * HOUR);
            world.signup_round().await.unwrap();
        }
        if case == 1 {
            world.meta.account_update(prospect::ACCOUNT, AccountUpdate::Offboarded).await.unwrap();
            world.work().await.unwrap();
        }
        let again = Owner::new(&world).await;
        again.opens().await;
        let (_, told) = again.signs_up(Outcome::FinishCoexistence).await;
        assert_eq!(told["state"], "done", "{case}: {told}");
        assert!(matches!(again.row().await.history, OnceOnly::Asked { .. }), "{case}");
        assert_eq!(world.meta.sync_calls(NUMBER), 2, "{case}");
    }
    // Who has left and comes back is a new onboarding.
    world.meta.account_update(prospect::ACCOUNT, AccountUpdate::RemovedByOwner).await.unwrap();
    world.work().await.unwrap();
    let back = Owner::new(&world).await;
    back.opens().await;
    assert_eq!(back.signs_up(Outcome::FinishCoexistence).await.1["state"], "done");
    assert_eq!(world.meta.sync_calls(NUMBER), 4);
}

#[tokio::test]
async fn a_renewed_access_brings_a_new_token_and_no_new_number() {
    let world = World::start().await.unwrap();
    let first = cloud(&world).await;
    let (_, told) = first.signs_up(Outcome::FinishGrantOnly).await;
    assert_eq!((&told["state"], &told["reason"]), (&json!("failed"), &json!("grant_only")), "{told}");
    assert_eq!(first.signs_up(Outcome::FinishCloudRegistered).await.1["state"], "done");
    let again = Owner::with(&world, |signup| signup.reconnects = Some(PhoneNumberId::new(NUMBER))).await;
    again.opens().await;
    assert_eq!(again.signs_up(Outcome::FinishGrantOnly).await.1["need"], "mode");
    assert_eq!(again.posts(&json!({ "accept": true })).await.1["state"], "done");
}

#[tokio::test]
async fn a_number_under_another_id_keeps_what_was_chosen_for_it() {
    let world = World::start().await.unwrap();
    let first = Owner::new(&world).await;
    first.opens().await;
    first.signs_up(Outcome::FinishCoexistence).await;
    let mut before = channel(&world, NUMBER).await.unwrap();
    before.paused_incoming = true;
    before.receipts = ReceiptSettings { typing: !before.receipts.typing, ..before.receipts };
    assert!(Channels::new(table(&world)).bind(&before).await.unwrap());
    world.pass(HOUR);
    world.meta.account_update(prospect::ACCOUNT, AccountUpdate::RemovedByOwner).await.unwrap();
    world.work().await.unwrap();
    world.meta.move_number(NUMBER, "104857600777055");
    let again = Owner::new(&world).await;
    again.opens().await;
    assert_eq!(again.signs_up(Outcome::FinishCoexistence).await.1["state"], "done");
    let after = channel(&world, "104857600777055").await.unwrap();
    assert_eq!(
        (after.paused_incoming, after.receipts, after.since),
        (before.paused_incoming, before.receipts, before.since)
    );
    let names = world.stage.aws.secret_names();
    assert!(!names.iter().any(|name| name.ends_with(NUMBER)), "{names:?}");
}

#[tokio::test]
async fn an_app_secret_that_meta_refuses_is_not_the_owner_s_fault() {
    let log = crate::logged::log();
    let world = World::start().await.unwrap();
    world.meta.set_app_id("1");
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let (status, told) = owner.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!((status, &told["reason"]), (422, &json!("setup")), "{told}");
    assert!(log.text().contains("Meta refuses the app's id or secret"));
}
