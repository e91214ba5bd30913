//! Writes the tasks of `history.fifo` into Chatwoot: what a phone app tells of its past. Each message is written once, the oldest
//! of a person first, as notes that nobody is told of. Nothing is written that is older than what is kept, and nobody comes back
//! who was erased.

mod book;
mod file;
mod note;
mod pace;
mod slice;

use std::{sync::Arc, time::Duration};

use app::{Clients, Function, HandlerError, InboxLocks, MAX_REFUSALS, NextStep, QueueFunction, Settings, StartError};
use aws_lambda_events::sqs::SqsEvent;
use chatwoot::Chatwoot;
use domain::{
    Channel, CustomerId, DrainMarker, HistoryTask, Identity, KeyedHash, RefusalReason, SharedClock, Timestamp,
    history::HistoryChunk, keyed_hash::WorkItem, task::UnreadTask,
};
use note::Style;
use pace::Pace;
use platform::{Environment, Metric, Metrics, Setting};
use queue::{Drain, Drained, Queue, Record, Verdict, backoff};
use slice::SliceWork;
use store::{Claim, ClaimGuard, DataInventory, DataSubject, ItemOutcome};
use tokio::sync::Mutex;

/// The queue's name in the erasure's records: that of all that comes in.
const QUEUE_NAME: &str = "inbound";

/// How often a task may crash the function before it is dead-lettered.
const MAX_CRASHES: i64 = 5;

/// A task is begun only if so much of the invocation's time is left.
const MIN_TIME_LEFT: Duration = Duration::from_secs(45);

/// Meta sends the files of the last fourteen days; a day more for the way.
const META_FILES_SPAN: Duration = Duration::from_secs(15 * 86_400);

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clients: Clients,
    drain: Drain,
    inbound: Queue,
    inventory: DataInventory,
    locks: InboxLocks,
    pace: Pace,
    style: Style,
    per_minute: u32,
    /// Whether files come, too.
    files: bool,
    retention: Duration,
    /// One task at a time: they share the rate, and the counts of their number.
    one: Mutex<()>,
    metrics: Arc<Metrics>,
}

/// What happens next with a task.
enum Step {
    /// It is done.
    Done,
    /// It waits in its queue.
    Later(Duration),
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
        // It calls Chatwoot alone: it neither reads nor may read a channel's secret.
        let channels = self.clients.channels.remember_all();
        platform::warm_up(Box::pin(async { tokio::join!(channels, self.drain.queue.holds()) })).await;
    }
}

