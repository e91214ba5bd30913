//! `ReceiveMessage`: what is handed out, what goes to the dead-letter queue instead, and the long poll.

use std::{sync::atomic::Ordering, time::Duration};

use domain::{Clock as _, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Hold, Sqs, attributes, fault,
    message::{self, AttributeValues, Flight, Message},
    name_of, receipt,
    store::{Change, Store},
};
use crate::error::ApiError;

/// The input of `ReceiveMessage`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Receive {
    queue_url: Option<String>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

/// A message as it is handed out.
#[derive(Clone, Debug)]
pub(crate) struct Handed {
    /// What was received, with this receive counted.
    pub(crate) message: Message,
    /// What it is deleted by.
    pub(crate) receipt_handle: String,
    /// Whether its queue keeps order.
    pub(crate) fifo: bool,
}

/// What was handed out, and in how long something more shows by itself.
type Shown = (Vec<Handed>, Option<Duration>);

impl Sqs {
    pub(super) async fn receive_message(&self, input: Receive) -> Result<Value, ApiError> {
        let queue = name_of(input.queue_url.as_deref())?;
        let default_wait = self.lock().queue(queue)?.attributes.wait;
        let max = within("MaxNumberOfMessages", input.max_number_of_messages.unwrap_or(1), 1, 10)?;
        let visibility =
            input.visibility_timeout.map(|seconds| within("VisibilityTimeout", seconds, 0, 43_200)).transpose()?;
        let wait = input.wait_time_seconds.map(|seconds| within("WaitTimeSeconds", seconds, 0, 20)).transpose()?;
        let wait = wait.map_or(default_wait, Duration::from_secs);
        let max = usize::try_from(max).unwrap_or(1);
        if wait.is_zero() && self.misses() {
            return Ok(json!({}));
        }
        let wait = if self.at_once.load(Ordering::Relaxed) { Duration::ZERO } else { wait };
        let handed = self.receive(queue, max, visibility.map(Duration::from_secs), wait).await?;
        if handed.is_empty() {
            return Ok(json!({}));
        }
        let messages: Vec<Value> = handed.iter().map(|handed| input.shown(handed)).collect();
        Ok(json!({"Messages": messages}))
    }

    /// Whether a short poll asks servers that have nothing.
    fn misses(&self) -> bool {
        self.lagging.get().short_polls && self.short_polls.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
    }

    /// Receives up to `max` messages; waits up to `wait` of real time until there is one.
    pub(crate) async fn receive(
        &self,
        queue: &str,
        max: usize,
        visibility: Option<Duration>,
        wait: Duration,
    ) -> Result<Vec<Handed>, ApiError> {
        self.wait_for(wait, || self.receive_now(queue, max, visibility)).await
    }

    /// The same for a function, which has the messages in hand until the hold is dropped.
    pub(crate) async fn take(&self, queue: &str, max: usize, wait: Duration) -> Result<(Vec<Handed>, Hold), ApiError> {
        let mut hold = self.in_hand.take(queue, &[]);
        let taken = self.wait_for(wait, || {
            let mut store = self.lock();
            let shown = self.receive_from(&mut store, queue, max, None)?;
            // Before anybody can move the clock.
            hold = self.in_hand.take(queue, &shown.0);
            Ok(shown)
        });
        Ok((taken.await?, hold))
    }

