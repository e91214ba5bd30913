//! Queues and what a message carries.

use std::time::Duration;

use aws_sdk_sqs::{
    error::SdkError,
    operation::{purge_queue::PurgeQueueError, set_queue_attributes::SetQueueAttributesError},
    types::{
        MessageAttributeValue,
        QueueAttributeName::{
            All, ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible, FifoQueue, VisibilityTimeout,
        },
    },
};

use crate::stage::{Stage, bodies, said};

pub(crate) async fn attributes_are_set_and_shown(stage: &Stage) {
    let queue = stage.fifo(&[(VisibilityTimeout, "45")]).await;
    for body in ["a1", "b1"] {
        stage.send(&queue, &body[..1], body).await;
    }
    stage.receive(&queue, 1).await;
    let set = stage.sqs.set_queue_attributes().queue_url(&queue).attributes(VisibilityTimeout, "50");
    set.send().await.unwrap();
    let shown = async || {
        let shown = stage.sqs.get_queue_attributes().queue_url(&queue).attribute_names(All).send().await.unwrap();
        shown.attributes.unwrap()
    };
    let set =
        stage.until("the new timeout", async || Some(shown().await).filter(|set| set[&VisibilityTimeout] == "50"));
    assert_eq!(set.await[&FifoQueue], "true");
    let wrong = stage.sqs.set_queue_attributes().queue_url(&queue).attributes(VisibilityTimeout, "43201").send().await;
    let wrong = wrong.map_err(SdkError::into_service_error);
    let held = wrong.as_ref().is_err_and(SetQueueAttributesError::is_invalid_attribute_value);
    stage.points.holds("a visibility above twelve hours", held, wrong);
    // In no order: while the counts come late, the message that is out may show again.
    stage
        .until("both counted", async || {
            let shown = shown().await;
            let count = |name| shown[name].parse::<u32>().unwrap();
            let all = count(&ApproximateNumberOfMessages) + count(&ApproximateNumberOfMessagesNotVisible);
            (all == 2).then_some(())
        })
        .await;
    let name = queue.rsplit('/').next().unwrap();
    let found = stage.sqs.get_queue_url().queue_name(name).send().await.unwrap();
    assert_eq!(found.queue_url(), Some(queue.as_str()));
    let other =
        stage.sqs.create_queue().queue_name(name).attributes(FifoQueue, "true").attributes(VisibilityTimeout, "7");
    assert!(other.send().await.unwrap_err().into_service_error().is_queue_name_exists());
}

pub(crate) async fn a_message_carries_what_is_known_of_it(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("es").build().unwrap();
    let send =
        stage.sqs.send_message().queue_url(&queue).message_body("¿qué tal?").message_attributes("locale", attribute);
    let sent = send.message_group_id("a").message_deduplication_id("1").send().await.unwrap();
    // From an independent implementation of MD5.
    assert_eq!(sent.md5_of_message_body(), Some("da52968d361bed7c57ffbf9093acb6a5"));
    let received = stage.receive(&queue, 1).await.remove(0);
    assert_eq!(received.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(received.message_id(), sent.message_id());
    assert_eq!(received.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert_eq!(received.message_attributes.as_ref().unwrap()["locale"].string_value(), Some("es"));
    assert_eq!(said(&received, "MessageDeduplicationId"), "1");
    assert_eq!(Some(said(&received, "SequenceNumber").as_str()), sent.sequence_number());
    let sent_at: i64 = said(&received, "SentTimestamp").parse().unwrap();
    let first_received: i64 = said(&received, "ApproximateFirstReceiveTimestamp").parse().unwrap();
    assert!((stage.now() * 1000 - sent_at).abs() < 60_000 && first_received >= sent_at);
}

pub(crate) async fn a_purge_empties_the_queue_once_a_minute(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    stage.send(&queue, "a", "a1").await;
    stage.receive(&queue, 1).await;
    stage.send(&queue, "b", "b1").await;
    stage.sqs.purge_queue().queue_url(&queue).send().await.unwrap();
    let again = stage.sqs.purge_queue().queue_url(&queue).send().await.map_err(SdkError::into_service_error);
    let held = again.as_ref().is_err_and(PurgeQueueError::is_purge_queue_in_progress);
    stage.points.holds("a second one within a minute", held, again);
    stage.advance(Duration::from_secs(61)).await;
    assert_eq!(stage.peek(&queue).await, [""; 0], "also what was out is gone");
    stage.send(&queue, "a", "a2").await;
    assert_eq!(bodies(&stage.receive(&queue, 1).await), ["a2"]);
}
