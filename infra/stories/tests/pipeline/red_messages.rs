//! Chatwoot marks failed whatever its callback failed for: the customer's own words, notes and echoes among it. One round of
//! `reconcile` takes the red away, and costs nothing where there is none.

use std::time::Duration;

use axum::{Router, http::StatusCode};
use simulator_wire::{Faults, Server};
use stories::CHANNEL;

use crate::{
    fixtures::{MINUTE, calls},
    open_chat::OpenChat,
};

/// What Sofía sees red.
fn red(shop: &OpenChat) -> Vec<String> {
    let messages = shop.world.chatwoot.messages(shop.conversation).into_iter();
    messages.filter(|message| message.status == "failed").map(|message| message.content).collect()
}

/// What becomes of callbacks.
#[derive(Clone, Copy, Debug)]
enum CallbackAnswer {
    Answers(u16),
    Refuses,
    IsSlow,
}

/// Where callbacks go from now on; nothing else is behind it.
async fn callbacks_meet(shop: &OpenChat, door: CallbackAnswer) -> Option<Server> {
    let chatwoot = &shop.world.chatwoot;
    let router = match door {
        CallbackAnswer::Refuses => {
            chatwoot.set_callback_url(14, "http://127.0.0.1:9/callbacks/chatwoot/1");
            return None;
        }
        CallbackAnswer::IsSlow => {
            chatwoot.callbacks().set_timeout(Duration::ZERO);
            Router::new().fallback(std::future::pending::<StatusCode>)
        }
        CallbackAnswer::Answers(status) => {
            let status = StatusCode::from_u16(status).unwrap();
            Router::new().fallback(async move || status)
        }
    };
    let server = Server::start("127.0.0.1:0".parse().unwrap(), router, Faults::default()).await.unwrap();
    chatwoot.set_callback_url(14, &server.url());
    Some(server)
}

/// The bridge takes callbacks again.
fn callbacks_arrive(shop: &OpenChat) {
    let chatwoot = &shop.world.chatwoot;
    chatwoot.callbacks().set_timeout(Duration::from_secs(5));
    chatwoot.set_callback_url(14, &format!("{}/callbacks/chatwoot/{CHANNEL}", shop.world.url()));
}

#[tokio::test]
async fn whatever_the_callback_failed_of_is_mended_in_one_round() {
    for door in
        [CallbackAnswer::Answers(500), CallbackAnswer::Answers(401), CallbackAnswer::Refuses, CallbackAnswer::IsSlow]
    {
        let shop = OpenChat::open().await;
        let _server = callbacks_meet(&shop, door).await;
        shop.ana.writes("¿precio?").await.unwrap();
        shop.world.work().await.unwrap();
        let note = shop.sofia.notes(shop.conversation, "pide precio").await;
        let said = shop.says("Con gusto").await;
        shop.world.calm().await;
        assert_eq!(red(&shop), ["¿precio?", "pide precio", "Con gusto"], "{door:?}");
        // For longer than a message is looked at again by itself, and with rounds all the while.
        for _ in 0..4 {
            shop.world.pass(5 * MINUTE);
            shop.reconciles().await;
            shop.world.calm().await;
        }
        callbacks_arrive(&shop);
        shop.world.pass(5 * MINUTE);
        let before = calls(&shop.world, "PATCH", "/messages/");
        shop.reconciles().await;
        assert_eq!(red(&shop), Vec::<String>::new(), "{door:?}");
        assert!(calls(&shop.world, "PATCH", "/messages/") - before <= 3, "one call for each");
        assert_eq!((shop.mark(note), shop.mark(said)), ("sent".to_owned(), "sent".to_owned()));
        assert_eq!(shop.ana.heard(), ["Con gusto"]);
    }
}

