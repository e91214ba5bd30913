//! A signup that others write while its code is exchanged, and one whose worker dies over it.

use std::time::Duration;

use domain::{Signup, signup::SignupStep};
use serde_json::{Value, json};
use simulator_meta::{Outcome, SignedUp, SignupRules};
use simulator_wire::Effect;
use store::StoreError;
use stories::World;

use crate::{
    fixtures::{HOUR, MINUTE, once},
    signup_owner::{NUMBER, Owner, channel, inboxes_made, signups},
};

/// The names of the tokens that no channel has yet.
fn own_secrets(world: &World) -> Vec<String> {
    let all = world.stage.aws.secret_names();
    all.into_iter().filter(|name| name.contains("/signup/")).collect()
}

/// Posts a code, and does something else while Meta is asked for its token.
async fn while_exchanging<T>(owner: &Owner<'_>, body: &Value, meanwhile: impl Future<Output = T>) -> (u16, Value, T) {
    owner.world.meta.faults().add(once("GET", "/oauth/access_token", Effect::Slow { millis: 400 }));
    let meanwhile = async {
        while !owner.row().await.is_exchanging() {
            tokio::task::yield_now().await;
        }
        meanwhile.await
    };
    let ((status, told), done) = futures_util::future::join(owner.posts(body), meanwhile).await;
    (status, told, done)
}

fn event_of(done: &SignedUp) -> Value {
    let mut event = Owner::body(done);
    event.as_object_mut().unwrap().remove("code");
    event
}

#[tokio::test]
async fn what_the_window_tells_during_the_exchange_takes_no_token_away() {
    let world = World::start().await.unwrap();
    world.meta.set_signup(SignupRules { granular: false, announces: false, ..SignupRules::default() });
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let done = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    let event = event_of(&done);
    let (_, _, (status, told)) =
        while_exchanging(&owner, &json!({ "code": done.code }), async { owner.posts(&event).await }).await;
    assert_eq!((status, &told["state"]), (200, &json!("working")), "{told}");
    assert_eq!(owner.waits(MINUTE).await["state"], "done");
    assert!(own_secrets(&world).is_empty());
}

#[tokio::test]
async fn an_account_that_meta_announces_during_the_exchange_or_before_the_code_is_found() {
    for early in [true, false] {
        let world = World::start().await.unwrap();
        world.meta.set_signup(SignupRules { granular: false, ..SignupRules::default() });
        let owner = Owner::new(&world).await;
        // Another link waits for its owner at the same time.
        let other = Owner::new(&world).await;
        owner.opens().await;
        other.opens().await;
        let done = world.meta.signs_up(Outcome::CodeOnly).await.unwrap();
        if early {
            world.work().await.unwrap();
            owner.posts(&Owner::body(&done)).await;
        } else {
            while_exchanging(&owner, &Owner::body(&done), async { world.work().await.unwrap() }).await;
        }
        assert_eq!(owner.waits(MINUTE).await["state"], "done", "early: {early}");
    }
}

#[tokio::test]
async fn what_the_operator_writes_during_the_exchange_takes_no_token_away() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let done = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    let freed = async {
        let free = |signup: &mut Signup| -> Result<(), StoreError> {
            signup.browser = None;
            Ok(())
        };
        signups(&world).amend(&owner.id, free).await.unwrap();
    };
    let (_, told, ()) = Box::pin(while_exchanging(&owner, &Owner::body(&done), freed)).await;
    assert_eq!(told["state"], "done", "{told}");
}

#[tokio::test]
async fn a_link_that_is_taken_back_during_the_exchange_keeps_no_token() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let done = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    let revoked = async {
        let revoke = |signup: &mut Signup| -> Result<(), StoreError> {
            signup.revoked = true;
            Ok(())
        };
        signups(&world).amend(&owner.id, revoke).await.unwrap();
    };
    Box::pin(while_exchanging(&owner, &Owner::body(&done), revoked)).await;
    assert_eq!(world.meta.issued_tokens().len(), 1);
    assert!(own_secrets(&world).is_empty());
    assert_eq!((channel(&world, NUMBER).await, inboxes_made(&world)), (None, 0));
    assert_eq!(owner.opens().await.0, 410);
}

