//! `inbound.fifo` into Chatwoot: customers' messages, echoes from the shop's phone, statuses, and what Meta says about the
//! account. Each exactly once, each customer's in order, whatever fails in between.

mod account;
mod attachment;
mod barrier;
mod contact;
mod doors;
mod file;
mod locks;
mod message;
mod notice;
mod place;
mod revoke;
mod status;
mod upkeep;
mod who;
mod writing;

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use barrier::Gate;
use app::{BridgeError, Clients, Settings, StartError};
use chatwoot::ChatwootError;
use domain::{Class, Classify as _, InboundTask, SharedClock, Subject, Timestamp, task::Unread};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::{Environment, Metric, Metrics};
use queue::{DeadLetters, Drain, Queue, Record, Verdict, backoff};
use store::{Belongings, Claim, ErasureRequests, Excused, Held};

/// How often a task may end without a word before it is set aside: it breaks the function, and holds up its customer.
const CRASHES: i64 = 5;

/// How often Chatwoot may refuse a task before it is set aside; by the pace of the queue, about half an hour.
const REFUSALS: u32 = 12;

/// How long Chatwoot may go on writing what it did not answer.
const WRITING: Duration = Duration::from_secs(6);

/// The function's settings and clients.
#[derive(Debug)]
pub struct Forward {
    clients: Clients,
    drain: Drain,
    outbound: Queue,
    erasures: Queue,
    requests: ErasureRequests,
    belongings: Belongings,
    metrics: Metrics,
    locks: locks::Locks,
}

/// An item in hand, and what happened to it before this attempt.
#[derive(Clone, Debug)]
struct Before {
    /// With it the item's fate is sealed.
    held: Held,
    /// Somebody may have done it already.
    perhaps_done: bool,
    /// How often the work on it ended without a word.
    crashes: i64,
    /// How often the other side refused it.
    refusals: i64,
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let forward = &Forward::from_env(Environment::process(), clock).await?;
    forward.clients.warm_up(&forward.drain.queue).await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let left = Timestamp::from_millis(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
        let left = left.since(forward.clients.clock.now());
        Ok::<_, Error>(forward.handle(event.payload, left).await)
    }))
    .await
}

