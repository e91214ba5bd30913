//! Calls the Graph API (§8.3) with a channel's token. Only a call whose token is refused is repeated, with a newer one; a send
//! is not, since each of its calls needs a slot of its own.

use std::{sync::Arc, time::Duration};

use domain::{ApiToken, Breaker, MediaId, PhoneNumberId, UserId, WaId, Wamid, message::Digest};
use reqwest::{
    Body, Client, RequestBuilder, Response,
    header::{AUTHORIZATION, LOCATION},
    multipart,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use url::{Host, Url};

use crate::{GraphError, SendError, content, fields::Fields, media, usage};

/// How long a call may take in all; a file may take longer, see [`file_timeout`].
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a read receipt or a typing sign may take.
const PRESENCE_TIMEOUT: Duration = Duration::from_secs(2);

/// Meta's file server may redirect; more redirects than this are a loop.
const MAX_REDIRECTS: usize = 5;

/// Host names that cannot be reached from outside a network.
const PRIVATE_SUFFIXES: [&str; 6] = [".local", ".localhost", ".internal", ".lan", ".home.arpa", ".corp"];

/// The Graph API, as all channels reach it.
#[derive(Clone, Debug)]
pub struct GraphApi {
    /// Keeps connections open; for calls that may be repeated.
    client: Client,
    /// Opens a connection for each call. Meta may have closed a kept one while the function was frozen; a write into it would
    /// make a send uncertain that never left.
    fresh: Client,
    base: Url,
    version: String,
    /// Whether Graph is called; without one it always is.
    breaker: Option<Arc<Breaker>>,
}

/// A client for the Graph API with a channel's token.
#[derive(Clone, Debug)]
pub struct Graph {
    api: GraphApi,
    token: ApiToken,
}

/// A file waiting at Meta.
#[derive(Clone, Debug)]
pub struct Located {
    /// Its address, valid for five minutes.
    pub url: Url,
    /// Its type.
    pub mime_type: Option<String>,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its checksum.
    pub sha256: Option<Digest>,
}

/// What Meta answers about a message it accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its id from now on.
    pub wamid: Wamid,
    /// The recipient's phone as Meta spells it, where it shows it.
    pub wa_id: Option<WaId>,
    /// The recipient's user id, where Meta shows it.
    pub user_id: Option<UserId>,
}

/// A file on its way to Meta.
#[derive(Debug)]
pub struct Upload {
    /// Its name; Meta also judges the type by the file extension.
    pub filename: String,
    /// Its type.
    pub mime_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its bytes, streamed.
    pub body: Body,
}

impl GraphApi {
    /// `base` without version, `version` like `v25.0`.
    pub fn new(client: Client, fresh: Client, base: Url, version: String) -> Self {
        Self { client, fresh, base, version, breaker: None }
    }

    /// The same, resting while Graph is silent.
    #[must_use]
    pub fn resting(self, breaker: Arc<Breaker>) -> Self {
        Self { breaker: Some(breaker), ..self }
    }

    /// Makes a call, unless calls rest.
    async fn attempt<T>(&self, call: impl Future<Output = Result<T, GraphError>>) -> Result<T, GraphError> {
        let Some(breaker) = &self.breaker else { return call.await };
        breaker.admit().map_err(GraphError::Resting)?;
        let answered = call.await;
        match &answered {
            Err(error) if error.is_silence() => breaker.unanswered(),
            _ => breaker.answered(),
        }
        answered
    }

    /// A client with a channel's token.
    pub fn with(&self, token: ApiToken) -> Graph {
        Graph { api: self.clone(), token }
    }

    /// A look-up without a token, on a connection of its own: what is in its query proves who asks.
    pub(crate) async fn unproven<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, GraphError> {
        let mut url = self.at(path);
        url.query_pairs_mut().extend_pairs(query);
        answer(self.fresh.get(url).timeout(CALL_TIMEOUT)).await
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(&self.version).extend(path);
        }
        url
    }

    /// The version of Graph that is called.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A client with a token that is not renewed.
    pub(crate) fn fixed(&self, token: &SecretString) -> Graph {
        self.with(ApiToken::fixed(token.clone()))
    }
}

