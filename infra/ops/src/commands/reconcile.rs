//! Makes a round of `reconcile` now, with the function's own code.

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::{
    session::Session,
    told::{Exit, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {}

impl Reconcile {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.deployed().await?;
        stack.url(platform::Setting::ChatwootUrl).context("--chatwoot-url is needed")?;
        let reconcile = Box::pin(reconcile::Handler::from_env(stack.environment().await?, stack.clock())).await?;
        session.output.progress("looking at every conversation that something happened in");
        let balance = Box::pin(reconcile.handle()).await;
        session.output.progress_over();
        let balance = balance.context("the round did not come to its end")?;
        let words = format!("A round was made: {} items wait, difference {}.", balance.waiting, balance.difference);
        let told = Told::new(json!(balance), words);
        Ok(if balance.difference == 0 { told } else { told.ending(Exit::SomethingWrong) })
    }
}
