//! Writes the tasks of `inbound.fifo` into Chatwoot. These are customers' messages, echoes from the shop's phone, statuses,
//! and Meta's notices about the account. Each is written exactly once, and each customer's in order, whatever fails in
//! between.

mod account;
mod attempt;
mod erasure_guard;
mod erasure_request;
mod media;
mod message;
mod notice;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

use app::{Clients, HandlerError, Settings, StartError};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use chatwoot::ChatwootError;
use domain::{Class, Classify as _, InboundTask, RefusalReason, SharedClock, Timestamp, task::UnreadTask};
use erasure_guard::ErasureGuard;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use media::pending::MediaTask;
use platform::{Environment, Metric, Metrics, Setting};
use queue::{DeadLetters, Drain, Queue, Record, Verdict, backoff};
use store::{ClaimGuard, DataInventory, ErasureRequests, FailureCount};

/// How often Chatwoot may refuse a task before it is dead-lettered; with the queue's backoff, about half an hour.
const MAX_REFUSALS: u32 = 12;

/// How long Chatwoot may go on writing after it gave no answer.
const WRITE_MIN_TIME: Duration = Duration::from_secs(6);

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clients: Clients,
    drain: Drain,
    outbound: Queue,
    erasures: Queue,
    requests: ErasureRequests,
    inventory: DataInventory,
    metrics: Metrics,
    locks: message::InboxLocks,
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let forward = &Handler::from_env(Environment::process(), clock).await?;
    forward.clients.warm_up(&forward.drain.queue).await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let left = Timestamp::from_millis(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
        let left = left.since(forward.clients.clock.now());
        Ok::<_, Error>(forward.handle(event.payload, left).await)
    }))
    .await
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let inbound = env.text(Setting::InboundQueueUrl);
        let dead_letters = env.text(Setting::InboundDeadLettersUrl);
        let outbound = env.text(Setting::OutboundQueueUrl);
        let erasures = env.text(Setting::ErasureQueueUrl);
        let stack = env.text(Setting::StackName);
        let promise = app::erasure_deadlines(&mut env);
        let settings = Settings::read(&mut env);
        let (
            Some(inbound),
            Some(dead_letters),
            Some(outbound),
            Some(erasures),
            Some(stack),
            Some(promise),
            Some(settings),
        ) = (inbound, dead_letters, outbound, erasures, stack, promise, settings)
        else {
            return Err(env.into_error().into());
        };
        let clients = Clients::new(settings, clock).await?;
        let sqs = &clients.sqs;
        Ok(Self {
            drain: Drain {
                queue: Queue::new(sqs.clone(), inbound),
                dead_letters: DeadLetters::new(sqs.clone(), dead_letters),
            },
            outbound: Queue::new(sqs.clone(), outbound),
            erasures: Queue::new(sqs.clone(), erasures),
            inventory: DataInventory::new(clients.table.clone(), clients.key.clone()),
            requests: ErasureRequests::new(clients.table.clone(), clients.key.clone(), promise),
            metrics: Metrics::new("forward", stack),
            locks: message::InboxLocks::default(),
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
        let Ok(task) = serde_json::from_str::<InboundTask>(&record.body) else {
            return self.unreadable(&record).await;
        };
        match &task {
            InboundTask::FileV1(retry) => return MediaTask { handler: self, retry }.work_on(&record).await,
            InboundTask::ProbeV1(marker) => return erasure_guard::drain_marker(self, marker).await,
            _ => {}
        }
        let mut result = Box::pin(self.task(&record, &task)).await;
        if result.as_ref().is_err_and(HandlerError::is_chatwoot_token) && self.clients.renew_chatwoot_token().await {
            result = Box::pin(self.task(&record, &task)).await;
        }
        match result {
            Ok(()) => Verdict::Done,
            Err(error) => self.failed(&record, &task, &error).await,
        }
    }

    async fn task(&self, record: &Record, task: &InboundTask) -> Result<(), HandlerError> {
        let guard = ErasureGuard { handler: self, record };
        match task {
            InboundTask::MessageV1(message) => match Box::pin(guard.message(message)).await? {
                Some(admitted) => message::forward(self, admitted).await,
                None => Ok(()),
            },
            InboundTask::StatusV1(status) => match Box::pin(guard.status(status)).await? {
                Some(admitted) => status::apply(self, admitted).await,
                None => Ok(()),
            },
            InboundTask::NoticeV1(notice) => match Box::pin(guard.notice(notice)).await? {
                Some(record) => notice::handle(self, &record, notice).await,
                None => Ok(()),
            },
            // `record` handles these before; no task waits behind them.
            InboundTask::FileV1(_) | InboundTask::ProbeV1(_) => Ok(()),
        }
    }

    /// A task stays in its queue as long as the other side cannot accept it. What the other side refuses again and again,
    /// or what we cannot handle ourselves, is dead-lettered.
    async fn failed(&self, record: &Record, task: &InboundTask, error: &HandlerError) -> Verdict {
        let class = error.class();
        let refused = matches!(class, Class::Permanent | Class::Uncertain);
        let excused = self.record_failure(task, error, refused).await;
        let refusals = excused.as_ref().and_then(|excused| excused.refusals);
        let (after, reason) = match class {
            Class::Transient { after } => (after.map(|after| pace(record, error, after)), None),
            // Refusals are counted at the claim, where there is one, and not by receives: most receives may have been an
            // outage.
            Class::Permanent | Class::Uncertain
                if refusals.unwrap_or(record.receives.into()) < i64::from(MAX_REFUSALS) =>
            {
                // A call that was cut off may still be being written; the next attempt must not search too early.
                let cut_off = matches!(error, HandlerError::Chatwoot(ChatwootError::CutOff(_)));
                (cut_off.then(|| pace(record, error, WRITE_MIN_TIME)), None)
            }
            Class::Permanent | Class::Uncertain => (None, Some(RefusalReason::RefusedByChatwoot)),
            Class::Poison => (None, Some(RefusalReason::UnusableItem)),
        };
        if let Some(reason) = reason {
            tracing::error!(%error, reason = reason.word(), "a task cannot be handled");
            return self.dead_letter_claimed(record, task.channel(), excused.map(|excused| excused.held), reason).await;
        }
        tracing::warn!(%error, receives = record.receives, "a task has to wait");
        if let Some(excused) = &excused
            && let Err(error) = self.clients.ledger.wait(task.channel(), &excused.held).await
        {
            tracing::warn!(%error, "a task that waits is not counted yet");
        }
        Verdict::Retry { after }
    }

    /// Without this the next attempt would take the failure for a crash, and too many crashes dead-letter a task. Gives
    /// what is known of the item then.
    async fn record_failure(&self, task: &InboundTask, error: &HandlerError, refused: bool) -> Option<FailureCount> {
        if matches!(error, HandlerError::Busy(_)) {
            // The claim is another worker's.
            return None;
        }
        match self.clients.claims.record_failure(task.item(), refused).await {
            Ok(excused) => Some(excused),
            Err(error) => {
                tracing::warn!(%error, "a failure of the other side counts as a crash");
                None
            }
        }
    }

    /// Handles a task of another version. It is counted by the fields that all versions have.
    async fn unreadable(&self, record: &Record) -> Verdict {
        let reason = RefusalReason::UnreadableTask;
        let Ok(unread) = serde_json::from_str::<UnreadTask>(&record.body) else {
            return Verdict::Poison { reason };
        };
        match self.clients.claims.record_failure(&unread.item, false).await {
            Ok(excused) => self.dead_letter_claimed(record, unread.channel(), Some(excused.held), reason).await,
            Err(error) => {
                tracing::warn!(%error, "a task that cannot be read has to wait");
                Verdict::Retry { after: None }
            }
        }
    }

    /// Dead-letters a task. One that cannot be dead-lettered stays in its queue.
    async fn dead_letter_claimed(
        &self,
        record: &Record,
        channel: &str,
        guard: Option<ClaimGuard>,
        reason: RefusalReason,
    ) -> Verdict {
        match self.dead_letter(record, channel, guard.as_ref(), reason).await {
            Ok(()) => Verdict::Done,
            Err(error) => {
                tracing::warn!(%error, reason = reason.word(), "task cannot be dead-lettered yet; it comes again");
                Verdict::Retry { after: None }
            }
        }
    }

    /// Dead-letters a task and counts it. Its claim stays open: after a redrive it is a task like any other.
    async fn dead_letter(
        &self,
        record: &Record,
        channel: &str,
        guard: Option<&ClaimGuard>,
        reason: RefusalReason,
    ) -> Result<(), HandlerError> {
        self.write_dead_letter(record, channel, guard, reason).await?;
        if let Ok(InboundTask::MessageV1(message)) = serde_json::from_str(&record.body)
            && let Err(error) = message::post_placeholder(self, record, &message).await
        {
            tracing::warn!(%error, "placeholder for a dead-lettered message not posted");
        }
        Ok(())
    }

    /// Does the same without telling an agent.
    async fn write_dead_letter(
        &self,
        record: &Record,
        channel: &str,
        guard: Option<&ClaimGuard>,
        reason: RefusalReason,
    ) -> Result<(), HandlerError> {
        self.drain.dead_letters.put(&record.group, record.body.as_bytes(), reason).await?;
        self.metrics.count(Metric::Poisoned);
        tracing::error!(reason = reason.word(), message.id = record.id, "a task was put into the dead letters");
        if let Some(guard) = guard {
            self.clients.ledger.dead_letter(channel, guard, reason).await?;
        }
        Ok(())
    }
}

/// The requested delay is a minimum, and an outage is not tried again at that pace for ever. Waiting for another worker is.
fn pace(record: &Record, error: &HandlerError, after: Duration) -> Duration {
    let busy = matches!(error, HandlerError::Busy(_));
    if busy { after } else { after.max(backoff(record.receives, &record.id)) }
}
