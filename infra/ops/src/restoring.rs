//! Before a restored table gets traffic: who was erased since that day is erased again.

use std::io::Read as _;

use anyhow::Context as _;
use serde_json::Value;
use store::Restore;

use crate::{Told, stack::Stack};

/// A file, or standard input.
pub(crate) fn read(file: &str) -> anyhow::Result<String> {
    if file != "-" {
        return std::fs::read_to_string(file).with_context(|| file.to_owned());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// One JSON document a line.
pub(crate) async fn keep(stack: &Stack) -> anyhow::Result<Told> {
    let kept = Restore::new(stack.table(), stack.belongings().await?).export().await?;
    let lines: Vec<String> = kept.iter().map(Value::to_string).collect();
    Ok(Told::new(Value::Array(kept), lines.join("\n")))
}

/// Takes lines or one array, whichever `keep` wrote.
pub(crate) async fn restore(stack: &Stack, text: &str, yes: bool) -> anyhow::Result<Told> {
    let kept: Vec<Value> = match serde_json::from_str(text) {
        Ok(Value::Array(items)) => items,
        _ => text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect::<Result<_, _>>()?,
    };
    let restore = Restore::new(stack.table(), stack.belongings().await?);
    if yes && !restore.has_time_to_live().await? {
        anyhow::bail!("the table has no time to live: switch it on first (docs/runbook/restore.md, step 4)");
    }
    let applied = restore.apply(&kept, !yes).await?;
    let words = format!(
        "{}{} requests, {} tombstones, {} customers erased again with {} items",
        if yes { "" } else { "would apply: " },
        applied.requests,
        applied.tombstones,
        applied.customers,
        applied.items
    );
    Ok(Told::new(serde_json::to_value(applied)?, words))
}
