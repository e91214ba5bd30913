//! Shows whose time is over; with `--yes` it is acted on.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use retention::DueConversation;

use crate::{session::Session, told::Told};

/// An operator who runs it has as long as the schedule.
const RUN_TIMEOUT: Duration = Duration::from_secs(900);

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Retention {
    /// Runs it now, instead of tonight.
    #[arg(long)]
    yes: bool,
}

impl Retention {
    /// A run that acts, as after a restore.
    pub(crate) fn now() -> Self {
        Self { yes: true }
    }

    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.deployed().await?;
        stack.chatwoot_url()?;
        let retention = Box::pin(retention::Handler::from_env(stack.environment().await?, stack.clock())).await?;
        session.output.progress("walking through all conversations");
        let report =
            if self.yes { Box::pin(retention.handle(RUN_TIMEOUT)).await } else { Box::pin(retention.dry_run()).await };
        session.output.progress_over();
        let report = report.context("the run did not come to its end")?;
        let line = |due: &DueConversation| {
            let held = if due.held { " (kept by a label)" } else { "" };
            let DueConversation { account, conversation, active_at, .. } = due;
            format!("conversation {conversation} of account {account}, last active at {active_at}{held}")
        };
        let mut words: Vec<String> = report.due.iter().map(line).collect();
        words.push(format!(
            "{} due, {} asked for, {} overdue, of these {} items of the table past their end and {} that could not be judged",
            report.due.len(),
            report.asked,
            report.overdue,
            report.expired,
            report.unjudged
        ));
        Ok(Told::new(serde_json::to_value(&report)?, words.join("\n")))
    }
}
