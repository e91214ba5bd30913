//! Works off a batch: groups side by side, each in order.
//! A failure holds back its own group and no other.

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry};
use domain::{RefusalReason, SharedClock, Timestamp};
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use tokio::time::timeout;
use tracing::{Instrument as _, Span};

use crate::{DeadLetters, Queue, backoff, trace};

/// A record is begun only if at least this much of the invocation's time is left: a file may take 90 s.
const MIN_TIME_LEFT: Duration = Duration::from_secs(20);

/// The time reserved for settling a batch at the end of an invocation.
const FINAL_CALLS_TIME: Duration = Duration::from_secs(5);

/// What was returned to its queue and is older than this is late: then the other side is down, not busy.
pub const LATE: Duration = Duration::from_secs(900);

/// A message taken from a queue.
#[derive(Clone, Debug)]
pub struct Record {
    /// SQS's id of it; the same at every receive.
    pub id: String,
    /// Its message group.
    pub group: String,
    /// The task, as JSON.
    pub body: String,
    /// How often it was received, this time included.
    pub receives: u32,
    /// When it was sent to the queue.
    pub sent_at: Timestamp,
    receipt: String,
}

/// What to do with a record that was worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Remove it from the queue.
    Done,
    /// Leave it in the queue, and all of its group behind it.
    Retry {
        /// When to try again; by the usual backoff if the other side did not say.
        after: Option<Duration>,
    },
    /// Dead-letter it, so that its group goes on.
    Poison {
        /// Why.
        reason: RefusalReason,
    },
}

/// What draining a batch needs.
#[derive(Clone, Debug)]
pub struct Drain {
    /// The queue it came from.
    pub queue: Queue,
    /// Its dead letters.
    pub dead_letters: DeadLetters,
    /// By which it is told how much of an invocation's time is left.
    pub clock: SharedClock,
}

/// The result of a batch.
#[derive(Debug, Default)]
pub struct Drained {
    /// What Lambda has to leave in the queue.
    pub response: SqsBatchResponse,
    /// How many records were returned to the queue.
    pub retried: usize,
    /// How many were dead-lettered.
    pub poisoned: usize,
    /// When the oldest of those returned was sent to the queue.
    pub retried_since: Option<Timestamp>,
}

impl Drained {
    /// Whether something that was returned has waited for that long.
    pub fn has_waited(&self, time: Duration, now: Timestamp) -> bool {
        self.retried_since.is_some_and(|since| now.since(since) >= time)
    }

    fn add(&mut self, other: Self) {
        self.response.batch_item_failures.extend(other.response.batch_item_failures);
        self.retried += other.retried;
        self.poisoned += other.poisoned;
        self.retried_since = self.retried_since.into_iter().chain(other.retried_since).min();
    }
}

/// The result of one group: the records that are done, and the rest.
#[derive(Default)]
struct Settled {
    done: Vec<Record>,
    drained: Drained,
}

impl Drain {
    /// Hands each record to `handle`. The invocation ends at `until`.
    pub async fn run<F>(&self, event: SqsEvent, until: Timestamp, handle: impl Fn(Record) -> F) -> Drained
    where
        F: Future<Output = Verdict>,
    {
        self.run_groups(event, |records| {
            let handle = &handle;
            async move {
                let mut verdicts = Vec::new();
                for record in records {
                    let left = until.since(self.clock.now());
                    if left < MIN_TIME_LEFT {
                        verdicts.push(Verdict::Retry { after: Some(Duration::ZERO) });
                        break;
                    }
                    // Otherwise Lambda would kill all work that runs beside it, and hide the whole batch for a long time.
                    let limit = left.saturating_sub(FINAL_CALLS_TIME);
                    let span = trace::span(&record.body);
                    let work = AssertUnwindSafe(handle(record)).catch_unwind().instrument(span);
                    let verdict = timeout(limit, work).await;
                    // A record that panicked or took too long is tried again; the worker that claims its item next counts that as
                    // a crash.
                    verdicts.push(verdict.ok().and_then(Result::ok).unwrap_or(Verdict::Retry { after: None }));
                    if matches!(verdicts.last(), Some(Verdict::Retry { .. })) {
                        break;
                    }
                }
                verdicts
            }
        })
        .await
    }

