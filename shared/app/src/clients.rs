//! Builds the clients, once a cold start.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chatwoot::{Chatwoot, files::PublicOnly};
use domain::{AccountId, Breaker, Channel, HashKey, SharedClock};
use platform::{AppSecrets, Environment, Metrics, SecretError, Secrets, Setting, http::Http};
use queue::Queue;
use store::{
    Channels, Claims, Conversations, CustomerStore, ErasureLedger, ImportRate, Imports, ItemLedger, MediaAtMeta,
    MessageLinks, NumberRateLimit, OrphanStatuses, Outbox, PendingMedia, Profiles, ReconcileCursor, Revocations, Side,
    Silences, Table, Tombstones,
};
use texts::Locale;
use url::Url;
use whatsapp::{Graph, graph::GraphApi};

use crate::{
    Base, StartError,
    base::warm_up_channels,
    tokens::{ChannelToken, ChatwootAccess},
};

/// Stores and clients of a function that works between Meta and Chatwoot.
#[derive(Debug)]
pub struct Clients {
    /// The clock.
    pub clock: SharedClock,
    /// What the function counts.
    pub metrics: Arc<Metrics>,
    /// The agents' language.
    pub locale: Locale,
    /// The key of every keyed hash.
    pub key: HashKey,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Secrets, cached.
    pub secrets: Secrets,
    /// Channels.
    pub channels: Channels,
    /// Claims.
    pub claims: Claims,
    /// Conversations.
    pub conversations: Conversations,
    /// The item ledger.
    pub ledger: ItemLedger,
    /// Customers.
    pub customers: CustomerStore,
    /// Orphan statuses.
    pub orphan_statuses: OrphanStatuses,
    /// Erasure requests.
    pub erasures: ErasureLedger,
    /// Pending files.
    pub pending_media: PendingMedia,
    /// Links.
    pub message_links: MessageLinks,
    /// Files at Meta.
    pub media: MediaAtMeta,
    /// Imports of phones' histories.
    pub imports: Imports,
    /// How fast they may write.
    pub import_rate: ImportRate,
    /// The outbox.
    pub outbox: Outbox,
    /// The number rates.
    pub rate_limit: NumberRateLimit,
    /// What customers call themselves, and their wishes.
    pub profiles: Profiles,
    /// Which people were erased, and up to when.
    pub tombstones: Tombstones,
    /// Revoked messages.
    pub revocations: Revocations,
    /// The progress of `reconcile`.
    pub cursor: ReconcileCursor,
    /// The table under all of them.
    pub table: Table,
    /// Graph, for calls that bring a token.
    pub graph_api: GraphApi,
    chatwoot: Arc<ChatwootAccess>,
    silences: Silences,
    breakers: [(Side, Arc<Breaker>); 2],
}

/// What they are built from.
#[derive(Debug)]
pub struct Settings {
    /// What every function has.
    pub base: Base,
    app_secret: String,
    chatwoot_url: Url,
    chatwoot_ca: Option<String>,
    graph_url: Url,
    graph_version: String,
    locale: Locale,
}

impl Settings {
    /// Reads them; what is missing or wrong stays with the environment.
    pub fn read(env: &mut Environment, function: &'static str, clock: SharedClock) -> Self {
        let retention = Duration::from_secs(env.parsed::<u64>(Setting::RetentionDays) * 86_400);
        Self {
            base: Base::read(env, function, clock, retention),
            app_secret: env.text(Setting::AppSecret),
            chatwoot_url: env.url(Setting::ChatwootUrl),
            chatwoot_ca: env.optional(Setting::ChatwootCa),
            graph_url: env.url(Setting::GraphUrl),
            graph_version: env.text(Setting::GraphVersion),
            locale: env.parsed(Setting::Locale),
        }
    }
}

