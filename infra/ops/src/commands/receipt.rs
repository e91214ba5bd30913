//! Writes the signed receipt of a request that is done.

use anyhow::anyhow;
use app::HttpFunction as _;
use clap::Args;
use serde_json::json;

use crate::{
    session::Session,
    told::{Exit, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Receipt {
    /// The request's code.
    code: String,
}

impl Receipt {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let deletion = deletion::Handler::from_env(stack.environment().await?, stack.clock())?;
        match deletion.command(json!({ "receipt": self.code })).await {
            Ok(signed) => Ok(Told::new(signed.clone(), serde_json::to_string_pretty(&signed)?)),
            Err(error) if error.is::<deletion::OperatorError>() => {
                Ok(Told::new(json!({ "error": error.to_string() }), error.to_string()).ending(Exit::NoSuchThing))
            }
            Err(error) => Err(anyhow!("{error}")),
        }
    }
}