impl Graph {
    /// Sends one message. [`GraphError::TokenRenewed`] means that it was not sent, and that the next call may.
    pub async fn send(&self, from: &PhoneNumberId, body: &Value) -> Result<Accepted, SendError> {
        let request = self.api.fresh.post(self.at(&[from.as_str(), "messages"])).json(body).timeout(CALL_TIMEOUT);
        let raw: Box<RawValue> = self.answered(request, None).await?;
        // Only the id counts; an odd member beside it must not turn an accepted message into an uncertain one.
        let answer = Fields::read(&raw);
        let id = answer.as_ref().and_then(|answer| answer.objects("messages").iter().find_map(|sent| sent.text("id")));
        let id = id.ok_or(GraphError::NoAnswer { status: Some(200), source: None })?;
        let recipient = answer.and_then(|answer| answer.objects("contacts").into_iter().next());
        let said = |name| recipient.as_ref().and_then(|recipient: &Fields<'_>| recipient.text(name));
        Ok(Accepted {
            wamid: Wamid::new(id),
            wa_id: said("wa_id").map(WaId::new),
            user_id: said("user_id").map(UserId::new),
        })
    }

    /// Shows the customer that a message and all before it were read, and with `typing` that an agent types, for 25 s or until
    /// the answer (§4.2). The call may be repeated; one that is delayed is not worth waiting for.
    pub async fn mark_read(&self, number: &PhoneNumberId, message: &Wamid, typing: bool) -> Result<(), GraphError> {
        let mut body = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": message });
        if typing {
            body["typing_indicator"] = json!({ "type": "text" });
        }
        let request =
            self.api.client.post(self.at(&[number.as_str(), "messages"])).json(&body).timeout(PRESENCE_TIMEOUT);
        self.call::<Value>(request).await.map(|_| ())
    }

    /// Looks up the address of a file. Meta checks that the file belongs to the number.
    pub async fn locate(&self, media: &MediaId, of: &PhoneNumberId) -> Result<Located, GraphError> {
        let mut url = self.at(&[media.as_str()]);
        url.query_pairs_mut().append_pair("phone_number_id", of.as_str());
        let raw: Box<RawValue> = self.call(self.api.client.get(url).timeout(CALL_TIMEOUT)).await?;
        let unreadable = || GraphError::NoAnswer { status: Some(200), source: None };
        let fields = Fields::read(&raw).ok_or_else(unreadable)?;
        Ok(Located {
            url: fields.text("url").and_then(|url| url.parse().ok()).ok_or_else(unreadable)?,
            mime_type: fields.text("mime_type"),
            size: fields.number("file_size").and_then(|size| size.try_into().ok()),
            sha256: fields.text("sha256").as_deref().and_then(content::digest),
        })
    }

    /// Opens a file. Redirects are followed over TLS, or on the machine that Graph itself is on; the token goes only to the host
    /// that Meta named.
    pub async fn open(&self, file: &Located) -> Result<Response, GraphError> {
        let token = self.token.current();
        match self.open_with(file, &token).await {
            Err(error) if error.is_unauthorized() => match self.token.renew(&token).await {
                Some(renewed) => self.open_with(file, &renewed).await,
                None => Err(error),
            },
            opened => opened,
        }
    }

    async fn open_with(&self, file: &Located, token: &SecretString) -> Result<Response, GraphError> {
        let mut url = file.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            if !may_open(&file.url, &url, &self.api.base) {
                break;
            }
            let mut request = self.api.client.get(url.clone()).timeout(file_timeout(file.size.unwrap_or_default()));
            if url.host() == file.url.host() {
                request = request.header(AUTHORIZATION, bearer(token));
            }
            let response = request.send().await.map_err(GraphError::of)?;
            if response.status().is_success() {
                return Ok(response);
            }
            let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| url.join(to).ok());
            match to.filter(|_| response.status().is_redirection()) {
                Some(to) => url = to,
                None => return Err(missing(GraphError::answered(response).await)),
            }
        }
        Err(GraphError::NoAnswer { status: None, source: None })
    }

    /// Whether Meta can fetch from an address: over TLS under a public name, or on the machine that Graph itself is on.
    pub fn can_fetch(&self, url: &Url) -> bool {
        is_within_reach(&self.api.base, url)
    }

    /// Uploads a file for sending; Meta keeps it 30 days. After [`GraphError::TokenRenewed`] the file has to be opened anew.
    pub async fn upload(&self, of: &PhoneNumberId, file: Upload) -> Result<MediaId, GraphError> {
        #[derive(Deserialize)]
        struct Answer {
            id: String,
        }
        let mime_type = media::well_formed(&file.mime_type);
        let part = multipart::Part::stream_with_length(file.body, file.size)
            .file_name(file.filename)
            .mime_str(&mime_type)
            .map_err(GraphError::of)?;
        let form =
            multipart::Form::new().text("messaging_product", "whatsapp").text("type", mime_type).part("file", part);
        let url = self.at(&[of.as_str(), "media"]);
        let request = self.api.client.post(url).multipart(form).timeout(file_timeout(file.size));
        let answer: Answer = self.call(request).await?;
        Ok(MediaId::new(answer.id))
    }

    /// An object by its id; `fields` names the wanted fields, if not the default.
    pub(crate) async fn read(&self, id: &str, fields: &str) -> Result<Box<RawValue>, GraphError> {
        let mut url = self.at(&[id]);
        if !fields.is_empty() {
            url.query_pairs_mut().append_pair("fields", fields);
        }
        self.call(self.api.client.get(url).timeout(CALL_TIMEOUT)).await
    }

    /// A page of a list.
    pub(crate) async fn list(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Box<RawValue>, GraphError> {
        let mut url = self.at(path);
        url.query_pairs_mut().extend_pairs(query);
        self.call(self.api.client.get(url).timeout(CALL_TIMEOUT)).await
    }

    /// A call that changes something and has no body.
    pub(crate) fn posting(&self, path: &[&str]) -> RequestBuilder {
        self.api.client.post(self.at(path)).timeout(CALL_TIMEOUT)
    }

    /// A call that must not be made twice: on a connection of its own, so that whether it left is known best.
    pub(crate) fn once(&self, path: &[&str], body: &Value) -> RequestBuilder {
        self.api.fresh.post(self.at(path)).json(body).timeout(CALL_TIMEOUT)
    }

    /// A call that deletes.
    pub(crate) fn deletion(&self, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.at(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.api.client.delete(url).timeout(CALL_TIMEOUT)
    }

    /// Makes a call, and once more with a newer token if Graph refuses this one.
    pub(crate) async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, GraphError> {
        let again = request.try_clone();
        self.answered(request, again).await
    }

    /// Makes a call, and `again` with a newer token if Graph refuses this one.
    async fn answered<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        again: Option<RequestBuilder>,
    ) -> Result<T, GraphError> {
        let token = self.token.current();
        let error = match self.api.attempt(call_once(request, &token)).await {
            Err(error) if error.is_unauthorized() => error,
            answered => return answered,
        };
        match (self.token.renew(&token).await, again) {
            (Some(renewed), Some(again)) => self.api.attempt(call_once(again, &renewed)).await,
            (Some(_), None) => Err(GraphError::TokenRenewed),
            (None, _) => Err(error),
        }
    }

    fn at(&self, path: &[&str]) -> Url {
        self.api.at(path)
    }
}

