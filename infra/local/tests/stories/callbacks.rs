//! Chatwoot's callbacks: lost, doubled, swapped, late, forged, old, unsigned, of another inbox, and our own marks coming
//! back. A callback is only a hint, so none of it changes what the customer gets.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::json;
use testkit::{CALLBACK_SECRET, CHANNEL, COEXISTENCE_CHANNEL};
use testkit_chatwoot::Duplicate;
use testkit_wire::{Effect, Fault, Faults, Server};

use crate::shop::{Shop, post, refuses};

const MINUTE: Duration = Duration::from_secs(60);

/// A callback as Chatwoot signed it, on its way.
type Letter = (HeaderMap, Bytes);

/// Takes Chatwoot's callbacks and keeps them, to be delivered when and as a story wants.
struct Letterbox {
    letters: Arc<Mutex<Vec<Letter>>>,
    _server: Server,
}

impl Letterbox {
    async fn instead_of_the_bridge(shop: &Shop) -> Self {
        let letters = Arc::new(Mutex::default());
        let router = Router::new().fallback(take).with_state(Arc::clone(&letters));
        let server = Server::start("127.0.0.1:0".parse().unwrap(), router, Faults::default()).await.unwrap();
        shop.world.chatwoot.set_callback_url(14, &server.url());
        Self { letters, _server: server }
    }

    /// The letter about the message Sofía just wrote.
    async fn letter(&self, shop: &Shop) -> Letter {
        shop.world.calm().await;
        let letters = self.letters.lock().unwrap();
        let about_it = |letter: &&Letter| String::from_utf8_lossy(&letter.1).contains("\"message_created\"");
        letters.iter().rev().find(about_it).unwrap().clone()
    }
}

async fn take(State(letters): State<Arc<Mutex<Vec<Letter>>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    letters.lock().unwrap().push((headers, body));
    StatusCode::OK
}

/// Delivers a letter to a path of the bridge, with only those headers whose names contain `headers`.
async fn deliver(shop: &Shop, path: &str, headers: &str, (all, body): &Letter) -> u16 {
    let chosen = all.iter().filter(|(name, _)| name.as_str().contains(headers));
    let chosen: Vec<(&str, &str)> = chosen
        .filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length" | "connection"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    post(&shop.world.url(), &format!("/callbacks/chatwoot/{path}"), &chosen, body).await
}

#[tokio::test]
async fn a_lost_callback_is_found_by_reconcile_within_five_minutes() {
    let shop = Shop::open().await;
    shop.world.chatwoot.callbacks().lose(1);
    let message = shop.says("Buenas").await;
    assert!(shop.ana.heard().is_empty());
    shop.world.pass(5 * MINUTE);
    shop.reconciles().await;
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"));
}

#[tokio::test]
async fn a_doubled_callback_sends_once() {
    for kind in [Duplicate::SameDelivery, Duplicate::NewDelivery] {
        let shop = Shop::open().await;
        shop.world.chatwoot.callbacks().duplicate(3, kind);
        for text in ["uno", "dos", "tres"] {
            shop.sofia.replies(shop.conversation, text).await;
            // The second post finds the first one done, under way, or not begun.
            shop.world.calm().await;
            if text != "dos" {
                shop.world.work().await.unwrap();
            }
        }
        assert_eq!(shop.ana.heard(), ["uno", "dos", "tres"], "{kind:?}");
    }
}

#[tokio::test]
async fn swapped_callbacks_do_not_swap_messages() {
    for seed in 1..6 {
        let shop = Shop::open().await;
        let callbacks = shop.world.chatwoot.callbacks();
        callbacks.hold();
        callbacks.shuffle(seed);
        let texts = ["uno", "dos", "tres", "cuatro", "cinco"];
        for text in texts {
            shop.sofia.replies(shop.conversation, text).await;
        }
        callbacks.release();
        shop.world.work().await.unwrap();
        assert_eq!(shop.ana.heard(), texts, "seed {seed}");
    }
}

