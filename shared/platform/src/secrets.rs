//! Secrets Manager behind a cache: five minutes, stale when Secrets Manager is down, refetched when a check fails.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use domain::{SharedClock, Timestamp};
use futures_util::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// How long a secret is used without looking again.
const FRESH: Duration = Duration::from_secs(300);

/// A failed check looks again at once, but a flood of forgeries must not become a flood of calls.
const REFETCH_EVERY: Duration = Duration::from_secs(5);

/// How many secrets are worth fetching before they are needed.
const AT_HAND: usize = 4;

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
    /// Opens Chatwoot's API.
    pub chatwoot_token: SecretString,
    /// Behind every keyed hash.
    #[serde(deserialize_with = "some")]
    pub subject_key: SecretString,
}

/// A channel's secret.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelSecrets {
    /// Opens Graph for this number.
    pub access_token: SecretString,
    /// Signs Chatwoot's callbacks for this inbox.
    #[serde(deserialize_with = "some")]
    pub callback_secret: SecretString,
    /// Signed them until the last rotation.
    #[serde(default, deserialize_with = "if_any")]
    pub callback_secret_previous: Option<SecretString>,
}

/// An empty secret is none: whoever signs with nothing must not get in.
fn if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let secret = Option::<SecretString>::deserialize(deserializer)?;
    Ok(secret.filter(|secret| !secret.expose_secret().is_empty()))
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    if_any(deserializer)?.ok_or_else(|| serde::de::Error::custom("empty"))
}

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is none of that name.
    #[error("no such secret")]
    Missing,
    /// It is not the JSON it should be. The text itself is never told.
    #[error("the secret is not what it should be")]
    Unreadable,
    /// Secrets Manager did not answer.
    #[error("Secrets Manager did not answer")]
    Unavailable,
}

/// The cache.
#[derive(Debug)]
pub struct Secrets {
    client: aws_sdk_secretsmanager::Client,
    clock: SharedClock,
    cache: Mutex<HashMap<String, Cached>>,
}

#[derive(Clone, Debug)]
struct Cached {
    text: SecretString,
    fetched_at: Timestamp,
    refetched_at: Option<Timestamp>,
}

impl Secrets {
    /// An empty cache.
    pub fn new(client: aws_sdk_secretsmanager::Client, clock: SharedClock) -> Self {
        Self { client, clock, cache: Mutex::default() }
    }

    /// The secret of that name, at most five minutes old unless Secrets Manager is down.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, SecretError> {
        let now = self.clock.now();
        let cached = self.cached(name);
        if let Some(cached) = cached.as_ref().filter(|cached| now.since(cached.fetched_at) < FRESH) {
            return parse(&cached.text);
        }
        match (self.fetch(name).await, cached) {
            (Err(SecretError::Unavailable), Some(stale)) => {
                tracing::warn!("Secrets Manager did not answer; the secret in hand is used on");
                parse(&stale.text)
            }
            (fetched, _) => parse(&self.keep(name, fetched?, None)),
        }
    }

    /// The secret again, after a check with the one in hand failed; nothing if it was looked up just now.
    pub async fn get_again<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SecretError> {
        let now = self.clock.now();
        let refetched_at = self.cached(name).and_then(|cached| cached.refetched_at);
        if refetched_at.is_some_and(|at| now.since(at) < REFETCH_EVERY) {
            return Ok(None);
        }
        let fetched = self.fetch(name).await?;
        parse(&self.keep(name, fetched, Some(now))).map(Some)
    }

    /// Fetches secrets before anybody needs them, side by side, the first few of them: as many as an ordinary dealer has. What cannot
    /// be had now is fetched when it is needed.
    pub async fn prepare(&self, names: impl IntoIterator<Item = &str>) {
        let fetches = names.into_iter().take(AT_HAND).map(async |name| {
            if let Ok(text) = self.fetch(name).await {
                self.keep(name, text, None);
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

    fn cached(&self, name: &str) -> Option<Cached> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn keep(&self, name: &str, text: SecretString, refetched_at: Option<Timestamp>) -> SecretString {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let refetched_at = refetched_at.or_else(|| cache.get(name).and_then(|cached| cached.refetched_at));
        cache.insert(name.to_owned(), Cached { text: text.clone(), fetched_at: self.clock.now(), refetched_at });
        text
    }
}

fn parse<T: DeserializeOwned>(text: &SecretString) -> Result<T, SecretError> {
    // The parser's own message quotes what it dislikes.
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
}
