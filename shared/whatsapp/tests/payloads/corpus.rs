//! Loads the test bodies and passes them through signature, check and parser.

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use domain::{HashKey, MessageGroup, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use whatsapp::{
    AppSecret,
    webhook::{self, GroupedTask, UnreadableWebhook, Webhook},
};

/// The same key in every test, so that claims can be compared.
pub(crate) static KEY: LazyLock<HashKey> = LazyLock::new(|| HashKey::new("test-subject-key".into()));

/// File name → bytes, of every `*.json` in `events/meta`.
pub(crate) static BODIES: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/meta");
    let paths = fs::read_dir(folder).expect("events/meta").map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(path).expect("a readable file"))
        })
        .collect()
});

/// The names of the bodies that are whole webhooks of this product and tell nothing of a phone's past.
pub(crate) static GOOD: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let odd = ["in-dashboard-test-sample.json", "odd-other-object.json"];
    let is_past = |name: &str| name.starts_with("coex-history") || name.starts_with("coex-state-sync");
    BODIES.keys().map(String::as_str).filter(|name| !odd.contains(name) && !is_past(name)).collect()
});

const SECRET: &str = "test-app-secret";

/// What a body holds that happens now.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<GroupedTask>, UnreadableWebhook> {
    Ok(split(body)?.tasks)
}

/// Signs a body as Meta does, checks the signature and splits the body.
pub(crate) fn split(body: &[u8]) -> Result<Webhook, UnreadableWebhook> {
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key").chain_update(body);
    let header = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let secret = AppSecret::new(SECRET.into());
    webhook::parse(secret.verify(&header, body).expect("a good signature"), &KEY, Timestamp::from_secs(1_795_200_000))
}

/// A file as a value.
pub(crate) fn value(name: &str) -> Value {
    serde_json::from_slice(&BODIES[name]).expect("a JSON file")
}

/// The value as Meta writes it on the wire: compact, ASCII only, `/` and `@` escaped.
pub(crate) fn wire(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            '/' => out.push_str("\\/"),
            '@' => out.push_str("\\u0040"),
            c if c.is_ascii() => out.push(c),
            c => out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    out.into_bytes()
}

/// What must be the same however a body is spelled: raw texts as values, without the claims made from raw texts.
pub(crate) fn meaning(tasks: &[GroupedTask]) -> Vec<(&MessageGroup, Value)> {
    tasks
        .iter()
        .map(|grouped| {
            let mut task = serde_json::to_value(&grouped.task).expect("a task is JSON");
            if let Some(raw) = task["raw"].as_str() {
                task["raw"] = serde_json::from_str(raw).expect("an item is JSON");
            }
            if task["id"].is_null() {
                task["item"] = Value::Null;
            }
            (&grouped.group, task)
        })
        .collect()
}
