//! Caches secrets from Secrets Manager.
//! They are cached for five minutes, used stale when Secrets Manager is down, and fetched again when a check fails.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{SharedClock, Timestamp};
use futures_util::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::SecretWriter;

/// How long a secret is used before it is fetched again.
const SECRET_TTL: Duration = Duration::from_secs(300);

/// A failed check fetches again at once, but a flood of forgeries must not become a flood of calls.
const REFETCH_INTERVAL: Duration = Duration::from_secs(5);

/// A secret that could not be fetched is not asked for again before this.
const FAILURE_TTL: Duration = Duration::from_secs(2);

/// How many secrets are fetched before they are needed.
const MAX_CONCURRENT_FETCHES: usize = 4;

/// The app's own secret.
#[derive(Clone, Debug, Deserialize)]
pub struct AppSecrets {
    /// Signs Meta's webhooks.
    #[serde(deserialize_with = "some")]
    pub app_secret: SecretString,
    /// Signed them until the last rotation.
    #[serde(default, deserialize_with = "if_any")]
    pub app_secret_previous: Option<SecretString>,
    /// Answers Meta's handshake.
    #[serde(deserialize_with = "some")]
    pub verify_token: SecretString,
    /// Chatwoot's API token.
    pub chatwoot_token: SecretString,
    /// The key of every keyed hash.
    #[serde(deserialize_with = "some")]
    pub subject_key: SecretString,
    /// The app's id at Meta.
    #[serde(default)]
    pub app_id: String,
    /// Signs the links by which numbers are connected.
    #[serde(default, deserialize_with = "if_any")]
    pub link_key: Option<SecretString>,
    /// Signed them until the last rotation.
    #[serde(default, deserialize_with = "if_any")]
    pub link_key_previous: Option<SecretString>,
}

/// A channel's secret.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelSecrets {
    /// Graph's token for this number.
    pub access_token: SecretString,
    /// When that token ends, in seconds since 1970, if it does.
    #[serde(default, deserialize_with = "end")]
    pub access_token_expires_at: Option<Timestamp>,
    /// Signs Chatwoot's callbacks for this inbox.
    #[serde(deserialize_with = "some")]
    pub callback_secret: SecretString,
    /// Signed them until the last rotation.
    #[serde(default, deserialize_with = "if_any")]
    pub callback_secret_previous: Option<SecretString>,
    /// Part of the path of callbacks that are not signed. Without it those are refused.
    #[serde(default, deserialize_with = "if_any")]
    pub callback_path_secret: Option<SecretString>,
}

impl ChannelSecrets {
    /// The secret in the path that admits a callback without a signature. A signing secret must not be in a path, so it is not
    /// accepted there.
    pub fn path_secret(&self) -> Option<&SecretString> {
        let signs = [Some(&self.callback_secret), self.callback_secret_previous.as_ref()];
        let same = |secret: &SecretString, other: &SecretString| secret.expose_secret() == other.expose_secret();
        self.callback_path_secret.as_ref().filter(|path| !signs.into_iter().flatten().any(|one| same(path, one)))
    }
}

/// An empty secret counts as none: a caller that signs with an empty key must not get in.
fn if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let secret = Option::<SecretString>::deserialize(deserializer)?;
    Ok(secret.filter(|secret| !secret.expose_secret().is_empty()))
}

/// Graph says 0 of a token that does not end.
fn end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let end = Option::<i64>::deserialize(deserializer)?;
    Ok(end.filter(|end| *end > 0).map(Timestamp::from_secs))
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    if_any(deserializer)?.ok_or_else(|| serde::de::Error::custom("empty"))
}

/// Why a secret cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none of that name.
    #[error("no such secret")]
    Missing,
    /// It was removed, and can be had back for some days.
    #[error(
        "the secret was deleted, and can be had back: `aws secretsmanager restore-secret` (docs/runbook/stack-again.md)"
    )]
    Removed,
    /// It is not the expected JSON. The text itself is never shown.
    #[error("the secret is not what it should be")]
    Unreadable,
    /// The role may not do that with it.
    #[error("the credentials may not read or write the secret")]
    Forbidden,
    /// Secrets Manager did not answer.
    #[error("Secrets Manager did not answer")]
    Unavailable,
}

/// The cache. Its clones share what is cached.
#[derive(Clone, Debug)]
pub struct Secrets {
    client: aws_sdk_secretsmanager::Client,
    clock: SharedClock,
    cache: Arc<Mutex<HashMap<String, Cached>>>,
    /// One checks at a time whether there is a newer secret: the others want to know what it finds.
    refetching: Arc<tokio::sync::Mutex<()>>,
}

/// What is cached for a name. Names come from settings and channels, never from a request, so there are few.
#[derive(Clone, Debug, Default)]
struct Cached {
    /// The text, and when it was fetched.
    text: Option<(SecretString, Timestamp)>,
    /// When a failed check last asked again.
    refetched_at: Option<Timestamp>,
    /// The last attempt failed: why, and when.
    failed: Option<(SecretError, Timestamp)>,
}

impl Cached {
    fn failed(&self, now: Timestamp) -> Option<SecretError> {
        self.failed.filter(|(_, at)| now.since(*at) < FAILURE_TTL).map(|(error, _)| error)
    }
}

impl Secrets {
    /// An empty cache.
    pub fn new(client: aws_sdk_secretsmanager::Client, clock: SharedClock) -> Self {
        Self { client, clock, cache: Arc::default(), refetching: Arc::default() }
    }

