//! The door to Meta: the handshake, and nothing gets in that the app did not sign.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use stories::World;

use crate::{
    fixtures::{ana_wrote, body, text},
    open_chat::{call, post},
};

const PATH: &str = "/webhooks/meta";
const VERIFY_TOKEN: &str = "verify-token-of-the-stories";
const OLD: &str = "app-secret-of-the-stories";
const NEW: &str = "app-secret-of-tomorrow";

fn hello(wamid: &str) -> Vec<u8> {
    let message = text("5215555550123", wamid, 1_795_190_400, "hola ñ 👋");
    body("messages", &json!({"messages": [message]})).to_string().into_bytes()
}

async fn arrives(world: &World, signature: Option<&str>, body: &[u8]) -> u16 {
    let header = signature.map(|signature| ("x-hub-signature-256", signature));
    post(&world.url(), PATH, header.as_slice(), body).await
}

/// Changes members of the app's secret; `null` takes one away.
async fn rotate(world: &World, members: Value) {
    let name = world.stage.environment("webhook").unwrap().optional(platform::Setting::AppSecret).unwrap();
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let known = aws.secrets.get_secret_value().secret_id(&name).send().await.unwrap();
    let mut secret: Value = serde_json::from_str(known.secret_string().unwrap()).unwrap();
    for (member, value) in members.as_object().unwrap() {
        secret[member] = value.clone();
    }
    secret.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    world.stage.aws.put_secret(&name, &secret.to_string());
}

#[tokio::test]
async fn only_what_meta_signed_is_taken() {
    let world = World::start().await.unwrap();
    let body = hello("wamid.1");
    let right = world.meta.sign(&body);
    let mut forged = body.clone();
    forged.push(b' ');
    assert_eq!(arrives(&world, Some(&right), &forged).await, 401, "one byte more");
    assert_eq!(arrives(&world, None, &body).await, 401, "no signature");
    assert_eq!(arrives(&world, Some(&right[7..]), &body).await, 401, "no scheme");
    assert_eq!(arrives(&world, Some(&right.to_uppercase()), &body).await, 401, "another scheme");
    assert_eq!(arrives(&world, Some("sha256="), &body).await, 401, "an empty signature");
    world.meta.set_app_secret("of-another-app");
    assert_eq!(arrives(&world, Some(&world.meta.sign(&body)), &body).await, 401, "another app");
    assert_eq!((world.queued("inbound"), world.dead_letters("inbound")), (0, vec![]));
    assert_eq!(arrives(&world, Some(&right), &body).await, 200);
    // What the API takes for bytes comes as base64; what was signed are the bytes.
    let headers = [("x-hub-signature-256", right.as_str()), ("content-type", "application/octet-stream")];
    assert_eq!(post(&world.url(), PATH, &headers, &body).await, 200);
    assert_eq!(post(&world.url(), PATH, &headers, &forged).await, 401);
    assert_eq!(world.queued("inbound"), 2);
}

#[tokio::test]
async fn a_secret_is_rotated_without_losing_a_webhook() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let signed = |secret: &str, wamid: &str| {
        world.meta.set_app_secret(secret);
        let body = hello(wamid);
        (world.meta.sign(&body), body)
    };
    let takes = async |secret: &str, wamid: &str| {
        let (signature, body) = signed(secret, wamid);
        arrives(&world, Some(&signature), &body).await
    };
    assert_eq!(takes(NEW, "wamid.1").await, 401);
    rotate(&world, json!({"app_secret": NEW, "app_secret_previous": OLD})).await;
    world.pass(Duration::from_secs(10));
    // What it has in hand is the old one; before it refuses, it looks again.
    assert_eq!((takes(NEW, "wamid.2").await, takes(OLD, "wamid.3").await), (200, 200));
    rotate(&world, json!({"app_secret_previous": null})).await;
    world.pass(Duration::from_secs(600));
    assert_eq!((takes(OLD, "wamid.4").await, takes(NEW, "wamid.5").await), (401, 200));
    // An empty previous secret is none, and signs nothing.
    rotate(&world, json!({"app_secret_previous": ""})).await;
    world.pass(Duration::from_secs(600));
    assert_eq!((takes("", "wamid.6").await, takes(NEW, "wamid.7").await), (401, 200));
}

#[tokio::test]
async fn metas_handshake_is_answered_to_who_knows_the_token() {
    let world = World::start().await.unwrap();
    let shakes = async |mode: &str, token: &str, challenge: &str| {
        let query = format!("{PATH}?hub.mode={mode}&hub.verify_token={token}{challenge}");
        call("GET", &world.url(), &query, &[], b"").await
    };
    assert_eq!(shakes("subscribe", VERIFY_TOKEN, "&hub.challenge=1158201444").await, (200, "1158201444".to_owned()));
    assert_eq!(shakes("subscribe", "guessed", "&hub.challenge=1").await, (403, String::new()));
    assert_eq!(shakes("subscribe", "", "&hub.challenge=1").await.0, 403);
    assert_eq!(shakes("unsubscribe", VERIFY_TOKEN, "&hub.challenge=1").await.0, 400);
    assert_eq!(shakes("subscribe", VERIFY_TOKEN, "").await.0, 400);
    // A new token counts from the moment it is needed.
    rotate(&world, json!({"verify_token": "tomorrow"})).await;
    world.pass(Duration::from_secs(10));
    assert_eq!(shakes("subscribe", "tomorrow", "&hub.challenge=2").await, (200, "2".to_owned()));
}

#[tokio::test]
async fn a_body_of_three_megabytes_is_taken_and_one_beyond_the_limit_is_not() {
    let world = World::start().await.unwrap();
    let message = |n: usize| text("5215555550123", &format!("wamid.{n}"), 1_795_190_400, &"x".repeat(4_000));
    let large =
        body("messages", &json!({"messages": (0..750).map(message).collect::<Vec<_>>()})).to_string().into_bytes();
    assert!(large.len() > 3_000_000);
    world.stage.aws.calls().record();
    assert_eq!(arrives(&world, Some(&world.meta.sign(&large)), &large).await, 200);
    assert_eq!(world.queued("inbound"), 750);
    // A call of SQS takes ten messages, one of the table 99 claims and a count; nothing is asked for each message.
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for call in world.stage.aws.calls().take() {
        let operation = call.target.rsplit('.').next().unwrap_or_default();
        *calls.entry(operation.to_owned()).or_default() += 1;
    }
    let expected = [("GetSecretValue", 1), ("SendMessageBatch", 75), ("TransactWriteItems", 8)];
    assert_eq!(calls, BTreeMap::from(expected.map(|(name, times)| (name.to_owned(), times))));
    let beyond = vec![b' '; 4 * 1024 * 1024 + 1];
    assert_eq!(arrives(&world, Some(&world.meta.sign(&beyond)), &beyond).await, 413);
}
