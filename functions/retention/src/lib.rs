//! Erases every day what is past its time, and reports what is overdue. A customer whose retention time is over is erased
//! like one who asked for it, expired items still in the table are deleted, and the deadline of every open request is
//! checked. The same checks as a dry run, which changes nothing, prove that nothing overdue is left.

mod deadlines;
mod deleted_contacts;
mod expired;
mod inactive;
mod legal_holds;
mod run;

use std::time::Duration;

use app::{Clients, Function, HandlerError, ScheduledFunction, Settings, StartError};
use chatwoot::Chatwoot;
use domain::{
    AccountId, Channel, ConversationId, ErasureTask, PhoneNumberId, SharedClock, SyncRequest, Timestamp,
    erasure::RequestSource,
};
use platform::{Environment, Metric, Metrics, Setting};
use queue::{Queue, QueueMessage};
use serde::Serialize;
use store::{DataInventory, DataSubject, ErasureRequests, RequestOutcome, TableSweep};
use uuid::Uuid;

use crate::run::RetentionRun;

pub use crate::inactive::MAX_REQUESTS_PER_DAY;
pub use app::{ERASE_LABEL, KEEP_LABEL};

/// An inbox that fails so often in a row is down; a single failure may be one bad page.
const MAX_CHATWOOT_FAILURES: u32 = 3;

/// The name of the cursor where the round over the channels goes on.
pub const CHANNEL_CURSOR: &str = "channels";

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clients: Clients,
    requests: ErasureRequests,
    inventory: DataInventory,
    sweeps: TableSweep,
    erasures: Queue,
    kept_for: Duration,
}

/// What a run found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RetentionReport {
    /// Conversations whose time is over.
    pub due: Vec<DueConversation>,
    /// Erasures that were opened for them.
    pub asked: u64,
    /// Contacts an agent deleted in Chatwoot, whose erasure was opened.
    pub gone: u64,
    /// Items of the table that were past their end, and were deleted.
    pub purged: u64,
    /// Items of the table that are past their end and still there, or that would never end.
    pub expired: u64,
    /// Requests that are open.
    pub open: u64,
    /// Of these, past the promised days.
    pub breached: u64,
    /// Warnings of open requests that came due.
    pub warned: u64,
    /// What could not be judged: conversations without a contact or a time, pages and contacts Chatwoot does not show.
    pub unjudged: u64,
    /// What is overdue and neither held nor being erased, and what could not be judged: 0, or the run says why not.
    pub overdue: u64,
    /// What in Chatwoot hindered the run, if anything did: `overdue` counts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A conversation whose time is over. It has no name and no number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DueConversation {
    /// The Chatwoot account.
    pub account: AccountId,
    /// The conversation.
    pub conversation: ConversationId,
    /// When something was last said in it, in epoch seconds.
    pub active_at: i64,
    /// Whether a label keeps it.
    pub held: bool,
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), app::Error> {
    app::run_scheduled(Box::pin(Handler::from_env(Environment::process(), clock)).await?).await
}

impl Function for Handler {
    fn metrics(&self) -> &Metrics {
        &self.clients.metrics
    }
}

impl ScheduledFunction for Handler {
    type Report = RetentionReport;

