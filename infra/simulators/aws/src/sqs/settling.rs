//! `DeleteMessage`, `ChangeMessageVisibility` and their batches: what becomes of a message that was received.

use std::time::Duration;

use domain::{Clock as _, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Sqs, batch, fault, name_of, nothing, receipt,
    receiving::within,
    store::{Change, Store},
};
use crate::error::ApiError;

/// From its receive on, a message can be hidden this long in all.
const LONGEST_FLIGHT: Duration = Duration::from_secs(43_200);

/// The input of `DeleteMessage` and `ChangeMessageVisibility`, and an entry of their batches.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Settle {
    queue_url: Option<String>,
    id: Option<String>,
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

/// The input of the batches.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SettleBatch {
    queue_url: Option<String>,
    #[serde(default)]
    entries: Vec<Settle>,
}

impl Settle {
    fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}

impl Sqs {
    pub(super) fn delete_message(&self, input: &Settle) -> Result<Value, ApiError> {
        let queue = name_of(input.queue_url.as_deref())?;
        self.delete(queue, input.receipt_handle.as_deref())?;
        Ok(nothing())
    }

    pub(super) fn delete_message_batch(&self, input: &SettleBatch) -> Result<Value, ApiError> {
        self.settle_batch(input, |queue, entry| self.delete(queue, entry.receipt_handle.as_deref()))
    }

    pub(super) fn change_message_visibility(&self, input: &Settle) -> Result<Value, ApiError> {
        self.change(name_of(input.queue_url.as_deref())?, input)?;
        Ok(nothing())
    }

    pub(super) fn change_message_visibility_batch(&self, input: &SettleBatch) -> Result<Value, ApiError> {
        self.settle_batch(input, |queue, entry| self.change(queue, entry))
    }

    fn settle_batch(
        &self,
        input: &SettleBatch,
        settle: impl Fn(&str, &Settle) -> Result<(), ApiError>,
    ) -> Result<Value, ApiError> {
        let queue = name_of(input.queue_url.as_deref())?;
        self.lock().queue(queue)?;
        batch::check(input.entries.iter().map(Settle::id))?;
        let outcome = |entry| settle(queue, entry).map(|()| json!({}));
        Ok(batch::answer(input.entries.iter().map(|entry| (entry.id(), outcome(entry)))))
    }

    /// Deletes the message that was received with this handle.
    pub(crate) fn delete(&self, queue: &str, handle: Option<&str>) -> Result<(), ApiError> {
        let mut store = self.lock();
        let now = self.clock.now();
        let fifo = store.queue(queue)?.attributes.fifo;
        let (order, receipt) = receipt::read(queue, handle)?;
        let deletes = match held(&store, queue, order, &receipt, now) {
            Held::Over | Held::Older if fifo => return Err(fault::expired(handle.unwrap_or_default())),
            Held::Yes { .. } | Held::Over => true,
            Held::Absent | Held::Older => false,
        };
        if deletes {
            self.commit(&mut store, vec![Change::Gone { queue: queue.to_owned(), orders: vec![order] }], now)?;
        }
        Ok(())
    }

    fn change(&self, queue: &str, input: &Settle) -> Result<(), ApiError> {
        let timeout = input.visibility_timeout.ok_or_else(|| fault::missing("VisibilityTimeout"))?;
        let timeout = within("VisibilityTimeout", timeout, 0, 43_200)?;
        self.change_visibility(queue, input.receipt_handle.as_deref(), Duration::from_secs(timeout))
    }

    /// Hides the message that was received with this handle for `timeout` from now.
    pub(crate) fn change_visibility(
        &self,
        queue: &str,
        handle: Option<&str>,
        timeout: Duration,
    ) -> Result<(), ApiError> {
        let mut store = self.lock();
        let now = self.clock.now();
        let fifo = store.queue(queue)?.attributes.fifo;
        let (order, receipt) = receipt::read(queue, handle)?;
        let since = match held(&store, queue, order, &receipt, now) {
            Held::Yes { since } => since,
            Held::Over | Held::Older if !fifo => return Err(fault::not_in_flight()),
            Held::Absent | Held::Over | Held::Older => {
                return Err(fault::invalid(format!(
                    "Value {} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.",
                    handle.unwrap_or_default()
                )));
            }
        };
        if now + timeout > since + LONGEST_FLIGHT {
            return Err(fault::invalid(format!(
                "Value {} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds].",
                timeout.as_secs()
            )));
        }
        self.commit(&mut store, vec![Change::Visible { queue: queue.to_owned(), order, until: now + timeout }], now)
    }
}

/// What a receipt is worth.
enum Held {
    /// The message is gone.
    Absent,
    /// It is out on this receive.
    Yes { since: Timestamp },
    /// This was the last receive, and its time is over.
    Over,
    /// It was received again since.
    Older,
}

fn held(store: &Store, queue: &str, order: u64, receipt: &str, now: Timestamp) -> Held {
    let Some(message) = store.queue(queue).ok().and_then(|queue| queue.messages.get(&order)) else {
        return Held::Absent;
    };
    match &message.flight {
        Some(flight) if flight.receipt == receipt && flight.until > now => Held::Yes { since: flight.since },
        Some(flight) if flight.receipt == receipt => Held::Over,
        _ => Held::Older,
    }
}
