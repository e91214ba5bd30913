//! Writes down what has to outlive a restore, one JSON document a line.

use clap::Args;
use serde_json::Value;
use store::Restore;

use crate::{session::Session, told::Told};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Keep {}

impl Keep {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let kept = Restore::new(stack.table(), stack.belongings().await?).export().await?;
        let lines: Vec<String> = kept.iter().map(Value::to_string).collect();
        Ok(Told::new(Value::Array(kept), lines.join("\n")))
    }
}
