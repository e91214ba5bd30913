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
use simulator_chatwoot::Duplicate;
use simulator_wire::{Effect, Fault, Faults, Server};
use stories::{CALLBACK_SECRET, CHANNEL, COEXISTENCE_CHANNEL, PATH_SECRET};

use crate::open_chat::{OpenChat, post, refuses};

const MINUTE: Duration = Duration::from_secs(60);

/// A callback as Chatwoot signed it, on its way.
type Letter = (HeaderMap, Bytes);

/// Takes Chatwoot's callbacks and keeps them, to be delivered when and as a story wants.
struct Letterbox {
    letters: Arc<Mutex<Vec<Letter>>>,
    _server: Server,
}

impl Letterbox {
    async fn instead_of_the_bridge(shop: &OpenChat) -> Self {
        let letters = Arc::new(Mutex::default());
        let router = Router::new().fallback(take).with_state(Arc::clone(&letters));
        let server = Server::start("127.0.0.1:0".parse().unwrap(), router, Faults::default()).await.unwrap();
        shop.world.chatwoot.set_callback_url(14, &server.url());
        Self { letters, _server: server }
    }

    /// The letter about the message Sofía just wrote.
    async fn letter(&self, shop: &OpenChat) -> Letter {
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
async fn deliver(shop: &OpenChat, path: &str, headers: &str, (all, body): &Letter) -> u16 {
    let chosen = all.iter().filter(|(name, _)| name.as_str().contains(headers));
    let chosen: Vec<(&str, &str)> = chosen
        .filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length" | "connection"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    post(&shop.world.url(), &format!("/callbacks/chatwoot/{path}"), &chosen, body).await
}

#[tokio::test]
async fn a_lost_callback_is_found_by_reconcile_within_five_minutes() {
    let shop = OpenChat::open().await;
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
        let shop = OpenChat::open().await;
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
        let shop = OpenChat::open().await;
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
    let shop = OpenChat::open().await;
    shop.world.chatwoot.callbacks().lose(1);
    shop.says("primero").await;
    shop.says("después").await;
    assert_eq!(shop.ana.heard(), ["primero", "después"]);
}

#[tokio::test]
async fn a_late_callback_of_what_went_out_long_ago_sends_nothing() {
    let shop = OpenChat::open().await;
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
    let shop = OpenChat::open().await;
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
    let shop = OpenChat::open().await;
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
    let shop = OpenChat::open().await;
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
        deliver(&shop, &format!("{CHANNEL}/{PATH_SECRET}"), "", &forged).await,
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
    let shop = OpenChat::open().await;
    let path = format!("/callbacks/chatwoot/{CHANNEL}/{PATH_SECRET}");
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
    let shop = OpenChat::open().await;
    shop.world.chatwoot.callbacks().like_older_versions(true);
    let door = format!("{}/callbacks/chatwoot/{CHANNEL}", shop.world.url());
    // What signs is no path secret: paths stand in logs.
    let doors =
        ["", "/wrong", &format!("/{CALLBACK_SECRET}"), &format!("/{PATH_SECRET}")].map(|end| format!("{door}{end}"));
    for (url, heard) in doors.iter().zip([0, 0, 0, 4]) {
        shop.world.chatwoot.set_callback_url(14, url);
        shop.says("Buenas").await;
        // The last callback brings the others along.
        assert_eq!(shop.ana.heard().len(), heard, "{url}");
    }
}

#[tokio::test]
async fn a_channel_takes_no_unsigned_callback_unless_it_has_a_secret_for_the_path() {
    let shop = OpenChat::open().await;
    let post_to = async |path: &str| post(&shop.world.url(), &format!("/callbacks/chatwoot/{path}"), &[], b"{}").await;
    for secret in ["secret-of-the-workshop", "", "%20", PATH_SECRET, "null"] {
        let status = post_to(&format!("{COEXISTENCE_CHANNEL}/{secret}")).await;
        assert!([401, 404].contains(&status), "{secret}: {status}");
    }
    assert_eq!(post_to(&format!("{CHANNEL}/{PATH_SECRET}")).await, 400, "it is in, and cannot be read");
    // One that is the same as what signs opens nothing.
    let name = shop.world.stage.channel_secret(CHANNEL).unwrap();
    let value = json!({ "access_token": "t", "callback_secret": "same", "callback_path_secret": "same" });
    shop.world.stage.aws.put_secret(&name, &value.to_string());
    shop.world.pass(10 * MINUTE);
    assert_eq!(post_to(&format!("{CHANNEL}/same")).await, 401);
    assert_eq!(post_to(&format!("{CHANNEL}/{PATH_SECRET}")).await, 401);
}

#[tokio::test]
async fn the_secret_in_the_path_counts_beside_no_signature_of_any_kind() {
    let shop = OpenChat::open().await;
    let path = format!("/callbacks/chatwoot/{CHANNEL}/{PATH_SECRET}");
    let signatures: [&[(&str, &str)]; 9] = [
        &[("X-Chatwoot-Signature", "")],
        &[("X-CHATWOOT-SIGNATURE", "sha256=00")],
        &[("x-chatwoot-signature", "sha256=00"), ("x-chatwoot-signature", "sha256=00")],
        &[("X_Chatwoot_Signature", "sha256=00")],
        &[("X-Hub-Signature-256", "sha256=00")],
        &[("X-Signature", "")],
        &[("Signature-Input", "")],
        &[("X-Chatwoot-Timestamp", "1795190400")],
        &[("X-Chatwoot-Signature", "sha256=00"), ("X-Chatwoot-Timestamp", "1795190400")],
    ];
    for headers in signatures {
        assert_eq!(post(&shop.world.url(), &path, headers, b"{}").await, 401, "{headers:?}");
    }
    assert_eq!(post(&shop.world.url(), &path, &[], b"{}").await, 400, "it is in, and cannot be read");
}

#[tokio::test]
async fn who_guesses_at_the_door_costs_no_read_each_time() {
    let shop = OpenChat::open().await;
    shop.world.stage.aws.calls().record();
    let knock = async |path: &str, status: u16| {
        assert_eq!(
            post(&shop.world.url(), &format!("/callbacks/chatwoot/{path}"), &[], b"{}").await,
            status,
            "{path:.40}"
        );
        shop.world.stage.aws.calls().take().len()
    };
    let digits = "9".repeat(3_000);
    for odd in [digits.as_str(), &"9".repeat(33), "abc", "12a", "%20", "-1", "+1", "%00", "channel", "١٢٣"] {
        assert_eq!(knock(odd, 404).await, 0, "{odd:.40}");
        assert_eq!(knock(&format!("{odd}/{PATH_SECRET}"), 404).await, 0, "{odd:.40}");
    }
    shop.world.pass(MINUTE);
    assert_eq!(knock("999", 404).await, 1);
    for _ in 0..5 {
        assert_eq!(knock("999", 404).await, 0, "it was looked up just now");
    }
    for number in 0..1_500 {
        assert_eq!(
            knock(&format!("{}/{PATH_SECRET}", 7_000_000 + number), 404).await,
            0,
            "all channels were looked at"
        );
    }
    shop.world.pass(Duration::from_secs(5));
    assert_eq!(knock("999", 404).await, 1, "it may be ours by now");
    assert_eq!(knock("998", 404).await, 0);
    // A new channel is let in within the same seconds.
    let channels = store::Channels::new(crate::fixtures::table(&shop.world));
    let known = channels.get(&domain::PhoneNumberId::new(CHANNEL)).await.unwrap().unwrap();
    let new = domain::Channel { phone_number_id: domain::PhoneNumberId::new("998"), ..known.as_ref().clone() };
    channels.put(&new).await.unwrap();
    shop.world.pass(Duration::from_secs(5));
    assert_eq!(post(&shop.world.url(), "/callbacks/chatwoot/998", &[], b"{}").await, 401);
    // Whatever stands in the path behind one of ours.
    assert_eq!(post(&shop.world.url(), &format!("/callbacks/chatwoot/{CHANNEL}/{digits}"), &[], b"{}").await, 401);
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_is_not_asked_for_at_each_knock() {
    let shop = OpenChat::open().await;
    let reads = || {
        let calls = shop.world.stage.aws.calls().take();
        calls.iter().filter(|call| call.target.contains("GetSecretValue")).count()
    };
    let knock = async || post(&shop.world.url(), &format!("/callbacks/chatwoot/{CHANNEL}/guessed"), &[], b"{}").await;
    let broken = |text: &str| {
        let name = shop.world.stage.channel_secret(CHANNEL).unwrap();
        shop.world.stage.aws.put_secret(&name, text);
        shop.world.pass(10 * MINUTE);
    };
    shop.world.stage.aws.calls().record();
    broken("no JSON");
    assert_eq!(knock().await, 500);
    assert_eq!(reads(), 1);
    for _ in 0..5 {
        assert_eq!((knock().await, reads()), (500, 0));
    }
    // Mended, it is used within seconds.
    broken(&json!({ "access_token": "t", "callback_secret": "c" }).to_string());
    assert_eq!((knock().await, reads() <= 2), (401, true));
    for _ in 0..5 {
        assert_eq!((knock().await, reads()), (401, 0), "a failed check looks again once in a while only");
    }
}

#[tokio::test]
async fn a_callback_beyond_the_limit_is_refused_before_any_work() {
    let shop = OpenChat::open().await;
    shop.world.stage.aws.calls().record();
    let beyond = vec![b' '; 4 * 1024 * 1024 + 1];
    for path in [CHANNEL.to_owned(), format!("{CHANNEL}/{PATH_SECRET}"), "999".to_owned()] {
        assert_eq!(post(&shop.world.url(), &format!("/callbacks/chatwoot/{path}"), &[], &beyond).await, 413);
    }
    assert!(shop.world.stage.aws.calls().take().is_empty());
}

#[tokio::test]
async fn a_new_secret_needs_no_deploy_and_the_previous_one_is_good_for_a_while() {
    let shop = OpenChat::open().await;
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
    let shop = OpenChat::open().await;
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
