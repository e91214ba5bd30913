//! Renews the tokens of the clients from their secrets.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use chatwoot::{Chatwoot, REFUSALS_PAGE, rights::Rights};
use domain::{
    AccountId, ApiToken, Breaker, HashKey, KeyedHash, Renewal, SharedClock, Timestamp, TokenSource,
    keyed_hash::WorkItem,
};
use platform::{AppSecrets, ChannelSecrets, SecretError, Secrets, http::Http};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use store::Channels;
use url::Url;

/// How long the rights of a token are not asked for again.
const RIGHTS_TTL: Duration = Duration::from_secs(86_400);

/// A channel's token for Graph.
#[derive(Debug)]
pub(crate) struct ChannelToken {
    secrets: Secrets,
    secret: String,
}

impl ChannelToken {
    /// The token in that secret.
    pub(crate) async fn read(secrets: &Secrets, secret: &str) -> Result<ApiToken, SecretError> {
        let current = secrets.get::<ChannelSecrets>(secret).await?.access_token;
        Ok(ApiToken::new(current, Arc::new(Self { secrets: secrets.clone(), secret: secret.to_owned() })))
    }
}

impl TokenSource for ChannelToken {
    fn renew<'a>(&'a self, refused: &'a SecretString) -> Renewal<'a> {
        let token = |secrets: ChannelSecrets| secrets.access_token;
        Box::pin(async move { Some(refetch(&self.secrets, &self.secret, refused, token).await?.0) })
    }
}

/// The way to Chatwoot, and its token, which is the same for all accounts.
#[derive(Debug)]
pub(crate) struct ChatwootAccess {
    pub(crate) http: Http,
    pub(crate) url: Url,
    pub(crate) app_secret: String,
    pub(crate) secrets: Secrets,
    pub(crate) channels: Channels,
    pub(crate) key: HashKey,
    pub(crate) clock: SharedClock,
    /// The tokens, by hash, whose rights Chatwoot was asked for, and when.
    pub(crate) examined: Mutex<HashMap<KeyedHash<WorkItem>, Timestamp>>,
    /// Whether Chatwoot was seen to name another origin than its address here.
    pub(crate) elsewhere: Arc<AtomicBool>,
    /// Whether Chatwoot is called.
    pub(crate) breaker: Arc<Breaker>,
}

impl ChatwootAccess {
    /// A client for an account, with the cached token.
    pub(crate) async fn client(self: &Arc<Self>, account: AccountId) -> Result<Chatwoot, SecretError> {
        let current = self.secrets.get::<AppSecrets>(&self.app_secret).await?.chatwoot_token;
        let source: Arc<dyn TokenSource> = Arc::<Self>::clone(self);
        Ok(self.client_with(account, ApiToken::new(current, source)))
    }

    fn client_with(&self, account: AccountId, token: ApiToken) -> Chatwoot {
        let (private, guarded) = (self.http.private.clone(), self.http.guarded.clone());
        Chatwoot::new(private, guarded, self.url.clone(), account, token)
            .knowing(&self.elsewhere)
            .resting(&self.breaker)
    }

    /// Asks Chatwoot what a token may do, and logs where that is too little; once a day for each token.
    async fn examine(&self, token: &SecretString, is_new: bool) {
        let hash = self.key.item(["chatwoot_token", token.expose_secret()]);
        let now = self.clock.now();
        if self.examined().get(&hash).is_some_and(|at| now.since(*at) < RIGHTS_TTL) {
            return;
        }
        let Ok(channels) = self.channels.all().await else { return };
        let accounts: BTreeSet<_> = channels.iter().map(|channel| channel.account).collect();
        let Some(any) = accounts.first() else { return };
        let chatwoot = self.client_with(*any, ApiToken::fixed(token.clone()));
        // Recorded before the answer is here, so that other refused calls do not ask meanwhile.
        self.examined().insert(hash.clone(), now);
        let memberships = match chatwoot.memberships().await {
            Ok(memberships) => memberships,
            Err(error) => {
                self.examined().remove(&hash);
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

    fn examined(&self) -> MutexGuard<'_, HashMap<KeyedHash<WorkItem>, Timestamp>> {
        self.examined.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenSource for ChatwootAccess {
    fn renew<'a>(&'a self, refused: &'a SecretString) -> Renewal<'a> {
        Box::pin(async move {
            let token = |secrets: AppSecrets| secrets.chatwoot_token;
            let (found, fetched) = refetch(&self.secrets, &self.app_secret, refused, token).await?;
            if fetched {
                self.examine(&found, found.expose_secret() != refused.expose_secret()).await;
            }
            Some(found)
        })
    }
}

/// The token in a secret after `refused` was refused, and whether it was fetched just now. If another task fetched it just
/// before, it counts only where it is another one.
async fn refetch<T: DeserializeOwned>(
    secrets: &Secrets,
    secret: &str,
    refused: &SecretString,
    token: impl Fn(T) -> SecretString,
) -> Option<(SecretString, bool)> {
    if let Some(found) = secrets.get_again::<T>(secret).await.ok()? {
        return Some((token(found), true));
    }
    let cached = token(secrets.get(secret).await.ok()?);
    (cached.expose_secret() != refused.expose_secret()).then_some((cached, false))
}