impl Forward {
    /// Reads the settings.
    pub async fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let inbound = env.text("INBOUND_QUEUE_URL");
        let dead_letters = env.text("INBOUND_DEAD_LETTERS_URL");
        let outbound = env.text("OUTBOUND_QUEUE_URL");
        let erasures = env.text("ERASURE_QUEUE_URL");
        let stack = env.text("STACK_NAME");
        let promise = app::promise(&mut env);
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
            belongings: Belongings::new(clients.table.clone(), clients.key.clone()),
            requests: ErasureRequests::new(clients.table.clone(), clients.key.clone(), promise),
            metrics: Metrics::new("forward", stack),
            locks: locks::Locks::default(),
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
        if let InboundTask::FileV1(hint) = &task {
            return self.file(&record, hint).await;
        }
        if let InboundTask::ProbeV1(probe) = &task {
            return self.probe(probe).await;
        }
        let mut result = Box::pin(self.task(&record, &task)).await;
        if result.as_ref().is_err_and(BridgeError::is_chatwoot_token) && self.clients.renew_chatwoot_token().await {
            result = Box::pin(self.task(&record, &task)).await;
        }
        match result {
            Ok(()) => Verdict::Done,
            Err(error) => self.failed(&record, &task, &error).await,
        }
    }

    async fn task(&self, record: &Record, task: &InboundTask) -> Result<(), BridgeError> {
        let known = match Box::pin(self.gate(record, task)).await? {
            Gate::Open(known) => known,
            Gate::Shut => return Ok(()),
        };
        match task {
            InboundTask::MessageV1(message) => self.message(record, message, known).await,
            InboundTask::StatusV1(status) => self.status(record, status, known).await,
            InboundTask::NoticeV1(notice) => self.notice(record, notice).await,
            // These ask for themselves; nobody waits behind them.
            InboundTask::FileV1(_) | InboundTask::ProbeV1(_) => Ok(()),
        }
    }

    /// The task stays in its queue as long as the other side cannot take it; what the other side refuses again and again,
    /// or what we cannot handle ourselves, is set aside.
    async fn failed(&self, record: &Record, task: &InboundTask, error: &BridgeError) -> Verdict {
        let class = error.class();
        let refused = matches!(class, Class::Permanent | Class::Uncertain);
        let excused = self.excuse(task, error, refused).await;
        let refusals = excused.as_ref().and_then(|excused| excused.refusals);
        let (after, reason) = match class {
            Class::Transient { after } => (after.map(|after| pace(record, error, after)), None),
            // Refusals count where there is a claim, and not receives: most of those may have been an outage.
            Class::Permanent | Class::Uncertain if refusals.unwrap_or(record.receives.into()) < i64::from(REFUSALS) => {
                // What was cut off may still be being written; the next attempt must not look too early.
                let cut_off = matches!(error, BridgeError::Chatwoot(ChatwootError::CutOff(_)));
                (cut_off.then(|| pace(record, error, WRITING)), None)
            }
            Class::Permanent | Class::Uncertain => (None, Some("refused_by_chatwoot")),
            Class::Poison => (None, Some("unusable_item")),
        };
        if let Some(reason) = reason {
            tracing::error!(%error, reason, "a task cannot be handled");
            return self.set_aside(record, task.channel(), excused.map(|excused| excused.held), reason).await;
        }
        tracing::warn!(%error, receives = record.receives, "a task has to wait");
        if let Some(excused) = &excused
            && let Err(error) = self.clients.counters.wait(task.channel(), &excused.held).await
        {
            tracing::warn!(%error, "a task that waits is not counted yet");
        }
        Verdict::Retry { after }
    }

    /// Without this the next look would take the failure for a crash; too many of those set a task aside. Gives what is known
    /// of the item then.
    async fn excuse(&self, task: &InboundTask, error: &BridgeError, refused: bool) -> Option<Excused> {
        if matches!(error, BridgeError::Busy(_)) {
            // The claim is somebody else's.
            return None;
        }
        match self.clients.claims.excuse(task.item(), refused).await {
            Ok(excused) => Some(excused),
            Err(error) => {
                tracing::warn!(%error, "a failure of the other side counts as a crash");
                None
            }
        }
    }

    /// A task of another version. It is counted by what all versions have.
    async fn unreadable(&self, record: &Record) -> Verdict {
        const REASON: &str = "unreadable_task";
        let Ok(unread) = serde_json::from_str::<Unread>(&record.body) else {
            return Verdict::Poison { reason: REASON };
        };
        match self.clients.claims.excuse(&unread.item, false).await {
            Ok(excused) => self.set_aside(record, unread.channel(), Some(excused.held), REASON).await,
            Err(error) => {
                tracing::warn!(%error, "a task that cannot be read has to wait");
                Verdict::Retry { after: None }
            }
        }
    }

    /// Puts a task into the dead letters. One that cannot be put there stays in its queue.
    async fn set_aside(&self, record: &Record, channel: &str, held: Option<Held>, reason: &'static str) -> Verdict {
        match self.bury(record, channel, held.as_ref(), reason).await {
            Ok(()) => Verdict::Done,
            Err(error) => {
                tracing::warn!(%error, reason, "a task cannot be set aside yet; it comes again");
                Verdict::Retry { after: None }
            }
        }
    }

    /// Takes the claim of an item. Nothing is to be done about one that is done.
    async fn claim(&self, record: &Record, channel: &str, item: &Subject) -> Result<Option<Before>, BridgeError> {
        match self.clients.claims.take(item, &record.id).await? {
            Claim::Won(held) => Ok(Some(Before { held, perhaps_done: false, crashes: 0, refusals: 0 })),
            Claim::Retaken { held, crashes, .. } if crashes >= CRASHES => {
                self.bury(record, channel, Some(&held), "crashes_the_function").await?;
                Ok(None)
            }
            Claim::Retaken { held, crashes, refusals } => {
                Ok(Some(Before { held, perhaps_done: true, crashes, refusals }))
            }
            Claim::Busy { for_at_most } => Err(BridgeError::Busy(for_at_most.min(Duration::from_secs(60)))),
            // Counted when it was done.
            Claim::Finished => Ok(None),
            Claim::Done => {
                self.metrics.count(Metric::Duplicate);
                self.clients.counters.repeat(channel, item, &record.id).await?;
                Ok(None)
            }
        }
    }

    /// Puts a task into the dead letters and counts it. Its claim stays open: put back, it is a task like any other.
    async fn bury(
        &self,
        record: &Record,
        channel: &str,
        held: Option<&Held>,
        reason: &'static str,
    ) -> Result<(), BridgeError> {
        self.lay_aside(record, channel, held, reason).await?;
        if let Ok(InboundTask::MessageV1(message)) = serde_json::from_str(&record.body)
            && let Err(error) = self.stand_in(record, &message).await
        {
            tracing::warn!(%error, "the agent does not see that a message was set aside");
        }
        Ok(())
    }

    /// The same, and no agent is told.
    async fn lay_aside(
        &self,
        record: &Record,
        channel: &str,
        held: Option<&Held>,
        reason: &'static str,
    ) -> Result<(), BridgeError> {
        self.drain.dead_letters.put(&record.group, record.body.as_bytes(), reason).await?;
        self.metrics.count(Metric::Poisoned);
        tracing::error!(reason, message.id = record.id, "a task was put into the dead letters");
        if let Some(held) = held {
            self.clients.counters.set_aside(channel, held, reason).await?;
        }
        Ok(())
    }
}

/// What is asked for is the least; an outage is not asked again at that pace for ever. Waiting for somebody else is.
fn pace(record: &Record, error: &BridgeError, after: Duration) -> Duration {
    let busy = matches!(error, BridgeError::Busy(_));
    if busy { after } else { after.max(backoff(record.receives, &record.id)) }
}