#[tokio::test]
async fn a_message_whose_callback_was_lost_goes_before_the_next_one() {
    let shop = Shop::open().await;
    shop.world.chatwoot.callbacks().lose(1);
    shop.says("primero").await;
    shop.says("después").await;
    assert_eq!(shop.ana.heard(), ["primero", "después"]);
}

#[tokio::test]
async fn a_late_callback_of_what_went_out_long_ago_sends_nothing() {
    let shop = Shop::open().await;
    shop.world.chatwoot.callbacks().hold();
    shop.says("Buenas").await;
    shop.reconciles().await;
    assert_eq!(shop.ana.heard(), ["Buenas"]);
    shop.world.pass(30 * MINUTE);
    shop.world.chatwoot.callbacks().release();
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.heard(), ["Buenas"]);
}

#[tokio::test]
async fn a_callback_the_bridge_could_not_take_marks_the_message_failed_until_it_is_sent_after_all() {
    let shop = Shop::open().await;
    shop.world.front().refuse().await;
    let message = shop.says("Buenas").await;
    assert!(shop.mark(message).contains("Failed to open TCP connection"), "{}", shop.mark(message));
    shop.world.front().accept().unwrap();
    shop.world.pass(MINUTE);
    shop.reconciles().await;
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"));
    assert_eq!(shop.message(message).external_error, None);
}

#[tokio::test]
async fn a_failed_callback_about_a_message_that_is_out_does_not_stay_on_it() {
    let shop = Shop::open().await;
    let fault = Fault {
        method: None,
        path: "/".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::Answer { status: 500, content_type: "application/json".to_owned(), body: String::new() },
    };
    let message = shop.says("Buenas").await;
    // Reading makes the bridge mark the message; the callback about that mark finds the secrets and the table gone.
    shop.world.chatwoot.callbacks().hold();
    shop.ana.reads_all().await;
    shop.world.work().await.unwrap();
    shop.world.pass(10 * MINUTE);
    shop.world.stage.aws.faults().add(fault);
    shop.world.chatwoot.callbacks().release();
    shop.world.calm().await;
    shop.world.stage.aws.faults().clear();
    assert_eq!(shop.message(message).status, "failed", "Chatwoot puts it down to the message");
    shop.reconciles().await;
    assert_eq!((shop.ana.heard().len(), shop.mark(message).as_str()), (1, "read"));
}

#[tokio::test]
async fn only_what_is_signed_right_and_fresh_is_taken() {
    let shop = Shop::open().await;
    let letterbox = Letterbox::instead_of_the_bridge(&shop).await;
    shop.sofia.replies(shop.conversation, "Buenas").await;
    let letter = letterbox.letter(&shop).await;
    let (headers, body) = letter.clone();

    let mut forged = body.to_vec();
    forged.push(b' ');
    let forged = (headers.clone(), Bytes::from(forged));
    assert_eq!(deliver(&shop, CHANNEL, "", &forged).await, 401, "one byte more");
    let mut restamped = headers.clone();
    restamped.insert("x-chatwoot-timestamp", "1795190401".parse().unwrap());
    assert_eq!(deliver(&shop, CHANNEL, "", &(restamped, body.clone())).await, 401, "another time");
    assert_eq!(deliver(&shop, COEXISTENCE_CHANNEL, "", &letter).await, 401, "another channel");
    assert_eq!(deliver(&shop, "999", "", &letter).await, 404, "no channel");
    assert_eq!(deliver(&shop, CHANNEL, "delivery", &letter).await, 401, "no signature");
    assert_eq!(deliver(&shop, CHANNEL, "signature", &letter).await, 401, "no time");
    assert_eq!(
        deliver(&shop, &format!("{CHANNEL}/{CALLBACK_SECRET}"), "", &forged).await,
        401,
        "a forged signature counts"
    );
    assert_eq!(shop.world.queued("outbound"), 0);

    shop.world.pass(5 * MINUTE);
    assert_eq!(deliver(&shop, CHANNEL, "", &letter).await, 200, "five minutes old");
    shop.world.pass(Duration::from_secs(1));
    assert_eq!(deliver(&shop, CHANNEL, "", &letter).await, 401, "older");
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.heard(), ["Buenas"]);
}

