//! `send` brings conversations up to date from `outbound.fifo`. A sync request names a conversation, and `send` reads Chatwoot's
//! own list of its messages. Agents' messages go to WhatsApp in order, each part at most once by itself, and the outcome is
//! written back on each message in words.

mod adopt;
mod brake;
mod budget;
mod call;
mod commands;
mod deferral;
mod delivery;
mod erasure_guard;
mod interactive;
mod location;
mod parts;
mod preconditions;
mod preparation;
mod read_receipts;
mod repair;
mod save;
mod send_slot;
mod sync;
mod template_lookup;
mod told_red;
mod upload;
mod voice;

use std::{collections::BTreeSet, time::Duration};

use app::{Clients, HandlerError, Settings, StartError};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::{
    Class, Classify as _, MessageId, OutboundTask, RefusalReason, SharedClock, SyncRequest, Timestamp,
    erasure::ErasureDeadlines, template::Picked,
};
use futures_util::future::join;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::{Environment, Metric, Metrics, Setting};
use queue::{DeadLetters, Drain, Queue, Record, Verdict, backoff};
use read_receipts::{ReadReceiptQueue, ReceiptCooldown, read_receipt_queue};
use store::ErasureRequests;
use tokio::time::Instant;

/// How often Chatwoot may refuse what a sync asks of it before the sync request is dropped; `reconcile` enqueues new ones.
const MAX_REFUSALS: u32 = 12;

/// The least time this has to last before the request is dropped: receives may also have been spent on waiting for a turn.
const REFUSED_MAX_WAIT: Duration = Duration::from_secs(1800);

/// How long a template's sync request stays invisible while its number cannot send: the request that reports the end of the hold
/// is queued behind it.
const HOLD_DELAY: Duration = Duration::from_secs(300);

/// How many records the event source takes at once (`BatchSize` in the template).
const MAX_BATCH: usize = 10;

/// After this many receives, record an attempt before working, so that a message that crashes us is detected.
const SUSPECT_RECEIVES: u32 = 2;

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clients: Clients,
    drain: Drain,
    metrics: Metrics,
    receipts_rest: ReceiptCooldown,
    lanes: send_slot::Lanes,
    templates: template_lookup::ApprovedTemplates,
    requests: ErasureRequests,
}

/// How one sync of a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SyncOutcome {
    /// Everything is sent, or failed with an error text.
    UpToDate,
    /// Something certainly was not sent and will be tried again.
    Waits {
        /// Not before this, if Meta said so.
        after: Option<Duration>,
        /// Not after this, since the agent has to be told by then.
        at_most: Option<Duration>,
    },
    /// It is too early to go on; nothing is wrong.
    Soon {
        /// Not before this.
        after: Duration,
    },
    /// The number cannot send. What lets it send again enqueues a sync request, and so does every round of `reconcile` until
    /// then.
    Held,
    /// The invocation's time is nearly over, or other conversations have waited long enough.
    OutOfTime,
}

/// A batch as a whole.
#[derive(Clone, Copy, Debug)]
struct Batch {
    /// When the invocation should have ended.
    until: Instant,
    /// Whether the batch has several conversations in it.
    shared: bool,
    /// Whether one conversation fills the batch: then more sync requests with what callbacks reported of it may be queued behind
    /// it.
    full: bool,
}

/// The result of a sync.
struct SyncReport {
    looked: SyncOutcome,
    /// Messages whose values, as picked in a template, are still needed.
    needed: BTreeSet<MessageId>,
}

/// What a sync works with.
struct SyncJob<'a> {
    hint: SyncRequest,
    /// Templates that callbacks reported.
    picked: Vec<(MessageId, Picked)>,
    /// Whether the only news is that agents resolved the conversation.
    only_resolves: bool,
    /// All messages that callbacks reported.
    messages: Vec<MessageId>,
    /// Messages that callbacks reported as red (shown as failed) and that are not ours to send.
    reds: Vec<MessageId>,
    /// Links of surveys that callbacks reported.
    surveys: Vec<(MessageId, String)>,
    /// When the newest sync request was enqueued.
    hinted_at: Timestamp,
    /// When each sync request was enqueued, and since when Chatwoot has been asked in vain what happened.
    asked_at: Vec<Timestamp>,
    batch: Batch,
    /// Whether an earlier sync may have crashed before it reported an outcome.
    suspect: bool,
    /// Where a sync puts the read receipts that are due for the customer's messages.
    due: &'a ReadReceiptQueue,
}

