//! Posting callbacks: one at a time, signed at the moment of sending, once, and what a failure does to the message.

use std::{error::Error as _, sync::Arc};

use reqwest::{Client, StatusCode};
use url::Url;

use crate::{
    callbacks::{Callbacks, Manner, Post},
    event::Event,
    public_api::sign,
    shared::Shared,
};

/// A client for plain HTTP on loopback: no proxy, no roots to trust.
pub(crate) fn client() -> anyhow::Result<Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(Client::builder().tls_backend_preconfigured(tls).no_proxy().user_agent("Ruby").build()?)
}

/// Posts for as long as the simulator lives.
pub(crate) async fn run(shared: Arc<Shared>, callbacks: Callbacks, client: Client) {
    loop {
        let (event, manner) = callbacks.next().await;
        deliver(&shared, &callbacks, &client, &event, manner).await;
        callbacks.done();
    }
}

/// How one attempt ended.
struct Attempt {
    status: Option<StatusCode>,
    error: Option<String>,
    worth_repeating: bool,
}

async fn deliver(shared: &Shared, callbacks: &Callbacks, client: &Client, event: &Event, manner: Manner) {
    for attempt in 1..=manner.attempts {
        // What is gone meanwhile is not told, and an inbox without a URL tells nothing.
        let Some((url, secret, body)) = prepared(shared, event, manner.older) else { return };
        let timestamp = shared.lock().now().as_secs();
        let outcome = post(client, &url, &secret, timestamp, body, event, manner).await;
        callbacks.record(Post {
            status: outcome.status.map(|status| status.as_u16()),
            error: outcome.error.clone(),
            ..event.post()
        });
        let Some(error) = outcome.error else { return };
        if attempt < manner.attempts && outcome.worth_repeating {
            continue;
        }
        if let Some(message) = event.message() {
            // A conversation that is flooded refuses this save too; there is nobody to tell.
            let _ = shared.lock().update_status(message, "failed", Some(&error));
        }
        return;
    }
}

fn prepared(shared: &Shared, event: &Event, older: bool) -> Option<(String, String, String)> {
    let state = shared.lock();
    let inbox = state.inboxes.get(&event.inbox).filter(|inbox| inbox.is_api() && !inbox.webhook_url.is_empty())?;
    Some((inbox.webhook_url.clone(), inbox.secret.clone(), state.body(event, older)?))
}

async fn post(
    client: &Client,
    url: &str,
    secret: &str,
    timestamp: i64,
    body: String,
    event: &Event,
    manner: Manner,
) -> Attempt {
    let mut request = client
        .post(url)
        .header("Content-Type", "application/json")
        .header("Accept", "application/json")
        .header("X-Chatwoot-Delivery", event.delivery.to_string());
    if !manner.older && !secret.is_empty() {
        let signature = sign(secret, format!("{timestamp}.{body}").as_bytes());
        request = request
            .header("X-Chatwoot-Timestamp", timestamp.to_string())
            .header("X-Chatwoot-Signature", format!("sha256={signature}"));
    }
    let exchange = async {
        let response = request.body(body).send().await?;
        let status = response.status();
        response.bytes().await?;
        Ok::<_, reqwest::Error>(status)
    };
    match tokio::time::timeout(manner.timeout, exchange).await {
        Ok(Ok(status)) => judged(status),
        Ok(Err(error)) => Attempt { status: None, error: Some(ruby_words(url, &error)), worth_repeating: true },
        Err(_) => timed_out(),
    }
}

fn judged(status: StatusCode) -> Attempt {
    let reason = status.canonical_reason().unwrap_or_default();
    Attempt {
        status: Some(status),
        error: (!status.is_success()).then(|| format!("{} {reason}", status.as_u16())),
        worth_repeating: status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error(),
    }
}

fn timed_out() -> Attempt {
    let error = Some("Net::ReadTimeout with #<TCPSocket:(closed)>".to_owned());
    Attempt { status: None, error, worth_repeating: true }
}

/// The failure as Ruby's HTTP library puts it.
fn ruby_words(url: &str, error: &reqwest::Error) -> String {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let port = url.as_ref().and_then(Url::port_or_known_default).unwrap_or_default();
    if error.is_connect() {
        return format!(
            "Failed to open TCP connection to {host}:{port} (Connection refused - connect(2) for \"{host}\" port {port})"
        );
    }
    tracing::debug!(cause = error.source().map(ToString::to_string), "callback failed");
    "end of file reached".to_owned()
}
