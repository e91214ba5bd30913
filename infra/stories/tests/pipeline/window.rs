//! The 24 hours in which an agent may write freely: counted from the customer's own time, to the second, for each part.

use std::time::Duration;

use domain::Clock as _;
use serde_json::json;
use simulator_wire::Fault;

use crate::{
    fixtures::{HOUR, MINUTE, body, post, profile, text},
    open_chat::{OpenChat, at, file, refuses},
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);
const CLOSED: &str = "No entregado: pasaron más de 24 h desde su último mensaje; usa una plantilla.";

#[tokio::test]
async fn it_is_open_to_the_last_second_and_then_no_more() {
    let shop = OpenChat::open().await;
    shop.world.pass(Duration::from_secs(86_399));
    let in_time = shop.says("a tiempo").await;
    shop.world.pass(SECOND);
    let too_late = shop.says("tarde").await;
    assert_eq!((shop.mark(in_time).as_str(), shop.mark(too_late).as_str()), ("sent", CLOSED));
    assert_eq!(shop.ana.heard(), ["a tiempo"]);
    assert_eq!(shop.world.meta.requests().len(), 1, "Meta is not even asked");
}

#[tokio::test]
async fn it_is_counted_from_when_the_customer_wrote_and_not_from_when_meta_brought_it() {
    let shop = OpenChat::open().await;
    shop.world.pass(30 * HOUR);
    let now = shop.world.clock.now();
    // Written 23 h and 59 minutes ago, brought now; and one that claims to be from tomorrow.
    let late = text("5215555550123", "wamid.late", now.as_secs() - 86_340, "sigo aquí");
    let contacts = json!([profile("Ana", "5215555550123")]);
    assert_eq!(post(&shop.world, &body("messages", &json!({"contacts": contacts, "messages": [late]}))).await, 200);
    shop.world.work().await.unwrap();
    assert_eq!(shop.world.agent_reads("Ana"), ["Ana: hola", "Ana: sigo aquí"]);
    shop.world.pass(MINUTE);
    let message = shop.says("Buenas").await;
    assert_eq!(shop.mark(message), CLOSED);
    let ahead = text("5215555550123", "wamid.ahead", (now + 20 * HOUR).as_secs(), "¿hola?");
    assert_eq!(post(&shop.world, &body("messages", &json!({"contacts": contacts, "messages": [ahead]}))).await, 200);
    shop.world.work().await.unwrap();
    shop.world.pass(DAY);
    let message = shop.says("Buenas").await;
    assert_eq!(shop.mark(message), CLOSED, "a clock that is ahead opens it no longer than a day");
    assert!(shop.world.meta.requests().is_empty());
}

#[tokio::test]
async fn a_part_that_comes_too_late_is_not_sent_though_the_one_before_it_was() {
    let shop = OpenChat::open().await;
    shop.world.pass(Duration::from_secs(86_220));
    shop.world.meta.faults().add(Fault { skip: 1, ..at("/messages", refuses(503, 131_016), None) });
    let files = vec![file("a.png", "image/png", b"a"), file("b.pdf", "application/pdf", b"b")];
    let message = shop.sofia.sends_files(shop.conversation, None, files).await;
    shop.world.work().await.unwrap();
    for _ in 0..6 {
        shop.later(MINUTE).await;
    }
    assert_eq!(shop.mark(message), format!("Salieron 1 de 2 partes. {CLOSED}"));
    // Retry sends only the second, once the customer has written.
    shop.world.meta.faults().clear();
    shop.ana.writes("aquí sigo").await.unwrap();
    shop.world.work().await.unwrap();
    shop.retries(message).await;
    let got: Vec<_> = shop.ana.phone().into_iter().filter_map(|bubble| bubble.bytes).collect();
    assert_eq!((got.len(), shop.mark(message).as_str()), (2, "sent"));
}

#[tokio::test]
async fn an_advert_makes_templates_free_for_three_days_but_keeps_no_window_open() {
    let advert = json!({"type": "text", "text": {"body": "info"}, "referral": {"source_type": "ad", "source_id": "120",
        "source_url": "https://fb.me/x", "headline": "Estrena hoy", "ctwa_clid": "c"}});
    let shop = OpenChat::open().await;
    shop.ana.sends(advert).await.unwrap();
    shop.world.work().await.unwrap();
    // Nobody is free of charge who was not answered within a day.
    shop.world.pass(DAY);
    let message = shop.says("Buenas").await;
    assert_eq!(shop.mark(message), CLOSED);

    shop.ana
        .sends(json!({"type": "text", "text": {"body": "¿y?"}, "referral": {"source_type": "ad", "source_id": "121",
        "source_url": "https://fb.me/y", "headline": "Estrena hoy", "ctwa_clid": "d"}}))
        .await
        .unwrap();
    shop.world.work().await.unwrap();
    shop.world.pass(HOUR);
    shop.says("Buenas").await;
    assert_eq!(shop.ana.heard(), ["Buenas"]);
    shop.world.pass(71 * HOUR);
    let message = shop.says("¿sigue interesada?").await;
    let free = format!("{CLOSED} No se cobra: llegó por un anuncio y fue atendido hace menos de 72 h.");
    assert_eq!(shop.mark(message), free);
    shop.world.pass(HOUR);
    let message = shop.says("¿sigue interesada?").await;
    assert_eq!(shop.mark(message), CLOSED);
    assert_eq!(shop.ana.heard().len(), 1);
}