impl Clients {
    /// Builds them, and reads the secret key of the keyed hashes.
    pub async fn new(settings: Settings) -> Result<Self, StartError> {
        let Settings { base, app_secret, chatwoot_url, chatwoot_ca, graph_url, graph_version, locale } = settings;
        let Base { clock, metrics, sqs, secrets, table } = base;
        let http = Http::new(Arc::new(PublicOnly), chatwoot_ca.as_deref())?;
        let key = HashKey::new(secrets.get::<AppSecrets>(&app_secret).await?.subject_key);
        let channels = Channels::new(table.clone());
        let [graph_breaker, chatwoot_breaker] = [(); 2].map(|()| Arc::new(Breaker::new(clock.clone())));
        Ok(Self {
            graph_api: GraphApi::new(http.kept.clone(), http.fresh.clone(), graph_url, graph_version)
                .resting(Arc::clone(&graph_breaker)),
            chatwoot: Arc::new(ChatwootAccess {
                http,
                url: chatwoot_url,
                app_secret,
                secrets: secrets.clone(),
                channels: channels.clone(),
                key: key.clone(),
                clock: clock.clone(),
                examined: Mutex::default(),
                elsewhere: Arc::default(),
                breaker: Arc::clone(&chatwoot_breaker),
            }),
            channels,
            claims: Claims::new(table.clone()),
            conversations: Conversations::new(table.clone()),
            ledger: ItemLedger::new(table.clone()),
            customers: CustomerStore::new(table.clone(), key.clone()),
            orphan_statuses: OrphanStatuses::new(table.clone()),
            erasures: ErasureLedger::new(table.clone()),
            pending_media: PendingMedia::new(table.clone()),
            message_links: MessageLinks::new(table.clone(), key.clone()),
            media: MediaAtMeta::new(table.clone()),
            imports: Imports::new(table.clone()),
            import_rate: ImportRate::new(table.clone()),
            outbox: Outbox::new(table.clone()),
            rate_limit: NumberRateLimit::new(table.clone()),
            profiles: Profiles::new(table.clone(), key.clone()),
            tombstones: Tombstones::new(table.clone(), key.clone()),
            revocations: Revocations::new(table.clone(), key.clone()),
            cursor: ReconcileCursor::new(table.clone()),
            silences: Silences::new(table.clone()),
            breakers: [(Side::Meta, graph_breaker), (Side::Chatwoot, chatwoot_breaker)],
            table,
            sqs,
            clock,
            metrics,
            locale,
            key,
            secrets,
        })
    }

    /// Loads the channels and their secrets, and opens the connections, before the first event.
    pub async fn warm_up(&self, queue: &Queue) {
        warm_up_channels(&self.channels, &self.secrets, queue).await;
    }

    /// Lets the next call to each side try, whatever rest is left. Says whether a side was silent: then one call decides, and
    /// those beside it would be refused.
    pub fn try_now(&self) -> bool {
        self.breakers.iter().fold(false, |silent, (_, breaker)| breaker.try_now() || silent)
    }

    /// Writes down which side is not called any more, or is again; nothing while all is well.
    pub async fn note_silences(&self) {
        for (side, breaker) in &self.breakers {
            let Some(news) = breaker.news() else { continue };
            if news.is_some() {
                tracing::warn!(side = side.word(), "a side does not answer; calls to it rest");
            } else {
                tracing::info!(side = side.word(), "a side answers again");
            }
            if let Err(error) = self.silences.note(*side, news).await {
                tracing::warn!(%error, side = side.word(), "that calls rest is not written down");
            }
        }
    }

    /// Chatwoot's client for an account.
    pub async fn chatwoot(&self, account: AccountId) -> Result<Chatwoot, SecretError> {
        self.chatwoot.client(account).await
    }

    /// Graph's client with a channel's token.
    pub async fn graph(&self, channel: &Channel) -> Result<Graph, SecretError> {
        Ok(self.graph_api.with(ChannelToken::read(&self.secrets, &channel.secret).await?))
    }
}
