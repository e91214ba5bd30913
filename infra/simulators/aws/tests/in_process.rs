//! What the local runner uses without HTTP.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_sqs::types::MessageAttributeValue;
use domain::Timestamp;
use serde_json::{Value, json};
use simulator_aws::{Aws, Settings};
use simulator_wire::MovableClock;
use tokio::time::timeout;

use crate::support::client;

async fn start() -> (Arc<Aws>, MovableClock) {
    let clock = MovableClock::frozen(Timestamp::from_secs(1_795_000_000));
    let settings = Settings { listen: ([127, 0, 0, 1], 0).into(), clock: clock.clone(), data: None };
    (Arc::new(Aws::start(settings).await.unwrap()), clock)
}

fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn send(aws: &Aws, queue: &str, body: &str) {
    let kind = MessageAttributeValue::builder().data_type("String").string_value("poison").build().unwrap();
    let send = client!(aws_sdk_sqs, aws)
        .send_message()
        .queue_url(format!("{}/000000000000/{queue}", aws.url()))
        .message_body(body);
    let send = send.message_attributes("kind", kind).message_group_id("ana").message_deduplication_id(body);
    send.send().await.unwrap();
}

fn queue<'a>(dump: &'a Value, name: &str) -> &'a Value {
    dump["queues"].as_array().unwrap().iter().find(|queue| queue["name"] == name).unwrap()
}

#[tokio::test]
async fn a_poller_gets_what_a_lambda_record_holds() {
    let (aws, _) = start().await;
    aws.create_queue("in.fifo", attributes(&[("FifoQueue", "true")])).unwrap();
    let poller = tokio::spawn({
        let aws = Arc::clone(&aws);
        async move { aws.receive("in.fifo", 10, Duration::from_secs(20)).await }
    });
    send(&aws, "in.fifo", "hola").await;
    let received = timeout(Duration::from_secs(5), poller).await.unwrap().unwrap().remove(0);
    assert_eq!((received.body.as_str(), received.md5.as_str()), ("hola", "4d186321c1a7f0f354b297e8914ab240"));
    assert_eq!(received.attributes["MessageGroupId"], "ana");
    assert_eq!(received.attributes["SentTimestamp"], "1795000000000");
    assert_eq!(received.message_attributes["kind"]["stringValue"], "poison");
    aws.delete("in.fifo", &received.receipt_handle);
    assert_eq!(queue(&aws.dump_queues(), "in.fifo")["in_flight"], json!([]));
}

#[tokio::test]
async fn a_waiting_poller_wakes_when_the_clock_is_moved() {
    let (aws, clock) = start().await;
    aws.create_queue("in.fifo", attributes(&[("FifoQueue", "true"), ("VisibilityTimeout", "600")])).unwrap();
    send(&aws, "in.fifo", "hola").await;
    assert_eq!(aws.receive("in.fifo", 1, Duration::ZERO).await.len(), 1);
    let mut poll = Box::pin(aws.receive("in.fifo", 1, Duration::from_secs(20)));
    assert!(timeout(Duration::from_millis(50), &mut poll).await.is_err(), "the message is out");
    clock.advance(Duration::from_secs(600));
    aws.clock_moved();
    let again = timeout(Duration::from_secs(5), poll).await.unwrap();
    assert_eq!(again[0].attributes["ApproximateReceiveCount"], "2");
}

#[tokio::test]
async fn a_moved_clock_takes_nothing_from_what_a_function_has_in_hand() {
    let (aws, _) = start().await;
    aws.create_queue("in.fifo", attributes(&[("FifoQueue", "true"), ("VisibilityTimeout", "600")])).unwrap();
    for body in ["hola", "luego"] {
        send(&aws, "in.fifo", body).await;
    }
    let (batch, hold) = aws.take("in.fifo", 2, Duration::ZERO).await;
    aws.advance(Duration::from_secs(86_400));
    assert_eq!(aws.receive("in.fifo", 2, Duration::ZERO).await.len(), 0, "the function still works on them");
    aws.delete("in.fifo", &batch[0].receipt_handle);
    aws.change_visibility("in.fifo", &batch[1].receipt_handle, Duration::from_secs(30));
    aws.advance(Duration::from_secs(30));
    let again = aws.receive("in.fifo", 2, Duration::ZERO).await;
    assert_eq!(again[0].body, "luego", "what it hid for a time of its own shows when that is over");
    drop(hold);
    aws.advance(Duration::from_secs(600));
    assert_eq!(aws.receive("in.fifo", 2, Duration::ZERO).await.len(), 1, "nobody works on it");
}

