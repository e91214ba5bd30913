//! What claiming an item says of earlier attempts on it.

use domain::InboundTask;

use super::*;
use crate::tests::{Bench, message, text};

#[tokio::test]
async fn an_item_that_crashes_the_function_again_and_again_is_dead_lettered() {
    let bench = Bench::start().await;
    let message = message(text("hola"));
    let claims = &bench.handler.clients.claims;
    // Each of these took the claim and was never heard of again.
    for _ in 0..MAX_CRASHES {
        claims.take(&message.item, "message-1").await.unwrap();
    }
    let task = InboundTask::MessageV1(Box::new(message));
    assert!(bench.receive(&task, bench.now(), 6).await);
    assert_eq!(bench.dead_letters().await, ["crashes_the_function"]);
    assert!(bench.chatwoot.contacts().is_empty());
}

#[tokio::test]
async fn an_attempt_that_crashed_may_have_written_and_is_not_repeated() {
    let bench = Bench::start().await;
    let message = message(text("hola"));
    let task = InboundTask::MessageV1(Box::new(message.clone()));
    assert!(bench.receive(&task, bench.now(), 1).await);
    let written = bench.chatwoot.messages(bench.chatwoot.conversation_of("Ana").unwrap());
    // The first attempt wrote it and died before it closed the claim.
    let claims = &bench.handler.clients.claims;
    let again = domain::Message { item: KeyedHash::new("item-2"), ..message };
    claims.take(&again.item, "message-1").await.unwrap();
    let source = domain::Message { id: again.id.clone(), ..again };
    assert!(bench.receive(&InboundTask::MessageV1(Box::new(source)), bench.now(), 2).await);
    assert_eq!(bench.chatwoot.messages(bench.chatwoot.conversation_of("Ana").unwrap()).len(), written.len());
}

#[tokio::test]
async fn an_item_is_written_once_however_often_its_task_comes() {
    let bench = Bench::start().await;
    let task = InboundTask::MessageV1(Box::new(message(text("hola"))));
    for receives in 1..4 {
        assert!(bench.receive(&task, bench.now(), receives).await);
    }
    assert_eq!(bench.chatwoot.messages(bench.chatwoot.conversation_of("Ana").unwrap()).len(), 1);
}

#[tokio::test]
async fn an_item_in_another_worker_s_hands_waits() {
    let bench = Bench::start().await;
    let message = message(text("hola"));
    bench.handler.clients.claims.take(&message.item, "another-message").await.unwrap();
    assert!(!bench.receive(&InboundTask::MessageV1(Box::new(message)), bench.now(), 1).await);
    assert!(bench.chatwoot.contacts().is_empty());
}

#[tokio::test]
async fn a_message_for_a_number_that_is_not_ours_is_dead_lettered() {
    let bench = Bench::start().await;
    let channel = domain::PhoneNumberId::new("999");
    let task = InboundTask::MessageV1(Box::new(domain::Message { channel, ..message(text("hola")) }));
    assert!(bench.receive(&task, bench.now(), 1).await);
    assert_eq!(bench.dead_letters().await, ["unknown_channel"]);
}