    /// Hands each group of the batch over as a whole, in order, for work that is the same for all of it. One verdict for each
    /// record is expected back. After a record that is retried, the rest of the group waits with it, except records whose verdict
    /// is done.
    pub async fn run_groups<F>(&self, event: SqsEvent, handle: impl Fn(Vec<Record>) -> F) -> Drained
    where
        F: Future<Output = Vec<Verdict>>,
    {
        let mut work: FuturesUnordered<_> = by_group(event)
            .into_iter()
            .map(|records| {
                let span = records.first().map_or_else(Span::none, |first| trace::span(&first.body));
                let verdicts = AssertUnwindSafe(handle(records.clone())).catch_unwind();
                async move { self.settle(verdicts.await.unwrap_or_default(), records).await }.instrument(span)
            })
            .collect();
        let mut drained = Drained::default();
        let mut done = Vec::new();
        let mut deleting = FuturesUnordered::new();
        while !work.is_empty() {
            // Delete what is done at once. Lambda would do it at the end; until then this customer's next messages would wait for
            // another customer's file. One call at a time deletes what has been completed meanwhile, and no other work waits for
            // it.
            if deleting.is_empty() && !done.is_empty() {
                deleting.push(self.delete(std::mem::take(&mut done)));
            }
            tokio::select! {
                Some(settled) = work.next() => {
                    drained.add(settled.drained);
                    done.extend(settled.done);
                }
                Some(()) = deleting.next(), if !deleting.is_empty() => {}
            }
        }
        while deleting.next().await.is_some() {}
        drained
    }

    /// Acts on the verdicts about a group.
    async fn settle(&self, verdicts: Vec<Verdict>, records: Vec<Record>) -> Settled {
        let Settled { mut done, mut drained } = Settled::default();
        let mut verdicts = verdicts.into_iter();
        let mut records = records.into_iter();
        while let Some(record) = records.next() {
            let verdict = match verdicts.next() {
                Some(Verdict::Poison { reason }) => {
                    let span = trace::span(&record.body);
                    self.dead_letter(&record, reason, &mut drained).instrument(span).await
                }
                Some(verdict) => verdict,
                None => Verdict::Retry { after: None },
            };
            let Verdict::Retry { after } = verdict else {
                done.push(record);
                continue;
            };
            let wait = after.unwrap_or_else(|| backoff(record.receives, &record.id));
            let mut held = vec![record];
            for record in records.by_ref() {
                match verdicts.next() {
                    Some(Verdict::Done) => done.push(record),
                    Some(Verdict::Poison { .. } | Verdict::Retry { .. }) | None => held.push(record),
                }
            }
            self.delay(&held, wait).await;
            drained.retried += held.len();
            drained.retried_since = held.iter().map(|record| record.sent_at).chain(drained.retried_since).min();
            drained.response.batch_item_failures.extend(held.into_iter().map(|record| failure(record.id)));
        }
        Settled { done, drained }
    }

    async fn delete(&self, done: Vec<Record>) {
        let entry = |(at, record): (usize, &Record)| {
            DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(&record.receipt).build().ok()
        };
        let entries: Vec<_> = done.iter().enumerate().filter_map(entry).collect();
        let request = self.queue.client.delete_message_batch().queue_url(&self.queue.url).set_entries(Some(entries));
        if request.send().await.is_err() {
            tracing::debug!("done messages stay until the end of the batch");
        }
    }

    async fn dead_letter(&self, record: &Record, reason: RefusalReason, drained: &mut Drained) -> Verdict {
        match self.dead_letters.put(&record.group, record.body.as_bytes(), reason).await {
            Ok(()) => {
                tracing::error!(reason = reason.word(), message.id = record.id, "a task was put into the dead letters");
                drained.poisoned += 1;
                Verdict::Done
            }
            Err(error) => {
                tracing::warn!(%error, reason = reason.word(), "the dead letters did not take a task; it stays in its queue");
                Verdict::Retry { after: None }
            }
        }
    }

    /// Hides a held group for `wait`, the last record first: the first one must not be overtaken.
    async fn delay(&self, held: &[Record], wait: Duration) {
        let seconds = i32::try_from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).unwrap_or(900);
        let mut entries = Vec::new();
        for (at, record) in held.iter().enumerate().rev() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(&record.receipt)
                .visibility_timeout(seconds)
                .build();
            entries.extend(entry);
        }
        let request =
            self.queue.client.change_message_visibility_batch().queue_url(&self.queue.url).set_entries(Some(entries));
        if request.send().await.is_err() {
            tracing::warn!("the wait of a held group could not be set; the queue's own applies");
        }
    }
}

fn failure(id: String) -> BatchItemFailure {
    let mut failure = BatchItemFailure::default();
    failure.item_identifier = id;
    failure
}

/// The batch's groups, in the order of their first records.
fn by_group(event: SqsEvent) -> Vec<Vec<Record>> {
    let mut groups: Vec<Vec<Record>> = Vec::new();
    for message in event.records {
        let record = Record::read(message);
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| first.group == record.group)) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups
}

impl Record {
    fn read(message: SqsMessage) -> Self {
        let attribute = |name: &str| message.attributes.get(name).cloned().unwrap_or_default();
        Self {
            group: attribute("MessageGroupId"),
            receives: attribute("ApproximateReceiveCount").parse().unwrap_or(1),
            sent_at: Timestamp::from_millis(attribute("SentTimestamp").parse().unwrap_or_default()),
            id: message.message_id.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
        }
    }
}
