//! Killed at any moment and started again on the same directory, it goes on; closed, it leaves nothing of what was deleted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::Timestamp;
use serde_json::{Value, json};
use simulator_aws::{Aws, Settings};
use simulator_wire::MovableClock;

use crate::support::client;

const QUEUE: &str = "inbound.fifo";

fn clock() -> MovableClock {
    MovableClock::frozen(Timestamp::from_secs(1_795_000_000))
}

async fn start(data: &Path, clock: &MovableClock) -> Aws {
    let settings = Settings { listen: ([127, 0, 0, 1], 0).into(), clock: clock.clone(), data: Some(data.into()) };
    let aws = Aws::start(settings).await.unwrap();
    let attributes = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    aws.create_queue("dead.fifo", attributes(&[("FifoQueue", "true")])).unwrap();
    let policy = json!({"deadLetterTargetArn": aws.queue_arn("dead.fifo"), "maxReceiveCount": 5}).to_string();
    aws.create_queue(QUEUE, attributes(&[("FifoQueue", "true"), ("RedrivePolicy", &policy)])).unwrap();
    let key = |name: &str| json!({"AttributeName": name, "KeyType": "HASH"});
    aws.create_table(json!({
        "TableName": "bridge",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [key("pk")],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": true},
    }))
    .unwrap();
    aws
}

async fn send(aws: &Aws, group: &str, body: &str, dedup_id: &str) -> String {
    let url = format!("{}/{}/{QUEUE}", aws.url(), simulator_aws::ACCOUNT);
    let send = client!(aws_sdk_sqs, aws).send_message().queue_url(url).message_group_id(group).message_body(body);
    send.message_deduplication_id(dedup_id).send().await.unwrap().message_id.unwrap()
}

async fn put(aws: &Aws, pk: &str, attributes: &[(&str, AttributeValue)]) {
    let mut put =
        client!(aws_sdk_dynamodb, aws).put_item().table_name("bridge").item("pk", AttributeValue::S(pk.into()));
    for (name, value) in attributes {
        put = put.item(*name, value.clone());
    }
    put.send().await.unwrap();
}

async fn table(aws: &Aws) -> Vec<String> {
    let scan = client!(aws_sdk_dynamodb, aws).scan().table_name("bridge").send().await.unwrap();
    let mut keys: Vec<_> = scan.items().iter().map(|item| item["pk"].as_s().unwrap().clone()).collect();
    keys.sort();
    keys
}

fn in_queue<'a>(dump: &'a Value, queue: &str, state: &str) -> Vec<&'a str> {
    let queues = dump["queues"].as_array().unwrap();
    let queue = queues.iter().find(|shown| shown["name"] == queue).unwrap();
    queue[state].as_array().unwrap().iter().map(|message| message["body"].as_str().unwrap()).collect()
}

/// The files of a directory that contain a text.
fn files_with(data: &Path, text: &str) -> Vec<String> {
    let files = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let holds =
        |path: &std::path::PathBuf| fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes());
    files.filter(holds).map(|path| path.display().to_string()).collect()
}

#[tokio::test]
async fn what_was_only_received_is_released_and_what_was_hidden_on_purpose_is_not() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let aws = start(data.path(), &clock).await;
    send(&aws, "ana", "received", "d1").await;
    send(&aws, "luis", "hidden", "d2").await;
    let both = aws.receive(QUEUE, 10, Duration::ZERO).await;
    let hidden = both.iter().find(|received| received.body == "hidden").unwrap();
    aws.change_visibility(QUEUE, &hidden.receipt_handle, Duration::from_secs(500));
    drop(aws);

    let aws = start(data.path(), &clock).await;
    aws.release_received().unwrap();
    let dump = aws.dump_queues();
    assert_eq!(in_queue(&dump, QUEUE, "waiting"), ["received"]);
    assert_eq!(in_queue(&dump, QUEUE, "in_flight"), ["hidden"]);
}

#[tokio::test]
async fn killed_and_started_again_the_queues_go_on_where_they_were() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let aws = start(data.path(), &clock).await;
    let first = send(&aws, "ana", "ana 1", "d1").await;
    send(&aws, "ana", "ana 2", "d2").await;
    send(&aws, "luis", "luis 1", "d3").await;
    let ana = aws.receive(QUEUE, 2, Duration::ZERO).await;
    assert_eq!(ana.iter().map(|received| received.body.as_str()).collect::<Vec<_>>(), ["ana 1", "ana 2"]);
    let luis = aws.receive(QUEUE, 10, Duration::ZERO).await.remove(0);
    aws.delete(QUEUE, &luis.receipt_handle);
    drop(aws);

    let aws = start(data.path(), &clock).await;
    let dump = aws.dump_queues();
    assert_eq!(in_queue(&dump, QUEUE, "in_flight"), ["ana 1", "ana 2"], "what was out is still out");
    assert_eq!(in_queue(&dump, QUEUE, "waiting"), [""; 0]);
    assert_eq!(send(&aws, "ana", "again", "d1").await, first, "a repeat is known after the start");
    aws.delete(QUEUE, &ana[0].receipt_handle);
    clock.advance(Duration::from_secs(31));
    aws.clock_moved();
    send(&aws, "ana", "ana 3", "d4").await;
    let left = aws.receive(QUEUE, 10, Duration::ZERO).await;
    assert_eq!(left.iter().map(|received| received.body.as_str()).collect::<Vec<_>>(), ["ana 2", "ana 3"]);
    assert_eq!(left[0].attributes["ApproximateReceiveCount"], "2", "the receive before the end counts");
    assert!(left[0].attributes["SequenceNumber"] < left[1].attributes["SequenceNumber"]);
}

