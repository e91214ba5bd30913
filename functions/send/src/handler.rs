//! Takes a batch of sync requests apart, and says what becomes of each.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use app::{Clients, Function, HandlerError, MAX_REFUSALS, NextStep, QueueFunction, Settings, StartError};
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use domain::{
    CommandNote, MessageId, OutboundTask, RefusalReason, SharedClock, SyncRequest, Timestamp, erasure::ErasureDeadlines,
};
use futures_util::future::join;
use platform::{Environment, Metric, Metrics, Setting};
use queue::{Drain, Drained, Record, Verdict, backoff};
use store::ErasureRequests;

use crate::{
    convert::template::ApprovedTemplates,
    delivery::SendLanes,
    erasure_guard::is_drain_marker,
    sync::{Batch, ReadReceiptQueue, ReceiptCooldown, SyncJob, SyncOutcome, SyncReport, read_receipt_queue},
};

/// How long Chatwoot has to refuse a sync at least before its request is dropped: receives may also have been spent on waiting
/// for a turn. `reconcile` enqueues new ones.
const REFUSED_MAX_WAIT: Duration = Duration::from_secs(1800);

/// How long a template's sync request stays invisible while its number cannot send: the request that reports the end of the hold
/// is queued behind it.
const HOLD_DELAY: Duration = Duration::from_secs(300);

/// How many records the event source takes at once (`BatchSize` in the template).
const MAX_BATCH: usize = 10;

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    pub(crate) clients: Clients,
    pub(crate) drain: Drain,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) receipt_cooldown: ReceiptCooldown,
    pub(crate) lanes: SendLanes,
    pub(crate) templates: ApprovedTemplates,
    /// Whether this Chatwoot keeps a failed status that was to be taken back.
    pub(crate) failures_stay: AtomicBool,
    pub(crate) requests: ErasureRequests,
    /// The shop's distance from UTC in minutes.
    pub(crate) utc_offset: i64,
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), app::Error> {
    app::run_sqs(Box::pin(Handler::from_env(Environment::process(), clock)).await?).await
}

impl Function for Handler {
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    async fn warm_up(&self) {
        self.clients.warm_up(&self.drain.queue).await;
    }
}

