//! What the Graph side, the customers and the control page share.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use domain::{SharedClock, Timestamp};

use crate::{
    postman::Postman,
    state::{Media, State},
    wire,
};

/// The state, the clock and the lines to the webhook.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: SharedClock,
    pub(crate) postman: Postman,
    pub(crate) base_url: OnceLock<String>,
    /// Gets files from addresses in messages.
    pub(crate) fetcher: reqwest::Client,
    state: Mutex<State>,
    /// Signs media URLs.
    url_key: String,
}

impl World {
    pub(crate) fn new(clock: SharedClock, postman: Postman, fetcher: reqwest::Client, state: State) -> Self {
        let url_key = uuid::Uuid::new_v4().to_string();
        Self { clock, postman, fetcher, base_url: OnceLock::new(), state: Mutex::new(state), url_key }
    }

    /// The state; never held across a wait.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Keeps a file that lives at Meta until `gone_at`, and gives its id.
    pub(crate) fn keep(
        &self,
        number: &str,
        bytes: Bytes,
        mime: &str,
        filename: Option<&str>,
        gone_at: Timestamp,
        uploaded: bool,
    ) -> String {
        let id = (uuid::Uuid::new_v4().as_u128() % 1_000_000_000_000_000 + 1_000_000_000_000_000).to_string();
        let media = Media {
            number: number.into(),
            sha256: wire::sha256(&bytes),
            bytes,
            mime: mime.into(),
            filename: filename.map(str::to_owned),
            gone_at,
            uploaded,
        };
        self.state().media.insert(id.clone(), media);
        id
    }

    /// A download address that works until `expires_at`.
    pub(crate) fn media_url(&self, id: &str, source: &str, expires_at: Timestamp) -> String {
        let base = self.base_url.get().map_or("", String::as_str);
        let ext = expires_at.as_secs();
        format!("{base}/media/{id}?mid={id}&source={source}&ext={ext}&hash={}", self.media_hash(id, &ext.to_string()))
    }

    /// What keeps an address from being changed.
    pub(crate) fn media_hash(&self, id: &str, ext: &str) -> String {
        hex::encode(&wire::hmac(self.url_key.as_bytes(), format!("{id}|{ext}").as_bytes())[..16])
    }
}
