//! A received message as Lambda's event source mapping puts it into a record.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sqs::Handed;

/// A message that was received in process.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message's id.
    pub message_id: String,
    /// What it is deleted by.
    pub receipt_handle: String,
    /// The content.
    pub body: String,
    /// The MD5 of the body, in hex.
    pub md5: String,
    /// What SQS says of it: `ApproximateReceiveCount`, `SentTimestamp`, `MessageGroupId` and so on.
    pub attributes: BTreeMap<String, String>,
    /// What the sender attached, in the spelling of a record: `{"name": {"dataType": …, "stringValue": …}}`.
    pub message_attributes: Value,
}

impl From<Handed> for Received {
    fn from(handed: Handed) -> Self {
        let Handed { message, receipt_handle, fifo } = handed;
        let attributes = message.attributes.iter().map(|(name, value)| {
            let mut shown = json!({"dataType": value.data_type, "stringListValues": [], "binaryListValues": []});
            if let Some(text) = &value.string_value {
                shown["stringValue"] = json!(text);
            }
            if let Some(binary) = &value.binary_value {
                shown["binaryValue"] = json!(binary);
            }
            (name.clone(), shown)
        });
        Self {
            message_attributes: Value::Object(attributes.collect()),
            attributes: message.system(fifo),
            md5: crate::sqs::md5_of(&message.body),
            message_id: message.id,
            receipt_handle,
            body: message.body,
        }
    }
}
