//! The Retry button: what it does in every state a message can be in, what settles a send nobody heard back from, and what
//! happens when the one callback of a Retry is lost.

use std::time::Duration;

use simulator_wire::Effect;

use crate::open_chat::{OpenChat, UNCONFIRMED, at, file, proxy_page, refuses};

const DAY: Duration = Duration::from_secs(24 * 3600);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn retry_after_the_window_closed_says_so_again_and_sends_once_the_customer_has_written() {
    let shop = OpenChat::open().await;
    shop.world.pass(DAY);
    let message = shop.says("¿sigue interesada?").await;
    let closed = "No entregado: pasaron más de 24 h desde su último mensaje; usa una plantilla.";
    assert_eq!(shop.mark(message), closed);

    shop.retries(message).await;
    assert_eq!(shop.mark(message), closed);
    assert!(shop.world.meta.requests().is_empty());

    shop.ana.writes("aquí sigo").await.unwrap();
    shop.world.work().await.unwrap();
    assert!(shop.ana.heard().is_empty(), "only the agent can say that it still holds");
    shop.retries(message).await;
    assert_eq!(shop.ana.heard(), ["¿sigue interesada?"]);
    assert_eq!(shop.mark(message), "sent");
}

#[tokio::test]
async fn what_meta_refused_is_sent_by_retry() {
    let shop = OpenChat::open().await;
    shop.meta_will(refuses(400, 131_026), 1);
    let message = shop.says("Buenas").await;
    assert!(
        shop.mark(message).starts_with("No entregado: no se pudo entregar a este número"),
        "{}",
        shop.mark(message)
    );
    shop.later(DAY / 2).await;
    assert!(shop.ana.heard().is_empty(), "nothing is sent again by itself");
    shop.retries(message).await;
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"));
}

#[tokio::test]
async fn what_meta_took_and_then_could_not_deliver_is_sent_by_retry() {
    let shop = OpenChat::open().await;
    let message = shop.says("Buenas").await;
    let wamid = shop.ana.phone().last().unwrap().wamid.clone();
    shop.ana.status(&wamid, "failed", Some(serde_json::json!([{ "code": 131_026, "title": "Undeliverable" }]))).await;
    shop.world.work().await.unwrap();
    assert!(shop.mark(message).starts_with("No entregado: "), "{}", shop.mark(message));
    shop.retries(message).await;
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"));
}

#[tokio::test]
async fn retry_of_a_message_that_is_out_sends_nothing() {
    let shop = OpenChat::open().await;
    let message = shop.says("Buenas").await;
    shop.retries(message).await;
    shop.ana.reads_all().await;
    shop.world.work().await.unwrap();
    shop.retries(message).await;
    shop.reconciles().await;
    assert_eq!(shop.ana.heard(), ["Buenas"]);
    assert_eq!(shop.world.meta.requests().len(), 1);
}

#[tokio::test]
async fn retry_of_a_message_that_waits_for_meta_does_not_double_it() {
    let shop = OpenChat::open().await;
    shop.meta_will(refuses(500, 131_000), 4);
    let message = shop.says("Buenas").await;
    assert_eq!(shop.mark(message), "sent", "it still waits, and nothing is wrong yet");
    shop.retries(message).await;
    for _ in 0..6 {
        shop.later(MINUTE).await;
    }
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"));
}

#[tokio::test]
async fn retry_pressed_twice_sends_once() {
    let shop = OpenChat::open().await;
    shop.meta_will(Effect::DropBefore, 1);
    let message = shop.says("Buenas").await;
    shop.world.pass(Duration::from_secs(1));
    shop.sofia.retries(shop.conversation, message).await;
    shop.sofia.retries(shop.conversation, message).await;
    shop.world.work().await.unwrap();
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"));
}

#[tokio::test]
async fn an_unconfirmed_message_is_never_repeated_by_itself() {
    for effect in [Effect::DropBefore, Effect::DropAfter, proxy_page(502), proxy_page(200)] {
        let shop = OpenChat::open().await;
        let arrived = usize::from(effect == Effect::DropAfter);
        shop.meta_will(effect.clone(), 1);
        let message = shop.says("Buenas").await;
        assert!(shop.mark(message).starts_with(UNCONFIRMED), "{effect:?}: {}", shop.mark(message));
        for _ in 0..30 {
            shop.later(Duration::from_secs(3600)).await;
            shop.reconciles().await;
        }
        assert_eq!(shop.ana.heard().len(), arrived, "{effect:?}");
        assert!(shop.mark(message).starts_with(UNCONFIRMED), "{effect:?}");
    }
}

#[tokio::test]
async fn a_status_with_our_reference_settles_what_was_unconfirmed() {
    for (status, mark) in [("sent", "sent"), ("delivered", "delivered"), ("read", "read")] {
        let shop = OpenChat::open().await;
        shop.meta_will(Effect::DropAfter, 1);
        let message = shop.says("Buenas").await;
        assert!(shop.mark(message).starts_with(UNCONFIRMED));
        let wamid = shop.ana.phone().last().unwrap().wamid.clone();
        shop.ana.status(&wamid, status, None).await;
        shop.world.work().await.unwrap();
        assert_eq!(shop.mark(message), mark);
        assert_eq!(shop.message(message).external_error, None, "the red words are gone");
        shop.reconciles().await;
        assert_eq!(shop.ana.heard(), ["Buenas"]);
    }
}

