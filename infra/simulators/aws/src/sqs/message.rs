//! A message, what is known of it, and the checksums that SDKs compare.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::{attributes, fault};
use crate::error::ApiError;

/// A typed attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttributeValue {
    /// `String`, `Number` or `Binary`, with a label of one's own after a dot.
    pub(crate) data_type: String,
    /// The value, unless it is binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) string_value: Option<String>,
    /// The value in base64, if it is binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binary_value: Option<String>,
}

/// Attributes by name.
pub(crate) type AttributeValues = BTreeMap<String, AttributeValue>;

/// A receive whose message was not deleted yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flight {
    /// When it was received.
    pub(crate) since: Timestamp,
    /// When it shows again.
    pub(crate) until: Timestamp,
    /// Which receive it was.
    pub(crate) receipt: String,
}

impl Flight {
    /// Whether it is still hidden for its queue's visibility timeout, and not for a time its consumer chose.
    pub(crate) fn is_plain(&self, visibility: Duration) -> bool {
        self.until == self.since + visibility
    }
}

/// A message in a queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Its place in the queue, and what its sequence number is made of.
    pub(crate) order: u64,
    /// The id minted here.
    pub(crate) id: String,
    /// The content.
    pub(crate) body: String,
    /// The message group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// The deduplication id, given or computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dedup_id: Option<String>,
    /// What the sender attached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attributes: AttributeValues,
    /// What the sender attached for AWS: the trace header.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) system_attributes: AttributeValues,
    /// When it was first sent.
    pub(crate) sent_at: Timestamp,
    /// When it came into this queue.
    pub(crate) enqueued_at: Timestamp,
    /// The delay it was sent with; absent means the queue's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay_seconds: Option<u32>,
    /// How often it was received, also from the queue it came from.
    pub(crate) receive_count: u32,
    /// How often it was received from this queue.
    pub(crate) tries: u32,
    /// When it was first received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_received: Option<Timestamp>,
    /// The receive it is out on, which may be over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flight: Option<Flight>,
    /// The ARN of the queue that gave it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source_arn: Option<String>,
}

/// Whether a message can be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Delayed(Timestamp),
    InFlight(Timestamp),
}

impl Message {
    /// Whether it can be received at `now`, in a queue with this delay.
    pub(crate) fn state(&self, now: Timestamp, queue_delay: Duration) -> State {
        if let Some(flight) = &self.flight {
            return if flight.until > now { State::InFlight(flight.until) } else { State::Waiting };
        }
        let delay = self.delay_seconds.map_or(queue_delay, |seconds| Duration::from_secs(seconds.into()));
        let shows = self.enqueued_at + delay;
        if shows > now { State::Delayed(shows) } else { State::Waiting }
    }

    /// The sequence number of a FIFO queue: always 20 digits, always growing.
    pub(crate) fn sequence_number(&self) -> String {
        sequence_number(self.order)
    }

    /// What SQS itself says of the message.
    pub(crate) fn system(&self, fifo: bool) -> BTreeMap<String, String> {
        let mut system = BTreeMap::from([
            ("SenderId".to_owned(), "AIDAIENQZJOLO23YVJ4VO".to_owned()),
            ("SentTimestamp".to_owned(), self.sent_at.as_millis().to_string()),
            ("ApproximateReceiveCount".to_owned(), self.receive_count.to_string()),
        ]);
        let mut say = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                system.insert(name.to_owned(), value);
            }
        };
        say("ApproximateFirstReceiveTimestamp", self.first_received.map(|at| at.as_millis().to_string()));
        say("MessageGroupId", self.group.clone());
        say("MessageDeduplicationId", self.dedup_id.clone());
        say("SequenceNumber", fifo.then(|| self.sequence_number()));
        say("DeadLetterQueueSourceArn", self.source_arn.clone());
        say(
            "AWSTraceHeader",
            self.system_attributes.get("AWSTraceHeader").and_then(|value| value.string_value.clone()),
        );
        system
    }

    /// The name of the queue that gave it up.
    pub(crate) fn source(&self) -> Option<&str> {
        self.source_arn.as_deref().and_then(attributes::name_of_arn)
    }
}

/// The sequence number of the message at `order`.
pub(crate) fn sequence_number(order: u64) -> String {
    (18_849_496_460_467_696_128_u128 + u128::from(order) * 256).to_string()
}

/// The MD5 of a body, in hex.
pub(crate) fn md5_of(body: &str) -> String {
    format!("{:x}", md5::compute(body))
}

/// The MD5 of attributes, in hex: names in order, each part with its length before it.
pub(crate) fn md5_of_attributes(attributes: &AttributeValues) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    let part = |bytes: &mut Vec<u8>, part: &[u8]| {
        bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(part);
    };
    for (name, value) in attributes {
        part(&mut bytes, name.as_bytes());
        part(&mut bytes, value.data_type.as_bytes());
        if let Some(binary) = &value.binary_value {
            bytes.push(2);
            part(&mut bytes, &BASE64_STANDARD.decode(binary).unwrap_or_default());
        } else {
            bytes.push(1);
            part(&mut bytes, value.string_value.as_deref().unwrap_or_default().as_bytes());
        }
    }
    Some(format!("{:x}", md5::compute(bytes)))
}

/// Checks what a sender wrote; answers its size.
pub(crate) fn check_content(body: &str, attributes: &AttributeValues, max_bytes: usize) -> Result<usize, ApiError> {
    if body.is_empty() {
        return Err(fault::missing("MessageBody"));
    }
    let carried =
        |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if !body.chars().all(carried) {
        return Err(fault::contents());
    }
    if attributes.len() > 10 {
        return Err(fault::invalid("Number of message attributes exceeds the allowed maximum [10]."));
    }
    for (name, value) in attributes {
        check_attribute(name, value)?;
    }
    let bytes = size(body, attributes);
    if bytes > max_bytes {
        return Err(fault::invalid(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {max_bytes} bytes."
        )));
    }
    Ok(bytes)
}

fn check_attribute(name: &str, value: &AttributeValue) -> Result<(), ApiError> {
    let kind = value.data_type.split('.').next().unwrap_or_default();
    let has_value = match kind {
        "String" | "Number" => value.string_value.as_ref().is_some_and(|value| !value.is_empty()),
        "Binary" => value.binary_value.as_ref().is_some_and(|value| BASE64_STANDARD.decode(value).is_ok()),
        _ => {
            return Err(fault::invalid(format!(
                "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type prefixes: Binary, Number, String."
            )));
        }
    };
    if has_value {
        return Ok(());
    }
    Err(fault::invalid(format!("The message (user) attribute '{name}' must contain a non-empty value of its type.")))
}

/// How many bytes count against the limits.
pub(crate) fn size(body: &str, attributes: &AttributeValues) -> usize {
    let attributes: usize = attributes
        .iter()
        .map(|(name, value)| {
            let binary = value
                .binary_value
                .as_ref()
                .map_or(0, |value| BASE64_STANDARD.decode(value).map_or(0, |bytes| bytes.len()));
            name.len() + value.data_type.len() + value.string_value.as_ref().map_or(0, String::len) + binary
        })
        .sum();
    body.len() + attributes
}

/// Checks a group or deduplication id.
pub(crate) fn check_id(parameter: &str, id: &str) -> Result<(), ApiError> {
    let taken =
        !id.is_empty() && id.len() <= 128 && id.chars().all(|c| c.is_ascii_alphanumeric() || c.is_ascii_punctuation());
    if taken {
        return Ok(());
    }
    Err(fault::invalid(format!(
        "Value {id} for parameter {parameter} is invalid. Reason: {parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
    )))
}
