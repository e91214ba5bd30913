//! Builds the clients, once a cold start.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use chatwoot::{Chatwoot, REFUSALS_PAGE, files::PublicOnly, rights::Rights};
use domain::{AccountId, Channel, HashKey, KeyedHash, SharedClock, Timestamp, keyed_hash::WorkItem};
use platform::{
    AppSecrets, ChannelSecrets, ConfigError, Environment, SecretError, Secrets, Setting,
    aws::Aws,
    http::{ClientError, Http},
    warm_up,
};
use queue::Queue;
use secrecy::{ExposeSecret as _, SecretString};
use store::{
    Channels, Claims, Conversations, CustomerStore, ErasureLedger, ItemLedger, MediaAtMeta, MessageLinks,
    NumberRateLimit, OrphanStatuses, Outbox, PendingMedia, Profiles, ReconcileCursor, Revocations, Table, Tombstones,
};
use texts::Locale;
use url::Url;
use whatsapp::Graph;

/// How long the rights of a token are not asked for again.
const LOOKED_AT_FOR: Duration = Duration::from_secs(86_400);

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its secret.
    #[error("the app's secret cannot be had: {0}")]
    Secret(#[from] SecretError),
    /// Its HTTP clients.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Stores and clients of a function that works between Meta and Chatwoot.
#[derive(Debug)]
pub struct Clients {
    /// The clock.
    pub clock: SharedClock,
    /// The agents' language.
    pub locale: Locale,
    /// The key of every keyed hash.
    pub key: HashKey,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Secrets, cached.
    pub secrets: Secrets,
    /// Graph.
    pub graph: Graph,
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
    http: Http,
    chatwoot_url: Url,
    app_secret: String,
    /// The tokens, by hash, whose rights Chatwoot was asked for, and when.
    tokens: Mutex<HashMap<KeyedHash<WorkItem>, Timestamp>>,
    /// Whether Chatwoot was seen to name another origin than its address here.
    chatwoot_elsewhere: Arc<AtomicBool>,
}

/// What they are built from.
#[derive(Debug)]
pub struct Settings {
    aws: Aws,
    table: String,
    app_secret: String,
    chatwoot_url: Url,
    chatwoot_ca: Option<String>,
    graph_url: Url,
    graph_version: String,
    locale: Locale,
    retention: Duration,
}

impl Settings {
    /// Reads them; what is missing or wrong stays with the environment.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let aws = Aws::from_env(env);
        let table = env.text(Setting::TableName);
        let app_secret = env.text(Setting::AppSecret);
        let chatwoot_url = env.url(Setting::ChatwootUrl);
        let chatwoot_ca = env.optional(Setting::ChatwootCa);
        let graph_url = env.url(Setting::GraphUrl);
        let graph_version = env.text(Setting::GraphVersion);
        let locale = env.parsed::<Locale>(Setting::Locale);
        let retention = env.parsed::<u64>(Setting::RetentionDays);
        Some(Self {
            aws: aws?,
            table: table?,
            app_secret: app_secret?,
            chatwoot_url: chatwoot_url?,
            chatwoot_ca,
            graph_url: graph_url?,
            graph_version: graph_version?,
            locale: locale?,
            retention: Duration::from_secs(retention? * 86_400),
        })
    }
}

impl Clients {
    /// Builds them, and reads the secret key of the keyed hashes.
    pub async fn new(settings: Settings, clock: SharedClock) -> Result<Self, StartError> {
        let Settings { aws, table, app_secret, chatwoot_url, chatwoot_ca, graph_url, graph_version, locale, retention } =
            settings;
        let secrets = Secrets::new(aws.secrets, clock.clone());
        let http = Http::new(Arc::new(PublicOnly), chatwoot_ca.as_deref())?;
        let key = HashKey::new(secrets.get::<AppSecrets>(&app_secret).await?.subject_key);
        let table = Table::new(aws.dynamodb, table, clock.clone(), retention);
        Ok(Self {
            graph: Graph::new(http.kept.clone(), http.fresh.clone(), graph_url, graph_version),
            channels: Channels::new(table.clone()),
            claims: Claims::new(table.clone()),
            conversations: Conversations::new(table.clone()),
            ledger: ItemLedger::new(table.clone()),
            customers: CustomerStore::new(table.clone(), key.clone()),
            orphan_statuses: OrphanStatuses::new(table.clone()),
            erasures: ErasureLedger::new(table.clone()),
            pending_media: PendingMedia::new(table.clone()),
            message_links: MessageLinks::new(table.clone(), key.clone()),
            media: MediaAtMeta::new(table.clone()),
            outbox: Outbox::new(table.clone()),
            rate_limit: NumberRateLimit::new(table.clone()),
            profiles: Profiles::new(table.clone(), key.clone()),
            tombstones: Tombstones::new(table.clone(), key.clone()),
            revocations: Revocations::new(table.clone(), key.clone()),
            cursor: ReconcileCursor::new(table.clone()),
            table,
            sqs: aws.sqs,
            clock,
            locale,
            key,
            secrets,
            http,
            chatwoot_url,
            app_secret,
            tokens: Mutex::default(),
            chatwoot_elsewhere: Arc::default(),
        })
    }