#[tokio::test]
async fn a_link_that_is_taken_back_while_it_waits_is_closed_by_the_round() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    owner.signs_up(Outcome::FinishSeveral).await;
    assert_eq!(own_secrets(&world).len(), 1);
    let revoke = |signup: &mut Signup| -> Result<(), StoreError> {
        signup.revoked = true;
        Ok(())
    };
    signups(&world).amend(&owner.id, revoke).await.unwrap();
    world.signup_round().await.unwrap();
    assert!(own_secrets(&world).is_empty());
    assert_eq!(owner.row().await.step, SignupStep::Open);
    assert_eq!(world.signup_round().await.unwrap().standing, 0);
}

#[tokio::test]
async fn a_link_that_nobody_answers_any_more_keeps_no_token() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    owner.signs_up(Outcome::FinishSeveral).await;
    world.pass((72 + 7 * 24) * HOUR);
    world.signup_round().await.unwrap();
    assert!(own_secrets(&world).is_empty());
    assert_eq!(owner.row().await.step, SignupStep::Open);
}

#[tokio::test]
async fn a_second_code_during_the_exchange_is_told_how_far_the_first_is() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let first = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    let second = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    let second = Owner::body(&second);
    let (_, told, (status, second)) =
        while_exchanging(&owner, &Owner::body(&first), async { owner.posts(&second).await }).await;
    assert_eq!((told["state"].as_str(), status, second["state"].as_str()), (Some("done"), 409, Some("working")));
}

#[tokio::test]
async fn killed_at_any_await_of_the_exchange_a_stored_token_is_found_again() {
    let mut found = 0;
    for at in 1..40 {
        let world = World::start().await.unwrap();
        let owner = Owner::new(&world).await;
        owner.opens().await;
        let done = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
        world.kill_signup(at);
        owner.posts(&Owner::body(&done)).await;
        let row = owner.row().await;
        if row.step != SignupStep::Open || row.code.is_none() {
            if row.code.is_some() {
                break;
            }
            continue;
        }
        let stored = !own_secrets(&world).is_empty();
        // The page says the code again, and asks on.
        let (_, told) = owner.posts(&Owner::body(&done)).await;
        assert_eq!(told["state"], "working", "{at}: {told}");
        world.pass(MINUTE);
        let told = owner.waits(MINUTE).await;
        if stored {
            found += 1;
            assert_eq!(told["state"], "done", "{at}: {told}");
        } else {
            assert_eq!((&told["state"], &told["reason"]), (&json!("failed"), &json!("code_lost")), "{at}");
            assert_eq!(owner.signs_up(Outcome::FinishCoexistence).await.1["state"], "done", "{at}");
        }
        assert!(own_secrets(&world).is_empty(), "{at}");
    }
    assert!(found > 0, "no kill was between the secret and the row");
}

#[tokio::test]
async fn a_token_whose_worker_died_is_taken_up_by_the_round_though_the_page_is_closed() {
    for at in 1.. {
        let world = World::start().await.unwrap();
        let owner = Owner::new(&world).await;
        owner.opens().await;
        world.kill_signup(at);
        assert_eq!(owner.signs_up(Outcome::FinishCoexistence).await.0, 502, "{at}: no kill was in between");
        // The first kill after the token was stored, and before that was written down.
        if own_secrets(&world).is_empty() || !owner.row().await.is_exchanging() {
            continue;
        }
        world.pass(MINUTE);
        world.signup_round().await.unwrap();
        assert_eq!(owner.row().await.step, SignupStep::Done);
        assert!(own_secrets(&world).is_empty());
        break;
    }
}

#[tokio::test]
async fn an_answer_that_comes_while_a_worker_has_the_signup_is_asked_for_again() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    owner.signs_up(Outcome::FinishSeveral).await;
    let mut row = owner.row().await;
    assert!(signups(&world).lease(&mut row).await.unwrap());
    let choice = json!({ "choose": "104857600777099" });
    let (status, told) = owner.posts(&choice).await;
    assert_eq!((status, &told["again"], &told["need"]), (202, &json!(true), &json!("choice")), "{told}");
    world.pass(Duration::from_secs(41));
    assert_eq!(owner.posts(&choice).await.1["state"], "done");
}

#[tokio::test]
async fn what_stands_beside_a_code_costs_no_code() {
    let world = World::start().await.unwrap();
    let owner = Owner::new(&world).await;
    owner.opens().await;
    let done = world.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    let mut body = Owner::body(&done);
    for name in ["mode", "waba_ids", "phone_number_id", "user_id", "current_step", "session_id", "accept", "pin"] {
        body[name] = json!({ "a": [7] });
    }
    assert_eq!(owner.posts(&body).await.1["state"], "done");
}
