//! Calls Chatwoot's Application API (§3). Only a call whose token is refused is repeated, with a newer token. After any other
//! failure the caller finds out whether the call had an effect.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use domain::{AccountId, ApiToken, Breaker, ConversationId};
use reqwest::{Client, Method, RequestBuilder, Response, header::HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize as _, Deserializer, de::DeserializeOwned};
use url::Url;

use crate::{ChatwootError, files};

/// Parts of the addresses of files that Chatwoot keeps, and of its surveys.
const OWN: [&str; 2] = ["/rails/active_storage/", "/survey/responses/"];

/// How long a call may take in all.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A client for one account of a Chatwoot installation.
#[derive(Clone, Debug)]
pub struct Chatwoot {
    client: Client,
    guarded: Client,
    base: Url,
    account: AccountId,
    token: ApiToken,
    /// Whether Chatwoot was seen to call itself by another origin than `base`.
    elsewhere: Arc<AtomicBool>,
    /// How many calls this client made.
    calls: Arc<AtomicU32>,
    /// Whether Chatwoot is called; without one it always is.
    breaker: Option<Arc<Breaker>>,
}

impl Chatwoot {
    /// `base` without path; `guarded` resolves names by [`files::PublicOnly`].
    pub fn new(client: Client, guarded: Client, base: Url, account: AccountId, token: ApiToken) -> Self {
        Self { client, guarded, base, account, token, elsewhere: Arc::default(), calls: Arc::default(), breaker: None }
    }

    /// The same with what is already known of Chatwoot's own address.
    #[must_use]
    pub fn knowing(self, elsewhere: &Arc<AtomicBool>) -> Self {
        Self { elsewhere: Arc::clone(elsewhere), ..self }
    }

    /// The same, resting while Chatwoot is silent.
    #[must_use]
    pub fn resting(self, breaker: &Arc<Breaker>) -> Self {
        Self { breaker: Some(Arc::clone(breaker)), ..self }
    }

    /// Makes a call, unless calls rest.
    async fn attempt(&self, request: RequestBuilder, token: &SecretString) -> Result<Response, ChatwootError> {
        let Some(breaker) = &self.breaker else { return call_once(request, token).await };
        breaker.admit().map_err(ChatwootError::Resting)?;
        let answered = call_once(request, token).await;
        match &answered {
            Err(error) if error.is_silence() => breaker.unanswered(),
            _ => breaker.answered(),
        }
        answered
    }

    /// Opens an agent's file; it needs no token.
    pub async fn file(&self, url: &str, limit: Duration) -> Result<Response, ChatwootError> {
        files::open(&self.client, &self.guarded, &self.base, url, limit).await
    }

    /// Whether an address is on this server.
    pub fn is_own(&self, url: &str) -> bool {
        url.parse::<Url>().is_ok_and(|url| url.origin() == self.base.origin())
    }

    /// Whether an address is Chatwoot's own, that of a file or a survey, under another origin than the bridge is configured
    /// with: its `FRONTEND_URL` has that one. Once seen, that is remembered.
    pub fn is_own_elsewhere(&self, url: &str) -> bool {
        let own = |path: &str| OWN.iter().any(|own| path.contains(own));
        let found = url.parse::<Url>().is_ok_and(|url| url.origin() != self.base.origin() && own(url.path()));
        if found {
            self.elsewhere.store(true, Ordering::Relaxed);
        }
        found
    }

    /// How many calls this client made; a clone counts with the one it was made from.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether Chatwoot is known to call itself by another origin: pages that the bridge names are then unreachable.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.elsewhere.load(Ordering::Relaxed)
    }

    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        prepared(self.client.request(method, self.url(path)))
    }

    /// The page of a conversation in the dashboard.
    pub fn page_of(&self, conversation: ConversationId) -> String {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            let (account, conversation) = (self.account.to_string(), conversation.to_string());
            segments.pop_if_empty().extend(["app", "accounts", &account, "conversations", &conversation]);
        }
        url.into()
    }

    /// A request outside the account.
    pub(crate) fn outside(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        prepared(self.client.request(method, url))
    }

    /// A request to an address with a query.
    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        prepared(self.client.get(url))
    }

    /// The same with a body.
    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        prepared(self.client.post(url))
    }

    /// Makes a call, and once more with a newer token if Chatwoot refuses this one.
    async fn call(&self, request: RequestBuilder) -> Result<Response, ChatwootError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let (again, token) = (request.try_clone(), self.token.current());
        let error = match self.attempt(request, &token).await {
            Err(error) if error.is_refused() => error,
            answered => return answered,
        };
        match (self.token.renew(&token).await, again) {
            (Some(renewed), Some(again)) => self.attempt(again, &renewed).await,
            (Some(_), None) => Err(ChatwootError::TokenRenewed),
            (None, _) => Err(error),
        }
    }

    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ChatwootError> {
        let response = self.call(request).await?;
        let body = response.bytes().await.map_err(ChatwootError::of)?;
        serde_json::from_slice(&body).map_err(|_| ChatwootError::NoAnswer(None))
    }

    /// A call whose answer has no useful body.
    pub(crate) async fn done(&self, request: RequestBuilder) -> Result<(), ChatwootError> {
        self.call(request).await.map(|_| ())
    }

    /// The page on which people log in.
    pub(crate) async fn log_in_page(&self) -> Result<String, ChatwootError> {
        let request = self.client.get(self.page(&["app", "login"])).timeout(CALL_TIMEOUT);
        let response = request.header(reqwest::header::ACCEPT, "text/html").send().await.map_err(ChatwootError::of)?;
        if !response.status().is_success() {
            return Err(ChatwootError::status(response.status()));
        }
        response.text().await.map_err(ChatwootError::of)
    }

    /// The address of a page that people see.
    pub(crate) fn page(&self, path: &[&str]) -> String {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.into()
    }

    pub(crate) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        let account = self.account.to_string();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1", "accounts", &account]).extend(path);
        }
        url
    }
}

fn prepared(request: RequestBuilder) -> RequestBuilder {
    request.header(reqwest::header::ACCEPT, "application/json").timeout(CALL_TIMEOUT)
}

async fn call_once(request: RequestBuilder, token: &SecretString) -> Result<Response, ChatwootError> {
    let mut value = HeaderValue::from_str(token.expose_secret()).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    let response = request.header("api_access_token", value).send().await.map_err(ChatwootError::of)?;
    if response.status().is_success() { Ok(response) } else { Err(ChatwootError::answered(&response)) }
}

/// "Not there" is an answer, not an error.
pub(crate) fn found<T>(answer: Result<T, ChatwootError>) -> Result<Option<T>, ChatwootError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(ChatwootError::Gone) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Chatwoot stores some texts as empty ones: an empty text counts as absent.
pub(crate) fn filled<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    Ok(text.filter(|text| !text.trim().is_empty()))
}