#[tokio::test]
async fn what_is_no_callback_is_refused_and_other_inboxes_change_nothing() {
    let shop = Shop::open().await;
    let path = format!("/callbacks/chatwoot/{CHANNEL}/{CALLBACK_SECRET}");
    for body in ["", "{", "[]", "{}", "null"] {
        assert_eq!(post(&shop.world.url(), &path, &[], body.as_bytes()).await, 400, "{body}");
    }
    let reply = |account: i64, inbox: i64| {
        json!({ "event": "message_created", "id": 1, "message_type": "outgoing", "account": { "id": account },
            "inbox": { "id": inbox }, "conversation": { "id": shop.conversation } })
    };
    for (account, inbox, hints) in [(3, 15, 0), (4, 14, 0), (3, 14, 1)] {
        let body = reply(account, inbox).to_string();
        assert_eq!(post(&shop.world.url(), &path, &[], body.as_bytes()).await, 200);
        assert_eq!(shop.world.queued("outbound"), hints, "account {account}, inbox {inbox}");
    }
    shop.world.work().await.unwrap();
    assert!(shop.ana.heard().is_empty(), "a hint without a message sends nothing");
}

#[tokio::test]
async fn an_older_chatwoot_does_not_sign_and_shows_the_secret_in_the_path() {
    let shop = Shop::open().await;
    shop.world.chatwoot.callbacks().like_older_versions(true);
    let door = format!("{}/callbacks/chatwoot/{CHANNEL}", shop.world.url());
    for (url, heard) in [(door.clone(), 0), (format!("{door}/wrong"), 0), (format!("{door}/{CALLBACK_SECRET}"), 3)] {
        shop.world.chatwoot.set_callback_url(14, &url);
        shop.says("Buenas").await;
        // The third callback brings the other two along.
        assert_eq!(shop.ana.heard().len(), heard);
    }
}

#[tokio::test]
async fn a_new_secret_needs_no_deploy_and_the_previous_one_is_good_for_a_while() {
    let shop = Shop::open().await;
    shop.says("uno").await;
    let name = shop.world.stage.channel_secret(CHANNEL).unwrap();
    let put = |secret: &str, previous: Option<&str>| {
        let mut value = json!({ "access_token": format!("token-of-{CHANNEL}"), "callback_secret": secret });
        if let Some(previous) = previous {
            value["callback_secret_previous"] = previous.into();
        }
        shop.world.stage.aws.put_secret(&name, &value.to_string());
    };
    // The operator announces the new secret first: what is signed with the old one still counts.
    put("announced", Some(CALLBACK_SECRET));
    shop.world.pass(10 * MINUTE);
    shop.says("dos").await;
    assert_eq!(shop.ana.heard(), ["uno", "dos"]);

    // Chatwoot changes at once and without overlap; the cache still holds the old one.
    let new = shop.world.chatwoot.reset_secret(14).unwrap();
    put(&new, None);
    shop.says("tres").await;
    assert_eq!(shop.ana.heard(), ["uno", "dos", "tres"]);
}

#[tokio::test]
async fn our_own_marks_coming_back_cost_chatwoot_no_call() {
    let shop = Shop::open().await;
    let reads = || shop.world.chatwoot.requests().iter().filter(|call| call.method == "GET").count();
    let marks = || shop.world.chatwoot.requests().iter().filter(|call| call.method == "PATCH").count();
    let before = reads();
    shop.says("Buenas").await;
    let one_look = reads() - before;
    let wamid = shop.ana.phone().last().unwrap().wamid.clone();
    for status in ["sent", "delivered", "read"] {
        shop.ana.status(&wamid, status, None).await;
        shop.world.work().await.unwrap();
    }
    assert_eq!((reads() - before, marks()), (one_look, 2), "ticks");

    shop.meta_will(refuses(400, 131_026), 1);
    shop.says("otra").await;
    assert_eq!((reads() - before, marks()), (2 * one_look, 3), "a failure");
}
