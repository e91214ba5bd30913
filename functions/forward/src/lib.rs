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

use std::sync::Arc;

use app::{Clients, Function, HandlerError, MAX_REFUSALS, NextStep, QueueFunction, Settings, StartError};
use aws_lambda_events::sqs::SqsEvent;
use domain::{InboundTask, RefusalReason, SharedClock, Timestamp, task::UnreadTask};
use erasure_guard::ErasureGuard;
use media::pending::MediaTask;
use platform::{Environment, Metric, Metrics, Setting};
use queue::{Drain, Drained, Queue, Record, Verdict, backoff};
use store::{ClaimGuard, DataInventory, ErasureRequests, FailureCount};

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clients: Clients,
    drain: Drain,
    outbound: Queue,
    erasures: Queue,
    requests: ErasureRequests,
    inventory: DataInventory,
    metrics: Arc<Metrics>,
    locks: app::InboxLocks,
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
    async fn drain(&self, batch: SqsEvent, until: Timestamp) -> Drained {
        let drained = self.drain.run(batch, until, |record| self.record(record)).await;
        self.clients.note_silences().await;
        drained
    }
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let (settings, drain, outbound, erasures, deadlines) = env.read(|env| {
            let settings = Settings::read(env, "forward", clock);
            let base = &settings.base;
            let drain = base.drain(env, Setting::InboundQueueUrl, Setting::InboundDeadLettersUrl);
            let outbound = base.queue(env, Setting::OutboundQueueUrl);
            let erasures = base.queue(env, Setting::ErasureQueueUrl);
            (settings, drain, outbound, erasures, app::erasure_deadlines(env))
        })?;
        let clients = Clients::new(settings).await?;
        Ok(Self {
            drain,
            outbound,
            erasures,
            inventory: DataInventory::new(clients.table.clone(), clients.key.clone()),
            requests: ErasureRequests::new(clients.table.clone(), clients.key.clone(), deadlines),
            metrics: clients.metrics.clone(),
            locks: app::InboxLocks::default(),
            clients,
        })
    }

    async fn record(&self, record: Record) -> Verdict {
        let Ok(task) = serde_json::from_str::<InboundTask>(&record.body) else {
            return self.unreadable(&record).await;
        };
        match &task {
            InboundTask::FileV1(retry) => return MediaTask { handler: self, retry }.work_on(&record).await,
            InboundTask::DrainMarkerV1(marker) => return erasure_guard::drain_marker(self, marker).await,
            _ => {}
        }
        match Box::pin(self.task(&record, &task)).await {
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
            InboundTask::FileV1(_) | InboundTask::DrainMarkerV1(_) => Ok(()),
        }
    }

    /// A task stays in its queue as long as the other side cannot accept it. What the other side refuses again and again,
    /// or what we cannot handle ourselves, is dead-lettered.
    async fn failed(&self, record: &Record, task: &InboundTask, error: &HandlerError) -> Verdict {
        let failures = self.record_failure(task, error).await;
        // Refusals are counted at the claim, where there is one, and not by receives: most receives may have been an outage.
        let refusals = failures.as_ref().and_then(|failures| failures.refusals).unwrap_or(record.receives.into());
        let pace = backoff(record.receives, &record.id);
        let reason = match error.next_step(pace, refusals >= i64::from(MAX_REFUSALS)) {
            NextStep::Retry { after } => {
                tracing::warn!(%error, receives = record.receives, "a task has to wait");
                if let Some(failures) = &failures
                    && let Err(error) = self.clients.ledger.wait(task.channel(), &failures.held).await
                {
                    tracing::warn!(%error, "a task that waits is not counted yet");
                }
                return Verdict::Retry { after: Some(after) };
            }
            NextStep::GiveUp => RefusalReason::RefusedByChatwoot,
            NextStep::DeadLetter => RefusalReason::UnusableItem,
        };
        tracing::error!(%error, reason = reason.word(), "a task cannot be handled");
        self.dead_letter_claimed(record, task.channel(), failures.map(|failures| failures.held), reason).await
    }

    /// Without this the next attempt would take the failure for a crash, and too many crashes dead-letter a task. Gives
    /// what is known of the item then.
    async fn record_failure(&self, task: &InboundTask, error: &HandlerError) -> Option<FailureCount> {
        if matches!(error, HandlerError::Busy(_)) {
            // The claim is another worker's.
            return None;
        }
        match self.clients.claims.record_failure(task.item(), error.is_refusal()).await {
            Ok(failures) => Some(failures),
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
            Ok(failures) => self.dead_letter_claimed(record, unread.channel(), Some(failures.held), reason).await,
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
