//! One run of `ops`: which stack is meant, and where answers go.

use std::sync::Arc;

use anyhow::Context as _;
use chatwoot::files::PublicOnly;
use clap::Args;
use platform::http::Http;
use serde_json::Value;
use url::Url;

use crate::{output::Output, stack::Stack};

/// Which stack is meant, and how it is reached.
#[derive(Debug, Args)]
pub(crate) struct Reached {
    /// The stack's name; its table, queues and secrets are named after it.
    #[arg(long, global = true, default_value = "lmotos", help_heading = "Stack")]
    pub(crate) stack: String,
    /// A running `cargo run -p local`, by its address; nothing of AWS is used.
    #[arg(long, global = true, value_name = "URL", conflicts_with_all = ["profile", "region"], help_heading = "Stack")]
    pub(crate) local: Option<Url>,
    /// The profile of AWS, as the AWS CLI knows it.
    #[arg(long, global = true, help_heading = "Stack")]
    pub(crate) profile: Option<String>,
    /// The region of AWS, instead of the profile's.
    #[arg(long, global = true, help_heading = "Stack")]
    pub(crate) region: Option<String>,
    /// Base URL of Chatwoot, without a path; without it, what the stack was deployed with.
    #[arg(long, global = true, value_name = "URL", help_heading = "Stack")]
    pub(crate) chatwoot_url: Option<Url>,
    /// Base URL of the bridge's own API; without it, the stack's.
    #[arg(long, global = true, value_name = "URL", help_heading = "Stack")]
    pub(crate) api_url: Option<Url>,
    /// JSON instead of words.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Session {
    target: Reached,
    pub(crate) output: Output,
}

impl Session {
    pub(crate) fn new(target: Reached) -> Self {
        let output = Output::new(target.json);
        Self { target, output }
    }

    /// Opens the stack: only now credentials are looked for, and clients made.
    pub(crate) async fn stack(&self) -> anyhow::Result<Stack> {
        Box::pin(Stack::open(&self.target)).await
    }

    /// Asks the local runner on one of its own routes.
    pub(crate) async fn runner(&self, route: &str) -> anyhow::Result<Value> {
        let base = self.target.local.as_ref().context("only a local runner has such a route")?;
        let http = Http::new(Arc::new(PublicOnly), None)?;
        let answer = http.kept.get(base.join(route)?).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }

    /// The same, and where its Chatwoot, its Graph and its API are, as it was deployed.
    pub(crate) async fn deployed(&self) -> anyhow::Result<Stack> {
        let mut stack = self.stack().await?;
        stack.complete().await?;
        Ok(stack)
    }
}