    /// Receives again and again until there is something, or `wait` is over: in real time, or by the clock where that is moved.
    async fn wait_for(
        &self,
        wait: Duration,
        mut receive: impl FnMut() -> Result<Shown, ApiError>,
    ) -> Result<Vec<Handed>, ApiError> {
        let deadline = Instant::now() + wait;
        let by_clock = self.clock.now() + wait;
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let (handed, shows_in) = receive()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !handed.is_empty() || left.is_zero() || self.clock.now() >= by_clock {
                return Ok(handed);
            }
            // A clock that stands still never reaches the moment; then a change or the end of the wait wakes us.
            let pause = left.min(shows_in.unwrap_or(left).max(Duration::from_millis(5)));
            let _ = tokio::time::timeout(pause, changed.changed()).await;
        }
    }

    /// Receives what is there; also tells in how long something more shows by itself.
    pub(super) fn receive_now(&self, name: &str, max: usize, visibility: Option<Duration>) -> Result<Shown, ApiError> {
        self.receive_from(&mut self.lock(), name, max, visibility)
    }

    fn receive_from(
        &self,
        store: &mut Store,
        name: &str,
        max: usize,
        visibility: Option<Duration>,
    ) -> Result<Shown, ApiError> {
        let now = self.clock.now();
        self.finish_moves(store, now)?;
        self.drop_overdue(store, name, now)?;
        let queue = store.queue(name)?;
        let redrive = queue.attributes.redrive.as_ref().filter(|redrive| store.queue(&redrive.target).is_ok());
        let pick = queue.pick(now, max, redrive.map(|redrive| redrive.max_receives));
        let visibility = visibility.unwrap_or(queue.attributes.visibility);
        let fifo = queue.attributes.fifo;
        let target = redrive.map(|redrive| redrive.target.clone());
        let mut changes = target.map(|target| give_up(store, name, &target, &pick.dead, now)).unwrap_or_default();
        changes.extend(pick.deliver.iter().map(|order| {
            let flight = Flight { since: now, until: now + visibility, receipt: uuid::Uuid::new_v4().to_string() };
            Change::Received { queue: name.to_owned(), order: *order, flight }
        }));
        self.commit(store, changes, now)?;
        let queue = store.queue(name)?;
        let handed = pick.deliver.iter().filter_map(|order| queue.messages.get(order)).map(|message| {
            let receipt = message.flight.as_ref().map(|flight| flight.receipt.as_str()).unwrap_or_default();
            let receipt_handle = receipt::write(name, message.order, receipt);
            Handed { message: message.clone(), receipt_handle, fifo }
        });
        Ok((handed.collect(), queue.next_change(now).map(|at| at.since(now))))
    }
}

/// Messages that were received too often go to the dead-letter queue, as they are but for their place.
fn give_up(store: &Store, from: &str, target: &str, orders: &[u64], now: Timestamp) -> Vec<Change> {
    let Ok(queue) = store.queue(from) else { return Vec::new() };
    if orders.is_empty() {
        return Vec::new();
    }
    let mut changes = vec![Change::Gone { queue: from.to_owned(), orders: orders.to_vec() }];
    let given_up = orders.iter().filter_map(|order| queue.messages.get(order));
    changes.extend(given_up.zip(store.next_order()..).map(|(message, order)| {
        // Retention starts anew in a FIFO queue only.
        let enqueued_at = if queue.attributes.fifo { now } else { message.enqueued_at };
        let source_arn = Some(attributes::arn(from));
        let message = Message { order, enqueued_at, tries: 0, flight: None, source_arn, ..message.clone() };
        Change::Put { queue: target.to_owned(), message }
    }));
    changes
}

impl Receive {
    fn shown(&self, handed: &Handed) -> Value {
        let message = &handed.message;
        let wanted = |name: &str| {
            let mut names = self.attribute_names.iter().chain(&self.message_system_attribute_names);
            names.any(|wanted| wanted == "All" || wanted == name)
        };
        let mut system = message.system(handed.fifo);
        system.retain(|name, _| wanted(name));
        let attributes: AttributeValues = message
            .attributes
            .iter()
            .filter(|(name, _)| self.message_attribute_names.iter().any(|wanted| names(wanted, name)))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut shown = json!({
            "MessageId": message.id,
            "ReceiptHandle": handed.receipt_handle,
            "MD5OfBody": message::md5_of(&message.body),
            "Body": message.body,
        });
        if !system.is_empty() {
            shown["Attributes"] = json!(system);
        }
        if let Some(md5) = message::md5_of_attributes(&attributes) {
            shown["MD5OfMessageAttributes"] = json!(md5);
            shown["MessageAttributes"] = json!(attributes);
        }
        shown
    }
}

/// Whether a wish such as `All`, `.*`, `bar.*` or a name covers an attribute.
fn names(wanted: &str, name: &str) -> bool {
    wanted == "All" || wanted == name || wanted.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
}

/// A number within its limits.
pub(super) fn within(parameter: &str, value: i64, least: i64, most: i64) -> Result<u64, ApiError> {
    if (least..=most).contains(&value) {
        return Ok(value.unsigned_abs());
    }
    Err(fault::invalid(format!(
        "Value {value} for parameter {parameter} is invalid. Reason: Must be between {least} and {most}, if provided."
    )))
}