#[tokio::test]
async fn the_dump_tells_waiting_delayed_in_flight_and_dead_apart() {
    let (aws, clock) = start().await;
    aws.create_queue("dead.fifo", attributes(&[("FifoQueue", "true")])).unwrap();
    let policy = json!({"deadLetterTargetArn": aws.queue_arn("dead.fifo"), "maxReceiveCount": 1}).to_string();
    aws.create_queue(
        "in.fifo",
        attributes(&[("FifoQueue", "true"), ("DelaySeconds", "5"), ("RedrivePolicy", &policy)]),
    )
    .unwrap();
    send(&aws, "in.fifo", "hola").await;
    assert_eq!(queue(&aws.dump_queues(), "in.fifo")["delayed"][0]["body"], "hola");
    clock.advance(Duration::from_secs(5));
    let waiting = queue(&aws.dump_queues(), "in.fifo")["waiting"][0].clone();
    assert_eq!(
        (&waiting["group"], &waiting["dedup_id"], &waiting["receive_count"]),
        (&json!("ana"), &json!("hola"), &json!(0))
    );
    assert_eq!(aws.receive("in.fifo", 1, Duration::ZERO).await.len(), 1);
    assert_eq!(queue(&aws.dump_queues(), "in.fifo")["in_flight"][0]["body"], "hola");
    clock.advance(Duration::from_secs(31));
    assert_eq!(aws.receive("in.fifo", 1, Duration::ZERO).await.len(), 0, "it was received too often");
    let dump = aws.dump_queues();
    assert_eq!(queue(&dump, "dead.fifo")["waiting"][0]["body"], "hola");
    assert_eq!(queue(&dump, "dead.fifo")["dead_letter_of"], json!(["in.fifo"]));
    assert_eq!(
        queue(&dump, "dead.fifo")["waiting"][0]["attributes"]["DeadLetterQueueSourceArn"],
        json!(aws.queue_arn("in.fifo"))
    );
}

#[tokio::test]
async fn a_dead_letter_queue_counts_its_own_receives() {
    let (aws, clock) = start().await;
    aws.create_queue("last.fifo", attributes(&[("FifoQueue", "true")])).unwrap();
    for (name, target) in [("dead.fifo", "last.fifo"), ("in.fifo", "dead.fifo")] {
        let policy = json!({"deadLetterTargetArn": aws.queue_arn(target), "maxReceiveCount": "1"}).to_string();
        aws.create_queue(name, attributes(&[("FifoQueue", "true"), ("RedrivePolicy", &policy)])).unwrap();
    }
    send(&aws, "in.fifo", "hola").await;
    for (name, comes) in [("in.fifo", 1), ("in.fifo", 0), ("dead.fifo", 1), ("dead.fifo", 0), ("last.fifo", 1)] {
        assert_eq!(aws.receive(name, 1, Duration::ZERO).await.len(), comes, "{name}");
        clock.advance(Duration::from_secs(31));
    }
}

#[tokio::test]
async fn what_is_past_its_retention_is_gone() {
    let (aws, clock) = start().await;
    aws.create_queue("in.fifo", attributes(&[("FifoQueue", "true"), ("MessageRetentionPeriod", "3600")])).unwrap();
    send(&aws, "in.fifo", "hola").await;
    clock.advance(Duration::from_secs(3599));
    aws.clock_moved();
    assert_eq!(queue(&aws.dump_queues(), "in.fifo")["waiting"].as_array().unwrap().len(), 1);
    clock.advance(Duration::from_secs(1));
    aws.clock_moved();
    assert_eq!(queue(&aws.dump_queues(), "in.fifo")["waiting"], json!([]));
    assert_eq!(aws.receive("in.fifo", 1, Duration::ZERO).await.len(), 0);
}

#[tokio::test]
async fn a_queue_is_made_once_and_then_changed() {
    let (aws, _) = start().await;
    let url = aws.create_queue("in.fifo", attributes(&[("FifoQueue", "true"), ("VisibilityTimeout", "10")])).unwrap();
    send(&aws, "in.fifo", "hola").await;
    assert_eq!(
        aws.create_queue("in.fifo", attributes(&[("FifoQueue", "true"), ("VisibilityTimeout", "20")])).unwrap(),
        url
    );
    assert_eq!(aws.queue_names(), ["in.fifo"]);
    assert_eq!(aws.receive("in.fifo", 1, Duration::ZERO).await.len(), 1, "what it holds stays");
    let missing = json!({"deadLetterTargetArn": aws.queue_arn("never-made.fifo"), "maxReceiveCount": 5}).to_string();
    let refused = aws.create_queue("in.fifo", attributes(&[("RedrivePolicy", &missing)])).unwrap_err();
    assert!(format!("{refused:#}").contains("Dead letter target does not exist"), "{refused:#}");
}

#[tokio::test]
async fn a_secret_put_twice_has_one_version_and_a_new_value_two() {
    let (aws, _) = start().await;
    let client = client!(aws_sdk_secretsmanager, aws);
    aws.put_secret("bridge/app", "one");
    aws.put_secret("bridge/app", "one");
    let stages =
        || async { client.describe_secret().secret_id("bridge/app").send().await.unwrap().version_ids_to_stages };
    assert_eq!(stages().await.unwrap().len(), 1);
    aws.put_secret("bridge/app", "two");
    assert_eq!(stages().await.unwrap().len(), 2);
    let value = client.get_secret_value().secret_id("bridge/app").send().await.unwrap();
    assert_eq!(value.secret_string(), Some("two"));
}
