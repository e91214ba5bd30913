//! `SendMessage` and its batch: what is taken, and what is a repeat.

use domain::{Clock as _, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Sqs, batch, fault,
    message::{self, AttributeValues, Message},
    name_of,
    queue::{Queue, Seen},
    store::{Change, Store},
};
use crate::error::ApiError;

/// The input of `SendMessage`, and an entry of its batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Send {
    queue_url: Option<String>,
    id: Option<String>,
    message_body: Option<String>,
    delay_seconds: Option<u32>,
    #[serde(default)]
    message_attributes: AttributeValues,
    #[serde(default)]
    message_system_attributes: AttributeValues,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

/// The input of `SendMessageBatch`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendBatch {
    queue_url: Option<String>,
    #[serde(default)]
    entries: Vec<Send>,
}

impl Sqs {
    pub(super) fn send_message(&self, input: Send) -> Result<Value, ApiError> {
        let queue = name_of(input.queue_url.as_deref())?.to_owned();
        self.send(&mut self.lock(), &queue, input)
    }

    pub(super) fn send_message_batch(&self, input: SendBatch) -> Result<Value, ApiError> {
        let queue = name_of(input.queue_url.as_deref())?;
        let mut store = self.lock();
        store.queue(queue)?;
        let ids: Vec<String> = input.entries.iter().map(|entry| entry.id.clone().unwrap_or_default()).collect();
        batch::check(ids.iter().map(String::as_str))?;
        let size =
            |entry: &Send| message::size(entry.message_body.as_deref().unwrap_or_default(), &entry.message_attributes);
        let bytes = input.entries.iter().map(size).sum();
        if bytes > fault::MAX_BYTES {
            return Err(fault::batch_too_long(bytes));
        }
        // What is wrong with the parameters of one entry refuses the whole; what is wrong with its content, only that entry.
        for entry in &input.entries {
            check_parameters(store.queue(queue)?, entry, entry.message_body.as_deref().unwrap_or_default())?;
        }
        let outcomes = input.entries.into_iter().map(|entry| self.send(&mut store, queue, entry));
        let outcomes: Vec<_> = outcomes.collect();
        Ok(batch::answer(ids.iter().map(String::as_str).zip(outcomes)))
    }

    fn send(&self, store: &mut Store, name: &str, input: Send) -> Result<Value, ApiError> {
        let now = self.clock.now();
        let queue = store.queue(name)?;
        let body = input.message_body.as_deref().unwrap_or_default();
        message::check_content(body, &input.message_attributes, queue.attributes.max_bytes)?;
        let dedup_id = check_parameters(queue, &input, body)?;
        let mut answer = json!({"MD5OfMessageBody": message::md5_of(body)});
        if let Some(md5) = message::md5_of_attributes(&input.message_attributes) {
            answer["MD5OfMessageAttributes"] = json!(md5);
        }
        if let Some(md5) = message::md5_of_attributes(&input.message_system_attributes) {
            answer["MD5OfMessageSystemAttributes"] = json!(md5);
        }
        let key =
            dedup_id.as_ref().map(|id| queue.dedup_key(input.message_group_id.as_deref().unwrap_or_default(), id));
        if let Some(seen) = key.as_ref().and_then(|key| queue.repeat_of(key, now)) {
            answer["MessageId"] = json!(seen.id);
            answer["SequenceNumber"] = json!(message::sequence_number(seen.order));
            return Ok(answer);
        }
        let message = new_message(store.next_order(), input, dedup_id, now);
        answer["MessageId"] = json!(message.id);
        if key.is_some() {
            answer["SequenceNumber"] = json!(message.sequence_number());
        }
        let seen = key.map(|key| {
            let seen = Seen { at: now, id: message.id.clone(), order: message.order };
            Change::Seen { queue: name.to_owned(), key, seen }
        });
        let put = Change::Put { queue: name.to_owned(), message };
        self.commit(store, [put].into_iter().chain(seen).collect(), now)?;
        Ok(answer)
    }
}

/// Checks what differs between the kinds of queue; answers the deduplication id of a FIFO queue's message.
fn check_parameters(queue: &Queue, input: &Send, body: &str) -> Result<Option<String>, ApiError> {
    let not_for_this_kind = |name: &str, value: &str| {
        fault::invalid(format!(
            "Value {value} for parameter {name} is invalid. Reason: The request include parameter that is not valid for this queue type."
        ))
    };
    if let Some(group) = &input.message_group_id {
        message::check_id("MessageGroupId", group)?;
    }
    if let Some(id) = &input.message_deduplication_id {
        message::check_id("MessageDeduplicationId", id)?;
    }
    if let Some(delay) = input.delay_seconds.filter(|delay| *delay > 900) {
        return Err(fault::invalid(format!(
            "Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
        )));
    }
    if !queue.attributes.fifo {
        return match &input.message_deduplication_id {
            Some(id) => Err(not_for_this_kind("MessageDeduplicationId", id)),
            None => Ok(None),
        };
    }
    if let Some(delay) = input.delay_seconds.filter(|delay| *delay > 0) {
        return Err(not_for_this_kind("DelaySeconds", &delay.to_string()));
    }
    if input.message_group_id.is_none() {
        return Err(fault::missing("MessageGroupId"));
    }
    match &input.message_deduplication_id {
        Some(id) => Ok(Some(id.clone())),
        None if queue.attributes.content_dedup => Ok(Some(hex::encode(Sha256::digest(body)))),
        None => Err(fault::invalid(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        )),
    }
}

fn new_message(order: u64, input: Send, dedup_id: Option<String>, now: Timestamp) -> Message {
    Message {
        order,
        id: uuid::Uuid::new_v4().to_string(),
        body: input.message_body.unwrap_or_default(),
        group: input.message_group_id,
        delay_seconds: input.delay_seconds.filter(|_| dedup_id.is_none()),
        dedup_id,
        attributes: input.message_attributes,
        system_attributes: input.message_system_attributes,
        sent_at: now,
        enqueued_at: now,
        receive_count: 0,
        tries: 0,
        first_received: None,
        flight: None,
        source_arn: None,
    }
}
