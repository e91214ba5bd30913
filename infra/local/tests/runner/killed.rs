//! Killed at any moment and started again on the same directory, the runner goes on.

use std::fs;

use serde_json::json;

use crate::support::Runner;

fn dead_letters(runner: &Runner) -> &str {
    runner.said("queues").split(' ').find(|name| name.contains("inbound") && name.contains("dead")).unwrap()
}

fn leave(runner: &Runner, body: &str) {
    let url = format!("{}/000000000000/{}", runner.said("aws"), dead_letters(runner));
    let message =
        json!({ "QueueUrl": url, "MessageBody": body, "MessageGroupId": "g", "MessageDeduplicationId": body });
    assert_eq!(runner.aws("AmazonSQS.SendMessage", &message).status, 200);
}

#[test]
fn queues_table_and_clock_outlive_the_process() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["--data", data.path().to_str().unwrap()];
    let item = |runner: &Runner| json!({ "TableName": runner.said("table"), "Key": { "pk": { "S": "a" }, "sk": { "S": "b" } } });

    let runner = Runner::start(&arguments);
    let before = runner.advance(7 * 86_400);
    leave(&runner, "kept");
    let put = json!({ "TableName": runner.said("table"), "Item": { "pk": { "S": "a" }, "sk": { "S": "b" } } });
    assert_eq!(runner.aws("DynamoDB_20120810.PutItem", &put).status, 200);
    runner.kill();

    let runner = Runner::start(&arguments);
    assert!(runner.advance(0) >= before, "the clock did not fall back");
    let kept = runner.messages(dead_letters(&runner), "waiting");
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["body"], "kept");
    assert_eq!(runner.aws("DynamoDB_20120810.GetItem", &item(&runner)).json()["Item"]["pk"]["S"], "a");
}

#[test]
fn without_a_directory_nothing_is_left() {
    let runner = Runner::start(&[]);
    leave(&runner, "gone");
    runner.kill();
    let runner = Runner::start(&[]);
    assert!(runner.messages(dead_letters(&runner), "waiting").is_empty());
}

#[test]
fn time_to_live_follows_the_clock() {
    let runner = Runner::start(&[]);
    let now = runner.advance(0);
    let key = json!({ "pk": { "S": "a" }, "sk": { "S": "b" } });
    let mut item = key.clone();
    item["expires_at"] = json!({ "N": (now + 3_600).to_string() });
    runner.aws("DynamoDB_20120810.PutItem", &json!({ "TableName": runner.said("table"), "Item": item }));
    let there = || {
        let got = runner.aws("DynamoDB_20120810.GetItem", &json!({ "TableName": runner.said("table"), "Key": key }));
        got.json().get("Item").is_some()
    };
    runner.advance(3_500);
    assert!(there());
    runner.advance(200);
    assert!(!there());
}

#[test]
fn a_wrong_configuration_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bridge.toml");
    fs::write(&path, "[app]\napp_id = \"1\"\n").unwrap();
    let ended = std::process::Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["--listen", "127.0.0.1:0", "--config", path.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(!ended.status.success());
    assert!(ended.stdout.is_empty(), "nothing may look ready");
    let words = String::from_utf8_lossy(&ended.stderr);
    assert!(words.contains("bridge.toml") && words.contains("app_secret"), "{words}");
}
