//! What comes after a signup: a token that ends, an owner who leaves and comes back, an id that changes, Meta's two callbacks.

use std::time::Duration;

use domain::{
    KeyedHash, PhoneNumberId,
    channel::{ChannelState, DisconnectReason},
    keyed_hash::Administrator,
};
use serde_json::json;
use simulator_meta::{AccountUpdate, Outcome, SignupRules, TokenKind, prospect};
use store::Administrators;
use stories::World;

use crate::{
    erasure::done,
    fixtures::{HOUR, MINUTE, key, table},
    signup_owner::{NUMBER, Owner, channel, inboxes_made},
};

const DAY: Duration = Duration::from_secs(86_400);
const SYSTEM_USER: &str = "122100000000000001";

/// A number that its owner connected.
async fn connected(world: &World) -> Owner<'_> {
    let owner = Owner::new(world).await;
    owner.opens().await;
    let (_, told) = owner.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!(told["state"], "done", "{told}");
    world.work().await.unwrap();
    owner
}

fn administrator(id: &str) -> KeyedHash<Administrator> {
    key().administrator(id)
}

async fn cut(world: &World) -> Option<DisconnectReason> {
    match channel(world, NUMBER).await.unwrap().state {
        ChannelState::Disconnected { why, .. } => Some(why),
        _ => None,
    }
}

#[tokio::test]
async fn a_phone_that_is_changed_holds_answers_back_and_is_not_asked_for_its_past_again() {
    let world = World::start().await.unwrap();
    let owner = connected(&world).await;
    let before = owner.row().await;
    world.pass(HOUR);
    world.meta.account_update(prospect::ACCOUNT, AccountUpdate::Offboarded).await.unwrap();
    world.work().await.unwrap();
    assert_eq!(cut(&world).await, Some(DisconnectReason::Offboarded));
    world.pass(MINUTE);
    world.meta.account_update(prospect::ACCOUNT, AccountUpdate::Reconnected).await.unwrap();
    world.work().await.unwrap();
    world.signup_round().await.unwrap();
    assert_eq!((cut(&world).await, owner.row().await.history), (None, before.history));
}

#[tokio::test]
async fn an_owner_who_left_comes_back_by_a_link_to_the_same_inbox_and_the_past_is_asked_for_again() {
    let world = World::start().await.unwrap();
    connected(&world).await;
    let before = channel(&world, NUMBER).await.unwrap();
    world.pass(30 * DAY);
    world.meta.account_update(prospect::ACCOUNT, AccountUpdate::RemovedByOwner).await.unwrap();
    world.work().await.unwrap();
    assert_eq!(cut(&world).await, Some(DisconnectReason::Removed));
    let again = Owner::with(&world, |signup| signup.reconnects = Some(PhoneNumberId::new(NUMBER))).await;
    again.opens().await;
    let (_, told) = again.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!(told["state"], "done", "{told}");
    let after = channel(&world, NUMBER).await.unwrap();
    assert_eq!((after.inbox, after.state, inboxes_made(&world)), (before.inbox, ChannelState::Live, 1));
    assert_eq!(world.meta.syncs(NUMBER).len(), 2, "since it joined again");
    assert_ne!(again.row().await.history, domain::signup::OnceOnly::None);
}

#[tokio::test]
async fn a_link_to_connect_again_takes_no_other_number() {
    let world = World::start().await.unwrap();
    connected(&world).await;
    let again = Owner::with(&world, |signup| signup.reconnects = Some(PhoneNumberId::new(NUMBER))).await;
    again.opens().await;
    let choice = simulator_meta::Choice {
        outcome: Outcome::FinishCoexistence,
        number: Some("104857600777099".to_owned()),
        ..simulator_meta::Choice::default()
    };
    let other = world.meta.dialog(choice).await.unwrap();
    again.posts(&Owner::body(&other)).await;
    let told = again.waits(HOUR).await;
    assert_eq!((&told["state"], &told["reason"]), (&json!("failed"), &json!("other_number")), "{told}");
    assert_eq!(channel(&world, "104857600777099").await, None);
}

