//! The whole events below `events/`, as files: which function a file is for stands in its name.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use domain::{Clock as _, SystemClock};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::{bench_stack::APP_SECRET, functions::top};

/// The folders of bodies; all others hold whole events.
const BODIES: [&str; 2] = ["meta", "chatwoot"];

/// Every event for a function, by the name of its file: `send.json` and `send-template.json` are for `send`.
pub fn of(function: &str) -> anyhow::Result<Vec<(String, Value)>> {
    let mut events = Vec::new();
    for file in files()? {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name == function || name.strip_prefix(function).is_some_and(|rest| rest.starts_with('-')) {
            let event =
                serde_json::from_str(&fs::read_to_string(&file)?).with_context(|| file.display().to_string())?;
            events.push((name, renewed(event)?));
        }
    }
    events.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(events)
}

fn files() -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in fs::read_dir(top().join("events"))? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() || folder.file_name().to_str().is_some_and(|name| BODIES.contains(&name)) {
            continue;
        }
        for file in fs::read_dir(folder.path())? {
            files.push(file?.path());
        }
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    Ok(files)
}

/// What is wrong with the answer to an event that is whole: another status than a request should get, a record given back, a sheet that
/// does not add up, a person who is overdue. An answer of a shape nobody knows is wrong as well.
pub fn fault(name: &str, answer: &Value) -> Option<String> {
    let status = match name {
        "webhook-handshake-wrong-token" => 403,
        "webhook-forged" | "signup-page" => 401,
        // Nobody asked under this code.
        "deletion-status" => 404,
        _ => 200,
    };
    let good = if let Some(answered) = answer["statusCode"].as_i64() {
        answered == status
    } else if let Some(failures) = answer["batchItemFailures"].as_array() {
        // The first slice of a phone's past waits until Meta has sent all of it.
        failures.len() == usize::from(name == "history")
    } else if let Some(difference) = answer["difference"].as_u64() {
        difference == 0
    } else if answer["written"].is_u64() || answer["taken_up"].is_u64() {
        true
    } else {
        answer["overdue"] == 0 && answer["breached"] == 0
    };
    (!good).then(|| format!("{name}: {answer}"))
}

/// Signatures grow old, Chatwoot's and those of Meta's requests for deletion; signs with the secrets of the stories, which are those
/// of the files.
fn renewed(mut event: Value) -> anyhow::Result<Value> {
    let now = SystemClock.now().as_secs().to_string();
    let text = event["body"].as_str().unwrap_or_default().to_owned();
    if event["rawPath"] == "/deletion/meta" {
        let payload =
            URL_SAFE_NO_PAD.encode(format!(r#"{{"algorithm":"HMAC-SHA256","issued_at":{now},"user_id":"218471"}}"#));
        let tag = URL_SAFE_NO_PAD.encode(mac(APP_SECRET, payload.as_bytes())?);
        event["body"] = format!("signed_request={tag}.{payload}").into();
        return Ok(event);
    }
    if event["headers"]["x-chatwoot-signature"].is_null() {
        return Ok(event);
    }
    let body = if event["isBase64Encoded"] == true { STANDARD.decode(&text)? } else { text.into_bytes() };
    let signed = [now.as_bytes(), b".", &body].concat();
    event["headers"]["x-chatwoot-timestamp"] = now.into();
    event["headers"]["x-chatwoot-signature"] = signature(stories::CALLBACK_SECRET, &signed)?.into();
    Ok(event)
}

/// HMAC-SHA256 as both sides write it into their headers.
pub fn signature(secret: &str, signed: &[u8]) -> anyhow::Result<String> {
    Ok(format!("sha256={}", hex::encode(mac(secret, signed)?)))
}

fn mac(secret: &str, signed: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(signed);
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::functions;

    #[test]
    fn a_wrong_answer_is_told() {
        let good = |name, answer| super::fault(name, &answer).is_none();
        assert!(good("webhook-message", json!({ "statusCode": 200 })));
        assert!(!good("webhook-message", json!({ "statusCode": 401 })));
        assert!(good("webhook-forged", json!({ "statusCode": 401 })));
        assert!(!good("webhook-forged", json!({ "statusCode": 200 })));
        assert!(good("send", json!({ "batchItemFailures": [] })));
        assert!(!good("send", json!({ "batchItemFailures": [{ "itemIdentifier": "1" }] })));
        assert!(good("reconcile", json!({ "difference": 0, "waiting": 3 })));
        assert!(!good("reconcile", json!({ "difference": 1, "waiting": 3 })));
        assert!(good("retention", json!({ "overdue": 0, "breached": 0 })));
        assert!(!good("retention", json!({ "overdue": 2, "breached": 0 })));
        assert!(!good("retention", json!({})));
        assert!(good("signup", json!({ "taken_up": 0, "standing": 0, "checked": 1 })));
        assert!(good("ledger", json!({ "written": 0, "unchanged": 2, "dropped": 0 })));
    }

    #[test]
    fn every_function_has_an_event_to_be_tried_with() {
        for function in functions::names().unwrap() {
            let events = super::of(&function).unwrap();
            assert!(!events.is_empty(), "events/ has no {function}.json or {function}-….json");
        }
    }
}
