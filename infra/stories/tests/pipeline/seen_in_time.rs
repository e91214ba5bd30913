//! An answer is late if nobody heard of it for an hour, and never because Chatwoot did not show it.

use std::time::Duration;

use simulator_wire::{Effect, Fault};

use crate::{
    fixtures::{HOUR, MINUTE, always, answer},
    open_chat::OpenChat,
};

fn away(effect: Effect) -> Fault {
    Fault { method: None, ..always("", "/api/v1", effect) }
}

/// Chatwoot's API is away for two hours; agents go on writing.
async fn hours_without_the_api(shop: &OpenChat, rounds: bool) {
    for _ in 0..24 {
        shop.world.later(5 * MINUTE).await.unwrap();
        if rounds {
            shop.world.reconcile().await.unwrap();
            shop.world.work().await.unwrap();
        }
    }
    assert!(shop.ana.heard().is_empty());
    shop.world.chatwoot.faults().clear();
}

async fn everything_goes(shop: &OpenChat, texts: &[&str]) {
    shop.reconciles().await;
    for _ in 0..20 {
        shop.world.later(MINUTE).await.unwrap();
    }
    let seen = shop.world.chatwoot.messages(shop.conversation).into_iter().map(|message| message.external_error);
    assert_eq!(shop.ana.heard(), texts, "{:?}", seen.collect::<Vec<_>>());
}

#[tokio::test]
async fn an_outage_of_chatwoot_s_api_makes_no_answer_late() {
    for outage in [answer(503), answer(500), answer(401)] {
        let shop = OpenChat::open().await;
        shop.world.chatwoot.faults().add(away(outage));
        for text in ["uno", "dos", "tres"] {
            shop.sofia.replies(shop.conversation, text).await;
            shop.world.pass(Duration::from_secs(1));
        }
        hours_without_the_api(&shop, false).await;
        everything_goes(&shop, &["uno", "dos", "tres"]).await;
    }
}

#[tokio::test]
async fn an_answer_whose_callback_was_lost_is_seen_by_the_hint_that_waits_before_it() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.faults().add(away(answer(503)));
    shop.sofia.replies(shop.conversation, "uno").await;
    shop.world.work().await.unwrap();
    shop.world.later(MINUTE).await.unwrap();
    shop.world.chatwoot.callbacks().lose(1);
    shop.sofia.replies(shop.conversation, "dos").await;
    hours_without_the_api(&shop, false).await;
    everything_goes(&shop, &["uno", "dos"]).await;
}

#[tokio::test]
async fn an_answer_nobody_told_of_while_the_list_was_away_is_found_in_time_by_the_rounds() {
    let shop = OpenChat::open().await;
    shop.world.reconcile().await.unwrap();
    shop.world.work().await.unwrap();
    // Nothing was said for so long that only Chatwoot's list could show the conversation.
    shop.world.later(HOUR).await.unwrap();
    shop.world.reconcile().await.unwrap();
    shop.world.work().await.unwrap();
    shop.world.chatwoot.faults().add(away(answer(503)));
    shop.world.chatwoot.callbacks().lose(1);
    shop.sofia.replies(shop.conversation, "uno").await;
    hours_without_the_api(&shop, true).await;
    everything_goes(&shop, &["uno"]).await;
}

#[tokio::test]
async fn an_answer_nobody_heard_of_for_an_hour_is_late_as_ever() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.callbacks().lose(1);
    let message = shop.sofia.replies(shop.conversation, "uno").await;
    shop.world.later(HOUR + MINUTE).await.unwrap();
    shop.reconciles().await;
    assert_eq!(shop.ana.heard(), Vec::<String>::new());
    assert!(shop.mark(message).contains("60 min") || shop.message(message).status == "failed");
}
