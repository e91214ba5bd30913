//! Receives, hides, shows and deletes the messages of a dead-letter queue.

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
};
use domain::{RefusalReason, Timestamp};

use crate::{
    DeadLetters, Queue, QueueError,
    dead_letter::{DeadLetter, own_group},
};

/// How long a dead letter is invisible while the others are checked; longer than a function runs.
const VISIBILITY_SECONDS: i32 = 600;

/// A receive that waits asks all of SQS's servers. One that does not wait asks some, and an empty answer proves nothing.
const ASKS_ALL: i32 = 1;

/// More dead letters than an operator leaves in a queue, and than one sweep handles.
pub const MAX_DEAD_LETTERS: usize = 20_000;

/// A queue of dead letters.
#[derive(Clone, Debug)]
pub struct DeadLetterQueue {
    sqs: aws_sdk_sqs::Client,
    url: String,
    visibility_seconds: i32,
}

impl DeadLetterQueue {
    /// The dead-letter queue at `url`.
    pub fn new(sqs: aws_sdk_sqs::Client, url: String) -> Self {
        Self { sqs, url, visibility_seconds: VISIBILITY_SECONDS }
    }

    /// The same, which keeps what it receives invisible for another time.
    #[must_use]
    pub fn hiding_for(self, visibility_seconds: i32) -> Self {
        Self { visibility_seconds, ..self }
    }

    /// Gives how many messages it holds in all.
    pub async fn holds(&self) -> Result<u64, QueueError> {
        Queue::new(self.sqs.clone(), self.url.clone()).holds().await
    }

    /// Receives up to ten, and keeps them invisible for a while.
    pub async fn receive(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let request = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .wait_time_seconds(ASKS_ALL)
            .visibility_timeout(self.visibility_seconds)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::SequenceNumber)
            .message_attribute_names("All");
        let answer = request.send().await.map_err(QueueError::call)?;
        Ok(answer.messages.unwrap_or_default().into_iter().map(DeadLetter::from).collect())
    }

    /// Deletes one.
    pub async fn remove(&self, letter: &DeadLetter) -> Result<(), QueueError> {
        let request = self.sqs.delete_message().queue_url(&self.url);
        request.receipt_handle(letter.receipt()).send().await.map_err(QueueError::call)?;
        Ok(())
    }

    /// Deletes up to ten of these receipts; gives how many were not theirs any more.
    pub async fn remove_all(&self, receipts: &[&str]) -> Result<usize, QueueError> {
        let mut request = self.sqs.delete_message_batch().queue_url(&self.url);
        for (at, receipt) in receipts.iter().enumerate() {
            let entry =
                DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(*receipt).build()?;
            request = request.entries(entry);
        }
        Ok(request.send().await.map_err(QueueError::call)?.failed.len())
    }

    /// Puts a dead letter back in a message group of its own, so that what is behind it can be received. Gives the copy's id,
    /// if it is a whole dead letter; nothing at all if another worker may have it in hand, who would put it back as well.
    pub async fn put_back_alone(&self, letter: &DeadLetter) -> Result<Option<String>, QueueError> {
        if !self.hide(&[letter.receipt()], self.visibility_seconds).await? {
            return Ok(None);
        }
        let copy = letter.alone()?.queue_url(&self.url).send_with(&self.sqs).await;
        // A piece is handled again when it is received, with the others of its dead letter.
        let id = copy.map_err(QueueError::call)?.message_id.filter(|_| letter.piece().is_none());
        self.remove(letter).await?;
        Ok(id)
    }

    /// Puts back the part of a dead letter that is about others.
    pub async fn put_rest(&self, of: &DeadLetter, rest: &str) -> Result<(), QueueError> {
        let reason = of.reason().unwrap_or(RefusalReason::UnreadableItem.word());
        let dead_letters = DeadLetters::new(self.sqs.clone(), self.url.clone());
        dead_letters.put_beside(&own_group(), rest.as_bytes(), reason, &of.beside()).await
    }

    /// Makes dead letters visible again that were only checked.
    pub async fn show<'r>(&self, receipts: impl DoubleEndedIterator<Item = &'r str>) {
        // The last first, or the first would be overtaken.
        let receipts: Vec<&str> = receipts.rev().collect();
        for some in receipts.chunks(10) {
            if self.hide(some, 0).await.is_err() {
                tracing::debug!("kept dead letters become visible again by themselves");
            }
        }
    }

    /// Keeps up to ten dead letters invisible for so long from now. Tells whether all of them still were.
    async fn hide(&self, receipts: &[&str], seconds: i32) -> Result<bool, QueueError> {
        let mut request = self.sqs.change_message_visibility_batch().queue_url(&self.url);
        for (at, receipt) in receipts.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(*receipt)
                .visibility_timeout(seconds);
            request = request.entries(entry.build()?);
        }
        Ok(request.send().await.map_err(QueueError::call)?.failed.is_empty())
    }

    /// Deletes what was put back and is by now older than its queue would have kept it; tells how many.
    pub async fn delete_overdue(&self, now: Timestamp) -> Result<usize, QueueError> {
        let (mut kept, mut deleted) = (Vec::new(), 0);
        while kept.len() < MAX_DEAD_LETTERS {
            let page = self.receive().await?;
            if page.is_empty() {
                break;
            }
            for letter in page {
                if letter.is_overdue(now) {
                    self.remove(&letter).await?;
                    deleted += 1;
                } else {
                    kept.push(letter.receipt().to_owned());
                }
            }
        }
        self.show(kept.iter().map(String::as_str)).await;
        Ok(deleted)
    }
}
