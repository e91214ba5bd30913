//! Takes a number out of service.

use std::fmt::Write as _;

use app::onboarding::graph_words;
use clap::Args;
use serde_json::json;

use super::{Number, find, shown};
use crate::{commands::channel::add::doing, session::Session, told::Told};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    number: Number,
    /// Without this nothing is removed.
    #[arg(long)]
    yes: bool,
}

impl Remove {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.deployed().await?;
        let clients = stack.clients().await?;
        let channel = find(&clients, &self.number.number).await?;
        let mut json = shown(&channel);
        json["dry_run"] = (!self.yes).into();
        let stays = format!(
            "Inbox {} stays with all that was written; take its callback URL away there, or delete it. At Meta the number stays \
             the business's.",
            channel.inbox
        );
        if !self.yes {
            let words = format!(
                "would end Meta's webhooks of account {} unless another number of it is here, remove channel {} and its secret \
                 (which can be had back for 7 days); --yes does it. {stays}",
                channel.waba_id, channel.phone_number_id
            );
            return Ok(Told::new(json, words));
        }
        // The subscription belongs to no API of ours.
        let (api_url, progress) = (stack.any_api_url()?, |step| session.output.progress(doing(step)));
        let left = Box::pin(stack.onboarding(&clients, &api_url, &progress).remove(&channel)).await;
        session.output.progress_over();
        let left = left?;
        json["subscription_left"] = json!(left.is_some());
        let mut words = format!("{} is out of service. {stays}", channel.display_phone_number);
        if let Some(error) = left {
            let _ = write!(
                words,
                "\nMeta did not end its webhooks ({}). What it still posts is refused as of no channel; remove the app from the \
                 account in Meta's Business Settings.",
                graph_words(&error)
            );
        }
        Ok(Told::new(json, words))
    }
}