#[tokio::test]
async fn where_nothing_is_red_a_round_calls_what_it_called_before() {
    let shop = OpenChat::open().await;
    shop.sofia.notes(shop.conversation, "pide precio").await;
    shop.says("Con gusto").await;
    shop.world.pass(5 * MINUTE);
    let before = calls(&shop.world, "PATCH", "/messages/");
    let looked = calls(&shop.world, "GET", "/messages");
    shop.reconciles().await;
    assert_eq!(calls(&shop.world, "PATCH", "/messages/"), before);
    // The list, and that nothing stands before it.
    assert_eq!(calls(&shop.world, "GET", "/messages"), looked + 2);
    // What was mended is looked after for half an hour, and no longer.
    let server = callbacks_meet(&shop, CallbackAnswer::Answers(500)).await;
    shop.ana.writes("gracias").await.unwrap();
    shop.world.work().await.unwrap();
    drop(server);
    callbacks_arrive(&shop);
    for _ in 0..24 {
        shop.world.pass(5 * MINUTE);
        shop.reconciles().await;
    }
    assert_eq!(red(&shop), Vec::<String>::new());
    let looked = calls(&shop.world, "GET", "/messages");
    shop.world.pass(Duration::from_secs(300));
    shop.reconciles().await;
    assert_eq!(calls(&shop.world, "GET", "/messages"), looked);
}

#[tokio::test]
async fn while_callbacks_fail_for_a_day_red_is_taken_away_a_few_times_and_again_once_one_arrives() {
    let shop = OpenChat::open().await;
    let _server = callbacks_meet(&shop, CallbackAnswer::Answers(500)).await;
    let before = calls(&shop.world, "PATCH", "/messages/");
    shop.ana.writes("¿precio?").await.unwrap();
    shop.world.work().await.unwrap();
    for _ in 0..300 {
        shop.world.pass(5 * MINUTE);
        shop.reconciles().await;
    }
    let patched = calls(&shop.world, "PATCH", "/messages/") - before;
    assert!((1..=12).contains(&patched), "{patched}");
    callbacks_arrive(&shop);
    // Written behind the outage; what is red by then is not yet a day old.
    let _server = callbacks_meet(&shop, CallbackAnswer::Answers(500)).await;
    shop.ana.writes("¿y a plazos?").await.unwrap();
    shop.world.work().await.unwrap();
    for _ in 0..20 {
        shop.world.pass(5 * MINUTE);
        shop.reconciles().await;
    }
    assert_eq!(red(&shop).last().map(String::as_str), Some("¿y a plazos?"));
    callbacks_arrive(&shop);
    shop.says("Con gusto").await;
    shop.world.calm().await;
    assert!(!red(&shop).contains(&"¿y a plazos?".to_owned()), "{:?}", red(&shop));
}

#[tokio::test]
async fn red_of_a_long_outage_is_mended_though_nobody_writes_after_it() {
    for (outage, step) in [(8, 5 * MINUTE), (100, 10 * MINUTE)] {
        let shop = OpenChat::open().await;
        let server = callbacks_meet(&shop, CallbackAnswer::Answers(500)).await;
        shop.ana.writes("¿precio?").await.unwrap();
        shop.world.work().await.unwrap();
        shop.says("Con gusto").await;
        shop.world.calm().await;
        for _ in 0..outage {
            shop.world.pass(step);
            shop.reconciles().await;
            shop.world.calm().await;
        }
        assert_eq!(red(&shop), ["¿precio?", "Con gusto"], "{outage}");
        drop(server);
        callbacks_arrive(&shop);
        // At most as long again, and no longer than a day.
        for _ in 0..outage + 8 {
            shop.world.pass(step);
            shop.reconciles().await;
            shop.world.calm().await;
        }
        assert_eq!(red(&shop), Vec::<String>::new(), "{outage}");
        assert_eq!(shop.ana.heard(), ["Con gusto"]);
    }
}

/// From which message on the conversation was last listed.
fn listed_after(shop: &OpenChat) -> i64 {
    let requests = shop.world.chatwoot.requests();
    let mut listed = requests.iter().filter(|request| request.method == "GET").filter_map(|request| {
        request.path.split_once("/messages?after=").map(|(_, after)| after.split('&').next().unwrap().parse().unwrap())
    });
    listed.next_back().unwrap()
}