async fn call_once<T: DeserializeOwned>(request: RequestBuilder, token: &SecretString) -> Result<T, GraphError> {
    answer(request.header(AUTHORIZATION, bearer(token))).await
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, GraphError> {
    let response = request.send().await.map_err(GraphError::of)?;
    let status = response.status();
    if !status.is_success() {
        return Err(GraphError::answered(response).await);
    }
    let answered = |source| GraphError::NoAnswer { status: Some(status.as_u16()), source };
    let regained = usage::regained(response.headers());
    let body = response.bytes().await.map_err(|error| answered(Some(error.without_url())))?;
    // The HTTP status is unreliable (§4.3): an error envelope is a refusal whatever the status.
    if let refused @ GraphError::Refused { .. } = GraphError::read(status.as_u16(), regained, &body) {
        return Err(refused);
    }
    serde_json::from_slice(&body).map_err(|_| answered(None))
}

fn is_within_reach(graph: &Url, url: &Url) -> bool {
    let is_public = url.domain().is_some_and(|name| {
        let name = name.trim_end_matches('.');
        name.contains('.') && !PRIVATE_SUFFIXES.iter().any(|end| name.ends_with(end))
    });
    (url.scheme() == "https" && is_public) || (is_local(url) && is_local(graph))
}

/// Whether a file may be opened at an address, which Meta named or redirects to: over TLS, or on the machine that Graph itself is
/// on. A redirect never leads from TLS to what is not.
fn may_open(named: &Url, url: &Url, graph: &Url) -> bool {
    url.scheme() == "https" || (named.scheme() != "https" && is_local(url) && is_local(graph))
}

/// Whether an address is on this machine.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A file's server answers 404 for an expired address or a token it rejects (§5), with or without an envelope.
fn missing(error: GraphError) -> GraphError {
    match error {
        GraphError::NoAnswer { status: Some(status @ (400..=407 | 409..=428 | 430..=499)), .. } => {
            GraphError::Missing(status)
        }
        GraphError::Refused { status: status @ 404, transient: false, .. } => GraphError::Missing(status),
        error => error,
    }
}

/// A file may take longer than a call: 20 s, and one more second for each half megabyte, at most 90 s.
pub fn file_timeout(size: u64) -> Duration {
    Duration::from_secs((20 + size / 500_000).min(90))
}

fn bearer(token: &SecretString) -> reqwest::header::HeaderValue {
    let mut value = reqwest::header::HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
        .unwrap_or_else(|_| reqwest::header::HeaderValue::from_static("Bearer"));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn can_fetch(graph: &str, url: &str) -> bool {
        is_within_reach(&graph.parse().unwrap(), &url.parse().unwrap())
    }

    #[test]
    fn a_redirect_of_a_file_never_leads_away_from_tls() {
        let may = |named: &str, url: &str, graph: &str| {
            may_open(&named.parse().unwrap(), &url.parse().unwrap(), &graph.parse().unwrap())
        };
        let (meta, local) = ("https://graph.facebook.com", "http://127.0.0.1:8080");
        assert!(may("https://lookaside.fbsbx.com/a", "https://scontent.xx.fbcdn.net/a", meta));
        assert!(!may("https://lookaside.fbsbx.com/a", "http://scontent.xx.fbcdn.net/a", meta));
        assert!(!may("https://lookaside.fbsbx.com/a", "http://127.0.0.1/a", local), "a service of our own machine");
        assert!(!may("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a", meta));
        assert!(may("http://127.0.0.1:8080/a", "http://127.0.0.1:9000/a", local));
        assert!(!may("http://127.0.0.1:8080/a", "http://10.0.0.7/a", local));
    }

    #[test]
    fn meta_fetches_what_lies_under_a_public_name_over_tls() {
        let meta = "https://graph.facebook.com";
        assert!(can_fetch(meta, "https://chat.lmotos.mx/a.zip"));
        assert!(can_fetch(meta, "https://bucket.s3.amazonaws.com/a?X-Amz-Signature=1"));
        for inside in [
            "http://chat.lmotos.mx/a.zip",
            "https://chatwoot/a.zip",
            "https://chatwoot.internal/a.zip",
            "https://10.0.0.7/a.zip",
            "https://127.0.0.1/a.zip",
            "https://localhost/a.zip",
        ] {
            assert!(!can_fetch(meta, inside), "{inside}");
        }
        assert!(can_fetch("http://127.0.0.1:9000", "http://127.0.0.1:3000/a.zip"));
        assert!(!can_fetch("http://127.0.0.1:9000", "http://10.0.0.7/a.zip"));
    }
}