    async fn run(&self, until: Timestamp) -> Result<RetentionReport, HandlerError> {
        self.handle(until.since(self.clients.clock.now())).await
    }
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let (settings, erasures, days, deadlines) = env.read(|env| {
            let settings = Settings::read(env, "retention", clock);
            let erasures = settings.base.queue(env, Setting::ErasureQueueUrl);
            (settings, erasures, env.parsed::<u64>(Setting::RetentionDays), app::erasure_deadlines(env))
        })?;
        let clients = Clients::new(settings).await?;
        Ok(Self {
            requests: ErasureRequests::new(clients.table.clone(), clients.key.clone(), deadlines),
            inventory: DataInventory::new(clients.table.clone(), clients.key.clone()),
            sweeps: TableSweep::new(clients.table.clone()),
            erasures,
            kept_for: Duration::from_secs(days * 86_400),
            clients,
        })
    }

    /// Makes one run of at most `left`. If one part fails today, the others run all the same; the first error is returned
    /// at the end. Chatwoot's own failures do not fail the run: they are in the report, and tomorrow's run is the next try.
    pub async fn handle(&self, left: Duration) -> Result<RetentionReport, HandlerError> {
        let (report, trouble) = self.go(RetentionRun::new(self.clients.clock.clone(), left, false)).await;
        let metrics = self.metrics();
        metrics.measure(Metric::ErasureOpen, report.open);
        metrics.add(Metric::ErasureWarning, usize::try_from(report.warned).unwrap_or(usize::MAX));
        metrics.measure(Metric::Overdue, report.overdue);
        metrics.measure(Metric::RetentionHeld, report.due.iter().filter(|due| due.held).count() as u64);
        metrics.measure(Metric::RetentionTrouble, u64::from(trouble.is_some()));
        metrics.add(Metric::RetentionRound, usize::from(trouble.is_none()));
        metrics.add(Metric::RetentionDue, report.due.iter().filter(|due| !due.held).count());
        metrics.emit();
        tracing::info!(
            due = report.due.len(),
            asked = report.asked,
            gone = report.gone,
            purged = report.purged,
            open = report.open,
            unjudged = report.unjudged,
            overdue = report.overdue,
            "the daily run is over"
        );
        match trouble {
            Some(HandlerError::Chatwoot(error)) => {
                tracing::error!(%error, page = app::REFUSALS_PAGE, "Chatwoot kept the daily run from a part of its work");
                Ok(RetentionReport { trouble: Some(error.to_string()), ..report })
            }
            Some(error) => Err(error),
            None => Ok(report),
        }
    }

    /// Gives the proof: the same checks of Chatwoot and the table, without changing anything.
    pub async fn dry_run(&self) -> Result<RetentionReport, HandlerError> {
        let (report, trouble) = self.go(RetentionRun::new(self.clients.clock.clone(), Duration::MAX, true)).await;
        trouble.map_or(Ok(report), Err)
    }

    async fn go(&self, mut run: RetentionRun) -> (RetentionReport, Option<HandlerError>) {
        let opened = self.wake_open(&mut run).await;
        run.keep(opened);
        // First what needs only the table.
        let purged = self.purge(&mut run).await;
        run.keep(purged);
        if !run.dry {
            let woken = self.wake_letters().await;
            run.keep(woken);
        }
        match self.clients.channels.all().await {
            Ok(channels) => self.chatwoot_side(channels, &mut run).await,
            Err(error) => {
                run.report.overdue += 1;
                run.keep(Err(error.into()));
            }
        }
        (run.report, run.trouble)
    }

    async fn chatwoot_side(&self, mut channels: Vec<Channel>, run: &mut RetentionRun) {
        if !run.dry {
            let gone = self.deleted_contacts(&channels, run).await;
            run.keep(gone);
        }
        let holds = self.legal_holds(&channels, run).await;
        // The channel at which yesterday's time ran out comes first today.
        let first: Option<PhoneNumberId> = self.sweeps.cursor(CHANNEL_CURSOR).await.ok().flatten();
        let at = first.and_then(|id| channels.iter().position(|channel| channel.phone_number_id == id));
        channels.rotate_left(at.unwrap_or_default());
        for (at, channel) in channels.iter().enumerate() {
            if run.is_over() {
                let left = channels.len() - at;
                tracing::warn!(channels = left, "there is no time left for the rest of the channels");
                run.unjudged(left as u64);
                if run.dry {
                    return;
                }
                let stopped_at = self.sweeps.set_cursor(CHANNEL_CURSOR, Some(&channel.phone_number_id)).await;
                return run.keep(stopped_at.map_err(HandlerError::from));
            }
            let looked = self.channel(channel, &holds, run).await;
            if looked.is_err() {
                run.unjudged(1);
            }
            run.keep(looked);
        }
        if !run.dry {
            // One write either way; only a run without a failed part is on record.
            let done = match &run.trouble {
                None => self.sweeps.end(CHANNEL_CURSOR).await,
                Some(_) => self.sweeps.set_cursor(CHANNEL_CURSOR, None::<&PhoneNumberId>).await,
            };
            run.keep(done.map_err(HandlerError::from));
        }
    }

    async fn channel(
        &self,
        channel: &Channel,
        legal_holds: &legal_holds::LegalHolds,
        run: &mut RetentionRun,
    ) -> Result<(), HandlerError> {
        let chatwoot = self.chatwoot(channel).await?;
        if !run.dry {
            self.labeled(&chatwoot, channel, run).await?;
        }
        self.inactive(&chatwoot, channel, legal_holds, run).await
    }

    /// Gives Chatwoot's client, if the inbox is there: an answer that everything is gone is not believed.
    async fn chatwoot(&self, channel: &Channel) -> Result<Chatwoot, HandlerError> {
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        chatwoot.is_locked(channel.inbox).await?;
        Ok(chatwoot)
    }

    /// Handles the labels whose callback was lost.
    async fn labeled(
        &self,
        chatwoot: &Chatwoot,
        channel: &Channel,
        run: &mut RetentionRun,
    ) -> Result<(), HandlerError> {
        let mut failures = 0;
        for page in 1.. {
            if run.is_over() {
                run.unjudged(1);
                break;
            }
            let found = match chatwoot.labeled(channel.inbox, ERASE_LABEL, page).await {
                Ok(found) => found.rows,
                Err(error) => {
                    failures += 1;
                    run.unjudged(1);
                    if failures >= MAX_CHATWOOT_FAILURES {
                        return Err(error.into());
                    }
                    continue;
                }
            };
            if found.is_empty() {
                break;
            }
            failures = 0;
            let mut letters = Vec::with_capacity(found.len());
            for conversation in &found {
                let sync = SyncRequest::new(channel.phone_number_id.clone(), channel.account, conversation.id);
                let task = ErasureTask::LabelsV1(sync);
                letters.push(QueueMessage::new(task.group(), Uuid::new_v4().to_string(), &task)?);
            }
            self.erasures.send_all(letters).await?;
        }
        Ok(())
    }

    /// Has the dead letters checked: those an erasure put back have begun the queue's days anew.
    async fn wake_letters(&self) -> Result<(), HandlerError> {
        let task = ErasureTask::LettersV1;
        Ok(self.erasures.send(QueueMessage::new(task.group(), Uuid::new_v4().to_string(), &task)?).await?)
    }

    /// Opens a request and queues its task.
    async fn ask(
        &self,
        source: RequestSource,
        subject: DataSubject,
        asked_at: Timestamp,
    ) -> Result<RequestOutcome, HandlerError> {
        let asked = self.requests.ask(source, subject, asked_at).await?;
        let erasure = &asked.entry.erasure;
        if asked.is_new {
            tracing::info!(erasure = %erasure.code(), source = ?source, "an erasure was asked for");
            self.clients.metrics.count(Metric::ErasureAsked);
        }
        if !erasure.is_closed() {
            // The earlier attempt that opened it may have crashed before this.
            self.erasures.send(app::erasure_message(erasure, Uuid::new_v4())?).await?;
            self.requests.bar(&asked.entry).await?;
        }
        Ok(asked)
    }
}