impl QueueFunction for Handler {
    async fn drain(&self, event: SqsEvent, until: Timestamp) -> Drained {
        let batch = Batch { until, shared: groups(&event) > 1, full: false };
        let (receipts, taken) = read_receipt_queue();
        let drain = async {
            let drained = self.drain.run_groups(event, |records| self.group(records, batch, &receipts)).await;
            drop(receipts);
            drained
        };
        let drained = join(drain, self.send_read_receipts(taken, until)).await.0;
        self.clients.note_silences().await;
        drained
    }
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let (settings, drain, utc_offset) = env.read(|env| {
            let settings = Settings::read(env, "send", clock);
            let drain = settings.base.drain(env, Setting::OutboundQueueUrl, Setting::OutboundDeadLettersUrl);
            (settings, drain, env.parsed::<i64>(Setting::UtcOffset))
        })?;
        let clients = Clients::new(settings).await?;
        Ok(Self {
            utc_offset,
            drain,
            metrics: clients.metrics.clone(),
            receipt_cooldown: ReceiptCooldown::default(),
            lanes: SendLanes::default(),
            templates: ApprovedTemplates::default(),
            failures_stay: AtomicBool::new(false),
            // This function only reads erasure requests; it sets no deadlines for them.
            requests: ErasureRequests::new(
                clients.table.clone(),
                clients.key.clone(),
                ErasureDeadlines { deletion_days: 0, warn_days: Vec::new(), confirm_hours: 0 },
            ),
            clients,
        })
    }

    /// Works off one message group. Tasks that are not messages have groups of their own.
    async fn group(&self, records: Vec<Record>, batch: Batch, receipts: &ReadReceiptQueue) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for record in &records {
            let verdict = match task(&record.body) {
                Some(OutboundTask::TypingV1(typing)) => {
                    self.typing(&typing).await;
                    Verdict::Done
                }
                Some(OutboundTask::CommandV1(command)) => self.answer(record, &command, batch, receipts).await,
                Some(OutboundTask::SyncRequestV1(_) | OutboundTask::DrainMarkerV1(_)) | None => break,
            };
            verdicts.push(verdict);
            if matches!(verdicts.last(), Some(Verdict::Retry { .. })) {
                return verdicts;
            }
        }
        let rest = records[verdicts.len()..].to_vec();
        if !rest.is_empty() {
            verdicts.extend(self.conversation(rest, batch, receipts).await);
        }
        verdicts
    }

    async fn answer(
        &self,
        record: &Record,
        command: &CommandNote,
        batch: Batch,
        receipts: &ReadReceiptQueue,
    ) -> Verdict {
        let request = SyncRequest::new(command.channel.clone(), command.account, command.conversation);
        let batch = Batch { shared: false, full: false, ..batch };
        let job = SyncJob::of(request, std::slice::from_ref(record), &[], batch, receipts);
        match self.command(&job, command.message).await {
            Ok(()) => Verdict::Done,
            Err(error) => self.failed(record, &job.request, &error).await,
        }
    }

    /// Handles all sync requests of a batch for one conversation with a single sync.
    async fn conversation(&self, records: Vec<Record>, batch: Batch, receipts: &ReadReceiptQueue) -> Vec<Verdict> {
        if let Some(verdicts) = self.drain_markers(&records).await {
            return verdicts;
        }
        let requests: Vec<Option<SyncRequest>> = records.iter().map(|record| sync_request(&record.body)).collect();
        let readable: Vec<&SyncRequest> = requests.iter().flatten().collect();
        let Some(first) = readable.first() else {
            return vec![Verdict::Poison { reason: RefusalReason::UnreadableTask }; records.len()];
        };
        let resolved_at = readable.iter().filter_map(|request| request.resolved_at).max();
        let request = SyncRequest { resolved_at, ..(*first).clone() };
        let batch = Batch { full: records.len() >= MAX_BATCH, ..batch };
        let job = SyncJob::of(request, &records, &readable, batch, receipts);
        self.metrics.add(Metric::Coalesced, records.len().saturating_sub(1));
        let report = Box::pin(self.sync_conversation(&job)).await;
        let verdict = match &report {
            Ok(report) => self.verdict(&records[0], report),
            Err(error) => self.failed(&records[0], &job.request, error).await,
        };
        let needed = report.ok().map(|report| report.needed);
        let mut verdicts = verdicts(&requests, needed.as_ref(), verdict);
        for (verdict, record) in verdicts.iter_mut().zip(&records) {
            if is_drain_marker(record) {
                // Its turn comes when everything older is out of the group.
                *verdict = Verdict::Retry { after: Some(Duration::ZERO) };
            }
        }
        verdicts
    }

    /// What a sync's end means for the request that led to it.
    fn verdict(&self, record: &Record, report: &SyncReport) -> Verdict {
        let after = match report.outcome {
            SyncOutcome::Held if !report.needed.is_empty() => self.pause(record).min(HOLD_DELAY),
            SyncOutcome::UpToDate | SyncOutcome::Held => return Verdict::Done,
            SyncOutcome::OutOfTime => Duration::ZERO,
            SyncOutcome::Soon { after } => after,
            SyncOutcome::Waits { after, at_most } => {
                // Meta's delay is the minimum; a limit that lasts is not asked again at that pace for hours.
                let pace = after.unwrap_or_default().max(self.pause(record));
                at_most.map_or(pace, |most| pace.min(most))
            }
        };
        Verdict::Retry { after: Some(after) }
    }

    /// How long to wait before the next try: twice as long each time. Waiting for a turn counts as a receive, too, so a sync
    /// request never waits longer than it is old.
    fn pause(&self, record: &Record) -> Duration {
        let age = self.clients.clock.now().since(record.sent_at);
        backoff(record.receives, &record.id).min(age.max(Duration::from_secs(1)))
    }

    /// A sync request never becomes a dead letter: the conversation is watched and gets new requests for a day.
    async fn failed(&self, record: &Record, request: &SyncRequest, error: &HandlerError) -> Verdict {
        let refused_for = self.clients.clock.now().since(record.sent_at);
        let is_enough = record.receives >= MAX_REFUSALS && refused_for >= REFUSED_MAX_WAIT;
        match error.next_step(self.pause(record), is_enough) {
            NextStep::Retry { after } => {
                tracing::warn!(%error, receives = record.receives, "conversation sync deferred");
                Verdict::Retry { after: Some(after) }
            }
            NextStep::GiveUp => {
                if let Err(error) =
                    self.clients.cursor.watch(&request.channel, request.account, request.conversation).await
                {
                    tracing::warn!(%error, "conversation cannot be watched; its sync request is kept");
                    return Verdict::Retry { after: None };
                }
                tracing::error!(%error, "conversation sync given up until its next request: Chatwoot keeps refusing");
                Verdict::Done
            }
            NextStep::DeadLetter => Verdict::Poison { reason: RefusalReason::UnusableItem },
        }
    }
}

