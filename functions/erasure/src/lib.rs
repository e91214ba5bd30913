//! Carries out the erasure requests of `erasure.fifo`. It clears each data location, and checks it again afterwards. After
//! any interruption it goes on where it stopped, so that no erasure is left half done.

mod activity_recheck;
mod chatwoot_side;
mod dead_letters;
mod drain;
mod intake;
mod labels;
mod locations;
mod meta_side;
mod receipt;
mod run;
mod second_check;
mod table;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use app::{Clients, Function, HandlerError, NextStep, QueueFunction, Settings, StartError};
use aws_lambda_events::sqs::SqsEvent;
use domain::{
    ConfirmationCode, Erasure, ErasureTask, MessageGroup, RefusalReason, SharedClock, Timestamp,
    erasure::{ErasureState, RequestSource},
};
use labels::LabelChange;
use platform::{Environment, Metrics, Setting};
use queue::{DeadLetterQueue, Drain, Drained, Queue, Record, Verdict, backoff};
use run::Stop;
use store::{Claim, DataInventory, ErasureEntry, ErasureRequests};

/// SQS hides a message for twelve hours at most.
const MAX_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(11 * 3600);

/// When to try again a request that another worker has in hand.
const CONTENTION_DELAY: Duration = Duration::from_secs(5);

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clients: Clients,
    requests: ErasureRequests,
    inventory: DataInventory,
    drain: Drain,
    erasures: Queue,
    inbound: Queue,
    history: Queue,
    outbound: Queue,
    dead: Vec<DeadLetterQueue>,
    metrics: Arc<Metrics>,
}

/// A request that waits for long is tried less often: else SQS would give its queue message up before the message's days are
/// over.
fn backoff_of(record: &Record) -> Duration {
    if record.receives < queue::MAX_OUTAGE_RECEIVES { Duration::ZERO } else { backoff(record.receives, &record.id) }
}

/// Whether a queue message waits for the end of the time in which its request can be withdrawn.
fn is_grace(record: &Record) -> bool {
    matches!(MessageGroup::from(record.group.as_str()), MessageGroup::ErasureGrace(_))
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), app::Error> {
    app::run_sqs(Box::pin(Handler::from_env(Environment::process(), clock)).await?).await
}

impl Function for Handler {
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl QueueFunction for Handler {
    /// Most wait for days by design.
    const COUNTS_LATE: bool = false;

    async fn drain(&self, batch: SqsEvent, until: Timestamp) -> Drained {
        self.drain.run(batch, until, |record| self.record(record)).await
    }
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let (settings, drain, inbound, history, outbound, dead, deadlines) = env.read(|env| {
            let settings = Settings::read(env, "erasure", clock);
            let base = &settings.base;
            let drain = base.drain(env, Setting::ErasureQueueUrl, Setting::ErasureDeadLettersUrl);
            let inbound = base.queue(env, Setting::InboundQueueUrl);
            let history = base.queue(env, Setting::HistoryQueueUrl);
            let outbound = base.queue(env, Setting::OutboundQueueUrl);
            let dead = [
                Setting::InboundDeadLettersUrl,
                Setting::HistoryDeadLettersUrl,
                Setting::OutboundDeadLettersUrl,
                Setting::ErasureDeadLettersUrl,
            ]
            .map(|setting| DeadLetterQueue::new(base.sqs.clone(), env.text(setting)));
            (settings, drain, inbound, history, outbound, dead.into(), app::erasure_deadlines(env))
        })?;
        let clients = Clients::new(settings).await?;
        Ok(Self {
            requests: ErasureRequests::new(clients.table.clone(), clients.key.clone(), deadlines),
            inventory: DataInventory::new(clients.table.clone(), clients.key.clone()),
            erasures: drain.queue.clone(),
            drain,
            inbound,
            history,
            outbound,
            dead,
            metrics: clients.metrics.clone(),
            clients,
        })
    }