    /// What writes secrets, with the same rights.
    pub fn writer(&self) -> SecretWriter {
        SecretWriter::new(self.client.clone())
    }

    /// The secret with that name, at most five minutes old unless Secrets Manager is down.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, SecretError> {
        let now = self.clock.now();
        let cached = self.cached(name);
        if let Some((text, fetched_at)) = &cached.text
            && now.since(*fetched_at) < SECRET_TTL
            && let Ok(read) = parse(text)
        {
            return Ok(read);
        }
        let fetched = match cached.failed(now) {
            Some(error) => Err(error),
            None => self.fetch_and_keep::<T>(name, false).await,
        };
        match (fetched, cached.text) {
            (Err(SecretError::Unavailable), Some((stale, _))) => {
                tracing::warn!("Secrets Manager did not answer; the secret in hand is used on");
                parse(&stale)
            }
            (fetched, _) => fetched,
        }
    }

    /// Checks something with a secret. Where that fails the secret may have been replaced: it is fetched again, at most once in five
    /// seconds, and checked with once more.
    pub async fn check<S: DeserializeOwned, T>(
        &self,
        name: &str,
        check: impl Fn(&S) -> Option<T>,
    ) -> Result<Option<T>, SecretError> {
        if let Some(passed) = check(&self.get(name).await?) {
            return Ok(Some(passed));
        }
        Ok(self.get_again(name).await.ok().flatten().and_then(|renewed| check(&renewed)))
    }

    /// Fetches the secret again, after a check with the cached one failed; nothing if it was fetched just now.
    pub async fn get_again<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SecretError> {
        let _turn = self.refetching.lock().await;
        let now = self.clock.now();
        let cached = self.cached(name);
        if cached.refetched_at.is_some_and(|at| now.since(at) < REFETCH_INTERVAL) || cached.failed(now).is_some() {
            return Ok(None);
        }
        self.fetch_and_keep(name, true).await.map(Some)
    }

    /// Fetches the first few secrets before they are needed, side by side: as many as an ordinary dealer has. A secret that
    /// cannot be fetched now is fetched when it is needed.
    pub async fn prepare(&self, names: impl IntoIterator<Item = &str>) {
        let fetches = names.into_iter().take(MAX_CONCURRENT_FETCHES).map(async |name| {
            if let Ok(text) = self.fetch(name).await {
                self.change(name, |cached| cached.text = Some((text, self.clock.now())));
            }
        });
        join_all(fetches).await;
    }

    async fn fetch(&self, name: &str) -> Result<SecretString, SecretError> {
        let answer = self.client.get_secret_value().secret_id(name).send().await.map_err(|error| {
            match error.as_service_error() {
                Some(error) if error.is_resource_not_found_exception() => SecretError::Missing,
                _ => SecretError::Unavailable,
            }
        })?;
        answer.secret_string.map(SecretString::from).ok_or(SecretError::Unreadable)
    }

    /// Fetches a secret. A failure to fetch or to read it is cached for a moment as well.
    async fn fetch_and_keep<T: DeserializeOwned>(&self, name: &str, again: bool) -> Result<T, SecretError> {
        if again {
            // Recorded before the answer is here, so that other callers do not ask meanwhile.
            self.change(name, |cached| cached.refetched_at = Some(self.clock.now()));
        }
        let fetched = self.fetch(name).await.and_then(|text| Ok((parse::<T>(&text)?, text)));
        let now = self.clock.now();
        self.change(name, |cached| match &fetched {
            Ok((_, text)) => (cached.text, cached.failed) = (Some((text.clone(), now)), None),
            Err(error) => cached.failed = Some((*error, now)),
        });
        fetched.map(|(read, _)| read)
    }

    fn cached(&self, name: &str) -> Cached {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_default()
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Cached)) {
        change(self.cache.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default());
    }
}

fn parse<T: DeserializeOwned>(text: &SecretString) -> Result<T, SecretError> {
    // The parser's own message quotes the text it fails on.
    serde_json::from_str(text.expose_secret()).map_err(|_| SecretError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_secret_is_none() {
        let channel = |current: &str, previous: &str| {
            let json = format!(
                r#"{{"access_token":"a","callback_secret":"{current}","callback_secret_previous":{previous}}}"#
            );
            parse::<ChannelSecrets>(&SecretString::from(json))
        };
        assert!(channel("c", r#""""#).unwrap().callback_secret_previous.is_none());
        assert!(channel("c", "null").unwrap().callback_secret_previous.is_none());
        assert!(channel("c", r#""p""#).unwrap().callback_secret_previous.is_some());
        assert!(channel("", "null").is_err());
    }

    #[test]
    fn what_signs_opens_no_path() {
        let path = |previous: &str, path: &str| {
            let json = format!(
                r#"{{"access_token":"a","callback_secret":"c","callback_secret_previous":"{previous}","callback_path_secret":{path}}}"#
            );
            let secrets = parse::<ChannelSecrets>(&SecretString::from(json)).unwrap();
            secrets.path_secret().map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(path("", "null"), None);
        assert_eq!(path("", r#""""#), None);
        assert_eq!(path("", r#""c""#), None);
        assert_eq!(path("b", r#""b""#), None);
        assert_eq!(path("b", r#""p""#).as_deref(), Some("p"));
    }
}
