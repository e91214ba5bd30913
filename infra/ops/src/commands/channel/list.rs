//! Lists the numbers in service.

use clap::Args;
use store::Channels;

use super::{held, shown};
use crate::{output::Column, session::Session, told::Told};

const COLUMNS: &[Column] = &[("id", 16), ("number", 16), ("account", 7), ("inbox", 6), ("state", 20), ("", 10)];

/// The command.
#[derive(Debug, Args)]
pub(crate) struct List {}

impl List {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let mut list = session.output.list(COLUMNS);
        for channel in Channels::new(stack.table()).all().await? {
            let cells = [
                channel.phone_number_id.to_string(),
                channel.display_phone_number.clone(),
                channel.account.to_string(),
                channel.inbox.to_string(),
                channel.state.word().to_owned(),
                held(&channel).to_owned(),
            ];
            list.row(&shown(&channel), &cells)?;
        }
        list.end("there is no channel; `ops channel add` makes one")
    }
}
