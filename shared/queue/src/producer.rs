//! Puts tasks into a FIFO queue.

use std::collections::HashSet;

use aws_sdk_sqs::{
    Client,
    types::{QueueAttributeName, SendMessageBatchRequestEntry},
};
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::QueueError;

/// How many bytes SQS takes at once, less what the entries' own fields may count.
const MAX_BATCH_BYTES: usize = 1024 * 1024 - 16 * 1024;

/// How many messages SQS takes at once.
const MAX_BATCH: usize = 10;

/// A message to be put into a queue.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    /// Messages of one group come out in the order they went in.
    pub group: String,
    /// SQS accepts and drops a second message with the same id within five minutes.
    pub dedup: String,
    /// The task, as JSON.
    pub body: String,
}

impl QueueMessage {
    /// Serializes a task.
    pub fn new(group: impl Into<String>, dedup: impl Into<String>, task: &impl Serialize) -> Result<Self, QueueError> {
        // SQS refuses the two noncharacters, and JSON may write them as escapes. They can only occur inside strings.
        let mut body = serde_json::to_string(task)?;
        if body.contains(['\u{fffe}', '\u{ffff}']) {
            body = body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
        }
        Ok(Self { group: group.into(), dedup: dedup.into(), body })
    }

    /// Whether SQS would take it.
    pub fn fits(&self) -> bool {
        self.body.len() <= MAX_BATCH_BYTES
    }
}

/// A FIFO queue to put tasks into.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) client: Client,
    pub(crate) url: String,
}

impl Queue {
    /// The queue at `url`.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends all messages, each group in its order. An error means that some may be missing.
    pub async fn send_all(&self, messages: Vec<QueueMessage>) -> Result<(), QueueError> {
        let lanes = lanes(messages).into_iter().map(async |lane| {
            for batch in batches(lane) {
                self.send_batch(batch).await?;
            }
            Ok(())
        });
        try_join_all(lanes).await.map(|_| ())
    }

    /// Sends one message.
    pub async fn send(&self, message: QueueMessage) -> Result<(), QueueError> {
        self.send_all(vec![message]).await
    }

    /// How many messages are in the queue, including those in flight or delayed. SQS counts them within about a minute.
    pub async fn holds(&self) -> Result<u64, QueueError> {
        self.count(&[
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ])
        .await
    }

    /// How many messages could be received now. SQS counts them within about a minute.
    pub async fn visible(&self) -> Result<u64, QueueError> {
        self.count(&[QueueAttributeName::ApproximateNumberOfMessages]).await
    }

    async fn count(&self, counts: &[QueueAttributeName]) -> Result<u64, QueueError> {
        let request =
            self.client.get_queue_attributes().queue_url(&self.url).set_attribute_names(Some(counts.to_vec()));
        let shown = request.send().await.map_err(QueueError::call)?.attributes.unwrap_or_default();
        Ok(counts.iter().filter_map(|count| shown.get(count)?.parse::<u64>().ok()).sum())
    }

    async fn send_batch(&self, messages: Vec<QueueMessage>) -> Result<(), QueueError> {
        let of = messages.len();
        let mut entries = Vec::with_capacity(of);
        for (at, letter) in messages.into_iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .message_body(letter.body)
                .message_group_id(letter.group)
                .message_deduplication_id(letter.dedup)
                .build()?;
            entries.push(entry);
        }
        let request = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer = request.send().await.map_err(QueueError::call)?;
        let refused = answer.failed.len();
        if refused == 0 { Ok(()) } else { Err(QueueError::Partly { refused, of }) }
    }
}

/// How many messages justify one more parallel sender.
const LANE_BATCHES: usize = 50;

/// The most parallel senders.
const MAX_LANES: usize = 8;

/// Splits messages for parallel senders; all messages of a group go to one of them. Where each has a group of its own, all batches
/// but the last are full.
fn lanes(messages: Vec<QueueMessage>) -> Vec<Vec<QueueMessage>> {
    let count = (messages.len() / LANE_BATCHES).clamp(1, MAX_LANES);
    let mut lanes = vec![Vec::new(); count];
    let distinct = messages.iter().map(|letter| letter.group.as_str()).collect::<HashSet<_>>().len() == messages.len();
    for (at, letter) in messages.into_iter().enumerate() {
        let hash = |sum: usize, byte: u8| sum.wrapping_mul(31).wrapping_add(byte.into());
        let lane = if distinct { at / MAX_BATCH } else { letter.group.bytes().fold(0, hash) };
        lanes[lane % count].push(letter);
    }
    lanes
}

/// Batches within both of SQS's limits, the order kept.
fn batches(messages: Vec<QueueMessage>) -> Vec<Vec<QueueMessage>> {
    let mut batches: Vec<Vec<QueueMessage>> = Vec::new();
    let mut bytes = 0;
    for letter in messages {
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_BATCH && bytes + letter.body.len() <= MAX_BATCH_BYTES => {
                bytes += letter.body.len();
                batch.push(letter);
            }
            _ => {
                bytes = letter.body.len();
                batches.push(vec![letter]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: usize, bytes: usize) -> QueueMessage {
        QueueMessage { group: "g".into(), dedup: id.to_string(), body: "x".repeat(bytes) }
    }

    #[test]
    fn noncharacters_are_spelled_out() {
        let body = QueueMessage::new("g", "d", &"a\u{ffff}b\u{fffe}").unwrap().body;
        assert_eq!(body, r#""a\uffffb\ufffe""#);
        assert_eq!(serde_json::from_str::<String>(&body).unwrap(), "a\u{ffff}b\u{fffe}");
    }

    #[test]
    fn a_group_is_in_one_lane_and_in_its_order() {
        let letters: Vec<_> =
            (0..500).map(|id| QueueMessage { group: format!("g{}", id % 40), ..letter(id, 1) }).collect();
        let lanes = lanes(letters);
        assert_eq!(lanes.len(), MAX_LANES);
        assert_eq!(lanes.iter().map(Vec::len).sum::<usize>(), 500);
        for group in 0..40 {
            let group = format!("g{group}");
            let homes: Vec<_> = lanes.iter().filter(|lane| lane.iter().any(|letter| letter.group == group)).collect();
            let ids = homes[0]
                .iter()
                .filter(|letter| letter.group == group)
                .map(|letter| letter.dedup.parse::<u32>().unwrap());
            assert!(homes.len() == 1 && ids.is_sorted());
        }
        assert_eq!(super::lanes((0..10).map(|id| letter(id, 1)).collect()).len(), 1);
    }

    #[test]
    fn groups_of_one_message_each_fill_their_batches() {
        let slices = (0..503).map(|at| QueueMessage { group: format!("g{at}"), ..letter(at, 2_000) }).collect();
        let lanes = lanes(slices);
        assert_eq!(lanes.len(), MAX_LANES);
        assert_eq!(lanes.into_iter().map(|lane| batches(lane).len()).sum::<usize>(), 51);
    }

    #[test]
    fn batches_keep_order_and_both_limits() {
        let letters: Vec<_> = (0..27).map(|id| letter(id, if id == 5 { 900_000 } else { 60_000 })).collect();
        let batches = batches(letters);
        for batch in &batches {
            assert!(batch.len() <= MAX_BATCH && batch.iter().map(|l| l.body.len()).sum::<usize>() <= MAX_BATCH_BYTES);
        }
        let order: Vec<usize> = batches.iter().flatten().map(|l| l.dedup.parse().unwrap()).collect();
        assert_eq!(order, (0..27).collect::<Vec<_>>());
    }
}
