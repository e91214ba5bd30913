//! Checks how statuses report what Meta charges for a message.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::{
    HashKey, InboundTask, Pricing, Timestamp,
    pricing::{Category, Rate},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use whatsapp::{AppSecret, webhook};

/// The pricing of a status that carries this, and the task read back from a queue.
fn read(pricing: &Value) -> Option<Pricing> {
    let status = json!({"id": "wamid.1", "status": "sent", "timestamp": "1795190403", "recipient_id": "5215555550123",
        "pricing": pricing});
    let value = json!({"metadata": {"phone_number_id": "104857600123456"}, "statuses": [status]});
    let body = json!({"object": "whatsapp_business_account",
        "entry": [{"id": "109876543210987", "changes": [{"field": "messages", "value": value}]}]});
    let body = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
    mac.update(body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let secret = AppSecret::new("secret".into());
    let verified = secret.verify(&signature, body.as_bytes()).unwrap();
    let key = HashKey::new("key".into());
    let webhook = webhook::parse(verified, &key, Timestamp::from_secs(1_795_200_000)).unwrap();
    let queued = serde_json::to_string(&webhook.tasks[0].task).unwrap();
    let InboundTask::StatusV1(status) = serde_json::from_str(&queued).unwrap() else { panic!("{queued}") };
    status.pricing
}

#[test]
fn category_rate_and_the_older_flag_are_read() {
    let pricing = json!({"billable": true, "pricing_model": "PMP", "category": "service", "type": "regular"});
    let expected = Pricing { category: Category::Service, kind: Rate::Regular, billable: Some(true) };
    assert_eq!(read(&pricing), Some(expected));
    let pricing = json!({"category": "authentication-international", "type": "free_entry_point"});
    let category = Category::AuthenticationInternational;
    assert_eq!(read(&pricing), Some(Pricing { category, kind: Rate::FreeEntryPoint, billable: None }));
}

#[test]
fn words_of_the_future_are_other_and_odd_shapes_are_none() {
    let unknown = read(&json!({"category": "telepathy", "type": {"a": 1}})).unwrap();
    assert_eq!((unknown.category.word(), unknown.kind.word()), ("other", "other"));
    for odd in [json!(null), json!("free"), json!(7), json!([])] {
        assert_eq!(read(&odd), None, "{odd}");
    }
}

#[test]
fn a_status_queued_by_an_older_version_has_no_price() {
    let older = r#"{"task":"status_v1","channel":"1","item":"a","id":"wamid.1","delivery":{"state":"sent"},"at":1,
        "customer":{}}"#;
    let InboundTask::StatusV1(status) = serde_json::from_str(older).unwrap() else { panic!("{older}") };
    assert_eq!(status.pricing, None);
}