#[tokio::test]
async fn a_failed_status_with_our_reference_says_why() {
    let shop = OpenChat::open().await;
    shop.meta_will(Effect::DropAfter, 1);
    let message = shop.says("Buenas").await;
    let wamid = shop.ana.phone().last().unwrap().wamid.clone();
    shop.ana.status(&wamid, "failed", Some(serde_json::json!([{ "code": 131_026, "title": "Undeliverable" }]))).await;
    shop.world.work().await.unwrap();
    assert!(shop.mark(message).starts_with("No entregado: no se pudo entregar"), "{}", shop.mark(message));
}

#[tokio::test]
async fn the_agent_may_send_an_unconfirmed_message_again_and_late_news_of_the_first_changes_nothing() {
    let shop = OpenChat::open().await;
    shop.meta_will(Effect::DropAfter, 1);
    let message = shop.says("Buenas").await;
    shop.retries(message).await;
    assert_eq!(shop.ana.heard(), ["Buenas", "Buenas"], "the agent was told that it may have gone out");
    assert_eq!(shop.mark(message), "sent");
    let [first, second] = <[_; 2]>::try_from(shop.ana.phone().split_off(1)).unwrap();
    shop.ana.status(&first.wamid, "read", None).await;
    shop.world.work().await.unwrap();
    assert_eq!(shop.mark(message), "sent", "the second is not read yet");
    shop.ana.status(&second.wamid, "delivered", None).await;
    shop.world.work().await.unwrap();
    assert_eq!(shop.mark(message), "delivered");
}

#[tokio::test]
async fn a_lost_retry_is_found_by_reconcile() {
    let shop = OpenChat::open().await;
    shop.meta_will(refuses(400, 131_026), 1);
    let message = shop.says("Buenas").await;
    shop.later(Duration::from_secs(7200)).await;
    shop.reconciles().await;
    assert!(shop.ana.heard().is_empty());

    // Both saves of the button, and a round that ended long before: Chatwoot's list shows no activity for a Retry.
    shop.world.chatwoot.callbacks().lose(2);
    shop.retries(message).await;
    shop.later(3 * MINUTE).await;
    assert!(shop.ana.heard().is_empty(), "the callbacks were lost");
    shop.reconciles().await;
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"));
}

#[tokio::test]
async fn a_lost_retry_of_a_later_failure_is_found_by_reconcile() {
    let shop = OpenChat::open().await;
    let message = shop.says("Buenas").await;
    shop.later(Duration::from_secs(7200)).await;
    // By now the message needs no more looking at.
    shop.reconciles().await;
    let wamid = shop.ana.phone().last().unwrap().wamid.clone();
    shop.ana.status(&wamid, "failed", None).await;
    shop.world.work().await.unwrap();
    shop.later(Duration::from_secs(7200)).await;
    shop.reconciles().await;
    shop.world.chatwoot.callbacks().lose(2);
    shop.retries(message).await;
    shop.reconciles().await;
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"));
}

#[tokio::test]
async fn retry_sends_only_the_parts_that_are_missing() {
    let shop = OpenChat::open().await;
    let files = [("a.png", "image/png"), ("b.pdf", "application/pdf"), ("c.png", "image/png")];
    let files = files.map(|(name, mime)| file(name, mime, name.as_bytes())).to_vec();
    shop.world.meta.faults().add(simulator_wire::Fault { skip: 1, ..at("/messages", refuses(400, 131_053), Some(1)) });
    let message = shop.sofia.sends_files(shop.conversation, Some("Las fotos"), files).await;
    shop.world.work().await.unwrap();
    let mark = shop.mark(message);
    assert!(mark.starts_with("Salieron 2 de 3 partes. No entregado: ") && mark.ends_with(" (b.pdf)"), "{mark}");

    shop.retries(message).await;
    let names = |bubble: simulator_meta::Bubble| String::from_utf8(bubble.bytes.unwrap().to_vec()).unwrap();
    let seen: Vec<String> = shop.ana.received().into_iter().map(names).collect();
    assert_eq!(seen, ["a.png", "c.png", "b.pdf"]);
    assert_eq!(shop.mark(message), "sent");
}

#[tokio::test]
async fn an_unconfirmed_part_holds_up_the_next_one_until_a_status_settles_it() {
    let shop = OpenChat::open().await;
    shop.meta_will(Effect::DropAfter, 1);
    let files = vec![file("a.png", "image/png", b"a"), file("b.pdf", "application/pdf", b"b")];
    let message = shop.sofia.sends_files(shop.conversation, None, files).await;
    shop.world.work().await.unwrap();
    assert!(shop.mark(message).starts_with(UNCONFIRMED), "{}", shop.mark(message));
    assert_eq!(shop.ana.heard().len(), 1);
    let wamid = shop.ana.phone().last().unwrap().wamid.clone();
    shop.ana.status(&wamid, "delivered", None).await;
    shop.world.work().await.unwrap();
    assert_eq!((shop.ana.heard().len(), shop.mark(message).as_str()), (2, "sent"));
}

#[tokio::test]
async fn retry_works_as_newer_versions_of_chatwoot_save_it_and_keeps_the_quote() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.retry_like_newer_versions(true);
    let question = shop.world.chatwoot.messages(shop.conversation)[0].id;
    shop.meta_will(refuses(400, 131_026), 1);
    let message = shop.sofia.quotes(shop.conversation, question, "Hola, Ana").await;
    shop.world.work().await.unwrap();
    shop.retries(message).await;
    let phone = shop.ana.phone();
    assert_eq!(phone[1].text, "Hola, Ana");
    assert_eq!(phone[1].quoted.as_ref(), Some(&phone[0].wamid));
}