impl QueueFunction for Handler {
    async fn drain(&self, batch: SqsEvent, until: Timestamp) -> Drained {
        self.drain.run(batch, until, |record| self.record(record, until)).await
    }
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let (settings, drain, inbound, per_minute, files, utc_offset, days) = env.read(|env| {
            let settings = Settings::read(env, "history", clock);
            let drain = settings.base.drain(env, Setting::HistoryQueueUrl, Setting::HistoryDeadLettersUrl);
            let inbound = settings.base.queue(env, Setting::InboundQueueUrl);
            let per_minute = env.parsed::<u32>(Setting::HistoryPerMinute);
            let files = env.parsed::<bool>(Setting::HistoryFiles);
            let utc_offset = env.parsed::<i64>(Setting::UtcOffset);
            (settings, drain, inbound, per_minute, files, utc_offset, env.parsed::<u64>(Setting::RetentionDays))
        })?;
        let clients = Clients::new(settings).await?;
        Ok(Self {
            drain,
            inbound,
            inventory: DataInventory::new(clients.table.clone(), clients.key.clone()),
            locks: InboxLocks::default(),
            pace: Pace::default(),
            style: Style { locale: clients.locale, utc_offset, files_since: None },
            per_minute,
            files,
            retention: Duration::from_secs(days * 86_400),
            one: Mutex::default(),
            metrics: clients.metrics.clone(),
            clients,
        })
    }

    /// How notes are written now.
    fn style(&self) -> Style {
        let files_since = self.files.then(|| self.clients.clock.now() - META_FILES_SPAN);
        Style { files_since, ..self.style }
    }

    async fn record(&self, record: Record, until: Timestamp) -> Verdict {
        let Ok(task) = serde_json::from_str::<HistoryTask>(&record.body) else {
            return self.unreadable(&record).await;
        };
        if let HistoryTask::DrainMarkerV1(marker) = &task {
            return self.drain_marker(marker).await;
        }
        let _alone = self.one.lock().await;
        if until.since(self.clients.clock.now()) < MIN_TIME_LEFT {
            return Verdict::Retry { after: Some(Duration::ZERO) };
        }
        match Box::pin(self.task(&record, &task)).await {
            Ok(Step::Done) => Verdict::Done,
            Ok(Step::Later(after)) => Verdict::Retry { after: Some(after.max(Duration::from_secs(1))) },
            Err(error) => self.failed(&record, &task, &error).await,
        }
    }

    async fn task(&self, record: &Record, task: &HistoryTask) -> Result<Step, HandlerError> {
        if self.clients.claims.is_settled(task.item()).await? {
            return self.repeated(record, task).await;
        }
        let Some(number) = task.channel() else { return Ok(Step::Done) };
        let Some(channel) = self.clients.channels.get(number).await? else {
            if let Some((guard, _)) = self.take(record, task.item()).await? {
                self.dead_letter(record, task, Some(&guard), RefusalReason::UnknownChannel).await?;
            }
            return Ok(Step::Done);
        };
        let channel = &*channel;
        match task {
            HistoryTask::SliceV1(slice) => Box::pin(SliceWork { handler: self, record, slice, channel }.go()).await,
            HistoryTask::ChunkV1(chunk) => self.chunk(record, chunk).await,
            HistoryTask::NameV1(entry) => book::go(self, record, channel, entry).await,
            HistoryTask::FileV1(file) => file::go(self, record, channel, file).await,
            // `record` handles these before.
            HistoryTask::DrainMarkerV1(_) => Ok(Step::Done),
        }
    }

    /// Takes a task's claim; nothing if there is nothing to be done. The second value says that an earlier attempt may have done
    /// it already.
    async fn take(
        &self,
        record: &Record,
        item: &KeyedHash<WorkItem>,
    ) -> Result<Option<(ClaimGuard, bool)>, HandlerError> {
        match self.clients.claims.take(item, &record.id).await? {
            Claim::Won(guard) => Ok(Some((guard, false))),
            Claim::Retaken { guard, crashes, .. } if crashes >= MAX_CRASHES => {
                if let Ok(task) = serde_json::from_str::<HistoryTask>(&record.body) {
                    self.dead_letter(record, &task, Some(&guard), RefusalReason::CrashesTheFunction).await?;
                }
                Ok(None)
            }
            Claim::Retaken { guard, .. } => Ok(Some((guard, true))),
            Claim::Busy { for_at_most } => Err(HandlerError::Busy(for_at_most.min(Duration::from_secs(60)))),
            Claim::Done | Claim::Finished => Ok(None),
        }
    }

    /// Meta says everything again where it did not hear the answer.
    async fn repeated(&self, record: &Record, task: &HistoryTask) -> Result<Step, HandlerError> {
        if let (Claim::Done, Some(number)) = (self.clients.claims.take(task.item(), &record.id).await?, task.channel())
        {
            let weight = task.weight();
            self.metrics.add(Metric::Duplicate, usize::try_from(weight).unwrap_or_default());
            self.clients.ledger.repeat_many(number.as_str(), task.item(), weight, &record.id).await?;
        }
        Ok(Step::Done)
    }

    /// Records how far Meta is. Its error says that there is no history.
    async fn chunk(&self, record: &Record, chunk: &HistoryChunk) -> Result<Step, HandlerError> {
        let Some((guard, _)) = self.take(record, &chunk.item).await? else { return Ok(Step::Done) };
        self.clients.imports.report(&chunk.channel, chunk.position, chunk.error).await?;
        let outcome = if let Some(code) = chunk.error {
            tracing::warn!(channel.id = %chunk.channel, code, "Meta sends no history of a phone: the shop does not share it");
            ItemOutcome::Refused(RefusalReason::NotShared)
        } else {
            ItemOutcome::Done
        };
        self.clients.ledger.close(chunk.channel.as_str(), &guard, outcome).await?;
        Ok(Step::Done)
    }

    async fn drain_marker(&self, marker: &DrainMarker) -> Verdict {
        match self.clients.erasures.drain_marker_is_out(&marker.code, QUEUE_NAME, &marker.group).await {
            Ok(()) => Verdict::Done,
            Err(error) => {
                tracing::warn!(%error, "drain marker deferred");
                Verdict::Retry { after: None }
            }
        }
    }

    /// Whether an agent deleted the customer's contact, which asks for an erasure.
    async fn was_deleted(
        &self,
        channel: &Channel,
        chatwoot: &Chatwoot,
        customer: &CustomerId,
        person: &Identity,
    ) -> Result<bool, HandlerError> {
        let mut subject = DataSubject::of(person);
        subject.customers.insert(customer.clone());
        subject.only = Some(channel.account);
        app::is_contact_deleted(&self.inventory, chatwoot, channel, customer, &subject).await
    }

    async fn failed(&self, record: &Record, task: &HistoryTask, error: &HandlerError) -> Verdict {
        let mut refusals = 0;
        let mut guard = None;
        if !matches!(error, HandlerError::Busy(_)) {
            match self.clients.claims.record_failure(task.item(), error.is_refusal()).await {
                Ok(failures) => (refusals, guard) = (failures.refusals.unwrap_or_default(), Some(failures.held)),
                Err(error) => tracing::warn!(%error, "a failure of the other side counts as a crash"),
            }
        }
        let pace = backoff(record.receives, &record.id);
        let reason = match error.next_step(pace, refusals >= i64::from(MAX_REFUSALS)) {
            NextStep::Retry { after } => {
                tracing::warn!(%error, receives = record.receives, "a task of the history has to wait");
                return Verdict::Retry { after: Some(after) };
            }
            NextStep::GiveUp => RefusalReason::RefusedByChatwoot,
            NextStep::DeadLetter => RefusalReason::UnusableItem,
        };
        tracing::error!(%error, reason = reason.word(), "a task of the history cannot be handled");
        match self.dead_letter(record, task, guard.as_ref(), reason).await {
            Ok(()) => Verdict::Done,
            Err(error) => {
                tracing::warn!(%error, "a task cannot be dead-lettered yet; it comes again");
                Verdict::Retry { after: None }
            }
        }
    }

    /// Handles a task of another version.
    async fn unreadable(&self, record: &Record) -> Verdict {
        let reason = RefusalReason::UnreadableTask;
        let Ok(unread) = serde_json::from_str::<UnreadTask>(&record.body) else { return Verdict::Poison { reason } };
        let dead = async {
            let failures = self.clients.claims.record_failure(&unread.item, false).await?;
            self.drain.dead_letters.put(&record.group, record.body.as_bytes(), reason).await?;
            self.metrics.count(Metric::Poisoned);
            Ok::<_, HandlerError>(self.clients.ledger.dead_letter(unread.channel(), &failures.held, reason).await?)
        };
        match dead.await {
            Ok(()) => Verdict::Done,
            Err(error) => {
                tracing::warn!(%error, "a task that cannot be read has to wait");
                Verdict::Retry { after: None }
            }
        }
    }

    /// Dead-letters a task and counts it. Its claim stays open: after a redrive it is a task like any other.
    async fn dead_letter(
        &self,
        record: &Record,
        task: &HistoryTask,
        guard: Option<&ClaimGuard>,
        reason: RefusalReason,
    ) -> Result<(), HandlerError> {
        self.drain.dead_letters.put(&record.group, record.body.as_bytes(), reason).await?;
        self.metrics.count(Metric::Poisoned);
        tracing::error!(reason = reason.word(), message.id = record.id, "a task was put into the dead letters");
        if let HistoryTask::SliceV1(slice) = task {
            self.clients.imports.set_aside(slice, reason).await?;
        }
        if let (Some(guard), Some(number)) = (guard, task.channel()) {
            self.clients.ledger.dead_letter_many(number.as_str(), guard, reason, task.weight()).await?;
        }
        Ok(())
    }
}
