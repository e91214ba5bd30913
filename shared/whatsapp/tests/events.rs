//! Checks the events in `events/` that carry whole deliveries. Their signatures hold, their queue bodies are what the bridge
//! itself would enqueue, and each folder's page names each of its files. So none of them can go stale unnoticed.

#![expect(clippy::expect_used, reason = "the events stand in this repository; without them there is nothing to test")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{HashKey, InboundTask, OutboundTask, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use whatsapp::{
    AppSecret,
    webhook::{self, GroupedTask},
};

const APP_SECRET: &str = "test-app-secret";
const SUBJECT_KEY: &str = "test-subject-key";

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events").join(file)
}

fn text(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn event(file: &str) -> Value {
    serde_json::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The names of the events in a folder.
fn files(folder: &str) -> Vec<String> {
    let names = fs::read_dir(path(folder)).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    names.filter_map(|name| name.into_string().ok()).filter(|name| name != "README.md").collect()
}

fn body(event: &Value) -> Vec<u8> {
    let body = event["body"].as_str().expect("a body");
    match event["isBase64Encoded"].as_bool() {
        Some(true) => STANDARD.decode(body).expect("base64"),
        _ => body.as_bytes().to_vec(),
    }
}

fn header<'a>(event: &'a Value, name: &str) -> &'a str {
    event["headers"][name].as_str().unwrap_or_default()
}

/// What `webhook` makes of an event: nothing if the signature does not hold.
fn tasks(file: &str) -> Option<Vec<GroupedTask>> {
    let event = event(file);
    let body = body(&event);
    assert_eq!(header(&event, "content-length"), body.len().to_string(), "{file}");
    let secret = AppSecret::new(APP_SECRET.into());
    let verified = secret.verify(header(&event, "x-hub-signature-256"), &body)?;
    let key = HashKey::new(SUBJECT_KEY.into());
    Some(webhook::parse(verified, &key, Timestamp::from_secs(1_795_200_000)).ok()?.tasks)
}

fn records(file: &str) -> Vec<Value> {
    event(file)["Records"].as_array().expect("records").clone()
}

#[test]
fn metas_posts_are_signed_with_the_documented_secret() {
    assert_eq!(tasks("api/webhook-message.json").map(|tasks| tasks.len()), Some(1));
    assert_eq!(tasks("api/webhook-batch-base64.json").map(|tasks| tasks.len()), Some(3));
    assert_eq!(tasks("api/webhook-forged.json"), None);
}

#[test]
fn the_handshakes_differ_in_their_token_only() {
    let good = event("api/webhook-handshake.json");
    assert_eq!(good["queryStringParameters"]["hub.verify_token"], "test-verify-token");
    let wrong = text("api/webhook-handshake-wrong-token.json").replace("another-token", "test-verify-token");
    assert_eq!(serde_json::from_str::<Value>(&wrong).expect("JSON"), good);
}

#[test]
fn chatwoots_callbacks_are_signed_with_the_documented_secret() {
    let secret = event("chatwoot/signatures.json")["secret"].as_str().expect("a secret").to_owned();
    let callbacks: Vec<_> = files("api").into_iter().filter(|name| name.starts_with("callback-")).collect();
    assert_eq!(callbacks.len(), 3);
    for file in callbacks {
        let event = event(&format!("api/{file}"));
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
        let mac = mac.chain_update(header(&event, "x-chatwoot-timestamp")).chain_update(".").chain_update(body(&event));
        let tag = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        assert_eq!(header(&event, "x-chatwoot-signature"), tag, "{file}");
    }
}

#[test]
fn the_queue_of_forward_holds_what_webhook_enqueues() {
    let posted = tasks("api/webhook-message.json").expect("a good signature");
    let record = &records("sqs/forward.json")[0];
    assert_eq!(record["attributes"]["MessageGroupId"], posted[0].group.to_string());
    let queued: InboundTask = serde_json::from_str(record["body"].as_str().expect("a body")).expect("a task");
    assert_eq!(queued, posted[0].task);

    let mut kinds = Vec::new();
    let mut letters = BTreeSet::new();
    let files = ["sqs/forward.json", "sqs/forward-image.json", "sqs/forward-file.json"];
    for record in files.into_iter().flat_map(records) {
        let body = record["body"].as_str().expect("a body");
        let task: InboundTask = serde_json::from_str(body).expect("a task of today");
        assert_eq!(serde_json::to_string(&task).expect("JSON"), body);
        kinds.push(match task {
            InboundTask::MessageV1(_) => "message",
            InboundTask::StatusV1(_) => "status",
            InboundTask::NoticeV1(_) => "notice",
            InboundTask::FileV1(_) => "file",
            InboundTask::DrainMarkerV1(_) => "drain marker",
        });
        // A queue message of its own for each receipt: the claims detect repeats.
        let letter = record["attributes"]["MessageDeduplicationId"].as_str().expect("an id");
        assert!(letters.insert(letter.to_owned()) && letter != task_item(body));
    }
    assert_eq!(kinds, ["message", "status", "message", "notice", "message", "file"]);
}

fn task_item(body: &str) -> String {
    let task: InboundTask = serde_json::from_str(body).expect("a task of today");
    task.item().as_str().to_owned()
}

#[test]
fn the_poisoned_batch_has_one_bad_item_before_a_good_one_of_the_same_customer() {
    let records = records("sqs/forward-poison.json");
    let readable =
        |at: usize| serde_json::from_str::<InboundTask>(records[at]["body"].as_str().expect("a body")).is_ok();
    assert_eq!((records.len(), readable(0), readable(1)), (2, false, true));
    assert_eq!(records[0]["attributes"]["MessageGroupId"], records[1]["attributes"]["MessageGroupId"]);
}

#[test]
fn the_queue_of_send_holds_hints() {
    let request = |file: &str| {
        let body = records(file)[0]["body"].as_str().expect("a body").to_owned();
        match serde_json::from_str(&body).expect("a task of today") {
            OutboundTask::SyncRequestV1(request) => request,
            task => panic!("{task:?} is no sync request"),
        }
    };
    let callback = event("chatwoot/11_template_params.json");
    let template = request("sqs/send-template.json");
    assert_eq!(template.template.map(|id| id.0), callback["id"].as_i64());
    assert_eq!(Some(template.conversation.0), callback["conversation"]["id"].as_i64());
    assert_eq!(request("sqs/send.json").template, None);
}

#[test]
fn each_page_names_each_file_of_its_folder() {
    for (page, folders) in [
        ("README.md", ["api", "sqs", "schedule"].as_slice()),
        ("meta/README.md", ["meta"].as_slice()),
        ("chatwoot/README.md", ["chatwoot"].as_slice()),
    ] {
        let page_text = text(page);
        for file in folders.iter().flat_map(|folder| files(folder)) {
            assert!(page_text.contains(&format!("`{file}`")), "{page} does not name {file}");
        }
    }
}
