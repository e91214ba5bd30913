//! Once a day: whose time to be kept is over is erased like somebody who asked for it, what is past its end and still there is
//! deleted, and the clock of every open request is looked at. It ends with a proof that nothing overdue is left.

mod clock;
mod gone;
mod inactive;
mod table;

use std::time::Duration;

use bridge::{BridgeError, Clients, Settings, StartError};
use domain::{AccountId, Channel, ConversationId, ErasureTask, Hint, SharedClock, Timestamp, erasure::Door};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::{Environment, Metric, Metrics};
use queue::{Letter, Queue};
use serde::Serialize;
use serde_json::Value;
use store::{Belongings, ErasureRequests, Target};
use uuid::Uuid;

/// An agent's label that asks for an erasure.
const ERASE: &str = "borrar-datos";

/// An agent's label that forbids one by time: a legal hold.
const KEEP: &str = "conservar";

/// Chatwoot shows 25 conversations a page; no run reads more pages of an inbox.
const PAGES: u32 = 400;

/// The function's settings and clients.
#[derive(Debug)]
pub struct Retention {
    clients: Clients,
    requests: ErasureRequests,
    belongings: Belongings,
    erasures: Queue,
    kept_for: Duration,
    metrics: Metrics,
}

/// What a run found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Conversations whose time is over.
    pub due: Vec<Due>,
    /// Erasures that were opened for them.
    pub asked: u64,
    /// Contacts that somebody deleted in Chatwoot, whose erasure was opened.
    pub gone: u64,
    /// Items of the table that were past their end, and were deleted.
    pub purged: u64,
    /// Requests that are open.
    pub open: u64,
    /// Of these, past the promised days.
    pub breached: u64,
    /// What is overdue and neither held nor being erased: 0, or the run says why not.
    pub overdue: u64,
}

/// A conversation whose time is over. No name and no number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Due {
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation.
    pub conversation: ConversationId,
    /// When something last happened in it, in epoch seconds.
    pub active_at: i64,
    /// Whether a label keeps it.
    pub held: bool,
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let retention = &Retention::from_env(Environment::process(), clock).await?;
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| Ok::<_, Error>(Box::pin(retention.handle()).await?)))
        .await
}

impl Retention {
    /// Reads the settings.
    pub async fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let erasures = env.text("ERASURE_QUEUE_URL");
        let stage = env.text("STAGE");
        let days = env.parsed::<u64>("RETENTION_DAYS");
        let promise = bridge::promise(&mut env);
        let settings = Settings::read(&mut env);
        let (Some(erasures), Some(stage), Some(days), Some(promise), Some(settings)) =
            (erasures, stage, days, promise, settings)
        else {
            return Err(env.into_error().into());
        };
        let clients = Clients::new(settings, clock).await?;
        Ok(Self {
            requests: ErasureRequests::new(clients.table.clone(), clients.key.clone(), promise),
            belongings: Belongings::new(clients.table.clone(), clients.key.clone()),
            erasures: Queue::new(clients.sqs.clone(), erasures),
            kept_for: Duration::from_secs(days * 86_400),
            metrics: Metrics::new("retention", stage),
            clients,
        })
    }

    /// One run. What one part cannot do today, the others do all the same; the first trouble is told at the end.
    pub async fn handle(&self) -> Result<Report, BridgeError> {
        let mut report = Report::default();
        let mut trouble = self.wake_open(&mut report).await.err();
        let mut keep = |error: BridgeError| {
            tracing::warn!(%error, "a part of the daily run has to wait for tomorrow");
            trouble.get_or_insert(error);
        };
        match self.clients.channels.all().await {
            Ok(channels) => {
                for channel in &channels {
                    if let Err(error) = self.channel(channel, false, &mut report).await {
                        keep(error);
                        report.overdue += 1;
                    }
                }
                if let Err(error) = self.gone(&channels, &mut report).await {
                    keep(error);
                }
            }
            Err(error) => keep(error.into()),
        }
        if let Err(error) = self.purge(&mut report).await {
            keep(error);
        }
        self.metrics.measure(Metric::ErasureOpen, report.open);
        self.metrics.measure(Metric::Overdue, report.overdue);
        self.metrics.measure(Metric::RetentionHeld, report.due.iter().filter(|due| due.held).count() as u64);
        self.metrics.add(Metric::RetentionDue, report.due.iter().filter(|due| !due.held).count());
        self.metrics.emit(self.clients.clock.now());
        tracing::info!(
            due = report.due.len(),
            asked = report.asked,
            gone = report.gone,
            purged = report.purged,
            open = report.open,
            overdue = report.overdue,
            "the daily run is over"
        );
        trouble.map_or(Ok(report), Err)
    }

    /// Whose time is over, without doing anything about it.
    pub async fn dry_run(&self) -> Result<Report, BridgeError> {
        let mut report = Report::default();
        for channel in &self.clients.channels.all().await? {
            self.channel(channel, true, &mut report).await?;
        }
        Ok(report)
    }

    async fn channel(&self, channel: &Channel, dry: bool, report: &mut Report) -> Result<(), BridgeError> {
        let mut looked = self.look(channel, dry, report).await;
        if looked.as_ref().is_err_and(BridgeError::is_chatwoot_token) && self.clients.renew_chatwoot_token().await {
            looked = self.look(channel, dry, report).await;
        }
        looked
    }

    async fn look(&self, channel: &Channel, dry: bool, report: &mut Report) -> Result<(), BridgeError> {
        if !dry {
            self.labeled(channel).await?;
        }
        self.inactive(channel, dry, report).await
    }

    /// The labels whose callback was lost.
    async fn labeled(&self, channel: &Channel) -> Result<(), BridgeError> {
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        for page in 1..=PAGES {
            let found = chatwoot.labeled(channel.inbox, ERASE, page).await?;
            let mut letters = Vec::with_capacity(found.len());
            for conversation in &found {
                let hint = Hint::look(channel.phone_number_id.clone(), channel.account, conversation.id);
                let task = ErasureTask::LabelsV1(hint);
                letters.push(Letter::new(task.group(), Uuid::new_v4().to_string(), &task)?);
            }
            self.erasures.send_all(letters).await?;
            if found.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Opens a request and wakes somebody to see to it; tells whether it is new.
    async fn ask(&self, door: Door, target: Target, asked_at: Timestamp) -> Result<bool, BridgeError> {
        let asked = self.requests.ask(door, target, asked_at).await?;
        let erasure = asked.entry.erasure;
        if asked.is_new {
            tracing::info!(erasure = %erasure.code, door = ?door, "an erasure was asked for");
            self.metrics.count(Metric::ErasureAsked);
            self.erasures.send(bridge::wake(&erasure, Uuid::new_v4())?).await?;
        }
        Ok(asked.is_new)
    }
}