#[tokio::test]
async fn red_that_has_to_wait_costs_other_looks_nothing_and_is_mended_all_the_same() {
    let shop = OpenChat::open().await;
    let _server = callbacks_meet(&shop, CallbackAnswer::Answers(500)).await;
    for text in ["¿precio?", "¿a plazos?", "¿hola?"] {
        shop.ana.writes(text).await.unwrap();
        shop.world.work().await.unwrap();
    }
    let red_from =
        shop.world.chatwoot.messages(shop.conversation).iter().find(|one| one.content == "¿precio?").unwrap().id;
    for _ in 0..8 {
        shop.world.pass(5 * MINUTE);
        shop.reconciles().await;
    }
    assert_eq!(red(&shop).len(), 3);
    // A look of its own, before the next round is due: it lists what is new, and marks nothing.
    shop.world.pass(10 * MINUTE);
    shop.ana.writes("¿siguen ahí?").await.unwrap();
    shop.world.work().await.unwrap();
    let before = calls(&shop.world, "PATCH", "/messages/");
    shop.reconciles().await;
    assert!(listed_after(&shop) >= red_from, "{} is before {red_from}", listed_after(&shop));
    assert_eq!(calls(&shop.world, "PATCH", "/messages/"), before);
    assert_eq!(red(&shop).len(), 4);
    callbacks_arrive(&shop);
    shop.says("Con gusto").await;
    shop.world.calm().await;
    assert_eq!(red(&shop), Vec::<String>::new());
    // Seen to be well, they are looked at no more.
    for _ in 0..8 {
        shop.world.pass(5 * MINUTE);
        shop.reconciles().await;
    }
    let said = shop.says("¿Algo más?").await;
    assert!(listed_after(&shop) >= said - 3);
}

#[tokio::test]
async fn red_that_chatwoot_does_not_take_back_is_tried_once() {
    let shop = OpenChat::open().await;
    let server = callbacks_meet(&shop, CallbackAnswer::Answers(500)).await;
    shop.ana.writes("¿precio?").await.unwrap();
    shop.world.work().await.unwrap();
    let theirs = shop.world.chatwoot.messages(shop.conversation).last().unwrap().id;
    let said = shop.says("Con gusto").await;
    shop.world.calm().await;
    drop(server);
    callbacks_arrive(&shop);
    shop.world.chatwoot.let_failed_stay(true);
    for n in 0..40 {
        shop.world.pass(Duration::from_secs(20));
        shop.says(&format!("Le cuento {n}")).await;
        shop.reconciles().await;
    }
    assert_eq!(red(&shop), ["¿precio?", "Con gusto"]);
    assert_eq!(calls(&shop.world, "PATCH", &format!("/messages/{theirs}")), 1);
    assert!(calls(&shop.world, "PATCH", &format!("/messages/{said}")) <= 3);
    assert_eq!(shop.ana.heard().len(), 41);
}

#[tokio::test]
async fn the_callback_that_tells_of_the_red_has_it_mended_at_once_and_once() {
    for settled in [false, true] {
        let shop = OpenChat::open().await;
        let chatwoot = &shop.world.chatwoot;
        let callbacks = chatwoot.callbacks().clone();
        // The callback of the note fails, and what that makes Chatwoot tell waits.
        callbacks.hold();
        let holds = callbacks.clone();
        let fails = Router::new().fallback(async move || {
            holds.hold();
            StatusCode::INTERNAL_SERVER_ERROR
        });
        let server = Server::start("127.0.0.1:0".parse().unwrap(), fails, Faults::default()).await.unwrap();
        shop.sofia.notes(shop.conversation, "pide precio").await;
        if settled {
            for _ in 0..4 {
                shop.world.pass(5 * MINUTE);
                shop.world.reconcile().await.unwrap();
                shop.world.work().await.unwrap();
            }
        }
        chatwoot.set_callback_url(14, &server.url());
        callbacks.release();
        for _ in 0..1_000 {
            if !red(&shop).is_empty() {
                break;
            }
            tokio::task::yield_now().await;
            chatwoot.settled().await;
        }
        assert_eq!(red(&shop), ["pide precio"]);
        callbacks_arrive(&shop);
        let patched = calls(&shop.world, "PATCH", "/messages/");
        callbacks.release();
        shop.world.calm().await;
        shop.world.work().await.unwrap();
        assert_eq!((red(&shop), settled), (Vec::<String>::new(), settled));
        assert_eq!(calls(&shop.world, "PATCH", "/messages/") - patched, 1);
        // Its own mark comes back, and is no reason for another look.
        let listed = calls(&shop.world, "GET", "/messages");
        shop.world.calm().await;
        shop.world.work().await.unwrap();
        assert_eq!(calls(&shop.world, "GET", "/messages"), listed);
    }
}
