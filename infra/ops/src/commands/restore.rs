//! Puts the table back to an earlier time, and erases again whoever was erased since, before anything else sees it.

mod place;
pub(super) mod table;
mod traffic;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use store::{LedgerCopy, Restore as Restoration};

use crate::{input, session::Session, told::Told};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The time the table is put back to, such as 2026-11-24T09:00:00Z; without it a table that was put back by hand is meant.
    #[arg(long, value_name = "TIME", conflicts_with = "file", value_parser = place::time)]
    to: Option<aws_sdk_dynamodb::primitives::DateTime>,
    /// With `--to`: goes by the last daily copy of the ledger, where the damaged table cannot be read any more.
    #[arg(long, requires = "to")]
    daily_copy: bool,
    /// What `keep` wrote, and `-` is standard input; without it the copy that `ledger` makes every day is read.
    #[arg(conflicts_with = "from")]
    file: Option<String>,
    /// Another table with such a copy, by its name or ARN.
    #[arg(long)]
    from: Option<String>,
    /// Without this it only counts.
    #[arg(long)]
    yes: bool,
}

impl Restore {
    /// Takes lines or one array, whichever `keep` wrote, or the daily copy.
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        if let Some(to) = self.to {
            let asked = place::Asked { to, from: self.from.as_deref(), daily_copy: self.daily_copy, act: self.yes };
            return Box::pin(asked.run(session)).await;
        }
        let read = self.file.as_deref().map(input::read).transpose()?;
        let stack = session.deployed().await?;
        let kept = if let Some(text) = read {
            parse(&text)?
        } else {
            let name = self.from.clone().unwrap_or_else(|| stack.ledger());
            let kept = LedgerCopy::new(stack.table().named(name.clone())).read().await;
            kept.with_context(|| format!("the copy of the ledger in {name}"))?
        };
        if kept.is_empty() {
            anyhow::bail!("there is nothing to go by: no request and no tombstone (docs/runbook/restore.md, step 2)");
        }
        let restoration = Restoration::new(stack.table(), stack.belongings().await?);
        if self.yes && !restoration.has_time_to_live().await? {
            anyhow::bail!("the table has no time to live: switch it on first (docs/runbook/restore.md, step 4)");
        }
        let applied = restoration.apply(&kept, !self.yes).await?;
        let next = match (self.yes, applied.customers) {
            (false, _) => {
                "Nothing was changed. Before --yes: no function runs (step 1), the table has its time to live (step 4)."
            }
            (true, 0) => "All of them are gone. Next: let traffic in again (step 7).",
            (true, _) => "Run it once more: it has to say 0 customers and 0 items (step 6).",
        };
        let words = format!(
            "{}{} requests, {} tombstones, {} customers erased again with {} items\n{next}",
            if self.yes { "" } else { "would apply: " },
            applied.requests,
            applied.tombstones,
            applied.customers,
            applied.items
        );
        Ok(Told::new(serde_json::to_value(applied)?, words))
    }
}

/// One document a line, or all of them in an array.
fn parse(text: &str) -> anyhow::Result<Vec<Value>> {
    if let Ok(Value::Array(items)) = serde_json::from_str(text) {
        return Ok(items);
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
}
