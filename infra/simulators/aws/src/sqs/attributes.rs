//! The attributes of a queue: read from strings, checked as AWS checks them.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use serde::Deserialize;

use super::fault::{self, MAX_BYTES};
use crate::error::ApiError;

/// Where messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redrive {
    /// The name of the dead-letter queue.
    pub(crate) target: String,
    /// How often a message is received before it goes there.
    pub(crate) max_receives: u32,
}

/// The attributes, typed.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    /// As they were given.
    pub(crate) given: BTreeMap<String, String>,
    /// Strict order per group.
    pub(crate) fifo: bool,
    /// How long a received message is hidden.
    pub(crate) visibility: Duration,
    /// How long a new message is hidden.
    pub(crate) delay: Duration,
    /// How long a message is kept.
    pub(crate) retention: Duration,
    /// How long a receive waits if it does not say.
    pub(crate) wait: Duration,
    /// The longest message taken.
    pub(crate) max_bytes: usize,
    /// The deduplication id is the body's hash where none is given.
    pub(crate) content_dedup: bool,
    /// Deduplication looks at one group only.
    pub(crate) dedup_by_group: bool,
    /// The dead-letter queue.
    pub(crate) redrive: Option<Redrive>,
}

/// The attributes that may be set, with the range of those that are numbers.
const NUMBERS: [(&str, RangeInclusive<u64>, u64); 5] = [
    ("VisibilityTimeout", 0..=43_200, 30),
    ("DelaySeconds", 0..=900, 0),
    ("MessageRetentionPeriod", 60..=1_209_600, 345_600),
    ("ReceiveMessageWaitTimeSeconds", 0..=20, 0),
    ("MaximumMessageSize", 1024..=MAX_BYTES as u64, MAX_BYTES as u64),
];
const FLAGS: [&str; 3] = ["FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled"];
const OTHERS: [&str; 7] = [
    "Policy",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "DeduplicationScope",
    "FifoThroughputLimit",
];

impl Attributes {
    /// Checks and types the attributes of the queue `name`.
    pub(crate) fn parse(name: &str, given: BTreeMap<String, String>) -> Result<Self, ApiError> {
        for (key, value) in &given {
            check(key, value)?;
        }
        let number = |wanted: &str| {
            let default = NUMBERS.iter().find(|(key, ..)| *key == wanted).map_or(0, |(_, _, default)| *default);
            given.get(wanted).and_then(|value| value.parse().ok()).unwrap_or(default)
        };
        let flag = |wanted: &str| given.get(wanted).is_some_and(|value| value == "true");
        let fifo = flag("FifoQueue");
        if fifo != name.strip_suffix(".fifo").is_some() {
            return Err(fault::invalid(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.",
            ));
        }
        let scope = given.get("DeduplicationScope").map(String::as_str);
        let limit = given.get("FifoThroughputLimit").map(String::as_str);
        for name in ["ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"] {
            if !fifo && given.contains_key(name) {
                return Err(fault::attribute_name(name));
            }
        }
        if limit == Some("perMessageGroupId") && scope != Some("messageGroup") {
            return Err(fault::attribute_value("FifoThroughputLimit"));
        }
        Ok(Self {
            fifo,
            visibility: Duration::from_secs(number("VisibilityTimeout")),
            delay: Duration::from_secs(number("DelaySeconds")),
            retention: Duration::from_secs(number("MessageRetentionPeriod")),
            wait: Duration::from_secs(number("ReceiveMessageWaitTimeSeconds")),
            max_bytes: usize::try_from(number("MaximumMessageSize")).unwrap_or(MAX_BYTES),
            content_dedup: flag("ContentBasedDeduplication"),
            dedup_by_group: scope == Some("messageGroup"),
            redrive: given
                .get("RedrivePolicy")
                .filter(|policy| !policy.is_empty())
                .map(|policy| redrive(policy))
                .transpose()?,
            given,
        })
    }

    /// As `GetQueueAttributes` shows them.
    pub(crate) fn shown(&self) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, String> =
            NUMBERS.iter().map(|(key, _, default)| ((*key).to_owned(), default.to_string())).collect();
        shown.insert("SqsManagedSseEnabled".into(), "true".into());
        if self.fifo {
            shown.insert("ContentBasedDeduplication".into(), "false".into());
            shown.insert("DeduplicationScope".into(), "queue".into());
            shown.insert("FifoThroughputLimit".into(), "perQueue".into());
        }
        shown.extend(
            self.given.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| (key.clone(), value.clone())),
        );
        shown
    }
}

fn check(key: &str, value: &str) -> Result<(), ApiError> {
    if let Some((_, range, _)) = NUMBERS.iter().find(|(name, ..)| *name == key) {
        let fits = value.parse::<u64>().is_ok_and(|number| range.contains(&number));
        return if fits { Ok(()) } else { Err(fault::attribute_value(key)) };
    }
    if FLAGS.contains(&key) {
        return if matches!(value, "true" | "false") { Ok(()) } else { Err(fault::attribute_value(key)) };
    }
    let taken = match key {
        "DeduplicationScope" => matches!(value, "queue" | "messageGroup"),
        "FifoThroughputLimit" => matches!(value, "perQueue" | "perMessageGroupId"),
        _ => true,
    };
    match (OTHERS.contains(&key), taken) {
        (false, _) => Err(fault::attribute_name(key)),
        (true, false) => Err(fault::attribute_value(key)),
        (true, true) => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    dead_letter_target_arn: String,
    max_receive_count: Count,
}

/// Consoles write the count as text, templates as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u32),
    Text(String),
}

fn redrive(policy: &str) -> Result<Redrive, ApiError> {
    let refused = || fault::invalid(format!("Value {policy} for parameter RedrivePolicy is invalid."));
    let policy: Policy = serde_json::from_str(policy).map_err(|_| refused())?;
    let max_receives = match policy.max_receive_count {
        Count::Number(number) => number,
        Count::Text(text) => text.parse().map_err(|_| refused())?,
    };
    if !(1..=1000).contains(&max_receives) {
        return Err(refused());
    }
    let target = name_of_arn(&policy.dead_letter_target_arn).ok_or_else(refused)?;
    Ok(Redrive { target: target.to_owned(), max_receives })
}

/// The ARN of the queue `name`.
pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{}:{}:{name}", crate::REGION, crate::ACCOUNT)
}

/// The name of the queue that an ARN means.
pub(crate) fn name_of_arn(arn: &str) -> Option<&str> {
    let mut parts = arn.split(':');
    (parts.next()? == "arn" && parts.nth(1)? == "sqs").then(|| parts.nth(2)).flatten()
}
