//! Carries out the erasure requests of `erasure.fifo`. It clears each data location, and checks it again afterwards. After
//! any interruption it goes on where it stopped, so that no erasure is left half done.

mod activity_recheck;
mod chatwoot_side;
mod dead_letter;
mod dead_letter_queue;
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

use std::time::Duration;

use app::{Clients, HandlerError, Settings, StartError};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use dead_letter_queue::DeadLetterQueue;
use domain::{
    ConfirmationCode, Erasure, ErasureTask, MessageGroup, RefusalReason, SharedClock, Timestamp,
    erasure::{ErasureState, RequestSource},
};
use labels::LabelChange;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::{Environment, Metric, Metrics, Setting};
use queue::{DeadLetters, Drain, Queue, Record, Verdict, backoff};
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
    outbound: Queue,
    dead: Vec<DeadLetterQueue>,
    metrics: Metrics,
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
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let eraser = &Handler::from_env(Environment::process(), clock).await?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let left = Timestamp::from_millis(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
        let left = left.since(eraser.clients.clock.now());
        Ok::<_, Error>(eraser.handle(event.payload, left).await)
    }))
    .await
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let names = [
            Setting::ErasureQueueUrl,
            Setting::InboundQueueUrl,
            Setting::OutboundQueueUrl,
            Setting::ErasureDeadLettersUrl,
            Setting::InboundDeadLettersUrl,
            Setting::OutboundDeadLettersUrl,
        ];
        let urls = names.map(|name| env.text(name));
        let stack = env.text(Setting::StackName);
        let promise = app::erasure_deadlines(&mut env);
        let settings = Settings::read(&mut env);
        let [
            Some(erasures),
            Some(inbound),
            Some(outbound),
            Some(dead_erasures),
            Some(dead_inbound),
            Some(dead_outbound),
        ] = urls
        else {
            return Err(env.into_error().into());
        };
        let (Some(stack), Some(promise), Some(settings)) = (stack, promise, settings) else {
            return Err(env.into_error().into());
        };
        let clients = Clients::new(settings, clock).await?;
        let (sqs, table, key) = (&clients.sqs, &clients.table, &clients.key);
        let queue = |url: String| Queue::new(sqs.clone(), url);
        Ok(Self {
            requests: ErasureRequests::new(table.clone(), key.clone(), promise),
            inventory: DataInventory::new(table.clone(), key.clone()),
            drain: Drain {
                queue: queue(erasures.clone()),
                dead_letters: DeadLetters::new(sqs.clone(), dead_erasures.clone()),
            },
            erasures: queue(erasures),
            inbound: queue(inbound),
            outbound: queue(outbound),
            dead: [dead_inbound, dead_outbound, dead_erasures].map(|url| DeadLetterQueue::new(sqs.clone(), url)).into(),
            metrics: Metrics::new("erasure", stack),
            clients,
        })
    }

    /// Works one batch off. `left` is the invocation's remaining time.
    pub async fn handle(&self, event: SqsEvent, left: Duration) -> SqsBatchResponse {
        let drained = self.drain.run(event, left, |record| self.record(record)).await;
        self.metrics.add(Metric::Retried, drained.retried);
        self.metrics.add(Metric::Poisoned, drained.poisoned);
        self.metrics.emit(self.clients.clock.now());
        drained.response
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
            tracing::warn!(%error, receives = record.receives, "an erasure has to wait");
            Verdict::Retry { after: None }
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
        match entry.erasure.state {
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
        let mut brought = Box::pin(run::carry_out(self, entry)).await;
        if brought.as_ref().is_err_and(HandlerError::is_chatwoot_token)
            && self.clients.renew_chatwoot_token().await
            // The first attempt stored how far it came.
            && let Some(entry) = self.clients.erasures.get(code).await?
        {
            brought = Box::pin(run::carry_out(self, entry)).await;
        }
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
        if let ErasureState::Received { until } = erasure.state
            && now >= until
            && erasure.door == RequestSource::Agent
            && self.was_unlabeled(&erasure.code).await?
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
