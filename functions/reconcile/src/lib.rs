//! Finds every five minutes what one side lost. It queues a sync request for every conversation with recent activity, since
//! Chatwoot posts each callback once and some never arrive. It also handles files that could not be fetched, statuses that
//! came too early, and the item ledger.

mod balance;
mod channel_access;
mod orphan_statuses;
mod pending_media;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use app::{Clients, HandlerError, Settings, StartError, sync_templates};
pub use balance::Balance;
use domain::{AccountId, Channel, ConversationId, OutboundTask, SharedClock, SyncRequest, Timestamp};
use futures_util::{StreamExt as _, stream};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use platform::{Environment, Metric, Metrics, Setting};
use queue::{Queue, QueueMessage};
use serde_json::Value;
use uuid::Uuid;

/// How far back a first round searches; nothing older could be sent.
const FIRST_ROUND_SPAN: Duration = Duration::from_secs(25 * 3600);

/// How far a round reaches back before the beginning of the last one: for what was being written then, and for the clocks.
const ROUND_OVERLAP: Duration = Duration::from_secs(600);

/// Chatwoot shows 25 conversations a page; a round does not read more than this.
const MAX_PAGES: u32 = 400;

/// How many files or statuses of a channel a round handles; the rest has its turn five minutes later.
const SYNC_BATCH: usize = 500;

