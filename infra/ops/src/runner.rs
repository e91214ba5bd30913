//! Asks the local runner where its stack is, so that `ops` can be tried without an account.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::{Clock, SharedClock, SystemClock, Timestamp};
use reqwest::Client;
use serde::Deserialize;
use url::{Host, Url};

/// What the runner says of itself (`GET /_local/stack`).
#[derive(Debug, Deserialize)]
pub(crate) struct LocalStack {
    /// The stack's name.
    pub(crate) stack: String,
    /// How its AWS is reached.
    pub(crate) aws: LocalAws,
    /// Base of Graph.
    pub(crate) graph_url: String,
    /// Version of Graph.
    pub(crate) graph_version: String,
    /// Base of Chatwoot.
    pub(crate) chatwoot_url: String,
    /// Where its API answers.
    pub(crate) api_url: String,
    /// Its time, in milliseconds.
    pub(crate) now: Timestamp,
}

/// How the runner's AWS is reached.
#[derive(Debug, Deserialize)]
pub(crate) struct LocalAws {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
}

/// The machine's time, moved like the runner's.
#[derive(Debug)]
struct Moved(Duration);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }
}

impl LocalStack {
    /// Asks the runner at `url`, its `ready` or `control` line.
    pub(crate) async fn ask(client: &Client, url: &Url) -> anyhow::Result<Self> {
        let is_here = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            None => false,
        };
        ensure!(is_here, "--local is for a runner on this machine, such as http://127.0.0.1:8080");
        let route = url.join("/_local/stack")?;
        let answer = client.get(route).timeout(Duration::from_secs(10)).send().await;
        let answer = answer.with_context(|| format!("no runner answers at {url}: start `cargo run -p local`"))?;
        ensure!(
            answer.status().is_success(),
            "{url} is no runner, or its control routes stand elsewhere: take the address of its line `control`"
        );
        answer.json().await.with_context(|| format!("{url} does not answer like a runner"))
    }

    /// The runner's time.
    pub(crate) fn clock(&self) -> SharedClock {
        std::sync::Arc::new(Moved(self.now.since(SystemClock.now())))
    }
}
