//! Deduplication: for five minutes, whatever became of the first message.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName::{ContentBasedDeduplication, DeduplicationScope, FifoThroughputLimit};

use crate::stage::{Stage, bodies};

pub(crate) async fn a_repeat_is_taken_but_not_delivered_even_after_a_delete(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    let first = stage.send_as(&queue, "a", "a1", "once").await;
    assert_eq!(stage.send_as(&queue, "a", "other words", "once").await, first, "a repeat is answered as the first was");
    let a1 = stage.receive(&queue, 10).await;
    assert_eq!(bodies(&a1), ["a1"]);
    stage.delete(&queue, &a1[0]).await;
    stage.send_as(&queue, "b", "b1", "once").await;
    assert_eq!(stage.peek(&queue).await, [""; 0], "the scope is the queue, and a delete does not end it");
}

pub(crate) async fn a_repeat_is_forgotten_after_five_minutes(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    stage.send_as(&queue, "a", "first", "once").await;
    let first = stage.receive(&queue, 1).await.remove(0);
    stage.delete(&queue, &first).await;
    stage.advance(Duration::from_secs(240)).await;
    stage.send_as(&queue, "a", "repeat", "once").await;
    assert_eq!(stage.peek(&queue).await, [""; 0]);
    stage.advance(Duration::from_secs(61)).await;
    stage.send_as(&queue, "a", "new", "once").await;
    assert_eq!(bodies(&stage.receive(&queue, 10).await), ["new"], "the repeat did not begin the five minutes anew");
}

pub(crate) async fn scope_message_group_looks_at_the_group_only(stage: &Stage) {
    let queue = stage.fifo(&[(DeduplicationScope, "messageGroup"), (FifoThroughputLimit, "perMessageGroupId")]).await;
    stage.send_as(&queue, "a", "a1", "once").await;
    stage.send_as(&queue, "b", "b1", "once").await;
    stage.send_as(&queue, "a", "repeat", "once").await;
    let mut received = bodies(&stage.receive(&queue, 10).await);
    if received.len() < 2 {
        received.extend(bodies(&stage.receive(&queue, 10).await));
    }
    received.sort();
    assert_eq!(received, ["a1", "b1"]);
}

pub(crate) async fn content_is_its_own_deduplication_id(stage: &Stage) {
    let queue = stage.fifo(&[(ContentBasedDeduplication, "true")]).await;
    for body in ["same", "same", "other"] {
        let send = stage.sqs.send_message().queue_url(&queue).message_group_id("a").message_body(body);
        send.send().await.unwrap();
    }
    assert_eq!(bodies(&stage.receive(&queue, 10).await), ["same", "other"]);
}