/// The verdicts on all sync requests of a conversation, given the one on the first. One waiting request is enough, besides
/// those that no other request can replace: `needed` are the templates whose values are still needed, nothing after a failure.
/// What is queued behind them comes in the next batch.
fn verdicts(requests: &[Option<SyncRequest>], needed: Option<&BTreeSet<MessageId>>, verdict: Verdict) -> Vec<Verdict> {
    let first = requests.iter().position(Option::is_some);
    let of = |(at, request): (usize, &Option<SyncRequest>)| match (request, needed) {
        (None, _) => Verdict::Poison { reason: RefusalReason::UnreadableTask },
        (Some(request), Some(needed)) if first != Some(at) && !is_kept(request, needed) => Verdict::Done,
        // If this request were dropped with the others, what was picked in a template would be lost.
        (Some(request), None) if request.template.is_some() && verdict == Verdict::Done => {
            Verdict::Retry { after: Some(HOLD_DELAY) }
        }
        (Some(_), _) => verdict,
    };
    requests.iter().enumerate().map(of).collect()
}

/// Whether a sync request holds what no sync could find out: what was picked in a template, or that the conversation was
/// resolved.
fn is_kept(request: &SyncRequest, needed: &BTreeSet<MessageId>) -> bool {
    request.resolved_at.is_some() || request.template.is_some_and(|message| needed.contains(&message))
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
        OutboundTask::SyncRequestV1(request) => Some(request),
        OutboundTask::TypingV1(_) | OutboundTask::CommandV1(_) | OutboundTask::DrainMarkerV1(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, ConversationId, PhoneNumberId};

    use super::*;

    fn request() -> SyncRequest {
        SyncRequest::new(PhoneNumberId::new("1"), AccountId(1), ConversationId(1))
    }

    #[test]
    fn one_waiting_request_is_enough_besides_those_nothing_replaces() {
        let wait = Verdict::Retry { after: None };
        let picked = |id| Some(SyncRequest { template: Some(MessageId(id)), ..request() });
        let resolved = Some(SyncRequest { resolved_at: Some(Timestamp::from_secs(1)), ..request() });
        let requests = [None, Some(request()), Some(request()), picked(7), picked(8), resolved];
        let poison = Verdict::Poison { reason: RefusalReason::UnreadableTask };
        let needed = BTreeSet::from([MessageId(7)]);
        let expected = [poison, wait, Verdict::Done, wait, Verdict::Done, wait];
        assert_eq!(verdicts(&requests, Some(&needed), wait), expected);
    }

    #[test]
    fn a_request_that_is_dropped_after_a_failure_does_not_take_picked_values_with_it() {
        let picked = SyncRequest { template: Some(MessageId(7)), ..request() };
        let kept = Verdict::Retry { after: Some(HOLD_DELAY) };
        assert_eq!(verdicts(&[Some(request()), Some(picked)], None, Verdict::Done), [Verdict::Done, kept]);
    }
}