#[tokio::test]
async fn a_write_that_was_cut_off_is_ignored() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let aws = start(data.path(), &clock).await;
    send(&aws, "ana", "whole", "d1").await;
    let journal = data.path().join("queues.journal");
    let before = fs::read(&journal).unwrap().len();
    send(&aws, "ana", "torn", "d2").await;
    drop(aws);
    let written = fs::read(&journal).unwrap();
    for cut in [before + 1, usize::midpoint(before, written.len()), written.len() - 1] {
        fs::write(&journal, &written[..cut]).unwrap();
        let aws = start(data.path(), &clock).await;
        assert_eq!(in_queue(&aws.dump_queues(), QUEUE, "waiting"), ["whole"], "cut at {cut}");
    }
}

#[tokio::test]
async fn a_table_outlives_a_kill() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let aws = start(data.path(), &clock).await;
    put(&aws, "kept", &[]).await;
    drop(aws);
    let aws = start(data.path(), &clock).await;
    assert_eq!(table(&aws).await, ["kept"]);
}

#[tokio::test]
async fn after_a_close_no_file_holds_what_was_deleted() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let aws = start(data.path(), &clock).await;
    send(&aws, "ana", "ERASED-IN-QUEUE", "d1").await;
    send(&aws, "luis", "KEPT-IN-QUEUE", "d2").await;
    put(&aws, "erased", &[("name", AttributeValue::S("ERASED-IN-TABLE".repeat(500)))]).await;
    put(&aws, "kept", &[("name", AttributeValue::S("KEPT-IN-TABLE".into()))]).await;
    let ana = aws.receive(QUEUE, 1, Duration::ZERO).await.remove(0);
    aws.delete(QUEUE, &ana.receipt_handle);
    let delete = client!(aws_sdk_dynamodb, aws).delete_item().table_name("bridge");
    delete.key("pk", AttributeValue::S("erased".into())).send().await.unwrap();
    assert!(
        !files_with(data.path(), "ERASED").is_empty(),
        "while it runs there are traces, or this test proves nothing"
    );
    aws.close().await.unwrap();
    assert_eq!(files_with(data.path(), "ERASED"), [""; 0]);
    assert_eq!(files_with(data.path(), "KEPT-IN-QUEUE").len(), 1);
    assert_eq!(files_with(data.path(), "KEPT-IN-TABLE").len(), 1);

    let aws = start(data.path(), &clock).await;
    assert_eq!(in_queue(&aws.dump_queues(), QUEUE, "waiting"), ["KEPT-IN-QUEUE"]);
    assert_eq!(table(&aws).await, ["kept"]);
}

#[tokio::test]
async fn time_to_live_goes_by_the_moved_clock_also_in_a_file() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let aws = start(data.path(), &clock).await;
    put(&aws, "due", &[("expires_at", AttributeValue::N("1795000060".into()))]).await;
    put(&aws, "later", &[("expires_at", AttributeValue::N("1795000061".into()))]).await;
    assert_eq!(aws.sweep_ttl().unwrap(), 0);
    clock.advance(Duration::from_secs(60));
    assert_eq!(aws.sweep_ttl().unwrap(), 1);
    assert_eq!(table(&aws).await, ["later"]);
}

#[tokio::test]
async fn after_a_close_nothing_changes_any_more() {
    let (data, clock) = (tempfile::tempdir().unwrap(), clock());
    let aws = start(data.path(), &clock).await;
    send(&aws, "ana", "kept", "d1").await;
    let ana = aws.receive(QUEUE, 1, Duration::ZERO).await.remove(0);
    aws.close().await.unwrap();
    aws.close().await.unwrap();
    aws.delete(QUEUE, &ana.receipt_handle);
    assert_eq!(aws.receive(QUEUE, 1, Duration::ZERO).await.len(), 0);
    let refused = client!(aws_sdk_sqs, aws).list_queues().send().await;
    assert!(refused.is_err(), "its port is closed");
    let aws = start(data.path(), &clock).await;
    assert_eq!(in_queue(&aws.dump_queues(), QUEUE, "in_flight"), ["kept"], "a late delete is not half done");
}