    async fn record(&self, record: Record) -> Verdict {
        let Ok(task) = serde_json::from_str::<ErasureTask>(&record.body) else {
            return Verdict::Poison { reason: RefusalReason::UnreadableTask };
        };
        let done = match &task {
            ErasureTask::RequestV1 { code } => self.request(&record, code).await.or_else(|stop| stop.verdict(code)),
            ErasureTask::LabelsV1(sync) => LabelChange::read(self, &record, sync).await.map(|()| Verdict::Done),
            ErasureTask::LettersV1 => self.delete_overdue_dead_letters().await.map(|()| Verdict::Done),
        };
        done.unwrap_or_else(|error| {
            tracing::warn!(%error, receives = record.receives, "erasure task deferred");
            let pace = backoff(record.receives, &record.id);
            // What a person asked for never leaves its queue by itself, whatever is wrong: its deadlines are watched.
            let NextStep::Retry { after } = error.next_step(pace, false) else {
                return Verdict::Retry { after: Some(pace) };
            };
            Verdict::Retry { after: Some(after) }
        })
    }

    async fn request(&self, record: &Record, code: &ConfirmationCode) -> Result<Verdict, Stop> {
        let Some(entry) = self.clients.erasures.get(code).await? else {
            tracing::error!(erasure = %code, "there is no such request");
            return Ok(Verdict::Done);
        };
        let Some(entry) = self.in_time(entry).await? else { return Ok(Verdict::Done) };
        let now = self.clients.clock.now();
        let patience = backoff_of(record);
        match entry.erasure.state() {
            ErasureState::Received { until } if is_grace(record) => {
                return Ok(Verdict::Retry { after: Some(until.since(now).min(MAX_VISIBILITY_TIMEOUT)) });
            }
            // The queue message that waits for the end of that time is on its way.
            ErasureState::Received { .. } | ErasureState::Done { .. } | ErasureState::Withdrawn { .. } => {
                return Ok(Verdict::Done);
            }
            ErasureState::Waiting { wake_at, .. } | ErasureState::Failed { wake_at, .. } if wake_at > now => {
                return Ok(Verdict::Retry { after: Some(wake_at.since(now).max(patience)) });
            }
            _ => {}
        }
        let claim = self.clients.key.item(["erasure", code.as_str()]);
        if let Claim::Busy { for_at_most } = self.clients.claims.take(&claim, &record.id).await? {
            return Ok(Verdict::Retry { after: Some(for_at_most.min(CONTENTION_DELAY)) });
        }
        let brought = Box::pin(run::carry_out(self, entry)).await;
        // Released whatever the outcome: the next worker must not wait for the lease.
        self.clients.claims.release(&claim).await?;
        Ok(match brought? {
            Verdict::Retry { after: Some(after) } => Verdict::Retry { after: Some(after.max(patience)) },
            verdict => verdict,
        })
    }

    /// Gives the request with the changes that time alone makes; nothing if that closed it.
    async fn in_time(&self, entry: ErasureEntry) -> Result<Option<ErasureEntry>, Stop> {
        let now = self.clients.clock.now();
        let mut erasure = entry.erasure.clone();
        if let ErasureState::Received { until } = erasure.state()
            && now >= until
            && erasure.source() == RequestSource::Agent
            && self.was_unlabeled(erasure.code()).await?
        {
            // The report of the withdrawal was lost.
            erasure = erasure.withdraw(now).map_err(Stop::Refused)?;
        }
        let erasure = erasure.at(now);
        let entry = if erasure == entry.erasure { entry } else { self.save(&entry, erasure).await? };
        Ok(Some(entry).filter(|entry| !entry.erasure.is_closed()))
    }

    /// If another worker wrote meanwhile, this run is over; the next one sees what was written.
    async fn save(&self, entry: &ErasureEntry, erasure: Erasure) -> Result<ErasureEntry, HandlerError> {
        match self.clients.erasures.save(entry, erasure).await? {
            Ok(saved) => Ok(saved),
            Err(_) => Err(HandlerError::Busy(CONTENTION_DELAY)),
        }
    }
}
