//! Opens a request for erasure, or says what would be opened.

use anyhow::anyhow;
use app::HttpFunction as _;
use clap::Args;
use deletion::OperatorCommand;
use serde_json::json;

use crate::{person::masked, session::Session, told::Told};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// The person's phone, in any usual spelling.
    #[arg(long, required_unless_present = "user_id", conflicts_with = "user_id")]
    phone: Option<String>,
    /// Or their user id.
    #[arg(long)]
    user_id: Option<String>,
    /// Who asks; the ledger and the receipt keep a keyed hash of it.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Without this nothing is opened.
    #[arg(long)]
    yes: bool,
}

impl Erase {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let (name, value, command) = match (&self.phone, &self.user_id) {
            (Some(phone), _) => ("phone", phone, OperatorCommand::Phone(phone.clone())),
            (None, Some(user_id)) => ("user_id", user_id, OperatorCommand::UserId(user_id.clone())),
            (None, None) => return Err(anyhow!("a phone or a user id is needed")),
        };
        // Refused now, and not only when it counts.
        command.target()?;
        if !self.yes {
            let words = format!("would ask for the erasure of {name} {}; --yes does it", masked(value));
            return Ok(Told::new(json!({ "dry_run": true, name: masked(value) }), words));
        }
        let stack = session.stack().await?;
        let deletion = deletion::Handler::from_env(stack.environment().await?, stack.clock())?;
        let answer =
            deletion.command(json!({ name: value, "by": self.by })).await.map_err(|error| anyhow!("{error}"))?;
        let words = format!("asked; its code is {}", answer["code"].as_str().unwrap_or_default());
        Ok(Told::new(answer, words))
    }
}
