//! Finds every five minutes what one side lost. It queues a sync request for every conversation with recent activity, since
//! Chatwoot posts each callback once and some never arrive. It also handles files that could not be fetched, statuses that
//! came too early, and the item ledger.

mod balance;
mod channel_access;
mod orphan_statuses;
mod pending_media;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use app::{Clients, Function, HandlerError, ScheduledFunction, Settings, StartError, sync_templates};
pub use balance::Balance;
use domain::{
    AccountId, Channel, ConversationId, OutboundTask, SharedClock, SyncRequest, Timestamp, channel::SendHold,
};
use futures_util::{StreamExt as _, stream};
use platform::{Environment, Metric, Metrics, Setting};
use queue::{Queue, QueueMessage};
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
    files_missing: AtomicU64,
    /// Whether something of this round did not go through.
    incomplete: AtomicBool,
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), app::Error> {
    app::run_scheduled(Box::pin(Handler::from_env(Environment::process(), clock)).await?).await
}

impl Function for Handler {
    fn metrics(&self) -> &Metrics {
        &self.clients.metrics
    }

    async fn warm_up(&self) {
        self.clients.warm_up(&self.inbound).await;
    }
}

impl ScheduledFunction for Handler {
    type Report = Balance;

    async fn run(&self, _until: Timestamp) -> Result<Balance, HandlerError> {
        self.handle().await
    }
}

impl Handler {
    /// Reads the settings.
    pub async fn from_env(env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let (settings, inbound, outbound) = env.read(|env| {
            let settings = Settings::read(env, "reconcile", clock);
            let inbound = settings.base.queue(env, Setting::InboundQueueUrl);
            let outbound = settings.base.queue(env, Setting::OutboundQueueUrl);
            (settings, inbound, outbound)
        })?;
        Ok(Self {
            clients: Clients::new(settings).await?,
            inbound,
            outbound,
            files_missing: AtomicU64::default(),
            incomplete: AtomicBool::default(),
        })
    }

    /// Makes one round. A channel whose Chatwoot is down does not keep the others from their turn, nor one job the next.
    pub async fn handle(&self) -> Result<Balance, HandlerError> {
        // The queue is counted before the statuses, and both before the ledger: what is finished meanwhile is counted
        // twice, or is missing in the ledger, and never the other way round.
        let (channels, held) = tokio::join!(self.clients.channels.all(), self.inbound.holds());
        let channels = channels?;
        // A round is rare, and does not rest. After a silence one call decides; those beside it would be refused, and wait for the
        // next round.
        let at_once = if self.clients.try_now() { 1 } else { MAX_CONCURRENT_CHANNELS };
        let early = stream::iter(&channels).map(|channel| self.channel(channel)).buffered(at_once);
        let early: Vec<Option<u64>> = early.collect().await;
        self.clients.note_silences().await;
        let balanced = self.balance(&channels, held, &early).await;
        let (metrics, now) = (self.metrics(), self.clients.clock.now());
        metrics.measure(Metric::FilesMissing, self.files_missing.swap(0, Ordering::Relaxed));
        // A pause is the operator's own.
        let is_cut = |channel: &&Channel| !matches!(channel.hold(now), None | Some(SendHold::Paused));
        metrics.measure(Metric::ChannelDown, channels.iter().filter(is_cut).count() as u64);
        if balanced.is_ok() && !self.incomplete.swap(false, Ordering::Relaxed) {
            metrics.count(Metric::ReconcileRound);
        }
        if let Ok(found) = &balanced {
            metrics.measure(Metric::Difference, found.difference);
            metrics.measure(Metric::Waiting, found.waiting);
        }
        metrics.emit();
        balanced
    }

    /// Gives the number of the channel's orphan statuses, if it could be read.
    async fn channel(&self, channel: &Channel) -> Option<u64> {
        if let Err(error) = self.regained(channel).await {
            tracing::warn!(%error, channel.id = %channel.phone_number_id, "it cannot be told whether a number is back");
        }
        match self.round(channel).await {
            Ok(requests) => tracing::info!(channel.id = %channel.phone_number_id, requests, "a round went through"),
            Err(error) => {
                tracing::warn!(%error, channel.id = %channel.phone_number_id, "a round did not go through");
                self.failed(&error);
            }
        }
        if let Err(error) = sync_templates(&self.clients, channel).await {
            tracing::warn!(%error, channel.id = %channel.phone_number_id, "an inbox keeps offering what it offered");
            self.count_refusal(&error);
        }
        self.look_at_token_end(channel).await;
        let (files, statuses) = tokio::join!(self.files(channel), self.statuses(channel));
        if let Err(error) = files {
            tracing::warn!(%error, channel.id = %channel.phone_number_id, "files have to wait for the next round");
            self.failed(&error);
        }
        match statuses {
            Ok(waiting) => Some(waiting),
            Err(error) => {
                tracing::warn!(%error, channel.id = %channel.phone_number_id, "statuses have to wait for the next round");
                self.failed(&error);
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
        let mut requested: BTreeSet<_> = self.clients.cursor.watched(number).await?.into_iter().collect();
        self.request_syncs(channel, &requested, blind_since).await?;
        match self.active(channel, since, blind_since, &mut requested).await {
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
                self.request_syncs(channel, &known.filter(|one| !requested.contains(one)).collect(), blind_since)
                    .await?;
                return Err(error);
            }
        }
        if blind_since.is_some() {
            self.clients.cursor.sees(number).await?;
        }
        self.clients.cursor.completed(number, began_at).await?;
        Ok(requested.len())
    }

    /// Queues sync requests for the conversations in which something happened since then, by Chatwoot's own list, the most
    /// recent first. It works page by page: a list too long for one round has had its first sync requests queued all the
    /// same.
    async fn active(
        &self,
        channel: &Channel,
        since: Timestamp,
        blind_since: Option<Timestamp>,
        requested: &mut BTreeSet<(AccountId, ConversationId)>,
    ) -> Result<(), HandlerError> {
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let mut seen = BTreeSet::new();
        for page in 1..=MAX_PAGES {
            let listed = chatwoot.active(channel.inbox, page).await?;
            let recent: Vec<_> = listed.iter().filter(|one| one.at.is_none_or(|at| at >= since)).collect();
            // An import leaves nothing to send.
            let imported: BTreeSet<_> =
                recent.iter().filter(|one| one.imported).map(|one| (channel.account, one.id)).collect();
            let recent: BTreeSet<_> = recent.iter().map(|one| (channel.account, one.id)).collect();
            if recent.is_subset(&seen) {
                break;
            }
            self.request_syncs(channel, &(&recent - requested).difference(&imported).copied().collect(), blind_since)
                .await?;
            requested.extend(recent.iter().copied());
            seen.extend(recent);
        }
        Ok(())
    }

    async fn request_syncs(
        &self,
        channel: &Channel,
        conversations: &BTreeSet<(AccountId, ConversationId)>,
        unseen_since: Option<Timestamp>,
    ) -> Result<(), HandlerError> {
        let mut letters = Vec::with_capacity(conversations.len());
        for (account, conversation) in conversations {
            let sync = SyncRequest::new(channel.phone_number_id.clone(), *account, *conversation);
            let task = OutboundTask::SyncRequestV1(SyncRequest { unseen_since, ..sync });
            letters.push(QueueMessage::new(task.group(), Uuid::new_v4().to_string(), &task)?);
        }
        Ok(self.outbound.send_all(letters).await?)
    }
}
