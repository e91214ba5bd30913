//! AWS is behind itself where a test asks for it: counts, indexes and moves of dead letters, by the clock.

#![expect(clippy::disallowed_types, reason = "real time is measured or waited for")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessages;
use domain::Timestamp;
use serde_json::json;
use simulator_aws::{Aws, Lag, Settings};
use simulator_wire::MovableClock;

use crate::support::client;

async fn start() -> Aws {
    let clock = MovableClock::frozen(Timestamp::from_secs(1_795_000_000));
    let settings = Settings { listen: ([127, 0, 0, 1], 0).into(), clock, data: None };
    Aws::start(settings).await.unwrap()
}

fn fifo(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    [("FifoQueue", "true")].iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn send(aws: &Aws, url: &str, body: &str) {
    let send = client!(aws_sdk_sqs, aws).send_message().queue_url(url).message_body(body);
    send.message_group_id("a").message_deduplication_id(body).send().await.unwrap();
}

async fn count(aws: &Aws, url: &str) -> String {
    let name = ApproximateNumberOfMessages;
    let shown = client!(aws_sdk_sqs, aws).get_queue_attributes().queue_url(url).attribute_names(name.clone());
    shown.send().await.unwrap().attributes.unwrap().remove(&name).unwrap()
}

#[tokio::test]
async fn counts_show_what_a_queue_held_a_while_ago() {
    let aws = start().await;
    let url = aws.create_queue("in.fifo", fifo(&[])).unwrap();
    send(&aws, &url, "1").await;
    aws.lag(Lag { counts: Duration::from_secs(60), ..Lag::default() }).unwrap();
    assert_eq!(count(&aws, &url).await, "1", "what there was is known");
    send(&aws, &url, "2").await;
    aws.advance(Duration::from_secs(59));
    send(&aws, &url, "3").await;
    assert_eq!(count(&aws, &url).await, "1");
    aws.advance(Duration::from_secs(1));
    assert_eq!(count(&aws, &url).await, "2");
    aws.advance(Duration::from_secs(60));
    assert_eq!(count(&aws, &url).await, "3");
    for received in aws.receive("in.fifo", 10, Duration::ZERO).await {
        aws.delete("in.fifo", &received.receipt_handle);
    }
    assert_eq!(count(&aws, &url).await, "3", "what is gone is still counted");
    aws.advance(Duration::from_secs(60));
    assert_eq!(count(&aws, &url).await, "0");
    let young = aws.create_queue("young.fifo", fifo(&[])).unwrap();
    send(&aws, &young, "1").await;
    assert_eq!(count(&aws, &young).await, "0");
    aws.lag(Lag::default()).unwrap();
    assert_eq!(count(&aws, &young).await, "1");
}

#[tokio::test]
async fn an_index_follows_its_table_late() {
    let aws = start().await;
    let attribute = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
    let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
    aws.create_table(json!({
        "TableName": "table", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [attribute("pk"), attribute("sk"), attribute("owner")],
        "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
        "GlobalSecondaryIndexes": [{
            "IndexName": "owner", "KeySchema": [key("owner", "HASH"), key("pk", "RANGE")],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }],
    }))
    .unwrap();
    let dynamo = client!(aws_sdk_dynamodb, aws);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let put = async |pk: &str, owner: &str| {
        let put = dynamo.put_item().table_name("table").item("pk", text(pk)).item("sk", text("s"));
        put.item("owner", text(owner)).send().await.unwrap();
    };
    let found = async || {
        let query = dynamo.query().table_name("table").index_name("owner").key_condition_expression("#of = :of");
        let query = query.expression_attribute_names("#of", "owner").expression_attribute_values(":of", text("ana"));
        let items = query.send().await.unwrap().items.unwrap();
        items.iter().map(|item| item["pk"].as_s().unwrap().clone()).collect::<Vec<_>>()
    };
    put("1", "ana").await;
    aws.lag(Lag { indexes: Duration::from_secs(30), ..Lag::default() }).unwrap();
    put("2", "ana").await;
    aws.advance(Duration::from_secs(10));
    put("1", "eva").await;
    assert_eq!(found().await, ["1"]);
    let there = dynamo.get_item().table_name("table").key("pk", text("2")).key("sk", text("s"));
    assert!(there.send().await.unwrap().item.is_some(), "the table itself is not late");
    aws.advance(Duration::from_secs(20));
    assert_eq!(found().await, ["1", "2"]);
    dynamo.delete_item().table_name("table").key("pk", text("2")).key("sk", text("s")).send().await.unwrap();
    aws.advance(Duration::from_secs(10));
    assert_eq!(found().await, ["2"]);
    aws.advance(Duration::from_secs(20));
    assert_eq!(found().await, [""; 0]);
}

#[tokio::test]
async fn dead_letters_move_a_while_after_they_were_told_to() {
    let aws = start().await;
    let dead = aws.create_queue("dead.fifo", fifo(&[])).unwrap();
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":1}}"#, aws.queue_arn("dead.fifo"));
    aws.create_queue("in.fifo", fifo(&[("RedrivePolicy", &policy)])).unwrap();
    aws.lag(Lag { moves: Duration::from_secs(90), ..Lag::default() }).unwrap();
    send(&aws, &dead, "1").await;
    let sqs = client!(aws_sdk_sqs, aws);
    let start = || sqs.start_message_move_task().source_arn(aws.queue_arn("dead.fifo"));
    let start = || start().destination_arn(aws.queue_arn("in.fifo"));
    start().send().await.unwrap();
    let task = async || {
        let tasks = sqs.list_message_move_tasks().source_arn(aws.queue_arn("dead.fifo")).send().await.unwrap();
        let task = tasks.results.unwrap().remove(0);
        (task.status.unwrap(), task.task_handle.is_some())
    };
    assert_eq!(task().await, ("RUNNING".to_owned(), true));
    assert!(start().send().await.is_err(), "one at a time");
    send(&aws, &dead, "2").await;
    aws.advance(Duration::from_secs(89));
    assert!(aws.receive("in.fifo", 10, Duration::ZERO).await.is_empty());
    aws.advance(Duration::from_secs(1));
    assert_eq!(task().await, ("COMPLETED".to_owned(), false));
    let moved: Vec<_> = aws.receive("in.fifo", 10, Duration::ZERO).await.into_iter().map(|one| one.body).collect();
    assert_eq!(moved, ["1", "2"], "what came in meanwhile goes along");
    start().send().await.unwrap();
}

#[tokio::test]
async fn a_short_poll_may_miss_what_a_long_one_finds() {
    let aws = start().await;
    let url = aws.create_queue("in.fifo", fifo(&[])).unwrap();
    send(&aws, &url, "1").await;
    aws.lag(Lag { short_polls: true, ..Lag::default() }).unwrap();
    let found = async |wait: i32| {
        let receive = client!(aws_sdk_sqs, aws).receive_message().queue_url(&url).wait_time_seconds(wait);
        receive.visibility_timeout(0).send().await.unwrap().messages.unwrap_or_default().len()
    };
    assert_eq!([found(0).await, found(0).await, found(0).await], [0, 1, 0]);
    assert_eq!([found(1).await, found(1).await], [1, 1]);
    // What finds nothing does not wait where nobody moves the clock.
    aws.answer_at_once();
    let none = aws.create_queue("none.fifo", fifo(&[])).unwrap();
    let began = std::time::Instant::now();
    let receive = client!(aws_sdk_sqs, aws).receive_message().queue_url(&none).wait_time_seconds(20);
    assert_eq!(receive.send().await.unwrap().messages, None);
    assert!(began.elapsed() < Duration::from_secs(15));
}