#[tokio::test]
async fn a_number_that_comes_back_under_another_id_keeps_its_inbox() {
    let world = World::start().await.unwrap();
    connected(&world).await;
    let before = channel(&world, NUMBER).await.unwrap();
    world.meta.account_update(prospect::ACCOUNT, AccountUpdate::RemovedByOwner).await.unwrap();
    world.work().await.unwrap();
    world.meta.move_number(NUMBER, "104857600777055");
    let again = Owner::new(&world).await;
    again.opens().await;
    let (_, told) = again.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!(told["state"], "done", "{told}");
    let after = channel(&world, "104857600777055").await.unwrap();
    assert_eq!((after.inbox, inboxes_made(&world)), (before.inbox, 1));
    assert_eq!(channel(&world, NUMBER).await, None, "one channel for one inbox");
    let ana = world.meta.customer("Ana", "5215555550123").at("104857600777055");
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.agent("Sofía").replies(conversation, "¡Hola!").await;
    world.work().await.unwrap();
    assert_eq!(ana.heard(), ["¡Hola!"]);
}

#[tokio::test]
async fn a_token_that_ended_is_found_within_a_day_and_a_link_brings_a_new_one() {
    let world = World::start().await.unwrap();
    connected(&world).await;
    world.signup_round().await.unwrap();
    world.meta.end_tokens(prospect::ACCOUNT, 463);
    world.pass(DAY.checked_sub(MINUTE).unwrap());
    world.signup_round().await.unwrap();
    assert_eq!(cut(&world).await, None, "asked once a day");
    world.pass(2 * MINUTE);
    world.signup_round().await.unwrap();
    assert_eq!(cut(&world).await, Some(DisconnectReason::Removed));
    let again = Owner::with(&world, |signup| signup.reconnects = Some(PhoneNumberId::new(NUMBER))).await;
    again.opens().await;
    let (_, told) = again.signs_up(Outcome::FinishCoexistence).await;
    assert_eq!((told["state"].as_str(), cut(&world).await), (Some("done"), None), "{told}");
}

#[tokio::test]
async fn a_token_that_will_end_says_so_in_its_secret() {
    let world = World::start().await.unwrap();
    world.meta.set_signup(SignupRules { token_lives: Some(60 * 86_400), ..SignupRules::default() });
    let owner = connected(&world).await;
    let end = owner.row().await.token_ends_at.unwrap();
    assert_eq!(end.as_secs(), domain::Clock::now(&world.clock).as_secs() + 60 * 86_400);
}

#[tokio::test]
async fn who_takes_the_permission_away_is_believed_once_graph_says_so() {
    let world = World::start().await.unwrap();
    connected(&world).await;
    world.meta.set_callbacks(Some(&format!("{}/deletion/meta/deauthorize", world.url())), None);
    world.signup_round().await.unwrap();
    assert_eq!(world.meta.deauthorize(SYSTEM_USER).await.unwrap().0, 200);
    world.signup_round().await.unwrap();
    assert_eq!(cut(&world).await, None, "the token is good still");
    world.meta.end_tokens(prospect::ACCOUNT, 458);
    assert_eq!(world.meta.deauthorize(SYSTEM_USER).await.unwrap().0, 200);
    assert_eq!(world.meta.deauthorize("999").await.unwrap().0, 200, "and who is unknown is answered the same");
    assert_eq!(world.signup_round().await.unwrap().checked, 1);
    assert_eq!(cut(&world).await, Some(DisconnectReason::Removed));
}

#[tokio::test]
async fn meta_s_deletion_erases_who_signed_up_and_not_the_channel() {
    let world = World::start().await.unwrap();
    world.meta.set_signup(SignupRules { token_kind: TokenKind::User, ..SignupRules::default() });
    connected(&world).await;
    let administrators = Administrators::new(table(&world));
    let person = administrator("10221000000000001");
    let known = administrators.of(&person).await.unwrap();
    assert_eq!((known.numbers.len(), known.own_tokens.len()), (1, 1));
    let (status, body) = world.meta.asks_deletion("10221000000000001").await.unwrap();
    assert_eq!(status, 200, "{body}");
    done(&world, body["confirmation_code"].as_str().unwrap()).await;
    assert!(administrators.of(&person).await.unwrap().numbers.is_empty());
    assert!(channel(&world, NUMBER).await.is_some());
}