/// How many channels are handled side by side: most of a round is waiting for Chatwoot.
const MAX_CONCURRENT_CHANNELS: usize = 16;

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    clients: Clients,
    inbound: Queue,
    outbound: Queue,
    metrics: Metrics,
    files_missing: AtomicU64,
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), Error> {
    let reconcile = &Handler::from_env(Environment::process(), clock).await?;
    reconcile.clients.warm_up(&reconcile.inbound).await;
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| Ok::<_, Error>(Box::pin(reconcile.handle()).await?)))
        .await
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(mut env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let inbound = env.text(Setting::InboundQueueUrl);
        let outbound = env.text(Setting::OutboundQueueUrl);
        let stack = env.text(Setting::StackName);
        let settings = Settings::read(&mut env);
        let (Some(inbound), Some(outbound), Some(stack), Some(settings)) = (inbound, outbound, stack, settings) else {
            return Err(env.into_error().into());
        };
        let clients = Clients::new(settings, clock).await?;
        Ok(Self {
            inbound: Queue::new(clients.sqs.clone(), inbound),
            outbound: Queue::new(clients.sqs.clone(), outbound),
            metrics: Metrics::new("reconcile", stack),
            files_missing: AtomicU64::default(),
            clients,
        })
    }

    /// Makes one round. A channel whose Chatwoot is down does not keep the others from their turn, nor one job the next.
    pub async fn handle(&self) -> Result<Balance, HandlerError> {
        // The queue is counted before the statuses, and both before the ledger: what is finished meanwhile is counted
        // twice, or is missing in the ledger, and never the other way round.
        let (channels, held) = tokio::join!(self.clients.channels.all(), self.inbound.holds());
        let channels = channels?;
        let early = stream::iter(&channels).map(|channel| self.channel(channel)).buffered(MAX_CONCURRENT_CHANNELS);
        let early: Vec<Option<u64>> = early.collect().await;
        let balanced = self.balance(&channels, held, &early).await;
        self.metrics.measure(Metric::FilesMissing, self.files_missing.swap(0, Ordering::Relaxed));
        if let Ok(found) = &balanced {
            self.metrics.measure(Metric::Difference, found.difference);
            self.metrics.measure(Metric::Waiting, found.waiting);
        }
        self.metrics.emit(self.clients.clock.now());
        balanced
    }

    /// Gives the number of the channel's orphan statuses, if it could be read.
    async fn channel(&self, channel: &Channel) -> Option<u64> {
        if let Err(error) = self.regained(channel).await {
            tracing::warn!(%error, channel.id = %channel.phone_number_id, "it cannot be told whether a number is back");
        }
        let mut round = self.round(channel).await;
        if round.as_ref().is_err_and(HandlerError::is_chatwoot_token) && self.clients.renew_chatwoot_token().await {
            round = self.round(channel).await;
        }
        match round {
            Ok(hints) => tracing::info!(channel.id = %channel.phone_number_id, hints, "a round went through"),
            Err(error) => {
                tracing::warn!(%error, channel.id = %channel.phone_number_id, "a round did not go through");
            }
        }
        let mut offered = sync_templates(&self.clients, channel).await;
        if offered.as_ref().is_err_and(HandlerError::is_chatwoot_token) && self.clients.renew_chatwoot_token().await {
            offered = sync_templates(&self.clients, channel).await;
        }
        if let Err(error) = offered {
            tracing::warn!(%error, channel.id = %channel.phone_number_id, "an inbox keeps offering what it offered");
        }
        let (files, statuses) = tokio::join!(self.files(channel), self.statuses(channel));
        if let Err(error) = files {
            tracing::warn!(%error, channel.id = %channel.phone_number_id, "files have to wait for the next round");
        }
        match statuses {
            Ok(waiting) => Some(waiting),
            Err(error) => {
                tracing::warn!(%error, channel.id = %channel.phone_number_id, "statuses have to wait for the next round");
                None
            }
        }
    }

    async fn round(&self, channel: &Channel) -> Result<usize, HandlerError> {
        let number = &channel.phone_number_id;
        let began_at = self.clients.clock.now();
        let last = self.clients.cursor.completed_at(number).await?;
        let since =
            last.map_or(began_at - FIRST_ROUND_SPAN, |last| last - ROUND_OVERLAP).max(began_at - FIRST_ROUND_SPAN);
        let blind_since = self.clients.cursor.blind_since(number).await?;
        let mut hinted: BTreeSet<_> = self.clients.cursor.watched(number).await?.into_iter().collect();
        self.hint(channel, &hinted, blind_since).await?;
        match self.active(channel, since, blind_since, &mut hinted).await {
            Ok(()) => {}
            Err(error) => {
                if blind_since.is_none() {
                    // What is written from now on cannot be seen, and is not late for that reason.
                    self.clients.cursor.went_blind(number, began_at).await?;
                }
                if error.is_unauthorized() {
                    return Err(error);
                }
                // Chatwoot's list answers 500 while a contact is being deleted; the table knows most of it.
                tracing::warn!(%error, "Chatwoot's list cannot be had; the table's is used");
                let known = self.clients.conversations.active(number, since).await?.into_iter();
                self.hint(channel, &known.filter(|one| !hinted.contains(one)).collect(), blind_since).await?;
                return Err(error);
            }
        }
        if blind_since.is_some() {
            self.clients.cursor.sees(number).await?;
        }
        self.clients.cursor.completed(number, began_at).await?;
        Ok(hinted.len())
    }

    /// Queues sync requests for the conversations in which something happened since then, by Chatwoot's own list, the most
    /// recent first. It works page by page: a list too long for one round has had its first sync requests queued all the
    /// same.
    async fn active(
        &self,
        channel: &Channel,
        since: Timestamp,
        blind_since: Option<Timestamp>,
        hinted: &mut BTreeSet<(AccountId, ConversationId)>,
    ) -> Result<(), HandlerError> {
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let mut seen = BTreeSet::new();
        for page in 1..=MAX_PAGES {
            let listed = chatwoot.active(channel.inbox, page).await?;
            let recent = |(_, at): &&(ConversationId, Option<Timestamp>)| at.is_none_or(|at| at >= since);
            let recent: BTreeSet<_> = listed.iter().filter(recent).map(|(id, _)| (channel.account, *id)).collect();
            if recent.is_subset(&seen) {
                break;
            }
            self.hint(channel, &recent.difference(hinted).copied().collect(), blind_since).await?;
            hinted.extend(recent.iter().copied());
            seen.extend(recent);
        }
        Ok(())
    }

    async fn hint(
        &self,
        channel: &Channel,
        conversations: &BTreeSet<(AccountId, ConversationId)>,
        unseen_since: Option<Timestamp>,
    ) -> Result<(), HandlerError> {
        let mut letters = Vec::with_capacity(conversations.len());
        for (account, conversation) in conversations {
            let sync = SyncRequest::look(channel.phone_number_id.clone(), *account, *conversation);
            let hint = SyncRequest { unseen_since, ..sync };
            let task = OutboundTask::HintV1(hint);
            letters.push(QueueMessage::new(task.group(), Uuid::new_v4().to_string(), &task)?);
        }
        Ok(self.outbound.send_all(letters).await?)
    }
}
