//! What an erased person's tombstones let in, hold back and drop.

use std::collections::BTreeSet;

use domain::{Delivery, Erasure, erasure::RequestSource};
use store::DataSubject;

use super::*;
use crate::tests::{Bench, ana, message, text};

const DAY: Duration = Duration::from_secs(86_400);

/// Ana is erased up to now; `sealed` while that is underway.
async fn erased(bench: &Bench, sealed: bool) -> (ConfirmationCode, Erasure, DataSubject) {
    let clients = &bench.handler.clients;
    let now = bench.now();
    let code = ConfirmationCode::mint();
    let deadlines = bench.handler.requests.deadlines();
    let erasure = Erasure::open(code.clone(), RequestSource::Operator, now, now, deadlines);
    let aliases: BTreeSet<KeyedHash<Person>> =
        ana().aliases(&clients.key).into_iter().map(|alias| alias.subject).collect();
    let subject = DataSubject { aliases, ..DataSubject::default() };
    clients.erasures.open(&erasure, &store::Pointed::new(), &subject).await.unwrap().unwrap();
    clients.tombstones.insert_all(&erasure, &subject, sealed).await.unwrap();
    clients.erasures.await_drain_markers(&code, QUEUE_NAME, &["group-1".into()]).await.unwrap();
    (code, erasure, subject)
}

fn sent(at: Timestamp) -> InboundTask {
    InboundTask::MessageV1(Box::new(Message { sent_at: at, ..message(text("hola")) }))
}

#[tokio::test]
async fn what_was_sent_before_the_erasure_is_dropped_and_counted() {
    let bench = Bench::start().await;
    let (code, ..) = erased(&bench, false).await;
    let now = bench.now();
    assert!(bench.receive(&sent(now - DAY), now, 1).await);
    assert_eq!(bench.handler.clients.erasures.dropped(&code).await.unwrap(), 1);
    assert!(bench.chatwoot.contacts().is_empty() && bench.dead_letters().await.is_empty());
}

#[tokio::test]
async fn what_is_newer_waits_for_the_end_and_then_comes_in() {
    let bench = Bench::start().await;
    let (code, erasure, subject) = erased(&bench, true).await;
    let newer = sent(bench.now() + DAY);
    assert!(!bench.receive(&newer, bench.now(), 1).await);
    assert!(bench.chatwoot.contacts().is_empty());
    let erasures = &bench.handler.clients.erasures;
    assert!(erasures.awaited(&code, QUEUE_NAME).await.unwrap().is_empty(), "nothing older is in its group");
    bench.handler.clients.tombstones.insert_all(&erasure, &subject, false).await.unwrap();
    assert!(bench.receive(&newer, bench.now(), 2).await);
    assert_eq!(bench.chatwoot.contacts().len(), 1);
}

#[tokio::test]
async fn what_waits_longer_than_a_queue_keeps_it_is_dead_lettered() {
    let bench = Bench::start().await;
    erased(&bench, true).await;
    let newer = sent(bench.now() + DAY);
    assert!(bench.receive(&newer, bench.now() - 13 * DAY, 900).await);
    assert_eq!(bench.dead_letters().await, [RefusalReason::ErasureTakesTooLong.word()]);
    assert!(bench.chatwoot.contacts().is_empty());
}

#[tokio::test]
async fn a_status_neither_waits_nor_comes_in() {
    let bench = Bench::start().await;
    let (code, ..) = erased(&bench, true).await;
    let hola = message(text("hola"));
    let status = StatusUpdate {
        channel: hola.channel,
        item: hola.item,
        id: domain::Wamid::new("wamid.of-an-answer"),
        delivery: Delivery::Read,
        at: bench.now() + DAY,
        customer: ana(),
        reference: None,
        pricing: None,
    };
    assert!(bench.receive(&InboundTask::StatusV1(status), bench.now(), 1).await);
    assert_eq!(bench.handler.clients.erasures.dropped(&code).await.unwrap(), 1);
}

#[tokio::test]
async fn a_group_is_not_held_back_for_one_who_speaks_there() {
    let bench = Bench::start().await;
    let (code, ..) = erased(&bench, true).await;
    let mut spoken = message(text("hola"));
    spoken.speaker = spoken.customer.phone.take();
    spoken.customer.group = Some(domain::GroupId::new("group-of-riders"));
    let old = Message { sent_at: bench.now() - DAY, ..spoken.clone() };
    assert!(bench.receive(&InboundTask::MessageV1(Box::new(old)), bench.now(), 1).await);
    assert_eq!(bench.handler.clients.erasures.dropped(&code).await.unwrap(), 1);
    let new = Message { sent_at: bench.now() + DAY, item: KeyedHash::new("item-2"), ..spoken };
    assert!(bench.receive(&InboundTask::MessageV1(Box::new(new)), bench.now(), 1).await);
    assert_eq!(bench.chatwoot.contacts().len(), 1);
}

#[tokio::test]
async fn of_a_notice_only_what_names_the_person_is_cut_out() {
    let bench = Bench::start().await;
    erased(&bench, false).await;
    let raw = r#"{"entry":[{"from":"5215555550123"},{"from":"5215555550124"}]}"#;
    let notice = AccountNotice {
        item: KeyedHash::new("item-1"),
        channel: None,
        waba: None,
        field: "history".to_owned(),
        about: NoticeSubject::UnknownField,
        // The phone app's history is old by nature, whenever it comes.
        at: Some(bench.now() + DAY),
        raw: raw.to_owned(),
    };
    assert!(bench.receive(&InboundTask::NoticeV1(notice), bench.now(), 1).await);
    let kept = bench.bridge.receive("inbound-dead-letters").await;
    assert_eq!(kept.len(), 1);
    assert!(kept[0].body.contains("5215555550124") && !kept[0].body.contains("5215555550123"), "{}", kept[0].body);
}