impl SyncJob<'_> {
    /// Whether what was written at that time counts as seen in time, though it is read only now. It does if a sync request was
    /// enqueued within the hour after it, or was in the queue already when it was written and could not be followed since.
    fn saw_in_time(&self, written_at: Timestamp, now: Timestamp) -> bool {
        self.asked_at.iter().chain([&now]).any(|asked_at| asked_at.since(written_at) <= sync::MAX_MESSAGE_AGE)
    }
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let send = &Handler::from_env(Environment::process(), clock).await?;
    send.clients.warm_up(&send.drain.queue).await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let left = Timestamp::from_millis(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
        let left = left.since(send.clients.clock.now());
        Ok::<_, Error>(send.handle(event.payload, left).await)
    }))
    .await
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let outbound = env.text(Setting::OutboundQueueUrl);
        let dead_letters = env.text(Setting::OutboundDeadLettersUrl);
        let stack = env.text(Setting::StackName);
        let settings = Settings::read(&mut env);
        let (Some(outbound), Some(dead_letters), Some(stack), Some(settings)) =
            (outbound, dead_letters, stack, settings)
        else {
            return Err(env.into_error().into());
        };
        let clients = Clients::new(settings, clock).await?;
        let sqs = &clients.sqs;
        Ok(Self {
            drain: Drain {
                queue: Queue::new(sqs.clone(), outbound),
                dead_letters: DeadLetters::new(sqs.clone(), dead_letters),
            },
            metrics: Metrics::new("send", stack),
            receipts_rest: ReceiptCooldown::default(),
            lanes: send_slot::Lanes::default(),
            templates: template_lookup::ApprovedTemplates::default(),
            // This function only reads erasure requests; it sets no deadlines for them.
            requests: ErasureRequests::new(
                clients.table.clone(),
                clients.key.clone(),
                ErasureDeadlines { deletion_days: 0, warn_days: Vec::new(), confirm_hours: 0 },
            ),
            clients,
        })
    }

    /// Works off one batch. `left` is the invocation's remaining time.
    pub async fn handle(&self, event: SqsEvent, left: Duration) -> SqsBatchResponse {
        let until = Instant::now() + left;
        let batch = Batch { until, shared: groups(&event) > 1, full: false };
        let (due, ticks) = read_receipt_queue();
        let drain = async {
            let drained = self.drain.run_groups(event, |records| self.group(records, batch, &due)).await;
            drop(due);
            drained
        };
        let (drained, ()) = join(drain, self.send_read_receipts(ticks, until)).await;
        self.metrics.add(Metric::Retried, drained.retried);
        self.metrics.add(Metric::Poisoned, drained.poisoned);
        self.metrics.emit(self.clients.clock.now());
        drained.response
    }

    /// Works off one message group. Tasks that are not messages have groups of their own.
    async fn group(&self, records: Vec<Record>, batch: Batch, due: &ReadReceiptQueue) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let beside = |record: &&Record| {
            matches!(task(&record.body), Some(OutboundTask::TypingV1(_) | OutboundTask::CommandV1(_)))
        };
        for record in records.iter().take_while(beside) {
            verdicts.push(self.beside(record, batch, due).await);
            if matches!(verdicts.last(), Some(Verdict::Retry { .. })) {
                return verdicts;
            }
        }
        let rest = records[verdicts.len()..].to_vec();
        if !rest.is_empty() {
            verdicts.extend(self.conversation(rest, batch, due).await);
        }
        verdicts
    }

    async fn beside(&self, record: &Record, batch: Batch, due: &ReadReceiptQueue) -> Verdict {
        let command = match task(&record.body) {
            Some(OutboundTask::TypingV1(typing)) => {
                self.typing(&typing).await;
                return Verdict::Done;
            }
            Some(OutboundTask::CommandV1(command)) => command,
            Some(OutboundTask::HintV1(_) | OutboundTask::ProbeV1(_)) | None => {
                return Verdict::Poison { reason: RefusalReason::UnreadableTask };
            }
        };
        let sync = SyncRequest::look(command.channel.clone(), command.account, command.conversation);
        let task = SyncJob {
            hint: sync,
            picked: Vec::new(),
            only_resolves: false,
            messages: Vec::new(),
            reds: Vec::new(),
            surveys: Vec::new(),
            hinted_at: record.sent_at,
            asked_at: vec![record.sent_at],
            batch: Batch { shared: false, full: false, ..batch },
            suspect: record.receives >= SUSPECT_RECEIVES,
            due,
        };
        let mut done = self.command(&task, command.message).await;
        if done.as_ref().is_err_and(HandlerError::is_chatwoot_token) && self.clients.renew_chatwoot_token().await {
            done = self.command(&task, command.message).await;
        }
        match done {
            Ok(()) => Verdict::Done,
            Err(error) => self.failed(record, &task.hint, &error).await,
        }
    }

    /// Handles all sync requests of a batch for one conversation with a single sync.
    async fn conversation(&self, records: Vec<Record>, batch: Batch, due: &ReadReceiptQueue) -> Vec<Verdict> {
        let parsed: Vec<Option<SyncRequest>> = records.iter().map(|record| sync_request(&record.body)).collect();
        if let Some(verdicts) = self.drain_markers(&records).await {
            return verdicts;
        }
        let Some(sync) = parsed.iter().flatten().next().cloned() else {
            return vec![Verdict::Poison { reason: RefusalReason::UnreadableTask }; records.len()];
        };
        let resolved_at = parsed.iter().flatten().filter_map(|hint| hint.resolved_at).max();
        let hint = SyncRequest { resolved_at, ..sync };
        let task = SyncJob {
            picked: parsed.iter().flatten().filter_map(|hint| Some((hint.template?, *hint.picked.clone()?))).collect(),
            only_resolves: parsed.iter().flatten().all(only_resolves),
            messages: parsed.iter().flatten().filter_map(|hint| hint.message).collect(),
            reds: parsed.iter().flatten().filter_map(|hint| hint.red).collect(),
            surveys: parsed.iter().flatten().filter_map(|hint| Some((hint.message?, hint.survey.clone()?))).collect(),
            asked_at: records
                .iter()
                .map(|record| record.sent_at)
                .chain(parsed.iter().flatten().filter_map(|hint| hint.unseen_since))
                .collect(),
            hinted_at: records.iter().map(|record| record.sent_at).max().unwrap_or_default(),
            hint,
            batch: Batch { full: records.len() >= MAX_BATCH, ..batch },
            suspect: records.iter().any(|record| record.receives >= SUSPECT_RECEIVES),
            due,
        };
        self.metrics.add(Metric::Coalesced, records.len().saturating_sub(1));
        let mut looked = Box::pin(self.sync_conversation(&task)).await;
        if looked.as_ref().is_err_and(HandlerError::is_chatwoot_token) && self.clients.renew_chatwoot_token().await {
            looked = Box::pin(self.sync_conversation(&task)).await;
        }
        let first = &records[0];
        let (looked, needed) = match looked {
            Ok(SyncReport { looked, needed }) => (Ok(looked), Some(needed)),
            Err(error) => (Err(error), None),
        };
        let verdict = match looked {
            Ok(SyncOutcome::Held) if needed.as_ref().is_some_and(|needed| !needed.is_empty()) => {
                Verdict::Retry { after: Some(self.pause(first).min(HOLD_DELAY)) }
            }
            Ok(SyncOutcome::UpToDate | SyncOutcome::Held) => Verdict::Done,
            Ok(SyncOutcome::OutOfTime) => Verdict::Retry { after: Some(Duration::ZERO) },
            Ok(SyncOutcome::Soon { after }) => Verdict::Retry { after: Some(after) },
            Ok(SyncOutcome::Waits { after, at_most }) => {
                // Meta's delay is the minimum; a limit that lasts is not asked again at that pace for hours.
                let pace = after.unwrap_or_default().max(self.pause(first));
                Verdict::Retry { after: Some(at_most.map_or(pace, |most| pace.min(most))) }
            }
            Err(error) => self.failed(first, &task.hint, &error).await,
        };
        let clock = parsed.iter().position(Option::is_some);
        let of = |(at, (hint, record)): (usize, (&Option<SyncRequest>, &Record))| match hint {
            // One waiting request is enough, besides those that no other request can replace. What is queued behind them comes
            // in the next batch.
            Some(hint) if clock != Some(at) && needed.as_ref().is_some_and(|needed| !is_kept(hint, needed)) => {
                Verdict::Done
            }
            // If this request were dropped with the others, what was picked in a template would be lost.
            Some(hint) if needed.is_none() && hint.template.is_some() && verdict == Verdict::Done => {
                Verdict::Retry { after: Some(HOLD_DELAY) }
            }
            Some(_) => verdict,
            // Its turn comes when everything older is out of the group.
            None if erasure_guard::is_drain_marker(record) => Verdict::Retry { after: Some(Duration::ZERO) },
            None => Verdict::Poison { reason: RefusalReason::UnreadableTask },
        };
        parsed.iter().zip(&records).enumerate().map(of).collect()
    }

    /// How long to wait before the next try: twice as long each time. Waiting for a turn counts as a receive, too, so a sync
    /// request never waits longer than it is old.
    fn pause(&self, record: &Record) -> Duration {
        let age = self.clients.clock.now().since(record.sent_at);
        backoff(record.receives, &record.id).min(age.max(Duration::from_secs(1)))
    }

    /// A sync request never becomes a dead letter: the conversation is watched and gets new requests for a day.
    async fn failed(&self, record: &Record, sync: &SyncRequest, error: &HandlerError) -> Verdict {
        let pace = self.pause(record);
        let refused_for = self.clients.clock.now().since(record.sent_at);
        match error.class() {
            Class::Transient { after } => {
                tracing::warn!(%error, receives = record.receives, "a conversation has to wait");
                Verdict::Retry { after: Some(after.unwrap_or_default().max(pace)) }
            }
            Class::Permanent | Class::Uncertain if record.receives < MAX_REFUSALS || refused_for < REFUSED_MAX_WAIT => {
                tracing::warn!(%error, receives = record.receives, "Chatwoot refuses; the conversation has to wait");
                Verdict::Retry { after: Some(pace) }
            }
            Class::Permanent | Class::Uncertain => {
                if let Err(error) = self.clients.cursor.watch(&sync.channel, sync.account, sync.conversation).await {
                    tracing::warn!(%error, "a conversation cannot be watched; its hint is kept");
                    return Verdict::Retry { after: None };
                }
                tracing::error!(%error, "Chatwoot keeps refusing; the conversation waits for its next hint");
                Verdict::Done
            }
            Class::Poison => Verdict::Poison { reason: RefusalReason::UnusableItem },
        }
    }
}

fn only_resolves(sync: &SyncRequest) -> bool {
    sync.resolved_at.is_some() && sync.message.is_none() && sync.template.is_none() && sync.red.is_none()
}

/// Whether a sync request holds what no sync could find out: what was picked in a template, or that the conversation was
/// resolved.
fn is_kept(sync: &SyncRequest, needed: &BTreeSet<MessageId>) -> bool {
    sync.resolved_at.is_some() || sync.template.is_some_and(|message| needed.contains(&message))
}

/// How many conversations a batch contains.
fn groups(event: &SqsEvent) -> usize {
    let group = |record: &SqsMessage| record.attributes.get("MessageGroupId").cloned();
    event.records.iter().map(group).collect::<BTreeSet<_>>().len()
}

fn task(body: &str) -> Option<OutboundTask> {
    serde_json::from_str(body).ok()
}

fn sync_request(body: &str) -> Option<SyncRequest> {
    match task(body)? {
        OutboundTask::HintV1(hint) => Some(hint),
        OutboundTask::TypingV1(_) | OutboundTask::CommandV1(_) | OutboundTask::ProbeV1(_) => None,
    }
}
