//! Links for owners of numbers: made, listed, taken back, freed from a browser.

use std::time::Duration;

use domain::{Clock as _, KeyedHash, Signup, SystemClock, channel::Mode, signup::SignupStep};
use serde_json::{Value, json};
use simulator_chatwoot::Role;
use store::{Signups, Table};
use stories::{CHANNEL, World};

use crate::support::{complaint, ops, says, words};

fn signups(world: &World) -> Signups {
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let name = world.stage.table().unwrap().to_owned();
    Signups::new(Table::new(aws.dynamodb, name, SystemClock.shared(), Duration::from_secs(86_400)))
}

async fn only(world: &World) -> Signup {
    signups(world).all().await.unwrap().pop().unwrap()
}

fn made(world: &World, more: &[&str]) -> Value {
    let api = world.url();
    says(world, 0, &[&["signup", "link", "--api-url", &api], more].concat(), "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_made_as_asked_and_names_nobody() {
    let world = World::start_now().await.unwrap();
    world.chatwoot.token("Sofía Ledesma", Role::Agent);
    let asks = ["--account", "3", "--mode", "cloud", "--lang", "en", "--member", "sofía.ledesma@lmotos.example"];
    let link = made(&world, &asks);
    let (_, text) = link["url"].as_str().unwrap().split_once("/signup?t=").unwrap();
    let key = "link-key-of-the-stories".into();
    assert_eq!(signup::Link::read(text, [&key]).map(|link| json!(link.id)), Some(link["id"].clone()));
    let row = only(&world).await;
    assert_eq!((row.asked, row.lang.as_str(), row.account.0), (Mode::Cloud, "en", 3));
    assert!(row.members.len() == 1 && row.members.iter().all(|id| id.parse::<i64>().is_ok()), "{:?}", row.members);
    let listed = says(&world, 0, &["signup", "list"], "");
    assert_eq!((&listed[0]["id"], &listed[0]["state"]), (&link["id"], &json!("open")), "{listed}");
    assert!(!listed.to_string().contains(text), "the link is shown once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_cannot_be_leaves_nothing() {
    let world = World::start_now().await.unwrap();
    let api = world.url();
    for (more, why) in [
        (&["--account", "3", "--member", "nobody@lmotos.example"][..], "nobody in the account"),
        (&["--reconnect", "1"], "there is no channel 1"),
        (&["--reconnect", CHANNEL, "--account", "8"], "belongs to account 3"),
    ] {
        let output = ops(&world, &[&["signup", "link", "--api-url", &api], more].concat(), "");
        assert!(!output.status.success() && complaint(&output).contains(why), "{}", complaint(&output));
    }
    assert!(signups(&world).all().await.unwrap().is_empty());
    made(&world, &["--reconnect", CHANNEL]);
    assert_eq!(only(&world).await.reconnects.unwrap().as_str(), CHANNEL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_taken_back_also_while_it_is_at_work() {
    let world = World::start_now().await.unwrap();
    let id = made(&world, &["--account", "3"])["id"].as_str().unwrap().to_owned();
    let mut row = only(&world).await;
    assert!(signups(&world).lease(&mut row).await.unwrap());
    row.done(SignupStep::Token, SystemClock.now());
    assert!(signups(&world).save(&mut row).await.unwrap());
    let output = ops(&world, &["signup", "revoke", &id[..8]], "");
    assert!(output.status.success() && words(&output).contains("Its token is removed"), "{}", words(&output));
    assert!(only(&world).await.revoked);
    assert_eq!(says(&world, 0, &["signup", "list"], "")[0]["state"], "revoked");
    let mut row = only(&world).await;
    row.done(SignupStep::Done, SystemClock.now());
    assert!(signups(&world).save(&mut row).await.unwrap());
    let output = ops(&world, &["signup", "revoke", &id], "");
    assert!(!output.status.success() && complaint(&output).contains("ops channel remove"), "{}", complaint(&output));
    assert!(!ops(&world, &["signup", "revoke", "zzz"], "").status.success(), "no such link");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_freed_from_its_browser_and_keeps_its_code() {
    let world = World::start_now().await.unwrap();
    let id = made(&world, &["--account", "3"])["id"].as_str().unwrap().to_owned();
    let mut row = only(&world).await;
    (row.browser, row.code) = (Some(KeyedHash::new("b")), Some(KeyedHash::new("c")));
    assert!(signups(&world).lease(&mut row).await.unwrap());
    let output = ops(&world, &["signup", "free", &id], "");
    assert!(!output.status.success() && complaint(&output).contains("in a minute"), "{}", complaint(&output));
    row.leased_until = domain::Timestamp::default();
    assert!(signups(&world).save(&mut row).await.unwrap());
    says(&world, 0, &["signup", "free", &id], "");
    let row = only(&world).await;
    assert_eq!((row.browser, row.code), (None, Some(KeyedHash::new("c"))));
}