    /// Loads the channels and their secrets, and opens the connections to all of AWS, before the first event; `queue` is one
    /// whose attributes the function may read. Connections to Meta and Chatwoot are left to the first call: their servers close
    /// an idle one before long.
    pub async fn warm_up(&self, queue: &Queue) {
        let secrets = async {
            if let Ok(channels) = self.channels.remember_all().await {
                self.secrets.prepare(channels.iter().map(|channel| channel.secret.as_str())).await;
            }
        };
        warm_up(Box::pin(async { tokio::join!(secrets, queue.holds()) })).await;
    }

    /// Chatwoot's client, with the cached token.
    pub async fn chatwoot(&self, account: AccountId) -> Result<Chatwoot, SecretError> {
        let token = self.secrets.get::<AppSecrets>(&self.app_secret).await?.chatwoot_token;
        Ok(Chatwoot::new(
            self.http.private.clone(),
            self.http.guarded.clone(),
            self.chatwoot_url.clone(),
            account,
            &token,
        )
        .knowing(&self.chatwoot_elsewhere))
    }

    /// Fetches a newer token, after Chatwoot refused the cached one. Returns whether there may be one: another task in this
    /// process may have found it just now. Which rights the token in the secret lacks is logged.
    pub async fn renew_chatwoot_token(&self) -> bool {
        let refused = self.secrets.get::<AppSecrets>(&self.app_secret).await;
        let looked_up = self.secrets.get_again::<AppSecrets>(&self.app_secret).await;
        if let Ok(Some(found)) = &looked_up {
            let is_new = refused
                .is_ok_and(|refused| refused.chatwoot_token.expose_secret() != found.chatwoot_token.expose_secret());
            self.say_what_is_missing(&found.chatwoot_token, is_new).await;
        }
        looked_up.is_ok()
    }

    /// Asks Chatwoot what a token may do, and logs where that is too little; once a day for each token.
    async fn say_what_is_missing(&self, token: &SecretString, is_new: bool) {
        let token = self.key.item(["chatwoot_token", token.expose_secret()]);
        let now = self.clock.now();
        let known = |looked_at: &Timestamp| now.since(*looked_at) < LOOKED_AT_FOR;
        if self.tokens().get(&token).is_some_and(known) {
            return;
        }
        let Ok(channels) = self.channels.all().await else { return };
        let accounts: BTreeSet<_> = channels.iter().map(|channel| channel.account).collect();
        let Some(any) = accounts.first() else { return };
        let Ok(chatwoot) = self.chatwoot(*any).await else { return };
        // Recorded before the answer is here, so that other refused tasks do not ask meanwhile.
        self.tokens().insert(token.clone(), now);
        let memberships = match chatwoot.memberships().await {
            Ok(memberships) => memberships,
            Err(error) => {
                self.tokens().remove(&token);
                return tracing::error!(%error, page = REFUSALS_PAGE, "Chatwoot does not say what the token may do");
            }
        };
        for account in accounts {
            let rights = memberships.rights(account);
            if rights == Rights::Administrator && is_new {
                tracing::info!(%account, "the token in the secret is an administrator's");
            } else {
                let cause = rights.cause();
                tracing::error!(%account, cause, page = REFUSALS_PAGE, "Chatwoot refuses what the bridge has to do");
            }
        }
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<KeyedHash<WorkItem>, Timestamp>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channel's token for Graph.
    pub async fn token(&self, channel: &Channel) -> Result<SecretString, SecretError> {
        Ok(self.secrets.get::<ChannelSecrets>(&channel.secret).await?.access_token)
    }

    /// A newer token, after Graph refused `used`; nothing if there is none.
    pub async fn renew_token(&self, channel: &Channel, used: &SecretString) -> Option<SecretString> {
        if let Some(renewed) = self.secrets.get_again::<ChannelSecrets>(&channel.secret).await.ok()? {
            return Some(renewed.access_token);
        }
        // Another task in this process looked it up just now.
        let cached = self.token(channel).await.ok()?;
        (cached.expose_secret() != used.expose_secret()).then_some(cached)
    }
}
